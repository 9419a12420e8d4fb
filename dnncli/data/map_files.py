"""Finds maps in a folder of pictures or an .npz: how large they are, and how each is read."""

import json
import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli import archives
from dnncli.data.arrays import npz_arrays
from dnncli.data.dataset import FileImages, Problem
from dnncli.data.decode import upright
from dnncli.data.folder import read_folder
from dnncli.data.header import PILLOW_ERRORS, opened, sniff
from dnncli.errors import DataError
from dnncli.results import Progress

CLASSES_FILE = "classes.json"  # beside masks, or up to two folders above them
NPZ_KEY = "dnncli"  # of the JSON text in an .npz

_NO_MAPS = ("class_names", NPZ_KEY)  # arrays of an .npz that are no map
_LOSSLESS = ("PNG", "TIFF", "BMP", "GIF", "PPM")  # others change the numbers


@dataclass(frozen=True, kw_only=True)
class FoundMap:
    """One map: where it came from, how large it is, and how it is read."""

    where: str
    shape: tuple[int, int]
    load: Callable[[], NDArray]


def folder_maps(
    path: Path, *, is_mask: bool, max_pixels: int, progress: Progress
) -> dict[str, FoundMap]:
    """The pictures in a folder and all folders in it, by path without suffix.

    Raises:
        DataError: naming what cannot be read, and ids that occur twice.
    """
    found, unreadable = readable_maps(
        path, is_mask=is_mask, max_pixels=max_pixels, progress=progress
    )
    if unreadable:
        lines = [str(problem) for problem in unreadable]
        raise DataError(f"{path}: maps that cannot be read. Repair or remove them:", lines)
    return found


def readable_maps(
    path: Path, *, is_mask: bool, max_pixels: int, progress: Progress
) -> tuple[dict[str, FoundMap], tuple[Problem, ...]]:
    """The same for those that can be read, and what is wrong with the others.

    Raises:
        DataError: naming ids that occur twice, or if none can be read.
    """
    pictures = read_folder(path, labelled=False, max_pixels=max_pixels, progress=progress)
    images = pictures.images
    if not isinstance(images, FileImages):
        raise TypeError("a folder must give files.")
    found: dict[str, FoundMap] = {}
    twice: defaultdict[str, list[str]] = defaultdict(list)
    for row, (name, shape) in enumerate(zip(pictures.ids, images.sizes.tolist(), strict=True)):
        stem = PurePosixPath(name).with_suffix("").as_posix()
        if stem in found:
            twice[stem].append(name)
            continue
        load = partial(_picture, Path(images.path(row)), is_mask=is_mask)
        found[stem] = FoundMap(where=name, shape=(shape[0], shape[1]), load=load)
    if twice:
        lines = [
            f"'{stem}': {found[stem].where}, {', '.join(more)}" for stem, more in twice.items()
        ]
        raise DataError(f"{path}: several maps of the same id. Keep one of each:", lines)
    return found, tuple(p for p in pictures.problems if p.action == "skipped")


def npz_maps(path: Path) -> dict[str, FoundMap]:
    """The maps of an .npz by id.

    Raises:
        DataError: if it is broken, or its arrays are no maps.
    """
    arrays = npz_arrays(path)
    if "maps" in arrays:
        return _stacked(path, arrays)
    names = [name for name in arrays if name not in _NO_MAPS]
    if not names:
        raise DataError(f"{path}: holds no map. Needed: ids and maps, or one (H, W) array per id.")
    shapes = _header_shapes(path, names)
    wrong = [f"'{name}' has the shape {shapes[name]}" for name in names if _flat(shapes[name])]
    if wrong:
        raise DataError(f"{path}: maps must be (H, W), one number per pixel:", wrong)
    return {
        name: FoundMap(where=name, shape=shapes[name][:2], load=arrays[name])  # type: ignore[arg-type]
        for name in names
    }


def _stacked(path: Path, arrays: Mapping[str, Callable[[], NDArray]]) -> dict[str, FoundMap]:
    """The arrays `ids` and `maps`."""
    if "ids" not in arrays:
        raise DataError(f"{path}: has maps but no ids. Add an array ids with one name per map.")
    ids = np.ravel(arrays["ids"]()).astype(str).tolist()
    shape = _header_shapes(path, ["maps"])["maps"]
    if _flat(shape[1:]) or len(shape) < 3 or shape[0] != len(ids):
        raise DataError(f"{path}: maps must be ({len(ids)}, H, W) for {len(ids)} ids. Got {shape}.")
    if len(set(ids)) < len(ids):
        twice = sorted({f"'{name}'" for name in ids if ids.count(name) > 1})
        raise DataError(f"{path}: ids that occur more than once. Keep one of each:", twice)
    whole = cache(arrays["maps"])  # a compressed array can only be read as a whole
    return {
        name: FoundMap(where=name, shape=shape[1:3], load=partial(_row, whole, row))  # type: ignore[arg-type]
        for row, name in enumerate(ids)
    }


def _row(whole: Callable[[], NDArray], row: int) -> NDArray:
    return np.asarray(whole()[row])


def _flat(shape: Sequence[int]) -> bool:
    """Whether a map of this shape is not one of one number per pixel."""
    return not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 1)) or 0 in shape


def _header_shapes(path: Path, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Shapes of arrays of an .npz, from their headers alone."""
    shapes = {}
    name = ""
    try:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                with archive.open(f"{name}.npy") as file:
                    version = np.lib.format.read_magic(file)
                    read = np.lib.format.read_array_header_1_0
                    if version != (1, 0):
                        read = np.lib.format.read_array_header_2_0
                    shapes[name] = read(file)[0]
    except archives.BROKEN as error:
        raise DataError(f"{path}: '{name}' is no NumPy array ({error}).") from error
    return shapes


def _picture(file: Path, *, is_mask: bool) -> NDArray:
    """The numbers of a picture, not its colours: a palette gives its indices in masks."""
    data = file.read_bytes()
    form = sniff(data)
    if is_mask and form not in _LOSSLESS:
        raise DataError(f"{form} changes the numbers of pixels. Save masks as PNG.")
    try:
        image = opened(data, form)
        image.load()
        image = upright(image)
        if image.mode in ("P", "PA") and not is_mask:
            image = image.convert("RGB")
        return np.asarray(image)
    except PILLOW_ERRORS as error:
        raise DataError(f"damaged {form}: {error or type(error).__name__}.") from error


def map_classes(path: Path) -> tuple[tuple[str, ...], int | None]:
    """Declared class names and the void value; nothing where none are declared.

    Raises:
        DataError: if they cannot be used.
    """
    if path.suffix == ".npz" and path.is_file():
        arrays = npz_arrays(path)
        names = arrays["class_names"]().astype(str).tolist() if "class_names" in arrays else []
        text = str(arrays[NPZ_KEY]()) if NPZ_KEY in arrays else "{}"
        entry = _parsed(path, text)
        return _checked_classes(path, {"classes": names} | entry)
    absolute = path.absolute()
    for folder in (absolute, *absolute.parents[:2]):
        file = folder / CLASSES_FILE
        if file.is_file():
            return _checked_classes(file, _parsed(file, file.read_text("utf-8-sig")))
    return (), None


def _parsed(file: Path, text: str) -> dict[str, Any]:
    try:
        entry = json.loads(text)
    except ValueError as error:
        raise DataError(f"{file}: is not JSON ({error}).") from error
    return {"classes": entry} if isinstance(entry, list) else entry


def _checked_classes(file: Path, entry: Any) -> tuple[tuple[str, ...], int | None]:
    example = '{"classes": ["sky", "road", "void"], "ignore": 2}'
    names, void = (
        (entry.get("classes", []), entry.get("ignore")) if isinstance(entry, dict) else (0, 0)
    )
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise DataError(f"{file}: classes must be a list of names, as in {example}.")
    if len(set(names)) < len(names):
        raise DataError(f"{file}: a class is named twice. Name every class once.")
    if void is not None and (not isinstance(void, int) or isinstance(void, bool) or void < 0):
        raise DataError(f"{file}: ignore must be a whole number >= 0, as in {example}.")
    return tuple(names), void
