"""A network that says something of every pixel: built from settings, to train and to use.

Shapes: B pictures, H x W pixels, c channels, C classes, K outputs (1 where C is 2, else C),
M supervised maps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli import registry
from dnncli.config import ModelConfig
from dnncli.errors import ConfigError
from dnncli.networks.draws import drawn_alike
from dnncli.networks.network import (
    Network,
    call_part,
    chain,
    check_model,
    layer_name,
    probabilities,
    regularise,
    start_at,
)

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class MaskLogits:
    """What a network says of every pixel: one map, or several that are all trained."""

    maps: tuple[Any, ...]  # each (B, H, W, K) logits; the last is the answer
    merged: bool = False  # the answer in use is the mean of the probabilities of all maps
    start: tuple["keras.Layer", ...] = ()  # whose biases begin at the shares of the classes


def preset_of(
    network: str, preset: str, presets: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The settings behind the name of a preset.

    Raises:
        ConfigError: if `presets` does not have it.
    """
    if preset in presets:
        return presets[preset]
    names = [name for name in presets if name]
    raise ConfigError(
        f"model.preset '{preset}': {network} has no such preset."
        f"{registry.suggest(preset, names)} Known: {', '.join(names)}; or leave it out."
    )


@drawn_alike()
def build_dense(
    model: ModelConfig,
    *,
    height_width: tuple[int, int] | None = None,
    channels: int,
    class_names: Sequence[str],
    task: str = "segment",
    normalization: Sequence["keras.Layer"] = (),
    seed: int = 0,
    value_range: tuple[float, float] = (0.0, 255.0),
    class_shares: Sequence[float] | NDArray[np.floating] | None = None,
) -> Network:
    """Build the network of pixels that the settings describe.

    Its training model gives (B, H, W, M * K) logits, map after map, the last K the answer; its
    serving model (B, H, W, C) probabilities.

    Args:
        model: the section of the settings.
        height_width: of the pictures, in pixels; None: any, other ones in every call.
        channels: 1 or 3.
        class_names: (C,) in the order of the outputs, the background first.
        task: segment or edges.
        normalization: layers that take raw pixels; ready-trained weights bring their own instead.
        seed: of the weights; seeds Python, NumPy and Keras.
        value_range: lowest and highest value of a raw pixel, for ready-trained weights.
        class_shares: (C,) shares of the pixels; the output biases start there. None: at 0.

    Raises:
        ConfigError: if a name or an option is wrong, or the network is of another task.
        ModelError: if weights cannot be had or do not fit.
    """
    import keras

    model = check_model(model, task=task)
    outputs = 1 if len(class_names) == 2 else len(class_names)
    keras.utils.set_random_seed(seed)
    height, width = height_width or (None, None)
    inputs = keras.Input((height, width, channels), dtype="float32", name="image")
    ready = model.weights != "none"
    if ready:
        from dnncli.networks import vgg_weights

        x = vgg_weights.preprocess(inputs, value_range=value_range)
        preprocessing = vgg_weights.PREPROCESSING
    else:
        x = chain(normalization, inputs)
        preprocessing = ", ".join(layer.name for layer in normalization) or "none"
    said = call_part(model, x, outputs=outputs)
    if not isinstance(said, MaskLogits):  # a user's own network may return one tensor
        said = MaskLogits(maps=(said,))
    name = layer_name(model.name)
    training = keras.Model(inputs, _stacked(said.maps), name=name)
    serving = keras.Model(inputs, _answer(said), name=name)
    regularise(training, l1=model.l1, l2=model.l2)
    whole = ready and vgg_weights.load(training, model.weights)
    if class_shares is not None and not whole:
        start_at(said.start, np.asarray(class_shares, dtype=np.float64))
    return Network(
        training=training,
        serving=serving,
        backbone=(),
        preprocessing=preprocessing,
        maps=len(said.maps),
    )


def _stacked(maps: tuple[Any, ...]) -> Any:
    """(B, H, W, M * K) logits of all maps."""
    from keras import layers

    if len(maps) == 1:
        return maps[0]
    return layers.Concatenate(dtype="float32", name="maps")(maps)


def _answer(said: MaskLogits) -> Any:
    """(B, H, W, C) probabilities."""
    from keras import layers

    if not said.merged or len(said.maps) == 1:
        return probabilities(said.maps[-1])
    each = [probabilities(logits, name=f"map{index}_") for index, logits in enumerate(said.maps, 1)]
    return layers.Average(dtype="float32", name="probabilities")(each)
