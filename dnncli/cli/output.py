"""What people and programs see: data on stdout, talk on stderr."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dnncli.errors import SHOWN
from dnncli.results import Progress, no_progress, to_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

    from dnncli.data.dataset import Problem

_quiet = False


def configure(*, quiet: bool) -> None:
    """Set once per command: no progress and no hints if `quiet`."""
    global _quiet
    _quiet = quiet


def printable(text: str) -> str:
    """`text` with what a terminal cannot show (lone surrogates, control characters) escaped."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def error(message: str, *, label: str = "error") -> None:
    """One message on stderr, shown even with `--quiet`."""
    sys.stderr.write(printable(f"{label}: {message}") + "\n")


def hint(message: str) -> None:
    """A remark on stderr: what was assumed, what to do next."""
    if not _quiet:
        sys.stderr.write(printable(message) + "\n")


def warn(message: str) -> None:
    """Something that may make the result wrong; on stderr, even with `--quiet`."""
    error(message, label="warning")


def console(*, stderr: bool = False) -> "Console":
    """A rich console that honours NO_COLOR and non-terminals."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 120  # piped tables are not squeezed into 80 columns
    return Console(file=stream, width=width, highlight=False, markup=False)


def show_json(value: Any) -> None:
    """Exactly one strict JSON object on stdout."""
    sys.stdout.write(to_json(value) + "\n")


def skipped(problems: "Sequence[Problem]") -> None:
    """Warn of what was left out of a data set: the first 20 things and the count."""
    left_out = [str(problem) for problem in problems if problem.action == "skipped"]
    for line in left_out[:SHOWN]:
        warn(f"left out: {line}")
    if len(left_out) > SHOWN:
        warn(f"left out: {len(left_out) - SHOWN} more.")


def number(value: float | int | None, *, digits: int = 4) -> str:
    """`n/a` for an undefined number, thousands separated for integers, else `digits` decimals."""
    if value is None or value != value:
        return "n/a"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", left: int = 1
) -> None:
    """Print a table on stdout; the first `left` columns are text, the others numbers."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=title or None, title_justify="left")
    for index, name in enumerate(columns):
        grid.add_column(name, justify="left" if index < left else "right", overflow="fold")
    for row in rows:
        cells = [value if isinstance(value, str) else number(value) for value in row]
        grid.add_row(*(Text(printable(cell)) for cell in cells))
    console().print(grid)


def lines(text: Iterable[str]) -> None:
    """Plain lines on stdout."""
    for line in text:
        sys.stdout.write(printable(line) + "\n")


def is_quiet() -> bool:
    """Whether the user asked for silence."""
    return _quiet


def bars() -> "Bars":
    """Progress bars with an ETA on stderr, gone when their block ends."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console(stderr=True),
        transient=True,
    )


def bar_progress(shown: "Bars") -> Progress:
    """A `Progress` that draws one bar for each thing that is done."""
    tasks: dict[str, Any] = {}

    def update(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = shown.add_task(what, total=total)
        shown.update(tasks[what], completed=done, total=total, visible=done < total)

    return update


@contextmanager
def progress() -> Iterator[Progress]:
    """A `Progress` drawn on stderr; silent with `--quiet` or without a terminal."""
    if _quiet or not sys.stderr.isatty():
        yield no_progress
        return
    with bars() as shown:
        yield bar_progress(shown)
