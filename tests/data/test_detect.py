"""Which reader fits, and what is said when none does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dnncli.data.detect import open_dataset
from dnncli.data.pictures import to_png
from dnncli.data.split import write_split
from dnncli.errors import ConfigError, DataError

PNG = to_png(np.zeros((2, 3, 3), np.uint8))

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """Two classes of two pictures each, without splits."""
    for name in ("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"):
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).write_bytes(PNG)
    return tmp_path / "pets"


def test_class_folders_are_read(folder):
    dataset = open_dataset(str(folder))
    assert dataset.kind == "folder"
    assert dataset.class_names == ("cat", "dog")


def test_a_missing_path_names_the_nearest_and_what_is_there(folder):
    with pytest.raises(
        DataError, match=r"no such file or folder. Did you mean 'pets'\? In .*: pets"
    ):
        open_dataset(folder.parent / "pet")
    with pytest.raises(DataError, match=r"no such file.* Did you mean 'pets'\?"):
        open_dataset(folder.parent / "petz" / "train" / "x")
    with pytest.raises(DataError, match=r"no file matches"):
        open_dataset(f"{folder}/*.tfrecord")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pets.zip", b"PK", "an archive. Unpack it"),
        ("x.npy", b"", "Give the folder"),
        ("pets.h5", b"", "np.savez"),
        ("pets.xyz", b"abc", "a file of kind '.xyz' is no data set. Known: a folder of class"),
        ("cat.png", PNG, "one picture is no data set"),
        ("pets.tfrecord", b"abc", "record 0 .*ends in the middle"),
        ("pets.tfrecord", b"", "holds no record"),
        ("pets.tfrecord", b"a" * 40, "is no TFRecord file"),
    ],
)
def test_other_files_are_called_what_they_are(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path / name)


def test_a_pattern_must_match_records_only(folder):
    with pytest.raises(DataError, match=r"matches files that are no TFRecord:\n.*cat/1.png"):
        open_dataset(f"{folder}/*/1.png")


def test_on_bad_error_lists_everything_that_would_be_skipped(folder):
    (folder / "cat/3.png").write_bytes(PNG[:-10])
    (folder / "dog/3.png").write_bytes(b"")
    assert len(open_dataset(folder)) == 4
    with pytest.raises(DataError) as caught:
        open_dataset(folder, on_bad="error")
    assert [line.partition(":")[0] for line in caught.value.problems] == ["cat/3.png", "dog/3.png"]
    with pytest.raises(ConfigError, match=r"Unknown on_bad 'skipp'. Did you mean 'skip'\?"):
        open_dataset(folder, on_bad="skipp")


def test_a_class_declared_twice_is_refused(folder):
    with pytest.raises(ConfigError, match="'cat' is declared twice"):
        open_dataset(folder, classes=("cat", "dog", "cat"))


def test_a_split_file_replaces_the_splits(folder, tmp_path):
    words = np.array(["train", "test", "train", "test"])
    write_split(replace(open_dataset(folder), splits=words), tmp_path / "split.csv")
    again = open_dataset(folder, split_file=tmp_path / "split.csv")
    assert again.splits.tolist() == ["train", "test", "train", "test"]


def test_a_split_file_may_not_leave_a_class_out_of_training(folder, tmp_path):
    words = np.array(["train", "train", "test", "test"])
    write_split(replace(open_dataset(folder), splits=words), tmp_path / "split.csv")
    with pytest.raises(DataError, match=r"train does not have(.|\n)*test: class 'dog'"):
        open_dataset(folder, split_file=tmp_path / "split.csv")


def test_pictures_without_classes_can_be_predicted(folder):
    flat = open_dataset(folder / "cat", labelled=False, classes=("cat", "dog"))
    assert flat.ids == ("1.png", "2.png")
    assert flat.class_names == ("cat", "dog")
    single = open_dataset(folder / "cat/1.png", labelled=False)
    assert single.ids == ("1.png",)
    assert single.labels.tolist() == [-1]


def test_copies_of_an_enlarged_folder_stay_with_their_source(tmp_path, patterns):
    import dnncli
    from dnncli.data.split import assign_splits

    dnncli.augment(patterns, tmp_path / "more", copies=2, policy="light")
    dataset = dnncli.open_dataset(tmp_path / "more")
    splits, _ = assign_splits(dataset, val=0.2, test=0.0, seed=0)
    sides = {}
    for group, split in zip(dataset.groups, splits.tolist()):
        sides.setdefault(group, set()).add(split)
    assert len(dataset) == 48 * 3 + 18
    assert {len(side) for side in sides.values()} == {1}


def test_pictures_beside_their_masks_are_no_classes():
    import dnncli
    from dnncli.errors import DataError

    for name, task in (("cracks_seg", "segment"), ("shapes_edge", "edges")):
        assert dnncli.open_dataset(ROOT / "sample_data" / name).task == task
        with pytest.raises(DataError, match=f"are no classes .* Say --task {task}"):
            dnncli.open_dataset(ROOT / "sample_data" / name, task="classify")
