import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from dnncli import registry
from dnncli.config import LossConfig
from dnncli.errors import ConfigError
from dnncli.losses import BINARY, BinaryFocal, Focal, build_loss

THREE = ("a", "b", "c")
TWO = ("no", "yes")


def classes_of(name):
    return TWO if name in BINARY else THREE


def build(name, *, class_names=None, smoothing=0.0, **options):
    config = LossConfig(name=name, label_smoothing=smoothing, options=options)
    return build_loss(config, class_names=class_names or classes_of(name))


def value_and_gradient(loss, targets, logits):
    z = tf.Variable(np.asarray(logits, np.float32))
    with tf.GradientTape() as tape:
        value = loss(np.asarray(targets, np.float32), z)
    return float(value), tape.gradient(value, z).numpy()


def one_logit(z):
    """(N, 1) logits that give the same probabilities as the (N, 2) logits z."""
    return z[:, 1:] - z[:, :1]


def random_case(seed, n_classes):
    """Logits, and targets of which half are mixed as MixUp mixes them."""
    draw = np.random.default_rng(seed)
    z = draw.normal(0, 3, (16, n_classes)).astype(np.float32)
    targets = np.eye(n_classes, dtype=np.float32)[draw.integers(0, n_classes, 16)]
    targets[8:] = 0.3 * targets[8:] + 0.7 * targets[8:][::-1]
    return targets, z


def naive_focal(targets, z, *, gamma, alpha):
    """The definition in float64, element by element."""
    total = 0.0
    for row, logits in zip(targets.astype(float), z.astype(float)):
        probs = np.exp(logits) / np.exp(logits).sum()
        for c, p in enumerate(probs):
            total -= alpha[c] * row[c] * (1 - p) ** gamma * math.log(p)
    return total / len(z)


@pytest.mark.parametrize("name", registry.LOSSES)
@pytest.mark.parametrize("size", [0.0, 1.0, 20.0, 120.0])
def test_value_and_gradient_are_finite_for_any_confidence(name, size):
    two = name in BINARY
    targets = np.array([[1, 0], [0, 1]]) if two else np.eye(3)
    for sign in (-1, 1):
        z = np.full((2, 1), sign * size) if two else np.eye(3) * sign * size
        value, gradient = value_and_gradient(build(name), targets, z)
        assert math.isfinite(value) and value >= 0
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["focal", "binary-focal"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 2.5, 5.0])
@pytest.mark.parametrize("size", [1.0, 20.0, 120.0])
def test_focal_is_finite_for_every_gamma_right_and_wrong(name, gamma, size):
    for sign in (-1, 1):
        if name == "focal":
            targets, z = np.array([[1, 0, 0]]), np.array([[sign * size, 0, -size]])
        else:
            targets, z = np.array([[0, 1]]), np.array([[sign * size]])
        value, gradient = value_and_gradient(build(name, gamma=gamma), targets, z)
        assert math.isfinite(value) and np.isfinite(gradient).all()
        if sign < 0:  # confidently wrong: the loss is about the margin, and it pulls
            assert value > 0.2 * size
            assert np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize("name", registry.LOSSES)
def test_a_right_answer_costs_less_than_a_wrong_one(name):
    targets = np.array([[0, 1]]) if name in BINARY else np.array([[0, 1, 0]])
    right = np.array([[2.0]]) if name in BINARY else np.array([[0.0, 2.0, 0.0]])
    loss = build(name)
    assert float(loss(targets, right)) < float(loss(targets, -right))


def test_values_worked_out_by_hand():
    # Two classes with z = (0, ln 3): p = (1/4, 3/4). True class 1.
    z, target = np.array([[0.0, math.log(3)]]), np.array([[0.0, 1.0]])
    entropy = -math.log(0.75)
    assert float(build("cross-entropy", class_names=TWO)(target, z)) == pytest.approx(entropy)
    assert float(build("binary-cross-entropy")(target, one_logit(z))) == pytest.approx(entropy)
    focal = 0.25**2 * entropy
    assert float(build("focal", class_names=TWO)(target, z)) == pytest.approx(focal)
    assert float(build("binary-focal")(target, one_logit(z))) == pytest.approx(focal)
    weighted = build("binary-focal", alpha=0.25)
    assert float(weighted(target, one_logit(z))) == pytest.approx(0.25 * focal)
    other = np.array([[1.0, 0.0]])
    wrong = 0.75 * 0.75**2 * -math.log(0.25)
    assert float(weighted(other, one_logit(z))) == pytest.approx(wrong)


def test_label_smoothing_worked_out_by_hand():
    # s = 0.2, C = 2: the target is (0.1, 0.9); p = (1/4, 3/4).
    z, target = np.array([[0.0, math.log(3)]]), np.array([[0.0, 1.0]])
    expected = -0.1 * math.log(0.25) - 0.9 * math.log(0.75)
    for name, logits in (("cross-entropy", z), ("binary-cross-entropy", one_logit(z))):
        loss = build(name, class_names=TWO, smoothing=0.2)
        assert float(loss(target, logits)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["focal", "binary-focal"])
def test_what_smoothing_spreads_weighs_as_much_as_the_picture(name):
    classes = classes_of(name)
    alpha = 0.9 if name in BINARY else [1.0, 5.0, 0.2]
    weights = [0.1, 0.9] if name in BINARY else alpha
    _, z = random_case(0, len(classes))
    z = one_logit(z[:1]) if name in BINARY else z[:1]
    for index, weight in enumerate(weights):
        target = np.eye(len(classes), dtype=np.float32)[[index]]
        expected = weight * float(build(name, smoothing=0.2)(target, z))
        weighed = build(name, smoothing=0.2, alpha=alpha)
        assert float(weighed(target, z)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_focal_with_gamma_0_is_cross_entropy(seed):
    targets, z = random_case(seed, 3)
    for smoothing in (0.0, 0.1):
        focal = build("focal", smoothing=smoothing, gamma=0.0)
        entropy = build("cross-entropy", smoothing=smoothing)
        assert float(focal(targets, z)) == pytest.approx(float(entropy(targets, z)), rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_one_logit_and_two_logits_agree(seed):
    targets, z = random_case(seed, 2)
    for two, one in (("cross-entropy", "binary-cross-entropy"), ("focal", "binary-focal")):
        expected = float(build(two, class_names=TWO)(targets, z))
        assert float(build(one)(targets, one_logit(z))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_focal_agrees_with_the_definition(seed, gamma):
    targets, z = random_case(seed, 3)
    alpha = [0.2, 0.3, 0.5]
    expected = naive_focal(targets, z, gamma=gamma, alpha=alpha)
    assert float(build("focal", gamma=gamma, alpha=alpha)(targets, z)) == pytest.approx(
        expected, rel=1e-4
    )


def test_sample_weights_multiply_and_do_not_divide():
    targets, z = random_case(0, 3)
    weights = np.linspace(0, 2, 16).astype(np.float32)
    for name in ("cross-entropy", "focal"):
        loss = build(name)
        each = [float(loss(targets[i : i + 1], z[i : i + 1])) for i in range(16)]
        expected = float(np.mean(weights * each))
        assert float(loss(targets, z, sample_weight=weights)) == pytest.approx(expected, rel=1e-5)


def test_where_keras_own_focal_losses_fail():
    """Why `focal` and `binary-focal` are ours: if this fails, Keras' own may have become right."""
    target, wrong = [[1.0, 0.0, 0.0]], [[-30.0, 0.0, 0.0]]
    keras_focal = keras.losses.CategoricalFocalCrossentropy(from_logits=True)
    value, gradient = value_and_gradient(keras_focal, target, wrong)
    assert value < 17 * 0.25 and not gradient.any()  # capped, and nothing to learn from
    value, gradient = value_and_gradient(Focal(), target, wrong)
    assert value > 30 and gradient[0, 0] < -0.5

    keras_binary = keras.losses.BinaryFocalCrossentropy(from_logits=True, gamma=0.5)
    _, gradient = value_and_gradient(keras_binary, [[1.0]], [[20.0]])
    assert np.isnan(gradient).any()
    _, gradient = value_and_gradient(BinaryFocal(gamma=0.5), [[0.0, 1.0]], [[20.0]])
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", ["focal", "binary-focal", "binary-cross-entropy"])
def test_a_loss_is_built_again_from_its_config(name):
    loss = build(name, smoothing=0.1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    targets, z = random_case(0, len(classes_of(name)))
    z = one_logit(z) if name in BINARY else z
    assert float(again(targets, z)) == float(loss(targets, z))


@pytest.mark.parametrize("name", BINARY)
def test_a_binary_loss_refuses_three_classes(name):
    other = name.removeprefix("binary-")
    with pytest.raises(ConfigError, match=f"two classes, and the data has 3. Use {other}"):
        build(name, class_names=THREE)


def test_wrong_options_are_named():
    with pytest.raises(ConfigError, match=r"'gama'\. Did you mean 'gamma'"):
        build("focal", gama=1)
    with pytest.raises(ConfigError, match=r"2 weights for 3 classes.*order a, b, c"):
        build("focal", alpha=[1.0, 2.0])
    with pytest.raises(ConfigError, match=r"gamma and alpha must be 0 or more\. Got -1"):
        build("focal", gamma=-1)
    with pytest.raises(ConfigError, match=r"alpha in 0 to 1\. Got 2.0 and 3"):
        build("binary-focal", alpha=3)
    with pytest.raises(ConfigError, match=r"Unknown loss 'focl'\. Did you mean 'focal'"):
        build("focl", class_names=THREE)


def test_auto_is_cross_entropy_and_mixed_precision_is_scored_in_float32():
    loss = build("auto", class_names=THREE)
    targets, z = random_case(1, 3)
    half = z.astype(np.float16)
    assert float(loss(targets, half)) == pytest.approx(
        float(build("cross-entropy")(targets, half.astype(np.float32)))
    )
