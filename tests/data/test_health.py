"""Copies, leaks, conflicts and counts of a data set."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from map_support import write_pictures
from PIL import Image

from dnncli.data.dataset import ArrayImages, Dataset, FileImages
from dnncli.data.detect import open_dataset
from dnncli.data.folder import read_folder
from dnncli.data.health import health, pixel_duplicates


def arrays(contents, labels, splits=None, *, class_names=("a", "b")):
    """A NumPy data set of 2 x 3 grey pictures filled with `contents`."""
    n = len(contents)
    pictures = np.repeat(np.array(contents, np.uint8), 6).reshape(n, 2, 3)
    return Dataset(
        kind="numpy",
        root=Path("x.npz"),
        ids=tuple(f"r{row}" for row in range(n)),
        labels=np.array(labels, np.int32),
        class_names=class_names,
        splits=np.array(splits or [""] * n),
        images=ArrayImages(
            arrays=(pictures,), array=np.zeros(n, np.int32), rows=np.arange(n, dtype=np.int64)
        ),
        digests=tuple(bytes([content]) for content in contents),
    )


def test_a_clean_set_has_nothing_to_tell():
    report = health(arrays([1, 2, 3, 4], [0, 0, 1, 1]))
    assert (report.rows, report.splits, report.imbalance) == (4, {"": 4}, 1.0)
    assert report.classes == {"a": {"": 2}, "b": {"": 2}}
    assert report.duplicates == report.leaks == report.conflicts == ()
    assert (report.grey, report.colour, report.missing, report.leaked) == (4, 0, {}, {})
    assert report.sizes.median == (2, 3)


def test_copies_leaks_and_conflicts_worked_out_by_hand():
    report = health(
        arrays(
            [1, 1, 2, 3, 1, 2, 3, 3, 9],
            [0, 0, 0, 0, 0, 1, 0, 0, 1],
            ["train"] * 4 + ["val"] * 2 + ["test"] * 3,
        )
    )
    assert report.duplicates == (("r0", "r1", "r4"), ("r2", "r5"), ("r3", "r6", "r7"))
    assert report.leaks == report.duplicates
    assert report.leaked == {"val": 2, "test": 2}
    assert report.conflicts == (("r2", "r5"),)
    assert report.missing == {"train": ("b",)}
    assert report.imbalance == 7 / 2


def test_copies_inside_one_split_are_no_leak():
    report = health(arrays([1, 1, 2], [0, 0, 1], ["train", "train", "test"]))
    assert report.duplicates == (("r0", "r1"),)
    assert (report.leaks, report.leaked) == ((), {"test": 0})


def test_rows_without_label_are_counted_and_never_in_conflict():
    report = health(arrays([1, 1], [0, -1]))
    assert (report.unlabelled, report.conflicts) == (1, ())
    assert report.duplicates == (("r0", "r1"),)


def test_without_digests_nothing_was_compared():
    report = health(replace(arrays([1, 1], [0, 1]), digests=None))
    assert (report.compared, report.duplicates) == (False, ())


def test_no_labels_leave_the_imbalance_undefined():
    report = health(arrays([1, 2], [-1, -1], class_names=()))
    assert math.isnan(report.imbalance)
    assert report.classes == {}


def test_arrays_are_compared_by_their_pixels():
    decoded = pixel_duplicates(replace(arrays([7, 8, 7], [0, 1, 1]), digests=None))
    assert health(decoded.dataset).conflicts == (("r0", "r2"),)
    assert decoded.unreadable == ()


@pytest.fixture
def folder(tmp_path):
    """A JPEG, its pixels as PNG under another class, and a PNG whose pixel data is short."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).save(tmp_path / "a/0.jpg")
    Image.open(tmp_path / "a/0.jpg").save(tmp_path / "b/1.png")
    Image.new("L", (30, 20)).save(tmp_path / "b/2.png")
    return tmp_path


def test_a_saved_anew_copy_is_found_by_pixels_only(folder):
    dataset = read_folder(folder)
    assert health(dataset).duplicates == ()
    told = []
    decoded = pixel_duplicates(dataset, progress=lambda *what: told.append(what))
    assert health(decoded.dataset).conflicts == (("a/0.jpg", "b/1.png"),)
    assert told[-1] == ("Decoding", 3, 3)


def test_pixel_data_that_no_structure_betrays_is_found_by_decoding(folder):
    import struct
    import zlib

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 30, 20, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", b"not zlib") + chunk(b"IEND", b"")
    (folder / "b/2.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    dataset = read_folder(folder)
    assert len(dataset) == 3
    decoded = pixel_duplicates(dataset)
    assert decoded.dataset.ids == ("a/0.jpg", "b/1.png")
    assert [problem.path for problem in decoded.unreadable] == ["b/2.png"]
    assert decoded.unreadable[0] in health(decoded.dataset).problems


def test_sizes_over_files(tmp_path):
    images = FileImages(
        names=("x", "y", "z"),
        routes=np.zeros(3, np.uint8),
        sizes=np.array([[10, 90], [30, 40], [20, 50]], np.int32),
        grey=np.array([True, False, False]),
    )
    report = health(replace(arrays([1, 2, 3], [0, 1, 1]), images=images))
    sizes = report.sizes
    assert (sizes.smallest, sizes.median, sizes.largest) == ((10, 40), (20, 50), (30, 90))
    assert (sizes.distinct, report.grey, report.colour) == (3, 1, 2)


def masked(root, **masks):
    """Pictures of one row; "train__a__9" is train/a, filled with 9, and its mask."""
    for name, mask in masks.items():
        split, stem, grey = name.split("__")
        write_pictures(root / split / "images", **{stem: np.full((1, len(mask)), int(grey))})
        write_pictures(root / split / "masks", **{stem: [mask]})
    return health(open_dataset(root))


def test_a_picture_counts_for_every_class_in_its_mask(tmp_path):
    report = masked(tmp_path, train__a__1=[0, 0, 1], train__b__2=[0, 0, 0], test__c__3=[0, 2, 2])
    assert report.classes == {
        "0": {"train": 2, "test": 1},
        "1": {"train": 1, "test": 0},
        "2": {"train": 0, "test": 1},
    }
    assert report.missing == {"train": ("2",), "test": ("1",)}
    assert report.imbalance == 6.0  # pixels: 6, 1, 2
    assert (report.unlabelled, report.rows) == (0, 3)


def test_a_copy_with_another_mask_is_a_conflict_and_in_another_split_a_leak(tmp_path):
    report = masked(tmp_path, train__a__1=[0, 1], train__b__1=[1, 0], test__c__2=[1, 1])
    assert report.conflicts == (("train/a", "train/b"),)
    assert report.leaks == ()
    again = masked(tmp_path / "x", train__a__1=[0, 1], test__c__1=[0, 1], train__b__3=[1, 0])
    assert again.leaks == (("train/a", "test/c"),)
    assert again.leaked == {"test": 1}
    assert again.conflicts == ()
