"""Batch normalisation by one kernel gives Keras' own numbers, and leaves no trace in files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from dnncli.networks.fused import fuse_normalization


def network(*, size=(None, None), **settings):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((*size, 2))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    x = layers.BatchNormalization(name="norm", **settings)(x)
    return keras.Model(inputs, layers.GlobalMaxPooling2D()(x * x))


def pictures(n=5):
    return np.random.default_rng(0).normal(3, 2, (n, 9, 7, 2)).astype(np.float32)


def trained(model, x):
    """Outputs and gradients of one training step, and what the step left in the model."""

    @tf.function
    def step(batch):
        with tf.GradientTape() as tape:
            y = model(batch, training=True)
            loss = tf.reduce_sum(y * tf.range(4.0))
        return y, tape.gradient(loss, [v.value for v in model.trainable_variables])

    y, gradients = step(tf.constant(x))
    return [y.numpy(), *[g.numpy() for g in gradients], *[w.numpy() for w in model.weights]]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.6, "epsilon": 1e-5},
        {"scale": False},
        {"center": False},
        {"axis": 3, "scale": False, "center": False},
    ],
)
@pytest.mark.parametrize("n", [1, 5])
def test_outputs_gradients_and_moving_averages_are_those_of_keras(settings, n):
    plain, fused = network(**settings), network(**settings)
    assert fuse_normalization(fused) == 1
    for mine, theirs in zip(trained(fused, pictures(n)), trained(plain, pictures(n)), strict=True):
        assert mine == pytest.approx(theirs, rel=2e-4, abs=2e-3)


def test_the_fused_kernel_is_what_runs_in_training_and_keras_own_code_else():
    model = network()
    fuse_normalization(model)

    def kinds(*, training):
        graph = tf.function(lambda x: model(x, training=training)).get_concrete_function(
            tf.TensorSpec((2, 9, 7, 2))
        )
        return {op.type for op in graph.graph.get_operations()}

    assert "FusedBatchNormV3" in kinds(training=True)
    assert "FusedBatchNormV3" not in kinds(training=False)
    model.get_layer("norm").trainable = False
    assert "FusedBatchNormV3" not in kinds(training=True)


def test_layers_that_work_otherwise_are_left_alone():
    inputs = keras.Input((4, 4, 2))
    x = layers.BatchNormalization(axis=1)(inputs)
    x = layers.BatchNormalization(renorm=True)(x)
    x = layers.GroupNormalization(2)(x)
    model = keras.Model(inputs, layers.BatchNormalization(name="flat")(layers.Flatten()(x)))
    assert fuse_normalization(model) == 1  # only `flat`, which falls back for its rank
    model(np.ones((2, 4, 4, 2), np.float32), training=True)


def test_a_saved_model_is_plain_keras(tmp_path):
    model = network(size=(9, 7))
    fuse_normalization(model)
    model(pictures(), training=True)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("norm")) is layers.BatchNormalization
    assert "call" not in vars(again.get_layer("norm"))
    assert again(pictures()).numpy() == pytest.approx(model(pictures()).numpy(), abs=1e-6)


def test_layers_inside_of_models_are_found():
    inner = network(size=(9, 7))
    inputs = keras.Input((9, 7, 2))
    assert fuse_normalization(keras.Model(inputs, inner(inputs))) == 1
