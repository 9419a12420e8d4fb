"""One suite over all networks that say something of every pixel."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from export_support import answers

from dnncli import registry
from dnncli.config import ModelConfig
from dnncli.errors import ConfigError, ModelError
from dnncli.networks.dense import MaskLogits, build_dense
from dnncli.networks.network import check_model

TWO = ("background", "crack")
THREE = ("background", "a", "b")
PRESETS = [
    *(("unet", ""), ("unet", "small")),
    *(("u-carfnet", "fixed"), ("u-carfnet", "released"), ("u-carfnet", "dcn")),
    *(("hed", "released"), ("hed", "from-scratch")),
]
# The deformable one has every layer of the default one.
EXPORTED = [("unet", "small"), ("u-carfnet", "dcn"), ("hed", "from-scratch")]
# Where the depth can be chosen, two halvings have every layer.
FLAT = {"unet": {"depth": 2}}
TRAINED = [("unet", "small"), ("u-carfnet", "fixed"), ("hed", "from-scratch")]


def build(name, preset="", *, width=4, channels=3, class_names=TWO, options=None, **settings):
    keywords = {"height_width", "class_shares", "task", "seed"} & set(settings)
    keywords = {key: settings.pop(key) for key in keywords}
    options = {"width": width, **(options or {})}
    return build_dense(
        ModelConfig(name=name, preset=preset, options=options, **settings),
        channels=channels,
        class_names=class_names,
        normalization=[keras.layers.Rescaling(1 / 255, name="minmax")],
        **keywords,
    )


def pictures(n, height, width, channels=3, *, seed=0):
    shape = (n, height, width, channels)
    return np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)


def test_every_network_of_the_registry_is_in_this_suite():
    assert {name for name, _ in PRESETS} == set(registry.DENSE)


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_pictures_of_any_size_are_answered_pixel_by_pixel(name, preset):
    network = build(name, preset)
    assert network.training.input_shape == (None, None, None, 3)
    for size in ((1, 1), (17, 23), (2, 40)):
        x = pictures(1, *size)
        logits, probs = network.training(x).numpy(), network.serving(x).numpy()
        assert logits.shape == (1, *size, network.maps)
        assert probs.shape == (1, *size, 2)
        assert np.isfinite(logits).all()
        assert probs.sum(axis=-1) == pytest.approx(np.ones((1, *size)), abs=1e-6)
        assert probs[..., 1] == pytest.approx(1 / (1 + np.exp(-logits[..., -1])), abs=1e-6)


@pytest.mark.parametrize("name", registry.DENSE)
def test_more_than_two_classes_have_a_logit_each(name):
    network = build(name, class_names=THREE, channels=1, height_width=(20, 12))
    assert network.training.output_shape == (None, 20, 12, 3 * network.maps)
    probs = network.serving(pictures(2, 20, 12, 1)).numpy()
    assert probs.shape == (2, 20, 12, 3)
    assert probs.sum(axis=-1) == pytest.approx(np.ones((2, 20, 12)), abs=1e-6)


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_the_gradient_reaches_every_weight(name, preset):
    """From random targets; of the published U-CARFnet some ReLUs may be dead, as its table says."""
    network = build(name, preset, options={"width": 8})
    x = pictures(2, 32, 32)
    targets = np.random.default_rng(1).integers(0, 2, (2, 32, 32, 1)).astype(np.float32)
    with tf.GradientTape() as tape:
        logits = network.training(x, training=True)
        loss = tf.reduce_mean(tf.nn.softplus(logits) - targets * logits)
    weights = network.training.trainable_weights
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    assert all(gradient is not None for gradient in gradients)
    if preset != "released" or name == "hed":
        dead = [w.path for w, g in zip(weights, gradients) if not np.any(tf.convert_to_tensor(g))]
        assert not dead


@pytest.mark.slow
@pytest.mark.parametrize(("name", "preset"), EXPORTED)
def test_every_form_of_a_saved_model_answers_the_same(name, preset, tmp_path):
    """Of pictures of a size that it has not seen before."""
    network = build(name, preset, width=2, channels=1, options=FLAT.get(name))
    x = pictures(1, 21, 18, 1)
    probs = network.serving(x).numpy()
    for form, found in answers(network.serving, x, tmp_path).items():
        assert found == pytest.approx(probs, abs=1e-5), form


@pytest.mark.slow
@pytest.mark.parametrize(("name", "preset"), TRAINED)
def test_four_pictures_can_be_learned_by_heart(name, preset):
    network = build(name, preset, width=8, channels=1, options=FLAT.get(name))
    x = pictures(4, 16, 16, 1)
    y = np.zeros((4, 16, 16, 1), np.float32)
    for index in range(4):
        y[index, 2 + 2 * index : 6 + 2 * index, 3:11] = 1
    x += 200 * y
    model = network.training
    model.compile(keras.optimizers.Adam(0.01), keras.losses.BinaryCrossentropy(from_logits=True))
    targets = np.repeat(y, network.maps, axis=-1)
    for _ in range(50):
        model.train_on_batch(x, targets)
    answer = model(x, training=True).numpy()[..., -1:] > 0
    assert np.mean(answer == (y > 0)) > 0.98
    assert np.mean(answer[y > 0]) > 0.9


@pytest.mark.parametrize("name", registry.DENSE)
def test_an_untrained_network_answers_about_the_shares_of_the_classes(name):
    network = build(name, width=16, class_shares=(0.98, 0.02), height_width=(32, 32))
    plain = build(name, width=16, height_width=(32, 32))
    x = np.full((1, 32, 32, 3), 128, np.float32)
    shift = network.training(x).numpy() - plain.training(x).numpy()
    assert shift == pytest.approx(np.full(shift.shape, np.log(0.02 / 0.98)), abs=1e-4)


def test_the_seed_decides_the_weights():
    x = pictures(1, 16, 16)
    first, second, other = (build("unet", seed=seed).serving(x).numpy() for seed in (1, 1, 2))
    assert first == pytest.approx(second, abs=1e-7)
    assert np.abs(first - other).max() > 1e-4


@pytest.mark.parametrize("name", registry.DENSE)
def test_logits_are_float32_under_mixed_precision(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build(name)
    finally:
        keras.config.set_dtype_policy(before)
    x = pictures(1, 16, 16)
    assert network.training(x).dtype == network.serving(x).dtype == tf.float32


def corner(inputs, *, outputs):
    return keras.layers.Conv2D(outputs, 1, name="logits")(inputs)


def test_ones_own_network_may_give_one_tensor_or_several_maps():
    model = ModelConfig(name=f"{__name__}:corner")
    plain = build_dense(model, channels=1, class_names=TWO)
    assert (plain.maps, plain.training.output_shape) == (1, (None, None, None, 1))
    several = MaskLogits(maps=(1, 2))
    assert several.merged is False


def test_networks_of_another_task_are_refused_in_words():
    with pytest.raises(ConfigError, match="cnn: it classifies whole pictures.*'segment'.*unet"):
        check_model(ModelConfig(name="cnn"), task="segment")
    with pytest.raises(
        ConfigError, match="unet: it says something of every pixel.*'classify'.*cnn"
    ):
        check_model(ModelConfig(name="unet"))
    assert check_model(ModelConfig(), task="edges").name == "unet"
    assert check_model(ModelConfig()).name == "cnn"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("unet", {"preset": "smal"}, "model.preset 'smal'.*Did you mean 'small'"),
        ("unet", {"padding": "valid"}, "unet does not have: model.padding"),
        ("hed", {"dropout": 0.5}, "hed does not have: model.dropout.*such as unet"),
        ("unet", {"options": {"depht": 3}}, "no such option 'depht'. Did you mean 'depth'"),
        ("unet", {"options": {"depth": 0}}, "depth and width must be at least 1"),
        ("unet", {"options": {"upsampling": "cubic"}}, "'transposed' or 'bilinear'"),
        ("u-carfnet", {"options": {"order": "first"}}, "order must be 'mid' or 'end'"),
        ("u-carfnet", {"options": {"norm": "layer"}}, "norm must be 'batch' or 'group'"),
        ("u-carfnet", {"options": {"conv": "dcn3"}}, "conv must be standard, dcn1 or dcn2"),
        (
            "u-carfnet",
            {"preset": "released", "options": {"deep_supervision": True}},
            "no logits. Use preset 'fixed'",
        ),
        ("hed", {"options": {"output": "mean"}}, "'fused' or 'merged'"),
        (
            "hed",
            {"options": {"output": "merged", "deep_supervision": False}},
            "mean of maps that deep_supervision trains",
        ),
    ],
)
def test_mistakes_are_named(name, settings, message):
    with pytest.raises(ConfigError, match=message):
        build_dense(ModelConfig(name=name, **settings), channels=1, class_names=TWO)


def test_networks_without_ready_weights_say_which_has_them():
    with pytest.raises(ModelError, match="unet starts from random weights.*or hed"):
        build_dense(ModelConfig(name="unet", weights="imagenet"), channels=1, class_names=TWO)
