"""Predicted masks and edges: stored as the data has them, at the size of the pictures."""

import json

import numpy as np
import pytest
from pixel_support import (
    dark_square,
    read_png,
    write_colour_model,
    write_dark_model,
    write_pairs,
    write_png,
)

import dnncli
from dnncli.augmentation.views import View
from dnncli.data.maps import open_maps
from dnncli.errors import ConfigError
from dnncli.services.masks.predict import listed_names
from dnncli.services.masks.predictor import forward, views_of

COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)


@pytest.fixture(scope="module")
def dark(tmp_path_factory):
    return write_dark_model(tmp_path_factory.mktemp("models") / "dark.keras")


@pytest.fixture(scope="module")
def edges(tmp_path_factory):
    return write_dark_model(tmp_path_factory.mktemp("models") / "edges.keras", task="edges")


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return write_colour_model(
        tmp_path_factory.mktemp("models") / "colours.keras",
        classes=("sky", "road", "car"),
        values=(0, 1, 3),
        void=2,
    )


@pytest.fixture
def data(tmp_path):
    return write_pairs(
        tmp_path / "data",
        a=dark_square(),
        deep__b=dark_square(40, 17, top=30, left=2),
    )


def test_masks_lie_under_the_names_of_the_pictures_in_their_sizes_and_values(dark, data, tmp_path):
    told = dnncli.predict(dark, data, out=tmp_path / "out")
    for name in ("a", "deep/b"):
        np.testing.assert_array_equal(
            read_png(tmp_path / "out" / f"{name}.png"), read_png(data / "masks" / f"{name}.png")
        )
    assert (told.kind, told.n, told.split) == ("masks", 2, "all")
    assert told.counts == {"background": 20 * 30 + 40 * 17 - 72, "crack": 72}
    about = json.loads((tmp_path / "out" / "predict.json").read_text())
    assert about["metadata"]["model"] == "known"
    assert open_maps(tmp_path / "out").class_names == ("crack",)


def test_rows_of_one_split_lie_as_in_its_folder_of_masks(dark, tmp_path):
    for split in ("train", "test"):
        write_pairs(tmp_path / "data" / split, a=dark_square())
    dnncli.predict(dark, tmp_path / "data", out=tmp_path / "test")
    dnncli.predict(dark, tmp_path / "data", out=tmp_path / "all", split="all")
    assert [file.name for file in (tmp_path / "test").glob("*.png")] == ["a.png"]
    assert sorted(open_maps(tmp_path / "all").ids) == ["test/a", "train/a"]


def test_pictures_alone_are_predicted_and_so_are_those_that_lack_a_mask(dark, data, tmp_path):
    dnncli.predict(dark, data / "images", out=tmp_path / "alone")
    assert sorted(open_maps(tmp_path / "alone").ids) == ["a", "deep/b"]
    (data / "masks" / "a.png").unlink()
    dnncli.predict(dark, data, out=tmp_path / "lacking")
    assert sorted(open_maps(tmp_path / "lacking").ids) == ["a", "deep/b"]


def test_edges_are_grey_maps_of_how_sure_they_are(edges, tmp_path):
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16)
    data = write_pairs(tmp_path / "data", drawn="edges", a=(picture, np.zeros((16, 16))))
    told = dnncli.predict(edges, data, out=tmp_path / "out")
    np.testing.assert_array_equal(read_png(tmp_path / "out" / "a.png"), 255 - picture)
    assert told.kind == "edges"
    assert told.counts == {"background": 128, "edge": 128}
    assert not (tmp_path / "out" / "classes.json").exists()


def test_an_npz_holds_shares_as_they_are(dark, data, tmp_path):
    dnncli.predict(dark, data, out=tmp_path / "out.npz", probabilities=True)
    with np.load(tmp_path / "out.npz") as found:
        picture = read_png(data / "images" / "a.png")
        assert found["a"].dtype == np.float32
        np.testing.assert_allclose(found["a"], 1 - picture / 255, atol=1e-6)


def test_shares_of_several_classes_get_a_folder_each(colours, tmp_path):
    write_png(tmp_path / "in" / "a.png", COLOURS[[[0, 1], [2, 2]]])
    dnncli.predict(colours, tmp_path / "in", out=tmp_path / "out", probabilities=True)
    assert read_png(tmp_path / "out" / "road" / "a.png").tolist() == [[0, 255], [0, 0]]
    assert read_png(tmp_path / "out" / "car" / "a.png").tolist() == [[0, 0], [255, 255]]
    with pytest.raises(ConfigError, match="one map per picture. Name a folder"):
        dnncli.predict(colours, tmp_path / "in", out=tmp_path / "o.npz", probabilities=True)


def test_masks_of_several_classes_keep_numbers_and_names(colours, tmp_path):
    write_png(tmp_path / "in" / "a.png", COLOURS[[[0, 1], [2, 2]]])
    dnncli.predict(colours, tmp_path / "in", out=tmp_path / "out")
    assert read_png(tmp_path / "out" / "a.png").tolist() == [[0, 1], [3, 3]]
    found = open_maps(tmp_path / "out")
    assert (found.class_names, found.void) == (("sky", "road", "void", "car"), 2)


def test_names_are_listed_where_numbers_do_not_say_them():
    assert listed_names(("0", "7"), (0, 7), 255) == ()
    assert listed_names(("background", "crack"), (0, 255), 128) == ("crack",)
    assert listed_names(("sky", "road"), (0, 2), 1) == ("sky", "void", "road")
    assert listed_names(("sky", "road", "car"), (0, 1, 2), 255) == ("sky", "road", "car")
    assert listed_names(("sky", "road", "car"), (0, 1, 2), 3) == ("sky", "road", "car", "void")


def test_nothing_but_earlier_predictions_is_replaced(dark, data, tmp_path):
    out = tmp_path / "out"
    dnncli.predict(dark, data, out=out)
    with pytest.raises(ConfigError, match="exists already. Give another name, or --overwrite"):
        dnncli.predict(dark, data, out=out)
    (data / "images" / "a.png").unlink()
    (data / "masks" / "a.png").unlink()
    dnncli.predict(dark, data, out=out, overwrite=True)
    assert open_maps(out).ids == ("deep/b",)
    with pytest.raises(ConfigError, match="exists and is no folder of predictions"):
        dnncli.predict(dark, data, out=data, overwrite=True)
    assert (data / "images" / "deep" / "b.png").exists()


@pytest.mark.parametrize("name", ["masks.csv", "masks.parquet", "mask.png"])
def test_maps_are_not_written_as_tables(dark, data, tmp_path, name):
    with pytest.raises(ConfigError, match="as a folder of PNGs, or as .npz"):
        dnncli.predict(dark, data, out=tmp_path / name)


def test_a_model_of_whole_pictures_has_no_maps_of_shares(tmp_path):
    model = write_dark_model(tmp_path / "m.keras", task="classify")
    with pytest.raises(ConfigError, match="--probabilities: is for masks"):
        dnncli.predict(model, tmp_path, out=tmp_path / "p.csv", probabilities=True)


def test_only_flips_that_training_had_are_views():
    card = {"flips": ["horizontal"]}
    assert [view.name for view in views_of(card, 2)] == ["plain", "flip"]
    with pytest.raises(ConfigError, match="--tta 3: masks and edges have 2 views at most"):
        views_of(card, 3)
    with pytest.raises(ConfigError, match="--tta 2: .* trained with no flips"):
        views_of({}, 2)


def test_answers_to_flipped_pictures_are_flipped_back():
    import keras

    inputs = keras.Input((None, None, 1))
    # Every pixel says what its left neighbour is.
    kernel = np.array([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1)
    layer = keras.layers.Conv2D(1, (1, 3), padding="same", use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([kernel])
    picture = np.array([1, 2, 4, 8], np.float32).reshape(1, 1, 4, 1)
    plain, flip = View("plain"), View("flip", "horizontal")
    assert forward(model, [plain])(picture).ravel().tolist() == [0, 1, 2, 4]
    assert forward(model, [flip])(picture).ravel().tolist() == [2, 4, 8, 0]
    assert forward(model, [plain, flip])(picture).ravel().tolist() == [1, 2.5, 5, 2]


def test_progress_is_told_within_a_large_picture(tmp_path):
    model = write_dark_model(tmp_path / "m.keras", window=[512, 512])
    data = write_pairs(tmp_path / "data", a=dark_square(1600, 1600, top=2, left=2))
    told = []
    dnncli.predict(
        model,
        data,
        out=tmp_path / "out",
        progress=lambda what, done, total: told.append((done, total)),
    )
    inside = [done for done, total in told if total == 1600]
    assert inside == sorted(inside)
    assert 0 < inside[0] < inside[-1] == 1600
