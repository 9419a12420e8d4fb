"""Archives are judged by what they declare, before anything is unpacked."""

import io
import struct
import zipfile

import numpy as np
import pytest

from dnncli import archives
from dnncli.data.arrays import npz_arrays, read_arrays
from dnncli.data.npzfile import read_npz
from dnncli.errors import DataError, ModelError
from dnncli.training import backup


def declared(shape, *, there=8):
    """An .npy that declares float64 numbers of a shape, and holds a few bytes of them."""
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + bytes(there)


def npz(path, method=zipfile.ZIP_DEFLATED, **members):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", [(10**12,), (2**40, 2**40), (10**6, 10**6, 3)])
def test_a_header_that_declares_more_than_is_there_is_refused(tmp_path, method, shape):
    path = npz(tmp_path / "d.npz", method, x=declared(shape), ids=declared(shape))
    with pytest.raises(DataError, match="bytes of numbers"):
        read_arrays(path, labelled=False)
    with pytest.raises(DataError, match="bytes of numbers"):
        read_npz(path, key="dnncli")


def test_a_header_alone_in_a_folder_is_refused(tmp_path):
    (tmp_path / "x.npy").write_bytes(declared((10**12, 8, 8)))
    with pytest.raises(DataError, match="bytes of numbers"):
        read_arrays(tmp_path, labelled=False)


def test_members_larger_than_the_memory_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "free_memory", lambda: 4_000_000)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.zeros((100, 32, 32, 3)), y=np.zeros(100))
    (tmp_path / "d.npz").write_bytes(buffer.getvalue())
    assert len(buffer.getvalue()) < 10_000
    for read in (npz_arrays(tmp_path / "d.npz")["x"], lambda: read_npz(tmp_path / "d.npz", key="")):
        with pytest.raises(DataError, match=r"unpacks to 0\.0 GB; 0\.0 GB of memory are free"):
            read()


def test_a_directory_that_lies_about_a_stored_member_reads_nothing_beyond_the_file(tmp_path):
    data = declared((1000, 8, 8), there=1000 * 64 * 8)
    path = npz(tmp_path / "d.npz", zipfile.ZIP_STORED, x=data)
    whole = path.read_bytes()
    short = declared((10**9, 8, 8), there=0)
    path.write_bytes(whole.replace(data[: len(short)], short))
    with pytest.raises(DataError, match="x"):
        read_arrays(path, labelled=False)


def test_a_backup_with_a_bomb_is_refused(tmp_path):
    path = npz(tmp_path / "state.npz", state=declared((10**12,)))
    with pytest.raises(ModelError, match="bytes of numbers"):
        backup.load(path)


def test_encrypted_and_unknown_members_are_named(tmp_path):
    path = npz(tmp_path / "d.npz", x=declared((1, 1, 1)))
    whole = bytearray(path.read_bytes())
    for flag, at in ((1, 6), (99, 8)):  # encrypted; method 99
        broken = bytearray(whole)
        struct.pack_into("<H", broken, at, flag)
        struct.pack_into("<H", broken, whole.rindex(b"PK\1\2") + at + 2, flag)
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"d\.npz"):
            read_arrays(path, labelled=False)
        with pytest.raises(DataError, match=r"d\.npz"):
            read_npz(path, key="dnncli")


def test_free_memory_is_known_here_and_less_than_a_petabyte():
    free = archives.free_memory()
    assert free is None or 0 < free < 1e15
