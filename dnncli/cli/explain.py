"""`dnncli explain`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnncli.cli import output
from dnncli.cli.options import AllowCode, AsJson

if TYPE_CHECKING:
    from dnncli.services.explain import ExplainResult


def explain(
    target: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run folder, or a .keras file it wrote.")
    ],
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[IMAGES]...",
            help="Files, folders, data sets, or ids of the run's data set [all of that].",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A folder [RUN/explain].")] = None,
    method: Annotated[
        str,
        typer.Option(
            help="auto: all that the network has; or grad-cam, hires-cam, attention, sides."
        ),
    ] = "auto",
    class_: Annotated[
        str | None,
        typer.Option("--class", metavar="NAME", help="To explain [the likeliest of a picture]."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help="That Grad-CAM looks into [the last with places].")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Of data sets: train, val, test, all [test if there is one, else all]."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="Pictures of a folder or data set, spread over it.")
    ] = 16,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Show where a network looked: Grad-CAM, weights of attention, side outputs of HED.

    Example: dnncli explain runs/fashion --limit 4
    """
    from dnncli.services.explain import explain as run

    with output.progress() as progress:
        result = run(
            target,
            images or (),
            out=out,
            method=method,
            class_name=class_,
            layer=layer,
            split=split,
            limit=limit,
            allow_code=allow_code,
            progress=progress,
        )
    for note in result.notes:
        output.hint(note)
    if as_json:
        output.show_json(result)
    else:
        _show(result)


def _show(result: "ExplainResult") -> None:
    """The pictures and the gates as tables, and where the files are."""
    rows = [
        (
            one.id,
            one.truth or "",
            one.explained,
            f"{one.probability:.4f}",
            "none" if one.peak is None else "{}, {}".format(*one.peak),
        )
        for one in result.pictures
    ]
    columns = ["picture", "truth", "explained", "probability", "peak (row, column)"]
    output.table(columns, rows, left=3)
    if result.gates:
        gates = [
            (gate.layer, gate.channels, gate.mean, gate.lowest, gate.highest, gate.spread)
            for gate in result.gates
        ]
        columns = ["gate", "channels", "mean", "lowest", "highest", "spread over pictures"]
        output.table(columns, gates)
    layer = f" (layer {result.layer})" if result.layer else ""
    output.hint(f"{', '.join(result.methods)}{layer} of {result.n} pictures: {result.out}.")
