"""Where decoded pictures are kept: in memory, or in a file that is mapped into it.

The file has no name from the beginning on, so that nothing is left behind however a process ends.
"""

import mmap
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import DataError

Kind = Literal["auto", "memory", "disk", "none"]
Place = Literal["memory", "disk", "none"]

_SPARE = 2  # the disk is asked for so many times what is needed, where nobody chose it


@dataclass(frozen=True, kw_only=True)
class Room:
    """How much may be kept, and where."""

    kind: Kind = "auto"
    memory_bytes: int = 0  # auto: no more than this in memory
    folder: Path = Path()  # on the disk that may be used; the nearest part of it that exists

    def place(self, needed: int) -> Place:
        """Where `needed` bytes are kept; auto: memory, else disk, else nowhere."""
        if self.kind != "auto":
            return self.kind
        if needed <= self.memory_bytes:
            return "memory"
        return "disk" if needed * _SPARE <= self.free_bytes() else "none"

    def free_bytes(self) -> int:
        """Of the disk."""
        return shutil.disk_usage(self._there()).free

    def allocate(self, shape: Sequence[int], dtype: Any, *, place: Place) -> NDArray:
        """An array of zeros in memory or on the disk.

        Raises:
            DataError: if the disk has no room for it.
        """
        size = prod(shape) * np.dtype(dtype).itemsize
        if place == "memory" or not size:
            return np.zeros(shape, dtype)
        folder = self._there()
        try:
            handle, name = tempfile.mkstemp(prefix=".dnncli-cache-", dir=folder)
            try:
                Path(name).unlink()
                _reserve(handle, size)
                mapped = mmap.mmap(handle, size)
            finally:
                os.close(handle)
        except OSError as error:
            raise DataError(
                f"{folder}: no room for {size / 1e9:.2f} GB of decoded pictures ({error}). Free "
                "some, or decode them anew in every epoch with --cache none."
            ) from error
        return np.frombuffer(mapped, dtype).reshape(shape)

    def _there(self) -> Path:
        folder = self.folder.absolute()
        while not folder.is_dir():
            folder = folder.parent
        return folder


def _reserve(handle: int, size: int) -> None:
    """Make a file so large; where the system can, with all of its room on the disk."""
    if hasattr(os, "posix_fallocate"):
        # Otherwise a full disk would end the process in the middle of an epoch.
        os.posix_fallocate(handle, 0, size)
    else:
        os.ftruncate(handle, size)
