"""Class folders: layouts, classes, ids, and what is left out."""

import hashlib
import unicodedata

import numpy as np
import pytest
from PIL import Image

from dnncli.data.dataset import UNLABELLED
from dnncli.data.folder import read_folder
from dnncli.errors import DataError


@pytest.fixture
def put(tmp_path):
    """Write a small picture, the same for the same name, at each path below the root."""

    def write(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            seed = hashlib.blake2b(name.encode("utf-8", "replace")).digest()[0]
            Image.fromarray(np.full((4, 4, 3), seed, np.uint8)).save(path, "PNG")
        return tmp_path

    return write


def whats(dataset, action=None):
    return {p.path: p.what for p in dataset.problems if action in (None, p.action)}


def test_a_folder_per_class(put):
    root = put("b/2.png", "b/1.png", "a/deep/er/3.png", "a/0.png")
    dataset = read_folder(root)
    assert dataset.ids == ("a/0.png", "a/deep/er/3.png", "b/1.png", "b/2.png")
    assert dataset.class_names == ("a", "b")
    assert dataset.labels.tolist() == [0, 0, 1, 1]
    assert dataset.declared_splits == ()
    assert dataset.images.path(0) == str(root / "a/0.png")
    assert dataset.images.sizes.tolist() == [[4, 4]] * 4
    assert dataset.problems == ()


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_split_folders_come_in_the_order_train_val_test(put, val):
    root = put("test/a/0.png", "test/b/0.png", "train/a/0.png", "train/b/0.png")
    root = put(f"{val}/a/0.png", f"{val}/b/0.png")
    dataset = read_folder(root)
    assert dataset.splits.tolist() == ["train", "train", "val", "val", "test", "test"]
    assert dataset.ids[2] == f"{val}/a/0.png"
    assert dataset.class_names == ("a", "b")


def test_training_and_testing_are_splits_too(put):
    root = put("Training/a/0.png", "Training/b/0.png", "Testing/a/1.png", "Testing/b/1.png")
    assert read_folder(root).declared_splits == ("train", "test")


def test_train_may_be_a_class_among_others(put):
    dataset = read_folder(put("train/0.png", "bus/0.png", "car/2021/0.png"))
    assert dataset.class_names == ("bus", "car", "train")


def test_a_test_folder_alone_is_a_split(put):
    dataset = read_folder(put("test/a/0.png", "test/b/0.png"))
    assert dataset.declared_splits == ("test",)
    assert dataset.class_names == ("a", "b")


def test_split_folders_without_class_folders_are_refused(put):
    with pytest.raises(DataError, match=r"hold pictures, but no class folders"):
        read_folder(put("train/cat.0.png", "test/1.png"))


def test_numbers_sort_as_text(put):
    assert read_folder(put("10/a.png", "2/a.png", "0/a.png")).class_names == ("0", "10", "2")


def test_declared_classes_give_the_order(put):
    root = put("a/0.png", "b/0.png")
    dataset = read_folder(root, classes=("b", "c", "a"))
    assert dataset.class_names == ("b", "c", "a")
    assert dataset.labels.tolist() == [2, 0]
    assert "no picture of class c" in whats(dataset, "noted")["."]


def test_one_class_is_enough_where_more_are_declared(put):
    assert read_folder(put("a/0.png"), classes=("a", "b")).labels.tolist() == [0]


def test_a_class_that_was_not_declared_is_named(put):
    root = put("a/0.png", "bb/0.png", "bb/1.png")
    with pytest.raises(DataError, match=r"(?s)not declared.*bb: 2 of class 'bb'"):
        read_folder(root, classes=("a", "b"))


def test_a_test_class_that_train_lacks_is_named_with_its_count(put):
    root = put("train/a/0.png", "train/b/0.png", "test/a/1.png", "test/dog/0.png", "test/dog/1.png")
    with pytest.raises(DataError, match=r"(?s)train does not have.*test/dog: 2 of class 'dog'"):
        read_folder(root)
    declared = read_folder(root, classes=("a", "b", "dog"))
    assert declared.class_names == ("a", "b", "dog")
    assert "no picture of class dog" in whats(declared, "noted")["train"]


def test_a_class_that_test_lacks_is_noted_and_shifts_nothing(put):
    root = put("train/a/0.png", "train/b/0.png", "train/c/0.png", "test/a/1.png", "test/c/1.png")
    dataset = read_folder(root)
    assert dataset.labels[dataset.rows("test")].tolist() == [0, 2]
    assert whats(dataset, "noted")["test"].startswith("no picture of class b;")


def test_class_names_that_look_alike_are_noted(put):
    nfc, nfd = "é", unicodedata.normalize("NFD", "é")
    dataset = read_folder(put("cat/0.png", "Cat/0.png", f"{nfc}/0.png", f"{nfd}/0.png"))
    assert len(dataset.class_names) == 4
    assert set(whats(dataset, "noted")) == {"Cat, cat", f"{nfd}, {nfc}"}


def test_an_empty_class_is_left_out_and_named(put):
    root = put("a/0.png", "b/0.png")
    (root / "empty").mkdir()
    (root / "broken").mkdir()
    (root / "broken/x.jpg").write_bytes(b"\xff\xd8\xff")
    dataset = read_folder(root)
    assert dataset.class_names == ("a", "b")
    assert set(whats(dataset, "ignored")) == {"empty", "broken"}
    assert set(whats(dataset, "skipped")) == {"broken/x.jpg"}


def test_junk_is_left_out_without_a_word(put):
    root = put(
        *("a/0.png", "b/0.png", "a/.hidden.png", ".ipynb_checkpoints/0.png", "__MACOSX/a/0.png"),
        *("a/Thumbs.db", "a/desktop.ini"),
    )
    (root / "labels.csv").write_text("id,label\n")
    (root / "a/notes.TXT").write_text("x")
    dataset = read_folder(root)
    assert dataset.ids == ("a/0.png", "b/0.png")
    assert dataset.problems == ()


def test_a_picture_in_no_class_folder_is_named(put):
    dataset = read_folder(put("a/0.png", "b/0.png", "stray.png", "stray2.png"))
    expected = {"stray.png": "in no class folder, like 1 more beside it."}
    assert whats(dataset, "ignored") == expected


def test_content_decides_and_not_the_extension(put):
    root = put("a/0", "a/1.jpg", "b/2.weird")
    (root / "b/3.png").write_text("text")
    dataset = read_folder(root)
    assert dataset.ids == ("a/0", "a/1.jpg", "b/2.weird")
    assert whats(dataset, "skipped") == {"b/3.png": "not an image but text."}


def test_links_end_and_count_nothing_twice(put):
    root = put("a/x/0.png", "b/0.png")
    (root / "a/x/loop").symlink_to("..")
    (root / "a/again").symlink_to("x")
    (root / "b/up").symlink_to(root)
    dataset = read_folder(root)
    assert dataset.ids == ("a/x/0.png", "b/0.png")
    assert set(whats(dataset, "ignored")) == {"a/x/loop", "a/again", "b/up"}


def test_a_link_to_itself_is_named(put):
    root = put("a/0.png", "b/0.png")
    (root / "a/self").symlink_to("self")
    dataset = read_folder(root)
    assert len(dataset) == 2
    assert whats(dataset, "skipped")["a/self"].startswith("cannot be opened:")


def test_a_link_to_a_folder_elsewhere_is_followed(put, tmp_path_factory):
    root = put("a/0.png")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    Image.new("L", (3, 3)).save(elsewhere / "1.png")
    (root / "b").symlink_to(elsewhere)
    assert read_folder(root).ids == ("a/0.png", "b/1.png")


def test_a_name_that_is_not_utf8_is_skipped(put):
    root = put("a/0.png", "b/0.png")
    bad = root / b"a/caf\xe9.png".decode("utf-8", "surrogateescape")
    try:
        Image.new("L", (3, 3)).save(bad, "PNG")
    except (OSError, UnicodeError):
        pytest.skip("this file system holds no such name")
    dataset = read_folder(root)
    assert len(dataset) == 2
    assert whats(dataset, "skipped") == {r"a/caf\udce9.png": whats(dataset).popitem()[1]}
    str(dataset.problems[0]).encode("utf-8")


class TestUnlabelled:
    def test_a_flat_folder(self, put):
        dataset = read_folder(put("1.png", "0.png"), labelled=False)
        assert dataset.ids == ("0.png", "1.png")
        assert dataset.labels.tolist() == [UNLABELLED] * 2
        assert (dataset.class_names, dataset.problems) == ((), ())

    def test_folders_are_labels_only_where_their_names_are_declared(self, put):
        root = put("a/0.png", "june/1.png", "2.png")
        assert set(read_folder(root, labelled=False).labels.tolist()) == {UNLABELLED}
        dataset = read_folder(root, labelled=False, classes=("a", "b"))
        assert dict(zip(dataset.ids, dataset.labels.tolist(), strict=True)) == {
            "2.png": UNLABELLED,
            "a/0.png": 0,
            "june/1.png": UNLABELLED,
        }


class TestRefused:
    def test_a_missing_folder(self, tmp_path):
        with pytest.raises(DataError, match="no such folder"):
            read_folder(tmp_path / "absent")

    def test_no_picture_and_what_there_is_instead(self, tmp_path):
        for name in ("a/1.npy", "a/2.npy", "b/3.txt"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("x")
        with pytest.raises(DataError, match=r"no picture.*2 \.npy, 1 \.txt.*Supported: JPEG"):
            read_folder(tmp_path)

    def test_nothing_at_all(self, tmp_path):
        with pytest.raises(DataError, match=r"Found instead: nothing else"):
            read_folder(tmp_path)

    def test_only_broken_pictures_and_why(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "a/x.jpg").write_bytes(b"")
        with pytest.raises(DataError, match=r"(?s)no picture.*a/x\.jpg: empty file"):
            read_folder(tmp_path)

    def test_pictures_without_class_folders(self, put):
        with pytest.raises(DataError, match="pictures, but no class folders"):
            read_folder(put("0.png", "1.png"))

    def test_one_class_only(self, put):
        with pytest.raises(DataError, match=r"only one class, 'a' \(2 pictures\)"):
            read_folder(put("a/0.png", "a/1.png"))

    def test_images_alone_say_where_masks_would_lie(self, put):
        with pytest.raises(DataError, match="masks/ or edges/ beside images/"):
            read_folder(put("train/images/0.png"))


def test_moving_the_folder_changes_no_fingerprint(put, tmp_path_factory):
    import shutil

    root = put("a/0.png", "b/0.png")
    copy = tmp_path_factory.mktemp("copy") / "root"
    shutil.copytree(root, copy)
    assert read_folder(copy).fingerprint == read_folder(root).fingerprint
    put("a/1.png")
    assert read_folder(copy).fingerprint != read_folder(root).fingerprint


def test_names_and_ids_are_the_same_objects(put):
    root = put("train/a/1.png", "train/b/2.png", "test/a/3.png", "test/b/4.png")
    dataset = read_folder(root)
    assert dataset.ids == ("train/a/1.png", "train/b/2.png", "test/a/3.png", "test/b/4.png")
    assert all(name is row_id for name, row_id in zip(dataset.images.names, dataset.ids))
    assert dataset.images.path(2) == str(root / "test/a/3.png")


def test_progress_counts_folders_then_pictures(put):
    told = []
    read_folder(put("a/1.png", "b/2.png"), progress=lambda *words: told.append(words))
    assert told[0] == ("Listing folders", 1, 3)
    assert ("Listing folders", 3, 3) in told
    assert told[-1] == ("Looking at pictures", 2, 2)
