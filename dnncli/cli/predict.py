"""`dnncli predict`."""

from pathlib import Path
from typing import Annotated

import typer

from dnncli.cli import output
from dnncli.cli.options import AllowCode, AsJson, OnBad


def predict(
    target: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run folder, or a .keras file it wrote.")
    ],
    data: Annotated[
        Path | None, typer.Argument(metavar="[DATA]", help="Labelled or not [the run's data].")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A .parquet, .csv or .npz file [predictions.parquet]; of masks and edges a folder "
            "of PNGs [predictions] or an .npz."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, val, test or all [test if there is one, else all]."),
    ] = None,
    tta: Annotated[
        int,
        typer.Option(
            min=0,
            help="Mean over so many views of a picture: itself, flipped, shifted [0: itself].",
        ),
    ] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at a time.")] = 128,
    on_bad: OnBad = "skip",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --out.")] = False,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Of masks: grey maps of shares, not of classes.")
    ] = False,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Predict every picture of a data set and write the probabilities of all classes.

    A run of masks writes a mask for every picture, one of edges a grey map.

    Example: dnncli predict runs/fashion --split val --out val.parquet
    """
    from dnncli.services.masks.predict import MaskPredictions
    from dnncli.services.predict import predict as run

    with output.progress() as progress:
        result = run(
            target,
            data,
            out=out,
            split=split,
            tta=tta,
            batch_size=batch_size,
            on_bad=on_bad,
            overwrite=overwrite,
            probabilities=probabilities,
            allow_code=allow_code,
            progress=progress,
        )
    for note in result.notes:
        output.hint(note)
    if as_json:
        output.show_json(result)
    elif isinstance(result, MaskPredictions):
        shares = [(name, count, count / result.pixels) for name, count in result.counts.items()]
        output.table(["class", "pixels", "share"], shares)
        output.hint(f"{result.n:,} {result.kind} written to {result.out}.")
    else:
        output.table(["class", "pictures"], list(result.counts.items()))
        output.hint(f"{result.n:,} predictions written to {result.out}.")
