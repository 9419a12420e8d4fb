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

from dnncli import trust
from dnncli.errors import ModelError
from dnncli.networks.safety import foreign_classes, read_config, refuse_code
from dnncli.results import written

if TYPE_CHECKING:
    import keras

_CARD = "dnncli"  # key inside the model's config
_LONGEST = 500  # characters of a message of Keras' that are shown


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
        ModelError: if there is no such file, or it is not a .keras file of this tool, or holds
            code that is not allowed.
    """
    try:
        config = read_config(path)
        card = config["config"][_CARD]
    except TypeError as error:
        raise ModelError(f"{path}: is not a whole .keras file ({error}).") from error
    except KeyError as error:
        raise ModelError(
            f"{path}: has no {error}: it was not written by dnncli train, so its class names and "
            "task are not known."
        ) from error
    refuse_code(path, config)  # here, because every command reads the card before all else
    if not isinstance(card, dict):
        raise ModelError(f"{path}: what it says of itself is no table. Train again.")
    return card


def load_model(path: Path) -> "keras.Model":
    """The model in a .keras file, to predict with.

    Raises:
        ModelError: if it cannot be read, or needs code that is not Keras' own and is not allowed.
    """
    import keras
    import tensorflow as tf

    importlib.import_module("dnncli.networks.blocks")  # Keras finds our own layers by their names
    classes = foreign_classes(path)
    try:
        return keras.models.load_model(
            path, custom_objects=classes, compile=False, safe_mode=not trust.code_allowed()
        )
    except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: cannot be loaded: {_brief(error)}") from error
    except (MemoryError, tf.errors.OpError) as error:
        raise ModelError(
            f"{path}: cannot be loaded: {_brief(error)}. It may need more memory than there is."
        ) from error


def _brief(error: Exception) -> str:
    """The gist of a message; Keras tells the whole configuration of the model before it."""
    text = str(error).rpartition("Exception encountered: ")[2] or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
