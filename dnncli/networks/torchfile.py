"""The tensors in a PyTorch checkpoint, read without PyTorch and without running its code."""

import io
import math
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import ModelError

_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of files from before PyTorch 1.6
_PROTOCOL = 1001
_KINDS = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}
_NESTED = ("state_dict", "model")  # keys under which training scripts keep the weights
# What damaged or unexpected bytes make of the reading; RuntimeError: an encrypted or unknown zip.
_BROKEN = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, IndexError),
    *(ValueError, TypeError, AttributeError, OSError, RuntimeError),
    *(OverflowError, MemoryError, SystemError),
)


class _Storage:
    """Numbers of one kind; a tensor is a view of one."""

    def __init__(self, kind: np.dtype, key: str) -> None:
        self.kind, self.key = kind, key
        self.numbers: NDArray = np.zeros(0, kind)


class _Tensor:
    """Where in a storage a tensor lies. Old files bring the numbers after the tensors."""

    def __init__(
        self,
        storage: _Storage,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        *_: Any,
    ) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> NDArray:
        numbers = self.storage.numbers
        if 0 in self.shape:
            return np.zeros(self.shape, numbers.dtype)
        if math.prod(self.shape) > len(numbers):  # with stride 0 they could fill any memory
            raise ValueError("a tensor reaches outside its numbers")
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides))
        if min((0, self.offset, *self.strides, *self.shape)) < 0 or not 0 <= last < len(numbers):
            raise ValueError("a tensor reaches outside its numbers")
        steps = [stride * numbers.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, steps).copy()


class _Unpickler(pickle.Unpickler):
    """Knows tensors and dictionaries; refuses everything else, so that no code can run."""

    def __init__(self, file: Any, storages: dict[str, _Storage]) -> None:
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # Never the class: a pickle may set attributes of what it is given.
            return lambda *arguments: _Tensor(*arguments)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if module == "torch" and name in _KINDS:
            return _KINDS[name]
        raise pickle.UnpicklingError(f"it holds more than tensors ({module}.{name})")

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, *_ = pid
        return self._storages.setdefault(key, _Storage(kind, key))


def read_tensors(path: Path) -> dict[str, NDArray]:
    """Every tensor of a state dictionary by its name, in the order of the file.

    Both formats are read: the zip archive that PyTorch has written since 1.6, and the one before.

    Args:
        path: a file of `torch.save(model.state_dict(), path)`.

    Raises:
        ModelError: if the file cannot be read, or holds objects other than tensors.
    """
    reader: Callable[[Path], Any] = _read_zip if zipfile.is_zipfile(path) else _read_old
    try:
        found = reader(path)
        for key in _NESTED:
            if isinstance(found.get(key), dict):
                found = found[key]
        return {
            name: tensor.array() for name, tensor in found.items() if isinstance(tensor, _Tensor)
        }
    except _BROKEN as error:
        raise ModelError(
            f"{path}: is not a PyTorch file of weights that can be read ({error}). Save the "
            "state dictionary alone: torch.save(model.state_dict(), path)."
        ) from error


def _read_zip(path: Path) -> Any:
    storages: dict[str, _Storage] = {}
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        inside = next((name for name in names if name.endswith("data.pkl")), "data.pkl")
        folder = inside.removesuffix("data.pkl")
        found = _Unpickler(io.BytesIO(archive.read(inside)), storages).load()
        for storage in storages.values():
            numbers = archive.read(f"{folder}data/{storage.key}")
            storage.numbers = np.frombuffer(numbers, storage.kind)
    return found


def _read_old(path: Path) -> Any:
    """Magic number, version, machine, tensors, keys of their numbers; then the numbers."""
    storages: dict[str, _Storage] = {}
    with path.open("rb") as file:
        if _plain(file) != _MAGIC or _plain(file) != _PROTOCOL:
            raise ValueError("it does not begin as such a file does")
        _plain(file)
        found = _Unpickler(file, storages).load()
        for key in _plain(file):
            storage = storages[key]
            size = int.from_bytes(file.read(8), "little") * storage.kind.itemsize
            if size > path.stat().st_size:
                raise ValueError("it ends too early")
            storage.numbers = np.frombuffer(file.read(size), storage.kind)
    return found


def _plain(file: BinaryIO) -> Any:
    return _Unpickler(file, {}).load()
