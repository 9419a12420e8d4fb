"""What is settled before training: the network that fits the size of the data."""

import tomllib

import numpy as np
import pytest

import dnncli
from dnncli.errors import ConfigError, DataError


def settled(folder, *, rows, pixels, **options):
    """The settings for `rows` random pictures of two classes, and the plan."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (rows, *pixels), dtype=np.uint8)
    path = folder / f"{rows}x{pixels[0]}x{pixels[1]}.npz"
    np.savez(path, x=x, y=np.arange(rows) % 2)
    told = dnncli.train(path, dry_run=True, **options)
    return tomllib.loads(told["config"]), told["plan"]


def network(folder, **options):
    """The settings of the network for random pictures."""
    return settled(folder, **options)[0]["model"]


@pytest.mark.parametrize(
    ("rows", "pixels", "convolutions"),
    [
        (40, (12, 12), 1),
        (40, (28, 200), 1),  # the shorter side counts
        (40, (34, 34), None),
        (1_500, (8, 8), None),  # 1,083 of them to train on
    ],
)
def test_few_small_pictures_get_one_convolution_a_stage(tmp_path, rows, pixels, convolutions):
    model = network(tmp_path, rows=rows, pixels=pixels)
    assert model["name"] == "cnn"
    assert model["options"].get("convolutions") == convolutions


def test_a_network_that_was_named_is_left_as_it_is(tmp_path):
    assert network(tmp_path, rows=40, pixels=(12, 12), model="cnn")["options"] == {}
    resnet = network(tmp_path, rows=40, pixels=(12, 12), model="resnet20")
    assert resnet["options"] == {}


def test_options_of_the_user_stand_above_the_choice(tmp_path):
    settings = {"model.options": {"width": 8, "convolutions": 3}}
    model = network(tmp_path, rows=40, pixels=(12, 12), settings=settings)
    assert model["options"] == {"width": 8, "convolutions": 3}


@pytest.mark.parametrize("setting", ["fit.validation_freq", "fit.initial_epoch"])
def test_epochs_that_were_chosen_must_leave_one_to_train_and_validate(tmp_path, setting):
    with pytest.raises(ConfigError, match=f"{setting} 99: .*no epoch"):
        network(tmp_path, rows=40, pixels=(12, 12), settings={setting: 99})


@pytest.mark.parametrize("weight", ["nan", "inf", "-1", "true", "'much'"])
def test_a_class_weight_is_a_finite_number_that_is_not_negative(tmp_path, weight):
    file = tmp_path / "weights.toml"
    file.write_text(f"dots = {weight}\n")
    with pytest.raises(ConfigError, match="weights.toml:\n  dots: .* is not a weight >= 0"):
        network(tmp_path, rows=40, pixels=(12, 12), class_weight=str(file))


MASKS = "sample_data/cracks_seg"


def test_masks_are_no_classes_whatever_the_task_says():
    with pytest.raises(DataError, match="Say --task segment"):
        dnncli.train(MASKS, task="classify", dry_run=True)


def test_networks_with_ready_weights_are_those_of_the_task():
    with pytest.raises(ConfigError, match=r"'unet' has no ready weights.*that have: hed\.$"):
        dnncli.train(MASKS, weights="imagenet", dry_run=True)


@pytest.mark.parametrize(
    ("rows", "batch_size", "updates"),
    [(1_300, 16, 3_200), (4_000, 64, 2_400), (30_000, 128, 3_200)],
)
def test_batches_and_updates_follow_from_the_number_of_rows(tmp_path, rows, batch_size, updates):
    _, plan = settled(tmp_path, rows=rows, pixels=(2, 2))
    assert plan["batch_size"] == batch_size
    assert plan["epochs"] * plan["steps_per_epoch"] == pytest.approx(
        updates, abs=plan["steps_per_epoch"] / 2
    )


@pytest.mark.parametrize(("rows", "epochs"), [(100, 80), (120_000, 8)])
def test_neither_many_nor_few_rows_make_a_run_endless(tmp_path, rows, epochs):
    assert settled(tmp_path, rows=rows, pixels=(2, 2))[1]["epochs"] == epochs


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "muon-conv"),
        ({"model": "cnn"}, "muon-conv"),
        ({"model": "resnet20"}, "adam"),
        ({"model": "mlp"}, "adam"),
        ({"optimizer": "sgd"}, "sgd"),
    ],
)
def test_the_optimizer_follows_the_network_unless_it_is_named(tmp_path, options, name):
    config, _ = settled(tmp_path, rows=40, pixels=(12, 12), **options)
    assert config["optimizer"]["name"] == name
