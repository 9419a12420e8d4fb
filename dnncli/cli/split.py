"""`dnncli data split`."""

from pathlib import Path
from typing import Annotated

import typer

from dnncli.cli import output
from dnncli.cli.options import AsJson, Classes, DataPath, OnBad, Seed, parse_classes


def split(
    data: DataPath,
    out: Annotated[Path, typer.Option(help="CSV file to write.")] = Path("split.csv"),
    val: Annotated[float, typer.Option(help="Share of the rows for validation.")] = 0.15,
    test: Annotated[
        float, typer.Option(help="Share for the test, if DATA declares no split.")
    ] = 0.15,
    group_by: Annotated[
        str,
        typer.Option(
            help="Rows to keep together: 'parent' (folder), 'group' (column of a table), or a "
            "regular expression whose (...) is found in the id."
        ),
    ] = "",
    seed: Seed = 0,
    classes: Classes = None,
    on_bad: OnBad = "skip",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it exists.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decide which rows train, validate and test, and write it to a file.

    Example: dnncli data split sample_data/defects --out defects_split.csv --val 0.2 --seed 1
    """
    from dnncli.services.split import split as run

    with output.progress() as progress:
        report = run(
            data,
            out=out,
            val=val,
            test=test,
            group_by=group_by,
            seed=seed,
            classes=parse_classes(classes),
            on_bad=on_bad,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        output.show_json(report)
        return
    output.skipped(report.problems)
    for note in report.notes:
        output.warn(note)
    rows = [
        [name, *(report.counts[part][name] for part in report.counts)] for name in report.classes
    ]
    totals = ["all rows", *report.rows.values()]
    output.table(["class", *report.counts], [*rows, totals])
    output.hint(
        f"Written to {report.out}. Use it with: dnncli train {report.data} --split {report.out}"
    )
