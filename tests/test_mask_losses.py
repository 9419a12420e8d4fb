"""Losses of masks as training uses them: pixels of no class, weights, maps, sums, settings."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from mask_loss_support import (
    CASES,
    THREE,
    TWO,
    build,
    line,
    per_picture,
    random_case,
    value_and_gradient,
)

from dnncli.config import LossConfig
from dnncli.errors import ConfigError
from dnncli.mask_losses import check_mask_loss


@pytest.mark.parametrize(("name", "classes"), CASES)
def test_pixels_of_no_class_change_nothing_and_get_no_gradient(name, classes):
    y, z = random_case(5, classes)
    loss = build(name, class_names=classes)
    value, gradient = value_and_gradient(loss, y, z)
    assert not gradient[y == 255].any() and gradient[y != 255].any()
    z[y == 255] = 50.0
    assert value_and_gradient(loss, y, z)[0] == pytest.approx(value)


@pytest.mark.parametrize(("name", "classes"), CASES)
def test_a_picture_of_no_class_at_all_costs_nothing(name, classes):
    y, z = random_case(6, classes)
    y[1] = 255
    loss = build(name, class_names=classes)
    assert per_picture(loss, y, z)[1] == 0
    _, gradient = value_and_gradient(loss, y, z)
    assert not gradient[1].any() and np.isfinite(gradient).all()


@pytest.mark.parametrize(("name", "classes"), CASES)
def test_a_right_answer_costs_less_than_a_wrong_one(name, classes):
    y, _ = random_case(7, classes)
    right = np.eye(len(classes))[np.where(y == 255, 0, y)] * 4 - 2
    right = right[..., 1:] if classes == TWO else right
    loss = build(name, class_names=classes)
    assert (per_picture(loss, y, right) < per_picture(loss, y, -right)).all()


@pytest.mark.parametrize("name", ["cross-entropy", "focal", "balanced-cross-entropy"])
def test_class_weights_multiply_what_a_pixel_costs(name):
    y, z = random_case(8, TWO)
    plain = per_picture(build(name), y, z)
    heavy = per_picture(build(name, class_weights=np.array([1.0, 3.0])), y, z)
    only = per_picture(build(name, class_weights=np.array([0.0, 1.0])), y, z)
    assert heavy == pytest.approx(plain + 2 * only, rel=1e-5)


def test_class_weights_weigh_false_alarms_against_misses_in_dice():
    # Found 1, missed 1 (weight 3 each), 1 false alarm (weight 1): 2 * 3 / (3 + 1 + 6)
    y, z = line([1, 1, 0, 0], [60.0, -60, 60, -60])
    ours = build("dice", smooth=0.0, class_weights=np.array([1.0, 3.0]))
    assert per_picture(ours, y, z) == pytest.approx([1 - 6 / 10])


@pytest.mark.parametrize(("name", "classes"), CASES)
def test_class_weights_of_1_change_nothing(name, classes):
    y, z = random_case(9, classes)
    ones = build(name, class_names=classes, class_weights=np.ones(len(classes)))
    assert per_picture(ones, y, z) == pytest.approx(
        per_picture(build(name, class_names=classes), y, z)
    )


@pytest.mark.parametrize("classes", [TWO, THREE])
def test_maps_are_summed_each_with_its_weight(classes):
    y, z = random_case(10, classes, maps=3)
    single = build("dice", class_names=classes)
    parts = [per_picture(single, y, part) for part in np.split(z, 3, axis=-1)]
    together = build("dice", class_names=classes, maps=3)
    assert per_picture(together, y, z) == pytest.approx(sum(parts), rel=1e-5)
    weighted = build("dice", class_names=classes, maps=3, map_weights=[0.5, 0, 2])
    assert per_picture(weighted, y, z) == pytest.approx(0.5 * parts[0] + 2 * parts[2], rel=1e-5)


def test_a_sum_of_losses_adds_them_with_their_weights_and_options():
    y, z = random_case(11, TWO)
    dice = per_picture(build("dice", smooth=5.0), y, z)
    entropy = per_picture(build("cross-entropy"), y, z)
    both = build("dice+cross-entropy", dice={"smooth": 5.0})
    assert per_picture(both, y, z) == pytest.approx(dice + entropy, rel=1e-5)
    config = {"dice": {"smooth": 5.0}, "weights": [2, 0.5]}
    weighted = build("Dice+cross-entropy", **config)
    assert per_picture(weighted, y, z) == pytest.approx(2 * dice + 0.5 * entropy, rel=1e-5)


def test_options_of_a_single_loss_may_stand_under_its_name():
    y, z = random_case(12, TWO)
    under, beside = build("dice", dice={"smooth": 3.0}), build("dice", smooth=3.0)
    assert per_picture(under, y, z) == pytest.approx(per_picture(beside, y, z))


@pytest.mark.parametrize(("name", "classes"), [*CASES, ("dice+focal", THREE)])
def test_a_loss_survives_saving(name, classes):
    y, z = random_case(13, classes, maps=2)
    weights = np.linspace(0.5, 2, len(classes))
    loss = build(name, class_names=classes, maps=2, class_weights=weights, map_weights=[1, 3])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    assert per_picture(again, y, z) == pytest.approx(per_picture(loss, y, z))


def test_losses_of_half_precision_logits_are_float32():
    y, z = random_case(14, TWO)
    loss = build("dice+cross-entropy")
    value = loss(y, tf.cast(z, "bfloat16"))
    assert value.dtype == tf.float32
    assert float(value) == pytest.approx(float(loss(y, z)), rel=0.01)


def test_a_network_of_any_size_trains_with_a_sum_in_graph_mode():
    inputs = keras.Input((None, None, 1))
    outputs = keras.layers.Conv2D(2, 3, padding="same", kernel_initializer="zeros")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss=build("dice+balanced-cross-entropy", maps=2))
    x = np.random.default_rng(0).random((2, 6, 7, 1)).astype(np.float32)
    y = (x[..., 0] > 0.5).astype(np.uint8)
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=5, verbose=0)
    assert model.evaluate(x, y, verbose=0) < before


@pytest.mark.parametrize(
    ("name", "classes", "options", "message"),
    [
        ("dise", TWO, {}, "Unknown loss 'dise'. Did you mean 'dice'"),
        ("dice+dice", TWO, {}, "names a loss twice"),
        ("dice", TWO, {"smoth": 1}, "no such option 'smoth'. Did you mean 'smooth'"),
        ("dice", TWO, {"smooth": -1}, "(dice): smooth: must be a number, 0 or more. Got -1"),
        ("dice", TWO, {"smooth": "much"}, "loss.options (dice):"),
        ("dice", TWO, {"dice": 3}, "loss.options.dice: must be a table of options. Got 3"),
        ("dice+focal", TWO, {"gamma": 2}, "loss.options.gamma: is whose? Give options by loss"),
        ("dice+focal", TWO, {"weights": [1]}, "weights: must be 2 numbers, one per loss"),
        ("dice+focal", TWO, {"weights": [0, 0]}, "not all 0"),
        ("tversky", TWO, {"beta": math.inf}, "beta: must be a number, 0 or more"),
        ("focal", TWO, {"gamma": -1}, "gamma: must be a number, 0 or more. Got -1"),
        ("focal", TWO, {"alpha": 1.5}, "alpha: must be in 0 to 1"),
        ("focal", THREE, {"alpha": 0.5}, "one weight per class, in the order background, cell"),
        ("focal", THREE, {"alpha": [1, 2]}, "one weight per class"),
        ("balanced-cross-entropy", THREE, {}, "is for two classes, and the data has 3"),
        ("balanced-cross-entropy", TWO, {"reduction": "max"}, "must be mean or sum. Got 'max'"),
        ("balanced-cross-entropy", TWO, {"edge_free": 2}, "edge_free: must be in 0 to 1. Got 2"),
        ("cross-entropy", TWO, {"label_smoothing": 1}, "must be in 0 to 1, below 1"),
    ],
)
def test_what_cannot_be_is_said_before_training(name, classes, options, message):
    with pytest.raises(ConfigError) as caught:
        check_mask_loss(LossConfig(name=name, options=options), class_names=classes)
    assert message in str(caught.value)


def test_a_checked_sum_is_named_as_the_registry_spells_it():
    assert check_mask_loss(LossConfig(name="Dice+FOCAL"), class_names=TWO) == "dice+focal"


def test_label_smoothing_without_a_loss_that_knows_it_is_refused():
    with pytest.raises(ConfigError, match="loss.label_smoothing: dice knows none"):
        build("dice", smoothing=0.1)
    _, entropy = build("dice+cross-entropy", smoothing=0.1).terms
    assert entropy["options"] == {"label_smoothing": 0.1}


def test_weights_of_maps_are_counted_when_the_number_of_maps_is_known():
    with pytest.raises(ConfigError, match="map_weights: must be 3 numbers, one per map"):
        build("dice", maps=3, map_weights=[1, 1])


def test_shapes_that_do_not_fit_are_named():
    loss = build("dice", maps=2)
    with pytest.raises(ValueError, match=r"\(B, H, W, 2 \* K\). Got \(1, 2, 2\) and \(1, 2, 2, 3"):
        loss(np.zeros((1, 2, 2)), np.zeros((1, 2, 2, 3)))
    with pytest.raises(ValueError, match="class_weights: 3 weights for 2 classes"):
        build("dice", class_weights=np.ones(3))
