"""Predictions of members in files beside their models, so that nothing is predicted twice."""

import atexit
import functools
import hashlib
import importlib.metadata
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dnncli import __version__
from dnncli.augmentation.views import PLAIN, View
from dnncli.data.frames import read_table
from dnncli.data.predictions import write_predictions
from dnncli.errors import DataError
from dnncli.predictions import Predictions
from dnncli.services.rows import Rows

FOLDER = "predictions"  # beside the model file
_DIGITS = 12  # of each key, in names of files


@dataclass(frozen=True, kw_only=True)
class Member:
    """One view of the rows by one model."""

    name: str
    rows: Rows
    view: View
    model_key: str  # changes with the model file and the versions
    rows_key: str  # changes with the data and the rows

    @property
    def key(self) -> str:
        """All that the predictions follow from, but the view."""
        return f"{self.model_key}-{self.rows_key}"

    @property
    def file(self) -> Path:
        """Where the predictions belong."""
        rows = self.rows
        view = "" if self.view == PLAIN else f"~{self.view.name}"
        keys = f"{self.model_key[:_DIGITS]}-{self.rows_key[:_DIGITS]}"
        return rows.model.parent / FOLDER / f"{rows.model.stem}-{rows.split}{view}-{keys}.parquet"


def keys_of(rows: Rows) -> tuple[str, str]:
    """SHA-256 (hex) of the model with the versions that run it, and of the rows."""
    versions = [__version__, importlib.metadata.version("keras")]
    with rows.model.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    model = hashlib.sha256("\0".join((*versions, content)).encode())
    asked = hashlib.sha256(rows.dataset.fingerprint.encode())
    asked.update(rows.rows.astype(np.int64).tobytes())
    return model.hexdigest(), asked.hexdigest()


def kept(member: Member) -> Path | None:
    """The file that holds what the member said; None if it has to be predicted."""
    try:
        table = read_table(member.file)
        if table.metadata.get("key") != member.key:
            return None
        n = sum(len(batch) for batch in table.batches(table.names))
    except DataError:
        return None  # missing or damaged
    return member.file if n == len(member.rows.rows) else None


def keep(member: Member, found: Predictions) -> tuple[Path, list[str]]:
    """Write what a member said, beside its model or, where that cannot be, for this process only.

    Files beside the model that cannot be asked for again are removed.

    Returns:
        The file, and a note if it will not be found again.
    """
    try:
        write_predictions(found, member.file)
    except OSError as error:
        file = _passing() / f"{member.key}~{member.view.name}.parquet"
        write_predictions(found, file)
        why = error.strerror or error
        return file, [f"{member.file.parent}: cannot be written ({why}), so nothing is kept there."]
    _remove_outdated(member)
    return member.file, []


@functools.cache
def _passing() -> Path:
    """A folder that goes with the process."""
    path = Path(tempfile.mkdtemp(prefix="dnncli-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _remove_outdated(member: Member) -> None:
    """Remove what the same file said when it was another model, or with other versions."""
    stem, hexadecimal = re.escape(member.rows.model.stem), f"[0-9a-f]{{{_DIGITS}}}"
    name = re.compile(
        rf"{stem}-(train|val|test|all)(~[a-z-]+)?-(?P<model>{hexadecimal})-{hexadecimal}\.parquet"
    )
    for file in member.file.parent.iterdir():
        match = name.fullmatch(file.name)
        if match and match["model"] != member.model_key[:_DIGITS]:
            file.unlink(missing_ok=True)
