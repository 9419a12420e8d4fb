"""Looks into a .keras archive before Keras does: what it unpacks to, and what code it would run.

Keras refuses most of this by itself ("safe mode"); its messages fill a screen, and what it
guards against changes from version to version.
"""

import importlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dnncli import archives, trust
from dnncli.errors import ModelError

_CONFIG = "config.json"
_MOST_CONFIG = 64 * 2**20  # bytes; the largest of keras.applications has 1 MB
_PLAIN = 64 * 2**20  # bytes that any archive may unpack to
_RATIO = 20  # bytes unpacked for a byte packed; weights are stored as they are

# Classes of Keras that run what their configuration holds or names.
_RUNNING = {
    name: name for name in ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
} | {"__lambda__": "a Python lambda"}
_KNOWN = ("keras", "builtins", "dnncli.networks.blocks")


def read_config(path: Path) -> dict[str, Any]:
    """The configuration in a .keras archive, after the archive was looked at; runs nothing.

    Raises:
        ModelError: if it is no archive, would unpack to far more than it is, or to places outside
            of its folder.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such model file.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if problem := _problem(members):
                raise ModelError(f"{path}: {problem}. It is not opened.")
            config = json.loads(archive.read(_CONFIG))
    except (*archives.BROKEN, RecursionError) as error:
        raise ModelError(f"{path}: is not a whole .keras file ({error}).") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: is not a whole .keras file (its {_CONFIG} is no table).")
    return config


def refuse_code(path: Path, config: dict[str, Any]) -> None:
    """Refuse a model that would run code other than Keras' and ours, unless that is allowed.

    Args:
        path: of the archive, for the message.
        config: what `read_config` found in it.

    Raises:
        ModelError: naming the classes, and how to allow them.
    """
    found = dict.fromkeys(_foreign(config))
    if found and not trust.code_allowed():
        lines = [f"{name} of {module}" if module else name for module, name, _ in found]
        raise ModelError(
            f"{path}: holds code that is not Keras' own, which could do anything on this "
            "computer. If you trust where it comes from, add --allow-code (in Python: "
            "allow_code=True):",
            lines,
        )


def foreign_classes(path: Path) -> dict[str, Any]:
    """The classes of a model that are neither Keras' nor ours, by their names, imported.

    Raises:
        ModelError: if code is not allowed, or there is no such class.
    """
    config = read_config(path)
    refuse_code(path, config)
    classes: dict[str, Any] = {}
    for module, name, registered in _foreign(config):
        if module and not _is_known(module):
            found_class = _imported(path, module, name)
            classes |= dict.fromkeys(filter(None, (name, registered)), found_class)
    return classes


def _imported(path: Path, module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"{path}: needs {module}:{name}: {error}.") from error


def _problem(members: list[zipfile.ZipInfo]) -> str:
    """Why an archive is not unpacked; empty if it may be."""
    if outside := archives.unsafe_names(members):
        return f"it holds files that would be written outside of it, such as {outside[0]!r}"
    size, packed = (sum(getattr(m, key) for m in members) for key in ("file_size", "compress_size"))
    if size > _PLAIN and size > _RATIO * packed:
        return (
            f"it unpacks to {size / 1e6:,.0f} MB, {size / max(packed, 1):,.0f} times what is in it"
        )
    if any(m.filename == _CONFIG and m.file_size > _MOST_CONFIG for m in members):
        return f"its {_CONFIG} has more than {_MOST_CONFIG / 1e6:,.0f} MB"
    return archives.too_large(size)


def _foreign(entry: Any) -> Iterator[tuple[str, str, str]]:
    """(module, class or function, registered name) of what is not Keras' or ours, in order."""
    waiting = [entry]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, dict):
            name = entry.get("class_name")
            if isinstance(name, str) and "config" in entry:
                yield from _judged(entry, name)
            waiting += reversed(list(entry.values()))
        elif isinstance(entry, list):
            waiting += reversed(entry)


def _judged(entry: dict[str, Any], name: str) -> Iterator[tuple[str, str, str]]:
    module, registered = (str(entry.get(key) or "") for key in ("module", "registered_name"))
    if name in _RUNNING:
        yield "" if _is_known(module) else module, _RUNNING[name], ""
    elif name == "function":  # its name stands where a layer's options stand
        if not _is_known(module):
            yield module, str(entry["config"]), registered
    elif not _is_known(module) and (module or registered.partition(">")[0] not in ("", "dnncli")):
        yield module, name, registered


def _is_known(module: str) -> bool:
    return any(module == known or module.startswith(f"{known}.") for known in _KNOWN)
