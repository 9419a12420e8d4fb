"""Writes masks, edge maps and value maps: a folder of PNGs, or an .npz."""

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from dnncli.data.map_files import CLASSES_FILE, NPZ_KEY
from dnncli.errors import DataError
from dnncli.results import to_json, written, written_folder

_RESERVED = ("ids", "maps", "class_names", "labels", "probs", "members", NPZ_KEY)
_DATE = (1980, 1, 1, 0, 0, 0)  # the same maps give the same bytes


def write_maps(
    path: Path,
    maps: Iterable[tuple[str, NDArray]],
    *,
    class_names: Sequence[str] = (),
    void: int | None = None,
) -> int:
    """Write maps that `open_maps` reads back, one at a time; all of them or none.

    Args:
        path: an `.npz` file, or a folder that gets one PNG per id.
        maps: id and (H, W) map. In PNGs, whole numbers from 0 to 65535 are stored as they are (8
            bits where all of a map fit), floats in [0, 1] as 0 to 255. An .npz holds any numbers.
        class_names: of the mask values 0, 1, ...; written beside the masks.
        void: the mask value that is no class: undecided, or not to be judged.

    Returns:
        How many were written.

    Raises:
        DataError: if the folder holds something already, an id cannot be the name of a file, or a
            map does not fit into a PNG.
    """
    if path.suffix == ".npz":
        with written(path) as neighbour, _archive(neighbour) as put:
            return _write(maps, put, class_names, void)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DataError(f"{path}: exists and is not empty. Give another name.")
    with written_folder(path) as folder:
        return _write(maps, lambda name, values: _save(folder, name, values), class_names, void)


def png_values(values: NDArray) -> NDArray:
    """A map as the numbers of a PNG, uint8 or uint16.

    Raises:
        ValueError: if it is no map, or its numbers do not fit.
    """
    if values.ndim != 2:
        raise ValueError(f"a map must be (H, W). Got {values.shape}.")
    low, high = values.min(initial=0), values.max(initial=0)
    if values.dtype.kind == "f":
        if not (low >= 0 and high <= 1):  # also NaN
            raise ValueError(f"floats must lie in [0, 1]. Got {low:g} to {high:g}.")
        return np.round(values * 255).astype(np.uint8)
    if low < 0 or high > 65535:
        raise ValueError(f"numbers must lie in 0 to 65535. Got {low} to {high}.")
    return values.astype(np.uint8 if high <= 255 else np.uint16)


def _write(
    maps: Iterable[tuple[str, NDArray]],
    put: Callable[[str, NDArray | str], None],
    class_names: Sequence[str],
    void: int | None,
) -> int:
    count = 0
    for name, values in maps:
        put(name, values)
        count += 1
    if class_names or void is not None:
        put("", to_json({"classes": list(class_names), "ignore": void}))
    return count


def _save(folder: Path, name: str, values: NDArray | str) -> None:
    from PIL import Image

    if isinstance(values, str):
        (folder / CLASSES_FILE).write_text(values + "\n", encoding="utf-8")
        return
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or "\0" in name or str(place) != name:
        raise DataError(f"id '{name}': cannot be the name of a file. Write an .npz, or rename it.")
    file = folder / f"{name}.png"
    try:
        numbers = png_values(values)
    except ValueError as error:
        raise DataError(f"id '{name}': {error} Write an .npz.") from error
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(numbers).save(file)


@contextmanager
def _archive(file: Path) -> Iterator[Callable[[str, NDArray | str], None]]:
    """A call that adds one array to an .npz."""
    with zipfile.ZipFile(file, "w") as archive:

        def put(name: str, values: NDArray | str) -> None:
            if name in _RESERVED:
                raise DataError(f"id '{name}': has a meaning of its own in an .npz. Rename it.")
            array = np.array(values) if isinstance(values, str) else values
            info = zipfile.ZipInfo(f"{name or NPZ_KEY}.npy", _DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)

        yield put
