"""Where decoded pictures are kept."""

import numpy as np
import pytest

from dnncli.data import cache
from dnncli.data.cache import Room
from dnncli.errors import DataError


@pytest.mark.parametrize(
    ("kind", "needed", "free", "place"),
    [
        ("auto", 100, 0, "memory"),
        ("auto", 101, 202, "disk"),
        ("auto", 101, 201, "none"),
        ("memory", 10**12, 0, "memory"),
        ("disk", 1, 10, "disk"),
        ("none", 1, 10**12, "none"),
    ],
)
def test_pictures_are_kept_in_memory_else_on_the_disk_else_nowhere(
    kind, needed, free, place, monkeypatch
):
    monkeypatch.setattr(Room, "free_bytes", lambda self: free)
    assert Room(kind=kind, memory_bytes=100).place(needed) == place


def test_the_file_has_no_name_and_holds_what_is_written(tmp_path):
    room = Room(folder=tmp_path / "not" / "there")
    array = room.allocate((3, 5, 2), np.float32, place="disk")
    assert not array.any()
    array[1] = 7
    assert (array.dtype, array[1].sum(), list(tmp_path.iterdir())) == (np.float32, 70, [])


def test_nothing_needs_no_file(tmp_path):
    room = Room(folder=tmp_path)
    assert room.allocate((0, 4), np.uint8, place="disk").shape == (0, 4)
    assert room.allocate((2, 4), np.uint8, place="memory").shape == (2, 4)


def test_a_full_disk_is_told_before_training(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"no room for 0\.00 GB.*No space left.*--cache none"):
        Room(folder=tmp_path).allocate((8,), np.uint8, place="disk")
    assert not list(tmp_path.iterdir())


def test_the_disk_is_that_of_the_nearest_folder(tmp_path):
    assert Room(folder=tmp_path / "a" / "b").free_bytes() > 0
