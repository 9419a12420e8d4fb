"""One training at a time in a run folder: a lock that says which process holds it.

The system's own lock (`flock`) ends with the process, however that ends. Where there is none, the
process named in the file decides: a dead one on this computer holds nothing.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from dnncli.errors import ConfigError
from dnncli.results import LOCK

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder inside this block.

    A folder that is missing is made, and removed again if nothing else came into it.

    Raises:
        ConfigError: if another process holds it; naming that process.
        OSError: if the folder cannot be written to.
    """
    made = _missing(folder)
    try:
        file = _locked(folder / LOCK)
        try:
            yield
        finally:
            # While it is held, so that nobody can lock a file that is about to go.
            (folder / LOCK).unlink(missing_ok=True)
            file.close()
    finally:
        with suppress(OSError):  # not empty, or gone
            for path in made:
                path.rmdir()


def check_free(folder: Path) -> None:
    """Refuse a folder in which another process is training now; takes and writes nothing.

    Raises:
        ConfigError: naming that process.
    """
    try:
        file = (folder / LOCK).open("rb")
    except OSError:
        return
    with file:
        if not _take(file):
            raise _taken(folder / LOCK)


def _missing(folder: Path) -> list[Path]:
    """The folder and those above it that do not exist, innermost first."""
    absolute = folder.absolute()
    return [path for path in (absolute, *absolute.parents) if not path.exists()]


def _locked(path: Path) -> BinaryIO:
    """The lock's file, open and locked, with this process written into it."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        except FileNotFoundError:  # another process has just removed the folder it had made
            continue
        try:
            if not _take(file):
                raise _taken(path)
            # Its holder may have removed it meanwhile: a lock on a file without a name is none.
            if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
                _sign(file, path)
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _sign(file: BinaryIO, path: Path) -> None:
    """Write this process into a file that it has locked; without the file if that fails."""
    try:
        file.truncate()
        file.write(json.dumps(_self()).encode())
    except OSError as error:
        path.unlink(missing_ok=True)
        error.filename = error.filename or str(path)
        raise


def _take(file: BinaryIO) -> bool:
    """Lock an open file; False if another process holds it."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return not _lives(_holder(file))
        return True
    return not _lives(_holder(file))


def _self() -> dict[str, Any]:
    since = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _holder(file: BinaryIO) -> dict[str, Any]:
    """What the file says; nothing if it says nothing."""
    file.seek(0)
    try:
        found = json.loads(file.read(4096))
    except ValueError:
        found = {}
    file.seek(0)
    return found if isinstance(found, dict) else {}


def _lives(holder: dict[str, Any]) -> bool:
    """Whether a process holds a lock that the system does not watch; of other computers: yes."""
    if not holder or holder.get("pid") == os.getpid():
        return False
    if holder.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(holder["pid"]), 0)
    except (ProcessLookupError, KeyError, TypeError, ValueError, OverflowError):
        return False
    except OSError:  # of another user
        return True
    return True


def _taken(path: Path) -> ConfigError:
    with suppress(OSError), path.open("rb") as file:
        about = _holder(file)
        if about:
            return ConfigError(
                f"{path.parent}: process {about.get('pid')} on {about.get('host')} has been "
                f"training here since {about.get('since')}. Wait until it ends, or give another "
                f"--out. (If it runs no more: remove {path}.)"
            )
    return ConfigError(
        f"{path.parent}: another process is training here. Wait until it ends, or give another "
        "--out."
    )
