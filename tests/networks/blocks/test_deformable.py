import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from export_support import answers

from dnncli.networks.blocks import DeformableConv2D

VERSIONS = (1, 2)


def pictures(height=5, width=6, channels=2):
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, height, width, channels)).astype(np.float32)


def layer(size=3, strides=1, *, filters=3, channels=2, spread=0.0, **options):
    """A layer with random weights; offsets of about `spread` pixels."""
    made = DeformableConv2D(filters, size, strides, **options)
    made.build((None, None, None, channels))
    rng = np.random.default_rng(1)
    for weight in made.weights:
        width = spread / 4 if "offset" in weight.name else 1.0
        weight.assign(rng.normal(0, 1, weight.shape) * width)
    return made


def plain(deformable, x):
    """What a convolution with the same kernel gives."""
    conv = keras.ops.conv(x, deformable.kernel, deformable.strides, deformable.padding)
    return (conv + deformable.bias).numpy()


def pixel(picture, row, column):
    """One place of an (H, W, C) picture between pixels, by the definition."""
    total = np.zeros(picture.shape[-1])
    for r, c in itertools.product(
        (math.floor(row), math.floor(row) + 1), (math.floor(column), math.floor(column) + 1)
    ):
        if 0 <= r < picture.shape[0] and 0 <= c < picture.shape[1]:
            total += (1 - abs(row - r)) * (1 - abs(column - c)) * picture[r, c]
    return total


def definition(made, x):
    """Loops over pictures, places and the kernel."""
    size, k = made.kernel_size, made.kernel_size**2
    moves = keras.ops.conv(x, made.offset_kernel, made.strides, made.padding) + made.offset_bias
    moves = moves.numpy()
    kernel = made.kernel.numpy().reshape(k, x.shape[-1], made.filters)
    y = np.zeros((*moves.shape[:3], made.filters)) + made.bias.numpy()
    before = [
        max((n - 1) * made.strides + size - there, 0) // 2 if made.padding == "same" else 0
        for n, there in zip(moves.shape[1:3], x.shape[1:3])
    ]
    for b, p, q, i in itertools.product(*map(range, (*moves.shape[:3], k))):
        row = p * made.strides - before[0] + i // size + moves[b, p, q, 2 * i]
        column = q * made.strides - before[1] + i % size + moves[b, p, q, 2 * i + 1]
        factor = 2 / (1 + np.exp(-moves[b, p, q, 2 * k + i])) if made.version == 2 else 1
        y[b, p, q] += factor * pixel(x[b], row, column) @ kernel[i]
    return y


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_without_offsets_it_is_the_plain_convolution(version, padding, strides):
    x = pictures(7, 10)
    made = layer(3, strides, version=version, padding=padding)
    expected = plain(made, x)
    assert made(x).numpy() == pytest.approx(expected, abs=1e-5)
    assert made.compute_output_shape(x.shape) == expected.shape
    assert made.compute_output_shape((None, None, 10, 2)) == (None, None, *expected.shape[2:])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("size", "strides", "padding"), [(3, 1, "same"), (2, 2, "valid")])
@pytest.mark.parametrize("spread", [0.5, 4.0])
def test_with_offsets_it_is_its_definition(version, size, strides, padding, spread):
    x = pictures()
    made = layer(size, strides, version=version, padding=padding, spread=spread)
    assert made(x).numpy() == pytest.approx(definition(made, x), abs=1e-4)


def test_an_offset_of_one_row_is_the_convolution_of_the_moved_picture():
    x = pictures(6, 6)
    made = layer(padding="valid")
    made.offset_bias.assign([1, 0] * 9)
    moved = np.concatenate([x[:, 1:], np.zeros_like(x[:, :1])], axis=1)
    assert made(x).numpy() == pytest.approx(plain(made, moved), abs=1e-5)


def test_half_a_pixel_is_the_mean_of_two_and_fades_at_the_border():
    made = layer(1, filters=1, channels=1)
    made.kernel.assign([[[[1.0]]]])
    made.bias.assign([0.0])
    made.offset_bias.assign([0.0, 0.5])
    x = np.array([2.0, 4.0, 10.0], np.float32).reshape(1, 1, 3, 1)
    assert made(x).numpy().ravel().tolist() == [3, 7, 5]
    made.offset_bias.assign([-1.0, 0.0])
    assert not made(x).numpy().any()


def test_the_modulation_of_version_2_runs_from_nothing_to_twice():
    x, made = pictures(), layer(version=2)
    made.bias.assign([0.0] * 3)
    expected = plain(made, x)
    for logit, factor in ((-50, 0), (0, 1), (50, 2)):
        made.offset_bias.assign([0.0] * 18 + [logit] * 9)
        assert made(x).numpy() == pytest.approx(factor * expected, abs=1e-5)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_gradient_of_every_weight_is_the_slope(version):
    """Against differences in a random direction, in float64."""
    x = tf.constant(pictures(4, 4), "float64")
    made = layer(version=version, spread=0.5, dtype="float64")
    rng = np.random.default_rng(2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(made(x) ** 2)
    grads = tape.gradient(loss, [weight.value for weight in made.weights])
    for weight, grad in zip(made.weights, grads):
        start, way = weight.numpy(), rng.normal(size=weight.shape)
        ends = []
        for step in (-1e-6, 1e-6):
            weight.assign(start + step * way)
            ends.append(float(tf.reduce_sum(made(x) ** 2)))
        weight.assign(start)
        slope = (ends[1] - ends[0]) / 2e-6
        assert float(tf.reduce_sum(grad * way)) == pytest.approx(slope, rel=1e-5), weight.name


@pytest.mark.parametrize(("version", "more"), [(1, 162 * 64 + 18), (2, 243 * 64 + 27)])
def test_offsets_cost_as_many_weights_as_published(version, more):
    made = layer(filters=64, channels=64, version=version)
    assert made.count_params() == 9 * 64 * 64 + 64 + more
    assert layer(use_bias=False).bias is None


def test_half_precision_finds_far_pixels():
    """bfloat16 counts 256, 258, 260 ...: coordinates in it would take the wrong columns."""
    made = layer(1, filters=1, channels=1, dtype="mixed_bfloat16")
    made.kernel.assign([[[[1.0]]]])
    made.bias.assign([0.0])
    made.offset_bias.assign([0.0, -3.0])
    x = np.tile(np.array([0.0, 1.0, 2.0, 4.0], np.float32), 80).reshape(1, 1, 320, 1)
    y = made(x)
    assert y.dtype == tf.bfloat16
    assert np.array_equal(keras.ops.cast(y, "float32")[0, 0, 3:, 0], x[0, 0, :-3, 0])


def test_offsets_that_are_no_numbers_give_no_numbers_and_no_crash():
    made = layer()
    made.offset_bias.assign([np.nan] * 18)
    assert np.isnan(made(pictures()).numpy()).all()


def test_saved_and_exported_layers_answer_the_same_for_another_size(tmp_path):
    inputs = keras.Input((None, None, 2))
    first = layer(3, 2, spread=1.0, kernel_initializer="he_normal")
    second = layer(filters=4, channels=3, version=2, padding="valid", spread=1.0)
    model = keras.Model(inputs, second(first(inputs)))
    x = pictures(9, 6)
    for form, answer in answers(model, x, tmp_path).items():
        assert answer == pytest.approx(model(x).numpy(), rel=1e-5, abs=1e-5), form
    for made in (first, second):
        assert DeformableConv2D.from_config(made.get_config()).get_config() == made.get_config()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3, 3), {"version": 3}, "version must be 1 or 2. Got 3"),
        ((3, 3), {"padding": "full"}, "padding must be same or valid. Got 'full'"),
        ((0, 3), {}, "filters, kernel_size and strides must be at least 1. Got 0, 3 and 1"),
    ],
)
def test_what_cannot_be_is_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        DeformableConv2D(*arguments, **options)
