"""The random changes of pixel values and of labels, each a function of one batch."""

from collections.abc import Callable
from typing import Any

import keras  # noqa: TID253
import tensorflow as tf  # noqa: TID253

from dnncli.augmentation.policies import Policy
from dnncli.augmentation.seeds import Draws, Record, graph_layer
from dnncli.augmentation.steps import COLOUR, Step
from dnncli.errors import ConfigError

Part = Callable[[tf.Tensor, tf.Tensor, Draws], tuple[tf.Tensor, tf.Tensor, Record]]


def check_fill(policy: Policy, value: float, value_range: tuple[float, float]) -> None:
    """Refuse to fill with what is no pixel value of the data."""
    if not value_range[0] <= value <= value_range[1]:
        raise ConfigError(
            f"policy '{policy.name}': fill_value {value:g} is not a pixel value of this data, "
            f"which lie from {value_range[0]:g} to {value_range[1]:g}. Choose one of these."
        )


def named(name: str, drawn: Record) -> Record:
    return {f"{name}.{key}": tf.reshape(value, (-1,)) for key, value in drawn.items()}


def part_of(
    name: str, step: Step, *, policy: Policy, channels: int, value_range: tuple[float, float]
) -> Part:
    options = dict(step.options)
    match step.name:
        case "erasing":
            # A single chance p means "a chance drawn from [0, p]" to Keras.
            options["factor"] = both(options.get("factor", 1.0))
            fill = options.get("fill_value", sum(value_range) / 2)
            options["fill_value"] = None if fill == "noise" else float(fill)
            if fill != "noise":
                check_fill(policy, fill, value_range)
            layer = graph_layer(keras.layers.RandomErasing, **options, value_range=value_range)
            return _pixelwise(name, layer, {"applied": "apply_erasing"})
        case "mixup":
            return _mixup(name, options.get("alpha", 0.2), options.get("rate", 1.0))
        case "cutmix":
            return _cutmix(name, options.get("factor", 1.0), options.get("rate", 1.0))
    if channels != 3 and step.name in COLOUR:
        raise ConfigError(
            f"policy '{policy.name}': {step.name} needs colour pictures (3 channels); these have "
            f"{channels}. Use '--color rgb' or leave the step out."
        )
    return _keras(step.name, name, options, value_range)


def both(factor: Any) -> tuple[float, float]:
    """Smallest and largest factor; a single number is both."""
    return tuple(factor) if isinstance(factor, list | tuple) else (factor, factor)


def _pixelwise(name: str, layer: Any, kept: dict[str, str]) -> Part:
    def part(images: tf.Tensor, labels: tf.Tensor, draws: Draws) -> tuple:
        drawn = layer.get_random_transformation(images, training=True, seed=draws)
        record = {key: drawn[source] for key, source in kept.items()}
        return layer.transform_images(images, drawn), labels, named(name, record)

    return part


def _mixup(name: str, alpha: float, rate: float) -> Part:
    layer = graph_layer(keras.layers.MixUp, alpha=alpha)

    def part(images: tf.Tensor, labels: tf.Tensor, draws: Draws) -> tuple:
        drawn = layer.get_random_transformation(images, training=True, seed=draws)
        mixed = draws.uniform((tf.shape(images)[0],)) < rate
        weight = tf.where(mixed, drawn["mix_weight"], 1.0)
        drawn = {**drawn, "mix_weight": weight}
        images = layer.transform_images(images, drawn)
        return images, layer.transform_labels(labels, drawn), named(name, {"weight": weight})

    return part if alpha > 0 and rate > 0 else _nothing


def _cutmix(name: str, factor: float, rate: float) -> Part:
    # A single factor f makes Keras draw the parameter of the Beta distribution from [0, f], once
    # for the whole batch: near 0 it mixes nothing. The paper's uniform share is Beta(1, 1).
    layer = graph_layer(keras.layers.CutMix, factor=(factor, factor))

    def part(images: tf.Tensor, labels: tf.Tensor, draws: Draws) -> tuple:
        drawn = layer.get_random_transformation(images, training=True, seed=draws)
        mixed = draws.uniform((tf.shape(images)[0], 1, 1, 1)) < rate
        masks = drawn["batch_masks"] & mixed
        # Keras weighs by the box before it is rounded to pixels; the labels follow the pixels.
        weight = 1.0 - tf.reduce_mean(tf.cast(masks, tf.float32), axis=(1, 2, 3))
        drawn = {**drawn, "batch_masks": masks, "mix_weight": weight}
        images = layer.transform_images(images, drawn)
        return images, layer.transform_labels(labels, drawn), named(name, {"weight": weight})

    return part if factor > 0 and rate > 0 else _nothing


def _nothing(images: tf.Tensor, labels: tf.Tensor, _: Draws) -> tuple:
    return images, labels, {}


def _keras(kind: str, name: str, options: dict[str, Any], value_range: tuple[float, float]) -> Part:
    layer_type = getattr(keras.layers, kind)
    if kind not in ("RandomGrayscale", "RandomPerspective"):
        options["value_range"] = value_range
    try:
        layer = graph_layer(layer_type, **options)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise ConfigError(f"step '{name}': Keras' {kind} says: {error}") from error
    # Some of these look for their own generator and pass over the `seed` they are given.
    inner = [layer, *(each for each in vars(layer).values() if isinstance(each, keras.Layer))]

    def part(images: tf.Tensor, labels: tf.Tensor, draws: Draws) -> tuple:
        for each in inner:
            each.backend.set_backend("tensorflow")
            object.__setattr__(each, "_get_seed_generator", lambda *_: draws)
        drawn = layer.get_random_transformation(images, training=True, seed=draws)
        changed = layer.transform_images(images, drawn)
        return tf.clip_by_value(changed, *value_range), labels, {}

    return part
