"""`dnncli augment`."""

from pathlib import Path
from typing import Annotated

import typer

from dnncli.cli import output
from dnncli.cli.options import AsJson, Classes, DataPath, OnBad, Seed, parse_classes


def augment(
    data: DataPath,
    out: Annotated[
        Path | None,
        typer.Argument(metavar="OUT", help="Folder to write; not with --preview only."),
    ] = None,
    copies: Annotated[int, typer.Option(help="Changed copies of each training picture.")] = 1,
    policy: Annotated[
        str,
        typer.Option(metavar="NAME|FILE", help="none, light, standard, strong, or a .toml file."),
    ] = "standard",
    preview: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw a contact sheet, such as a.png.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A split.csv; only its train is copied.")
    ] = None,
    task: Annotated[
        str, typer.Option(help="Where DATA has masks and edges: segment or edges.")
    ] = "auto",
    seed: Seed = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace OUT if an earlier call wrote it.")
    ] = False,
    classes: Classes = None,
    on_bad: OnBad = "skip",
    as_json: AsJson = False,
) -> None:
    """Enlarge a data set by changed copies of its training pictures, or show what a policy does.

    Example: dnncli augment sample_data/fashion_mini --policy strong --preview sheet.png
    """
    from dnncli.augmentation.policies import load_policy

    load_policy(policy)  # a typo must not cost the user a slow import
    from dnncli.services.augment import augment as run

    with output.progress() as progress:
        report = run(
            data,
            out,
            copies=copies,
            policy=policy,
            seed=seed,
            preview=preview,
            split_file=split,
            task=task,
            classes=parse_classes(classes),
            on_bad=on_bad,
            overwrite=overwrite,
            progress=progress,
        )
    for warning in report.warnings:
        output.warn(warning)
    if as_json:
        output.show_json(report)
        return
    if report.out is not None:
        output.table(
            ["augmented", str(report.out)],
            [
                ("policy", report.policy),
                ("training pictures", report.training),
                ("copies of each", report.copies),
                ("val and test pictures, untouched", report.untouched),
                ("pictures written", report.written),
                ("manifest", str(report.manifest)),
            ],
        )
    if report.preview is not None:
        output.lines([f"Contact sheet: {report.preview}"])
