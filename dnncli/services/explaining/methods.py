"""What can be shown of a network: the ways, and which of them it has.

Shapes: H x W pixels, C classes or channels.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import ConfigError, ModelError
from dnncli.networks.gradcam import Target
from dnncli.networks.network import flat_layers
from dnncli.registry import unknown

if TYPE_CHECKING:
    import keras

AUTO = "auto"
CAMS = ("grad-cam", "hires-cam")
ATTENTION, SIDES = "attention", "sides"
METHODS = (AUTO, *CAMS, ATTENTION, SIDES)

_GATE, _SPATIAL = "_gate", "_spatial_gate"
_SIDE = re.compile(r"(side|map)\d+")
_FUSE = "fuse"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The layers of a network that say something by themselves, by name."""

    gates: tuple[str, ...]  # of attention, over channels
    spatial: tuple[str, ...]  # of attention, over places
    sides: tuple[str, ...]  # logits of every pixel that training compared with the truth


def parts_of(model: "keras.Model") -> Parts:
    """Find gates and side outputs."""
    layers = list(flat_layers(model))
    spatial = tuple(layer.name for layer in layers if layer.name.endswith(_SPATIAL))
    sides = [
        layer.name
        for layer in layers
        if _SIDE.fullmatch(layer.name) and type(layer).__name__ == "CropLike"
    ]
    fused = [layer.name for layer in layers if sides and layer.name == _FUSE]
    return Parts(
        gates=tuple(
            layer.name
            for layer in layers
            if layer.name.endswith(_GATE) and layer.name not in spatial
        ),
        spatial=spatial,
        sides=(*sides, *fused),
    )


def check_method(method: str, layer: str | None) -> None:
    """Refuse a method that does not exist, or a layer for one that has none.

    Raises:
        ConfigError: saying what is allowed.
    """
    if method not in METHODS:
        raise ConfigError(unknown(method, METHODS, kind="method"))
    if layer is not None and method not in (AUTO, *CAMS):
        raise ConfigError(
            f"--layer {layer}: is for --method {' and '.join(CAMS)}; {method} shows all its layers."
        )


def chosen_methods(method: str, parts: Parts, *, layer: str | None, name: str) -> list[str]:
    """The methods to use; `auto` among them stands for the fitting one of Grad-CAM and HiResCAM.

    Raises:
        ModelError: if the network does not have what the method shows.
    """
    has_gates = bool(parts.gates or parts.spatial)
    if method == AUTO and layer is None:
        wanted = [AUTO]
        wanted += [ATTENTION] if has_gates else []
        wanted += [SIDES] if parts.sides else []
        return wanted
    if method == ATTENTION and not has_gates:
        raise ModelError(
            f"{name}: has no attention, so it has no weights to show. Train with --attention se, "
            "eca or cbam; or use --method grad-cam."
        )
    if method == SIDES and not parts.sides:
        raise ModelError(
            f"{name}: has no side outputs. hed has them, and u-carfnet; or use --method grad-cam."
        )
    return [method]


def target_of(
    probs: NDArray[np.float32], *, class_index: int | None, inside: NDArray[np.bool_] | None
) -> Target:
    """What to explain of an answer.

    Args:
        probs: (C,) or (H, W, C) probabilities.
        class_index: the class asked for; None: the likeliest, of pixels the likeliest but the
            background, the first class.
        inside: (H, W) which pixels belong to the picture.

    Returns:
        For pixels, those that were decided for the class; all, if there are none.
    """
    if inside is None:
        return Target(class_index=int(probs.argmax()) if class_index is None else class_index)
    if class_index is None:
        mass = probs[inside].sum(axis=0)
        class_index = 1 + int(mass[1:].argmax())
    decided = (probs.argmax(axis=-1) == class_index) & inside
    return Target(class_index=class_index, pixels=decided if decided.any() else inside)


def side_shares(logits: NDArray[np.float32], *, class_index: int) -> NDArray[np.float32]:
    """(H, W) probability of a class from the (H, W, 1 or C) logits of a side output."""
    if logits.shape[-1] == 1:
        sign = np.float32(1 if class_index == 1 else -1)
        return 1 / (1 + np.exp(np.clip(-sign * logits[..., 0], -60, 60)))
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponents[..., class_index] / exponents.sum(axis=-1)


def gate_summary(rows: Mapping[str, NDArray[np.floating]]) -> list[dict[str, Any]]:
    """Each gate over all pictures, from (N, C) weights by layer."""
    return [
        {
            "layer": name,
            "channels": values.shape[1],
            "mean": float(values.mean()),
            "lowest": float(values.min()),
            "highest": float(values.max()),
            # How much the weights depend on the picture: 0 is a gate that always says the same.
            "spread": float(values.std(axis=0).mean()) if len(values) > 1 else float("nan"),
        }
        for name, values in rows.items()
    ]
