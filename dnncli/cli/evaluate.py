"""`dnncli eval`."""

from pathlib import Path
from typing import Annotated

import typer

from dnncli.cli import output
from dnncli.cli.options import AllowCode, AsJson, Classes, NormalizeIds, Undefined, parse_classes
from dnncli.errors import GateError


def evaluate(
    target: Annotated[
        Path,
        typer.Argument(metavar="TARGET", help="Run folder, .keras, predictions file or masks."),
    ],
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA", help="Data set to score a run on; none: its own."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="True labels (id,label) of a predictions file, or masks.")
    ] = None,
    beta: Annotated[
        list[float] | None, typer.Option(help="Of the F score, > 0; repeatable; none: 1.")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="CLASS", help="The class that matters most.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Decide for --positive if and only if its score is at least this."),
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(help="File of `dnncli threshold`: apply it, and say if it keeps its target."),
    ] = None,
    slices: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Score groups: a column of the truth, or folder:N; repeatable."
        ),
    ] = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Exit 3 below it: recall.CLASS=0.95, accuracy=0.9; repeatable.",
        ),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Predictions of another model for the same rows.")
    ] = None,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    intervals: Annotated[str, typer.Option(help="Of the F scores: delta or bootstrap.")] = "delta",
    bins: Annotated[int, typer.Option(min=1, help="Of the calibration error (ECE).")] = 15,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="Rows may belong to several classes, or to none.")
    ] = False,
    nan: Annotated[
        str, typer.Option(help="Scores that are NaN: an error, or count as positive.")
    ] = "error",
    classes: Classes = None,
    split: Annotated[
        str | None, typer.Option(help="train, val, test or all; none: test if there is one.")
    ] = None,
    undefined: Undefined = "skip",
    tie: Annotated[
        str, typer.Option(help="Equal highest scores: abstain or class-order.")
    ] = "abstain",
    normalize_ids: NormalizeIds = "none",
    binary: Annotated[
        bool, typer.Option("--binary", help="Masks: 0 is background, 1 or 255 the foreground.")
    ] = False,
    ignore: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Masks: a number that is no class.")
    ] = None,
    edges: Annotated[
        bool,
        typer.Option("--edges", help="Grey edge maps; --truth may hold a folder per annotator."),
    ] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Edges, masks: of the diagonal, or pixels from 1; none: 0.0075."
        ),
    ] = None,
    no_nms: Annotated[
        bool, typer.Option("--no-nms", help="Edges: take the maps as they are, not their ridges.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; of a run: RUN/eval/NAME.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the evaluation in its run; none: DATA-SPLIT.")
    ] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Score predictions against their labels: precision, recall, F-beta, confusion matrix.

    TARGET may be a folder (or .npz) of masks, with --truth MASKS: Dice and IoU, too; or of edge
    maps, with --edges --truth EDGES: ODS, OIS and AP.

    Example: dnncli eval runs/fashion --beta 1 --beta 2
    """
    from dnncli.cli.evaluation import show
    from dnncli.services.evaluate import evaluate as score
    from dnncli.services.evaluation.result import EvalReport

    with output.progress() as progress:
        report = score(
            target,
            data,
            truth=truth,
            classes=parse_classes(classes),
            betas=tuple(beta or (1.0,)),
            positive=positive,
            threshold=threshold,
            thresholds=thresholds,
            confidence=confidence,
            intervals=intervals,
            bins=bins,
            multi_label=multi_label,
            nan=nan,
            slices=tuple(slices or ()),
            fail_under=tuple(fail_under or ()),
            against=against,
            split=split,
            undefined=undefined,
            tie=tie,
            normalize_ids=normalize_ids,
            out=out,
            name=name,
            binary=binary,
            ignore=ignore,
            edges=edges,
            tolerance=tolerance,
            nms=not no_nms,
            allow_code=allow_code,
            progress=progress,
        )
    if as_json:
        output.show_json(report)
    elif isinstance(report, EvalReport):
        show(report)
    else:
        from dnncli.cli.pixel_evaluation import show_pixels

        show_pixels(report)
    for warning in report.warnings:
        output.hint(warning)
    if report.out is not None:
        output.hint(f"Written to {report.out}.")
    if missed := [str(gate) for gate in report.gates if not gate.met]:
        raise GateError("\n".join(missed))
