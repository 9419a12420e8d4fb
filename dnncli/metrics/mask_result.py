"""What is said of masks: scores of each class, pooled and by picture. NaN is "undefined"."""

from dataclasses import dataclass

from dnncli.metrics.report import Interval


@dataclass(frozen=True, kw_only=True)
class MaskScores:
    """Scores of one set of counts, or their mean."""

    dice: float  # F1 of the pixels
    iou: float
    precision: float
    recall: float
    f: dict[str, float]  # by the beta's shortest name


@dataclass(frozen=True, kw_only=True)
class ImageMeans:
    """Scores of each picture by itself, and their mean over the pictures."""

    dice: float
    iou: float
    n_defined: int  # pictures in which the class is true or predicted somewhere
    n_correctly_empty: int  # neither: Dice and IoU are undefined
    n_missed: int  # the class is there, and not one of its pixels was found
    n_false_alarms: int  # the class is not there, but predicted


@dataclass(frozen=True, kw_only=True)
class MaskIntervals:
    """Where the scores may lie, were other pictures drawn. None where a score is undefined."""

    dice: Interval | None
    iou: Interval | None
    precision: Interval | None
    recall: Interval | None
    f: dict[str, Interval | None]  # by the beta's shortest name
    image_dice: Interval | None  # of the means by picture
    image_iou: Interval | None


@dataclass(frozen=True, kw_only=True)
class ClassMasks(MaskScores):
    """One class against the rest: pixels of all pictures together, and the means by picture."""

    tp: int
    fp: int
    fn: int
    tn: int
    support: int  # pixels of the class
    predicted: int
    images: ImageMeans
    intervals: MaskIntervals | None  # None for few pictures


@dataclass(frozen=True, kw_only=True)
class PooledMasks:
    """Scores over the classes, from the pixels of all pictures together."""

    accuracy: float  # share of pixels with the right number
    macro: MaskScores  # mean of the classes' pooled scores
    micro: MaskScores  # of the counts summed over the classes
    undefined_classes: int  # classes with a score that is undefined


@dataclass(frozen=True, kw_only=True)
class MaskMeans:
    """The means by picture, averaged over the classes."""

    dice: float
    iou: float


@dataclass(frozen=True, kw_only=True)
class ImageMask:
    """One class in one picture."""

    tp: int
    fp: int
    fn: int
    dice: float
    iou: float


@dataclass(frozen=True, kw_only=True)
class ImageReport:
    """One picture."""

    id: str
    pixels: int  # that count
    ignored: int
    undecided: int
    accuracy: float
    per_class: dict[str, ImageMask]


@dataclass(frozen=True, kw_only=True)
class MaskReport:
    """Everything that follows from the counts of N pictures."""

    per_class: dict[str, ClassMasks]
    pooled: PooledMasks
    images: MaskMeans
    per_image: tuple[ImageReport, ...]
