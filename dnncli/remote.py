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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path
from typing import Any

from dnncli.errors import ConfigError, DataError, DnncliError
from dnncli.results import UNFINISHED, Progress, no_progress, write_json
from dnncli.urls import ENTRY, PACKAGES, copy_folder, normal

STATE = "state.json"  # beside each copy: what was there when it was made
_AT_ONCE = 8  # files that are fetched or sent at the same time
_ITSELF = ""  # relative name of a URL that is one file

# Where file systems say which version of a file they hold, best first.
_TAGS = (
    *("ETag", "etag", "md5Hash", "content_hash", "checksum", "updated", "LastModified"),
    *("last_modified", "mtime", "modified", "created"),
)

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


@dataclass(frozen=True)
class _Seen:
    """What a file system says of one file."""

    size: int | None
    tag: str


_Files = Mapping[str, _Seen]  # relative name -> what is there


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
    system, place = _system(url)
    with _asking(url, "read"):
        base, there = _look(system, url, place)
    if needed and not there:
        raise DataError(f"{url}: there is no such file or folder.")
    table = listed is not None and _ITSELF in there
    if table:
        name = base.rpartition("/")[2]
        base, there = base.rpartition("/")[0], {name: there[_ITSELF]}
    copy = Copy(url, base, copy_folder(url) / base.rpartition("/")[2])
    with _locked(copy):
        write_json(copy.folder / ENTRY, {"url": url, "base": base})
        if table and listed is not None:
            _fetch(copy, system, there, only=True, progress=progress)
            with _asking(url, "read"):
                beside = _find(system, base, system._strip_protocol(base))
            there = {**_wanted(copy, listed(copy.local), beside), **there}
        _fetch(copy, system, there, keep=keep, progress=progress)
    return copy


def _look(system: Any, url: str, place: str) -> tuple[str, _Files]:
    """The URL that copies are relative to, and what is there."""
    there = _find(system, url, place)
    if there or not has_magic(url):
        return url, there
    parts = url.split("/")
    first = next(number for number, part in enumerate(parts) if has_magic(part))
    base, pattern = "/".join(parts[:first]), parts[first:]
    found = _find(system, base, system._strip_protocol(base))
    return base, {name: seen for name, seen in found.items() if _matches(name, pattern)}


def _matches(name: str, pattern: list[str]) -> bool:
    """Whether a relative name is what a pattern means, part by part, as `glob` has it."""
    if "**" in pattern:
        return fnmatchcase(name, "/".join(pattern).replace("**/", "*"))
    parts = name.split("/")
    return len(parts) == len(pattern) and all(map(fnmatchcase, parts, pattern))


def _find(system: Any, url: str, place: str) -> dict[str, _Seen]:
    """Relative name -> what is there, of a file or folder; nothing if there is nothing.

    Raises:
        DataError: if a name would lead out of the folder, or be a file and a folder at once.
    """
    system.invalidate_cache()
    there: dict[str, _Seen] = {}
    for name, about in system.find(place, detail=True).items():
        if about.get("type") == "directory" or name.endswith("/"):
            continue  # object stores mark folders by empty objects
        if name != place and not name.startswith(f"{place}/"):
            continue
        relative = name[len(place) + 1 :]
        if not any(part.startswith(UNFINISHED) for part in relative.split("/")):
            tag = next((str(about[key]) for key in _TAGS if about.get(key) is not None), "")
            there[relative] = _Seen(about.get("size"), tag)
    if len(there) > 1:
        there.pop(_ITSELF, None)  # an object beside a folder of the same name
    wrong = [name for name in there if name != _ITSELF and not _is_safe(name, there)]
    if wrong:
        raise DataError(f"{url}: holds names that no local folder can have. Rename:", wrong)
    return there


def _is_safe(name: str, there: _Files) -> bool:
    parts = name.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    return not {"", ".", ".."} & set(parts) and "\0" not in name and not set(above) & set(there)


def _wanted(copy: Copy, names: Iterable[str], beside: _Files) -> _Files:
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
    there: _Files,
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
            with _asking(copy.url_of(name), "read"):
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


def _remove_others(copy: Copy, there: _Files) -> None:
    """Remove what the URL does not hold, and folders that are empty then."""
    if copy.path.is_file() and _ITSELF not in there:
        copy.path.unlink()
    if copy.path.is_dir() and _ITSELF in there:
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
    system, place = _system(copy.base)
    with _locked(copy), tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=copy.folder) as name:
        state = _read_state(copy)
        here = _local_files(copy)
        changed = [name for name in here if name not in state or state[name][1] != here[name]]
        changed.sort(key=lambda name: here[name][1])
        gone = [name for name in state if name not in here]
        if not changed and not gone:
            return 0
        staged = _stage(copy, changed, Path(name))
        sent: list[str] = []

        def put(name: str) -> None:
            with _asking(copy.url_of(name), "written"):
                system.put_file(str(staged[name]), system._strip_protocol(copy.url_of(name)))
            sent.append(name)

        stamps = {name: _stamp(file) for name, file in staged.items()}
        try:
            what = f"Sending to {copy.url}"
            _each(
                put, list(staged), what=what, at_once=1 if in_order else _AT_ONCE, progress=progress
            )
            for name in gone:
                with _asking(copy.url_of(name), "removed"):
                    system.rm_file(system._strip_protocol(copy.url_of(name)))
                del state[name]
        finally:
            if sent or gone:
                with _asking(copy.url, "read"):
                    there = _find(system, copy.base, place)
                state |= {name: (there[name], stamps[name]) for name in sent if name in there}
                _write_state(copy, state)
    return len(sent) + len(gone)


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
        return {_ITSELF: _stamp(copy.path)}
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


def _read_state(copy: Copy) -> dict[str, tuple[_Seen, tuple[int, int]]]:
    """Relative name -> what was there, and the stamp of the file here, when they were equal."""
    try:
        saved = json.loads((copy.folder / STATE).read_text(encoding="utf-8"))
        return {
            name: (_Seen(size, tag), (length, time))
            for name, (size, tag, length, time) in saved.items()
        }
    except (OSError, ValueError, AttributeError):
        return {}


def _write_state(copy: Copy, state: Mapping[str, tuple[_Seen, tuple[int, int]]]) -> None:
    plain = {name: (seen.size, seen.tag, *stamp) for name, (seen, stamp) in state.items()}
    write_json(copy.folder / STATE, plain)


@contextmanager
def _locked(copy: Copy) -> Iterator[None]:
    """Wait until no other process or thread changes the copy."""
    copy.folder.mkdir(parents=True, exist_ok=True)
    with (copy.folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _system(url: str) -> tuple[Any, str]:
    """fsspec's file system of a URL, and the URL's name in it.

    Raises:
        ConfigError: if a package is missing, and which.
    """
    protocol = url.partition(":")[0]
    try:
        from fsspec.core import url_to_fs
        from fsspec.registry import known_implementations
    except ImportError as error:
        extra = PACKAGES[protocol]
        more = "" if extra in ("s3fs", "fsspec") else f" {extra}"
        raise ConfigError(
            f"{url}: remote storage needs packages that are not installed. "
            f"Run: pip install 'dnncli[remote]'{more}"
        ) from error
    try:
        system, place = url_to_fs(url)
    except ImportError as error:
        needs = PACKAGES.get(protocol) or known_implementations[protocol]["class"].split(".")[0]
        raise ConfigError(
            f"{url}: {protocol} needs a package that is not installed. "
            f"Run: pip install 'dnncli[remote]' {needs}"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{url}: {error}") from error
    return system, place.rstrip("/")


@contextmanager
def _asking(url: str, what: str) -> Iterator[None]:
    """Every library has errors of its own: all become one that names the URL and says what to do.

    Raises:
        DataError: in place of any other error.
    """
    try:
        yield
    except DnncliError:
        raise
    except Exception as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise DataError(f"{url}: cannot be {what}: {reason}. {_remedy(error)}".rstrip()) from error


def _remedy(error: Exception) -> str:
    name = type(error).__name__
    if "Credential" in name or "credential" in str(error):
        return (
            "Give credentials as the library of this storage reads them: for s3 "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws; for gs "
            "GOOGLE_APPLICATION_CREDENTIALS."
        )
    if isinstance(error, PermissionError):
        return "Are these the right credentials, and may they do this?"
    if isinstance(error, FileNotFoundError):
        return "Does the bucket exist? It is not made by this tool."
    return "Are the address and the network right?"
