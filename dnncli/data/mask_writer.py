"""Writes pictures with masks or edges as `[split/]images` and `[split/]masks` or `edges`.

Shapes: H and W in pixels, C classes.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from dnncli.data.annotators import EDGES, IMAGES
from dnncli.data.dataset import NO_CLASS, Dataset, FileImages
from dnncli.data.folder import SPLIT_FOLDERS
from dnncli.data.folder_writer import SUFFIXES, check_splits
from dnncli.data.header import sniff
from dnncli.data.map_files import CLASSES_FILE
from dnncli.data.mask_pairs import EDGE_NAMES
from dnncli.data.pictures import to_png
from dnncli.errors import DataError
from dnncli.results import Progress, no_progress, write_json

MASKS = "masks"
GROUP_COLUMNS = ("path", "mask", "split", "group", "source", "copy")  # of a manifest
MANIFEST = "manifest.csv"

_VOID = "void"  # the name of a number that is no class, where numbers around it are


@dataclass(frozen=True, kw_only=True)
class StoredForm:
    """How classes are stored, so that reading gives the same names and indices."""

    values: tuple[int, ...]  # (C,) of each class
    void: int  # of NO_CLASS
    listed: tuple[str, ...]  # for classes.json

    def stored(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W) numbers from class indices."""
        table = np.full(NO_CLASS + 1, self.void, np.uint8)
        table[: len(self.values)] = self.values
        return table[mask]


def stored_form(dataset: Dataset) -> StoredForm:
    """The numbers that the masks have, if `classes.json` can name them; else 0, 1, ..."""
    masks, names = dataset.masks, dataset.class_names
    if masks is None:
        raise ValueError(f"{dataset.root}: this data set has no masks.")
    if dataset.task == EDGES:
        return StoredForm(values=masks.values, void=masks.void, listed=EDGE_NAMES)
    values, void = masks.values, masks.void
    fits = max(*values, void) <= NO_CLASS
    if fits and (all(map(str.isdecimal, names)) or (len(names) == 2 and values == (0, 255))):
        return StoredForm(values=values, void=void, listed=names)
    named = dict(zip(values, names, strict=True))
    numbers = range(max(values) + 1)
    if fits and _VOID not in names and all(number in (*values, void) for number in numbers):
        listed = tuple(named.get(number, _VOID) for number in numbers)
        return StoredForm(values=values, void=void, listed=listed)
    return StoredForm(values=tuple(range(len(names))), void=NO_CLASS, listed=names)


def write_masked(
    dataset: Dataset,
    out: Path,
    *,
    picture: Callable[[int], bytes],
    mask: Callable[[int], NDArray[np.uint8]],
    placed: Callable[[int, str, str], None] | None = None,
    progress: Progress = no_progress,
) -> int:
    """Write every picture and, as PNG, its mask; the names of the classes in `classes.json`.

    Args:
        out: an empty folder.
        picture: row -> encoded picture.
        mask: row -> (H, W) class indices, NO_CLASS where a pixel is of none; called after
            `picture`.
        placed: told each row and where its picture and its mask went, paths below `out`.

    Returns:
        How many rows have another id when the folder is read.

    Raises:
        DataError: if rows are without split while others have one, or two rows get one name.
    """
    check_splits(dataset)
    names = [_name(dataset, row) for row in range(len(dataset))]
    _check_names(dataset, names)
    form = stored_form(dataset)
    folder = EDGES if dataset.task == EDGES else MASKS
    changed = 0
    for row, (home, stem) in enumerate(names):
        data = picture(row)
        drawn = to_png(form.stored(mask(row))[..., np.newaxis])
        places = [
            PurePosixPath(home, IMAGES, stem + _suffix(dataset, row, sniff(data))).as_posix(),
            PurePosixPath(home, folder, f"{stem}.png").as_posix(),
        ]
        for place, content in zip(places, (data, drawn), strict=True):
            file = out / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        changed += PurePosixPath(home, stem).as_posix() != dataset.ids[row]
        if placed is not None:
            placed(row, places[0], places[1])
        progress("Writing pictures", row + 1, len(dataset))
    write_json(out / CLASSES_FILE, {"classes": list(form.listed), "ignore": form.void})
    return changed


def _name(dataset: Dataset, row: int) -> tuple[str, str]:
    """The split folder of a row, and its path below `images` without suffix."""
    row_id, split = dataset.ids[row], str(dataset.splits[row])
    first, _, rest = row_id.partition("/")
    is_folder = bool(dataset.declared_splits and rest) and first.lower() in SPLIT_FOLDERS
    if not split:
        return "", row_id
    if not is_folder:
        return split, row_id
    return (first if SPLIT_FOLDERS[first.lower()] == split else split), rest


def _check_names(dataset: Dataset, names: list[tuple[str, str]]) -> None:
    """Refuse to write two pictures in one place; some disks do not tell letter case apart."""
    first: dict[tuple[str, str], int] = {}
    lines = [
        f"'{dataset.ids[first[name]]}' and '{dataset.ids[row]}'"
        for row, name in enumerate((home, stem.lower()) for home, stem in names)
        if first.setdefault(name, row) != row
    ]
    if lines:
        raise DataError(f"{dataset.root}: pictures that would get one name. Rename one:", lines)


def _suffix(dataset: Dataset, row: int, form: str) -> str:
    images, fitting = dataset.images, SUFFIXES.get(form, (".png",))
    own = PurePosixPath(images.names[row]).suffix if isinstance(images, FileImages) else ""
    return own if own.lower() in fitting else fitting[0]


def with_groups(dataset: Dataset, root: Path) -> Dataset:
    """The data set with the groups that `dnncli augment` wrote beside it: copies and sources."""
    file = root / MANIFEST
    if not file.is_file():
        return dataset
    with file.open(encoding="utf-8", errors="surrogateescape", newline="") as opened:
        reader = csv.DictReader(opened)
        if not set(GROUP_COLUMNS) <= set(reader.fieldnames or ()):
            return dataset
        groups = {_id_of(row["path"]): row["group"] for row in reader}
    return replace(dataset, groups=tuple(groups.get(name, "") for name in dataset.ids))


def _id_of(path: str) -> str:
    """The id of a picture from its path below the root."""
    parts = list(PurePosixPath(path).with_suffix("").parts)
    parts.remove(IMAGES)
    return "/".join(parts)
