"""What an evaluation of edge maps found: the object that `eval --json` prints for them."""

from dataclasses import dataclass
from pathlib import Path

from dnncli.metrics.edges import BestF, EdgeCurve, PooledF
from dnncli.metrics.report import Interval
from dnncli.services.evaluation.gates import GateResult


@dataclass(frozen=True, kw_only=True)
class EdgeDetails:
    """The scores of all pictures together, with what they are made of."""

    ods: BestF  # one threshold for all pictures, interpolated between those of the curve
    ods_plain: BestF  # the best of the thresholds themselves
    ois: PooledF  # the best threshold of each picture
    at_threshold: BestF | None  # at the threshold that was asked for
    intervals: dict[str, Interval] | None  # of ods, ois; None for few pictures
    curve: EdgeCurve


@dataclass(frozen=True, kw_only=True)
class EdgeBaseline:
    """Saying "no edge" everywhere."""

    accuracy: float  # share of pixels that this gets right
    recall: float
    f: float


@dataclass(frozen=True, kw_only=True)
class EdgeImage(BestF):
    """One picture at its own best threshold."""

    id: str
    annotators: int
    true_edges: int  # pixels, summed over the annotators


@dataclass(frozen=True, kw_only=True)
class EdgeEval:
    """Scores of one set of edge maps. NaN is "undefined"; it becomes null in JSON."""

    schema: str
    kind: str
    target: str
    truth: str
    n: int  # pictures
    pixels: int  # that count
    ignored: int  # pixels that the truth says nothing of
    annotators: tuple[int, int]  # fewest and most of a picture
    tolerance: float  # below 1 a share of the diagonal, else pixels
    nms: bool
    thin: bool
    threshold: float | None
    confidence: float  # of the intervals, for which whole pictures are drawn again
    ods: float
    ois: float
    ap: float
    r50: float
    edges: EdgeDetails
    baseline: EdgeBaseline
    per_image: tuple[EdgeImage, ...]
    gates: tuple[GateResult, ...]
    out: Path | None
    warnings: tuple[str, ...]
    split: str | None = None  # that a run was judged on
    data: str | None = None  # fingerprint of its data set
    model_file: str | None = None  # inside its run folder
