"""Files on remote storage by fsspec: what is there, and errors that say what to do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dnncli.errors import ConfigError, DataError, DnncliError
from dnncli.results import UNFINISHED
from dnncli.urls import PACKAGES

ITSELF = ""  # relative name of a URL that is one file

# Where file systems say which version of a file they hold, best first.
_TAGS = (
    *("ETag", "etag", "md5Hash", "content_hash", "checksum", "updated", "LastModified"),
    *("last_modified", "mtime", "modified", "created"),
)


@dataclass(frozen=True)
class Seen:
    """What a file system says of one file."""

    size: int | None
    tag: str


Files = Mapping[str, Seen]  # relative name -> what is there


def find(system: Any, url: str, place: str) -> dict[str, Seen]:
    """Relative name -> what is there, of a file or folder; nothing if there is nothing.

    Args:
        system: of fsspec.
        url: for messages.
        place: name of the URL in the file system.

    Raises:
        DataError: if a name would lead out of the folder, or be a file and a folder at once.
    """
    system.invalidate_cache()
    there: dict[str, Seen] = {}
    for name, about in system.find(place, detail=True).items():
        if about.get("type") == "directory" or name.endswith("/"):
            continue  # object stores mark folders by empty objects
        if name != place and not name.startswith(f"{place}/"):
            continue
        relative = name[len(place) + 1 :]
        if not any(part.startswith(UNFINISHED) for part in relative.split("/")):
            tag = next((str(about[key]) for key in _TAGS if about.get(key) is not None), "")
            there[relative] = Seen(about.get("size"), tag)
    if len(there) > 1:
        there.pop(ITSELF, None)  # an object beside a folder of the same name
    wrong = [name for name in there if name != ITSELF and not _is_safe(name, there)]
    if wrong:
        raise DataError(f"{url}: holds names that no local folder can have. Rename:", wrong)
    return there


def _is_safe(name: str, there: Files) -> bool:
    parts = name.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    return not {"", ".", ".."} & set(parts) and "\0" not in name and not set(above) & set(there)


def system_of(url: str) -> tuple[Any, str]:
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
def asking(url: str, what: str) -> Iterator[None]:
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
