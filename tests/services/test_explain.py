"""Explanations: of the right pictures, as large as they are, in a folder of their own."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from tests_support import CLASSES, write_hollow_png, write_patterns

import dnncli
from dnncli.config import ModelConfig
from dnncli.errors import ConfigError, DataError, ModelError
from dnncli.networks.files import save_model
from dnncli.services.explaining.methods import gate_summary, side_shares, target_of


@pytest.fixture(scope="module")
def run(patterns, tmp_path_factory):
    """A cnn of one epoch on the patterns, of 12x12 pixels."""
    out = tmp_path_factory.mktemp("runs") / "cnn"
    settings = {"run.tensorboard": False, "model.options": {"width": 4}}
    dnncli.train(patterns, out=str(out), model="cnn", epochs=1, settings=settings)
    return out


def card(**changes):
    return {
        "schema": "dnncli.model/1",
        "task": "classify",
        "classes": list(CLASSES),
        "image_size": [12, 12],
        "channels": 1,
        "resize": "stretch",
        "input_range": [0, 255],
        "data_fingerprint": "none",
        "model": "cnn",
    } | changes


@pytest.fixture(scope="module")
def attentive(tmp_path_factory):
    """An untrained cnn with CBAM, that crops its pictures."""
    from keras import layers

    from dnncli.networks.network import build_network

    network = build_network(
        ModelConfig(name="cnn", attention="cbam", options={"width": 4}),
        height_width=(12, 12),
        channels=1,
        class_names=CLASSES,
        loss="cross-entropy",
        normalization=[layers.Rescaling(1 / 255)],
    )
    path = tmp_path_factory.mktemp("models") / "attentive.keras"
    save_model(network.serving, path, card(resize="crop"))
    return path


@pytest.fixture(scope="module")
def edges(tmp_path_factory):
    """An untrained HED for edges."""
    from dnncli.networks.dense import build_dense

    config = ModelConfig(name="hed", preset="from-scratch", options={"width": 2})
    network = build_dense(config, channels=3, class_names=("background", "edge"), task="edges")
    path = tmp_path_factory.mktemp("models") / "hed.keras"
    dense = {"task": "edges", "window": [32, 32], "resize": "tile", "overlap": 0.25, "maps": 6}
    dense |= {"values": [0, 255], "void": 254, "channels": 3, "classes": ["background", "edge"]}
    save_model(network.serving, path, card(**dense))
    return path


def grey_picture(path, *, height, width):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def size(path):
    with Image.open(path) as image:
        return image.size[::-1]


def test_the_test_pictures_are_explained_evenly_from_all_classes(run):
    result = dnncli.explain(run, limit=6)
    assert (result.n, result.out) == (6, run / "explain")
    assert sorted({one.truth for one in result.pictures}) == sorted(CLASSES)
    assert all(one.id.startswith("test/") for one in result.pictures)
    assert any("6 of 18 pictures" in note for note in result.notes)
    written = json.loads((result.out / "explain.json").read_text())
    assert written["schema"] == "dnncli.explain/1"
    for one in result.pictures:
        for name in one.files:
            assert size(result.out / name) == (12, 12)
    with (result.out / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [one.id for one in result.pictures]


def test_a_flattening_network_is_explained_place_by_place_unless_asked_otherwise(run, tmp_path):
    words = ["test/dots/000.png"]
    auto = dnncli.explain(run, words, out=tmp_path / "a")
    assert auto.methods == ("hires-cam",)
    assert any("--method grad-cam" in note for note in auto.notes)
    plain = dnncli.explain(run, words, out=tmp_path / "b", method="grad-cam")
    assert (plain.methods, plain.notes) == (("grad-cam",), ())
    assert plain.layer == auto.layer


def test_the_class_that_is_explained_is_the_likeliest_or_the_one_asked_for(run, patterns, tmp_path):
    predicted = tmp_path / "p.csv"
    dnncli.predict(run, patterns, out=predicted)
    with predicted.open() as file:
        truth = {row["id"]: row for row in csv.DictReader(file)}
    one = dnncli.explain(run, ["test/down/001.png"], out=tmp_path / "a").pictures[0]
    probs = {name: float(truth[one.id][name]) for name in CLASSES}
    assert one.explained == max(probs, key=probs.get)
    for name in CLASSES:
        out = tmp_path / name
        asked = dnncli.explain(run, ["test/down/001.png"], out=out, class_name=name).pictures[0]
        assert asked.explained == name
        assert asked.probability == pytest.approx(probs[name], abs=1e-5)


def test_files_folders_and_ids_are_explained_at_their_own_size(run, tmp_path):
    file = grey_picture(tmp_path / "x.png", height=20, width=31)
    folder = tmp_path / "more"
    grey_picture(folder / "x.png", height=7, width=5)
    grey_picture(folder / "y.v2.jpg", height=40, width=9)
    result = dnncli.explain(run, ["train/dots/003.png", file, folder], out=tmp_path / "out")
    assert [one.id for one in result.pictures] == [
        "train/dots/003.png",
        "x.png",
        "x.png",
        "y.v2.jpg",
    ]
    assert [one.truth for one in result.pictures] == ["dots", None, None, None]
    names = [one.files[0] for one in result.pictures]
    assert names[1:] == ["hires-cam/x.png", "hires-cam/x-2.png", "hires-cam/y.v2.png"]
    sizes = [size(tmp_path / "out" / name) for name in names]
    assert sizes == [(12, 12), (20, 31), (7, 5), (40, 9)]


def test_attention_shows_the_gates_of_channels_and_of_places(attentive, tmp_path):
    folder = tmp_path / "data"
    grey_picture(folder / "a.png", height=12, width=36)
    grey_picture(folder / "b.png", height=24, width=12)
    result = dnncli.explain(attentive, [folder], out=tmp_path / "out", method="attention")
    assert (result.methods, result.layer) == (("attention",), None)
    assert [gate.layer for gate in result.gates] == [f"stage{n}_attention_gate" for n in (1, 2)]
    assert all(0 < gate.lowest <= gate.mean <= gate.highest < 1 for gate in result.gates)
    assert all(len(gate.weights) == gate.channels for gate in result.gates)
    out = result.out
    assert (out / "gates.png").exists()
    with (out / "gates.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * sum(gate.channels for gate in result.gates)
    first = result.gates[0]
    mine = [float(row["weight"]) for row in rows if row["layer"] == first.layer]
    assert np.mean(mine) == pytest.approx(first.mean, rel=1e-4)
    assert size(out / "attention" / "a.stage1_attention_spatial_gate.png") == (12, 36)
    assert (out / "attention" / "a.png").exists()
    with_cam = dnncli.explain(attentive, [folder], out=tmp_path / "auto")
    assert with_cam.methods == ("hires-cam", "attention")
    assert with_cam.layer == "stage2_attention_spatial_scale"


def test_a_cropped_picture_is_coloured_only_where_the_network_saw_it(attentive, tmp_path):
    path = tmp_path / "wide.png"
    Image.fromarray(np.full((12, 36), 100, np.uint8)).save(path)
    result = dnncli.explain(attentive, [path], out=tmp_path / "out", method="attention")
    name = "wide.stage1_attention_spatial_gate.png"
    shown = np.asarray(Image.open(result.out / "attention" / name)).astype(int)
    coloured = np.ptp(shown, axis=2).max(axis=0) > 0
    assert not coloured[:12].any() and not coloured[24:].any()
    assert coloured[12:24].any()


def test_side_outputs_are_probabilities_as_large_as_the_picture(edges, tmp_path):
    path = grey_picture(tmp_path / "a.png", height=37, width=50)
    result = dnncli.explain(edges, [path], out=tmp_path / "out")
    assert result.methods == ("grad-cam", "sides")
    sides = [*(f"sides/a.side{n}.png" for n in range(1, 6)), "sides/a.fuse.png"]
    assert list(result.pictures[0].files) == ["grad-cam/a.png", *sides]
    assert {size(result.out / name) for name in result.pictures[0].files} == {(37, 50)}
    assert result.pictures[0].explained == "edge"


def test_what_a_network_does_not_have_is_said(run, small_run, attentive, tmp_path):
    with pytest.raises(ModelError, match="has no side outputs"):
        dnncli.explain(run, method="sides")
    with pytest.raises(ModelError, match="Train with --attention se"):
        dnncli.explain(run, method="attention")
    with pytest.raises(ModelError, match="mlp: has no convolution"):
        dnncli.explain(small_run, out=tmp_path / "mlp")
    assert not (tmp_path / "mlp").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_name": "dot"}, "--class dot: .* Did you mean 'dots'?"),
        ({"method": "gradcam"}, "Unknown method 'gradcam'. Did you mean 'grad-cam'?"),
        ({"method": "sides", "layer": "side1"}, "--layer side1: is for"),
        ({"limit": 0}, "--limit 0: must be at least 1"),
        ({"split": "later"}, "--split later: the data set of the run has train, val, test, all"),
    ],
)
def test_wrong_options_are_named(small_run, options, message):
    with pytest.raises(ConfigError, match=message):
        dnncli.explain(small_run, **options)


def test_pictures_that_are_not_there_are_all_named(run):
    with pytest.raises(DataError) as error:
        dnncli.explain(run, ["test/dots/00.png", "nowhere.png"])
    assert "'test/dots/00.png'. Did you mean 'test/dots/00" in str(error.value)
    assert "'nowhere.png'" in str(error.value)


def test_a_model_file_by_itself_has_no_ids_and_no_place_to_write(attentive, tmp_path):
    with pytest.raises(ConfigError, match="--out DIR"):
        dnncli.explain(attentive, ["x.png"])
    with pytest.raises(DataError, match="No such picture files"):
        dnncli.explain(attentive, ["x.png"], out=tmp_path / "out")


def test_only_earlier_explanations_are_replaced(run, tmp_path):
    out = tmp_path / "out"
    dnncli.explain(run, ["test/dots/000.png"], out=out)
    dnncli.explain(run, ["test/down/000.png"], out=out)
    assert not list(out.rglob("dots/*")) and list(out.rglob("down/*"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("keep")
    with pytest.raises(ConfigError, match="exists and is no explanation"):
        dnncli.explain(run, out=other)


def test_a_picture_that_cannot_be_decoded_is_left_out_and_said(run, tmp_path):
    folder = write_patterns(tmp_path / "data", splits={"": 1})
    write_hollow_png(folder / "dots" / "hollow.png")
    result = dnncli.explain(run, [folder], out=tmp_path / "out")
    assert result.n == 3
    assert any("dots/hollow.png" in note for note in result.notes)
    (tmp_path / "bad").mkdir()
    write_hollow_png(tmp_path / "bad" / "hollow.png")
    with pytest.raises(DataError, match="None of the pictures can be read"):
        dnncli.explain(run, [tmp_path / "bad"], out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_arrays_of_floats_are_explained(run, tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 255, (3, 12, 12)).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=pixels, y=np.array(CLASSES))
    result = dnncli.explain(run, [tmp_path / "a.npz"], out=tmp_path / "out")
    assert [one.truth for one in result.pictures] == list(CLASSES)
    assert len({name for one in result.pictures for name in one.files}) == 3


def test_pixels_decided_for_the_class_are_explained_and_all_if_there_are_none():
    probs = np.array([[[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]]], np.float32)
    inside = np.array([[True, True, False]])  # the last pixel is padding
    found = target_of(probs, class_index=None, inside=inside)
    assert (found.class_index, found.pixels.tolist()) == (1, [[False, True, False]])
    rare = target_of(probs, class_index=2, inside=inside)
    assert rare.pixels.tolist() == inside.tolist()
    assert target_of(np.array([0.2, 0.8]), class_index=None, inside=None).class_index == 1


def test_side_outputs_become_probabilities_of_the_class():
    one = np.log(np.array([[[3.0]]], np.float32))  # odds 3 to 1 for the second class
    assert side_shares(one, class_index=1) == pytest.approx(0.75)
    assert side_shares(one, class_index=0) == pytest.approx(0.25)
    three = np.log(np.array([[[1.0, 2.0, 1.0]]], np.float32))
    assert side_shares(three, class_index=1) == pytest.approx(0.5)
    assert side_shares(np.full((1, 1, 1), 1e6, np.float32), class_index=0) == pytest.approx(0)


def test_the_spread_of_a_gate_is_how_much_it_depends_on_the_picture():
    same = gate_summary({"g": np.array([[0.2, 0.8], [0.2, 0.8]])})[0]
    other = gate_summary({"g": np.array([[0.2, 0.8], [0.4, 0.8]])})[0]
    assert same["spread"] == 0
    assert other["spread"] == pytest.approx((0.1 + 0) / 2)
    assert np.isnan(gate_summary({"g": np.array([[0.2, 0.8]])})[0]["spread"])
