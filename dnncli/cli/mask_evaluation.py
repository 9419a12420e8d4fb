"""How an evaluation of masks is shown on a terminal."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dnncli.cli import output
from dnncli.cli.evaluation import with_interval

if TYPE_CHECKING:
    from dnncli.metrics.mask_result import ClassMasks, MaskScores
    from dnncli.services.evaluation.map_result import MaskEval

_LARGEST_MATRIX = 14  # classes; a larger confusion matrix fits no terminal
_NAMED = 5  # pictures in a line
_WORST = 5  # pictures in a table
_NEAR = ("outline", "whole")  # parts of a class that need only be near

number = output.number


def show_masks(report: "MaskEval") -> None:
    """Print headline, scores pooled and by picture, and the worst pictures."""
    output.lines(f"{what:<18} {value}" for what, value in _headline(report))
    betas = [beta for beta in report.pooled.micro.f if beta != "1"]
    columns = ["Dice", "IoU", "precision", "recall", *(f"F{beta}" for beta in betas)]
    rows = [
        [name, *_of_class(entry, betas), number(entry.support), number(entry.predicted)]
        for name, entry in report.per_class.items()
    ]
    if len(rows) > 1:
        rows += [
            [f"({name})", *_scores(getattr(report.pooled, name), betas), "", ""]
            for name in ("macro", "micro")
        ]
    output.table(
        ["class", *columns, "true pixels", "predicted"],
        rows,
        title="Pooled: pixels of all pictures together",
    )
    output.table(
        ["class", "mean Dice", "mean IoU", "defined", "correctly empty", "missed", "false alarms"],
        _by_picture(report),
        title="By picture: mean over the pictures",
    )
    output.table(
        ["said everywhere", "pixel accuracy", "Dice", "IoU", "mean Dice", "mean IoU"],
        _baselines(report),
        title="To beat: one class everywhere" + (", mean of the classes" if len(rows) > 1 else ""),
    )
    unit = "of the diagonal" if report.tolerance < 1 else "pixels"
    output.table(
        ["class", *(f"{part} {name}" for part in _NEAR for name in ("F", "mean F"))],
        _near(report),
        title=f"Within {report.tolerance:g} {unit}",
    )
    output.lines(_below(report))
    if len(report.confusion.classes) <= _LARGEST_MATRIX:
        output.lines(["Where the pixels of each class went, in percent (rows: truth)"])
        output.table(*_matrix(report))
    columns, rows = _worst(report)
    if rows:
        output.table(columns, rows, title="Pictures with the lowest Dice", left=2)


def _headline(report: "MaskEval") -> Iterator[tuple[str, str]]:
    if report.positive is not None:
        entry = report.per_class[report.positive]
        yield "positive", report.positive
        yield "  pooled Dice, IoU", f"{number(entry.dice)}, {number(entry.iou)}"
        yield "  pooled recall", number(entry.recall)
        missed = report.missed or []
        some = ", ".join(missed[:_NAMED]) + (", ..." if len(missed) > _NAMED else "")
        yield "  missed pictures", f"{len(missed):,}{': ' if some else ''}{some}"
    yield "pictures", f"{number(report.n)} ({report.target})"
    void = f", {number(report.ignored)} more are void" if report.ignored else ""
    yield "pixels", f"{number(report.pixels)}{void}"
    constant, baseline = max(report.baselines.items(), key=lambda entry: entry[1].accuracy)
    beside = f" ({constant} everywhere: {number(baseline.accuracy)})"
    yield "pixel accuracy", f"{number(report.pooled.accuracy)}{beside}"
    if report.undecided:
        yield "undecided pixels", number(report.undecided)
    if report.threshold is not None:
        yield "foreground if", f"value >= {report.threshold!r}"


def _scores(entry: "MaskScores", betas: Sequence[str]) -> list[str]:
    values = (entry.dice, entry.iou, entry.precision, entry.recall)
    return [number(value) for value in (*values, *(entry.f[beta] for beta in betas))]


def _of_class(entry: "ClassMasks", betas: Sequence[str]) -> list[str]:
    """As `_scores`, with the interval below each."""
    found = entry.intervals
    if found is None:
        return _scores(entry, betas)
    values = (entry.dice, entry.iou, entry.precision, entry.recall)
    ends = (found.dice, found.iou, found.precision, found.recall)
    pairs = [*zip(values, ends), *((entry.f[beta], found.f[beta]) for beta in betas)]
    return [with_interval(value, interval, apart="\n") for value, interval in pairs]


def _by_picture(report: "MaskEval") -> list[list[str]]:
    rows = []
    for name, entry in report.per_class.items():
        found = entry.images
        counts = (found.n_defined, found.n_correctly_empty, found.n_missed, found.n_false_alarms)
        ends = entry.intervals
        means = (
            with_interval(found.dice, ends.image_dice if ends else None, apart="\n"),
            with_interval(found.iou, ends.image_iou if ends else None, apart="\n"),
        )
        rows.append([name, *means, *map(number, counts)])
    if len(rows) > 1:
        macro = report.images
        rows.append(["(macro)", number(macro.dice), number(macro.iou), "", "", "", ""])
    return rows


def _baselines(report: "MaskEval") -> list[list[str]]:
    """The class that matters if there is one, else the mean of the classes."""
    rows = []
    for name, entry in report.baselines.items():
        scores = entry.macro if report.positive is None else entry.per_class[report.positive]
        values = (scores.dice, scores.iou, scores.image_dice, scores.image_iou)
        rows.append([name, number(entry.accuracy), *map(number, values)])
    return rows


def _near(report: "MaskEval") -> list[list[str]]:
    return [
        [
            name,
            *(
                number(value)
                for part in _NEAR
                for value in (getattr(entry, part).f, getattr(entry, part).image_f)
            ),
        ]
        for name, entry in report.near.items()
    ]


def _below(report: "MaskEval") -> Iterator[str]:
    yield (
        "Within ...: a pixel is right if one of its class is that near; of the outline (boundary "
        "F) or of the whole class (for thin ones)."
    )
    empty = sum(entry.images.n_correctly_empty for entry in report.per_class.values())
    if empty:
        counted = "left out" if report.undefined == "skip" else f"counted as {report.undefined}"
        yield (
            "Correctly empty: neither true nor predicted in a picture, so Dice and IoU are 0/0 "
            f"there; {counted} of the means by picture."
        )
    if any(entry.intervals is not None for entry in report.per_class.values()):
        yield (
            f"[ ]: intervals at {report.confidence:.4g} confidence; whole pictures were drawn "
            "again 2,000 times."
        )
    if report.pooled.undefined_classes:
        yield f"Classes with a pooled score that is 0/0: {report.pooled.undefined_classes}."


def _matrix(report: "MaskEval") -> tuple[list[str], list[list[str]]]:
    confusion = report.confusion
    columns = [*confusion.classes, *(["undecided"] if report.undecided else [])]
    rows = []
    for name, counts, undecided in zip(confusion.classes, confusion.counts, confusion.undecided):
        total = sum(counts) + undecided
        cells = [*counts, *([undecided] if report.undecided else [])]
        shares = [100 * cell / total if total else None for cell in cells]
        rows.append([name, *(number(share, digits=1) for share in shares)])
    return ["truth", *columns], rows


def _worst(report: "MaskEval") -> tuple[list[str], list[list[str]]]:
    entries = [
        (entry.dice, image.id, name, entry)
        for image in report.per_image
        for name, entry in image.per_class.items()
        if entry.dice < 1 and (report.positive or name) == name
    ]
    entries.sort(key=lambda cells: cells[:3])
    rows = [
        [map_id, name, number(dice), number(entry.tp), number(entry.fp), number(entry.fn)]
        for dice, map_id, name, entry in entries[:_WORST]
    ]
    return ["picture", "class", "Dice", "tp", "fp", "fn"], rows
