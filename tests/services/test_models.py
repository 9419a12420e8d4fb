import pytest

from dnncli import registry
from dnncli.errors import ConfigError, ModelError
from dnncli.services.models import ModelSummary, Parts, models


def test_without_a_name_every_table_of_names_is_listed_default_first():
    parts = models()
    assert isinstance(parts, Parts)
    assert parts.models == tuple(registry.MODELS) and parts.models[0] == "cnn"
    assert parts.losses[0] == "cross-entropy" and parts.optimizers[0] == "adam"
    assert {"cosine", "plateau"} <= set(parts.schedules) and "light" in parts.policies
    assert "zscore" in parts.normalizations and "he_normal" in parts.initializers


def test_a_network_is_counted_layer_by_layer():
    summary = models("resnet20", image_size=(28, 28), color="grayscale")
    assert isinstance(summary, ModelSummary)
    assert (summary.trainable, summary.parameters) == (269_434, 270_810)
    assert summary.multiply_adds / 1e6 == pytest.approx(30.8, abs=0.05)
    assert sum(layer.parameters for layer in summary.layers) == summary.parameters
    assert sum(layer.multiply_adds for layer in summary.layers) == summary.multiply_adds
    # The stem sees 28 x 28 places, and has 16 kernels of 3 x 3 x 1.
    stem = next(layer for layer in summary.layers if layer.name == "stem")
    assert (stem.output, stem.parameters, stem.multiply_adds) == ((28, 28, 16), 144, 784 * 144)


def test_settings_of_train_change_the_network():
    plain, narrow = models("cnn"), models("cnn", settings={"model.options.width": 8})
    assert narrow.parameters < plain.parameters / 8
    binary = models("cnn", classes=2, settings={"loss.name": "binary-focal"})
    assert binary.layers[-1].output == (1,)


def test_layers_of_a_backbone_are_listed_one_by_one():
    summary = models("mobilenet", settings={"model.options.alpha": 0.25})
    kinds = {layer.kind for layer in summary.layers}
    assert {"DepthwiseConv2D", "BatchNormalization", "Dense"} <= kinds
    assert sum(layer.parameters for layer in summary.layers) == summary.parameters


def test_networks_of_masks_have_two_classes_unless_told_and_one_logit_for_both():
    summary = models("u-carfnet", settings={"model.preset": "small", "model.options.width": 4})
    assert (summary.classes, summary.layers[-1].output) == (2, (32, 32, 1))
    three = models("unet", classes=3, settings={"model.options.width": 2})
    assert (three.classes, three.layers[-1].output) == (3, (32, 32, 3))
    assert sum(layer.parameters for layer in three.layers) == three.parameters
    assert models("cnn").classes == 10


def test_attention_is_a_setting_of_all_that_have_it():
    assert {"none", "se", "eca", "cbam"} == set(models().attention)
    plain = models("unet", settings={"model.options.width": 4})
    options = {"model.options.width": 4, "model.attention": "eca"}
    assert (
        models("unet", settings=options).parameters == plain.parameters + 1 + 4 * 3
    )  # kernels for 4, then 8 to 64


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match=r"'resnet2'\. Did you mean 'resnet20'"):
        models("resnet2")
    with pytest.raises(ConfigError, match="no such setting"):
        models("cnn", settings={"model.paddin": "valid"})
    valid = {"model.padding": "valid"}
    with pytest.raises(ModelError, match="2x40 is too small for cnn.*at least 3x3"):
        models("cnn", image_size=(2, 40), settings=valid)
