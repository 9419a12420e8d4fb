"""What `dnncli eval` was asked for, as it was asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dnncli.results import Progress


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `dnncli.evaluate`, unchecked; see there what each means."""

    target: Path
    data: str | Path | None
    truth: str | Path | None
    classes: Sequence[str]
    betas: Sequence[float]
    undefined: str
    positive: str | None
    threshold: float | None
    thresholds: str | Path | None
    confidence: float
    intervals: str
    bins: int
    multi_label: bool
    nan: str
    slices: Sequence[str]
    fail_under: Sequence[str]
    against: str | Path | None
    split: str | None
    tie: str
    normalize_ids: str
    folder: Path | None  # for the files; None: nowhere, or inside the run
    name: str | None
    batch_size: int
    on_bad: str
    binary: bool
    ignore: int | None
    edges: bool
    tolerance: float | None
    nms: bool
    progress: Progress
