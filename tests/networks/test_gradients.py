"""The quicker gradient of convolutions: TensorFlow's own numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dnncli.networks.gradients import input_gradient, quicken_gradients


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (3, 1)])
@pytest.mark.parametrize("size", [(5, 6), (7, 7), (8, 5)])
def test_the_gradient_by_the_input_is_tensorflows(size, kernel, stride, padding):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(2, *size, 3)), tf.float32)
    filters = tf.constant(rng.normal(size=(*kernel, 3, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.conv2d(x, filters, stride, padding.upper())
    dy = tf.constant(rng.normal(size=y.shape), tf.float32)
    wanted = tape.gradient(y, x, dy)
    found = input_gradient(dy, filters, size=size, stride=stride, same=padding == "same")
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def network(size=(None, None), padding="same"):
    """Convolutions of all kinds that are replaced, one with a bias, and two that are not."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((*size, 3))
    x = inputs
    for filters, kernel, strides in ((4, 3, 1), (5, 1, 1), (6, 3, 2), (4, 2, 1)):
        x = keras.layers.Conv2D(filters, kernel, strides, padding=padding, activation="tanh")(x)
    x = keras.layers.Conv2D(4, 3, dilation_rate=2, padding="same")(x)
    x = keras.layers.Conv2D(4, 3, groups=2, padding="same")(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def gradients(model, x):
    """Of the sum of squares, by the input and every weight."""

    @tf.function
    def compute(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(model(x, training=True) ** 2)
        return tape.gradient(loss, [x, *(weight.value for weight in model.trainable_weights)])

    return compute(x)


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (20, 24), (None, None)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_network_has_the_same_gradients_and_outputs(size, padding):
    x = tf.random.stateless_normal((2, *(side or 11 for side in size), 3), seed=(0, 1))
    plain, quick = network(size, padding), network(size, padding)
    assert quicken_gradients(quick) == 4
    np.testing.assert_array_equal(plain(x), quick(x))
    for wanted, found in zip(gradients(plain, x), gradients(quick, x), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_frozen_layers_and_batches_of_any_size_are_trained(tmp_path):
    model = network((8, 8))
    quicken_gradients(model)
    model.layers[1].trainable = False
    model.compile("sgd", "mse")
    before = model.layers[1].kernel.numpy(), model.layers[2].kernel.numpy()
    model.fit(np.ones((5, 8, 8, 3)), np.ones((5, 4)), batch_size=3, verbose=0)
    np.testing.assert_array_equal(model.layers[1].kernel, before[0])
    assert np.abs(model.layers[2].kernel - before[1]).max() > 0
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert "convolution_op" not in vars(again.layers[1])
    x = np.ones((1, 8, 8, 3), np.float32)
    np.testing.assert_array_equal(again(x), model(x))
