"""Option types that several commands share, and the one place where errors become exit codes."""

import functools
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dnncli.errors import ConfigError, DnncliError, GateError, Interrupted

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Seed = Annotated[int, typer.Option(help="Every random choice follows from it.", min=0)]
DataPath = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Class folders, .npz/.npy, TFRecord, a CSV manifest, or images with masks.",
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(help="Declared class order: a comma list, or a file with one name a line."),
]
OnBad = Annotated[
    str, typer.Option(help="Unreadable pictures: 'skip' them and say so, or 'error' out.")
]
NormalizeIds = Annotated[str, typer.Option(help="nfc: ids may differ in Unicode form; or none.")]
AllowCode = Annotated[
    bool,
    typer.Option("--allow-code", help="Let files run code of their own: only what you trust."),
]
Undefined = Annotated[str, typer.Option(help="A class value 0/0 in averages: skip, 0 or 1.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no hints on stderr.")]

_ALWAYS = {"quiet": Quiet, "debug": Debug}


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Add `--quiet` and `--debug` to a command, and turn its errors into exit codes.

    0 done, 2 the user's mistake, 3 a score below --fail-under, 130 interrupted. Anything else is a
    bug of ours: its traceback is shown and the exit code is 1.
    """

    @functools.wraps(function)
    def guarded(*args: Any, quiet: bool = False, debug: bool = False, **kwargs: Any) -> None:
        from dnncli.cli import output

        output.configure(quiet=quiet)
        try:
            function(*args, **kwargs)
            sys.stdout.flush()  # here, where a pipe that nobody reads any more is no error
        except DnncliError as error:
            if debug:
                traceback.print_exc()
            output.error(str(error))
            raise typer.Exit(2) from error
        except GateError as error:
            for line in str(error).splitlines():
                output.error(line, label="not met")
            raise typer.Exit(3) from error
        except (Interrupted, KeyboardInterrupt) as error:
            output.error(str(error) or "Interrupted.", label="interrupted")
            raise typer.Exit(130) from error
        except BrokenPipeError:  # `dnncli ... | head` is no error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            if debug:
                traceback.print_exc()
            name = f"{error.filename}: " if error.filename else ""
            output.error(f"{name}{error.strerror or error}.")
            raise typer.Exit(2) from error

    signature = inspect.signature(function)
    extra = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in _ALWAYS.items()
    ]
    parameters = [*signature.parameters.values(), *extra]
    guarded.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    guarded.__annotations__ = {**function.__annotations__, **_ALWAYS}
    return guarded


def parse_classes(text: str | None) -> tuple[str, ...]:
    """A comma list of class names, or the lines of a file; nothing for None.

    Raises:
        ConfigError: if a name is empty or stands twice.
    """
    if text is None:
        return ()
    is_file = "," not in text and Path(text).is_file()
    try:
        names = Path(text).read_text("utf-8-sig").splitlines() if is_file else text.split(",")
    except UnicodeDecodeError as error:
        raise ConfigError(f"--classes {text}: is not UTF-8 text. Save it as UTF-8.") from error
    names = [name.strip() for name in names if name.strip() or not is_file]
    wrong = sorted({name for name in names if not name or names.count(name) > 1})
    if wrong:
        raise ConfigError(f"--classes {text}: empty or twice: {', '.join(map(repr, wrong))}.")
    return tuple(names)
