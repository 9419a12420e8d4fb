"""Bottlenecks of residual networks: 1x1, 3x3 and 1x1 convolutions beside a shortcut.

Shapes: B pictures, H x W places, C channels. H and W may be unknown.
"""

import math
from typing import Any

from keras import layers  # noqa: TID253

from dnncli.networks.blocks.deformable import DeformableConv2D
from dnncli.networks.blocks.momentum import BN_MOMENTUM

Filters = tuple[int, int, int]  # of the three convolutions
_VERSIONS = {"dcn1": 1, "dcn2": 2}
_GROUPS, _GROUP = 32, 4  # most groups of a group normalisation, fewest channels in one


def projection_block(
    x: Any,
    filters: Filters,
    *,
    name: str,
    strides: int = 2,
    stride_on: str = "first",
    conv: str = "standard",
    norm: str = "batch",
    momentum: float = BN_MOMENTUM,
    kernel_initializer: str = "he_normal",
) -> Any:
    """A bottleneck that changes the shape: its shortcut is a 1x1 convolution.

    Args:
        x: (B, H, W, C).
        filters: of the three convolutions; the third is what comes out.
        name: of the block.
        strides: of one convolution and the shortcut.
        stride_on: first: the first 1x1 convolution, as in the first residual networks, which with
            strides 2 never reads three of four pixels; second: the 3x3 one, which reads all.
        conv: of the 3x3 convolution: standard, or deformable: dcn1, dcn2.
        norm: after each convolution: batch, group or none.
        momentum: of the batch normalisation's moving averages.
        kernel_initializer: a Keras name.

    Returns:
        (B, ceil(H / strides), ceil(W / strides), filters[2]).

    Source: He et al. 2015, "Deep Residual Learning for Image Recognition", section 4.1,
    https://arxiv.org/abs/1512.03385
    """
    if stride_on not in ("first", "second"):
        raise ValueError(f"stride_on must be first or second. Got {stride_on!r}.")
    shortcut = layers.Conv2D(
        filters[2],
        1,
        strides,
        kernel_initializer=kernel_initializer,
        name=f"{name}_projection",
    )(x)
    shortcut = normalize(shortcut, norm, momentum=momentum, name=f"{name}_projection_norm")
    both = (strides, 1) if stride_on == "first" else (1, strides)
    y = _branch(
        x,
        filters,
        strides=both,
        conv=conv,
        norm=norm,
        momentum=momentum,
        kernel_initializer=kernel_initializer,
        name=name,
    )
    y = layers.Add(name=f"{name}_add")([shortcut, y])
    return layers.ReLU(name=f"{name}_relu3")(y)


def identity_block(
    x: Any,
    filters: Filters,
    *,
    name: str,
    conv: str = "standard",
    norm: str = "batch",
    momentum: float = BN_MOMENTUM,
    kernel_initializer: str = "he_normal",
) -> Any:
    """A bottleneck that keeps the shape: its shortcut is the input.

    Args:
        x: (B, H, W, filters[2]).
        filters: of the three convolutions.
        name: of the block.
        conv: as in `projection_block`.
        norm: as in `projection_block`.
        momentum: as in `projection_block`.
        kernel_initializer: a Keras name.

    Raises:
        ValueError: if the third number of filters is not the number of channels.
    """
    if x.shape[-1] != filters[2]:
        raise ValueError(
            f"an identity block must give as many channels as it gets. Got {x.shape[-1]} channels "
            f"and {filters[2]} filters; projection_block changes the number."
        )
    y = _branch(
        x,
        filters,
        strides=(1, 1),
        conv=conv,
        norm=norm,
        momentum=momentum,
        kernel_initializer=kernel_initializer,
        name=name,
    )
    return layers.ReLU(name=f"{name}_relu3")(layers.Add(name=f"{name}_add")([x, y]))


def _branch(
    x: Any,
    filters: Filters,
    *,
    strides: tuple[int, int],
    conv: str,
    norm: str,
    momentum: float,
    kernel_initializer: str,
    name: str,
) -> Any:
    """The three convolutions, each normalised, with ReLU after the first two."""
    common = {"kernel_initializer": kernel_initializer}
    y = layers.Conv2D(filters[0], 1, strides[0], name=f"{name}_conv1", **common)(x)
    y = normalize(y, norm, momentum=momentum, name=f"{name}_norm1")
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = _middle(y, filters[1], strides=strides[1], conv=conv, name=name, **common)
    y = normalize(y, norm, momentum=momentum, name=f"{name}_norm2")
    y = layers.ReLU(name=f"{name}_relu2")(y)
    y = layers.Conv2D(filters[2], 1, name=f"{name}_conv3", **common)(y)
    return normalize(y, norm, momentum=momentum, name=f"{name}_norm3")


def _middle(
    x: Any, filters: int, *, strides: int, conv: str, kernel_initializer: str, name: str
) -> Any:
    if conv != "standard" and conv not in _VERSIONS:
        raise ValueError(f"conv must be standard, {' or '.join(_VERSIONS)}. Got {conv!r}.")
    padding = "same"
    if strides > 1:
        # "same" would start at the second pixel of even sizes; the shortcut takes the first.
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        padding = "valid"
    common: dict[str, Any] = {
        "padding": padding,
        "kernel_initializer": kernel_initializer,
        "name": f"{name}_conv2",
    }
    if conv == "standard":
        return layers.Conv2D(filters, 3, strides, **common)(x)
    return DeformableConv2D(filters, 3, strides, version=_VERSIONS[conv], **common)(x)


def normalize(x: Any, kind: str, *, name: str, momentum: float = BN_MOMENTUM) -> Any:
    """Batch or group normalisation, or `x` as it is.

    Keras' own momentum of 0.99 needs thousands of updates to follow the batches. Group
    normalisation does not depend on the batch, which for whole pictures may be of one or two; it
    has up to 32 groups, as many as leave 4 channels to each.

    Args:
        x: (B, H, W, C).
        kind: batch, group or none.
        name: of the layer.
        momentum: of the batch normalisation's moving averages.

    Source: Wu and He 2018, "Group Normalization", https://arxiv.org/abs/1803.08494
    """
    if kind == "none":
        return x
    if kind == "batch":
        return layers.BatchNormalization(momentum=momentum, epsilon=1e-3, name=name)(x)
    if kind != "group":
        raise ValueError(f"norm must be batch, group or none. Got {kind!r}.")
    groups = math.gcd(_GROUPS, x.shape[-1])
    while groups > 1 and x.shape[-1] // groups < _GROUP:
        groups //= 2
    return layers.GroupNormalization(groups, epsilon=1e-3, name=name)(x)
