"""Scores masks against true masks, picture by picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.align import NORMALIZE_IDS
from dnncli.data.dataset import BACKGROUND
from dnncli.data.map_classes import check_alike
from dnncli.data.map_codes import VOID, MaskCode, Seen, first_ids, mask_code
from dnncli.data.maps import Maps, match_maps, open_maps
from dnncli.errors import ConfigError, DataError
from dnncli.metrics.boundary import NearCounts, near_counts, near_scores, stacked
from dnncli.metrics.counts import in_precision
from dnncli.metrics.edge_counts import TOLERANCE, pixels_of
from dnncli.metrics.mask_baseline import baselines
from dnncli.metrics.mask_intervals import FEWEST
from dnncli.metrics.masks import (
    PixelPairs,
    mask_confusion,
    mask_counts,
    mask_report,
    pixel_pairs,
)
from dnncli.metrics.scores import UNDEFINED, Undefined
from dnncli.results import Progress
from dnncli.services.evaluation.folder import SCHEMA
from dnncli.services.evaluation.gates import Gate, parse_gates
from dnncli.services.evaluation.map_folder import write_mask_folder
from dnncli.services.evaluation.map_gates import judge_masks, mask_gate_problems, parse_mask_gate
from dnncli.services.evaluation.map_result import MaskEval, NearClass
from dnncli.services.evaluation.options import no_class
from dnncli.services.option_problems import (
    beta_problems,
    class_problems,
    confidence_problems,
    not_for,
    tolerance_problems,
    word_problems,
)


@dataclass(frozen=True, kw_only=True)
class MaskOptions:
    """Options of an evaluation of masks after they were checked."""

    classes: tuple[str, ...]
    binary: bool
    ignore: int | None
    threshold: float | None
    betas: tuple[float, ...]
    undefined: Undefined
    confidence: float  # of the intervals, in (0, 1)
    tolerance: float  # below 1 a share of the diagonal, else pixels
    positive: str | None
    gates: tuple[Gate, ...]
    nfc: bool


def checked_masks(
    *,
    classes: Sequence[str],
    binary: bool,
    ignore: int | None,
    threshold: float | None,
    betas: Sequence[float],
    undefined: str,
    confidence: float,
    tolerance: float | None,
    positive: str | None,
    fail_under: Sequence[str],
    normalize_ids: str,
    others: Mapping[str, object],
) -> MaskOptions:
    """The options, if each by itself makes sense.

    Args:
        others: options that are not for masks, and whether each was given.

    Raises:
        ConfigError: naming everything that does not.
    """
    problems = not_for("masks", others)
    problems += word_problems(
        {"undefined": (undefined, UNDEFINED), "normalize-ids": (normalize_ids, NORMALIZE_IDS)}
    )
    problems += [*beta_problems(betas), *confidence_problems(confidence), *class_problems(classes)]
    problems += tolerance_problems(tolerance)
    if threshold is not None and not 0 <= threshold <= 1:
        problems.append(
            f"--threshold {threshold:g}: must lie between 0 and 1; of 8 bits, the level / 255."
        )
    if ignore is not None and ignore < 0:
        problems.append(f"--ignore {ignore}: must be a number of the masks, >= 0.")
    gates, wrong = parse_gates(fail_under, parse_mask_gate)
    problems += wrong
    if problems:
        raise ConfigError("eval:", problems)
    of_gates = [gate.beta for gate in gates if gate.beta is not None]
    return MaskOptions(
        classes=tuple(classes),
        binary=binary or threshold is not None,
        ignore=ignore,
        threshold=threshold,
        betas=tuple(dict.fromkeys(map(float, (*betas, *of_gates)))),
        undefined=undefined,  # type: ignore[arg-type]
        confidence=confidence,
        tolerance=TOLERANCE if tolerance is None else tolerance,
        positive=positive,
        gates=gates,
        nfc=normalize_ids == "nfc",
    )


def evaluate_masks(
    target: Path,
    truth: Path,
    *,
    options: MaskOptions,
    folder: Path | None,
    progress: Progress,
) -> MaskEval:
    """The scores of masks against true masks; with a folder, everything is written there.

    Args:
        target: masks, or with a threshold maps of shares: a folder of pictures or an .npz.
        truth: masks of the same ids, of the same kind of source.

    Raises:
        ConfigError, DataError: what is wrong with them, or does not fit together.
    """
    true = open_maps(truth, nfc=options.nfc, progress=progress)
    predicted = open_maps(
        target,
        kind="mask" if options.threshold is None else "edge",
        nfc=options.nfc,
        progress=progress,
    )
    true, predicted = _with_void(true, predicted, ignore=options.ignore)
    warnings = match_maps(true, [predicted], extra="leave")
    code = _code(true, predicted, options, progress)

    def read(map_id: str) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        truth_mask, mask = _pair(true, predicted, map_id, options.threshold)
        return code.folded(truth_mask), code.folded(mask)

    report = score_masks(
        true.ids,
        read,
        code=code,
        options=options,
        names=(str(target), str(truth)),
        warnings=warnings,
        progress=progress,
    )
    report = replace(report, out=folder)
    if folder is not None:
        write_mask_folder(folder, report)
    return report


def score_masks(
    ids: Sequence[str],
    read: Callable[[str], tuple[NDArray[np.integer], NDArray[np.integer]]],
    *,
    code: MaskCode,
    options: MaskOptions,
    names: tuple[str, str],
    warnings: Sequence[str] = (),
    progress: Progress,
) -> MaskEval:
    """The scores of masks that need not lie in files; nothing is written.

    Args:
        ids: (N,) of the pictures.
        read: id -> true and predicted mask (H, W), in numbers of `code`, VOID where the truth is
            not to be judged or the prediction is undecided. Asked once for each picture.
        code: the classes to judge, and their numbers.
        options: betas, undefined, confidence, positive and gates are used.
        names: of predictions and truth, for the report.
        warnings: for the report.
        progress: told of the pictures that were read.

    Raises:
        ConfigError: if there is no such positive class, or no class of a gate.
    """
    check_positive(code, options)
    pictures, near = [], []
    for done, map_id in enumerate(ids, start=1):
        pair = read(map_id)
        pictures.append(pixel_pairs(*pair))
        near.append(_near(*pair, code=code, tolerance=options.tolerance))
        progress("Comparing masks", done, len(ids))
    return _report(pictures, near, ids, code=code, options=options, names=names, warnings=warnings)


def _near(
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    *,
    code: MaskCode,
    tolerance: float,
) -> tuple[NearCounts, NearCounts]:
    """Counts of the outlines, and of all pixels."""
    distance = pixels_of(tolerance, truth.shape)
    outlines, whole = (
        near_counts(
            truth, predicted, values=code.values, distance=distance, outlines=outlines, void=VOID
        )
        for outlines in (True, False)
    )
    return outlines, whole


def _report(
    pictures: Sequence[PixelPairs],
    near: Sequence[tuple[NearCounts, NearCounts]],
    ids: Sequence[str],
    *,
    code: MaskCode,
    options: MaskOptions,
    names: tuple[str, str],
    warnings: Sequence[str],
) -> MaskEval:
    counts = mask_counts(pictures, values=code.values)
    scores = mask_report(
        counts,
        ids=ids,
        classes=code.class_names,
        betas=options.betas,
        undefined=options.undefined,
        confidence=options.confidence,
    )
    positive = options.positive
    report = MaskEval(
        schema=SCHEMA,
        kind="mask",
        target=names[0],
        truth=names[1],
        n=len(ids),
        pixels=int(counts.pixels.sum()),
        ignored=int(counts.ignored.sum()),
        undecided=int(counts.undecided.sum()),
        classes=code.class_names,
        values=dict(zip(code.class_names, code.values)),
        binary=code.binary,
        threshold=options.threshold,
        positive=positive,
        betas=options.betas,
        undefined=options.undefined,
        confidence=options.confidence,
        per_class=scores.per_class,
        pooled=scores.pooled,
        images=scores.images,
        per_image=scores.per_image,
        confusion=mask_confusion(
            pictures, values=code.values, classes=code.class_names, rest=BACKGROUND
        ),
        tolerance=options.tolerance,
        near={
            name: NearClass(outline=outline, whole=whole)
            for name, outline, whole in zip(
                code.class_names,
                *(near_scores(stacked(part), undefined=options.undefined) for part in zip(*near)),
            )
        },
        baselines=baselines(
            counts,
            values=code.values,
            classes=code.class_names,
            rest=BACKGROUND,
            undefined=options.undefined,
        ),
        missed=None
        if positive is None
        else [
            entry.id
            for entry in scores.per_image
            if entry.per_class[positive].fn and not entry.per_class[positive].tp
        ],
        gates=judge_masks(options.gates, scores),
        out=None,
        warnings=(*warnings, *filter(None, [code.note])),
    )
    return replace(report, warnings=(*report.warnings, *_remarks(report)))


def _with_void(true: Maps, predicted: Maps, *, ignore: int | None) -> tuple[Maps, Maps]:
    """Both with the number that is no class, if it is known."""
    if ignore is not None:
        return replace(true, void=ignore), replace(predicted, void=ignore)
    # A void class among the names of the truth has that number in the predictions, too. Any other
    # number of the truth, such as 255, may well mean something else there.
    is_named = true.void is not None and true.void < len(true.class_names)
    if is_named and predicted.void is None and not predicted.class_names:
        predicted = replace(predicted, void=true.void)
    return true, predicted


def _pair(
    true: Maps, predicted: Maps, map_id: str, threshold: float | None
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """True and predicted mask of one picture as they are stored; void numbers are VOID."""
    values = predicted.read(map_id)
    if threshold is not None:
        values = (values >= in_precision(threshold, values.dtype)).astype(np.uint8)
    return _voided(true.read(map_id), true.void), _voided(values, predicted.void)


def _voided(values: NDArray[np.integer], void: int | None) -> NDArray[np.integer]:
    return values if void is None else np.where(values == void, VOID, values.astype(np.int64))


def _code(true: Maps, predicted: Maps, options: MaskOptions, progress: Progress) -> MaskCode:
    """What the numbers mean; every mask is read for it."""
    if not options.classes:
        check_alike([true, predicted])
    numbers: dict[str, tuple[NDArray, ...]] = {}
    problems = []
    for done, map_id in enumerate(true.ids, start=1):
        try:
            pair = _pair(true, predicted, map_id, options.threshold)
            numbers[map_id] = tuple(np.unique(part) for part in pair)
        except DataError as error:
            problems.append(str(error))
        progress("Reading masks", done, len(true.ids))
    if problems:
        raise DataError("Maps that cannot be used:", problems)
    whose = true if true.class_names else predicted
    seen = [
        Seen(path=maps.path, values=first_ids({key: pair[side] for key, pair in numbers.items()}))
        for side, maps in enumerate((true, predicted))
    ]
    return mask_code(
        seen,
        classes=options.classes,
        declared=whose.class_names,
        binary=options.binary,
        void=true.void if options.classes else whose.void,
    )


def check_positive(code: MaskCode, options: MaskOptions) -> None:
    """Refuse a positive class and gates of classes that are not judged.

    Raises:
        ConfigError: naming them.
    """
    problems = mask_gate_problems(options.gates, code.class_names)
    if options.positive is not None and options.positive not in code.class_names:
        problems.append(f"--positive: {no_class(options.positive, code.class_names)}")
    if problems:
        raise ConfigError("eval:", problems)


def _remarks(report: MaskEval) -> list[str]:
    """What a reader of the scores should know."""
    absent = [name for name, entry in report.per_class.items() if not entry.support]
    remarks = []
    if absent:
        some = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
        remarks.append(f"No pixel of the truth is of class {some}: its recall is undefined.")
    if report.n < FEWEST:
        remarks.append(f"{report.n} pictures are too few for intervals: {FEWEST} are needed.")
    foreground = report.per_class[report.classes[-1]]
    if report.threshold is not None and foreground.support and not foreground.predicted:
        remarks.append(
            f"No value reaches --threshold {report.threshold:g}: 8 bits are divided by 255. If the "
            "predictions are masks of 0 and 1, leave it out."
        )
    empty = sum(not entry.pixels for entry in report.per_image)
    if empty:
        remarks.append(f"{empty} pictures are void altogether and count for nothing.")
    return remarks
