import keras
import numpy as np
import pytest
from export_support import answers

from dnncli.networks.blocks import identity_block, normalize, projection_block

CONVS = ("standard", "dcn1", "dcn2")


def model_of(build, channels, *arguments, **options):
    inputs = keras.Input((None, None, channels))
    return keras.Model(inputs, build(inputs, *arguments, name="block", **options))


def passing(channels, *, size, **options):
    """A block without normalisation whose convolutions hand on what is in their middle."""
    model = model_of(projection_block, channels, (channels,) * 3, norm="none", **options)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = np.zeros(layer.kernel.shape)
            middle = kernel.shape[0] // 2
            kernel[middle, middle] = np.eye(channels)
            layer.kernel.assign(kernel)
    x = np.random.default_rng(0).uniform(0, 1, (2, *size, channels)).astype(np.float32)
    return model, x


@pytest.mark.parametrize(
    ("channels", "filters", "projection", "identity"),
    [
        # the stages of U-CARFnet
        (64, (64, 64, 128), 59_264, 54_528),
        (128, (128, 128, 256), 233_216, 215_552),
        (256, (256, 256, 512), 925_184, 857_088),
        (512, (512, 512, 1024), 3_685_376, 3_418_112),
        (1024, (1024, 512, 512), 6_566_400, 5_515_264),
        (512, (512, 256, 256), 1_644_800, 1_381_376),
        (256, (256, 128, 128), 412_800, 346_624),
    ],
)
def test_blocks_have_as_many_weights_as_the_published_ones(channels, filters, projection, identity):
    assert model_of(projection_block, channels, filters).count_params() == projection
    assert model_of(identity_block, filters[2], filters).count_params() == identity


@pytest.mark.parametrize(("conv", "more"), [("dcn1", 155_592), ("dcn2", 233_388)])
def test_deformable_convolutions_in_four_stages_cost_what_they_should(conv, more):
    total = sum(
        sign * model_of(projection_block, c, (c, c, 2 * c), conv=kind).count_params()
        for kind, sign in ((conv, 1), ("standard", -1))
        for c in (64, 128, 256, 512)
    )
    assert total == more


@pytest.mark.parametrize("stride_on", ["first", "second"])
@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize("size", [(6, 7), (5, 1)])
def test_branch_and_shortcut_look_at_the_same_pixels(stride_on, conv, size):
    model, x = passing(3, size=size, stride_on=stride_on, conv=conv)
    assert model(x).numpy() == pytest.approx(2 * x[:, ::2, ::2], abs=1e-6)


def test_only_with_the_stride_on_the_second_convolution_all_pixels_are_read():
    for stride_on, read in (("first", False), ("second", True)):
        keras.utils.set_random_seed(0)
        model = model_of(projection_block, 2, (8, 8, 8), stride_on=stride_on)
        x = np.random.default_rng(0).normal(size=(1, 8, 8, 2)).astype(np.float32)
        changed = x.copy()
        changed[:, 1::2, 1::2] += 1
        assert (np.abs(model(x) - model(changed)).max() > 1e-4) == read


def test_an_identity_block_that_adds_nothing_is_a_relu():
    model = model_of(identity_block, 3, (2, 2, 3), norm="none")
    last = model.get_layer("block_conv3")
    last.kernel.assign(np.zeros(last.kernel.shape))
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    assert np.array_equal(model(x), np.maximum(x, 0))


def test_batch_normalisation_has_the_momentum_it_was_given():
    model = model_of(projection_block, 2, (4, 4, 4), momentum=0.7)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert [(norm.momentum, norm.epsilon) for norm in norms] == [(0.7, 1e-3)] * 4


def test_group_normalisation_does_not_mix_pictures():
    model = model_of(projection_block, 2, (8, 8, 8), norm="group")
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32)
    together = model(x, training=True).numpy()
    assert together[:1] == pytest.approx(model(x[:1], training=True).numpy(), abs=1e-5)


@pytest.mark.parametrize(
    ("channels", "groups"), [(1024, 32), (128, 32), (64, 16), (16, 4), (8, 2), (12, 2), (6, 1)]
)
def test_groups_have_at_least_four_channels(channels, groups):
    model = model_of(normalize, channels, "group")
    assert model.get_layer("block").groups == groups


def test_saved_and_exported_blocks_answer_the_same_for_another_size(tmp_path):
    inputs = keras.Input((None, None, 2))
    x = projection_block(inputs, (4, 4, 8), name="a", norm="group", stride_on="second")
    model = keras.Model(inputs, identity_block(x, (4, 4, 8), name="b", conv="dcn2"))
    pixels = np.random.default_rng(0).normal(size=(2, 5, 8, 2)).astype(np.float32)
    for form, answer in answers(model, pixels, tmp_path).items():
        assert answer == pytest.approx(model(pixels).numpy(), abs=1e-5), form


@pytest.mark.parametrize(
    ("build", "filters", "options", "message"),
    [
        (identity_block, (4, 4, 8), {}, "Got 4 channels and 8 filters; projection_block changes"),
        (projection_block, (4, 4, 8), {"stride_on": "third"}, "first or second. Got 'third'"),
        (projection_block, (4, 4, 8), {"conv": "dcn"}, "standard, dcn1 or dcn2. Got 'dcn'"),
        (projection_block, (4, 4, 8), {"norm": "layer"}, "batch, group or none. Got 'layer'"),
    ],
)
def test_what_cannot_be_is_named(build, filters, options, message):
    with pytest.raises(ValueError, match=message):
        model_of(build, 4, filters, **options)
