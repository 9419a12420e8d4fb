"""NumPy data sets: what is accepted, how rows are named, and what each mistake is called."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.data.array_writer import write_arrays
from dnncli.data.arrays import read_arrays
from dnncli.data.detect import open_dataset
from dnncli.data.pictures import pixels
from dnncli.errors import DataError

X = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3)
Y = np.array([0, 1, 1, 0])


@pytest.fixture
def saved(tmp_path):
    """Write arrays to an .npz and open it."""

    def save(**arrays):
        path = tmp_path / "set.npz"
        np.savez(path, **arrays)
        return path

    return save


def test_x_and_y_become_rows_named_by_number(saved):
    dataset = open_dataset(saved(x=X, y=Y))
    assert dataset.ids == ("0", "1", "2", "3")
    assert dataset.class_names == ("0", "1")
    assert dataset.labels.tolist() == [0, 1, 1, 0]
    assert dataset.splits.tolist() == [""] * 4
    assert dataset.kind == "numpy"
    np.testing.assert_array_equal(pixels(dataset.images, 2, channels=1)[..., 0], X[2])


@pytest.mark.parametrize(
    ("spellings", "split"),
    [
        (("x", "y"), ""),
        (("images", "labels"), ""),
        (("x_train", "y_train"), "train"),
        (("train_images", "train_labels"), "train"),
        (("x_valid", "y_valid"), "val"),
        (("validation_images", "validation_labels"), "val"),
        (("X_test", "Y_test"), "test"),
    ],
)
def test_every_spelling_is_understood(saved, spellings, split):
    dataset = read_arrays(saved(**{spellings[0]: X, spellings[1]: Y}))
    assert set(dataset.splits.tolist()) == {split}
    assert dataset.ids[3] == (f"{split}/3" if split else "3")


def test_splits_come_in_the_order_train_val_test(saved):
    dataset = read_arrays(saved(x_test=X[:1], y_test=Y[:1], x_val=X, y_val=Y, x_train=X, y_train=Y))
    assert dataset.splits.tolist() == ["train"] * 4 + ["val"] * 4 + ["test"]


def test_ids_weights_and_class_names_travel_with_their_split(saved):
    path = saved(
        x_train=X,
        y_train=Y,
        ids_train=np.array(["007", "1e5", "NA", "ä,\n"]),
        sample_weight_train=np.array([1, 2, 0, 0.5]),
        x_test=X,
        y_test=Y,
        class_names=np.array(["zebra", "ant"]),
    )
    dataset = read_arrays(path)
    assert dataset.ids[:5] == ("007", "1e5", "NA", "ä,\n", "test/0")
    assert dataset.weights.tolist() == [1, 2, 0, 0.5, 1, 1, 1, 1]
    assert dataset.class_names == ("zebra", "ant")


@pytest.mark.parametrize(
    ("y", "class_names", "labels"),
    [
        (np.array([3, 10, 3, 7]), ("3", "7", "10"), [0, 2, 0, 1]),
        (np.array([3.0, 10.0, 3.0, 7.0]), ("3", "7", "10"), [0, 2, 0, 1]),
        (np.array([[3], [10], [3], [7]], np.uint8), ("3", "7", "10"), [0, 2, 0, 1]),
        (np.array([True, False, True, True]), ("0", "1"), [1, 0, 1, 1]),
        (np.array(["cat", "007", "cat", "None"]), ("007", "None", "cat"), [2, 0, 2, 1]),
        (np.array([b"cat", b"dog", b"cat", b"dog"]), ("cat", "dog"), [0, 1, 0, 1]),
        (np.eye(3)[[2, 0, 2, 0]], ("0", "1", "2"), [2, 0, 2, 0]),
    ],
)
def test_labels_are_named_by_their_value(saved, y, class_names, labels):
    dataset = read_arrays(saved(x=X, y=y))
    assert dataset.class_names == class_names
    assert dataset.labels.tolist() == labels


def test_the_classes_of_all_splits_are_one_list(saved):
    dataset = read_arrays(saved(x_train=X, y_train=Y, x_test=X, y_test=Y + 1))
    assert dataset.class_names == ("0", "1", "2")
    assert dataset.labels.tolist() == [0, 1, 1, 0, 1, 2, 2, 1]


def test_declared_classes_name_integers_and_order_names(saved):
    assert read_arrays(saved(x=X, y=Y), classes=("no", "yes")).class_names == ("no", "yes")
    named = read_arrays(saved(x=X, y=np.array(["b", "a", "a", "b"])), classes=("b", "a"))
    assert named.labels.tolist() == [0, 1, 1, 0]


def test_names_in_the_data_are_bound_to_declared_classes_by_name(saved):
    path = saved(x=X, y=Y, class_names=np.array(["zebra", "ant"]))
    dataset = read_arrays(path, classes=("ant", "bee", "zebra"))
    assert dataset.class_names == ("ant", "bee", "zebra")
    assert dataset.labels.tolist() == [2, 0, 0, 2]
    with pytest.raises(DataError, match=r"1: class 'ant'"):
        read_arrays(path, classes=("aunt", "zebra"))


def test_labels_that_name_themselves_are_bound_to_declared_numbers_by_name(saved):
    trained = read_arrays(saved(x=X, y=np.array([1, 2, 3, 1])))
    again = read_arrays(saved(x=X[:2], y=np.array([2, 1])), classes=trained.class_names)
    assert [again.class_names[label] for label in again.labels] == ["2", "1"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": Y}, r"no array of pictures. Found: y"),
        ({"x": X}, r"x has no labels. .*Add an array y"),
        ({"x_test": X}, r"Add an array y_test"),
        ({"x": X, "y": Y[:3]}, r"x has 4 rows, y has shape \(3,\)"),
        ({"x": X, "y": Y, "ids": np.array(["a", "b", "a", "b"])}, r"given twice"),
        ({"x": X, "y": Y, "sample_weight": np.array([1, -1, np.nan, 1])}, r"row 1: weight -1"),
        ({"x": X[0], "y": Y[:2]}, r"shape \(2, 3\) is not"),
        ({"x": X[:0], "y": Y[:0]}, r"empty"),
        ({"x": np.zeros((4, 2, 3, 4)), "y": Y}, r"Drop the alpha channel first: x\[..., :3\]"),
        ({"x": np.zeros((4, 3, 8, 8)), "y": Y}, r"np.moveaxis\(x, 1, -1\)"),
        ({"x": np.zeros((4, 2, 3, 2)), "y": Y}, r"shape \(4, 2, 3, 2\)"),
        ({"x": X.astype(complex), "y": Y}, r"complex128 is no pixel"),
        ({"x": X, "y": -Y}, r"must not be negative. Wrong in 2 of 4 rows"),
        ({"x": X, "y": Y + 0.5}, r"must be whole numbers"),
        ({"x": X, "y": np.eye(4) * 0.5}, r"must be one-hot"),
        ({"x": X, "y": Y, "class_names": np.array(["only"])}, r"must be 0 to 0.*\n  row 1: 1"),
        (
            {"x": X, "y": np.eye(4), "class_names": np.array(["a", "b"])},
            r"one-hot over 4 classes, but 2 names",
        ),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:, :1], "y_test": Y},
            r"differ in picture size",
        ),
        ({"x": X, "y": np.zeros(4, int)}, r"only one class, '0' \(4 pictures\)"),
        ({"x": X, "y": np.array([0, 1, None, 1], dtype=object)}, r"pickled Python objects"),
        ({"x": np.array([X[0], X[1, :1]], dtype=object), "y": Y[:2]}, r"set.npz: x: holds pickled"),
    ],
)
def test_what_cannot_be_used_is_named(saved, arrays, message):
    with pytest.raises(DataError, match=rf"(?s){message}"):
        open_dataset(saved(**arrays))


def test_rows_with_nan_or_infinite_pixels_are_named(tmp_path):
    x = np.zeros((1000, 2, 3), np.float32)
    x[7, 1, 1], x[999, 0, 0] = np.nan, np.inf
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.arange(1000) % 2)
    with pytest.raises(DataError, match=r"x: NaN or infinite pixels in 2 of 1000 rows.*: 7, 999"):
        open_dataset(tmp_path)


def test_a_file_cut_short_is_refused(saved):
    path = saved(x=X, y=Y)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"is not a whole .npz file"):
        read_arrays(path)


def test_a_folder_of_npy_files_is_memory_mapped(tmp_path):
    np.save(tmp_path / "x_train.npy", X)
    np.save(tmp_path / "y_train.npy", Y)
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    dataset = open_dataset(tmp_path)
    assert isinstance(dataset.images.arrays[0], np.memmap)
    assert dataset.class_names == ("cat", "dog")


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_uncompressed_npz_is_memory_mapped_and_a_compressed_one_is_not(tmp_path, order):
    x = np.asarray(X, order=order)
    np.savez(tmp_path / "plain.npz", x=x, y=Y)
    np.savez_compressed(tmp_path / "packed.npz", x=x, y=Y)
    plain, packed = read_arrays(tmp_path / "plain.npz"), read_arrays(tmp_path / "packed.npz")
    assert isinstance(plain.images.arrays[0], np.memmap)
    assert not isinstance(packed.images.arrays[0], np.memmap)
    for dataset in (plain, packed):
        np.testing.assert_array_equal(dataset.images.arrays[0], X)
    assert plain.digests == packed.digests


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float16", "float32", "float64"])
def test_numbers_stay_what_they_are(saved, dtype):
    array = read_arrays(saved(x=X.astype(dtype), y=Y)).images.arrays[0]
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, X)


def test_bool_becomes_black_and_white_and_foreign_byte_order_native(saved):
    assert set(read_arrays(saved(x=X > 5, y=Y)).images.arrays[0].ravel().tolist()) == {0, 255}
    array = read_arrays(saved(x=X.astype(">i2"), y=Y)).images.arrays[0]
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, X)


def test_a_split_with_and_one_without_a_channel_axis_fit_together(saved):
    dataset = read_arrays(saved(x_train=X, y_train=Y, x_test=X[..., None], y_test=Y))
    assert dataset.images.channels == 1
    assert [array.shape for array in dataset.images.arrays] == [(4, 2, 3, 1)] * 2


def test_equal_rows_have_equal_digests(saved):
    digests = read_arrays(saved(x=X[[0, 1, 0, 2]], y=Y)).digests
    assert digests[0] == digests[2]
    assert len(set(digests)) == 3


def test_labels_may_be_missing_where_none_are_needed(saved):
    dataset = open_dataset(saved(x=X), labelled=False, classes=("a", "b"))
    assert dataset.labels.tolist() == [-1] * 4
    assert dataset.class_names == ("a", "b")


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1)


@settings(max_examples=50, deadline=None)
@given(
    ids=st.lists(NAMES, min_size=2, max_size=8, unique=True),
    classes=st.lists(NAMES, min_size=2, max_size=4, unique=True),
    data=st.data(),
)
def test_write_then_read_is_the_identity(tmp_path_factory, ids, classes, data):
    folder = tmp_path_factory.mktemp("arrays")
    count = len(ids)
    labels = data.draw(st.lists(st.integers(0, len(classes) - 1), min_size=count, max_size=count))
    splits = data.draw(
        st.lists(st.sampled_from(["", "train", "val", "test"]), min_size=count, max_size=count)
    )
    x = np.arange(count * 6, dtype=np.float32).reshape(count, 2, 3, 1)
    np.savez(folder / "a.npz", x=x, y=labels, ids=np.array(ids), class_names=np.array(classes))
    first = read_arrays(folder / "a.npz")
    first = first.take(
        sorted(range(count), key=lambda row: ["", "train", "val", "test"].index(splits[row]))
    )
    first.splits[:] = sorted(splits, key=["", "train", "val", "test"].index)
    write_arrays(
        first,
        folder / "b.npz",
        shape=(2, 3, 1),
        dtype=np.float32,
        picture=lambda row: pixels(first.images, row, channels=1),
    )
    second = read_arrays(folder / "b.npz")
    assert second.ids == first.ids
    assert second.class_names == first.class_names
    assert second.splits.tolist() == first.splits.tolist()
    assert second.labels.tolist() == first.labels.tolist()
    assert second.digests == first.digests


def test_neither_arrays_nor_folders_start_tensorflow(saved):
    path = saved(x=X, y=Y)
    code = (
        "import sys, dnncli; "
        f"dnncli.open_dataset({str(path)!r}); dnncli.open_dataset('sample_data/defects'); "
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
