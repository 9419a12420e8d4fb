import os
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest

from dnncli import registry
from dnncli.config import ModelConfig
from dnncli.errors import ConfigError, ModelError
from dnncli.networks.backbones import (
    PREPROCESSING,
    _repair_efficientnet,
    describe_preprocessing,
    module_of,
)
from dnncli.networks.files import load_model, save_model
from dnncli.networks.network import build_network, parameters

SMALL = {"alpha": 0.25}
MOBILE = "mobilenet"


def build(
    name=MOBILE, size=(32, 32), channels=3, *, options=SMALL, value_range=(0, 255), **settings
):
    return build_network(
        ModelConfig(name=name, options=options, **settings),
        height_width=size,
        channels=channels,
        class_names=("a", "b", "c"),
        loss="cross-entropy",
        normalization=[keras.layers.Rescaling(1 / 255, name="minmax")],
        value_range=value_range,
    )


def pictures(shape=(32, 32, 3), *, n=2):
    return np.random.default_rng(0).uniform(0, 255, (n, *shape)).astype(np.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network with weights unlike any fresh one, and files of them in every format."""
    folder = tmp_path_factory.mktemp("weights")
    backbone = keras.applications.MobileNet(
        alpha=0.25, input_shape=(32, 32, 3), include_top=False, weights=None
    )
    draw = np.random.default_rng(1)
    for weight in backbone.weights:
        weight.assign(np.abs(draw.normal(0.5, 0.1, weight.shape)))
    backbone.save_weights(folder / "own.weights.h5")
    _save_legacy(backbone, folder / "legacy.h5")
    top = keras.Sequential([backbone, keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(7)])
    top.save(folder / "with_top.keras")
    return folder, backbone


def _save_legacy(model, path):
    """The layout of the weight files that keras.applications publishes."""
    with h5py.File(path, "w") as file:
        layers = [layer for layer in model.layers if layer.weights]
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        for layer in layers:
            group = file.create_group(layer.name)
            weights = [*layer.trainable_weights, *layer.non_trainable_weights]
            group.attrs["weight_names"] = [f"{i}:0".encode() for i in range(len(weights))]
            for index, weight in enumerate(weights):
                group[f"{index}:0"] = weight.numpy()


def test_every_network_of_the_registry_exists_and_has_its_preprocessing():
    for name in registry.BACKBONES:
        assert name in registry.TRUNKS or hasattr(keras.applications, module_of(name))
        assert PREPROCESSING[module_of(name)] in describe_preprocessing(name)


@pytest.mark.parametrize("module", sorted(PREPROCESSING.keys() - {"efficientnet_lite"}))
def test_preprocessing_is_described_as_keras_does_it(module):
    pixel = np.array([[[[255.0, 0.0, 51.0]]]], np.float32)
    found = getattr(keras.applications, module).preprocess_input(pixel.copy())[0, 0, 0]
    expected = {
        "built in": [255, 0, 51],
        "tf": [1, -1, -0.6],
        "torch": [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225],
        "caffe": [51 - 103.939, -116.779, 255 - 123.68],
    }
    assert found == pytest.approx(expected[PREPROCESSING[module]], rel=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_from_random_weights_it_takes_grey_and_colour_and_reloads(channels, tmp_path):
    network = build(channels=channels)
    assert network.preprocessing == "minmax"
    assert [layer.name for layer in network.backbone] == ["mobilenet_0.25_32"]
    x = pictures((32, 32, channels))
    save_model(network.serving, tmp_path / "model.keras", {})
    again = load_model(tmp_path / "model.keras")
    assert again(x).numpy() == pytest.approx(network.serving(x).numpy(), abs=1e-6)


def test_a_frozen_backbone_trains_only_the_head_and_keeps_its_batch_statistics():
    network = build()
    for layer in network.backbone:
        layer.trainable = False
    assert parameters(network).trainable == 256 * 3 + 3
    before = [w.numpy().copy() for w in network.backbone[0].weights]
    network.training.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    network.training.train_on_batch(pictures(), np.eye(3)[:2])
    after = [w.numpy() for w in network.backbone[0].weights]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_l2_reaches_the_kernels_of_the_backbone():
    network = build(l2=0.5)
    kernels = [w for w in network.training.trainable_weights if w.name.endswith("kernel")]
    expected = 0.5 * sum((w.numpy() ** 2).sum() for w in kernels)
    assert len(kernels) == 28
    assert float(sum(network.training.losses)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("file", ["own.weights.h5", "legacy.h5", "with_top.keras"])
def test_weights_of_a_file_are_used_with_the_networks_own_preprocessing(file, trained):
    folder, backbone = trained
    network = build(weights=str(folder / file))
    for ours, theirs in zip(network.backbone[0].weights, backbone.weights, strict=True):
        assert np.array_equal(ours, theirs)
    assert "tf: scaled to [-1, 1]" in network.preprocessing
    features = keras.Model(network.training.input, network.training.get_layer("features").output)
    x = pictures()
    expected = backbone(x / 127.5 - 1).numpy().mean(axis=(1, 2))
    assert features(x).numpy() == pytest.approx(expected, rel=1e-3)


def test_other_pixel_ranges_are_brought_to_what_the_weights_know(trained):
    folder, backbone = trained
    network = build(weights=str(folder / "own.weights.h5"), value_range=(0.0, 1.0))
    features = keras.Model(network.training.input, network.training.get_layer("features").output)
    x = pictures()
    expected = backbone(x / 127.5 - 1).numpy().mean(axis=(1, 2))
    assert features(x / 255).numpy() == pytest.approx(expected, rel=1e-3)


def test_a_file_of_another_network_is_refused_with_layers_and_shapes(trained, tmp_path):
    folder, _ = trained
    with pytest.raises(ModelError) as caught:
        build(weights=str(folder / "legacy.h5"), options={"alpha": 0.5})
    text = str(caught.value)
    assert "legacy.h5: does not fit mobilenet" in text
    assert "layer 1: mobilenet has conv1 [(3, 3, 3, 16)], the file conv1 [(3, 3, 3, 8)]" in text
    with pytest.raises(ModelError, match=r"own.weights\.h5: does not fit mobilenet"):
        build(weights=str(folder / "own.weights.h5"), options={"alpha": 0.5})
    (tmp_path / "broken.h5").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"broken\.h5: is not a Keras weights file"):
        build(weights=str(tmp_path / "broken.h5"))
    with h5py.File(tmp_path / "number.h5", "w") as file:
        file.attrs["layer_names"] = 5
    with pytest.raises(ModelError, match=r"number\.h5: is not a Keras weights file"):
        build(weights=str(tmp_path / "number.h5"))
    (tmp_path / "weights.pt").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"weights are \.h5, .weights\.h5 or \.keras files"):
        build(weights=str(tmp_path / "weights.pt"))
    with pytest.raises(ModelError, match=r"none\.h5: no such file"):
        build(weights=str(tmp_path / "none.h5"))


def test_the_variance_of_published_efficientnet_files_is_repaired():
    """They hold the deviation in its place; with "imagenet" Keras divides by it once more."""
    deviation, mean = np.array([0.229, 0.224, 0.225]), np.array([0.485, 0.456, 0.406])
    norm = keras.layers.Normalization()
    model = keras.Sequential([keras.Input((4, 4, 3)), norm])
    norm.adapt_mean.assign(mean)
    for variance in (deviation, deviation**2):  # as published, and as it should be
        norm.adapt_variance.assign(variance)
        norm.finalize_state()
        _repair_efficientnet(model)
        found = np.ravel(norm(np.ones((1, 1, 1, 3))))
        assert found == pytest.approx((1 - mean) / deviation, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "size", "smallest"), [(MOBILE, (64, 31), 32), ("inceptionv3", (74, 80), 75)]
)
def test_pictures_too_small_are_refused_with_the_smallest_that_works(name, size, smallest):
    message = (
        f"{size[0]}x{size[1]} is too small for {name}: it needs at least {smallest}x{smallest}"
    )
    with pytest.raises(ModelError, match=message):
        build(name, size, options={})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"options": {"alfa": 1}}, "'alfa'. Did you mean 'alpha'"),
        ({"options": {"include_top": True}}, "no such option 'include_top'"),
        ({"padding": "valid"}, "mobilenet does not have: model.padding"),
        ({"options": {"alpha": "much"}}, "model.options: mobilenet"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        build(**settings)


def test_without_a_network_imagenet_weights_fail_with_one_message_and_leave_nothing(tmp_path):
    """In its own process, as Keras reads KERAS_HOME once; a proxy that is not there cuts it off."""
    code = (
        "from dnncli.config import ModelConfig\n"
        "from dnncli.errors import ModelError\n"
        "from dnncli.networks.network import build_network\n"
        "try:\n"
        "    build_network(ModelConfig(name='mobilenetv2', weights='imagenet'), channels=3,\n"
        "        height_width=(40, 48), class_names=('a', 'b'), loss='cross-entropy')\n"
        "except ModelError as error:\n"
        "    print(error)\n"
    )
    nowhere = "http://127.0.0.1:9"
    environment = os.environ | {
        "KERAS_HOME": str(tmp_path),
        "https_proxy": nowhere,
        "HTTPS_PROXY": nowhere,
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.count("\n") == 1
    for words in ("mobilenetv2 could not be downloaded", "--weights none", "--weights FILE"):
        assert words in done.stdout
    assert not list(tmp_path.rglob("*.h5*"))
