import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from dnncli.config import ModelConfig
from dnncli.errors import ConfigError, ModelError
from dnncli.networks.files import load_model, read_card, save_model
from dnncli.networks.network import build_network, multiply_adds, parameters

CARD = {"classes": ["naïve", "b"], "task": "classify", "image_size": [8, 8]}


def build(loss="cross-entropy", *, class_names=("a", "b", "c"), name="cnn", **options):
    return build_network(
        ModelConfig(name=name),
        height_width=(8, 8),
        channels=1,
        class_names=class_names,
        loss=loss,
        **options,
    )


def pictures(n=4):
    return np.random.default_rng(0).uniform(0, 255, (n, 8, 8, 1)).astype(np.float32)


def tiny(inputs, *, outputs, units=2):
    """A network of a user's own."""
    x = keras.layers.Dense(units)(keras.layers.Flatten()(inputs))
    return keras.layers.Dense(outputs, name="logits")(x)


def test_serving_gives_the_softmax_of_the_training_logits():
    network = build()
    logits = network.training(pictures() / 255).numpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert network.serving(pictures() / 255).numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("loss", ["binary-cross-entropy", "binary-focal", "Binary-Focal"])
def test_a_binary_loss_has_one_logit_and_serves_both_probabilities(loss):
    network = build(loss, class_names=("no", "yes"))
    z = network.training(pictures() / 255).numpy()
    assert z.shape == (4, 1)
    probs = network.serving(pictures() / 255).numpy()
    assert probs[:, 1] == pytest.approx(1 / (1 + np.exp(-z[:, 0])), abs=1e-6)
    assert probs.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-6)


def test_small_probabilities_of_the_first_class_survive():
    network = build("binary-cross-entropy", class_names=("no", "yes"), class_shares=[1e-6, 1.0])
    network.training.get_layer("logits").kernel.assign(np.zeros((16 * 128, 1), np.float32))
    network.training.get_layer("logits").bias.assign([40.0])
    assert network.serving(pictures()).numpy()[:, 0] == pytest.approx(np.exp(-40.0), rel=1e-3)


def test_a_binary_loss_refuses_three_classes():
    with pytest.raises(ConfigError, match=r"two classes, and the data has 3\. Use cross-entropy"):
        build("binary-cross-entropy")


@pytest.mark.parametrize("loss", ["cross-entropy", "binary-cross-entropy"])
def test_the_output_bias_can_start_at_the_class_shares(loss):
    network = build(loss, class_names=("no", "yes"), class_shares=[0.9, 0.1])
    black = np.zeros((1, 8, 8, 1), np.float32)  # no signal: only the biases speak
    assert network.serving(black).numpy()[0] == pytest.approx([0.9, 0.1], abs=1e-5)


def test_normalisation_is_part_of_both_models():
    plain = build()
    scaled = build(normalization=[keras.layers.Rescaling(1 / 255, name="minmax")])
    x = pictures()
    assert scaled.serving(x).numpy() == pytest.approx(plain.serving(x / 255).numpy(), abs=1e-5)
    assert scaled.preprocessing == "minmax" and plain.preprocessing == "none"


def test_logits_and_probabilities_are_float32_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build()
    finally:
        keras.config.set_dtype_policy(before)
    assert network.training.output.dtype == network.serving.output.dtype == "float32"
    assert network.training.get_layer("stage1_conv2").compute_dtype == "bfloat16"


def test_a_network_of_the_users_own_is_named_by_import_string(monkeypatch):
    monkeypatch.setitem(sys.modules, "my_lab", sys.modules[__name__])
    network = build(name="my_lab:tiny")
    assert parameters(network).total == 64 * 2 + 2 + 2 * 3 + 3
    with pytest.raises(ConfigError, match=r"my_lab:tiny does not have: model\.padding"):
        build_network(
            ModelConfig(name="my_lab:tiny", padding="valid"),
            height_width=(8, 8),
            channels=1,
            class_names=("a", "b"),
            loss="cross-entropy",
        )


def test_multiply_adds_worked_out_by_hand():
    layers = keras.layers
    inputs = keras.Input((8, 6, 4))
    x = layers.Conv2D(5, 3, 2, padding="same")(inputs)  # 4x3 places, 3 3 4 5 each: 2160
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)  # 12 3 3 5 2: 1080
    x = layers.SeparableConv2D(7, 3, padding="valid")(x)  # 2x1 places, 3 3 10 + 10 7: 320
    x = layers.Conv2D(8, 1, groups=1)(x)  # 2 7 8: 112
    x = layers.Conv2D(8, 1, groups=4)(x)  # 2 (8/4) 8: 32
    x = layers.Conv2DTranspose(2, 2, 2)(x)  # 2 places of the input, 2 2 2 8 each: 128
    x = layers.Flatten()(layers.BatchNormalization()(x))  # 4 2 2 = 16 numbers
    inner = keras.Model(inputs, x)
    outer_input = keras.Input((8, 6, 4))
    model = keras.Model(outer_input, layers.Dense(3)(inner(outer_input)))  # 16 3: 48
    assert multiply_adds(model) == 2160 + 1080 + 320 + 112 + 32 + 128 + 48


def test_the_card_comes_back_as_it_was_and_keras_ignores_it(tmp_path):
    network = build()
    path = tmp_path / "new" / "best.keras"
    save_model(network.serving, path, CARD)
    assert read_card(path) == CARD
    plain = keras.models.load_model(path)
    expected = network.serving(pictures()).numpy()
    assert plain(pictures()).numpy() == pytest.approx(expected, abs=1e-6)
    assert [entry.name for entry in path.parent.iterdir()] == ["best.keras"]  # nothing else is left


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "best.keras"
    save_model(build().serving, path, CARD)
    before = path.read_bytes()
    with pytest.raises(TypeError, match=r"not JSON serializable"):
        save_model(build().serving, path, {"classes": object()})
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_reading_a_card_does_not_import_keras(tmp_path):
    path = tmp_path / "best.keras"
    save_model(build().serving, path, CARD)
    code = (
        "import sys, json, pathlib; from dnncli.networks.files import read_card; "
        "card = read_card(pathlib.Path(sys.argv[1])); "
        "print(json.dumps([card, [m for m in ('keras', 'tensorflow') if m in sys.modules]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [CARD, []]


def test_what_is_no_model_file_is_named(tmp_path):
    path = tmp_path / "best.keras"
    for read in (read_card, load_model):
        with pytest.raises(ModelError, match=r"best\.keras: no such model file"):
            read(path)
    path.write_bytes(b"not a zip")
    for read in (read_card, load_model):
        with pytest.raises(ModelError, match=r"is not a whole \.keras file"):
            read(path)
    save_model(build().serving, path, CARD)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ModelError, match=r"is not a whole \.keras file"):
        read_card(path)
    build().serving.save(path)
    with pytest.raises(ModelError, match=r"not written by dnncli train"):
        read_card(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "[]")
    with pytest.raises(ModelError, match=r"is not a whole \.keras file"):
        read_card(path)


def test_code_of_others_in_a_model_file_does_not_run(tmp_path):
    inputs = keras.Input((2,))
    outputs = keras.layers.Lambda(lambda x: x * 2)(inputs)
    path = tmp_path / "model.keras"
    keras.Model(inputs, outputs).save(path)
    with pytest.raises(ModelError, match=r"holds code that is not Keras' own.*--allow-code"):
        load_model(path)
