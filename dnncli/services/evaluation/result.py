"""What an evaluation found: the object that `eval --json` prints."""

from dataclasses import dataclass
from pathlib import Path

from dnncli.metrics.counts import Tie
from dnncli.metrics.report import Averages, ClassReport, Confusion, Majority
from dnncli.metrics.scores import Undefined
from dnncli.services.evaluation.against import Against
from dnncli.services.evaluation.curves import CalibrationReport, Curves
from dnncli.services.evaluation.gates import GateResult
from dnncli.services.evaluation.slices import SliceReport
from dnncli.services.evaluation.verdicts import ThresholdSource, Verdict


@dataclass(frozen=True, kw_only=True)
class EvalReport:
    """Scores of one set of predictions. NaN is "undefined"; it becomes null in JSON."""

    schema: str
    target: str
    n: int  # rows, whatever their weights
    classes: tuple[str, ...]
    positive: str | None
    threshold: float | None  # None: the class with the highest score is decided for
    threshold_from: ThresholdSource | None  # the file it was read from
    betas: tuple[float, ...]
    undefined: Undefined
    tie: Tie
    multi_label: bool
    weighted: bool  # counts are sums of sample weights
    confidence: float  # of the intervals
    interval_methods: dict[str, str | None]  # of precision and recall, and of F
    accuracy: float  # NaN for several labels a row
    accuracy_interval: list[float] | None  # exact; None where rows have weights
    subset_accuracy: float | None  # several labels: rows whose labels are all right
    hamming_loss: float | None  # several labels: share of wrong answers
    majority: Majority | None
    per_class: dict[str, ClassReport]
    averages: Averages
    confusion: Confusion | None  # None for several labels a row
    curves: Curves | None  # None for hard labels
    calibration: CalibrationReport | None
    verdict: dict[str, Verdict] | None
    missed: list[str] | None  # ids of positives that were not found; None without a positive class
    slices: dict[str, dict[str, SliceReport]] | None
    against: Against | None
    gates: tuple[GateResult, ...]
    ties: int  # rows whose highest score belongs to several classes
    undecided: int  # rows without a decision: wrong for every score
    split: str | None
    data: str | None  # fingerprint of the data set
    model_file: str | None  # inside its run folder
    out: Path | None
    warnings: tuple[str, ...]
