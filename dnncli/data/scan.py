"""Looks at many encoded pictures: which can be read, how, how large they are, which are equal."""

import errno
import hashlib
import itertools
import os
import stat
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import Route
from dnncli.data.header import MAX_PIXELS, Look, look, sniff, what_else
from dnncli.results import Progress, no_progress

_CHUNK = 128  # files per task
_FIRST = 2**16  # bytes read before it is known whether a file is a picture: most are read at once
# Without O_NONBLOCK, opening a pipe would wait for ever.
_READ = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_BINARY", "O_CLOEXEC"))
_THREADS = 4  # they wait for the disk more than they compute
_SLOW = 1e-4  # seconds a file from which on threads pay
_ROUND = 32  # tasks in threads before it is seen anew whether they pay


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
    names: Sequence[str],
    *,
    folder: str = "",
    max_pixels: int = MAX_PIXELS,
    progress: Progress = no_progress,
) -> Scan:
    """Look at picture files by content; no pixel is decoded, no file kept in memory.

    Threads, where they pay, rather than processes: reading and hashing release the interpreter
    lock, and threads are safe to use whatever the calling program has already started.

    Args:
        names: (N,) paths of the files below `folder`; absolute ones if that is empty.
        folder: where they lie.
        max_pixels: pictures with more pixels count as unreadable.
        progress: told of the files looked at.
    """
    start_of_path = os.path.join(folder, "")  # noqa: PTH118

    def chunk(start: int) -> Scan:
        some = names[start : start + _CHUNK]
        return _collect(_look_at(start_of_path + name, max_pixels) for name in some)

    # Pillow warns of odd metadata; what matters ends up in problems and notes.
    with warnings.catch_warnings(), ThreadPoolExecutor(_THREADS) as pool:
        warnings.simplefilter("ignore")
        chunks = _in_turn(chunk, range(0, len(names), _CHUNK), pool)
        return _joined(list(_told(chunks, len(names), progress)))


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
        # A file object, or one more call, would cost as much as looking at a small picture.
        handle = os.open(path, _READ)
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                return Look(problem="not a regular file."), b""
            data = os.read(handle, _FIRST)
            if len(data) < found.st_size:
                if not sniff(data):  # perhaps a video of gigabytes: do not read on
                    return Look(problem=what_else(data)), b""
                with open(handle, "rb", buffering=0, closefd=False) as file:
                    data += file.read()
        finally:
            os.close(handle)
    except FileNotFoundError:
        is_link = Path(path).is_symlink()
        return Look(problem="a link to nothing." if is_link else "no such file."), b""
    except ValueError:  # a NUL, or half of a character
        return Look(problem="is no name that a file can have."), b""
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            return Look(problem="not a regular file."), b""
        return Look(problem=f"cannot be opened: {error.strerror}."), b""
    return look(data, max_pixels=max_pixels), digest(data)


def _in_turn(
    chunk: Callable[[int], Scan], starts: Sequence[int], pool: ThreadPoolExecutor
) -> Iterator[Scan]:
    """Chunks in order; in threads only while files are slow to come or large.

    Small files that the system has in memory are looked at in 25 microseconds; in threads it takes
    twice as long, since every system call hands the interpreter lock to another one.
    """
    ahead, was_slow = iter(starts), False
    for start in ahead:
        began = time.perf_counter()
        part = chunk(start)
        is_slow = time.perf_counter() - began > _SLOW * len(part.routes)
        yield part
        if is_slow and was_slow:  # once may be another process that wanted the processor
            yield from pool.map(chunk, itertools.islice(ahead, _ROUND))
        was_slow = is_slow


def _told(chunks: Iterable[Scan], total: int, progress: Progress) -> Iterator[Scan]:
    """Pass the chunks on, telling how far it has come."""
    done = 0
    for part in chunks:
        yield part
        done += len(part.routes)
        progress("Looking at pictures", done, total)


def _joined(parts: Sequence[Scan]) -> Scan:
    """Chunks of pictures as one."""
    empty = _collect(())  # gives the types where there are no pictures
    starts = list(itertools.accumulate((len(part.routes) for part in parts), initial=0))
    numbered = list(zip(starts, parts))
    return Scan(
        routes=np.concatenate([empty.routes, *(part.routes for part in parts)]),
        sizes=np.concatenate([empty.sizes, *(part.sizes for part in parts)]),
        grey=np.concatenate([empty.grey, *(part.grey for part in parts)]),
        digests=tuple(itertools.chain.from_iterable(part.digests for part in parts)),
        problems={at + i: what for at, part in numbered for i, what in part.problems.items()},
        notes={at + i: what for at, part in numbered for i, what in part.notes.items()},
    )


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
