"""Turning results into plain data, and plain data into files that are whole or absent."""

import dataclasses
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dnncli.urls import told

Progress = Callable[[str, int, int], None]  # what is done, how many are done, of how many
UNFINISHED = ".tmp-"  # begins the name of what is not whole yet
LOCK = ".lock"  # in a run folder: which process is training there


def no_progress(what: str, done: int, total: int) -> None:
    """A `Progress` that shows nothing."""


def plain(value: Any) -> Any:
    """`value` as JSON types: dataclasses become dicts, arrays lists, non-finite numbers None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(value: Any, *, indent: int | None = 2) -> str:
    """Strict JSON text: undefined numbers are null, text stays readable, copies become URLs."""
    return told(json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False))


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A neighbour of `path` to write to; it replaces `path` when the block ends without an error.

    A killed process leaves the old file or the new one, never half. Missing parent folders are
    made. If the block raises, the neighbour is removed and `path` is untouched.
    """
    neighbour = path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=UNFINISHED, suffix=path.suffix, dir=path.parent)
        os.close(handle)
        neighbour = Path(name)
        yield neighbour
        umask = os.umask(0)
        os.umask(umask)
        neighbour.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
        with neighbour.open("rb") as file:
            os.fsync(file.fileno())
        neighbour.replace(path)
    except OSError as error:
        # A full disk does not say which it is, and the neighbour's name tells nobody anything.
        if error.filename in (None, str(neighbour)) or UNFINISHED in str(error.filename):
            error.filename = str(path)
        raise
    finally:
        if neighbour != path:
            neighbour.unlink(missing_ok=True)


@contextmanager
def written_folder(path: Path) -> Iterator[Path]:
    """A new neighbour folder of `path` to fill; it replaces `path` when the block ends well.

    If the block raises, the neighbour is removed and `path` is untouched. The caller makes sure
    that a folder already there may go.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=path.parent) as name:
        neighbour = Path(name) / "new"
        neighbour.mkdir()
        yield neighbour
        if path.exists():
            path.rename(Path(name) / "old")
        neighbour.rename(path)


@contextmanager
def filled(path: Path, *, last: str) -> Iterator[Path]:
    """A hidden folder inside `path` to write files to, which move into `path` when the block ends.

    A killed process leaves all of them or none: without the hidden folder, `path` is as before.
    `last` is the file whose presence says that the others are there.
    """
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=path) as name:
        hidden = Path(name)
        try:
            yield hidden
        except OSError as error:
            if error.filename and Path(error.filename).parent == hidden:
                error.filename = str(path / Path(error.filename).name)
            raise
        for file in sorted(hidden.iterdir(), key=lambda file: file.name == last):
            file.replace(path / file.name)


def sweep(folder: Path) -> None:
    """Remove what killed processes left unfinished in a folder in which nobody else is writing."""
    for entry in folder.glob(f"{UNFINISHED}*"):
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def is_empty(path: Path) -> bool:
    """Whether a folder holds nothing but what killed processes left unfinished."""
    return path.is_dir() and all(
        entry.name.startswith(UNFINISHED) or entry.name == LOCK for entry in path.iterdir()
    )


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with written(path) as neighbour:
        neighbour.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON atomically."""
    write_text(path, to_json(value) + "\n")
