"""`dnncli data convert`."""

from pathlib import Path
from typing import Annotated

import typer

from dnncli.cli import output
from dnncli.cli.options import AsJson, Classes, DataPath, OnBad, parse_classes


def convert(
    data: DataPath,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder, or a file NAME.npz.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="FORM", help="folder, numpy or tfrecord.")
    ] = None,
    shards: Annotated[int, typer.Option(help="TFRecord files for each split.", min=1)] = 1,
    image_size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Stretch all pictures to this many pixels.")
    ] = None,
    color: Annotated[str, typer.Option(help="auto, rgb or grayscale.")] = "auto",
    task: Annotated[
        str, typer.Option(help="Where DATA has masks and edges: segment or edges.")
    ] = "auto",
    classes: Classes = None,
    split: Annotated[
        Path | None, typer.Option(help="A split.csv that replaces the splits of DATA.")
    ] = None,
    on_bad: OnBad = "skip",
    annotators: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Masks of several people become one: majority, at-least, staple or mean.",
        ),
    ] = None,
    annotators_k: Annotated[
        int | None,
        typer.Option("--annotators-k", metavar="N", help="Of at-least: so many must mark a pixel."),
    ] = None,
    ignore_zone: Annotated[
        bool, typer.Option("--ignore-zone", help="What annotators dispute is of no class.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT if it exists.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Store a data set as class folders, NumPy arrays or TFRecord files; or merge annotators.

    Example: dnncli data convert sample_data/fashion_mini fashion.npz --to numpy
    """
    from dnncli.config import parse_size
    from dnncli.services.convert import convert as run

    size = parse_size(image_size) if image_size else None
    with output.progress() as progress:
        report = run(
            data,
            out,
            to=to,
            shards=shards,
            image_size=size,
            color=color,
            task=task,
            classes=parse_classes(classes),
            split_file=split,
            on_bad=on_bad,
            annotators=annotators,
            annotators_k=annotators_k,
            ignore_zone=ignore_zone,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        output.show_json(report)
        return
    output.skipped(report.problems)
    for note in report.notes:
        output.warn(note)
    classes_of = f" of {len(report.classes)} classes" if report.classes else ""
    splits = ", ".join(f"{name or 'no split'} {rows:,}" for name, rows in report.splits.items())
    output.lines(
        [
            f"{report.rows:,} pictures{classes_of} ({splits})",
            f"{report.files:,} files, {report.bytes:,} bytes in {report.out}",
        ]
    )
