"""Runs of masks or edges as members of a consensus: each predicted once, then read from its folder.

Shapes: M members.
"""

import atexit
import functools
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dnncli.data.map_writer import write_maps
from dnncli.results import Progress, no_progress
from dnncli.services.ensemble.kept import FOLDER, keys_of
from dnncli.services.ensemble.members import open_members
from dnncli.services.masks.predict import (
    ABOUT,
    listed_names,
    names_of,
    stored_values,
    write_predictions,
)
from dnncli.services.masks.predictor import predictor
from dnncli.services.out_folder import results_in
from dnncli.services.rows import Rows, metadata_of

_DIGITS = 12  # of each key, in names of folders


@dataclass(frozen=True, kw_only=True)
class PredictedMaps:
    """What every member said about the same pictures, in folders of maps."""

    folders: tuple[Path, ...]  # (M,) called as the members are
    truth: Path | None  # an .npz of masks; None if the data set has none, or holds edges
    task: str  # segment or edges
    computed: int  # members that were predicted now; the others had been before
    notes: tuple[str, ...]  # what the user should know


def predicted_maps(
    targets: Sequence[str | Path],
    data: str | Path | None = None,
    *,
    split: str | None = None,
    batch_size: int = 128,
    on_bad: str = "skip",
    progress: Progress = no_progress,
) -> PredictedMaps:
    """Predict the pictures of a data set with every model that was not asked before.

    What a model said is kept in `predictions/` beside its file, in a folder whose name changes with
    the model, the data, the rows and the versions; with all folders there, TensorFlow is not
    imported.

    Args:
        targets: run folders, .keras files and folders of runs.
        data: a data set; None: the one that all runs were trained on.
        split: train, val, test or all. None: test if the data set has one, else all rows.
        batch_size: windows predicted at a time, at most.
        on_bad: unreadable pictures: "skip" or "error".
        progress: told how far reading and predicting are.

    Raises:
        ConfigError, DataError, ModelError: what does not fit together, before anything is
            predicted.
    """
    opened = open_members(targets, data, split=split, on_bad=on_bad, progress=progress)
    folders, notes, computed = [], [*opened.notes], 0
    for name, rows in zip(opened.names, opened.rows, strict=True):
        folder = _folder(name, rows)
        key = "-".join(keys_of(rows))
        if results_in(folder / ABOUT).get("metadata", {}).get("key") != key:
            folder, note = _predicted(name, rows, folder, key, batch_size, progress)
            notes += note
            computed += 1
        folders.append(folder)
    first = opened.rows[0]
    return PredictedMaps(
        folders=tuple(folders),
        truth=_truth(first),
        task=first.card["task"],
        computed=computed,
        notes=tuple(dict.fromkeys(notes)),
    )


def _folder(name: str, rows: Rows) -> Path:
    """Where the maps of a member belong; the last folder is called as the member is."""
    model, asked = (key[:_DIGITS] for key in keys_of(rows))
    kept = f"{rows.model.stem}-{rows.split}-{model}-{asked}"
    return rows.model.parent / FOLDER / kept / _plain(name)


def _plain(name: str) -> str:
    """A name of a folder."""
    return name.strip("/").replace("/", "-")


def _predicted(
    name: str, rows: Rows, folder: Path, key: str, batch_size: int, progress: Progress
) -> tuple[Path, list[str]]:
    """Predict one member into its folder, or where that cannot be written, for this process only.

    Returns:
        The folder, and a note if it will not be found again.
    """

    def told(what: str, done: int, total: int) -> None:
        progress(f"{what} ({name})", done, total)

    metadata = metadata_of(rows) | {"key": key}
    notes = []
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or error
        notes = [f"{rows.model.parent}: cannot be written ({why}), so nothing is kept there."]
        folder = _passing() / key / folder.name
    found = predictor(rows, batch_size=batch_size, progress=told)
    write_predictions(found, rows, folder, metadata=metadata, progress=told)
    _remove_outdated(rows, folder.parent)
    return folder, notes


@functools.cache
def _passing() -> Path:
    """A folder that goes with the process."""
    path = Path(tempfile.mkdtemp(prefix="dnncli-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _remove_outdated(rows: Rows, kept: Path) -> None:
    """Remove what the same file said when it was another model, or with other versions."""
    stem, hexadecimal = re.escape(rows.model.stem), f"[0-9a-f]{{{_DIGITS}}}"
    name = re.compile(rf"{stem}-(train|val|test|all)-(?P<model>{hexadecimal})-{hexadecimal}")
    own = name.fullmatch(kept.name)
    for entry in kept.parent.iterdir():
        match = name.fullmatch(entry.name)
        if match and own and match["model"] != own["model"] and entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)


def _truth(rows: Rows) -> Path | None:
    """The masks of the rows in a file that goes with the process."""
    masks, card = rows.dataset.masks, rows.card
    if masks is None or card["task"] == "edges":
        return None
    values = stored_values(card)
    maps = (
        (name, values[masks.read(row)])
        for name, row in zip(names_of(rows), rows.rows.tolist(), strict=True)
    )
    file = _passing() / f"truth-{keys_of(rows)[1][:_DIGITS]}.npz"
    names = listed_names(card["classes"], card["values"], card["void"])
    write_maps(file, maps, class_names=names, void=card["void"])
    return file
