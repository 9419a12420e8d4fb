"""Scores edge maps against the edges that people drew, picture by picture."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.align import NORMALIZE_IDS
from dnncli.data.dataset import NO_CLASS
from dnncli.devices import cores
from dnncli.errors import ConfigError
from dnncli.metrics.edge_counts import THRESHOLDS, TOLERANCE, EdgeCounts, edge_counts
from dnncli.metrics.edge_intervals import FEWEST, edge_intervals
from dnncli.metrics.edges import BestF, EdgeScores, edge_scores
from dnncli.registry import suggest
from dnncli.results import Progress, no_progress
from dnncli.services.evaluation.edge_files import open_edges
from dnncli.services.evaluation.edge_folder import write_edge_folder
from dnncli.services.evaluation.edge_result import EdgeBaseline, EdgeDetails, EdgeEval, EdgeImage
from dnncli.services.evaluation.folder import SCHEMA
from dnncli.services.evaluation.gates import Gate, met, parse_gate, parse_gates
from dnncli.services.option_problems import (
    confidence_problems,
    not_for,
    tolerance_problems,
    word_problems,
)

_GATES = ("ods", "ois", "ap", "r50")
_FORM = "ods=VALUE, ois=VALUE, ap=VALUE or r50=VALUE"


@dataclass(frozen=True, kw_only=True)
class EdgeOptions:
    """Options of an evaluation of edge maps after they were checked."""

    tolerance: float = TOLERANCE  # below 1 a share of the diagonal, else pixels
    nms: bool = True
    thin: bool = True
    threshold: float | None = None
    thresholds: tuple[float, ...] = THRESHOLDS
    confidence: float = 0.95  # of the intervals, in (0, 1)
    gates: tuple[Gate, ...] = ()
    nfc: bool = False


def checked_edges(
    *,
    tolerance: float | None = None,
    nms: bool = True,
    threshold: float | None = None,
    confidence: float = 0.95,
    fail_under: Sequence[str] = (),
    normalize_ids: str = "none",
    others: Mapping[str, object],
) -> EdgeOptions:
    """The options, if each by itself makes sense.

    Args:
        others: options that are not for edges, and whether each was given.

    Raises:
        ConfigError: naming everything that does not.
    """
    problems = not_for("edges", others)
    problems += word_problems({"normalize-ids": (normalize_ids, NORMALIZE_IDS)})
    problems += [*tolerance_problems(tolerance), *confidence_problems(confidence)]
    if threshold is not None and not 0 < threshold <= 1:
        problems.append(
            f"--threshold {threshold:g}: must lie above 0 and at most at 1; of 8 bits, the level "
            "/ 255."
        )
    gates, wrong = parse_gates(fail_under, _parse_edge_gate)
    problems += wrong
    if problems:
        raise ConfigError("eval:", problems)
    return EdgeOptions(
        tolerance=TOLERANCE if tolerance is None else tolerance,
        nms=nms,
        threshold=threshold,
        confidence=confidence,
        gates=gates,
        nfc=normalize_ids == "nfc",
    )


def _parse_edge_gate(text: str) -> Gate:
    """`ods=0.7` as a gate."""
    key = text.partition("=")[0]
    if key not in _GATES:
        near = suggest(key, _GATES)
        raise ConfigError(f"--fail-under {key}: no such score.{near} Known: {_FORM}.")
    return parse_gate(text, of_all=_GATES, form=_FORM)


def evaluate_edges(
    target: Path,
    truth: Path,
    *,
    options: EdgeOptions,
    folder: Path | None,
    progress: Progress,
) -> EdgeEval:
    """The scores of edge maps in files; with a folder, everything is written there.

    Args:
        target: maps in [0, 1] or grey pictures: a folder or an .npz.
        truth: edges of the same ids, or a folder of them for each annotator.

    Raises:
        ConfigError, DataError: what is wrong with them, or does not fit together.
    """
    found = open_edges(target, truth, nfc=options.nfc, progress=progress)
    report = evaluate_edge_maps(
        found.ids,
        found.predicted.read,
        found.truths,
        options=options,
        names=(str(target), str(truth)),
        warnings=found.warnings,
        progress=progress,
    )
    report = replace(report, out=folder)
    if folder is not None:
        write_edge_folder(folder, report)
    return report


def evaluate_edge_maps(
    ids: Sequence[str],
    read_map: Callable[[str], NDArray[np.floating]],
    read_truths: Callable[[str], Sequence[NDArray]],
    *,
    options: EdgeOptions,
    names: tuple[str, str],
    warnings: Sequence[str] = (),
    progress: Progress = no_progress,
) -> EdgeEval:
    """The scores of edge maps that need not lie in files; nothing is written.

    Args:
        ids: (N,) of the pictures.
        read_map: id -> (H, W) how sure an edge is, in [0, 1]. Asked once for each picture.
        read_truths: id -> what each annotator drew, (H, W): 1 is an edge, 0 is none, NO_CLASS
            (255) is not judged, as soon as one annotator says so. Asked once for each picture.
        options: of the scores.
        names: of predictions and truth, for the report.
        warnings: for the report.
        progress: told of the pictures that were matched.
    """
    steps = tuple(sorted({*options.thresholds, *filter(None, [options.threshold])}))
    counts, drawn = [], []
    found = _counted(ids, read_map, read_truths, options=options, steps=steps)
    for done, (count, seen) in enumerate(found, start=1):
        counts.append(count)
        drawn.append(seen)
        progress("Matching edges", done, len(ids))
    return _report(ids, counts, drawn, steps, options=options, names=names, warnings=warnings)


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """What was drawn in one picture."""

    annotators: int
    pixels: int
    judged: int  # pixels that count
    edges: float  # pixels, as drawn; mean over the annotators


def _counted(
    ids: Sequence[str],
    read_map: Callable[[str], NDArray[np.floating]],
    read_truths: Callable[[str], Sequence[NDArray]],
    *,
    options: EdgeOptions,
    steps: tuple[float, ...],
) -> Iterator[tuple[EdgeCounts, _Drawn]]:
    """Counts of each picture, in order; as many at a time as there are cores."""
    waiting: deque[tuple[Future[EdgeCounts], _Drawn]] = deque()
    with ThreadPoolExecutor(cores()) as pool:  # the solver runs outside of Python's lock
        for map_id in ids:
            truths = [np.asarray(part) for part in read_truths(map_id)]
            judged = ~np.any([part == NO_CLASS for part in truths], axis=0)
            edges = [part == 1 for part in truths]
            matching = pool.submit(
                edge_counts,
                np.asarray(read_map(map_id)),
                edges,
                thresholds=steps,
                tolerance=options.tolerance,
                nms=options.nms,
                thin=options.thin,
                judged=None if judged.all() else judged,
            )
            seen = _Drawn(
                annotators=len(truths),
                pixels=judged.size,
                judged=int(judged.sum()),
                edges=sum(int((part & judged).sum()) for part in edges) / len(edges),
            )
            waiting.append((matching, seen))
            if len(waiting) > cores():
                first, of_first = waiting.popleft()
                yield first.result(), of_first
        for first, of_first in waiting:
            yield first.result(), of_first


def _report(
    ids: Sequence[str],
    counts: Sequence[EdgeCounts],
    drawn: Sequence[_Drawn],
    steps: tuple[float, ...],
    *,
    options: EdgeOptions,
    names: tuple[str, str],
    warnings: Sequence[str],
) -> EdgeEval:
    is_asked = np.isin(steps, options.thresholds)
    thresholds = np.array(steps)[is_asked]
    cells = [
        np.array([getattr(entry, name) for entry in counts]).reshape(len(ids), len(steps))
        for name in ("count_r", "sum_r", "count_p", "sum_p")
    ]
    scores = edge_scores(thresholds, *(part[:, is_asked] for part in cells))
    best = np.searchsorted(thresholds, [image.threshold for image in scores.images])
    judged = sum(entry.judged for entry in drawn)
    accuracy = 1 - sum(entry.edges for entry in drawn) / judged if judged else float("nan")
    report = EdgeEval(
        schema=SCHEMA,
        kind="edges",
        target=names[0],
        truth=names[1],
        n=len(ids),
        pixels=judged,
        ignored=sum(entry.pixels for entry in drawn) - judged,
        annotators=(
            min((entry.annotators for entry in drawn), default=0),
            max((entry.annotators for entry in drawn), default=0),
        ),
        tolerance=options.tolerance,
        nms=options.nms,
        thin=options.thin,
        threshold=options.threshold,
        confidence=options.confidence,
        ods=scores.ods.f,
        ois=scores.ois.f,
        ap=scores.ap,
        r50=scores.r50,
        edges=EdgeDetails(
            ods=scores.ods,
            ods_plain=scores.ods_plain,
            ois=scores.ois,
            at_threshold=_at(steps, cells, options.threshold),
            intervals=edge_intervals(
                *(part[:, is_asked] for part in cells),
                best=np.minimum(best, len(thresholds) - 1),
                confidence=options.confidence,
            ),
            curve=scores.curve,
        ),
        baseline=EdgeBaseline(
            accuracy=accuracy, recall=0.0 if cells[1].any() else float("nan"), f=0.0
        ),
        per_image=tuple(
            EdgeImage(
                id=map_id,
                annotators=entry.annotators,
                true_edges=int(count.sum_r[0]),
                **vars(image),
            )
            for map_id, entry, count, image in zip(ids, drawn, counts, scores.images)
        ),
        gates=tuple(met(gate, _value(scores, gate.key)) for gate in options.gates),
        out=None,
        warnings=tuple(warnings),
    )
    return replace(report, warnings=(*report.warnings, *_remarks(report, cells)))


def _at(
    steps: tuple[float, ...], cells: Sequence[NDArray[np.int64]], threshold: float | None
) -> BestF | None:
    """The scores at one threshold."""
    if threshold is None:
        return None
    place = steps.index(threshold)
    return edge_scores([threshold], *(part[:, [place]] for part in cells)).ods_plain


def _value(scores: EdgeScores, key: str) -> float:
    return getattr(scores, key) if key in ("ap", "r50") else getattr(scores, key).f


def _remarks(report: EdgeEval, cells: Sequence[NDArray[np.int64]]) -> list[str]:
    """What a reader of the scores should know."""
    _, true_edges, _, predicted = cells
    is_curve = any((part != part[:, :1]).any() for part in cells)
    remarks = []
    if not true_edges.any():
        remarks.append("No pixel of the truth is an edge: recall is undefined.")
    if not predicted.any():
        after = " after thinning out ridges (--no-nms leaves this out)" if report.nms else ""
        remarks.append(f"No value of the maps reaches a threshold{after}: nothing is predicted.")
    elif not is_curve and len(report.edges.curve.threshold) > 1:
        remarks.append(
            "Every threshold gives the same edges: ODS is simply F, and AP says nothing of maps "
            "of one level."
        )
    if report.n < FEWEST:
        remarks.append(f"{report.n} pictures are too few for intervals: {FEWEST} are needed.")
    return remarks
