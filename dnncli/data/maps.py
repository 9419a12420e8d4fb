"""Opens masks, edge maps and value maps: one number for every pixel of a picture, by picture.

Shapes: N maps, H height and W width in pixels.
"""

import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from dnncli import archives
from dnncli.data.header import HEAD, MAX_PIXELS, sniff
from dnncli.data.map_codes import LARGEST
from dnncli.data.map_files import folder_maps, map_classes, npz_maps
from dnncli.data.names import near
from dnncli.errors import DataError
from dnncli.results import Progress, no_progress

MapKind = Literal["mask", "edge", "value"]

_NAMED = 5  # ids in a line
_ARRAYS_OF_TABLES = frozenset(("ids", "labels", "probs", "members"))


@dataclass(frozen=True, kw_only=True)
class Maps:
    """N maps by id, read one at a time."""

    path: Path
    kind: MapKind
    ids: tuple[str, ...]  # (N,) sorted: path below the folder without suffix, or as the .npz says
    shapes: Mapping[str, tuple[int, int]]  # id -> height, width in pixels
    loaders: Mapping[str, Callable[[], NDArray]]  # id -> reads the map; use `read`
    class_names: tuple[str, ...] = ()  # of the mask values 0, 1, ...; empty: none are declared
    void: int | None = None  # a declared mask value that is no class

    @property
    def name(self) -> str:
        """What a model or person is called: the folder's name, or the file's without suffix."""
        path = Path(os.path.abspath(self.path))  # noqa: PTH100 - links keep their own names
        return path.stem if path.suffix == ".npz" else path.name

    def read(self, map_id: str) -> NDArray:
        """One map, (H, W).

        Masks are whole numbers as they are stored. Edge maps are floats in [0, 1]: 8 bits divided
        by 255, 16 bits by 65535. Value maps are finite floats as they are stored.

        Raises:
            DataError: if it cannot be decoded or is of another kind.
        """
        where = f"{self.path}: '{map_id}'"
        try:
            values = _plain(self.loaders[map_id]())
            return _of_kind(values, self.kind)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error


def is_maps(path: Path) -> bool:
    """Whether `path` is a folder with pictures, or an .npz that is no table of predictions."""
    if path.is_dir():
        for folder, _, names in os.walk(path):
            for name in names:
                file = Path(folder, name)
                if file.is_file() and sniff(_head(file)):
                    return True
        return False
    if path.suffix != ".npz" or not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    except archives.BROKEN:
        return False
    return "maps" in names or not _ARRAYS_OF_TABLES & set(names)


def _head(file: Path) -> bytes:
    with file.open("rb") as opened_file:
        return opened_file.read(HEAD)


def open_maps(
    path: Path | str,
    *,
    kind: MapKind = "mask",
    nfc: bool = False,
    max_pixels: int = MAX_PIXELS,
    progress: Progress = no_progress,
) -> Maps:
    """Open a folder of pictures, or an .npz, as maps; pixels are read later.

    A folder is searched with all folders in it; ids are the paths below it without suffix. An
    .npz holds `ids` (N,) and `maps` (N, H, W), or one (H, W) array per id, perhaps `class_names`.
    Names and the void value of masks are taken from a `classes.json` as in
    `{"classes": ["sky", "road", "void"], "ignore": 2}`.

    Args:
        path: a folder or .npz file.
        kind: "mask" are class numbers, "edge" are shares in [0, 1], "value" are any numbers.
        nfc: bring ids to Unicode form NFC.
        max_pixels: larger pictures are refused.
        progress: told of the pictures looked at.

    Raises:
        DataError: naming what cannot be read, and ids that occur twice.
    """
    path = Path(path)
    if path.is_dir():
        found = folder_maps(path, is_mask=kind == "mask", max_pixels=max_pixels, progress=progress)
    elif path.suffix == ".npz" and path.is_file():
        found = npz_maps(path)
    elif not path.exists():
        raise DataError(f"{path}: no such folder or file. Give a folder of PNG maps, or an .npz.")
    else:
        raise DataError(f"{path}: is no folder of maps and no .npz. Give one of these.")
    names = {name: normalize("NFC", name) if nfc else name for name in found}
    _check_ids(path, found, names)
    class_names, void = map_classes(path) if kind == "mask" else ((), None)
    maps = sorted((names[name], entry) for name, entry in found.items())
    return Maps(
        path=path,
        kind=kind,
        ids=tuple(name for name, _ in maps),
        shapes={name: entry.shape for name, entry in maps},
        loaders={name: entry.load for name, entry in maps},
        class_names=class_names,
        void=void,
    )


def match_maps(
    wanted: Maps, others: Sequence[Maps], *, extra: Literal["error", "leave"] = "error"
) -> list[str]:
    """Check that every map of `wanted` is in each of the others, in the same size.

    Args:
        wanted: the maps whose ids count, such as the truth.
        others: maps of models or people.
        extra: ids that only another has: an error, or left out with a warning.

    Returns:
        Warnings, one for each of the others that has more ids.

    Raises:
        DataError: naming the first five ids that are missing, or the sizes that differ.
    """
    problems: list[str] = []
    sizes: list[str] = []
    warnings = []
    for other in others:
        lost = [name for name in wanted.ids if name not in other.shapes]
        more = [name for name in other.ids if name not in wanted.shapes]
        problems += _missing(other, lost, wanted, more)
        if more and extra == "error":
            problems += _missing(wanted, more, other, lost)
        elif more:
            warnings.append(
                f"{other.path}: {len(more)} of {len(other.ids)} maps are not in {wanted.path} and "
                f"are not counted: {_some(more)}."
            )
        sizes += [
            f"'{name}': {_size(wanted, name)}, {_size(other, name)}"
            for name in wanted.ids
            if name in other.shapes and wanted.shapes[name] != other.shapes[name]
        ]
    if problems:
        raise DataError("Maps are matched by id, the path without suffix:", problems)
    if sizes:
        raise DataError(
            "Maps of one id must have the same size. Resize them by nearest neighbour:", sizes
        )
    return warnings


def _missing(where: Maps, lost: Sequence[str], of: Maps, spare: Sequence[str]) -> list[str]:
    """One line for ids that `where` lacks: the first five, the count, and near matches."""
    if not lost:
        return []
    hints = near(lost[:_NAMED], spare)
    named = "; ".join(f"'{name}'{hint.rstrip('.')}" for name, hint in zip(lost, hints))
    more = f"; and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
    return [
        f"{where.path}: no map for {len(lost)} of {len(of.ids)} ids of {of.path}: {named}{more}."
    ]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_NAMED])
    return shown + (", ..." if len(names) > _NAMED else "")


def _size(maps: Maps, map_id: str) -> str:
    height, width = maps.shapes[map_id]
    return f"{width} x {height} pixels in {maps.path}"


def _check_ids(path: Path, found: Mapping[str, Any], names: Mapping[str, str]) -> None:
    if not all(found):
        raise DataError(f"{path}: a map without an id. Give every map a name.")
    seen: dict[str, str] = {}
    lines = [
        f"'{seen[form]}' and '{name}'"
        for name, form in names.items()
        if seen.setdefault(form, name) != name
    ]
    if lines:
        raise DataError(f"{path}: in Unicode form NFC, two ids become one. Rename one:", lines)


def _plain(values: NDArray) -> NDArray:
    """(H, W) numbers; grey pictures that were saved in colour are accepted.

    Raises:
        DataError: if there are several numbers per pixel.
    """
    if values.ndim == 3 and values.shape[2] in (2, 4) and (values[..., -1] == 255).all():
        values = values[..., :-1]
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2:
        raise DataError(
            "holds colours. A map has one number per pixel: replace each colour by its class "
            "number, or save it as a grey picture."
        )
    return values


def _of_kind(values: NDArray, kind: MapKind) -> NDArray:
    is_float = values.dtype.kind == "f"
    if values.dtype == bool:
        return values.astype(np.uint8 if kind == "mask" else np.float64)
    if values.dtype.kind not in "uif":
        raise DataError(f"has the type {values.dtype}. A map holds numbers.")
    if kind == "mask":
        if is_float:
            raise DataError(
                "holds floats. A mask holds class numbers: round them and save them as "
                "integers. Shares can be judged by eval --threshold."
            )
        _check_numbers(values)
        return values
    if is_float and not np.isfinite(values).all():
        raise DataError("holds NaN or infinite numbers. Replace them.")
    if kind == "value":
        return values if is_float else values.astype(np.float64)
    if values.dtype in (np.uint8, np.uint16):
        return values / np.float64(np.iinfo(values.dtype).max)
    low, high = values.min(initial=0), values.max(initial=0)
    if low < 0 or high > 1:
        raise DataError(
            f"holds numbers from {low:g} to {high:g}. Edge maps and probabilities lie in [0, 1], "
            "or are 8-bit or 16-bit pictures."
        )
    return values if is_float else values.astype(np.float64)


def _check_numbers(mask: NDArray[np.integer]) -> None:
    """Raise DataError if numbers cannot be those of classes."""
    if mask.dtype in (np.uint8, np.uint16):
        return
    low, high = int(mask.min(initial=0)), int(mask.max(initial=0))
    if low < 0 or high > LARGEST:
        raise DataError(
            f"holds numbers from {low} to {high}. Those of classes lie in 0 to {LARGEST}; where a "
            "pixel is of no class, store 255 and say --ignore 255."
        )
