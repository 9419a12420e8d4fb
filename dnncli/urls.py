"""Which names are URLs of remote storage, and where their local copies lie.

The copy of a URL lies at CACHE/<digits>/<name>; `entry.json` beside it says what it is a copy of.
So a path into the cache can be told as the URL it stands for, on this machine and any other.
"""

import dataclasses
import functools
import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from dnncli.errors import ConfigError

ENTRY = "entry.json"  # beside each copy: what it is a copy of

# Protocol -> package of its file system; asked only where fsspec, which knows more, is missing.
PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "oci": "ocifs",
    "hf": "huggingface_hub",
    "http": "aiohttp",
    "https": "aiohttp",
    "ftp": "fsspec",
    "sftp": "paramiko",
    "hdfs": "pyarrow",
    "memory": "fsspec",
}

# What fsspec calls protocols, but is this machine, or a layer over another file system.
_NO_STORAGE = (
    *("file", "local", "data", "dir", "git", "zip", "tar", "libarchive", "reference", "generic"),
    *("asynclocal", "async_wrapper", "blockcache", "cached", "filecache", "simplecache"),
)

# pathlib, and so the command line, makes one slash of two.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}([^/].*)", re.DOTALL)
_CACHE = "dnncli/remote"
_DIGITS = 16  # of the hash in the name of a copy's folder


class Url(PurePosixPath):
    """A path on remote storage: `/` makes longer ones, and its text is a URL."""

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)


def is_remote(value: Any) -> bool:
    """Whether a text or path is a URL of remote storage: `s3://b/x`, or `s3:/b/x` as paths say it.

    Raises:
        ConfigError: if there is a local folder of that name, too.
    """
    match = _match(value)
    if match is None or not _is_known(match[1].lower()):
        return False
    if Path(f"{match[1]}:").exists():
        raise ConfigError(
            f"{os.fspath(value)}: a folder '{match[1]}:' lies here, so this may be a local path or "
            "a URL. Rename the folder, or give its absolute path."
        )
    return True


def _match(value: Any) -> re.Match[str] | None:
    return _URL.fullmatch(os.fspath(value)) if isinstance(value, str | PurePath) else None


@functools.cache
def _is_known(protocol: str) -> bool:
    try:
        from fsspec.registry import known_implementations
    except ImportError:
        return protocol in PACKAGES
    return protocol in known_implementations and protocol not in _NO_STORAGE


def normal(value: str | PurePath) -> str:
    """A URL as it is written everywhere: two slashes first, none at the end.

    Raises:
        ConfigError: if it says what must not be written down, or cannot be the name of a copy.
    """
    match = _match(value)
    if match is None:
        raise ValueError(f"{value}: is no URL.")
    protocol, place = match[1].lower(), match[2]
    if re.match(r"[^/]*:[^/]*@", place):
        raise ConfigError(
            f"{protocol}://...@{place.partition('@')[2]}: holds a password, which would be written "
            "to results. Give it to the library by its own environment variables or files."
        )
    if protocol in ("http", "https") and "?" in place:
        raise ConfigError(
            f"{protocol}://{place.partition('?')[0]}: has a query ('?...'), which may hold a key "
            "and would be written to results. Fetch the file first."
        )
    parts = [part for part in place.split("/") if part]
    if {".", ".."} & set(parts) or "::" in place:
        raise ConfigError(f"{protocol}://{place}: '.', '..' and '::' are not allowed in URLs.")
    return f"{protocol}://{'/'.join(parts)}"


def shown(value: Any) -> str:
    """Text of a path or URL, for commands that are suggested."""
    return normal(value) if is_remote(value) else str(value)


def cache_folder() -> Path:
    """Where copies lie: $XDG_CACHE_HOME or ~/.cache, then dnncli/remote; without links."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache").resolve() / _CACHE


def copy_folder(url: str) -> Path:
    """The folder of the cache that belongs to a URL (in its normal form)."""
    return cache_folder() / hashlib.sha256(url.encode()).hexdigest()[:_DIGITS]


def told(text: str) -> str:
    """A text with the URLs in place of the paths into the cache that it holds."""
    if _CACHE not in text:  # nearly always, and quickly
        return text
    root = str(cache_folder())
    for digits in set(re.findall(rf"{re.escape(root)}/([0-9a-f]{{{_DIGITS}}})/", text)):
        base = _base_of(Path(root, digits))
        if base is not None:
            text = text.replace(f"{root}/{digits}/{base.rpartition('/')[2]}", base)
    return text


def _base_of(folder: Path) -> str | None:
    """The URL of what lies in a folder of the cache; None if nobody knows."""
    try:
        return str(json.loads((folder / ENTRY).read_text(encoding="utf-8"))["base"])
    except (OSError, ValueError, KeyError):
        return None


def told_all(value: Any) -> Any:
    """`told` for every text and path in dataclasses, lists and dicts; paths become `Url`."""
    if isinstance(value, str):
        return told(value)
    if isinstance(value, Path):
        name = told(str(value))
        return value if name == str(value) else Url(name)
    if type(value) in (tuple, list):
        entries = [told_all(entry) for entry in value]
        return type(value)(entries) if _differ(entries, value) else value
    if type(value) is dict:
        entries = [told_all(entry) for entry in value.values()]
        return dict(zip(value, entries)) if _differ(entries, value.values()) else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.init]
        before = [getattr(value, name) for name in names]
        entries = [told_all(entry) for entry in before]
        if _differ(entries, before):
            return dataclasses.replace(value, **dict(zip(names, entries)))
    return value


def _differ(new: Iterable[Any], old: Iterable[Any]) -> bool:
    return any(after is not before for after, before in zip(new, old))
