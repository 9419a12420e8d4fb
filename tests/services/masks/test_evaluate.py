"""Runs judged on masks and edges: as their predictions are when they are written."""

import json

import numpy as np
import pytest
from pixel_support import dark_square, read_png, write_dark_model, write_pairs, write_run

import dnncli
from dnncli.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def dark(tmp_path_factory):
    return write_dark_model(tmp_path_factory.mktemp("models") / "dark.keras")


@pytest.fixture
def data(tmp_path):
    """One picture whose mask is what the model says, and one that it gets half right."""
    picture, mask = dark_square()
    half = mask.copy()
    half[:8] = 0
    return write_pairs(tmp_path / "data", a=(picture, mask), deep__b=(picture, half))


def test_scores_follow_from_the_pixels_of_all_pictures(dark, data, tmp_path):
    found = dnncli.evaluate(dark, data, betas=(2.0,), positive="crack", fail_under=["dice.crack=1"])
    # 36 and 18 pixels are true; 36 are found in each picture.
    crack = found.per_class["crack"]
    assert (crack.tp, crack.fp, crack.fn) == (54, 18, 0)
    assert crack.dice == pytest.approx(108 / 126)
    assert crack.iou == pytest.approx(54 / 72)
    assert found.classes == ("crack",)
    assert found.missed == []
    assert [gate.met for gate in found.gates] == [False]
    assert found.out is None
    assert list(tmp_path.iterdir()) == [data]


def test_the_written_masks_get_the_same_scores(dark, data, tmp_path):
    found = dnncli.evaluate(dark, data, out=tmp_path / "out")
    again = dnncli.evaluate(tmp_path / "out" / "predictions", truth=data / "masks")
    assert found.per_class == again.per_class
    assert found.pooled == again.pooled
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert written["per_class"]["crack"]["tp"] == 54
    assert written["split"] == "all"
    assert {file.name for file in (tmp_path / "out").glob("*.csv")} == {
        "per_class.csv",
        "per_image.csv",
        "confusion.csv",
    }


def test_predictions_fit_to_masks_that_name_their_background_too(dark, data, tmp_path):
    (data / "classes.json").write_text('{"classes": ["background", "crack"]}')
    dnncli.predict(dark, data, out=tmp_path / "out")
    found = dnncli.evaluate(tmp_path / "out", truth=data / "masks")
    assert found.per_class["crack"].tp == 54
    assert found.classes == ("background", "crack")


def test_pictures_that_are_not_all_right_are_drawn(dark, data, tmp_path):
    dnncli.evaluate(dark, data, out=tmp_path / "out")
    files = list((tmp_path / "out" / "worst").iterdir())
    assert [file.name for file in files] == ["01-deep-b.png"]
    colours = {tuple(colour) for colour in read_png(files[0]).reshape(-1, 3).tolist()}
    assert (0xD5, 0x5E, 0x00) in colours  # of the legend: false alarms


def test_pixels_of_no_class_are_not_judged(dark, tmp_path):
    picture, mask = dark_square()
    mask[:8][mask[:8] == 255] = 128
    data = write_pairs(tmp_path / "data", a=(picture, mask))
    (data / "classes.json").write_text('{"classes": ["crack"], "ignore": 128}')
    found = dnncli.evaluate(dark, data)
    assert found.ignored == 18
    assert found.per_class["crack"].dice == 1


def test_a_threshold_decides_for_the_second_class(tmp_path):
    model = write_dark_model(tmp_path / "m.keras")
    picture = np.full((4, 4), 255 - 64, np.uint8)  # a share of 0.25
    data = write_pairs(tmp_path / "data", a=(picture, np.full((4, 4), 255)))
    assert dnncli.evaluate(model, data).per_class["crack"].recall == 0
    assert dnncli.evaluate(model, data, threshold=0.25).per_class["crack"].recall == 1


def test_a_run_keeps_its_evaluations_apart(data, tmp_path):
    run = write_run(tmp_path / "run", data)
    assert dnncli.evaluate(run).out == run / "eval" / "test"
    assert dnncli.evaluate(run).out == run / "eval" / "test"
    other = write_pairs(tmp_path / "other", a=dark_square())
    assert dnncli.evaluate(run, other).out == run / "eval" / "other-all"
    assert dnncli.evaluate(run, other, name="mine").out == run / "eval" / "mine"
    with pytest.raises(ConfigError, match="--name mine: .* other data"):
        dnncli.evaluate(run, name="mine")
    with pytest.raises(ConfigError, match="must be a plain name"):
        dnncli.evaluate(run, name="../mine")


@pytest.mark.parametrize("task", ["segment", "edges"])
def test_rows_that_made_the_model_are_named_as_such(task, tmp_path):
    drawn = "masks" if task == "segment" else "edges"
    data = write_pairs(tmp_path / "data", drawn=drawn, a=dark_square())
    run = write_run(tmp_path / "run", data, task=task)
    scores = dnncli.evaluate(run, split="all")
    assert "these are not scores on new data" in scores.warnings[0]
    assert not any("not scores" in warning for warning in dnncli.evaluate(run).warnings)


def test_edges_are_judged_as_they_are_written(tmp_path):
    model = write_dark_model(tmp_path / "m.keras", task="edges")
    picture = np.full((24, 24), 255, np.uint8)
    picture[8] = 55
    truth = np.zeros((24, 24), np.uint8)
    truth[8] = 255
    data = write_pairs(tmp_path / "data", drawn="edges", a=(picture, truth))
    found = dnncli.evaluate(model, data, out=tmp_path / "out", fail_under=["ods=0.9"])
    again = dnncli.evaluate(tmp_path / "out" / "predictions", truth=data / "edges", edges=True)
    assert found.ods == again.ods > 0.9  # ridges at the border of the picture do not count
    assert [gate.met for gate in found.gates] == [True]
    assert (tmp_path / "out" / "curve.csv").exists()
    assert (found.split, found.out) == ("all", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"positive": "crak"}, "--positive: Unknown class 'crak'. Did you mean 'crack'."),
        ({"fail_under": ["dice.car=1"]}, "no class or average 'car'"),
        ({"classes": ("a", "b")}, "--classes: is not for runs"),
        ({"binary": True}, "--binary: is not for runs"),
        ({"truth": "x"}, "--truth: is not for masks"),
        ({"bins": 3}, "--bins: is not for masks"),
        ({"edges": True}, "--edges: is not for"),
        ({"split": "val"}, "--split val: this data set has all"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_predicted(dark, data, options, answer):
    with pytest.raises(ConfigError, match=answer):
        dnncli.evaluate(dark, data, **options)


def test_pictures_without_masks_cannot_be_judged(dark, data):
    with pytest.raises(DataError, match="no pictures with masks or edges. Expected"):
        dnncli.evaluate(dark, data / "images")


def test_data_that_changed_since_training_is_refused(data, tmp_path):
    run = write_run(tmp_path / "run", data)
    write_pairs(data, a=dark_square(side=7))
    with pytest.raises(DataError, match="has changed since"):
        dnncli.evaluate(run)
