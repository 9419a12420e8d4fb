"""`dnncli eval`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnncli.cli import output
from dnncli.cli.options import AsJson, Classes, parse_classes

if TYPE_CHECKING:
    from dnncli.metrics.report import AverageReport, ClassReport
    from dnncli.services.evaluate import EvalReport

_LARGEST_MATRIX = 20  # classes; a larger confusion matrix fits no terminal


def evaluate(
    target: Annotated[
        Path,
        typer.Argument(metavar="TARGET", help="Run folder, .keras, or predictions file."),
    ],
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA", help="Data set to score a run on; none: its own."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="True labels (id,label) of a predictions file.")
    ] = None,
    beta: Annotated[
        list[float] | None, typer.Option(help="Of the F score, > 0; repeatable; none: 1.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="CLASS", help="The class that matters most.")
    ] = None,
    classes: Classes = None,
    split: Annotated[
        str | None, typer.Option(help="train, val, test or all; none: test if there is one.")
    ] = None,
    undefined: Annotated[
        str, typer.Option(help="A class value 0/0 in averages: skip, 0 or 1.")
    ] = "skip",
    tie: Annotated[
        str, typer.Option(help="Equal highest scores: abstain or class-order.")
    ] = "abstain",
    normalize_ids: Annotated[
        str, typer.Option(help="nfc: ids may differ in Unicode form; or none.")
    ] = "none",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; of a run: RUN/eval/NAME.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the evaluation in its run; none: DATA-SPLIT.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score predictions against their labels: precision, recall, F-beta, confusion matrix.

    Example: dnncli eval runs/fashion --beta 1 --beta 2
    """
    from dnncli.services.evaluate import evaluate as score

    with output.progress() as progress:
        report = score(
            target,
            data,
            truth=truth,
            classes=parse_classes(classes),
            betas=tuple(beta or (1.0,)),
            positive=positive,
            split=split,
            undefined=undefined,
            tie=tie,
            normalize_ids=normalize_ids,
            out=out,
            name=name,
            progress=progress,
        )
    if as_json:
        output.show_json(report)
    else:
        _show(report)
    for warning in report.warnings:
        output.hint(warning)
    if report.out is not None:
        output.hint(f"Written to {report.out}.")


def _show(report: "EvalReport") -> None:
    output.lines(f"{what:<18} {value}" for what, value in _headline(report))
    f_names = [f"F{beta}" for beta in report.averages.macro.f]
    columns = ["precision", "recall", *f_names]
    output.table(
        ["class", *columns, "support", "predicted", "tp", "fp", "fn"],
        [
            [name, *_scores(entry), *_counts(entry, report.weighted)]
            for name, entry in report.per_class.items()
        ],
    )
    averages = report.averages
    output.table(
        ["average", *columns],
        [
            ["macro", *_scores(averages.macro)],
            ["weighted", *_scores(averages.weighted)],
            ["micro", *_scores(averages.micro)],
        ],
    )
    missing = averages.undefined
    undefined = [("precision", missing.precision), ("recall", missing.recall)]
    undefined += [(f"F{beta}", count) for beta, count in missing.f.items()]
    if averages.undefined_classes:
        counted = "left out" if report.undefined == "skip" else f"counted as {report.undefined}"
        found = ", ".join(f"{name} in {count}" for name, count in undefined if count)
        output.lines([f"Undefined (0/0): {found} of {len(report.classes)} classes; {counted}."])
    if len(report.classes) <= _LARGEST_MATRIX:
        output.lines(["Confusion matrix (rows: truth, columns: decision)"])
        output.table(*_matrix(report))


def _headline(report: "EvalReport") -> Iterator[tuple[str, str]]:
    number = output.number
    if report.positive is not None:
        entry = report.per_class[report.positive]
        yield "positive", report.positive
        yield "  precision, recall", f"{number(entry.precision)}, {number(entry.recall)}"
        for beta, value in entry.f.items():
            yield f"  F{beta}", number(value)
    yield "rows", f"{number(report.n)} ({report.target})"
    yield "accuracy", number(report.accuracy)
    most = " or ".join(report.majority.classes[:3])
    yield f"  always '{most}'", number(report.majority.accuracy)
    for beta, value in report.averages.macro.f.items():
        yield f"macro F{beta}", number(value)
    yield "macro recall", number(report.averages.macro.recall)
    if report.undecided:
        yield "undecided rows", f"{report.undecided:,} ({report.ties:,} ties)"


def _scores(entry: "ClassReport | AverageReport") -> list[float]:
    return [entry.precision, entry.recall, *entry.f.values()]


def _counts(entry: "ClassReport", weighted: bool) -> list[str]:
    values = [entry.support, entry.predicted, entry.tp, entry.fp, entry.fn]
    return [output.number(value, digits=6 if weighted else 0) for value in values]


def _matrix(report: "EvalReport") -> tuple[list[str], list[list[str]]]:
    confusion = report.confusion
    columns = [*confusion.classes, *(["undecided"] if report.undecided else [])]
    rows = []
    for name, counts, undecided in zip(confusion.classes, confusion.counts, confusion.undecided):
        cells = [*counts, *([undecided] if report.undecided else [])]
        rows.append([name, *(output.number(cell, digits=2) for cell in cells)])
    return ["truth", *columns], rows
