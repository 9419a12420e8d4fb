"""Reads pictures from NumPy arrays: one `.npz` file, or a folder of `.npy` files.

N rows, H and W in pixels, C channels, K classes.
"""

import hashlib
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli import archives
from dnncli.data.dataset import ArrayImages, Dataset
from dnncli.data.labels import array_labels, bind, by_position, read_class_names, texts
from dnncli.errors import SHOWN, DataError
from dnncli.results import Progress, no_progress

_WORDS = {"": ("",), "train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_BLOCK = 2**24  # bytes looked at together: as much of a memory-mapped array is in memory at a time
_LOADERS = Mapping[str, Callable[[], NDArray]]  # name of an array -> a call that opens it


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The arrays of one split."""

    split: str  # "" where none is declared
    name: str  # of x, for messages: "pets.npz: x_train"
    x: NDArray  # (N, H, W) or (N, H, W, C)
    y: NDArray | None
    ids: NDArray | None
    groups: NDArray | None
    weights: NDArray | None


def has_arrays(folder: Path) -> bool:
    """Whether a folder holds `.npy` files of pictures, by names that `read_arrays` knows."""
    found = {path.stem for path in folder.glob("*.npy")}
    return any(_find(found, "x", split) for split in _WORDS)


def read_arrays(
    path: Path,
    *,
    classes: Sequence[str] = (),
    labelled: bool = True,
    progress: Progress = no_progress,
) -> Dataset:
    """The pictures of an `.npz` file, or of a folder with `x.npy` and `y.npy`.

    The arrays of a folder, and those that an `.npz` holds uncompressed, stay on disk
    (memory-mapped). The id of a row comes from an `ids` array; else it is the number of the row,
    counted from 0, after the split if there is one: "12", "train/12".

    Args:
        classes: the classes in their order; empty: the data's `class_names`, else its labels.
            Where labels are numbers without names, number i is the i-th of them; but classes that
            are all numbers are the labels themselves.
        labelled: labels are needed.

    Raises:
        DataError: if an array is pickled, empty, of a wrong shape or type, holds NaN or infinite
            pixels, or the labels do not fit; naming the array and the first rows.
    """
    loaders = _folder(path) if path.is_dir() else npz_arrays(path)
    parts = [part for split in _WORDS if (part := _part(loaders, path, split, labelled=labelled))]
    if not parts:
        raise DataError(
            f"{path}: no array of pictures. Found: {', '.join(sorted(loaders)) or 'nothing'}. "
            "Known: x, y; x_train, y_train, x_val, y_val, x_test, y_test; or train_images, "
            "train_labels and so on."
        )
    parts = _alike(parts)
    counts = [len(part.x) for part in parts]
    ids = _ids(parts, path)
    own = _class_names(loaders, path)
    labels, class_names = array_labels(
        [(part.name.replace(": ", ": labels of "), part.y, len(part.x)) for part in parts],
        class_names=own or by_position(classes),
    )
    if classes:
        names = [class_names[label] if label >= 0 else None for label in labels.tolist()]
        labels, class_names = bind(names, classes=classes, root=path, where=ids.__getitem__)
    return Dataset(
        kind="numpy",
        root=path,
        ids=ids,
        labels=labels,
        class_names=class_names,
        splits=np.repeat(np.array([part.split for part in parts], "<U5"), counts),
        images=ArrayImages(
            arrays=tuple(part.x for part in parts),
            array=np.repeat(np.arange(len(parts), dtype=np.int32), counts),
            rows=np.concatenate([np.arange(count) for count in counts]),
        ),
        groups=_groups(parts),
        weights=_weights(parts),
        digests=_digests(parts, progress=progress),
    )


def _folder(path: Path) -> _LOADERS:
    return {file.stem: partial(_npy, file) for file in sorted(path.glob("*.npy"))}


def _npy(file: Path) -> NDArray:
    """A memory-mapped `.npy` file; an empty array, which cannot be mapped, is loaded."""
    try:
        return archives.sound_text(np.load(file, mmap_mode="r", allow_pickle=False))
    except archives.BROKEN:
        return _loaded(partial(_read, file), str(file))


def _read(file: Path) -> NDArray:
    with file.open("rb") as opened:
        if problem := archives.npy_problem(opened, file.stat().st_size):
            raise ValueError(problem)
    return archives.sound_text(np.load(file, allow_pickle=False))


def npz_arrays(path: Path) -> _LOADERS:
    """The arrays of an `.npz` by name: mapped where they are stored plainly, else loaded, on call.

    Raises:
        DataError: if the file is broken; on the call, if an array is, or holds pickled objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    except archives.BROKEN as error:
        raise DataError(
            f"{path}: is not a whole .npz file: {error}. Write it again with np.savez."
        ) from error
    return {info.filename.removesuffix(".npy"): partial(_member, path, info) for info in members}


def _member(path: Path, info: zipfile.ZipInfo) -> NDArray:
    """One array of an `.npz`: memory-mapped if it is stored uncompressed, else loaded."""
    name = info.filename.removesuffix(".npy")
    if info.compress_type == zipfile.ZIP_STORED and (mapped := _mapped(path, info)) is not None:
        return _loaded(partial(archives.sound_text, mapped), f"{path}: {name}")

    def load() -> NDArray:
        if problem := archives.npz_problem(path, (info.filename,)):
            raise DataError(f"{path}: {problem}.")
        with np.load(path, allow_pickle=False) as archive:
            return archives.sound_text(archive[name])

    return _loaded(load, f"{path}: {name}")


def _mapped(path: Path, info: zipfile.ZipInfo) -> NDArray | None:
    """A view of the bytes in the archive, or None if they are not a plain array."""
    with path.open("rb") as file:
        # The local header has 30 bytes, then the name and an extra field; their lengths are
        # at 26 and 28 and may differ from those of the central directory.
        file.seek(info.header_offset + 26)
        lengths = np.frombuffer(file.read(4), "<u2")
        begin = file.seek(info.header_offset + 30 + int(lengths.sum()))
        try:
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = read(file)
        except archives.BROKEN:
            return None
        size = math.prod(shape) * dtype.itemsize
        end = min(begin + info.file_size, path.stat().st_size)  # the directory may lie
        if dtype.hasobject or size == 0 or file.tell() + size > end:
            return None
        return np.memmap(
            path,
            dtype,
            mode="r",
            offset=file.tell(),
            shape=shape,
            order="F" if fortran else "C",
        )


def _loaded(load: Callable[[], NDArray], where: str) -> NDArray:
    try:
        return load()
    except archives.BROKEN as error:
        if "pickle" in str(error):
            raise DataError(
                f"{where}: holds pickled Python objects, which could run code when opened. Save "
                "it as numbers or text: np.stack(values) or np.array(values, dtype=str)."
            ) from error
        raise DataError(f"{where}: cannot be read: {error}.") from error


def _find(found: Sequence[str] | set[str] | _LOADERS, what: str, split: str) -> str:
    """The name under which `what` (x, y, ids ...) of a split is stored, or an empty string."""
    spellings = {"x": ("x", "X", "images"), "y": ("y", "Y", "labels")}.get(what, (what,))
    for word in _WORDS[split]:
        for spelling in spellings:
            for name in (f"{spelling}_{word}", f"{word}_{spelling}") if word else (spelling,):
                if name in found:
                    return name
    return ""


def _part(loaders: _LOADERS, path: Path, split: str, *, labelled: bool) -> _Part | None:
    name = _find(loaders, "x", split)
    if not name:
        return None
    others = {
        what: loaders[found]() if (found := _find(loaders, what, split)) else None
        for what in ("y", "ids", "groups", "sample_weight")
    }
    x = _pictures(loaders[name](), f"{path}: {name}")
    for what, array in others.items():
        rank = (1, 2) if what == "y" else (1,)
        if array is not None and (array.ndim not in rank or len(array) != len(x)):
            raise DataError(
                f"{path}: {name} has {len(x)} rows, {_find(loaders, what, split)} has shape "
                f"{array.shape}. Both need one entry for every picture."
            )
    if labelled and others["y"] is None:
        suffix = f"_{split}" if split else ""
        raise DataError(
            f"{path}: {name} has no labels. Found: {', '.join(sorted(loaders))}. "
            f"Add an array y{suffix} with one label for every row."
        )
    return _Part(
        split=split,
        name=f"{path}: {name}",
        x=x,
        y=others["y"],
        ids=others["ids"],
        groups=others["groups"],
        weights=others["sample_weight"],
    )


def _pictures(x: NDArray, where: str) -> NDArray:
    """`x` if it holds pictures; bool becomes 0 and 255, foreign byte order becomes native."""
    if x.dtype.kind not in "buif" or x.dtype.itemsize > 8:
        raise DataError(f"{where}: dtype {x.dtype} is no pixel. Allowed: bool, integers, floats.")
    shape = (
        f"{where}: shape {x.shape} is not (rows, height, width) or (rows, height, width, 1 or 3)"
    )
    if x.ndim == 4 and x.shape[3] == 4:
        raise DataError(f"{shape}: 4 channels. Drop the alpha channel first: x[..., :3].")
    if x.ndim == 4 and x.shape[3] not in (1, 3) and x.shape[1] in (1, 3):
        raise DataError(f"{shape}. Move the channels last: np.moveaxis(x, 1, -1).")
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3)):
        raise DataError(f"{shape}. Reshape it.")
    if x.size == 0:
        raise DataError(f"{where}: shape {x.shape} is empty. At least one picture is needed.")
    if x.dtype.kind == "b":
        return np.where(x, np.uint8(255), np.uint8(0))
    return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))


def _alike(parts: list[_Part]) -> list[_Part]:
    """The parts with one rank.

    Raises:
        DataError: if sizes, channels or types differ.
    """
    if len({part.x.ndim for part in parts}) > 1:
        parts = [
            replace(part, x=part.x if part.x.ndim == 4 else part.x[..., np.newaxis])
            for part in parts
        ]
    if len({(part.x.shape[1:], part.x.dtype) for part in parts}) > 1:
        lines = [f"{part.name}: {part.x.shape[1:]} {part.x.dtype}" for part in parts]
        raise DataError(
            "The arrays differ in picture size, channels or type. Make them alike:", lines
        )
    return parts


def _class_names(loaders: _LOADERS, path: Path) -> tuple[str, ...]:
    """`class_names` of the data: an array or, in a folder, a text file. Empty: there are none."""
    if "class_names" in loaders:
        names = tuple(texts(np.ravel(loaders["class_names"]())))
        if len(set(names)) < len(names):
            raise DataError(f"{path}: class_names holds a name twice: {', '.join(names)}.")
        return names
    for file in (path / "class_names.txt", path / "labels.txt"):
        if path.is_dir() and file.is_file():
            listed = read_class_names(file)
            if isinstance(listed, tuple):
                return listed
            return tuple(listed.get(index, str(index)) for index in range(max(listed) + 1))
    return ()


def _ids(parts: Sequence[_Part], path: Path) -> tuple[str, ...]:
    ids: list[str] = []
    for part in parts:
        if part.ids is None:
            prefix = f"{part.split}/" if part.split else ""
            ids += [f"{prefix}{row}" for row in range(len(part.x))]
        else:
            ids += texts(part.ids)
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        twice = [row_id for row_id in ids if row_id in seen or seen.add(row_id)]  # type: ignore[func-returns-value]
        raise DataError(f"{path}: ids that are given twice. Make them unique:", twice)
    return tuple(ids)


def _groups(parts: Sequence[_Part]) -> tuple[str, ...] | None:
    if all(part.groups is None for part in parts):
        return None
    groups: list[str] = []
    for part in parts:
        groups += [""] * len(part.x) if part.groups is None else texts(part.groups)
    return tuple(groups)


def _weights(parts: Sequence[_Part]) -> NDArray[np.float32] | None:
    if all(part.weights is None for part in parts):
        return None
    joined = []
    for part in parts:
        weights = np.ones(len(part.x), np.float32) if part.weights is None else part.weights
        if weights.ndim != 1 or weights.dtype.kind not in "buif":
            raise DataError(f"{part.name}: sample_weight must be numbers, shape ({len(part.x)},).")
        wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
        if len(wrong):
            lines = [f"row {row}: weight {weights[row]}" for row in wrong]
            raise DataError(f"{part.name}: weights must be finite and >= 0:", lines)
        joined.append(weights.astype(np.float32))
    return np.concatenate(joined)


def _digests(parts: Sequence[_Part], *, progress: Progress) -> tuple[bytes, ...]:
    """16 bytes for every row that are equal where the pixels are equal.

    Raises:
        DataError: if pixels are NaN or infinite; naming the first rows.
    """
    digests: list[bytes] = []
    total = sum(len(part.x) for part in parts)
    for part in parts:
        bad: list[int] = []
        step = max(1, _BLOCK // max(1, part.x[0].nbytes))
        for start in range(0, len(part.x), step):
            block = _block(part.x, start, min(start + step, len(part.x)))
            if block.dtype.kind == "f":
                finite = np.isfinite(block).all(axis=tuple(range(1, block.ndim)))
                bad += (start + np.flatnonzero(~finite)).tolist()
            digests += [hashlib.blake2b(row, digest_size=16).digest() for row in block]
            progress("Checking pixels", len(digests), total)
        if bad:
            rows = ", ".join(map(str, bad[:SHOWN])) + (", ..." if len(bad) > SHOWN else "")
            raise DataError(
                f"{part.name}: NaN or infinite pixels in {len(bad)} of {len(part.x)} rows "
                f"(counted from 0): {rows}. Replace or remove them."
            )
    return tuple(digests)


def _block(x: NDArray, start: int, stop: int) -> NDArray:
    """Rows of an array; those of a mapped file are read, so that its pages do not pile up."""
    if isinstance(x, np.memmap) and x.flags.c_contiguous and x.filename is not None:
        count, row = (stop - start) * x[0].size, x[0].nbytes
        values = np.fromfile(x.filename, x.dtype, count, offset=x.offset + start * row)
        return values.reshape(-1, *x.shape[1:])
    return np.ascontiguousarray(x[start:stop])
