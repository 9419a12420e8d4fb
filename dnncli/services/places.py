"""Lets every verb take URLs where it takes paths: copies in, the verb at work, changes back out."""

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from dnncli.errors import DataError, DnncliError, Interrupted
from dnncli.remote import Copy, mirror, send
from dnncli.results import Progress, no_progress
from dnncli.urls import is_remote, told, told_all

if TYPE_CHECKING:  # it brings pydantic, which scoring a file does without
    from dnncli.config import TrainConfig

P = ParamSpec("P")
R = TypeVar("R")

Role = Literal["data", "file", "run", "out"]
Place = Callable[[Any, Role], Any]  # a URL, or a list of some -> local names; all else as it is
Note = Callable[[str], None]

BACKUP_SECONDS = 60.0  # between uploads of a run that is being trained
_FIRST_SECONDS = 5.0  # a bucket that must not be written to is noticed early
_TABLES = (".csv", ".tsv", ".parquet")

# What an argument of a verb is, by its name; those not listed are never URLs.
_ROLES: dict[str, Role] = {
    "data": "data",
    "images": "data",
    "target": "run",  # what it is told about a run is kept in the run
    "targets": "run",
    "out": "out",
    "preview": "out",
    **dict.fromkeys(
        (
            *("config", "split", "split_file", "policy", "predictions", "truth", "truth_val"),
            *("thresholds", "against", "weights", "weights_from"),
        ),
        "file",
    ),
}

# The same for settings of training, wherever they were written.
_SETTINGS: dict[str, Role] = {
    "data.path": "data",
    "data.split": "file",
    "model.weights": "file",
    "augment.policy": "file",
    "fit.class_weight": "file",
    "run.out": "out",
}


def takes_urls(function: Callable[P, R]) -> Callable[P, R]:
    """Let a verb take URLs: it sees local copies, its results and errors name the URLs.

    What it changed in copies of outputs and runs is sent back when it ends, however it ends.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        progress: Any = bound.arguments.get("progress", no_progress)
        with borrowed(progress=progress) as place:
            for name, value in bound.arguments.items():
                if name in _ROLES:
                    bound.arguments[name] = place(value, _ROLES[name])
            return told_all(function(*bound.args, **bound.kwargs))

    return wrapped


@contextmanager
def borrowed(
    *, progress: Progress = no_progress, every: float | None = None, note: Note | None = None
) -> Iterator[Place]:
    """A function that fetches what a URL names; what changes there is sent when the block ends.

    Args:
        progress: told of files that are fetched and sent.
        every: seconds between uploads while the block runs; None: only at its end.
        note: told of uploads that failed meanwhile; they are tried again.

    Raises:
        DataError: if it cannot be fetched or sent.
    """
    copies: list[Copy] = []

    def place(value: Any, role: Role) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(place(entry, role) for entry in value)
        if not is_remote(value):
            return value
        copy = fetched(value, role, progress=progress)
        if role in ("run", "out"):
            copies.append(copy)
        return str(copy.local) if isinstance(value, str) else copy.local

    with _named():
        try:
            with _backed_up(copies, every, note or (lambda _: None)):
                yield place
        except BaseException as error:
            try:
                _send_all(copies, progress)
            except DnncliError as unsent:
                raise DataError(f"{unsent}\nBefore that: {error}") from error
            raise
        _send_all(copies, progress)


def fetched(url: str | Path, role: Role, *, progress: Progress = no_progress) -> Copy:
    """The local copy of what a URL names; of a table as data set, with the files it lists."""
    is_table = role == "data" and Path(url).suffix.lower() in _TABLES
    return mirror(
        url,
        keep=role in ("run", "out"),
        needed=role != "out",
        listed=_paths_in if is_table else None,
        progress=progress,
    )


def _paths_in(table: Path) -> tuple[str, ...]:
    from dnncli.data.table import read_rows

    return read_rows(table).column("path")


def localized(config: "TrainConfig", place: Place) -> "TrainConfig":
    """Settings of training with local copies in place of URLs."""
    for key, role in _SETTINGS.items():
        name, entry = key.split(".")
        section = getattr(config, name)
        value = getattr(section, entry)
        if (local := place(value, role)) != value:
            config = replace(config, **{name: replace(section, **{entry: local})})
    return config


def at_hand(config: "TrainConfig") -> "TrainConfig":
    """Settings of a run as it was saved, with local copies of the files that they name."""

    def place(value: Any, role: Role) -> Any:
        return str(fetched(value, role).local) if role == "file" and is_remote(value) else value

    return localized(config, place)


def _send_all(copies: list[Copy], progress: Progress) -> None:
    """Send what changed.

    Raises:
        DataError: where the files lie that could not be sent, and how to go on.
    """
    for copy in copies:
        try:
            send(copy, progress=progress)
        except DnncliError as error:
            # The one message that has to name the cache: there lies what the user waited for.
            raise UnsentError(
                f"{error}\n{copy.url}: not all was sent. It is whole in {copy.local}, and is sent "
                "by the next command that writes there."
            ) from error


class UnsentError(DataError):
    """Names a local copy on purpose."""


@contextmanager
def _backed_up(copies: list[Copy], every: float | None, note: Note) -> Iterator[None]:
    """Send what changed again and again, so that another machine can go on if this one is lost."""
    if every is None:
        yield
        return
    stop = threading.Event()

    def work() -> None:
        wait = min(_FIRST_SECONDS, every)
        while not stop.wait(wait):
            wait = every
            for copy in tuple(copies):
                try:
                    send(copy, in_order=True)
                except (DnncliError, OSError) as error:
                    note(told(f"Not saved, will be tried again: {error}"))

    thread = threading.Thread(target=work, name="dnncli-upload", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _named() -> Iterator[None]:
    """Errors name URLs, not the paths of their copies."""
    try:
        yield
    except UnsentError:
        raise
    except (DnncliError, Interrupted) as error:
        if isinstance(error, DnncliError):
            error.message = told(error.message)
            error.problems = tuple(map(told, error.problems))
        error.args = (told(str(error)),)
        raise
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = told(error.filename)
        raise
