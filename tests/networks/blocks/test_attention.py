import keras
import numpy as np
import pytest
import tensorflow as tf
from export_support import answers

from dnncli.networks.blocks import attend, cbam, eca, eca_kernel, se

KINDS = ("se", "eca", "cbam")
RESNET_50 = {256: 3, 512: 4, 1024: 6, 2048: 3}  # blocks by the number of channels they give


def block(build, channels, **options):
    """A model of one block with random weights, for pictures of any size."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, channels))
    model = keras.Model(inputs, build(inputs, name="block", **options))
    rng = np.random.default_rng(1)
    for weight in model.weights:
        spread = np.abs(rng.normal(size=weight.shape)) + 0.1  # moving variances are positive
        weight.assign(spread if "variance" in weight.name else rng.normal(0, 0.5, weight.shape))
    return model


def gate(model, x, name="block_gate"):
    return keras.Model(model.input, model.get_layer(name).output)(x).numpy()


def pictures(channels, size=(5, 7)):
    return np.random.default_rng(0).normal(size=(2, *size, channels)).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def two_layers(model, pooled):
    """The shared part of SE and CBAM on (B, C)."""
    first, second = model.get_layer("block_squeeze"), model.get_layer("block_excite")
    hidden = np.maximum(pooled @ first.kernel.numpy()[0, 0] + first.bias.numpy(), 0)
    return hidden @ second.kernel.numpy()[0, 0] + second.bias.numpy()


@pytest.mark.parametrize(
    ("build", "options", "counts"),
    [
        # 2 C^2 / 16, and C + C / 16 biases
        (se, {"use_bias": False}, {64: 512, 128: 2048, 256: 8192, 512: 32768, 1024: 131072}),
        (se, {}, {64: 580, 128: 2184, 256: 8464, 512: 33312, 1024: 132160}),
        # 2 C^2 / r and the spatial 7 7 2
        (
            cbam,
            {"use_bias": False, "spatial_norm": False},
            {64: 610, 128: 2146, 256: 8290, 512: 32866, 1024: 131170},
        ),
        (
            cbam,
            {"variant": "port"},
            {64: 1122, 128: 4194, 256: 16482, 512: 65634, 1024: 262242},
        ),
        (eca, {}, {64: 3, 128: 5, 256: 5, 512: 5, 1024: 5}),
    ],
)
def test_a_block_has_as_many_weights_as_the_published_ones(build, options, counts):
    assert {c: block(build, c, **options).count_params() for c in counts} == counts


@pytest.mark.parametrize(
    ("build", "options", "trainable", "moving"),
    [
        (se, {"use_bias": False}, 2_514_944, 0),
        (se, {}, 2_530_992, 0),
        (cbam, {}, 2_532_592, 32),  # the spatial convolution and gain of each of 16 blocks more
        (eca, {}, 86, 0),
    ],
)
def test_the_blocks_of_a_resnet_50_add_up_to_the_published_numbers(
    build, options, trainable, moving
):
    models = {channels: block(build, channels, **options) for channels in RESNET_50}

    def total(kind):
        return sum(
            n * sum(int(np.prod(w.shape)) for w in getattr(models[channels], kind))
            for channels, n in RESNET_50.items()
        )

    assert (total("trainable_weights"), total("non_trainable_weights")) == (trainable, moving)


def test_the_kernels_of_the_published_eca_weights_can_be_set_by_hand():
    kernels = dict(zip(RESNET_50, (3, 5, 5, 7)))
    made = {c: block(eca, c, kernel=k).count_params() for c, k in kernels.items()}
    assert sum(made[c] * n for c, n in RESNET_50.items()) == 80


def test_the_kernel_of_eca_follows_the_channels():
    expected = {8: 3, 16: 3, 32: 3, 64: 3, 128: 5, 256: 5, 512: 5, 1024: 5, 2048: 7}
    assert {channels: eca_kernel(channels) for channels in expected} == expected
    assert eca_kernel(1) == 1 and eca_kernel(64, gamma=1) == 7


def test_squeeze_and_excitation_is_its_formula():
    model, x = block(se, 8, ratio=2), pictures(8)
    weights = sigmoid(two_layers(model, x.mean((1, 2))))
    assert gate(model, x)[:, 0, 0] == pytest.approx(weights, abs=1e-6)
    assert model(x).numpy() == pytest.approx(x * weights[:, None, None], abs=1e-5)


def test_eca_is_its_formula():
    model, x = block(eca, 8), pictures(8)
    kernel = model.get_layer("block_neighbours").kernel.numpy().ravel()
    padded = np.pad(x.mean((1, 2)), ((0, 0), (1, 1)))
    weights = sigmoid(sum(k * padded[:, i : i + 8] for i, k in enumerate(kernel)))
    assert gate(model, x)[:, 0, 0] == pytest.approx(weights, abs=1e-6)
    assert model(x).numpy() == pytest.approx(x * weights[:, None, None], abs=1e-5)


@pytest.mark.parametrize("order", ["max_mean", "mean_max"])
@pytest.mark.parametrize("norm", [True, False])
def test_cbam_is_its_formula(order, norm):
    model = block(cbam, 8, ratio=2, order=order, spatial_norm=norm, spatial_kernel=3)
    x = pictures(8)
    # one pair of layers sees the mean and the maximum, and the sigmoid comes after the sum
    weights = sigmoid(two_layers(model, x.mean((1, 2))) + two_layers(model, x.max((1, 2))))
    assert gate(model, x)[:, 0, 0] == pytest.approx(weights, abs=1e-6)
    weighed = x * weights[:, None, None]
    maps = [weighed.max(-1), weighed.mean(-1)]
    maps = np.stack(maps if order == "max_mean" else maps[::-1], axis=-1)
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernel = model.get_layer("block_spatial_conv").kernel.numpy()
    seen = sum(padded[:, i : i + 5, j : j + 7] @ kernel[i, j] for i in range(3) for j in range(3))
    if norm:
        layer = model.get_layer("block_spatial_norm")
        gain, bias, mean, variance = (weight.numpy() for weight in layer.weights)
        seen = (seen - mean) / np.sqrt(variance + 1e-5) * gain + bias
    places = sigmoid(seen)
    assert gate(model, x, "block_spatial_gate") == pytest.approx(places, abs=1e-5)
    assert model(x).numpy() == pytest.approx(weighed * places, abs=1e-5)


def test_the_variants_of_cbam_are_what_their_codes_do():
    official, port = block(cbam, 64), block(cbam, 64, variant="port")
    norm = official.get_layer("block_spatial_norm")
    # The authors' 0.99 would need thousands of updates to follow the batches.
    assert (norm.momentum, norm.epsilon) == (0.9, 1e-5)
    assert official.get_layer("block_squeeze").filters == 4
    assert port.get_layer("block_squeeze").filters == 8
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in port.layers)
    for model, first in ((official, "max"), (port, "mean")):
        ways = model.get_layer("block_spatial_maps").input
        assert ways[0]._keras_history.operation.name.startswith(first)


def test_maxima_count_beside_means():
    """Averages in both places, a mistake of several ports, would not see the difference."""
    model = block(cbam, 8)
    flat, peak = np.ones((1, 4, 4, 8), np.float32), np.zeros((1, 4, 4, 8), np.float32)
    peak[:, 1, 2] = 16  # the same mean
    assert gate(model, flat) != pytest.approx(gate(model, peak), abs=1e-3)


def test_mean_and_maximum_share_their_layers():
    """On a flat picture both are the same, so the sum is twice the one (and no bias is lost)."""
    model = block(cbam, 8)
    flat = np.full((1, 4, 4, 8), 0.7, np.float32)
    expected = sigmoid(2 * two_layers(model, flat[:, 0, 0]))
    assert gate(model, flat)[:, 0, 0] == pytest.approx(expected, abs=1e-6)


def test_places_are_weighed_by_a_sigmoid_also_for_large_values():
    model = block(cbam, 8, spatial_norm=False)
    places = gate(model, pictures(8) * 1000, "block_spatial_gate")
    assert places.min() >= 0 and places.max() <= 1 and places.max() > 0.9 and places.min() < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_without_weights_every_gate_is_one_half(kind):
    model, x = block(attend, 8, kind=kind), pictures(8)
    for weight in model.trainable_weights:
        weight.assign(weight * 0)
    half = 0.25 if kind == "cbam" else 0.5
    assert model(x).numpy() == pytest.approx(x * half, abs=1e-6)


def test_thin_maps_keep_at_least_four_values_between_the_layers():
    assert block(se, 8).get_layer("block_squeeze").filters == 4
    assert block(se, 8, least=2).get_layer("block_squeeze").filters == 2
    assert block(se, 128).get_layer("block_squeeze").filters == 8


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_gets_a_gradient(kind):
    model, x = block(attend, 8, kind=kind), pictures(8)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, training=True) ** 3)
    grads = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    assert all(np.abs(grad).max() > 0 for grad in grads)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (3, 8)])
def test_gates_have_their_shapes_for_pictures_of_any_size(kind, size):
    model, x = block(attend, 8, kind=kind), pictures(8, size)
    assert model(x).shape == x.shape
    assert gate(model, x).shape == (2, 1, 1, 8)
    if kind == "cbam":
        assert gate(model, x, "block_spatial_gate").shape == (2, *size, 1)


def test_saved_and_exported_blocks_answer_the_same_for_another_size(tmp_path):
    x = inputs = keras.Input((None, None, 8))
    for kind in KINDS:
        x = attend(x, kind, name=kind)
    model, pixels = keras.Model(inputs, x), pictures(8)
    for form, answer in answers(model, pixels, tmp_path).items():
        assert answer == pytest.approx(model(pixels).numpy(), abs=1e-5), form


def test_no_attention_leaves_the_maps_as_they_are():
    inputs = keras.Input((4, 4, 8))
    assert attend(inputs, "none", name="block") is inputs


@pytest.mark.parametrize(
    ("kind", "options", "error", "message"),
    [
        ("ce", {}, ValueError, "attention must be none, se, eca, cbam. Got 'ce'"),
        ("se", {"ratio": 0}, ValueError, "ratio and least must be at least 1. Got 0 and 4"),
        ("eca", {"kernel": 0}, ValueError, "kernel must be at least 1. Got 0"),
        ("eca", {"gamma": 0}, ValueError, "channels and gamma must be positive. Got 8 and 0"),
        ("cbam", {"variant": "x"}, ValueError, "variant must be official or port. Got 'x'"),
        ("cbam", {"order": "max"}, ValueError, "order must be max_mean or mean_max. Got 'max'"),
        ("eca", {"ratio": 8}, TypeError, "ratio"),
    ],
)
def test_what_cannot_be_is_named(kind, options, error, message):
    with pytest.raises(error, match=message):
        attend(keras.Input((4, 4, 8)), kind, name="block", **options)
