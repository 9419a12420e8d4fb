import numpy as np
import pytest

from dnncli.config import ModelConfig
from dnncli.errors import ConfigError
from dnncli.networks.dense import build_dense
from dnncli.networks.network import flat_layers, layer_multiply_adds, multiply_adds, parameters

TWO = ("background", "crack")


def build(size, *, channels=1, class_names=TWO, **settings):
    model = ModelConfig(name="unet", **settings)
    return build_dense(model, height_width=size, channels=channels, class_names=class_names)


def test_the_default_is_the_published_network():
    network = build((256, 256))
    assert parameters(network).total == parameters(network).trainable == 31_030_593
    # Transposed convolutions are a part of the count: 4 * 1024 * 512 products at 16 x 16 places
    # for the first, and as many in each of the three others.
    transposed = 4 * 16 * 16 * 4 * 1024 * 512
    assert multiply_adds(network.training) - transposed == pytest.approx(45.94e9, rel=1e-3)


def test_a_transposed_convolution_uses_its_kernel_once_per_pixel_it_is_given():
    network = build((16, 16), options={"width": 2, "depth": 1})
    up = next(layer for layer in flat_layers(network.training) if layer.name == "up1")
    assert up.output.shape[1:] == (16, 16, 2)
    assert layer_multiply_adds(up) == 8 * 8 * (2 * 2 * 4 * 2)


def test_the_small_preset_is_narrow_and_normalised_and_options_go_before_it():
    small, wider = build((32, 32), preset="small"), build((32, 32), options={"width": 16})
    assert small.training.get_layer("down1_conv1").filters == 16
    assert (
        small.training.get_layer("down1_norm1")
        and not small.training.get_layer("down1_conv1").use_bias
    )
    assert parameters(wider).total == 1_940_817 == parameters(wider).trainable
    plain = build((32, 32), preset="small", batch_norm=False)
    assert parameters(plain).total == parameters(wider).total


def test_bilinear_upsampling_has_1x1_kernels_in_place_of_2x2_ones():
    options = {"width": 2, "depth": 2}
    transposed = parameters(build((8, 8), options=options)).total
    bilinear = parameters(build((8, 8), options=options | {"upsampling": "bilinear"})).total
    assert transposed - bilinear == 3 * (8 * 4 + 4 * 2)


def test_attention_stands_at_every_size_of_the_contracting_path():
    network = build((16, 16), attention="eca", options={"width": 4, "depth": 2})
    names = [layer.name for layer in network.training.layers if layer.name.endswith("_gate")]
    assert names == ["down1_gate", "down2_gate", "bottom_gate"]


def test_dropout_changes_the_answer_in_training_only():
    network = build((16, 16), dropout=0.5, options={"width": 4, "depth": 2})
    x = np.random.default_rng(0).uniform(0, 1, (1, 16, 16, 1)).astype(np.float32)
    once, again = (network.training(x, training=True).numpy() for _ in range(2))
    assert np.abs(once - again).max() > 1e-6
    assert network.training(x).numpy() == pytest.approx(network.training(x).numpy(), abs=0)


def test_padding_is_not_seen_in_the_answer_for_the_first_pixels():
    """Pixels further from the border than the network sees are those of the larger picture."""
    network = build(None, options={"width": 4, "depth": 1})
    x = np.random.default_rng(0).uniform(0, 1, (1, 64, 64, 1)).astype(np.float32)
    whole, part = network.training(x).numpy(), network.training(x[:, :41, :33]).numpy()
    assert part[:, :24, :16] == pytest.approx(whole[:, :24, :16], abs=1e-5)


def test_a_depth_that_no_machine_could_hold_is_refused_at_once():
    with pytest.raises(ConfigError, match="depth must be at most 8"):
        build((16, 16), options={"depth": 50})
