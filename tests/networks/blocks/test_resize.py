import keras
import numpy as np
import pytest
import tensorflow as tf
from export_support import answers
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.networks.blocks import (
    BilinearUpsampling,
    CropLike,
    PadToMultiple,
    learned_upsampling,
)

SIDES = st.integers(1, 9)


def pictures(height=3, width=5, channels=2):
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, height, width, channels)).astype(np.float32)


def test_new_pixels_lie_between_the_centres_of_the_old_ones():
    # centres of the new: -1/4, 1/4, 3/4, 5/4; outside the old ones the border goes on
    x = np.array([0.0, 4.0], np.float32).reshape(1, 1, 2, 1)
    assert BilinearUpsampling(2)(x)[0, 0, :, 0].numpy().tolist() == [0, 1, 3, 4]
    # thirds: -1/3, 0, 1/3, 2/3, 1, 4/3
    row = BilinearUpsampling(3)(x)[0, 1, :, 0].numpy()
    assert row == pytest.approx([0, 0, 4 / 3, 8 / 3, 4, 4], abs=1e-6)


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8, 16])
@pytest.mark.parametrize("size", [(3, 5), (1, 4), (1, 1)])
def test_bilinear_upsampling_equals_resizing_borders_included(scale, size):
    x = pictures(*size)
    expected = tf.image.resize(x, [scale * n for n in size], "bilinear").numpy()
    layer = BilinearUpsampling(scale)
    assert layer(x).numpy() == pytest.approx(expected, abs=1e-6)
    assert layer.compute_output_shape(x.shape) == expected.shape
    assert not layer.weights


def test_pictures_of_a_size_known_late_are_enlarged_and_so_are_their_gradients():
    layer = BilinearUpsampling(4)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 2))])
    def slope(x):
        return tf.gradients(tf.reduce_sum(layer(x) ** 2), x)[0]

    x = tf.constant(pictures())
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(tf.image.resize(x, (12, 20)) ** 2)
    assert slope(x).numpy() == pytest.approx(tape.gradient(total, x).numpy(), rel=1e-4, abs=1e-4)


def test_half_precision_stays_half_precision():
    layer = BilinearUpsampling(2, dtype="mixed_bfloat16")
    assert layer(pictures()).dtype == tf.bfloat16


@settings(max_examples=40, deadline=None)
@given(height=SIDES, width=SIDES, multiple=SIDES, mode=st.sampled_from(["reflect", "edge"]))
def test_padding_is_numpys_and_cropping_undoes_it(height, width, multiple, mode):
    x = pictures(height, width)
    layer = PadToMultiple(multiple, mode)
    padded = layer(x).numpy()
    more = [(0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0)]
    assert np.array_equal(padded, np.pad(x, more, mode=mode))
    assert layer.compute_output_shape(x.shape) == padded.shape
    assert np.array_equal(CropLike()([padded, x]), x)


def test_cropping_takes_the_size_of_the_second_and_the_channels_of_the_first():
    x, like = pictures(6, 8, 3), pictures(4, 5, 1)
    assert np.array_equal(CropLike()([x, like]), x[:, :4, :5])
    inputs = [keras.Input((6, None, 3)), keras.Input((4, None, 1))]
    assert CropLike()(inputs).shape == (None, 4, None, 3)


def test_learned_upsampling_gives_every_pixel_a_square_of_its_own():
    inputs = keras.Input((None, None, 2))
    model = keras.Model(inputs, learned_upsampling(inputs, 3, name="up"))
    assert model.count_params() == 2 * 2 * 2 * 3 + 3
    x = pictures()
    kernel, bias = (weight.numpy() for weight in model.weights)
    expected = np.einsum("bhwc,ijfc->bhiwjf", x, kernel).reshape(2, 6, 10, 3) + bias
    assert model(x).numpy() == pytest.approx(expected, abs=1e-5)


def test_saved_and_exported_layers_answer_the_same_for_another_size(tmp_path):
    inputs = keras.Input((None, None, 2))
    x = PadToMultiple(4)(inputs)
    x = keras.layers.MaxPooling2D(4)(x)
    x = learned_upsampling(x, 3, name="up")
    x = CropLike(name="crop")([BilinearUpsampling(2)(x), inputs])
    model = keras.Model(inputs, x)
    assert model.output_shape == (None, None, None, 3)
    pixels = pictures(7, 1)
    for form, answer in answers(model, pixels, tmp_path).items():
        assert answer.shape == (2, 7, 1, 3), form
        assert answer == pytest.approx(model(pixels).numpy(), abs=1e-5), form


@pytest.mark.parametrize(
    ("layer", "arguments", "message"),
    [
        (BilinearUpsampling, (0,), "scale must be at least 1. Got 0"),
        (PadToMultiple, (0,), "multiple must be at least 1. Got 0"),
        (PadToMultiple, (2, "wrap"), "mode must be reflect or edge. Got 'wrap'"),
    ],
)
def test_what_cannot_be_is_named(layer, arguments, message):
    with pytest.raises(ValueError, match=message):
        layer(*arguments)
