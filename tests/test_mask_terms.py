"""Terms of losses of masks against plain loops, values by hand, and Keras where Keras is right."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_loss_support import (
    CASES,
    THREE,
    TWO,
    build,
    line,
    logit,
    per_picture,
    random_case,
    value_and_gradient,
)

LOG2 = math.log(2)


def rows_of(y, z):
    """Class and probabilities (float64) of every pixel that has a class."""
    z = z.astype(float).reshape(y.size, -1)
    z = np.concatenate([np.zeros_like(z), z], 1) if z.shape[1] == 1 else z
    probs = np.exp(z - z.max(1, keepdims=True))
    probs /= probs.sum(1, keepdims=True)
    return [(int(c), p) for c, p in zip(y.ravel(), probs) if c != 255]


def soft_counts(rows, c):
    """p * y, p and y of class c, summed over the pixels."""
    return (
        sum(p[c] for true, p in rows if true == c),
        sum(p[c] for _, p in rows),
        sum(true == c for true, _ in rows),
    )


def naive(name, rows, n):
    """The definition of each loss with its default options, pixel by pixel."""
    if name == "cross-entropy":
        return -sum(math.log(p[true]) for true, p in rows) / len(rows)
    if name == "focal":
        return -sum((1 - p[true]) ** 2 * math.log(p[true]) for true, p in rows) / len(rows)
    if name == "balanced-cross-entropy":
        edges = sum(true for true, _ in rows) / len(rows)
        weights = (edges, 1 - edges)
        return -sum(weights[true] * math.log(p[true]) for true, p in rows) / len(rows)
    counts = [soft_counts(rows, c) for c in range(n)]
    if name == "dice":
        return np.mean([1 - (2 * b + 1) / (p + a + 1) for b, p, a in counts[1:]])
    if name == "tversky":
        return np.mean(
            [1 - (b + 1) / (b + 0.3 * (p - b) + 0.7 * (a - b) + 1) for b, p, a in counts[1:]]
        )
    weights = [1 / a**2 for _, _, a in counts]
    above = sum(w * b for w, (b, _, _) in zip(weights, counts))
    return 1 - 2 * above / sum(w * (p + a) for w, (_, p, a) in zip(weights, counts))


@pytest.mark.parametrize(("name", "classes"), CASES)
@pytest.mark.parametrize("seed", range(3))
def test_every_loss_agrees_with_its_definition_picture_by_picture(name, classes, seed):
    y, z = random_case(seed, classes)
    expected = [naive(name, rows_of(a, b), len(classes)) for a, b in zip(y, z)]
    loss = build(name, class_names=classes)
    assert per_picture(loss, y, z) == pytest.approx(expected, abs=2e-6)
    assert float(loss(y, z)) == pytest.approx(np.mean(expected), abs=2e-6)


@pytest.mark.parametrize(("name", "classes"), CASES)
@pytest.mark.parametrize("size", [0.0, 1.0, 20.0, 120.0])
def test_value_and_gradient_are_finite_for_any_confidence(name, classes, size):
    y, z = random_case(0, classes)
    for scores in (np.sign(z) * size, -np.sign(z) * size):
        value, gradient = value_and_gradient(build(name, class_names=classes), y, scores)
        assert math.isfinite(value) and value >= 0
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("classes", [TWO, THREE])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 2.5, 5.0])
@pytest.mark.parametrize("size", [1.0, 20.0, 120.0])
def test_focal_is_finite_for_every_gamma_and_pulls_where_it_is_wrong(classes, gamma, size):
    loss = build("focal", class_names=classes, gamma=gamma)
    y = np.ones((1, 1, 1), np.uint8)
    for sign in (-1, 1):
        scores = [sign * size] if classes == TWO else [0, sign * size, -size]
        value, gradient = value_and_gradient(loss, y, np.reshape(scores, (1, 1, 1, -1)))
        assert math.isfinite(value) and np.isfinite(gradient).all()
        if sign < 0:
            assert value > 0.2 * size
            assert np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize("classes", [TWO, THREE])
def test_focal_of_gamma_0_is_cross_entropy(classes):
    y, z = random_case(1, classes)
    ours = per_picture(build("focal", class_names=classes, gamma=0.0), y, z)
    assert ours == pytest.approx(per_picture(build("cross-entropy", class_names=classes), y, z))


def test_focal_has_a_gradient_where_keras_has_nan_or_none():
    y, z = line([1], [20.0])
    theirs = keras.losses.BinaryFocalCrossentropy(from_logits=True, gamma=0.5)
    scores = tf.Variable(z.reshape(1, 1))
    with tf.GradientTape() as tape:
        value = theirs(np.ones((1, 1), np.float32), scores)
    assert not np.isfinite(tape.gradient(value, scores).numpy()).all()
    assert np.isfinite(value_and_gradient(build("focal", gamma=0.5), y, z)[1]).all()


def test_focal_value_by_hand():
    # p = 0.6: 0.75 * 0.4^2 * -log 0.6 on the crack; p = 0.2: 0.25 * 0.2^2 * -log 0.8 beside it
    y, z = line([1, 0], logit([0.6, 0.2]))
    expected = (0.75 * 0.16 * -math.log(0.6) + 0.25 * 0.04 * -math.log(0.8)) / 2
    assert per_picture(build("focal", alpha=0.75), y, z) == pytest.approx([expected])
    assert per_picture(build("focal", alpha=[0.25, 0.75]), y, z) == pytest.approx([expected])


def test_cross_entropy_equals_keras_per_picture():
    y, z = random_case(3, TWO, void=False)
    theirs = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1, reduction=None)
    expected = theirs(y.reshape(3, -1), z.reshape(3, -1)).numpy()
    assert per_picture(build("cross-entropy", smoothing=0.1), y, z) == pytest.approx(expected)
    y, z = random_case(3, THREE, void=False)
    theirs = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=0.1, reduction=None
    )
    expected = theirs(np.eye(3)[y], z).numpy().reshape(3, -1).mean(1)
    ours = build("cross-entropy", class_names=THREE, label_smoothing=0.1)
    assert per_picture(ours, y, z) == pytest.approx(expected, rel=1e-5)


def test_balanced_cross_entropy_weighs_both_classes_of_a_picture_the_same():
    # 1 of 4 pixels is an edge: 3/4 * log 2 for it, 1/4 * log 2 for each of the others
    y, z = line([1, 0, 0, 0], [0.0] * 4)
    assert per_picture(build("balanced-cross-entropy"), y, z) == pytest.approx([1.5 * LOG2 / 4])
    summed = build("balanced-cross-entropy", reduction="sum")
    assert per_picture(summed, y, z) == pytest.approx([1.5 * LOG2])
    _, gradient = value_and_gradient(summed, y, z)
    assert gradient.ravel() == pytest.approx([-0.375, 0.125, 0.125, 0.125])


@pytest.mark.parametrize("truth", [0, 1])
def test_a_picture_of_one_class_weighs_what_edge_free_says(truth):
    y, z = line([truth] * 4, [0.0] * 4)
    value, gradient = value_and_gradient(build("balanced-cross-entropy"), y, z)
    assert value == pytest.approx(0.01 * LOG2)
    assert gradient.ravel() == pytest.approx([(0.5 - truth) * 0.01 / 4] * 4)
    value, gradient = value_and_gradient(build("balanced-cross-entropy", edge_free=0.0), y, z)
    assert value == 0 and not gradient.any()  # as published


def test_dice_of_empty_masks_is_0_where_keras_says_1():
    y, z = line([0] * 6, [-120.0] * 6)
    probs = 1 / (1 + np.exp(-z.astype(float)))
    for smooth in (0.0, 1.0):
        assert per_picture(build("dice", smooth=smooth), y, np.round(z)) == pytest.approx([0.0])
    theirs = keras.losses.Dice()(y.reshape(1, 1, 6, 1).astype(np.float32), np.round(probs))
    assert float(theirs) == 1.0


def test_dice_is_per_picture_where_keras_pools_the_batch():
    y = np.array([[[1, 1]], [[0, 0]]], np.uint8)
    z = np.array([[[60.0, 60]], [[-60, 60]]], np.float32)[..., None]
    assert per_picture(build("dice", smooth=0.0), y, z) == pytest.approx([0.0, 1.0])
    theirs = keras.losses.Dice()(y[..., None].astype(np.float32), 1 / (1 + np.exp(-z)))
    assert float(theirs) == pytest.approx(0.2)  # 1 - 2 * 2 / (2 + 3)


def test_dice_values_by_hand():
    # Crack: p * y = 0.8, p = 1.0, y = 1. Background: p * y = 0.8, p = 1.0, y = 1.
    y, z = line([1, 0], logit([0.8, 0.2]))
    assert per_picture(build("dice"), y, z) == pytest.approx([1 - 2.6 / 3], rel=1e-5)
    squared = 1 - (1.6 + 1) / (0.64 + 0.04 + 1 + 1)
    assert per_picture(build("dice", squared=True), y, z) == pytest.approx([squared], rel=1e-5)
    y, z = line([1, 0, 0], logit([0.8, 0.2, 0.2]))
    both = 1 - ((1.6 + 1) / (1.2 + 1 + 1) + (3.2 + 1) / (1.8 + 2 + 1)) / 2
    assert per_picture(build("dice", background=True), y, z) == pytest.approx([both])


@pytest.mark.parametrize("name", ["dice", "tversky"])
def test_a_first_class_that_is_no_background_counts_like_any_other(name):
    streets = ("sky", "road", "car")
    y, z = random_case(15, streets)
    asked = per_picture(build(name, class_names=THREE, background=True), y, z)
    assert per_picture(build(name, class_names=streets), y, z) == pytest.approx(asked)
    without = per_picture(build(name, class_names=streets, background=False), y, z)
    assert without == pytest.approx(per_picture(build(name, class_names=THREE), y, z))


@pytest.mark.parametrize("alpha", [0.1, 0.9])
def test_tversky_without_false_alarms_depends_on_beta_alone(alpha):
    # 4 cracks, 2 found: 2 / (2 + 2 * beta)
    y, z = line([1, 1, 1, 1, 0, 0], [120.0, 120, -120, -120, -120, -120])
    ours = build("tversky", alpha=alpha, beta=0.7, smooth=0.0)
    assert per_picture(ours, y, z) == pytest.approx([1 - 2 / (2 + 2 * 0.7)])


@pytest.mark.skipif(not keras.__version__.startswith("3.15."), reason="mended after Keras 3.15")
def test_tversky_of_keras_is_the_mirror_image():
    y, z = line([1, 1, 1, 1, 0, 0], [60.0, 60, -60, -60, -60, -60])
    probs = 1 / (1 + np.exp(-z.astype(float)))
    theirs = keras.losses.Tversky(alpha=0.1, beta=0.7)(y[..., None].astype(np.float32), probs)
    ours = build("tversky", alpha=0.7, beta=0.1, smooth=0.0)
    assert float(theirs) == pytest.approx(per_picture(ours, y, z)[0], abs=1e-6)
    ours = build("tversky", alpha=0.1, beta=0.7, smooth=0.0)
    assert abs(float(theirs) - per_picture(ours, y, z)[0]) > 0.3


@given(seed=st.integers(0, 10**6), smooth=st.floats(0, 10))
@settings(max_examples=15, deadline=None)
def test_tversky_of_one_half_is_dice(seed, smooth):
    y, z = random_case(seed, THREE)
    dice = per_picture(build("dice", class_names=THREE, smooth=smooth), y, z)
    tversky = build("tversky", class_names=THREE, alpha=0.5, beta=0.5, smooth=smooth / 2)
    assert per_picture(tversky, y, z) == pytest.approx(dice, abs=1e-5)


def test_generalized_dice_gives_an_absent_class_the_weight_of_the_rarest():
    # 3 pixels of background and 1 cell, no nucleus: weights 1/9, 1, 1, times 9: 1, 9, 9.
    y = np.array([[[0, 0, 0, 1]]], np.uint8)
    p = np.array([[0.8, 0.1, 0.1]] * 3 + [[0.2, 0.6, 0.2]])
    above = 1 * 2.4 + 9 * 0.6
    below = 1 * (2.6 + 3) + 9 * (0.9 + 1) + 9 * (0.5 + 0)
    ours = per_picture(build("generalized-dice", class_names=THREE), y, np.log(p)[None, None])
    assert ours == pytest.approx([1 - 2 * above / below])


def test_generalized_dice_pulls_in_a_picture_without_cracks():
    y, z = line([0] * 4, [0.0] * 4)
    value, gradient = value_and_gradient(build("generalized-dice"), y, z)
    assert value == pytest.approx(0.5)
    assert (gradient > 0).all()
