"""`dnncli eval`: scores predictions against their labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dnncli import trust
from dnncli.data.frames import SUFFIXES
from dnncli.errors import ConfigError
from dnncli.results import Progress, no_progress
from dnncli.rundir import is_run
from dnncli.services.evaluation.folder import check_out
from dnncli.services.evaluation.inputs import from_files, from_run
from dnncli.services.evaluation.options import checked
from dnncli.services.evaluation.report import scored
from dnncli.services.evaluation.request import Request
from dnncli.services.evaluation.result import EvalReport
from dnncli.services.places import takes_urls

if TYPE_CHECKING:  # masks and edges are imported when they are scored: `eval` of a table is quick
    from dnncli.services.evaluation.edge_result import EdgeEval
    from dnncli.services.evaluation.map_result import MaskEval


@trust.scoped
@takes_urls
def evaluate(
    target: str | Path,
    data: str | Path | None = None,
    *,
    truth: str | Path | None = None,
    classes: Sequence[str] = (),
    betas: Sequence[float] = (1.0,),
    undefined: str = "skip",
    positive: str | None = None,
    threshold: float | None = None,
    thresholds: str | Path | None = None,
    confidence: float = 0.95,
    intervals: str = "delta",
    bins: int = 15,
    multi_label: bool = False,
    nan: str = "error",
    slices: Sequence[str] = (),
    fail_under: Sequence[str] = (),
    against: str | Path | None = None,
    split: str | None = None,
    tie: str = "abstain",
    normalize_ids: str = "none",
    out: str | Path | None = None,
    name: str | None = None,
    batch_size: int = 128,
    on_bad: str = "skip",
    binary: bool = False,
    ignore: int | None = None,
    edges: bool = False,
    tolerance: float | None = None,
    nms: bool = True,
    allow_code: bool = False,  # noqa: ARG001 - `scoped` reads it
    progress: Progress = no_progress,
) -> "EvalReport | MaskEval | EdgeEval":
    """Score predictions against their labels, masks against true masks or edges against true edges.

    A predictions file never starts TensorFlow, and nothing is written without `out`. A run writes
    its evaluation to RUN/eval/<name>.

    Args:
        target: a predictions file, a run folder, a .keras file; or a folder or .npz of masks.
        data: the data set to evaluate a run or model on; None: the run's own.
        truth: file with the true labels of a predictions file, or the true masks.
        classes: declared class order; empty: from the file, else the names sorted. For masks: the
            names of 0, 1, ..., or numbers.
        betas: of the F scores.
        undefined: what a class value 0/0 counts as in averages: left out ("skip"), 0 or 1.
        positive: the class that the headline is about.
        threshold: decide for `positive` if and only if its score is at least this.
        thresholds: a file of `dnncli threshold` to take the threshold from; rows that chose it are
            refused.
        confidence: of the intervals, in (0, 1).
        intervals: of F: "delta" or "bootstrap".
        bins: equal parts of [0, 1] of the calibration error, whose value depends on them.
        multi_label: a row may belong to several classes or none.
        nan: "positive" counts rows whose scores hold NaN as flagged.
        slices: columns of the truth, or "folder:N", to score groups of rows by.
        fail_under: "recall.defect=0.95": `gates` of the report says which are met.
        against: predictions of another model for the same rows.
        split: of the data set, or the `split` column of the truth file.
        tie: what a row whose highest score belongs to several classes is decided for.
        normalize_ids: "nfc" takes ids for equal that differ only in Unicode form.
        out: folder for the files; None: as said above.
        name: of the evaluation inside the run; None: from data and split.
        batch_size: pictures predicted at a time.
        on_bad: unreadable pictures: "skip" or "error".
        binary: masks hold 0 for the background, 1 or 255 for the foreground.
        ignore: number in masks that is no class: left out of the truth, undecided if predicted.
        edges: the maps are grey edge maps; the truth may be a folder of edges for each annotator.
        tolerance: how far an edge, an outline or a pixel may be off: below 1 a share of the
            diagonal, else pixels. None: 0.0075 of the diagonal.
        nms: of edge maps only the ridges count.
        allow_code: let model files run code of their own.

    Raises:
        ConfigError, DataError, ModelError: what is wrong, and what to do.
    """
    asked = Request(
        target=Path(target),
        folder=None if out is None else Path(out),
        data=data,
        truth=truth,
        classes=classes,
        betas=betas,
        undefined=undefined,
        positive=positive,
        threshold=threshold,
        thresholds=thresholds,
        confidence=confidence,
        intervals=intervals,
        bins=bins,
        multi_label=multi_label,
        nan=nan,
        slices=slices,
        fail_under=fail_under,
        against=against,
        split=split,
        tie=tie,
        normalize_ids=normalize_ids,
        name=name,
        batch_size=batch_size,
        on_bad=on_bad,
        binary=binary,
        ignore=ignore,
        edges=edges,
        tolerance=tolerance,
        nms=nms,
        progress=progress,
    )
    if asked.folder is not None:
        check_out(asked.folder)
    are_maps = not is_run(asked.target) and _are_maps(asked)
    task = "" if are_maps else _pixel_task(asked.target)
    if not are_maps and not task:
        return _evaluate_rows(asked)
    from dnncli.services.evaluation.pixels import evaluate_pixels

    return evaluate_pixels(asked, task=task)


def _evaluate_rows(asked: Request) -> EvalReport:
    """Score classes of rows: a predictions file, or a run that predicts them."""
    target = asked.target
    if asked.binary or asked.ignore is not None:
        raise ConfigError(
            f"{target}: is no folder or .npz of masks; --binary and --ignore are for masks."
        )
    if asked.edges or asked.tolerance is not None or not asked.nms:
        raise ConfigError(
            f"{target}: is no folder or .npz of maps; --edges, --tolerance and --no-nms are for "
            "edges and masks."
        )
    options = checked(
        classes=asked.classes,
        betas=asked.betas,
        undefined=asked.undefined,
        tie=asked.tie,
        positive=asked.positive,
        normalize_ids=asked.normalize_ids,
        confidence=asked.confidence,
        intervals=asked.intervals,
        bins=asked.bins,
        nan=asked.nan,
        multi_label=asked.multi_label,
        threshold=asked.threshold,
        thresholds=None if asked.thresholds is None else Path(asked.thresholds),
        slices=asked.slices,
        fail_under=asked.fail_under,
        against=None if asked.against is None else Path(asked.against),
    )
    if target.suffix in SUFFIXES and not target.is_dir():
        if asked.name is not None:
            raise ConfigError("--name: is for runs. Say where the results go with --out FOLDER.")
        inputs = from_files(target, asked.data, asked.truth, split=asked.split, options=options)
    else:
        inputs = from_run(
            target,
            asked.data,
            asked.truth,
            split=asked.split,
            name=asked.name,
            out=asked.folder,
            options=options,
            batch_size=asked.batch_size,
            on_bad=asked.on_bad,
            progress=asked.progress,
        )
    folder = asked.folder or inputs.folder
    return scored(inputs, target=target, folder=folder, progress=asked.progress)


def _are_maps(asked: Request) -> bool:
    target, truth = asked.target, asked.truth
    if not target.is_dir() and target.suffix != ".npz":
        return False
    from dnncli.data.maps import is_maps  # loads what tables do without

    beside_maps = target.is_dir() and truth is not None and Path(truth).is_dir()
    return beside_maps or is_maps(target)


def _pixel_task(target: Path) -> str:
    """segment or edges if a target is a model of these; nothing for others and for tables."""
    if target.suffix in SUFFIXES and not target.is_dir():
        return ""
    from dnncli.services.rows import OF_PIXELS, task_of

    task = task_of(target)
    return task if task in OF_PIXELS else ""
