"""What an evaluation of masks found: the object that `eval --json` prints for them."""

from dataclasses import dataclass
from pathlib import Path

from dnncli.metrics.boundary import NearScores
from dnncli.metrics.mask_baseline import Baseline
from dnncli.metrics.mask_result import ClassMasks, ImageReport, MaskMeans, PooledMasks
from dnncli.metrics.report import Confusion
from dnncli.metrics.scores import Undefined
from dnncli.services.evaluation.gates import GateResult


@dataclass(frozen=True, kw_only=True)
class NearClass:
    """Scores of one class in which a pixel is right if one of its class is near."""

    outline: NearScores  # of the outlines: boundary F
    whole: NearScores  # of all pixels of the class, for thin ones


@dataclass(frozen=True, kw_only=True)
class MaskEval:
    """Scores of one set of masks. NaN is "undefined"; it becomes null in JSON."""

    schema: str
    kind: str
    target: str
    truth: str
    n: int  # pictures
    pixels: int  # that count
    ignored: int  # pixels that the truth says nothing of
    undecided: int  # pixels without a decision: wrong for every score
    classes: tuple[str, ...]
    values: dict[str, int]  # the number of each class in the masks
    binary: bool  # 255 was taken for 1
    threshold: float | None  # foreground if and only if the value is at least this
    positive: str | None
    betas: tuple[float, ...]
    undefined: Undefined
    confidence: float  # of the intervals, for which whole pictures are drawn again
    per_class: dict[str, ClassMasks]  # pixels of all pictures together; `images`: by picture
    pooled: PooledMasks
    images: MaskMeans  # means by picture, averaged over the classes
    per_image: tuple[ImageReport, ...]
    confusion: Confusion  # pixels; numbers that are no class of the scores are `background`
    tolerance: float  # of `near`; below 1 a share of the diagonal, else pixels
    near: dict[str, NearClass]  # by class: where pixels only need to be near
    baselines: dict[str, Baseline]  # by the class that is said everywhere
    missed: list[str] | None  # pictures whose positive class was not found at all
    gates: tuple[GateResult, ...]
    out: Path | None
    warnings: tuple[str, ...]
    split: str | None = None  # that a run was judged on
    data: str | None = None  # fingerprint of its data set
    model_file: str | None = None  # inside its run folder
