"""What training minimises where every pixel has a class: losses of masks, on logits.

Shapes: B pictures of H x W pixels, Q = H * W, C classes with the background first, M maps, K logits
of a pixel and map: 1 where C = 2 (the score of the second class), else C.
"""

import inspect
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras  # noqa: TID253
import numpy as np
from keras import ops  # noqa: TID253
from numpy.typing import NDArray

from dnncli import registry
from dnncli.config import LossConfig
from dnncli.data.dataset import NO_CLASS, judged
from dnncli.errors import ConfigError
from dnncli.mask_terms import Pixels, Term

TWO_CLASSES = ("balanced-cross-entropy",)  # losses for nothing else


@keras.saving.register_keras_serializable("dnncli")
class MaskLoss(keras.losses.Loss):
    """A weighted sum of terms over all maps, (B,); 0 for a picture without a pixel of a class.

    Args:
        terms: of the sum: `name` in the registry, `options` of the term, `weight` in the sum.
        maps: M; every map is held against the same truth.
        map_weights: (M,) in the sum; None: 1 for each.
        class_weights: (C,) weights of pixels by class; None: 1 for each.
    """

    def __init__(
        self,
        *,
        terms: Sequence[Mapping[str, Any]],
        maps: int = 1,
        map_weights: Sequence[float] | None = None,
        class_weights: Sequence[float] | None = None,
        reduction: str = "sum_over_batch_size",
        name: str = "mask_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if map_weights is not None and len(map_weights) != maps:
            raise ValueError(f"map_weights: {len(map_weights)} weights for {maps} maps.")
        self.terms = [dict(term) for term in terms]
        self.maps, self.map_weights, self.class_weights = maps, map_weights, class_weights
        self._parts = [(entry["weight"], _term(entry)) for entry in self.terms]

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """(B,) losses of (B, H, W) class indices, or 255, and (B, H, W, M * K) logits."""
        channels, left = divmod(y_pred.shape[-1], self.maps)
        if left or len(y_true.shape) != 3:
            raise ValueError(
                f"Truth must be (B, H, W) and logits (B, H, W, {self.maps} * K). Got "
                f"{tuple(y_true.shape)} and {tuple(y_pred.shape)}."
            )
        batch = ops.shape(y_pred)[0]
        y = ops.cast(ops.reshape(y_true, (batch, -1)), "int32")
        z = ops.reshape(y_pred, (batch, -1, self.maps * channels))
        truth, weights, count = self._truth(y, classes=max(channels, 2), dtype=y_pred.dtype)
        total = 0.0
        for index, map_weight in enumerate(self.map_weights or [1.0] * self.maps):
            logits = z[:, :, index * channels : (index + 1) * channels]
            pixels = Pixels(logits, truth, weights, count)
            for weight, term in self._parts:
                total += map_weight * weight * term(pixels)
        return total

    def _truth(self, y: Any, *, classes: int, dtype: Any) -> tuple[Any, Any, Any]:
        """Truth, weights and counts, as `Pixels` has them, of (B, Q) class indices."""
        valid = ops.cast(y != NO_CLASS, dtype)
        known = ops.where(y == NO_CLASS, 0, y)
        truth = ops.one_hot(known, classes, dtype=dtype) * ops.expand_dims(valid, axis=-1)
        weights = valid
        if self.class_weights is not None:
            weights = ops.sum(truth * ops.convert_to_tensor(self.class_weights, dtype), axis=-1)
        return truth, weights, ops.maximum(ops.sum(valid, axis=1), 1)

    def get_config(self) -> dict[str, Any]:
        """Arguments that build this loss again."""
        own = ("terms", "maps", "map_weights", "class_weights")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def _term(entry: Mapping[str, Any]) -> Term:
    """The term that an entry of `MaskLoss.terms` describes.

    Raises:
        ConfigError: names the option that is wrong.
    """
    name, options = entry["name"], entry["options"]
    function = registry.find(registry.MASK_LOSSES, name, kind="loss")
    registry.check_options(function, options, where=f"loss.options ({name})")
    try:
        return function(**options)
    except (ConfigError, TypeError, ValueError) as error:
        raise ConfigError(f"loss.options ({name}): {error}") from error


def _check_weights(name: str, weights: Any, *, of: str, count: int) -> None:
    """Raise ConfigError unless `weights` are `count` numbers >= 0, not all of them 0."""
    numbers = isinstance(weights, list | tuple) and all(
        isinstance(weight, int | float) and 0 <= weight < math.inf for weight in weights
    )
    if not numbers or not any(weights) or len(weights) != count:
        raise ConfigError(
            f"loss.options.{name}: must be {count} numbers, one per {of}, 0 or more and not all "
            f"0. Got {weights!r}."
        )


def _own_options(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The options of each loss of a sum; of a single loss, also those without its name.

    Raises:
        ConfigError: if options of a sum do not say whose they are.
    """
    own = {}
    for name in names:
        value = options.get(name, {})
        if not isinstance(value, Mapping):
            raise ConfigError(f"loss.options.{name}: must be a table of options. Got {value!r}.")
        own[name] = dict(value)
    free = {key: value for key, value in options.items() if key not in names}
    if len(names) == 1:
        own[names[0]] |= free
    elif free:
        raise ConfigError(
            f"loss.options.{next(iter(free))}: is whose? Give options by loss: "
            + ", ".join(f"{name} = {{ ... }}" for name in names)
            + "; weights and map_weights are for all."
        )
    return own


def _terms(config: LossConfig, *, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """The entries of `MaskLoss.terms`, each checked by building its term.

    Raises:
        ConfigError: as `check_mask_loss`.
    """
    names = [registry.check(registry.MASK_LOSSES, n, kind="loss") for n in config.name.split("+")]
    if len(set(names)) < len(names):
        raise ConfigError(f"loss.name {config.name}: names a loss twice. Use loss.options.weights.")
    options = dict(config.options)
    options.pop("map_weights", None)  # whose number is known to the network alone
    weights = options.pop("weights", [1.0] * len(names))
    _check_weights("weights", weights, of="loss of the sum", count=len(names))
    own = _own_options(options, names)
    taken = {name: _parameters(name) for name in names}
    if config.label_smoothing and not any("label_smoothing" in taken[name] for name in names):
        raise ConfigError(
            f"loss.label_smoothing: {config.name} knows none. Leave it out, or use cross-entropy."
        )
    given = {
        "label_smoothing": config.label_smoothing or 0.0,
        "background": judged(class_names)[0] == 0,  # what is first may be a class like any other
    }
    for name in names:
        own[name] = {key: given[key] for key in given if key in taken[name]} | own[name]
    entries = []
    for name, weight in zip(names, weights):
        entry = {"name": name, "options": own[name], "weight": float(weight)}
        _check_classes(entry, class_names)
        _term(entry)
        entries.append(entry)
    return entries


def _parameters(name: str) -> Collection[str]:
    """The names of a loss's options."""
    function = registry.find(registry.MASK_LOSSES, name, kind="loss")
    return inspect.signature(function).parameters


def _check_classes(entry: Mapping[str, Any], class_names: Sequence[str]) -> None:
    """Raise ConfigError if a loss, or its alpha, is for another number of classes."""
    name, alpha = entry["name"], entry["options"].get("alpha")
    if name in TWO_CLASSES and len(class_names) != 2:
        raise ConfigError(
            f"loss.name: {name} is for two classes, and the data has {len(class_names)}. Use "
            "cross-entropy with fit.class_weight = 'balanced'."
        )
    if name != "focal" or alpha is None:
        return
    one = isinstance(alpha, int | float)
    if (one and len(class_names) != 2) or (not one and len(alpha) != len(class_names)):
        raise ConfigError(
            f"loss.options (focal): alpha must be one weight per class, in the order "
            f"{', '.join(class_names)}. Got {alpha}."
        )


def check_mask_loss(config: LossConfig, *, class_names: Sequence[str]) -> str:
    """The loss's name as the registry spells it; a sum is names with + between them.

    Options of a single loss stand in `config.options`; those of a sum under the name of each,
    beside `weights` (one per loss) and `map_weights` (one per map).

    Raises:
        ConfigError: if a name or an option is unknown, a value is wrong, or the loss is for
            another number of classes.
    """
    return "+".join(term["name"] for term in _terms(config, class_names=class_names))


def build_mask_loss(
    config: LossConfig,
    *,
    class_names: Sequence[str],
    maps: int = 1,
    class_weights: NDArray[np.floating] | None = None,
) -> MaskLoss:
    """The loss of `config` on the logits of a network of masks.

    Args:
        config: the section of the settings; its name is not `auto` any more.
        class_names: (C,) background first.
        maps: M; how many maps the network is trained on.
        class_weights: (C,) weights of pixels by class; None: 1 for each.

    Raises:
        ConfigError: as `check_mask_loss`.
        ValueError: if `class_weights` has another length than `class_names`.
    """
    if class_weights is not None and len(class_weights) != len(class_names):
        raise ValueError(
            f"class_weights: {len(class_weights)} weights for {len(class_names)} classes."
        )
    terms = _terms(config, class_names=class_names)
    map_weights = config.options.get("map_weights")
    if map_weights is not None:
        _check_weights("map_weights", map_weights, of="map of the network", count=maps)
    return MaskLoss(
        terms=terms,
        maps=maps,
        map_weights=None if map_weights is None else [float(weight) for weight in map_weights],
        class_weights=None if class_weights is None else np.asarray(class_weights).tolist(),
    )
