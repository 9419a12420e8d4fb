"""A network to train and the same network to use: built from settings.

Shapes: B pictures, H x W pixels, c channels, C classes. Networks that say something of every pixel
are built by `networks.dense` with what is public here.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli import registry
from dnncli.config import ModelConfig
from dnncli.errors import ConfigError, ModelError
from dnncli.networks.draws import drawn_alike

if TYPE_CHECKING:
    import keras

# Losses of one logit, the score of the second of two classes.
_BINARY = "binary-"
# What every network may be told, by the names of the settings.
_COMMON = ("kernel_initializer", "padding", "batch_norm", "dropout", "attention", "preset")
_HEAD_DROPOUT = 0.2  # of keras.applications, as EfficientNet and MobileNetV3 have it
_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


@dataclass(frozen=True, kw_only=True)
class Network:
    """One set of layers, seen in two ways."""

    training: "keras.Model"  # (B, H, W, c) raw pixels -> (B, C) logits, (B, 1) for binary losses
    serving: "keras.Model"  # the same -> (B, C) probabilities
    backbone: tuple["keras.Layer", ...]  # what `unfreeze` freezes first; empty from scratch
    preprocessing: str  # what is done to the pixels, in words
    maps: int = 1  # logits of a network of pixels: so many maps in a row, the answer last


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """How many numbers a network has learned or counted."""

    total: int
    trainable: int


def check_model(model: ModelConfig, *, task: str = "classify") -> ModelConfig:
    """`model` with its names as the registry spells them, `auto` replaced.

    Args:
        model: the section of the settings.
        task: classify; segment and edges are for networks of `registry.DENSE`.

    Raises:
        ConfigError: if the network or initializer is unknown, or a network of another task.
        ModelError: if weights are asked of a network that has none.
    """
    dense = task != "classify"
    name = model.name
    if name == "auto":
        name = next(iter(registry.DENSE if dense else registry.CLASSIFIERS))
    name = registry.check(registry.MODELS, name, kind="model")
    if name in registry.MODELS and (name in registry.DENSE) != dense:
        fitting = registry.DENSE if dense else registry.CLASSIFIERS | registry.BACKBONES
        whole, each = "classifies whole pictures", "says something of every pixel"
        raise ConfigError(
            f"model.name {name}: it {whole if dense else each}, and the task '{task}' needs a "
            f"network that {each if dense else whole}. Use one of {', '.join(list(fitting)[:5])}"
            f"{'' if len(fitting) <= 5 else ' ... (`dnncli models` lists all)'}."
        )
    initializer = model.kernel_initializer
    if initializer:
        initializer = registry.check(registry.INITIALIZERS, initializer, kind="kernel initializer")
    if model.weights != "none" and name not in (*registry.BACKBONES, "hed"):
        other = "hed" if dense else "a network of keras.applications such as mobilenetv2"
        raise ModelError(
            f"model.weights {model.weights}: {name} starts from random weights. Use --weights "
            f"none, or {other}."
        )
    return replace(model, name=name, kernel_initializer=initializer)


@drawn_alike()
def build_network(
    model: ModelConfig,
    *,
    height_width: tuple[int, int],
    channels: int,
    class_names: Sequence[str],
    loss: str,
    normalization: Sequence["keras.Layer"] = (),
    seed: int = 0,
    value_range: tuple[float, float] = (0.0, 255.0),
    class_shares: Sequence[float] | NDArray[np.floating] | None = None,
) -> Network:
    """Build the network that the settings describe.

    Args:
        model: the section of the settings.
        height_width: of the pictures, in pixels.
        channels: 1 or 3.
        class_names: in the order of the outputs.
        loss: name in the registry; with a binary one the network has one logit.
        normalization: layers that take raw pixels; ready-trained weights bring their own instead.
        seed: of the weights; seeds Python, NumPy and Keras.
        value_range: lowest and highest value of a raw pixel, for ready-trained weights.
        class_shares: (C,) how common each class is; the output bias starts there, if there is a
            layer "logits" that has one. None: at 0.

    Raises:
        ConfigError: if a name or an option is wrong.
        ModelError: if the pictures are too small for the network, or weights do not fit.
    """
    import keras

    model = check_model(model)
    loss = loss.lower()
    one_logit = loss.startswith(_BINARY)
    if one_logit and len(class_names) != 2:
        raise ConfigError(
            f"loss.name: {loss} is for two classes, and the data has {len(class_names)}. "
            f"Use {loss.removeprefix(_BINARY)}."
        )
    outputs = 1 if one_logit else len(class_names)
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((*height_width, channels), dtype="float32", name="image")
    normalize = partial(chain, normalization)
    preprocessing = ", ".join(layer.name for layer in normalization) or "none"
    backbone: tuple[keras.Layer, ...] = ()
    if model.name in registry.BACKBONES:
        logits, backbone = _application(
            model, inputs, outputs=outputs, normalize=normalize, value_range=value_range
        )
        if model.weights != "none":
            from dnncli.networks.backbones import describe_preprocessing

            preprocessing = describe_preprocessing(model.name)
    else:
        logits = call_part(model, normalize(inputs), outputs=outputs)
    training = keras.Model(inputs, logits, name=layer_name(model.name))
    serving = keras.Model(inputs, probabilities(logits), name=layer_name(model.name))
    regularise(training, l1=model.l1, l2=model.l2)
    if class_shares is not None:
        last = [layer for layer in training.layers if layer.name == "logits"]
        start_at(last, np.asarray(class_shares, dtype=np.float64))
    return Network(
        training=training, serving=serving, backbone=backbone, preprocessing=preprocessing
    )


def chain(layers: Sequence[Callable[[Any], Any]], x: Any) -> Any:
    for layer in layers:
        x = layer(x)
    return x


def layer_name(name: str) -> str:
    """`name` as Keras allows it: an import string has a colon and dots."""
    return name.replace(":", "_").replace(".", "_")


def set_by_user(model: ModelConfig, *, allowed: Iterable[str]) -> dict[str, Any]:
    """The settings of all networks that differ from a network's own.

    Raises:
        ConfigError: if one of them is not in `allowed`.
    """
    default = ModelConfig()
    chosen = {name: getattr(model, name) for name in _COMMON}
    chosen = {name: value for name, value in chosen.items() if value != getattr(default, name)}
    wrong = [name for name in chosen if name not in allowed]
    if wrong:
        dense = model.name in registry.DENSE
        such = next(iter(registry.DENSE if dense else registry.CLASSIFIERS))
        other = f", or use a network that has it, such as {such}" if such != model.name else ""
        raise ConfigError(
            f"{model.name} does not have: {', '.join(f'model.{name}' for name in wrong)}. Leave "
            f"it out{other}."
        )
    return chosen


def call_part(model: ModelConfig, x: Any, *, outputs: int) -> Any:
    """What a network of the registry, or the user's own, makes of `x`.

    Raises:
        ConfigError: if a setting or an option is not the network's, or has a wrong value.
    """
    part = registry.find(registry.MODELS, model.name, kind="model")
    common = set_by_user(model, allowed=inspect.signature(part).parameters)
    wrong = [f"'{name}' is the setting model.{name}." for name in model.options if name in _COMMON]
    if wrong:
        raise ConfigError("model.options:", wrong)
    decided = ("inputs", "outputs", *_COMMON)
    registry.check_options(part, model.options, where="model.options", without=decided)
    try:
        return part(x, outputs=outputs, **common, **model.options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model.options: {model.name}: {error}") from error


def _application(
    model: ModelConfig,
    inputs: Any,
    *,
    outputs: int,
    normalize: Callable[[Any], Any],
    value_range: tuple[float, float],
) -> tuple[Any, tuple["keras.Layer", ...]]:
    """Logits of a network of keras.applications, and its layers below the head."""
    from dnncli.networks import backbones
    from dnncli.networks.classifiers import head

    dropout = set_by_user(model, allowed=("dropout",)).get("dropout", _HEAD_DROPOUT)
    features, backbone = backbones.application(
        inputs,
        name=model.name,
        weights=model.weights,
        normalize=normalize,
        value_range=value_range,
        options=model.options,
    )
    return head(features, outputs=outputs, dropout=dropout), (backbone,)


def probabilities(logits: Any, *, name: str = "") -> Any:
    """(..., C) probabilities from (..., C) logits, or (..., 2) from one logit.

    Args:
        logits: (..., C) or (..., 1).
        name: before the names of the layers, where a model has this more than once.
    """
    from keras import layers

    if logits.shape[-1] > 1:
        return layers.Softmax(dtype="float32", name=f"{name}probabilities")(logits)
    negated = layers.Rescaling(-1.0, dtype="float32", name=f"{name}negated")(logits)
    both = layers.Concatenate(dtype="float32", name=f"{name}both_logits")([negated, logits])
    return layers.Activation("sigmoid", dtype="float32", name=f"{name}probabilities")(both)


def regularise(model: "keras.Model", *, l1: float, l2: float) -> None:
    """Add l1 * sum |w| + l2 * sum w^2 over all kernels to the loss; biases and gains are left out.

    On the variables and not by layer arguments, so that networks of keras.applications and the
    user's own are treated alike, and saved models carry no trace of how they were trained.
    """
    if not l1 and not l2:
        return
    import keras

    for variable in model.trainable_variables:
        if variable.name in _KERNELS:
            variable.regularizer = keras.regularizers.L1L2(l1=l1, l2=l2)


def start_at(layers: Iterable["keras.Layer"], shares: NDArray[np.floating]) -> None:
    """Set the biases of `layers` so that the untrained network answers about `shares`.

    Args:
        layers: with a bias of one or C values; one without a bias stays as it is.
        shares: (C,) how common each class is.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", section 3.3,
    https://arxiv.org/abs/1708.02002
    """
    logs = np.log(np.maximum(shares, 1e-6) / np.maximum(shares, 1e-6).sum())
    for layer in layers:
        bias = getattr(layer, "bias", None)
        if bias is not None:  # a user's own network may lack it
            bias.assign(logs if bias.shape[0] > 1 else [logs[1] - logs[0]])


def parameters(network: Network) -> Parameters:
    """Numbers in the weights, and how many of them training changes now."""
    model = network.training
    return Parameters(
        total=model.count_params(),
        trainable=sum(int(np.prod(value.shape)) for value in model.trainable_weights),
    )


def flat_layers(model: "keras.Model") -> Iterator["keras.Layer"]:
    """All layers in order, those of nested models in place of the model."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from flat_layers(layer)
        else:
            yield layer


def layer_multiply_adds(layer: "keras.Layer") -> int:
    """Multiply-adds of one forward pass of one picture through a layer's kernels.

    Every entry of a convolution's kernel is used once per place of the output (of the input, for a
    transposed one). Biases, normalisation, pooling and activations are not counted.
    """
    kernels = [
        int(np.prod(value.shape)) for value in layer.weights if value.name.endswith("kernel")
    ]
    if not kernels:
        return 0
    transposed = type(layer).__name__.endswith("Transpose")
    places = (layer.input if transposed else layer.output).shape[1:-1]
    return int(np.prod(places)) * sum(kernels)


def multiply_adds(model: "keras.Model") -> int:
    """Multiply-adds of one forward pass of one picture: see `layer_multiply_adds`."""
    return sum(layer_multiply_adds(layer) for layer in flat_layers(model))
