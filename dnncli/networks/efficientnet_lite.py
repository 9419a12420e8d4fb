"""EfficientNet-Lite0, a network for small machines whose ready weights come in a Python package.

Shapes: B pictures, H x W pixels, C channels.
"""

import itertools
from typing import Any

import keras  # noqa: TID253
from keras import layers  # noqa: TID253

from dnncli.networks.blocks.momentum import BN_MOMENTUM

# Blocks in a row, kernel size and stride of the first, expansion of the channels, channels made.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
BLOCKS = sum(stage[0] for stage in _STAGES)
# Blocks that end a stage; the first two see little more than edges.
_SCALES = tuple(itertools.accumulate(stage[0] for stage in _STAGES))[2:]
_STEM, _TOP = 32, 1280  # channels
_EPSILON = 1e-3  # of batch normalisation, as the ready weights were trained


def preprocess_input(pixels: Any) -> Any:
    """Pixels of 0..255 as the ready weights know them: (x - 127) / 128."""
    return (pixels - 127.0) / 128.0


def efficientnet_lite0(
    *,
    input_shape: tuple[int, int, int] = (224, 224, 3),
    blocks: int = BLOCKS,
    multi_scale: bool = False,
) -> keras.Model:
    """Features of EfficientNet-Lite0: inverted residuals without squeeze-and-excitation, ReLU6.

    With fewer blocks the network ends early, and without its last convolution of 1,280 channels:
    texture and thin lines need neither much depth nor a large field of view, and what is left out
    costs no time. 11 blocks end at a sixteenth of the side, with 112 channels.

    Args:
        input_shape: (H, W, 3).
        blocks: how many of the 16 blocks to keep, from the first on.
        multi_scale: give the average and the maximum over all places of every stage from the
            third on, and of the last map: small defects are seen early and forgotten later.

    Returns:
        A model (B, H, W, 3) -> (B, H / 32, W / 32, 1280), sides rounded up; with multi_scale
        -> (B, 4048).

    Raises:
        ValueError: if `blocks` is not from 1 to 16.

    Source: Tan & Le 2019, "EfficientNet", table 1, https://arxiv.org/abs/1905.11946; what Lite
    leaves out: https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html
    """
    if not 1 <= blocks <= BLOCKS:
        raise ValueError(f"blocks must be from 1 to {BLOCKS}. Got {blocks}.")
    inputs = keras.Input(input_shape)
    stem = layers.Conv2D(_STEM, 3, 2, padding="same", use_bias=False, name="stem")
    x = _normed(stem(inputs), name="stem", relu=True)
    maps = []
    for number, (size, stride, expansion, filters) in enumerate(_plan()[:blocks], start=1):
        name = f"block{number}"
        x = _block(x, size=size, stride=stride, expansion=expansion, filters=filters, name=name)
        if number in _SCALES or number == blocks:
            maps.append(x)
    if blocks == BLOCKS:
        x = layers.Conv2D(_TOP, 1, use_bias=False, name="top")(x)
        x = _normed(x, name="top", relu=True)
        maps.append(x)
    return keras.Model(inputs, _pooled(maps) if multi_scale else x, name="efficientnet_lite0")


def _pooled(maps: list[Any]) -> Any:
    pools = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
    return layers.Concatenate(name="scales")([pool()(x) for x in maps for pool in pools])


def _plan() -> list[tuple[int, int, int, int]]:
    """Kernel size, stride, expansion and channels of every block."""
    return [
        (size, stride if index == 0 else 1, expansion, filters)
        for repeats, size, stride, expansion, filters in _STAGES
        for index in range(repeats)
    ]


def _normed(x: Any, *, name: str, relu: bool) -> Any:
    x = layers.BatchNormalization(momentum=BN_MOMENTUM, epsilon=_EPSILON, name=f"{name}_norm")(x)
    return layers.ReLU(max_value=6, name=f"{name}_relu")(x) if relu else x


def _block(x: Any, *, size: int, stride: int, expansion: int, filters: int, name: str) -> Any:
    """More channels, a filter for each of them, fewer channels; and x added where it fits."""
    y = x
    if expansion > 1:
        y = layers.Conv2D(x.shape[-1] * expansion, 1, use_bias=False, name=f"{name}_expand")(y)
        y = _normed(y, name=f"{name}_expand", relu=True)
    y = layers.DepthwiseConv2D(
        size, stride, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(y)
    y = _normed(y, name=f"{name}_depthwise", relu=True)
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(y)
    y = _normed(y, name=f"{name}_project", relu=False)
    if stride == 1 and x.shape[-1] == filters:
        y = layers.Add(name=f"{name}_add")([y, x])
    return y
