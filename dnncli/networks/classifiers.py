"""Networks for classification that are trained from scratch.

Shapes: B pictures, H x W pixels, C channels. Every network takes a normalised (B, H, W, C) tensor
and returns (B, outputs) logits, and is made of Keras' own layers, so that a saved model loads
without this package.
"""

import math
from collections.abc import Sequence
from typing import Any

from keras import layers  # noqa: TID253

from dnncli.networks.blocks import attend
from dnncli.networks.blocks.momentum import BN_MOMENTUM
from dnncli.networks.convolutions import Convolutions, check_size, smallest


def head(x: Any, *, outputs: int, dropout: float) -> Any:
    """Dropout and (B, outputs) logits, in float32 also under mixed precision.

    The logits are Glorot's whatever the network's initializer: no ReLU follows that would halve
    their variance.
    """
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    return layers.Dense(outputs, dtype="float32", name="logits")(x)


def _cnn_steps(stages: int, convolutions: int, style: Convolutions) -> list[tuple[int, int]]:
    """The convolutions of `cnn`: one in the first stage, `convolutions` in every other."""
    later = [*[(style.reach, 1)] * (convolutions - 1), (style.reach, 2)]
    return [(style.reach, 2), *later * (stages - 1)]


def _stages(height: int, width: int, convolutions: int, style: Convolutions) -> int:
    """Halvings that leave 3 to 5 pixels at the shorter side, or as many as fit; at least 1."""
    shorter = min(height, width)
    stages = max(1, int(math.log2(shorter / 3)))
    while stages > 1 and smallest(_cnn_steps(stages, convolutions, style)) > shorter:
        stages -= 1
    return stages


def cnn(
    inputs: Any,
    *,
    outputs: int,
    kernel_initializer: str = "he_normal",
    padding: str = "same",
    batch_norm: bool = True,
    dropout: float = 0.2,
    attention: str = "none",
    width: int = 32,
    convolutions: int = 2,
) -> Any:
    """A small network for small data: convolutions, each normalised and followed by ReLU.

    Each stage ends with a stride of 2, and all but the first, which works on the most pixels, have
    more convolutions before. The stages follow from the size of the pictures, so that 3 to 5
    pixels a side are left; the last three have `width`, 2 and 4 times as many filters, earlier ones
    half of `width`. Strides stand in for pooling: on a CPU the step takes less than half the time
    (docs/log.md). The last map is not averaged, because where something is tells much in small,
    aligned pictures.

    Args:
        inputs: (B, H, W, C).
        outputs: number of logits.
        kernel_initializer: of the convolutions; a Keras name.
        padding: same, or valid: every convolution then loses two rows and columns.
        batch_norm: normalise in each stage.
        dropout: share of the features dropped before the logits, in training.
        attention: none, se, eca or cbam, after each stage.
        width: filters, see above.
        convolutions: of each stage but the first; at least 1.
    """
    if convolutions < 1:
        raise ValueError(f"convolutions must be at least 1. Got {convolutions}.")
    style = Convolutions(
        kernel_initializer=kernel_initializer, padding=padding, batch_norm=batch_norm
    )
    rows, columns = inputs.shape[1:3]
    stages = _stages(rows, columns, convolutions, style)
    check_size("cnn", inputs, steps=_cnn_steps(stages, convolutions, style), style=style)
    x = inputs
    for stage in range(1, stages + 1):
        left = stages - stage
        name = f"stage{stage}"
        filters = width * 4 // 2**left if left < 3 else width // 2
        for index in range(1 if stage > 1 else convolutions, convolutions + 1):
            strides = 2 if index == convolutions else 1
            x = style.conv(x, filters, strides=strides, name=f"{name}_conv{index}")
            x = layers.ReLU(name=f"{name}_relu{index}")(style.norm(x, name=f"{name}_norm{index}"))
        x = attend(x, attention, name=f"{name}_attention")
    x = layers.Flatten(name="features")(x)
    return head(x, outputs=outputs, dropout=dropout)


def mlp(
    inputs: Any,
    *,
    outputs: int,
    kernel_initializer: str = "he_normal",
    batch_norm: bool = True,
    dropout: float = 0.3,
    hidden: Sequence[int] = (512, 256),
) -> Any:
    """Fully connected layers on all pixels: a baseline that knows nothing of neighbourhoods.

    Args:
        inputs: (B, H, W, C).
        outputs: number of logits.
        kernel_initializer: of the hidden layers; a Keras name.
        batch_norm: normalise before each ReLU.
        dropout: share of the units dropped after each hidden layer, in training.
        hidden: units of each hidden layer.
    """
    x = layers.Flatten(name="pixels")(inputs)
    for index, units in enumerate(hidden, start=1):
        if index > 1 and dropout:
            x = layers.Dropout(dropout, name=f"hidden{index}_dropout")(x)
        x = layers.Dense(
            units,
            use_bias=not batch_norm,
            kernel_initializer=kernel_initializer,
            name=f"hidden{index}",
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=BN_MOMENTUM, name=f"hidden{index}_norm")(x)
        x = layers.ReLU(name=f"hidden{index}_relu")(x)
    return head(x, outputs=outputs, dropout=dropout)
