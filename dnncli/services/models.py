"""What can be named, and what a network costs before it is trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dnncli import registry

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The names of all parts, by kind; the default of each kind comes first."""

    models: tuple[str, ...] = tuple(registry.MODELS)
    attention: tuple[str, ...] = registry.ATTENTION
    losses: tuple[str, ...] = tuple(registry.LOSSES)
    mask_losses: tuple[str, ...] = tuple(registry.MASK_LOSSES)
    optimizers: tuple[str, ...] = tuple(registry.OPTIMIZERS)
    schedules: tuple[str, ...] = tuple(registry.SCHEDULES)
    policies: tuple[str, ...] = tuple(registry.POLICIES)
    normalizations: tuple[str, ...] = registry.NORMALIZATIONS
    initializers: tuple[str, ...] = tuple(registry.INITIALIZERS)


@dataclass(frozen=True, kw_only=True)
class LayerSummary:
    """One layer of a network."""

    name: str
    kind: str  # the Keras class
    output: tuple[int, ...]  # shape without the batch
    parameters: int
    multiply_adds: int


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """The size and cost of one network."""

    name: str
    image: tuple[int, int, int]  # height, width in pixels, channels
    classes: int
    parameters: int
    trainable: int
    multiply_adds: int  # of one forward pass of one picture
    preprocessing: str
    layers: tuple[LayerSummary, ...]


def models(
    name: str | None = None,
    *,
    image_size: tuple[int, int] = (32, 32),
    color: Literal["rgb", "grayscale"] = "rgb",
    classes: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Parts | ModelSummary:
    """List the parts one can name; or build one network and count.

    Args:
        name: a network; None lists all parts and imports nothing heavy.
        image_size: height and width in pixels.
        color: rgb or grayscale.
        classes: number of classes; at least 2. None: 2 for networks that say something of every
            pixel, where the background is one of them, and 10 for others.
        settings: as of `train`, "model.padding" -> "valid"; the sections model and loss matter,
            and data.task for one's own networks.

    Raises:
        ConfigError: if a name or a setting is wrong.
        ModelError: if the pictures are too small for the network, or weights cannot be had.
    """
    if name is None:
        return Parts()
    from dnncli.config import merge
    from dnncli.services.trial import bare_network

    config = merge({}, {**(settings or {}), "model.name": name})
    from dnncli import devices

    devices.load_tensorflow()
    from dnncli.networks.network import (
        flat_layers,
        layer_multiply_adds,
        multiply_adds,
        parameters,
    )

    channels = {"rgb": 3, "grayscale": 1}[color]
    task = config.data.task
    if task == "auto":
        task = "segment" if config.model.name in registry.DENSE else "classify"
    classes = classes or (10 if task == "classify" else 2)
    network = bare_network(
        config,
        task=task,
        height_width=image_size,
        channels=channels,
        class_names=[str(index) for index in range(classes)],
    )
    counts = parameters(network)
    return ModelSummary(
        name=name,
        image=(*image_size, channels),
        classes=classes,
        parameters=counts.total,
        trainable=counts.trainable,
        multiply_adds=multiply_adds(network.training),
        preprocessing=network.preprocessing,
        layers=tuple(
            LayerSummary(
                name=layer.name,
                kind=type(layer).__name__,
                output=tuple(layer.output.shape[1:]),
                parameters=layer.count_params(),
                multiply_adds=layer_multiply_adds(layer),
            )
            for layer in flat_layers(network.training)
        ),
    )
