"""`dnncli threshold`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnncli.cli import output
from dnncli.cli.options import AsJson, Classes, NormalizeIds, parse_classes

if TYPE_CHECKING:
    from dnncli.thresholds import ClassThresholds, OperatingPoint, Thresholds

_MEASURES = (
    *("threshold", "recall", "  its interval", "precision", "  its interval"),
    *("flagged rows", "false alarms", "missed"),
)
_OF_EACH_CLASS = ("threshold", "recall", "precision", "flagged rows", "false alarms", "missed")


def threshold(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="Scores of rows that fitted no model.")
    ],
    truth: Annotated[Path, typer.Option(help="True labels (id,label) of the same rows.")],
    recall: Annotated[str, typer.Option(metavar="R", help="Target in (0, 1], such as 0.95.")],
    positive: Annotated[
        str | None, typer.Option(metavar="CLASS", help="Not to be missed; none: each class.")
    ] = None,
    confidence: Annotated[
        str, typer.Option(metavar="C", help="Of the certificate and the intervals, in (0, 1).")
    ] = "0.95",
    rule: Annotated[
        str, typer.Option(help="auto, certified, max_precision or highest: the one to use.")
    ] = "auto",
    classes: Classes = None,
    split: Annotated[
        str | None, typer.Option(help="Rows of one split in the truth; never test.")
    ] = None,
    nan: Annotated[
        str, typer.Option(help="Rows without a score: error, or always positive.")
    ] = "error",
    normalize_ids: NormalizeIds = "none",
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="A row may have several classes.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="A .json file for `eval --thresholds`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Choose the threshold that reaches a target recall, and show what it costs.

    Example: dnncli threshold val.parquet --truth runs/fashion/split.csv --split val --positive bag
    --recall 0.9
    """
    from dnncli.services.threshold import threshold as run
    from dnncli.thresholds import as_json as to_object

    found = run(
        predictions,
        truth=truth,
        recall=recall,
        confidence=confidence,
        positive=positive,
        rule=rule,
        classes=parse_classes(classes),
        split=split,
        nan=nan,
        normalize_ids=normalize_ids,
        multi_label=multi_label,
        out=out,
    )
    if as_json:
        output.show_json(to_object(found))
    else:
        _show(found)
    for warning in found.warnings:
        output.warn(warning)
    if not as_json and positive is None and len(found.per_class) == 2:
        output.hint("Both classes, each against the other; --positive CLASS picks one.")
    if out is not None:
        output.hint(f"Written to {out}.")


def _show(found: "Thresholds") -> None:
    if found.only is None:
        _show_classes(found)
    else:
        _show_rules(found.only)
    output.lines(found.notes)


def _show_rules(entry: "ClassThresholds") -> None:
    """One class: its three rules."""
    output.lines(
        [
            f"positive    {entry.positive}",
            f"rows        {output.number(entry.n_positive)} positive, "
            f"{output.number(entry.n_negative)} other",
            f"target      recall >= {entry.target_recall!r}, confidence {entry.confidence!r}",
        ]
    )
    points = {
        "certified": entry.certified.point,
        "max_precision": entry.max_precision,
        "highest": entry.highest,
    }
    chosen = [f"{name} (chosen)" if name == entry.chosen else name for name in points]
    measures = zip(_MEASURES, *map(_cells, points.values()))
    output.table(["rule", *chosen], measures)


def _show_classes(found: "Thresholds") -> None:
    """Several classes: the chosen rule of each."""
    shown = [_MEASURES.index(name) for name in _OF_EACH_CLASS]
    output.table(
        ["class", "rule", *_OF_EACH_CLASS],
        [
            [name, entry.chosen or "none", *(_cells(entry.point)[index] for index in shown)]
            for name, entry in found.per_class.items()
        ],
        left=2,
    )


def _cells(point: "OperatingPoint | None") -> list[str]:
    """One cell for each of _MEASURES."""
    if point is None:
        return ["n/a"] * len(_MEASURES)
    number = output.number
    recall, precision = (
        "{:.3f} to {:.3f}".format(*pair)
        for pair in (point.recall_interval, point.precision_interval)
    )
    return [
        repr(point.threshold),
        number(point.recall),
        recall,
        number(point.precision),
        precision,
        f"{number(point.n_flagged)} = {100 * point.flagged:.1f} %",
        number(point.fp),
        number(point.fn),
    ]
