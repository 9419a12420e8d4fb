"""Learning rates per layer: factors by name, and steps worked out by hand."""

import keras
import numpy as np
import pytest

import dnncli
from dnncli import config as configuration
from dnncli.config import OptimizerConfig
from dnncli.errors import ConfigError
from dnncli.optimizers import build_optimizer
from dnncli.rate_factors import ScaledSGD, check_multipliers, factor

HED = {"block5": 100.0, "side": 0.01, "fuse": 0.001, "bias": 2.0}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("block1_conv1/kernel", 1.0),
        ("block1_conv1/bias", 2.0),
        ("block5_conv3/kernel", 100.0),
        ("block5_conv3/bias", 200.0),
        ("side4/kernel", 0.01),
        ("side4/bias", 0.02),
        ("fuse/bias", 0.002),
        ("vgg16/block5_conv1/kernel", 100.0),  # of a model within the model
        ("kernel", 1.0),
    ],
)
def test_factors_of_the_published_edge_detector(path, expected):
    assert factor(path, HED) == pytest.approx(expected)


def test_the_longest_name_that_fits_counts():
    multipliers = {"side": 0.01, "side5": 0.5, "": 3.0}
    assert factor("side5/kernel", multipliers) == 0.5
    assert factor("side4/kernel", multipliers) == 0.01
    assert factor("stem/kernel", multipliers) == 3.0


def network():
    """Two layers whose kernels and biases all start at 1: outputs 1 + 1, then 2 + 1."""
    ones = {"kernel_initializer": "ones", "bias_initializer": "ones"}
    layers = [keras.layers.Dense(1, name=name, **ones) for name in ("near", "far")]
    return keras.Sequential([keras.Input((1,)), *layers])


def weights(model):
    return {v.path.split("/", 1)[-1]: v.numpy().item() for v in model.trainable_variables}


def step(optimizer, model, gradients):
    named = [np.full(v.shape, g, np.float32) for v, g in zip(model.trainable_variables, gradients)]
    optimizer.apply(named, model.trainable_variables)


def test_two_steps_with_momentum_worked_out_by_hand():
    model = network()
    optimizer = ScaledSGD(multipliers={"far": 10.0, "bias": 2.0}, learning_rate=0.1, momentum=0.5)
    step(optimizer, model, [1.0] * 4)  # v = -0.1 * f
    step(optimizer, model, [1.0] * 4)  # v = -0.15 * f; in all -0.25 * f
    moved = {name: value - 1 for name, value in weights(model).items()}
    expected = {"near/kernel": 1, "near/bias": 2, "far/kernel": 10, "far/bias": 20}
    names = {name.split("/")[-2] + "/" + name.split("/")[-1]: v for name, v in moved.items()}
    assert names == pytest.approx({name: -0.25 * f for name, f in expected.items()}, rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}])
def test_a_factor_is_the_same_as_a_larger_gradient(options):
    ours, theirs = network(), network()
    scaled = ScaledSGD(multipliers={"far": 7.0}, learning_rate=0.01, **options)
    plain = keras.optimizers.SGD(0.01, **options)
    for gradients in ([1.0, 2.0, 3.0, 4.0], [-1.0, 0.5, 2.0, 0.0]):
        step(scaled, ours, gradients)
        step(plain, theirs, [g * f for g, f in zip(gradients, (1, 1, 7, 7))])
    for mine, other in zip(ours.trainable_variables, theirs.trainable_variables):
        assert mine.numpy() == pytest.approx(other.numpy(), rel=1e-5)


def train(config, *, accumulate=1, policy=None, epochs=1):
    """Where the weights are after `fit` of the network's own trainer on four equal rows."""
    model = network()
    optimizer = build_optimizer(config, steps_per_epoch=4, epochs=epochs, accumulate=accumulate)
    if policy:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8.0)
    model.compile(optimizer, loss="mse")
    x = np.ones((4, 1), np.float32)
    model.fit(x, x, batch_size=1, epochs=epochs, verbose=0)
    return np.array([v.numpy().item() for v in model.trainable_variables])


def config(**settings):
    settings = {"schedule": "constant", "average": 0.0, "learning_rate": 0.001} | settings
    return OptimizerConfig(name="sgd", **settings)


def test_a_factor_of_0_keeps_a_layer_as_it_is():
    after = train(config(multipliers={"near": 0.0}))
    assert (after[:2] == 1).all() and (after[2:] != 1).all()


def test_one_factor_for_all_layers_is_another_learning_rate():
    # The empty beginning is that of every layer.
    for settings in ({}, {"schedule": "cosine"}, {"options": {"global_clipnorm": 0.5}}):
        scaled = train(config(multipliers={"": 3.0}, **settings), accumulate=2)
        plain = train(config(**settings | {"learning_rate": 0.003}), accumulate=2)
        assert scaled == pytest.approx(plain, rel=1e-5)
        assert (scaled != 1).any()


def test_factors_hold_under_a_scaled_loss():
    multipliers = {"far": 5.0, "bias": 2.0}
    assert train(config(multipliers=multipliers), policy="float16") == pytest.approx(
        train(config(multipliers=multipliers)), rel=1e-4
    )


def test_the_optimizer_survives_saving():
    optimizer = ScaledSGD(multipliers=HED, learning_rate=0.25, momentum=0.5, clipnorm=1.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, ScaledSGD)
    assert again.get_config() == optimizer.get_config()


def test_a_name_that_no_layer_begins_with_is_named():
    paths = [variable.path for variable in network().variables]
    check_multipliers({"near": 0.1, "bias": 2.0}, paths)
    with pytest.raises(ConfigError, match="begins with 'block5' or 'sid'. Layers: near, far."):
        check_multipliers({"block5": 100.0, "near": 1.0, "sid": 1.0}, paths)
    with pytest.raises(ConfigError, match="begins with 'bias'"):
        check_multipliers({"bias": 2.0}, ["near/kernel"])


def test_training_starts_only_if_every_factor_is_for_a_layer(patterns, tmp_path):
    settings = {"optimizer.multipliers": {"hidden": 0.1, "hiden": 0.1}}
    with pytest.raises(ConfigError, match="no layer's name begins with 'hiden'. Layers: hidden"):
        dnncli.train(
            patterns,
            out=str(tmp_path / "run"),
            model="mlp",
            optimizer="sgd",
            settings=settings,
            epochs=1,
        )


def test_optimizers_without_factors_say_so():
    with pytest.raises(ConfigError, match="optimizer.multipliers: are for sgd, not for adam"):
        build_optimizer(OptimizerConfig(name="adam", multipliers=HED), steps_per_epoch=1, epochs=1)
    with pytest.raises(ConfigError, match="weight_decay: does not go with optimizer.multipliers"):
        train(config(multipliers=HED, options={"weight_decay": 1e-4}))
    with pytest.raises(ValueError, match="weight_decay does not go with multipliers"):
        ScaledSGD(multipliers=HED, weight_decay=0.1)


def test_factors_below_0_are_refused_with_the_settings():
    with pytest.raises(ConfigError, match="multipliers"):
        configuration.merge({}, {"optimizer.multipliers": {"side": -1.0}})
