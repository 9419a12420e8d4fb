"""What a ZIP archive would do to memory and disk, known from its directory before it is unpacked.

Archives come from strangers: a file of a few kilobytes can declare terabytes.
"""

import math
import os
import re
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

# What the standard library raises for damaged, encrypted or unknown archives.
BROKEN = (
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, KeyError),
    *(NotImplementedError, RuntimeError, OverflowError, MemoryError),
    *(tokenize.TokenError, SyntaxError, TypeError, SystemError),  # of the headers of arrays
)

_SHARE = 0.5  # of the free memory that one file may fill: its numbers are copied once on the way
_HEADERS: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_CGROUPS = (  # limit and use of version 2 and 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def free_memory() -> int | None:
    """Bytes that this process may still fill; None where the system does not say."""
    found = []
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        found += [int(size) * 1024 for size in re.findall(r"MemAvailable:\s+(\d+) kB", text)]
    except OSError:
        if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
            found.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit, used in _CGROUPS:
        try:
            both = [int(Path(file).read_text(encoding="ascii")) for file in (limit, used)]
        except (OSError, ValueError):  # not limited ("max"), or another version
            continue
        found.append(max(both[0] - both[1], 0))
    return min(found, default=None)


def too_large(size: int) -> str:
    """Why `size` bytes are not unpacked into memory; empty if there is room."""
    free = free_memory()
    if free is None or size <= free * _SHARE:
        return ""
    return (
        f"it unpacks to {size / 1e9:,.1f} GB; {free / 1e9:,.1f} GB of memory are free, of which "
        "half may be filled. Make it smaller, or free memory"
    )


def npy_problem(file: BinaryIO, size: int) -> str:
    """Why `size` bytes of a file are not the array that their header declares; empty if they are.

    NumPy makes room for what the header declares before it reads.

    Raises:
        ValueError: if there is no header that can be read.
    """
    begin = file.tell()
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        return ""  # rare, and NumPy says what it is
    shape, _, dtype = _HEADERS[version](file)
    needed = math.prod(shape) * dtype.itemsize
    there = size - (file.tell() - begin)
    if dtype.hasobject or needed <= there:
        return ""
    return f"its header declares {needed:,} bytes of numbers {shape}, and {there:,} are there"


def sound_text(array: NDArray) -> NDArray:
    """`array`, if it is no text or text that Python can hold.

    Raises:
        ValueError: if it holds numbers that are no characters.
    """
    if array.dtype.kind == "U" and array.size:
        codes = np.ascontiguousarray(array).view(array.dtype.byteorder + "u4")
        if codes.max() > sys.maxunicode:
            raise ValueError("it holds text of characters that do not exist")
    return array


def npz_problem(path: Path, names: Iterable[str] | None = None) -> str:
    """Why arrays of an .npz are not loaded into memory; empty if they may be.

    Args:
        path: of the file.
        names: members, with their suffix; None: all.

    Raises:
        any of BROKEN: if the archive or a header cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        members = [
            member
            for member in archive.infolist()
            if member.filename.endswith(".npy") and (names is None or member.filename in names)
        ]
        # `zipfile` reads no more of a member than the directory declares.
        if problem := too_large(sum(member.file_size for member in members)):
            return problem
        for member in members:
            with archive.open(member) as file:
                if problem := npy_problem(file, member.file_size):  # type: ignore[arg-type]
                    return f"{member.filename}: {problem}"
    return ""


def unsafe_names(members: Iterable[zipfile.ZipInfo]) -> list[str]:
    """Names of members that lie outside of the folder an archive is unpacked into, and links."""
    return [
        member.filename
        for member in members
        if member.filename.startswith(("/", "\\"))
        or re.match(r"[A-Za-z]:", member.filename)
        or ".." in re.split(r"[/\\]", member.filename)
        or (member.external_attr >> 16) & 0o170000 == 0o120000
    ]
