"""Grad-CAM: maps of networks whose answer is known by hand."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from dnncli.config import ModelConfig
from dnncli.errors import ModelError
from dnncli.networks import gradcam
from dnncli.networks.dense import build_dense
from dnncli.networks.gradcam import Target, feature_layer, find_layer, look, outputs_of, watched
from dnncli.networks.network import build_network

SIZE = 4


def linear(weights, *, flat=False, nested=False):
    """Pixels unchanged through a 1x1 convolution, then averaged or flattened, then weighed.

    `weights` is (channels or flattened pixels, classes).
    """
    channels = 2
    image = keras.Input((SIZE, SIZE, channels), name="image")
    conv = layers.Conv2D(channels, 1, use_bias=False, name="conv")
    if nested:
        inner = keras.Input((SIZE, SIZE, channels))
        x = keras.Model(inner, conv(inner), name="trunk")(image)
    else:
        x = conv(image)
    x = layers.Flatten()(x) if flat else layers.GlobalAveragePooling2D()(x)
    dense = layers.Dense(weights.shape[1], use_bias=False, name="logits")
    model = keras.Model(image, layers.Softmax(name="probabilities")(dense(x)))
    conv.set_weights([np.eye(channels, dtype=np.float32)[None, None]])
    dense.set_weights([weights.astype(np.float32)])
    return model


def picture(seed=0):
    return np.random.default_rng(seed).normal(size=(SIZE, SIZE, 2)).astype(np.float32)


def seen(model, image, *, layer="conv", class_index=0, pixels=None):
    target = Target(class_index=class_index, pixels=pixels)
    return look(model, image, layer=layer, choose=lambda _: target)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("class_index", [0, 1])
def test_the_map_of_a_linear_network_is_its_weighted_sum(nested, class_index):
    weights = np.array([[2.0, -1.0], [-3.0, 0.5]])
    image = picture()
    found = seen(linear(weights, nested=nested), image, class_index=class_index)
    by_hand = np.maximum(image @ weights[:, class_index] / SIZE**2, 0)
    np.testing.assert_allclose(gradcam.grad_cam(found), by_hand, atol=1e-6)
    np.testing.assert_allclose(gradcam.hires_cam(found), by_hand, atol=1e-6)
    assert not gradcam.reads_places(found)


def test_a_network_that_looks_at_one_corner_is_shown_to_look_there():
    weights = np.zeros((SIZE, SIZE, 2, 2))
    weights[0, 0, 0, 0] = 1.0
    image = np.ones((SIZE, SIZE, 2), np.float32)
    image[3, 3] = 9.0  # bright, but not looked at
    found = seen(linear(weights.reshape(-1, 2), flat=True), image)
    corner = np.zeros((SIZE, SIZE))
    corner[0, 0] = 1
    np.testing.assert_allclose(gradcam.hires_cam(found), corner, atol=1e-6)
    assert gradcam.reads_places(found)
    # What averaged weights make of it: the reason why there are two ways.
    assert gradcam.grad_cam(found).argmax() == SIZE**2 - 1


def test_the_logit_is_explained_even_if_the_network_is_sure():
    image = np.full((SIZE, SIZE, 2), 100.0, np.float32)
    found = seen(linear(np.array([[5.0, -5.0], [5.0, -5.0]])), image)
    assert found.probs.tolist() == [1, 0]
    assert gradcam.grad_cam(found).min() > 0


def test_one_logit_speaks_against_the_first_class():
    network = build_network(
        ModelConfig(name="cnn", options={"width": 4}),
        height_width=(8, 8),
        channels=1,
        class_names=("a", "b"),
        loss="binary-cross-entropy",
    )
    image = np.random.default_rng(1).uniform(0, 1, (8, 8, 1)).astype(np.float32)
    name = feature_layer(network.serving, image)
    first, second = (seen(network.serving, image, layer=name, class_index=i) for i in (0, 1))
    np.testing.assert_allclose(first.gradient, -second.gradient, rtol=1e-5)
    assert np.abs(first.gradient).max() > 0


@pytest.mark.parametrize(
    ("settings", "layer"),
    [
        ({"name": "cnn", "options": {"width": 4}}, "stage2_relu2"),
        ({"name": "cnn", "attention": "se"}, "stage2_attention_scale"),
        ({"name": "cnn", "attention": "cbam"}, "stage2_attention_spatial_scale"),
        ({"name": "resnet20"}, "stage3_block3_relu2"),
    ],
)
def test_the_last_layer_with_places_is_looked_into(settings, layer):
    network = build_network(
        ModelConfig(**settings),
        height_width=(16, 16),
        channels=1,
        class_names=("a", "b", "c"),
        loss="cross-entropy",
    )
    image = np.zeros((16, 16, 1), np.float32)
    assert feature_layer(network.serving, image) == layer


@pytest.mark.parametrize(
    ("settings", "layer"),
    [
        ({"name": "unet", "options": {"width": 2, "depth": 2}}, "bottom_relu2"),
        ({"name": "hed", "preset": "from-scratch", "options": {"width": 2}}, "block5_relu3"),
    ],
)
def test_networks_of_pixels_are_looked_into_where_they_are_smallest(settings, layer):
    network = build_dense(ModelConfig(**settings), channels=1, class_names=("nothing", "crack"))
    image = np.random.default_rng(0).uniform(size=(32, 48, 1)).astype(np.float32)
    assert feature_layer(network.serving, image) == layer
    pixels = np.zeros((32, 48), bool)
    pixels[:8, :8] = True
    found = seen(network.serving, image, layer=layer, class_index=1, pixels=pixels)
    assert found.probs.shape == (32, 48, 2)
    assert np.abs(found.gradient).max() > 0


def test_a_sum_over_pixels_is_the_sum_of_their_gradients():
    config = ModelConfig(name="unet", options={"width": 2, "depth": 1})
    model = build_dense(config, channels=1, class_names=("a", "b", "c")).serving
    image = np.random.default_rng(0).uniform(size=(6, 6, 1)).astype(np.float32)
    upper = np.zeros((6, 6), bool)
    upper[:2] = True
    parts = [
        seen(model, image, layer="bottom_relu2", class_index=2, pixels=pixels).gradient
        for pixels in (upper, ~upper, upper | ~upper)
    ]
    np.testing.assert_allclose(parts[0] + parts[1], parts[2], atol=1e-6)


def test_the_mean_of_several_answers_is_explained_by_all_their_logits():
    options = {"width": 2, "output": "merged"}
    config = ModelConfig(name="hed", preset="from-scratch", options=options)
    model = build_dense(config, channels=1, class_names=("nothing", "edge")).serving
    image = np.random.default_rng(0).uniform(size=(16, 16, 1)).astype(np.float32)
    pixels = np.ones((16, 16), bool)
    # The first side output sees the first block only, and no other answer depends on it alone.
    assert (
        np.abs(seen(model, image, layer="side1", class_index=1, pixels=pixels).gradient).min() > 0
    )


def test_a_network_without_convolution_is_refused():
    network = build_network(
        ModelConfig(name="mlp"),
        height_width=(8, 8),
        channels=1,
        class_names=("a", "b"),
        loss="cross-entropy",
    )
    with pytest.raises(ModelError, match="mlp: has no convolution"):
        feature_layer(network.serving, np.zeros((8, 8, 1), np.float32))


def test_layers_that_cannot_be_looked_into_are_named():
    model = linear(np.eye(2))
    with pytest.raises(ModelError, match="Unknown layer 'cony'. Did you mean 'conv'?"):
        seen(model, picture(), layer="cony")
    with pytest.raises(ModelError, match="layer 'logits': gives 2 values, not maps"):
        seen(model, picture(), layer="logits")


def test_a_layer_that_the_answer_does_not_need_is_named():
    image = keras.Input((SIZE, SIZE, 2))
    layers.Conv2D(1, 1, name="aside")
    x = layers.Conv2D(2, 1, name="conv")(image)
    blocked = layers.Lambda(ops.stop_gradient, name="blocked")(x)
    x = layers.Dense(2, name="logits")(layers.GlobalAveragePooling2D()(blocked))
    model = keras.Model(image, layers.Softmax(name="probabilities")(x))
    with pytest.raises(ModelError, match="layer 'conv': the answer does not depend on it"):
        seen(model, picture())


def test_outputs_of_named_layers_come_with_the_answer():
    model = linear(np.eye(2), nested=True)
    image = picture()
    probs, found = outputs_of(model, image, names=["conv"])
    np.testing.assert_allclose(found["conv"], image, atol=1e-6)
    np.testing.assert_allclose(probs, model.predict(image[None], verbose=0)[0], atol=1e-6)


def test_watching_leaves_no_trace_even_if_the_network_fails():
    model = linear(np.eye(2))
    conv = find_layer(model, "conv")
    calls = []
    with (
        pytest.raises(ZeroDivisionError),
        watched([conv, conv], lambda layer, *_: calls.append(layer.name)),
    ):
        model(picture()[None])
        raise ZeroDivisionError
    assert calls == ["conv"]
    assert "call" not in vars(conv)
    model(picture()[None])
    assert calls == ["conv"]
