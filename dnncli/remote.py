"""Copies of remote files in a local folder, and back: what the commands read and write.

All that a command needs is fetched before it begins, because most readers (TensorFlow, Keras,
memory maps, Pillow) want files. Only what changed is fetched or sent; each file is whole or absent.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path
from typing import Any

from dnncli.errors import DataError
from dnncli.results import UNFINISHED, Progress, no_progress, write_json
from dnncli.storage import ITSELF, Files, Seen, asking, find, system_of
from dnncli.urls import ENTRY, copy_folder, normal

STATE = "state.json"  # beside each copy: what was there when it was made
_AT_ONCE = 8  # files that are fetched or sent at the same time

Listed = Callable[[Path], Iterable[str]]  # a table -> names of files beside it


@dataclass(frozen=True)
class Copy:
    """The local copy of a URL."""

    url: str
    base: str  # URL of `path`; differs from `url` for patterns and tables
    path: Path  # a file or folder; nothing is there if nothing is at the URL

    @property
    def local(self) -> Path:
        """The local name of `url`."""
        return Path(f"{self.path}{self.url.removeprefix(self.base)}")

    @property
    def folder(self) -> Path:
        """Of the cache, which holds the copy and what is known about it."""
        return self.path.parent

    def file(self, name: str) -> Path:
        """The local file of a relative name."""
        return self.path / name if name else self.path

    def url_of(self, name: str) -> str:
        """The URL of a relative name."""
        return f"{self.base}/{name}" if name else self.base


def mirror(
    url: str | Path,
    *,
    keep: bool = False,
    needed: bool = True,
    listed: Listed | None = None,
    progress: Progress = no_progress,
) -> Copy:
    """Make the local copy of a file, a folder or a pattern equal to what is at the URL.

    Args:
        url: as `s3://bucket/folder`.
        keep: leave local changes that were not sent, unless the URL has changed since: an upload
            that was cut off goes on where it stopped.
        needed: refuse a URL at which there is nothing.
        listed: the URL is a table: fetch it and those files beside it that it names.
        progress: told how many files were fetched.

    Raises:
        ConfigError: if fsspec or the package of the protocol is not installed.
        DataError: if it cannot be read, there is nothing, or a name would lead out of the folder.
    """
    url = normal(url)
    system, place = system_of(url)
    with asking(url, "read"):
        base, there = _look(system, url, place, may_match=needed)
    if needed and not there:
        raise DataError(f"{url}: there is no such file or folder.")
    table = listed is not None and ITSELF in there
    if table:
        name = base.rpartition("/")[2]
        base, there = base.rpartition("/")[0], {name: there[ITSELF]}
    copy = Copy(url, base, copy_folder(url) / base.rpartition("/")[2])
    with _locked(copy):
        write_json(copy.folder / ENTRY, {"url": url, "base": base})
        if table and listed is not None:
            _fetch(copy, system, there, only=True, progress=progress)
            with asking(url, "read"):
                beside = find(system, base, system._strip_protocol(base))
            there = {**_wanted(copy, listed(copy.local), beside), **there}
        _fetch(copy, system, there, keep=keep, progress=progress)
    return copy


def _look(system: Any, url: str, place: str, *, may_match: bool) -> tuple[str, Files]:
    """The URL that copies are relative to, and what is there."""
    there = find(system, url, place)
    if there or not may_match or not has_magic(url):
        return url, there
    parts = url.split("/")
    first = next(number for number, part in enumerate(parts) if has_magic(part))
    base, pattern = "/".join(parts[:first]), parts[first:]
    found = find(system, base, system._strip_protocol(base))
    return base, {name: seen for name, seen in found.items() if _matches(name, pattern)}


def _matches(name: str, pattern: list[str]) -> bool:
    """Whether a relative name is what a pattern means, part by part, as `glob` has it."""
    if "**" in pattern:
        return fnmatchcase(name, "/".join(pattern).replace("**/", "*"))
    parts = name.split("/")
    return len(parts) == len(pattern) and all(map(fnmatchcase, parts, pattern))


def _wanted(copy: Copy, names: Iterable[str], beside: Files) -> Files:
    """Those files beside a table that it lists; the reader says which are missing.

    Raises:
        DataError: if it lists files elsewhere, which would be read from this machine.
    """
    plain = {name: os.path.normpath(name) for name in names if name}
    outside = [
        name for name, path in plain.items() if path.startswith(("/", "../")) or ":/" in name
    ]
    if outside:
        raise DataError(
            f"{copy.url}: lists files that do not lie beside it. Put them below "
            f"{copy.base}, or fetch table and files and give the local table:",
            outside,
        )
    return {path: beside[path] for path in plain.values() if path in beside}


def _fetch(
    copy: Copy,
    system: Any,
    there: Files,
    *,
    keep: bool = False,
    only: bool = False,
    progress: Progress,
) -> None:
    """Fetch what is not here; remove what is not there, unless `only` some files are wanted."""
    state = _read_state(copy)
    is_unsent = keep and {name: seen for name, (seen, _) in state.items()} == dict(there)
    if not is_unsent and not only:
        _remove_others(copy, there)
    here = _local_files(copy)
    stale = [
        name
        for name, seen in there.items()
        if name not in here or (not is_unsent and state.get(name) != (seen, here[name]))
    ]
    state = {name: entry for name, entry in state.items() if only or name in there}

    def fetch(name: str) -> None:
        handle, temporary = tempfile.mkstemp(prefix=UNFINISHED, dir=copy.folder)
        os.close(handle)
        try:
            source = system._strip_protocol(copy.url_of(name))
            with asking(copy.url_of(name), "read"):
                system.get_file(source, temporary)
            size = Path(temporary).stat().st_size
            if there[name].size not in (None, size):
                raise DataError(f"{copy.url_of(name)}: changed while it was read. Try again.")
            copy.file(name).parent.mkdir(parents=True, exist_ok=True)
            Path(temporary).replace(copy.file(name))
        finally:
            Path(temporary).unlink(missing_ok=True)
        state[name] = (there[name], _stamp(copy.file(name)))

    try:
        _each(fetch, stale, what=f"Fetching {copy.url}", progress=progress)
    finally:
        _write_state(copy, state)


def _remove_others(copy: Copy, there: Files) -> None:
    """Remove what the URL does not hold, and folders that are empty then."""
    if copy.path.is_file() and ITSELF not in there:
        copy.path.unlink()
    if copy.path.is_dir() and ITSELF in there:
        shutil.rmtree(copy.path)
    for folder, _, names in os.walk(copy.path, topdown=False):
        for name in names:
            file = Path(folder, name)
            if file.relative_to(copy.path).as_posix() not in there:
                file.unlink()
        if not any(Path(folder).iterdir()):
            Path(folder).rmdir()


def send(copy: Copy, *, in_order: bool = False, progress: Progress = no_progress) -> int:
    """Send every file that changed here since it was fetched or sent; remove what is gone.

    Files that are not whole yet are left out. Of files that others wrote there, only those that
    changed here, too, are replaced, and none are removed.

    Args:
        copy: what `mirror` returned.
        in_order: in the order in which they were written, one after the other, for a copy that is
            being written to: whoever reads it sees nothing new beside what is older than it.
        progress: told how many files were sent.

    Returns:
        How many files were sent or removed.

    Raises:
        DataError: if that is not possible. What was sent is remembered.
    """
    with _locked(copy), tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=copy.folder) as name:
        state = _read_state(copy)
        here = _local_files(copy)
        changed = [name for name in here if name not in state or state[name][1] != here[name]]
        changed.sort(key=lambda name: here[name][1])  # by time
        gone = [name for name in state if name not in here]
        if not changed and not gone:
            return 0
        staged = _stage(copy, changed, Path(name))
        _send(copy, staged, gone, state, at_once=1 if in_order else _AT_ONCE, progress=progress)
    return len(staged) + len(gone)


def _send(
    copy: Copy,
    staged: Mapping[str, Path],
    gone: Iterable[str],
    state: dict[str, tuple[Seen, tuple[int, int]]],
    *,
    at_once: int,
    progress: Progress,
) -> None:
    """Send files, remove others, and remember what was done even if not all could be."""
    system, place = system_of(copy.base)
    stamps = {name: _stamp(file) for name, file in staged.items()}
    sent: list[str] = []

    def put(name: str) -> None:
        with asking(copy.url_of(name), "written"):
            system.put_file(str(staged[name]), system._strip_protocol(copy.url_of(name)))
        sent.append(name)

    try:
        what = f"Sending to {copy.url}"
        _each(put, list(staged), what=what, at_once=at_once, progress=progress)
        for name in gone:
            with asking(copy.url_of(name), "removed"), suppress(FileNotFoundError):
                system.rm_file(system._strip_protocol(copy.url_of(name)))
            del state[name]
    finally:
        if sent:
            with asking(copy.url, "read"):
                there = find(system, copy.base, place)
            state |= {name: (there[name], stamps[name]) for name in sent if name in there}
        _write_state(copy, state)


def _stage(copy: Copy, names: Iterable[str], folder: Path) -> dict[str, Path]:
    """Second names of files, so that each stays as it is now when another takes its place."""
    staged = {}
    for number, name in enumerate(names):
        try:
            os.link(copy.file(name), folder / str(number))
        except FileNotFoundError:
            continue  # gone since it was listed
        except OSError:  # a disk without links
            shutil.copy2(copy.file(name), folder / str(number))
        staged[name] = folder / str(number)
    return staged


def _each(
    work: Callable[[str], None],
    names: list[str],
    *,
    what: str,
    at_once: int = _AT_ONCE,
    progress: Progress,
) -> None:
    """Do something for every name, several at a time; the first error ends it."""
    from concurrent.futures import ThreadPoolExecutor  # 30 ms that scoring a file does without

    with ThreadPoolExecutor(at_once) as pool:
        try:
            for done, _ in enumerate(pool.map(work, names), start=1):
                progress(what, done, len(names))
        finally:
            pool.shutdown(cancel_futures=True)


def _stamp(file: Path) -> tuple[int, int]:
    """Bytes and time (ns): what tells a changed local file."""
    about = file.stat()
    return about.st_size, about.st_mtime_ns


def _local_files(copy: Copy) -> dict[str, tuple[int, int]]:
    """Relative name -> stamp of all files that are whole."""
    if copy.path.is_file():
        return {ITSELF: _stamp(copy.path)}
    found = {}
    for folder, below, names in os.walk(copy.path):
        below[:] = [name for name in below if not name.startswith(UNFINISHED)]
        for name in names:
            file = Path(folder, name)
            if not name.startswith(UNFINISHED) and not file.is_symlink():
                try:
                    found[file.relative_to(copy.path).as_posix()] = _stamp(file)
                except FileNotFoundError:
                    continue  # renamed or removed since it was listed
    return found


def _read_state(copy: Copy) -> dict[str, tuple[Seen, tuple[int, int]]]:
    """Relative name -> what was there, and the stamp of the file here, when they were equal."""
    try:
        saved = json.loads((copy.folder / STATE).read_text(encoding="utf-8"))
        return {
            name: (Seen(size, tag), (length, time))
            for name, (size, tag, length, time) in saved.items()
        }
    except (OSError, ValueError, AttributeError):
        return {}


def _write_state(copy: Copy, state: Mapping[str, tuple[Seen, tuple[int, int]]]) -> None:
    plain = {name: (seen.size, seen.tag, *stamp) for name, (seen, stamp) in state.items()}
    write_json(copy.folder / STATE, plain)


@contextmanager
def _locked(copy: Copy) -> Iterator[None]:
    """Wait until no other process or thread changes the copy."""
    copy.folder.mkdir(parents=True, exist_ok=True)
    with (copy.folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
