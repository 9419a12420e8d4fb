"""Splitting as a call: counts, the file, and what is refused."""

import csv

import pytest

from dnncli.data.detect import open_dataset
from dnncli.errors import DataError
from dnncli.services.convert import convert
from dnncli.services.split import split


def test_declared_tests_stay_and_the_file_repeats_the_split(tmp_path):
    report = split("sample_data/fashion_mini", out=tmp_path / "split.csv", val=0.25, seed=1)
    assert sum(report.counts["test"].values()) == 100
    assert set(report.counts["val"].values()) == {10}
    assert set(report.counts["train"].values()) == {30}
    dataset = open_dataset("sample_data/fashion_mini", split_file=report.out)
    with (tmp_path / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["split"] for row in rows] == dataset.splits.tolist()
    assert [row["id"] for row in rows] == list(dataset.ids)


def test_a_split_file_fits_the_same_pictures_in_another_form(tmp_path):
    split("sample_data/fashion_mini", out=tmp_path / "split.csv")
    convert("sample_data/fashion_mini", tmp_path / "f.npz", to="numpy")
    first = open_dataset("sample_data/fashion_mini", split_file=tmp_path / "split.csv")
    second = open_dataset(tmp_path / "f.npz", split_file=tmp_path / "split.csv")
    assert first.splits.tolist() == second.splits.tolist()


def test_groups_are_written_and_kept_together(tmp_path):
    report = split(
        "sample_data/fashion_mini/train",
        out=tmp_path / "split.csv",
        group_by=r"/\d*(\d\d)\.png",
    )
    with (tmp_path / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    sides = {}
    for row in rows:
        sides.setdefault(row["group"], set()).add(row["split"])
    assert len(sides) == report.groups
    assert all(len(found) == 1 for found in sides.values())


def test_a_split_that_is_there_is_kept(tmp_path):
    out = tmp_path / "split.csv"
    split("sample_data/defects", out=out, seed=1)
    before = out.read_bytes()
    with pytest.raises(DataError, match="exists already"):
        split("sample_data/defects", out=out, seed=2)
    assert out.read_bytes() == before
    split("sample_data/defects", out=out, seed=2, overwrite=True)
    assert out.read_bytes() != before


def test_pictures_with_masks_are_counted_by_the_classes_in_them(tmp_path):
    report = split("sample_data/cracks_seg", out=tmp_path / "split.csv", val=0.2)
    assert report.rows == {"train": 32, "val": 8, "test": 12}
    assert report.counts["test"] == {"background": 12, "foreground": 9}
    dataset = open_dataset("sample_data/cracks_seg", split_file=report.out)
    assert len(dataset.rows("val")) == 8
