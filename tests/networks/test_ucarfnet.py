import keras
import numpy as np
import pytest

from dnncli.config import ModelConfig
from dnncli.networks.blocks.resize import NearestUpsampling
from dnncli.networks.dense import build_dense
from dnncli.networks.network import multiply_adds, parameters
from dnncli.networks.ucarfnet import ucarfnet

TWO = ("background", "contour")


def build(*, size=(32, 32), channels=1, class_names=TWO, width=4, **settings):
    settings["options"] = {"width": width, **settings.get("options", {})}
    model = ModelConfig(name="u-carfnet", **settings)
    return build_dense(model, height_width=size, channels=channels, class_names=class_names)


@pytest.mark.parametrize(
    ("attention", "total"),
    [("none", 28_195_229), ("se", 28_369_309), ("cbam", 28_543_781), (None, 28_195_249)],
)
def test_the_released_preset_has_the_weights_of_the_published_code(attention, total):
    network = build(preset="released", attention=attention, width=64)
    assert parameters(network).total == total
    assert parameters(network).trainable == total - 35_456  # means and variances of the norms


@pytest.mark.parametrize(
    ("width", "channels", "total", "giga"),
    [(8, 1, 450_827, 0.83), (16, 1, 1_779_693, 3.24), (16, 3, 1_779_693 + 2 * 9 * 16, None)],
)
def test_the_width_scales_the_whole_network(width, channels, total, giga):
    network = build(preset="released", size=(256, 256), width=width, channels=channels)
    assert parameters(network).total == total
    if giga:
        assert multiply_adds(network.training) / 1e9 == pytest.approx(giga, abs=0.005)


@pytest.mark.parametrize(("conv", "each"), [("dcn1", (162, 18)), ("dcn2", (243, 27))])
def test_deformable_convolutions_stand_where_the_encoder_halves_the_map(conv, each):
    plain, deformable = (
        build(preset="released", width=8, options={"conv": kind}) for kind in ("standard", conv)
    )
    channels = 8 + 16 + 32 + 64
    more = parameters(deformable).total - parameters(plain).total
    assert more == each[0] * channels + each[1] * 4
    assert multiply_adds(deformable.training) > multiply_adds(plain.training)


def test_the_first_three_of_four_pixels_are_read_unless_as_released():
    """The published blocks stride with 1x1 convolutions; ours with 3x3 ones."""
    x = np.random.default_rng(0).uniform(0, 1, (1, 16, 16, 4)).astype(np.float32)
    y = x.copy()
    y[:, 1::2, 1::2] = 0  # a quarter that no 1x1 convolution of stride 2 reads
    for preset, same in (("released", True), ("fixed", False)):
        inputs = keras.Input((16, 16, 4))
        said = ucarfnet(inputs, outputs=1, preset=preset, width=4)
        model = keras.Model(inputs, said.maps[-1])
        block = keras.Model(
            model.get_layer("stem_relu").output, model.get_layer("down1_projection_relu3").output
        )
        assert np.array_equal(block(x).numpy(), block(y).numpy()) is same


def test_attention_stands_between_the_blocks_or_after_both_and_in_the_decoder_if_asked():
    mid, end = (build(options={"order": order}) for order in ("mid", "end"))
    names = [layer.name for layer in mid.training.layers]
    assert names.index("down1_gate") < names.index("down1_identity_conv1")
    names = [layer.name for layer in end.training.layers]
    assert names.index("down1_gate") > names.index("down1_identity_relu3")
    gates = [name for name in names if name.endswith("_gate")]
    assert gates == [f"down{level}_gate" for level in (1, 2, 3, 4)]
    both = build(options={"decoder_attention": True})
    gates = [layer.name for layer in both.training.layers if layer.name.endswith("_gate")]
    assert gates[4:] == ["up3_gate", "up2_gate", "up1_gate", "up0_gate"]


def test_nearest_upsampling_repeats_every_pixel():
    x = np.random.default_rng(0).uniform(0, 1, (2, 3, 5, 4)).astype(np.float32)
    for scale in (1, 2, 3):
        layer = NearestUpsampling(scale)
        want = x.repeat(scale, axis=1).repeat(scale, axis=2)
        assert np.array_equal(layer(x).numpy(), want)
        assert layer.compute_output_shape((None, None, 5, 4)) == (None, None, 5 * scale, 4)
    with pytest.raises(ValueError, match="scale must be at least 1"):
        NearestUpsampling(0)


def test_group_normalisation_keeps_no_statistics():
    network = build(options={"norm": "group"})
    assert parameters(network).total == parameters(network).trainable
    plain = build(batch_norm=False)
    assert parameters(plain).total < parameters(network).total


@pytest.mark.parametrize(("full", "maps"), [(True, 6), (False, 5)])
def test_deep_supervision_gives_a_map_of_every_size_and_their_sum(full, maps):
    options = {"deep_supervision": True, "full_resolution_skip": full}
    network = build(size=None, options=options)
    assert network.maps == maps
    x = np.random.default_rng(0).uniform(0, 1, (1, 17, 23, 1)).astype(np.float32)
    logits = network.training(x).numpy()
    assert logits.shape == (1, 17, 23, maps)
    assert logits[..., -1] == pytest.approx(logits[..., :-1].mean(axis=-1), abs=1e-5)
