"""The `dnncli` command: puts the commands together."""

from typing import Annotated

import typer

from dnncli import __version__
from dnncli.cli import (
    augment,
    consensus,
    convert,
    evaluate,
    explain,
    inspect,
    models,
    predict,
    split,
    threshold,
    train,
)
from dnncli.cli.options import command

app = typer.Typer(
    name="dnncli",
    help="Train image networks and judge them honestly.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(command(train.train))
app.command("eval")(command(evaluate.evaluate))
app.command("evaluate", hidden=True)(command(evaluate.evaluate))
app.command("predict")(command(predict.predict))
app.command("explain")(command(explain.explain))
app.command("threshold")(command(threshold.threshold))
app.command("consensus")(command(consensus.consensus))
app.command("ensemble", hidden=True)(command(consensus.consensus))
app.command("augment")(command(augment.augment))
app.command("models")(command(models.models))

data_app = typer.Typer(help="Look at, convert and split data sets.", no_args_is_help=True)
data_app.command("inspect")(command(inspect.inspect))
data_app.command("convert")(command(convert.convert))
data_app.command("split")(command(split.split))
app.add_typer(data_app, name="data")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"dnncli {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train image networks and judge them honestly."""


def main() -> None:
    """Entry point of the `dnncli` script."""
    try:
        app()
    except SystemExit as end:
        # Help and tables end so, with code 1, where `dnncli ... | head` has seen enough.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
