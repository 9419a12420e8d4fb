"""Attention: a network weighs its own channels and places.

Shapes: B pictures, H x W places, C channels. Every function takes and returns (B, H, W, C); H and W
may be unknown. The weights in (0, 1) are the outputs of the layers `{name}_gate`, (B, 1, 1, C), and
`{name}_spatial_gate`, (B, H, W, 1). All layers are Keras' own.
"""

import math
from collections.abc import Callable
from typing import Any

from keras import layers, ops  # noqa: TID253

from dnncli.networks.blocks.momentum import BN_MOMENTUM


def se(
    x: Any,
    *,
    name: str,
    ratio: int = 16,
    use_bias: bool = True,
    kernel_initializer: str = "he_normal",
    least: int = 4,
) -> Any:
    """Squeeze and excitation: channels are weighed by what all channels are on average.

    The gate is sigmoid(W2 relu(W1 mean(x))), with max(C // ratio, least) values in between: fewer
    than `least` would leave thin networks with a gate that hardly depends on the picture.

    Args:
        x: (B, H, W, C); C is known.
        name: of the block.
        ratio: how many times fewer values there are between both matrices.
        use_bias: add biases, as the article has them; some later implementations leave them out.
        kernel_initializer: a Keras name.
        least: values between both matrices at least.

    Source: Hu et al. 2018, "Squeeze-and-Excitation Networks", section 3,
    https://arxiv.org/abs/1709.01507
    """
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    first, second = _two_layers(
        x.shape[-1],
        ratio=ratio,
        least=least,
        use_bias=use_bias,
        kernel_initializer=kernel_initializer,
        name=name,
    )
    gate = layers.Activation("sigmoid", name=f"{name}_gate")(second(first(pooled)))
    return layers.Multiply(name=f"{name}_scale")([x, gate])


def _two_layers(
    channels: int,
    *,
    ratio: int,
    least: int,
    use_bias: bool,
    kernel_initializer: str,
    name: str,
) -> tuple[layers.Layer, layers.Layer]:
    """A narrow layer with ReLU and one of `channels` after it, for (B, 1, 1, C)."""
    if ratio < 1 or least < 1:
        raise ValueError(f"ratio and least must be at least 1. Got {ratio} and {least}.")
    units = max(channels // ratio, least)
    common = {"use_bias": use_bias, "kernel_initializer": kernel_initializer}
    return (
        layers.Conv2D(units, 1, activation="relu", name=f"{name}_squeeze", **common),
        layers.Conv2D(channels, 1, name=f"{name}_excite", **common),
    )


def eca_kernel(channels: int, *, gamma: float = 2, b: float = 1) -> int:
    """How many neighbouring channels `eca` looks at: |log2(C) + b| / gamma as an odd number.

    The whole part is taken, and one more if it is even: 3 up to 64 channels, 5 up to 1024 and 7
    from 2048 on, with the article's gamma and b.

    Source: Wang et al. 2020, "ECA-Net", eq. 12, https://arxiv.org/abs/1910.03151
    """
    if channels < 1 or gamma <= 0:
        raise ValueError(f"channels and gamma must be positive. Got {channels} and {gamma}.")
    whole = int(abs((math.log2(channels) + b) / gamma))
    return whole if whole % 2 else whole + 1


def eca(
    x: Any,
    *,
    name: str,
    kernel: int | None = None,
    gamma: float = 2,
    b: float = 1,
    kernel_initializer: str = "glorot_uniform",
) -> Any:
    """Efficient channel attention: a channel is weighed by its and its neighbours' averages.

    Args:
        x: (B, H, W, C); C is known.
        name: of the block.
        kernel: neighbouring channels, which are all weights there are; None: `eca_kernel`. The
            published networks set it by hand.
        gamma: of `eca_kernel`.
        b: of `eca_kernel`.
        kernel_initializer: a Keras name.

    Source: Wang et al. 2020, "ECA-Net", section 3.2, https://arxiv.org/abs/1910.03151
    """
    channels = x.shape[-1]
    if kernel is None:
        kernel = eca_kernel(channels, gamma=gamma, b=b)
    if kernel < 1:
        raise ValueError(f"kernel must be at least 1. Got {kernel}.")
    y = layers.GlobalAveragePooling2D(name=f"{name}_mean")(x)
    y = layers.Reshape((channels, 1), name=f"{name}_row")(y)
    y = layers.Conv1D(
        1,
        kernel,
        padding="same",
        use_bias=False,
        kernel_initializer=kernel_initializer,
        name=f"{name}_neighbours",
    )(y)
    y = layers.Reshape((1, 1, channels), name=f"{name}_weights")(y)
    gate = layers.Activation("sigmoid", name=f"{name}_gate")(y)
    return layers.Multiply(name=f"{name}_scale")([x, gate])


# What the authors' code does, and what many ports of it do.
_CBAM = {
    "official": {"ratio": 16, "use_bias": True, "spatial_norm": True, "order": "max_mean"},
    "port": {"ratio": 8, "use_bias": False, "spatial_norm": False, "order": "mean_max"},
}


def cbam(
    x: Any,
    *,
    name: str,
    variant: str = "official",
    ratio: int | None = None,
    use_bias: bool | None = None,
    kernel_initializer: str = "he_normal",
    least: int = 4,
    spatial_kernel: int = 7,
    spatial_norm: bool | None = None,
    order: str | None = None,
) -> Any:
    """Convolutional block attention: weigh the channels, then the places.

    Channels: mean and maximum over all places go through the same two layers; the sigmoid of the
    sum is the gate. Places: a convolution sees mean and maximum over all channels.

    Args:
        x: (B, H, W, C); C is known.
        name: of the block.
        variant: official: ratio 16, biases, batch normalisation in the spatial part, maximum
            first; port: ratio 8, neither, mean first. Weights of one do not fit the other.
        ratio: as in `se`; None: the variant's.
        use_bias: of the two layers; None: the variant's.
        kernel_initializer: a Keras name.
        least: as in `se`.
        spatial_kernel: pixels a side that the spatial convolution sees.
        spatial_norm: normalise before the spatial sigmoid; None: the variant's.
        order: max_mean or mean_max, of the spatial convolution's channels; None: the variant's.

    Source: Woo et al. 2018, "CBAM: Convolutional Block Attention Module", section 3,
    https://arxiv.org/abs/1807.06521
    """
    if variant not in _CBAM:
        raise ValueError(f"variant must be {' or '.join(_CBAM)}. Got {variant!r}.")
    given = {"ratio": ratio, "use_bias": use_bias, "spatial_norm": spatial_norm, "order": order}
    chosen: dict[str, Any] = _CBAM[variant] | {
        key: value for key, value in given.items() if value is not None
    }
    if chosen["order"] not in ("max_mean", "mean_max"):
        raise ValueError(f"order must be max_mean or mean_max. Got {chosen['order']!r}.")
    first, second = _two_layers(
        x.shape[-1],
        ratio=chosen["ratio"],
        least=least,
        use_bias=chosen["use_bias"],
        kernel_initializer=kernel_initializer,
        name=name,
    )
    mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    largest = layers.GlobalMaxPooling2D(keepdims=True, name=f"{name}_max")(x)
    both = layers.Add(name=f"{name}_sum")([second(first(mean)), second(first(largest))])
    gate = layers.Activation("sigmoid", name=f"{name}_gate")(both)
    x = layers.Multiply(name=f"{name}_scale")([x, gate])
    return _weigh_places(
        x,
        kernel=spatial_kernel,
        norm=chosen["spatial_norm"],
        order=chosen["order"],
        kernel_initializer=kernel_initializer,
        name=f"{name}_spatial",
    )


def _weigh_places(
    x: Any, *, kernel: int, norm: bool, order: str, kernel_initializer: str, name: str
) -> Any:
    """The second half of `cbam`."""
    maps = [ops.max(x, axis=-1, keepdims=True), ops.mean(x, axis=-1, keepdims=True)]
    if order == "mean_max":
        maps.reverse()
    y = layers.Concatenate(name=f"{name}_maps")(maps)
    y = layers.Conv2D(
        1,
        kernel,
        padding="same",
        use_bias=False,
        kernel_initializer=kernel_initializer,
        name=f"{name}_conv",
    )(y)
    if norm:
        y = layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=1e-5, name=f"{name}_norm")(y)
    gate = layers.Activation("sigmoid", name=f"{name}_gate")(y)
    return layers.Multiply(name=f"{name}_scale")([x, gate])


_KINDS: dict[str, Callable[..., Any]] = {"se": se, "eca": eca, "cbam": cbam}


def attend(x: Any, kind: str, *, name: str, **options: Any) -> Any:
    """(B, H, W, C) weighed by an attention block, or as it is with kind none.

    Args:
        x: (B, H, W, C).
        kind: none, se, eca or cbam.
        name: of the block; its layers begin with it.
        options: of `se`, `eca` or `cbam`.

    Raises:
        ValueError: if the kind is unknown.
        TypeError: if the block does not have an option.
    """
    if kind == "none":
        return x
    if kind not in _KINDS:
        raise ValueError(f"attention must be none, {', '.join(_KINDS)}. Got {kind!r}.")
    return _KINDS[kind](x, name=name, **options)
