"""Writes a data set as NumPy arrays: one `.npz` file, or a folder of `.npy` files."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dnncli.data.dataset import SPLITS, Dataset
from dnncli.data.labels import write_class_names
from dnncli.results import Progress, no_progress

_DATE = (1980, 1, 1, 0, 0, 0)  # the same data gives the same bytes


def write_arrays(
    dataset: Dataset,
    out: Path,
    *,
    shape: tuple[int, int, int],
    dtype: DTypeLike,
    picture: Callable[[int], NDArray],
    progress: Progress = no_progress,
) -> None:
    """Write x, y, ids (x_train, ... for declared splits), class names, groups and weights.

    Pictures are written one at a time, uncompressed, so that readers can memory-map them.

    Args:
        out: a file to write as `.npz`, or an empty folder to write `.npy` files into.
        shape: (H, W, C) of every picture.
        dtype: of the pictures.
        picture: row -> (H, W, C).

    Raises:
        DataError: if a class name has a line break and `out` is a folder.
    """
    done = 0
    with _store(out) as member:
        for split in ("", *SPLITS):
            rows = dataset.rows(split)
            if not len(rows):
                continue
            suffix = f"_{split}" if split else ""
            with member(f"x{suffix}") as file:
                header = {
                    "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
                    "fortran_order": False,
                    "shape": (len(rows), *shape),
                }
                np.lib.format.write_array_header_1_0(file, header)
                for row in rows.tolist():
                    file.write(np.ascontiguousarray(picture(row), dtype).tobytes())
                    done += 1
                    if done % 64 == 0 or done == len(dataset):
                        progress("Writing arrays", done, len(dataset))
            for name, values in _columns(dataset, rows):
                with member(f"{name}{suffix}") as file:
                    np.lib.format.write_array(file, values, allow_pickle=False)
        if not out.is_dir() and dataset.class_names:
            with member("class_names") as file:
                np.lib.format.write_array(file, np.array(dataset.class_names), allow_pickle=False)
    if out.is_dir() and dataset.class_names:
        write_class_names(out / "class_names.txt", dataset.class_names, numbered=False)


def _columns(dataset: Dataset, rows: NDArray[np.int64]) -> Iterator[tuple[str, NDArray]]:
    if (dataset.labels[rows] >= 0).all():
        yield "y", dataset.labels[rows]
    yield "ids", np.array([dataset.ids[row] for row in rows])
    if dataset.groups is not None:
        yield "groups", np.array([dataset.groups[row] for row in rows])
    if dataset.weights is not None:
        yield "sample_weight", dataset.weights[rows]


@contextmanager
def _store(out: Path) -> Iterator[Callable[[str], Any]]:
    """A call that opens one array for writing, by name."""
    if out.is_dir():
        yield lambda name: (out / f"{name}.npy").open("wb")
        return
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:

        def member(name: str) -> BinaryIO:
            info = zipfile.ZipInfo(f"{name}.npy", _DATE)
            return archive.open(info, "w", force_zip64=True)  # type: ignore[return-value]

        yield member
