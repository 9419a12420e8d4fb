"""Looks at many encoded pictures: which can be read, how, how large they are, which are equal."""

import hashlib
import itertools
import os
import stat
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import Route
from dnncli.data.header import HEAD, MAX_PIXELS, Look, look, sniff, what_else
from dnncli.results import Progress, no_progress

_CHUNK = 256  # files per task
_THREADS = 4  # they wait for the disk more than they compute


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What is known of N pictures. Those with a problem have size 0 x 0 and an empty digest."""

    routes: NDArray[np.uint8]  # (N,) values of Route
    sizes: NDArray[np.int32]  # (N, 2) height, width in pixels, upright
    grey: NDArray[np.bool_]  # (N,) the picture holds no colour
    digests: tuple[bytes, ...]  # (N,) 16 bytes each, equal where all bytes are equal
    problems: dict[int, str]  # index -> why it cannot be read
    notes: dict[int, str]  # index -> how it is read, where that is a choice

    @property
    def good(self) -> NDArray[np.int64]:
        """Indices of the pictures that can be read."""
        bad = np.zeros(len(self.routes), bool)
        bad[list(self.problems)] = True
        return np.flatnonzero(~bad)


def scan(
    paths: Sequence[str], *, max_pixels: int = MAX_PIXELS, progress: Progress = no_progress
) -> Scan:
    """Look at picture files by content; no pixel is decoded, no file kept in memory.

    Threads rather than processes: reading and hashing release the interpreter lock, and they are
    safe to use whatever the calling program has already started.
    """

    def chunk(start: int) -> list[tuple[Look, bytes]]:
        return [_look_at(path, max_pixels) for path in paths[start : start + _CHUNK]]

    # Pillow warns of odd metadata; what matters ends up in problems and notes.
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        warnings.simplefilter("ignore")
        chunks = pool.map(chunk, range(0, len(paths), _CHUNK))
        looks = itertools.chain.from_iterable(chunks)
        return _collect(_told(looks, len(paths), progress))


def scan_bytes(pictures: Iterable[bytes], *, max_pixels: int = MAX_PIXELS) -> Scan:
    """The same for encoded pictures that come from elsewhere, one at a time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _collect((look(data, max_pixels=max_pixels), digest(data)) for data in pictures)


def digest(data: bytes) -> bytes:
    """16 bytes that are equal where `data` is equal."""
    return hashlib.blake2b(data, digest_size=16).digest()


def _look_at(path: str, max_pixels: int) -> tuple[Look, bytes]:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a Path object per file costs more than this
        if not stat.S_ISREG(mode):  # opening a pipe would wait for ever
            return Look(problem="not a regular file."), b""
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            head = file.read(HEAD)
            if not sniff(head):  # perhaps a video of gigabytes: do not read on
                return Look(problem=what_else(head)), b""
            data = head + file.read()
    except FileNotFoundError:
        is_link = Path(path).is_symlink()
        return Look(problem="a link to nothing." if is_link else "no such file."), b""
    except ValueError:  # a NUL, or half of a character
        return Look(problem="is no name that a file can have."), b""
    except OSError as error:
        return Look(problem=f"cannot be opened: {error.strerror}."), b""
    return look(data, max_pixels=max_pixels), digest(data)


def _told(
    looks: Iterable[tuple[Look, bytes]], total: int, progress: Progress
) -> Iterator[tuple[Look, bytes]]:
    """Pass the items on, telling how far it has come."""
    for done, item in enumerate(looks, start=1):
        yield item
        if done % _CHUNK == 0 or done == total:
            progress("Looking at pictures", done, total)


def _collect(looks: Iterable[tuple[Look, bytes]]) -> Scan:
    routes, grey = bytearray(), bytearray()
    sizes: list[tuple[int, int]] = []
    digests: list[bytes] = []
    problems: dict[int, str] = {}
    notes: dict[int, str] = {}
    for index, (seen, content) in enumerate(looks):
        bad = bool(seen.problem)
        if bad:
            problems[index] = seen.problem
        elif seen.note:
            notes[index] = seen.note
        routes.append(Route.PILLOW if bad else seen.route)
        grey.append(seen.grey)
        sizes.append((0, 0) if bad else (seen.height, seen.width))
        digests.append(b"" if bad else content)
    return Scan(
        routes=np.frombuffer(bytes(routes), np.uint8),
        sizes=np.array(sizes, np.int32).reshape(-1, 2),
        grey=np.frombuffer(bytes(grey), np.uint8).astype(bool),
        digests=tuple(digests),
        problems=problems,
        notes=notes,
    )
