"""Copies of variables that are seldom read again: large ones wait in a file, not in memory."""

import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, overload

import numpy as np
from numpy.typing import NDArray

IN_MEMORY = 2**25  # bytes that may stay there: 32 MiB


class Aside(Sequence[NDArray]):
    """Copies of Keras variables as they are now, to be read one by one.

    Args:
        variables: copied one at a time.
        folder: where the file lies; it has no name there and goes with this object.
    """

    def __init__(self, variables: Sequence[Any], *, folder: Path) -> None:
        self._forms = [(tuple(value.shape), np.dtype(value.dtype)) for value in variables]
        sizes = [int(np.prod(shape)) * dtype.itemsize for shape, dtype in self._forms]
        self._starts = np.cumsum([0, *sizes])
        self._copies: list[NDArray] = []
        self._file: IO[bytes] | None = None
        if self._starts[-1] > IN_MEMORY:
            self._file = _filled(variables, folder)
        if self._file is not None:
            weakref.finalize(self, self._file.close)
        else:
            self._copies = [np.array(value.numpy()) for value in variables]

    def __len__(self) -> int:
        return len(self._forms)

    @overload
    def __getitem__(self, index: int) -> NDArray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[NDArray]: ...
    def __getitem__(self, index: int | slice) -> NDArray | Sequence[NDArray]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if self._file is None:
            return self._copies[index]
        index = range(len(self))[index]
        shape, dtype = self._forms[index]
        start, end = (int(place) for place in self._starts[index : index + 2])
        self._file.seek(start)
        return np.frombuffer(self._file.read(end - start), dtype).reshape(shape)


def _filled(variables: Sequence[Any], folder: Path) -> IO[bytes] | None:
    """The file with all values; None if there is no room for it."""
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed with the copies)
        for value in variables:
            file.write(np.ascontiguousarray(value.numpy()).data)
        file.flush()
    except OSError:  # a full disk is no reason to stop training
        return None
    return file
