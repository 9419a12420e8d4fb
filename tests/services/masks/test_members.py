"""Runs of masks in a consensus: predicted once, judged on the data set."""

import shutil

import numpy as np
import pytest
from pixel_support import dark_square, read_png, write_pairs, write_run

import dnncli
from dnncli.errors import ConfigError
from dnncli.services.masks.members import predicted_maps


@pytest.fixture
def data(tmp_path):
    return write_pairs(tmp_path / "data", a=dark_square(), b=dark_square(30, 18))


def test_runs_are_joined_and_judged_on_their_data(data, tmp_path):
    runs = [write_run(tmp_path / "runs" / name, data) for name in ("one", "two")]
    found = dnncli.consensus(runs, out=tmp_path / "out")
    assert found.models == ("one", "two")
    assert found.scores.per_class["foreground"].dice == 1
    np.testing.assert_array_equal(
        read_png(tmp_path / "out" / "maps" / "a.png") > 0, read_png(data / "masks" / "a.png") > 0
    )


def test_no_run_is_asked_twice(data, tmp_path):
    runs = [write_run(tmp_path / "runs" / name, data) for name in ("one", "two")]
    assert predicted_maps(runs).computed == 2
    again = predicted_maps(runs)
    assert again.computed == 0
    assert [folder.name for folder in again.folders] == ["one", "two"]
    write_run(runs[0], data, overlap=0.5)
    assert predicted_maps(runs).computed == 1
    assert len(list((runs[0] / "predictions").iterdir())) == 1


def test_edges_are_averaged(data, tmp_path):
    (data / "masks").rename(data / "edges")
    runs = [write_run(tmp_path / "runs" / name, data, task="edges") for name in ("one", "two")]
    found = dnncli.consensus(runs, out=tmp_path / "out")
    assert (found.kind, found.method) == ("edge", "mean")
    np.testing.assert_array_equal(
        read_png(tmp_path / "out" / "maps" / "a.png"), read_png(data / "edges" / "a.png")
    )


def test_models_of_different_tasks_are_not_joined(data, tmp_path):
    shutil.copytree(data / "masks", data / "edges")
    masks = write_run(tmp_path / "runs" / "masks", data)
    edges = write_run(tmp_path / "runs" / "edges", data, task="edges")
    with pytest.raises(ConfigError, match="different tasks"):
        dnncli.consensus([masks, edges])
    with pytest.raises(ConfigError, match="--tta: is not for runs of masks"):
        dnncli.consensus([masks, write_run(tmp_path / "runs" / "two", data)], tta=2)
