"""Converting: reading what was written gives the same rows; what cannot be held is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dnncli.data.detect import open_dataset
from dnncli.data.pictures import encoded, pixels, to_png
from dnncli.data.split import assign_splits
from dnncli.errors import ConfigError, DataError
from dnncli.services.convert import convert

FASHION = Path("sample_data/fashion_mini")

# form -> name of OUT and options
FORMS = {
    "npz": ("out.npz", {"to": "numpy"}),
    "npy folder": ("out", {"to": "numpy"}),
    "three shards": ("out", {"to": "tfrecord", "shards": 3}),
    "folder": ("out", {"to": "folder"}),
}


@pytest.fixture(scope="module")
def fashion():
    return open_dataset(FASHION)


def assert_same(first, second, *, channels=1):
    assert second.ids == first.ids
    assert second.class_names == first.class_names
    assert second.labels.tolist() == first.labels.tolist()
    assert second.splits.tolist() == first.splits.tolist()
    for row in range(len(first)):
        np.testing.assert_array_equal(
            pixels(second.images, row, channels=channels),
            pixels(first.images, row, channels=channels),
        )


@pytest.mark.parametrize("form", FORMS)
def test_real_pictures_are_the_same_in_every_form(tmp_path, fashion, form):
    name, options = FORMS[form]
    report = convert(FASHION, tmp_path / name, **options)
    assert report.rows == 500
    assert report.splits == {"train": 400, "test": 100}
    assert report.changed_ids == 0
    again = open_dataset(tmp_path / name)
    assert_same(fashion, again)
    cut = {"val": 0.15, "test": 0.15, "seed": 3}
    assert assign_splits(again, **cut)[0].tolist() == assign_splits(fashion, **cut)[0].tolist()


@pytest.mark.parametrize("first", FORMS)
@pytest.mark.parametrize("second", FORMS)
def test_every_form_can_be_made_of_every_other(tmp_path, first, second):
    source = tmp_path / "source.npz"
    x = np.arange(8 * 2 * 3 * 3, dtype=np.uint8).reshape(8, 2, 3, 3)
    names = np.array([f"train/{name}/{row}.png" for row, name in enumerate("abababab")])
    np.savez(
        source, x_train=x, y_train=[0, 1] * 4, ids_train=names, class_names=np.array(["a", "b"])
    )
    expected = open_dataset(source)
    middle, end = tmp_path / "m" / FORMS[first][0], tmp_path / "e" / FORMS[second][0]
    convert(source, middle, **FORMS[first][1])
    convert(middle, end, **FORMS[second][1])
    found = open_dataset(end)
    order = [found.ids.index(row_id) for row_id in expected.ids]
    assert_same(expected, found.take(order), channels=3)


def test_picture_files_are_copied_byte_by_byte(tmp_path, fashion):
    for number, to in enumerate(("tfrecord", "folder")):
        convert(FASHION, tmp_path / str(number), to=to)
        again = open_dataset(tmp_path / str(number))
        assert encoded(again.images, 7) == encoded(fashion.images, 7)


def test_the_same_data_gives_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        convert("sample_data/defects", tmp_path / name, to="numpy", image_size=(16, 16))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_groups_and_weights_travel_where_they_can(tmp_path):
    for row in range(4):
        (tmp_path / f"{row}.png").write_bytes(to_png(np.full((2, 2, 1), row, np.uint8)))
    table = tmp_path / "pets.csv"
    table.write_text(
        "path,label,group,weight\n0.png,a,g,1\n1.png,b,g,2\n2.png,a,,0\n3.png,b,h,0.5\n"
    )
    for name, to in (("n.npz", "numpy"), ("n", "numpy"), ("r", "tfrecord")):
        convert(table, tmp_path / name, to=to)
        dataset = open_dataset(tmp_path / name)
        assert dataset.groups == ("g", "g", "", "h")
        assert dataset.weights.tolist() == [1, 2, 0, 0.5]
        assert dataset.ids == ("0.png", "1.png", "2.png", "3.png")
    report = convert(table, tmp_path / "f", to="folder")
    assert any("groups" in note for note in report.notes)
    assert any("weights" in note for note in report.notes)


def test_a_folder_names_files_safely_below_their_class(tmp_path):
    ids = np.array(["../x", "/abs/é.jpg", "b/1.png", "a?b", ".hidden", "1.png"])
    x = np.zeros((6, 2, 2), np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=[0, 1, 1, 0, 1, 1], ids=ids, class_names=["a", "b"])
    report = convert(tmp_path / "a.npz", tmp_path / "out", to="folder")
    found = sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in tmp_path.rglob("out/**/*.png")
    )
    assert found == ["a/a_b.png", "a/x.png", "b/1-2.png", "b/1.png", "b/_hidden.png", "b/abs/é.png"]
    assert report.changed_ids == 5
    assert len(open_dataset(tmp_path / "out")) == 6


def test_odd_names_of_files_stay_when_the_files_are_copied(tmp_path, fashion):
    names = ["bag/no_suffix", "bag/a?b.png", "Bag/sub/100%.jpg", "Bag/line\nbreak.png"]
    for row, name in enumerate(names):
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).write_bytes(encoded(fashion.images, row))
    convert(tmp_path / "pets", tmp_path / "r", to="tfrecord")
    report = convert(tmp_path / "r", tmp_path / "f", to="folder")
    assert report.changed_ids == 0
    assert sorted(open_dataset(tmp_path / "f").ids) == sorted(names)


def test_numbers_of_array_rows_become_file_names(tmp_path):
    x = np.zeros((2, 2, 2), np.uint8)
    np.savez(tmp_path / "a.npz", x_train=x, y_train=[0, 1], x_test=x, y_test=[0, 1])
    convert(tmp_path / "a.npz", tmp_path / "out", to="folder")
    assert open_dataset(tmp_path / "out").ids == (
        "train/0/0.png",
        "train/1/1.png",
        "test/0/0.png",
        "test/1/1.png",
    )


def test_a_size_and_a_colour_are_applied(tmp_path):
    for name, to in (("a.npz", "numpy"), ("f", "folder"), ("r", "tfrecord")):
        convert(FASHION, tmp_path / name, to=to, image_size=(20, 10), color="rgb")
        picture = pixels(open_dataset(tmp_path / name).images, 0, channels=3)
        assert picture.shape == (20, 10, 3)
        np.testing.assert_array_equal(picture[..., 0], picture[..., 2])


def test_colour_turns_grey_by_the_luma_that_training_uses(tmp_path):
    x = np.zeros((2, 1, 1, 3), np.uint8)
    x[0] = (10, 200, 90)
    np.savez(tmp_path / "a.npz", x=x, y=[0, 1])
    convert(tmp_path / "a.npz", tmp_path / "b.npz", to="numpy", color="grayscale")
    # 0.299 * 10 + 0.587 * 200 + 0.114 * 90 = 130.65
    assert np.load(tmp_path / "b.npz")["x"].ravel().tolist() == [131, 0]


def test_a_constant_picture_stays_constant_when_it_is_sized(tmp_path):
    x = np.stack([np.full((5, 7), 0.25), np.full((5, 7), -3)]).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=x, y=[0, 1])
    convert(tmp_path / "a.npz", tmp_path / "b.npz", to="numpy", image_size=(3, 9))
    array = np.load(tmp_path / "b.npz")["x"]
    assert array.shape == (2, 3, 9, 1)
    assert array.dtype == np.float32
    np.testing.assert_allclose(array[:, ..., 0].mean(axis=(1, 2)), [0.25, -3], rtol=1e-6)


def test_pictures_of_several_sizes_need_one(tmp_path):
    for name, size in (("a", 4), ("b", 5)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        (tmp_path / "pets" / name / "1.png").write_bytes(to_png(np.zeros((size, 4, 1), np.uint8)))
    with pytest.raises(DataError, match=r"pictures of 2 sizes(.|\n)*4x4: 1 pictures"):
        convert(tmp_path / "pets", tmp_path / "out.npz", to="numpy")
    assert not (tmp_path / "out.npz").exists()
    convert(tmp_path / "pets", tmp_path / "out.npz", to="numpy", image_size=(4, 4))


def test_numbers_that_are_not_8_bit_stay_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 2, 2), np.float32), y=[0, 1])
    with pytest.raises(DataError, match="Pixels are float32"):
        convert(tmp_path / "a.npz", tmp_path / "out", to="tfrecord")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz"]


def test_what_is_there_is_kept_unless_asked(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    convert("sample_data/defects", out, to="folder")
    before = sorted(out.rglob("*"))
    with pytest.raises(DataError, match="exists already"):
        convert("sample_data/defects", out, to="tfrecord")
    assert sorted(out.rglob("*")) == before
    convert("sample_data/defects", out, to="tfrecord", overwrite=True)
    assert {path.suffix for path in out.iterdir()} == {".tfrecord-00000-of-00001", ".txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_source_is_never_overwritten(tmp_path):
    pets = tmp_path / "all" / "pets"
    shutil.copytree("sample_data/defects/train", pets)
    for out in (pets, pets / "inside", tmp_path / "all"):
        with pytest.raises(DataError, match="or the other way round"):
            convert(pets, out, to="folder", overwrite=True)
    table = tmp_path / "pets.csv"
    files = sorted(pets.rglob("*.jpg")) + sorted(pets.rglob("*.png"))
    rows = "".join(f"{path},{path.parent.name}\n" for path in files)
    table.write_text(f"path,label\n{rows}")
    with pytest.raises(DataError, match="holds pictures that"):
        convert(table, tmp_path / "all", to="folder", overwrite=True)
    assert all(path.exists() for path in files)


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("out", {"to": "tfrecords"}, "Unknown form 'tfrecords'. Did you mean 'tfrecord'"),
        ("out", {"to": "numpy", "shards": 2}, "shards 2"),
        ("out", {"to": "tfrecord", "shards": 0}, "shards 0"),
        ("out", {"to": "folder", "color": "gray"}, "Unknown color 'gray'. Did you mean"),
        ("out", {"to": "folder", "image_size": (0, 4)}, "at least 1 pixel"),
        ("out.npz", {"to": "folder"}, "Leave out '.npz'"),
        ("out.npy", {"to": "numpy"}, "a file ending in .npz, or a folder"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, out, options, message):
    with pytest.raises(ConfigError, match=message):
        convert("sample_data/defects", tmp_path / out, **options)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x": 2, "y": [0, 1], "x_test": 2, "y_test": [0, 1]},
            "2 rows have no split while others have one",
        ),
        ({"x": 2, "y": ["a/b", "c"]}, "class names that cannot be folders: .'a/b'"),
        ({"x": 2, "y": ["test", "c"]}, "class names that cannot be folders: .'test'"),
        ({"x": 2, "y": [0, 2], "class_names": ["a", "b", "c"]}, "no picture of class b"),
    ],
)
def test_what_a_folder_cannot_hold_is_refused(tmp_path, arrays, message):
    values = {
        name: np.zeros((value, 2, 2), np.uint8) if name.startswith("x") else np.array(value)
        for name, value in arrays.items()
    }
    np.savez(tmp_path / "a.npz", **values)
    with pytest.raises(DataError, match=message):
        convert(tmp_path / "a.npz", tmp_path / "out", to="folder")
    assert not (tmp_path / "out").exists()
