"""Model files: a .keras archive that Keras opens without this package, with a card inside.

The card says what the layers do not: class names, picture size, normalisation, data fingerprint.
"""

import importlib
import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnncli.errors import ModelError
from dnncli.results import written

if TYPE_CHECKING:
    import keras

_CARD = "dnncli"  # key inside the model's config


def save_model(serving: "keras.Model", path: Path, card: dict[str, Any]) -> None:
    """Write a .keras file with `card` inside its config; whole or not at all.

    Keras ignores the additional key, so the file loads without this package.

    Args:
        serving: the model.
        path: ends in .keras.
        card: JSON types only: class names, task, normalisation ...
    """
    with (
        written(path) as whole,
        tempfile.TemporaryDirectory(prefix=".tmp-", dir=path.parent) as folder,
    ):
        plain = Path(folder) / "plain.keras"
        serving.save(plain)
        _copy_with_card(plain, whole, card)


def _copy_with_card(source: Path, target: Path, card: dict[str, Any]) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            if entry.filename != "config.json":
                with old.open(entry) as read, new.open(entry, "w", force_zip64=True) as write:
                    shutil.copyfileobj(read, write)
                continue
            config = json.loads(old.read(entry))
            config["config"][_CARD] = card
            new.writestr(entry, json.dumps(config))


def read_card(path: Path) -> dict[str, Any]:
    """What `save_model` wrote beside the weights; does not need Keras.

    Raises:
        ModelError: if there is no such file, or it is not a .keras file of this tool.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such model file.")
    try:
        with zipfile.ZipFile(path) as archive:
            card = json.loads(archive.read("config.json"))["config"][_CARD]
    except (zipfile.BadZipFile, ValueError, TypeError) as error:
        raise ModelError(f"{path}: is not a whole .keras file ({error}).") from error
    except KeyError as error:
        raise ModelError(
            f"{path}: has no {error}: it was not written by dnncli train, so its class names and "
            "task are not known."
        ) from error
    return card


def load_model(path: Path) -> "keras.Model":
    """The model in a .keras file, to predict with.

    Raises:
        ModelError: if it cannot be read, or needs code that is not Keras' own.
    """
    import keras

    if not path.is_file():
        raise ModelError(f"{path}: no such model file.")
    importlib.import_module("dnncli.networks.blocks")  # Keras finds our own layers by their names
    try:
        return keras.models.load_model(path, compile=False)
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: cannot be loaded: {error}") from error
