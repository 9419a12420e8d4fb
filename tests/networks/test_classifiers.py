import zipfile

import keras
import numpy as np
import pytest
from export_support import answers

from dnncli import registry
from dnncli.config import LossConfig, ModelConfig
from dnncli.errors import ConfigError, ModelError
from dnncli.losses import build_loss
from dnncli.networks.files import load_model, save_model
from dnncli.networks.network import build_network, multiply_adds, parameters
from dnncli.networks.resnets import resnet20

NAMES = ("a", "b", "c")
# The others are made by the same functions as resnet20 and wrn-16-4, and slow to build.
LARGE = ("resnet32", "resnet56", "wrn-28-10", "wrn-40-4")
SHORT = [name for name in registry.CLASSIFIERS if name not in LARGE]


def build(name, size=(16, 16), channels=3, *, class_names=NAMES, **settings):
    return build_network(
        ModelConfig(name=name, **settings),
        height_width=size,
        channels=channels,
        class_names=class_names,
        loss="cross-entropy",
        normalization=[keras.layers.Rescaling(1 / 255, name="minmax")],
    )


def pictures(shape, *, n=12):
    """Pictures whose class is how bright they are, and their one-hot labels."""
    labels = np.arange(n) % 3
    noise = np.random.default_rng(0).uniform(0, 60, (n, *shape))
    return (noise + labels[:, None, None, None] * 90).astype(np.float32), np.eye(3)[labels]


@pytest.mark.parametrize("name", SHORT)
def test_training_lowers_the_loss_and_a_saved_model_answers_the_same(name, tmp_path):
    network = build(name)
    x, y = pictures((16, 16, 3))
    loss = build_loss(LossConfig(), class_names=NAMES)
    network.training.compile(keras.optimizers.SGD(0.01), loss, run_eagerly=True)
    first = network.training.train_on_batch(x, y)
    assert network.training.train_on_batch(x, y) < first

    path = tmp_path / "model.keras"
    save_model(network.serving, path, {})
    probs = network.serving(x).numpy()
    assert probs == pytest.approx(load_model(path)(x).numpy(), abs=1e-6)
    assert probs.sum(axis=1) == pytest.approx(np.ones(len(x)), abs=1e-5)
    with zipfile.ZipFile(path) as archive:
        layers = archive.read("config.json").decode()
    assert '"module": "dnncli' not in layers  # Keras alone can read it


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize(("size", "channels"), [((8, 8), 1), ((9, 21), 3)])
def test_every_size_from_8_pixels_works(name, size, channels):
    network = build(name, size, channels)
    assert network.training.output_shape == (None, 3)
    assert network.serving(np.zeros((2, *size, channels))).shape == (2, 3)


@pytest.mark.parametrize("name", SHORT)
def test_the_seed_decides_the_weights(name):
    x, _ = pictures((8, 8, 1))
    first, second = build(name, (8, 8), 1), build(name, (8, 8), 1)
    assert first.serving(x).numpy() == pytest.approx(second.serving(x).numpy(), abs=1e-7)


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize(
    ("initializer", "fan_out"), [("he_normal", False), ("glorot_uniform", True)]
)
def test_kernels_have_the_spread_their_initializer_promises(name, initializer, fan_out):
    """Variance 2 / fan_in, or 2 / (fan_in + fan_out), up to what a sample of its size scatters."""
    network = build(name, (24, 24), kernel_initializer=initializer)
    kernels = [w for w in network.training.trainable_weights if w.name == "kernel"]
    largest = max(kernels[:-1], key=lambda w: np.prod(w.shape))  # the last are the logits
    inputs, outputs = np.prod(largest.shape[:-1]), largest.shape[-1] * np.prod(largest.shape[:-2])
    expected = 2 / (inputs + outputs) if fan_out else 2 / inputs
    assert np.var(largest.numpy()) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("name", SHORT)
def test_l1_and_l2_penalise_kernels_and_nothing_else(name):
    network = build(name, l1=0.01, l2=0.1)
    kernels = [w.numpy() for w in network.training.trainable_weights if w.name == "kernel"]
    expected = sum(0.01 * np.abs(w).sum() + 0.1 * (w**2).sum() for w in kernels)
    assert float(sum(network.training.losses)) == pytest.approx(expected, rel=1e-4)
    assert len(network.training.losses) == len(kernels)
    assert not build(name).training.losses


@pytest.mark.parametrize("name", SHORT)
def test_without_batch_normalisation_there_are_biases_in_its_place(name):
    layers = build(name, batch_norm=False).training.layers
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in layers)
    kernels = [
        layer for layer in layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
    ]
    assert all(layer.use_bias for layer in kernels)


@pytest.mark.parametrize("name", SHORT)
def test_dropout_is_where_it_was_asked_for(name):
    def rates(network):
        return {x.rate for x in network.training.layers if isinstance(x, keras.layers.Dropout)}

    assert rates(build(name, dropout=0.25)) == {0.25}
    assert rates(build(name, dropout=0.0)) == set()


@pytest.mark.parametrize(
    ("name", "size", "channels", "options", "trainable", "total", "mmac"),
    [
        # reference counts of the CIFAR networks; the rest are moving means and variances
        ("resnet20", (32, 32), 3, {}, 269_722, 271_098, 40.6),
        ("resnet32", (32, 32), 3, {}, 464_154, 466_426, 68.9),
        ("resnet56", (32, 32), 3, {}, 853_018, 857_082, 125.5),
        ("wrn-16-4", (32, 32), 3, {}, 2_748_890, 2_752_506, 392.6),
        ("wrn-28-10", (32, 32), 3, {}, 36_479_194, 36_497_146, 5_243.3),
        ("wrn-40-4", (32, 32), 3, {}, 8_949_210, 8_959_994, 1_298.6),
        ("resnet20", (28, 28), 1, {}, 269_434, 270_810, 30.8),
        ("resnet20", (32, 32), 3, {"shortcut": "B"}, 272_474, 274_042, 40.8),
        # 9 32 + 9 32 64 + 9 64 128, 2 (32 + 64 + 128) of BN, 4 4 128 10 + 10
        ("cnn", (28, 28), 1, {"convolutions": 1}, 113_386, 113_834, 2.2),
        # (3072 + 1) 512 + (512 + 1) 256 without the biases, 2 (512 + 256) of BN, 256 10 + 10
        ("mlp", (32, 32), 3, {}, 1_708_042, 1_709_578, 1.7),
    ],
)
def test_sizes_and_costs_are_the_published_ones(
    name, size, channels, options, trainable, total, mmac
):
    network = build(name, size, channels, class_names=list("abcdefghij"), options=options)
    counts = parameters(network)
    assert (counts.trainable, counts.total) == (trainable, total)
    assert multiply_adds(network.training) / 1e6 == pytest.approx(mmac, abs=0.05)


@pytest.mark.parametrize(
    ("name", "size", "options", "attention", "trainable"),
    [
        # in 3 blocks each of 16, 32, 64 channels, 4 values between: 2 4 C + C + 4 weights
        ("resnet20", (32, 32, 3), {}, "se", 269_722 + 3 * (148 + 292 + 580)),
        ("resnet20", (32, 32, 3), {}, "eca", 269_722 + 9 * 3),
        # and 7 7 2 + 2 for the places
        ("resnet20", (32, 32, 3), {}, "cbam", 269_722 + 3 * (148 + 292 + 580) + 9 * 100),
        # after stages of 32, 64 and 128 channels
        ("cnn", (28, 28, 1), {"convolutions": 1}, "eca", 113_386 + 3 + 3 + 5),
        ("cnn", (28, 28, 1), {"convolutions": 1}, "se", 113_386 + 292 + 580 + 2184),
    ],
)
def test_attention_costs_what_its_blocks_cost(name, size, options, attention, trainable):
    network = build(
        name,
        size[:2],
        size[2],
        class_names=list("abcdefghij"),
        options=options,
        attention=attention,
    )
    assert parameters(network).trainable == trainable


def test_attention_weighs_the_branch_and_not_the_shortcut():
    model = build("resnet20", attention="eca").training
    short, branch = model.get_layer("stage2_block2_add").input
    assert short is model.get_layer("stage2_block1_relu2").output
    assert branch is model.get_layer("stage2_block2_attention_scale").output
    norm = model.get_layer("stage2_block2_norm2").output
    assert model.get_layer("stage2_block2_attention_scale").input[0] is norm


def test_every_stage_of_the_default_network_has_its_gate():
    gates = [
        (layer.name, layer.output.shape[1:])
        for layer in build("cnn", (24, 24), attention="se").training.layers
        if layer.name.endswith("_gate")
    ]
    assert gates == [(f"stage{stage}_attention_gate", (1, 1, 2**stage * 16)) for stage in (1, 2, 3)]


def test_attention_trains_and_is_saved_and_exported_by_keras_alone(tmp_path):
    x, y = pictures((9, 11, 3))
    model = build("cnn", (9, 11), attention="cbam").training
    loss = build_loss(LossConfig(), class_names=NAMES)
    model.compile(keras.optimizers.SGD(0.01), loss, run_eagerly=True)
    first = model.train_on_batch(x, y)
    assert model.train_on_batch(x, y) < first
    for form, answer in answers(model, x, tmp_path).items():
        assert answer == pytest.approx(model(x).numpy(), abs=1e-5), form
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert '"module": "dnncli' not in archive.read("config.json").decode()


def test_a_residual_network_with_attention_takes_and_saves_pictures_of_any_size(tmp_path):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, resnet20(inputs / 255, outputs=3, attention="cbam"))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for size in ((9, 21), (16, 8)):
        x, _ = pictures((*size, 3), n=2)
        assert model(x).shape == (2, 3)
        assert loaded(x).numpy() == pytest.approx(model(x).numpy(), abs=1e-6)


def test_the_cost_of_the_default_network_stays_small_for_large_pictures():
    costs = {n: multiply_adds(build("cnn", (n, n)).training) / 1e6 for n in (28, 64, 128, 224)}
    assert costs[28] < 12 and costs[64] < 25 and costs[128] < 40 and costs[224] < 80


@pytest.mark.parametrize("size", range(8, 33))
def test_the_default_network_takes_every_size_with_either_padding(size):
    for padding in ("same", "valid"):
        shape = build("cnn", (size, size), 1, padding=padding).training.output_shape
        assert shape == (None, 3)


def test_shortcut_a_hands_on_every_second_pixel_and_zero_channels():
    network = build("resnet20", (9, 9), 1)
    names = [layer.name for layer in network.training.layers]
    before = network.training.get_layer("stage1_block3_relu2").output
    joined = names.index("stage2_block1_add")
    added = network.training.layers[joined].input[0]
    probe = keras.Model(network.training.input, [before, added])
    x, y = probe(pictures((9, 9, 1))[0])
    assert np.array_equal(y[..., 8:24], x[:, ::2, ::2])
    assert not y[..., :8].numpy().any() and not y[..., 24:].numpy().any()


def test_padding_valid_crops_the_shortcut_to_the_pixel_in_the_middle():
    """With kernels that only pass their middle on, both ways of a block show the same pixel."""
    network = build("resnet20", (81, 82), 1, padding="valid", options={"shortcut": "A"})
    model = network.training
    for block in ("stage1_block2", "stage2_block1"):
        crop = model.get_layer(f"{block}_crop")
        second = model.get_layer(f"{block}_conv2")
        middle = np.zeros((3, 3, 1, 1), np.float32)
        middle[1, 1] = 1
        strides = model.get_layer(f"{block}_conv1").strides
        shape = crop.input.shape
        rows = np.arange(shape[1] * shape[2], dtype=np.float32).reshape(1, shape[1], shape[2], 1)
        way = keras.ops.conv(rows, middle, strides, "valid")
        way = keras.ops.conv(way, middle, 1, "valid")
        short = crop(np.repeat(rows, shape[-1], axis=-1))[..., :1]
        short = keras.layers.MaxPooling2D(1, strides)(short)
        assert tuple(second.output.shape[1:3]) == tuple(way.shape[1:3])
        assert np.array_equal(short, way)


@pytest.mark.parametrize(("name", "smallest"), [("cnn", 3), ("resnet20", 81), ("wrn-16-4", 53)])
def test_a_picture_too_small_for_padding_valid_is_refused_with_the_smallest_that_works(
    name, smallest
):
    build(name, (smallest, smallest + 1), padding="valid")
    message = (
        f"{smallest + 1}x{smallest - 1} is too small for {name} with padding 'valid': it needs at "
        f"least {smallest}x{smallest}. Use --image-size {smallest}x{smallest}, or --set "
        "model.padding=same"
    )
    with pytest.raises(ModelError, match=message):
        build(name, (smallest + 1, smallest - 1), padding="valid")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("resnet", {}, "Unknown model 'resnet'. Did you mean 'resnet"),
        ("cnn", {"kernel_initializer": "he_noraml"}, "'he_noraml'. Did you mean 'he_normal'"),
        ("cnn", {"options": {"wdth": 8}}, "'wdth'. Did you mean 'width'"),
        ("cnn", {"options": {"outputs": 8}}, "no such option 'outputs'"),
        ("cnn", {"options": {"convolutions": 0}}, "convolutions must be at least 1. Got 0"),
        ("cnn", {"options": {"dropout": 0.1}}, "'dropout' is the setting model.dropout"),
        ("mlp", {"padding": "valid"}, "mlp does not have: model.padding. Leave it out"),
        ("mlp", {"attention": "se"}, "mlp does not have: model.attention. Leave it out"),
        ("cnn", {"attention": "ce"}, "attention must be none, se, eca, cbam. Got 'ce'"),
        ("resnet20", {"options": {"shortcut": "C"}}, "shortcut must be 'A' or 'B'. Got 'C'"),
    ],
)
def test_a_wrong_setting_is_named(name, settings, message):
    with pytest.raises(ConfigError, match=message):
        build(name, **settings)


def test_weights_of_imagenet_are_refused_where_there_are_none():
    with pytest.raises(ModelError, match=r"cnn starts from random weights\. Use --weights none"):
        build("cnn", weights="imagenet")
