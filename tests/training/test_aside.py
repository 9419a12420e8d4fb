"""Copies of variables, in memory or in a file."""

import keras
import numpy as np
import pytest

from dnncli.training import aside
from dnncli.training.aside import Aside


@pytest.fixture
def variables():
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(3, 4)), rng.normal(size=()), rng.normal(size=(0, 2)), [7, 8]]
    return [keras.Variable(value, dtype="float32") for value in values]


@pytest.mark.parametrize("limit", [0, 2**20])
def test_copies_stay_as_they_were(variables, limit, tmp_path, monkeypatch):
    monkeypatch.setattr(aside, "IN_MEMORY", limit)
    expected = [value.numpy().copy() for value in variables]
    copies = Aside(variables, folder=tmp_path)
    for value in variables:
        value.assign(value + 1)
    assert len(copies) == 4
    for copy, value in zip(copies, expected, strict=True):
        assert copy.dtype == value.dtype and np.array_equal(copy, value)
    assert np.array_equal(copies[-1], [7, 8])  # in any order
    assert np.array_equal(copies[1:][0], expected[1])
    assert not list(tmp_path.iterdir())  # the file has no name


def test_large_copies_are_not_in_memory(variables, tmp_path, monkeypatch):
    monkeypatch.setattr(aside, "IN_MEMORY", 59)  # 60 bytes are 15 numbers
    assert not Aside(variables, folder=tmp_path)._copies
    monkeypatch.setattr(aside, "IN_MEMORY", 60)
    assert Aside(variables, folder=tmp_path)._copies


def test_without_room_on_the_disk_they_stay_in_memory(variables, tmp_path, monkeypatch):
    monkeypatch.setattr(aside, "IN_MEMORY", 0)
    copies = Aside(variables, folder=tmp_path / "not there")
    assert np.array_equal(copies[3], [7, 8])
