"""Networks for classification that are trained from scratch.

Shapes: B pictures, H x W pixels, C channels. Every network takes a normalised (B, H, W, C) tensor
and returns (B, outputs) logits, and is made of Keras' own layers, so that a saved model loads
without this package.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import layers, ops  # noqa: TID253

from dnncli.errors import ModelError
from dnncli.networks.blocks import attend

# Keras' 0.99 needs thousands of updates to follow the batches; short runs have hundreds.
_BN_MOMENTUM = 0.9


def head(x: Any, *, outputs: int, dropout: float) -> Any:
    """Dropout and (B, outputs) logits, in float32 also under mixed precision.

    The logits are Glorot's whatever the network's initializer: no ReLU follows that would halve
    their variance.
    """
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    return layers.Dense(outputs, dtype="float32", name="logits")(x)


@dataclass(frozen=True, kw_only=True)
class _Convolutions:
    """How the convolutions of one network are made."""

    kernel_initializer: str
    padding: str  # same or valid
    batch_norm: bool

    def conv(self, x: Any, filters: int, *, name: str, size: int = 3, strides: int = 1) -> Any:
        """A convolution; its bias is left to batch normalisation where that follows."""
        padding = self.padding
        if padding == "same" and strides > 1:
            # "same" would start at the second pixel of even sizes; the shortcut takes the first.
            x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
            padding = "valid"
        return layers.Conv2D(
            filters,
            size,
            strides,
            padding=padding,
            use_bias=not self.batch_norm,
            kernel_initializer=self.kernel_initializer,
            name=name,
        )(x)

    @property
    def reach(self) -> int:
        """Pixels that a convolution of size 3 needs at least."""
        return 3 if self.padding == "valid" else 1

    def norm(self, x: Any, *, name: str) -> Any:
        """Batch normalisation, if the network has it."""
        if not self.batch_norm:
            return x
        return layers.BatchNormalization(momentum=_BN_MOMENTUM, name=name)(x)


def _check_size(
    name: str, inputs: Any, *, steps: Sequence[tuple[int, int]], style: _Convolutions
) -> None:
    """Raise ModelError if the pictures shrink to nothing on their way.

    Args:
        name: of the network.
        inputs: (B, H, W, C).
        steps: pixels that a layer needs at least, and its stride, on the longest way.
        style: of the convolutions.
    """
    smallest = _smallest(steps)
    height, width = inputs.shape[1:3]
    if None not in (height, width) and min(height, width) < smallest:
        same = ", or --set model.padding=same" if style.padding == "valid" else ""
        raise ModelError(
            f"image size {height}x{width} is too small for {name} with padding '{style.padding}': "
            f"it needs at least {smallest}x{smallest}. Use --image-size {smallest}x{smallest}"
            f"{same}."
        )


def _smallest(steps: Sequence[tuple[int, int]]) -> int:
    """Pixels a side that leave at least one after all steps (pixels needed, stride)."""
    smallest = 1
    for size, stride in reversed(steps):
        smallest = (smallest - 1) * stride + size
    return smallest


def _cnn_steps(stages: int, convolutions: int, style: _Convolutions) -> list[tuple[int, int]]:
    """The convolutions of `cnn`: one in the first stage, `convolutions` in every other."""
    later = [*[(style.reach, 1)] * (convolutions - 1), (style.reach, 2)]
    return [(style.reach, 2), *later * (stages - 1)]


def _stages(height: int, width: int, convolutions: int, style: _Convolutions) -> int:
    """Halvings that leave 3 to 5 pixels at the shorter side, or as many as fit; at least 1."""
    shorter = min(height, width)
    stages = max(1, int(math.log2(shorter / 3)))
    while stages > 1 and _smallest(_cnn_steps(stages, convolutions, style)) > shorter:
        stages -= 1
    return stages


def cnn(
    inputs: Any,
    *,
    outputs: int,
    kernel_initializer: str = "he_normal",
    padding: str = "same",
    batch_norm: bool = True,
    dropout: float = 0.4,
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
    style = _Convolutions(
        kernel_initializer=kernel_initializer, padding=padding, batch_norm=batch_norm
    )
    rows, columns = inputs.shape[1:3]
    stages = _stages(rows, columns, convolutions, style)
    _check_size("cnn", inputs, steps=_cnn_steps(stages, convolutions, style), style=style)
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
            x = layers.BatchNormalization(momentum=_BN_MOMENTUM, name=f"hidden{index}_norm")(x)
        x = layers.ReLU(name=f"hidden{index}_relu")(x)
    return head(x, outputs=outputs, dropout=dropout)


def _resnet(
    inputs: Any,
    *,
    outputs: int,
    depth: int,
    shortcut: str,
    dropout: float,
    attention: str,
    style: _Convolutions,
) -> Any:
    if shortcut not in ("A", "B"):
        raise ValueError(f"shortcut must be 'A' or 'B'. Got {shortcut!r}.")
    blocks = (depth - 2) // 6
    stages = [(16, 1), (32, 2), (64, 2)]  # filters, stride of the first block
    steps = [(style.reach, 1)]
    for _, stride in stages:
        steps += [(style.reach, stride), *[(style.reach, 1)] * (2 * blocks - 1)]
    _check_size(f"resnet{depth}", inputs, steps=steps, style=style)
    x = style.norm(style.conv(inputs, 16, name="stem"), name="stem_norm")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, (filters, stride) in enumerate(stages, start=1):
        for block in range(1, blocks + 1):
            name = f"stage{stage}_block{block}"
            strides = stride if block == 1 else 1
            x = _residual(
                x,
                filters,
                strides=strides,
                shortcut=shortcut,
                attention=attention,
                style=style,
                name=name,
            )
    x = layers.GlobalAveragePooling2D(name="features")(x)
    return head(x, outputs=outputs, dropout=dropout)


def _residual(
    x: Any,
    filters: int,
    *,
    strides: int,
    shortcut: str,
    attention: str,
    style: _Convolutions,
    name: str,
) -> Any:
    """Two convolutions, and what they were given added to what they make of it."""
    y = style.conv(x, filters, strides=strides, name=f"{name}_conv1")
    y = layers.ReLU(name=f"{name}_relu1")(style.norm(y, name=f"{name}_norm1"))
    y = style.norm(style.conv(y, filters, name=f"{name}_conv2"), name=f"{name}_norm2")
    y = attend(y, attention, name=f"{name}_attention")
    if style.padding == "valid":
        # Pixel 0 of y sees the pixels around number `strides + 1` of x.
        first = strides + 1
        crops = [
            (first, size - first - strides * (made - 1) - 1)
            for size, made in zip(x.shape[1:3], y.shape[1:3])
        ]
        x = layers.Cropping2D(crops, name=f"{name}_crop")(x)
    more = filters - x.shape[-1]
    if shortcut == "B" and more:
        x = layers.Conv2D(
            filters,
            1,
            strides,
            use_bias=not style.batch_norm,
            kernel_initializer=style.kernel_initializer,
            name=f"{name}_projection",
        )(x)
        x = style.norm(x, name=f"{name}_projection_norm")
    elif more:
        x = layers.MaxPooling2D(1, strides, name=f"{name}_subsample")(x)
        x = ops.pad(x, [(0, 0), (0, 0), (0, 0), (more // 2, more - more // 2)])
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, y]))


def resnet20(
    inputs: Any,
    *,
    outputs: int,
    kernel_initializer: str = "he_normal",
    padding: str = "same",
    batch_norm: bool = True,
    dropout: float = 0.0,
    attention: str = "none",
    shortcut: str = "A",
) -> Any:
    """The residual network of 20 layers for CIFAR: 269,722 weights at 32x32x3 and 10 classes.

    Args:
        inputs: (B, H, W, C).
        outputs: number of logits.
        kernel_initializer: of the convolutions; a Keras name.
        padding: same, or valid: every convolution then loses two rows and columns.
        batch_norm: normalise after each convolution.
        dropout: share of the features dropped before the logits, in training.
        attention: none, se, eca or cbam, in each block before its shortcut is added.
        shortcut: where the shape changes, A: every second pixel, new channels zero, no weights;
            B: a 1x1 convolution (2,752 weights more).

    Source: He et al. 2015, "Deep Residual Learning for Image Recognition", section 4.2,
    https://arxiv.org/abs/1512.03385
    """
    style = _Convolutions(
        kernel_initializer=kernel_initializer, padding=padding, batch_norm=batch_norm
    )
    return _resnet(
        inputs,
        outputs=outputs,
        depth=20,
        shortcut=shortcut,
        dropout=dropout,
        attention=attention,
        style=style,
    )


def resnet32(
    inputs: Any,
    *,
    outputs: int,
    kernel_initializer: str = "he_normal",
    padding: str = "same",
    batch_norm: bool = True,
    dropout: float = 0.0,
    attention: str = "none",
    shortcut: str = "A",
) -> Any:
    """As `resnet20`, with 32 layers and 464,154 weights."""
    style = _Convolutions(
        kernel_initializer=kernel_initializer, padding=padding, batch_norm=batch_norm
    )
    return _resnet(
        inputs,
        outputs=outputs,
        depth=32,
        shortcut=shortcut,
        dropout=dropout,
        attention=attention,
        style=style,
    )


def resnet56(
    inputs: Any,
    *,
    outputs: int,
    kernel_initializer: str = "he_normal",
    padding: str = "same",
    batch_norm: bool = True,
    dropout: float = 0.0,
    attention: str = "none",
    shortcut: str = "A",
) -> Any:
    """As `resnet20`, with 56 layers and 853,018 weights."""
    style = _Convolutions(
        kernel_initializer=kernel_initializer, padding=padding, batch_norm=batch_norm
    )
    return _resnet(
        inputs,
        outputs=outputs,
        depth=56,
        shortcut=shortcut,
        dropout=dropout,
        attention=attention,
        style=style,
    )
