"""Folders of results: they replace nothing but earlier results of their kind."""

import json
import os
from pathlib import Path
from typing import Any

from dnncli.errors import ConfigError


def results_in(file: Path) -> dict[str, Any]:
    """What a JSON file of results holds; nothing if there is none that can be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def check_replaceable(folder: Path, *, file: str, schema: str, what: str) -> None:
    """Refuse to replace anything but an empty folder or earlier results of the same kind.

    Args:
        folder: where results are to be written.
        file: of the results, which names their schema.
        schema: of the results; its version, after the slash, may be another.
        what: the results are, for the message.

    Raises:
        ConfigError: if something else is there, or above it.
    """
    if not os.path.lexists(folder):  # a link to nowhere is there, too
        above = next(place for place in folder.absolute().parents if place.exists())
        if not above.is_dir():
            raise ConfigError(f"--out {folder}: {above} is a file. Give another name.")
        return
    found = str(results_in(folder / file).get("schema"))
    if found.partition("/")[0] == schema.partition("/")[0]:
        return
    if not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(f"--out {folder}: exists and is no {what}. Give another name.")
