"""Residual networks for small pictures: those of He et al. for CIFAR, and wide ones.

Shapes: B pictures, H x W pixels, C channels. Every network takes a normalised (B, H, W, C) tensor
and returns (B, outputs) logits, and is made of Keras' own layers. Both kinds have three stages; the
second and the third begin with a stride of 2.

Sources: He et al. 2015, "Deep Residual Learning for Image Recognition", section 4.2,
https://arxiv.org/abs/1512.03385; Zagoruyko and Komodakis 2016, "Wide Residual Networks",
https://arxiv.org/abs/1605.07146
"""

from collections.abc import Callable
from typing import Any

from keras import layers, ops  # noqa: TID253

from dnncli.networks.blocks import attend
from dnncli.networks.classifiers import head
from dnncli.networks.convolutions import Convolutions, check_size

_STEM = 16  # filters of the first convolution
_STAGES = ((16, 1), (32, 2), (64, 2))  # filters, stride of the first block


def _deep(depth: int) -> Callable[..., Any]:
    """The network of He et al. with `depth` layers."""

    def network(
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
        """The residual network of He et al. 2015 for CIFAR.

        Args:
            inputs: (B, H, W, C).
            outputs: number of logits.
            kernel_initializer: of the convolutions; a Keras name.
            padding: same, or valid: every convolution then loses two rows and columns.
            batch_norm: normalise after each convolution.
            dropout: share of the features dropped before the logits, in training.
            attention: none, se, eca or cbam, in each block before its shortcut is added.
            shortcut: where the shape changes, A: every second pixel, new channels zero, no
                weights; B: a 1x1 convolution (2,752 weights more).
        """
        if shortcut not in ("A", "B"):
            raise ValueError(f"shortcut must be 'A' or 'B'. Got {shortcut!r}.")
        style = Convolutions(
            kernel_initializer=kernel_initializer, padding=padding, batch_norm=batch_norm
        )
        blocks = (depth - 2) // 6
        _check(f"resnet{depth}", inputs, blocks=blocks, style=style)
        x = style.norm(style.conv(inputs, _STEM, name="stem"), name="stem_norm")
        x = layers.ReLU(name="stem_relu")(x)
        for name, filters, strides in _blocks(blocks):
            y = style.conv(x, filters, strides=strides, name=f"{name}_conv1")
            y = layers.ReLU(name=f"{name}_relu1")(style.norm(y, name=f"{name}_norm1"))
            y = style.norm(style.conv(y, filters, name=f"{name}_conv2"), name=f"{name}_norm2")
            y = attend(y, attention, name=f"{name}_attention")
            x = _cropped(x, y, strides=strides, style=style, name=name)
            x = _shortcut(x, filters, kind=shortcut, strides=strides, style=style, name=name)
            x = layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, y]))
        x = layers.GlobalAveragePooling2D(name="features")(x)
        return head(x, outputs=outputs, dropout=dropout)

    return network


def _wide(depth: int, width: int) -> Callable[..., Any]:
    """The wide network with `depth` layers, each with `width` times as many filters."""

    def network(
        inputs: Any,
        *,
        outputs: int,
        kernel_initializer: str = "he_normal",
        padding: str = "same",
        batch_norm: bool = True,
        dropout: float = 0.0,
        attention: str = "none",
    ) -> Any:
        """The wide residual network of Zagoruyko and Komodakis 2016.

        Args:
            inputs: (B, H, W, C).
            outputs: number of logits.
            kernel_initializer: of the convolutions; a Keras name.
            padding: same, or valid: every convolution then loses two rows and columns.
            batch_norm: normalise before each convolution but the first.
            dropout: share dropped between the two convolutions of each block, in training; the
                authors' is 0.3.
            attention: none, se, eca or cbam, in each block before its shortcut is added.
        """
        style = Convolutions(
            kernel_initializer=kernel_initializer, padding=padding, batch_norm=batch_norm
        )
        blocks = (depth - 4) // 6
        _check(f"wrn-{depth}-{width}", inputs, blocks=blocks, style=style)
        x = style.conv(inputs, _STEM, name="stem")
        for name, filters, strides in _blocks(blocks, width=width):
            y = layers.ReLU(name=f"{name}_relu1")(style.norm(x, name=f"{name}_norm1"))
            if x.shape[-1] != filters:
                x = y  # the projection is given what the convolution is given
            y = style.conv(y, filters, strides=strides, name=f"{name}_conv1")
            y = layers.ReLU(name=f"{name}_relu2")(style.norm(y, name=f"{name}_norm2"))
            if dropout:
                y = layers.Dropout(dropout, name=f"{name}_dropout")(y)
            y = style.conv(y, filters, name=f"{name}_conv2")
            y = attend(y, attention, name=f"{name}_attention")
            x = _cropped(x, y, strides=strides, style=style, name=name)
            if x.shape[-1] != filters:
                x = _project(x, filters, strides=strides, style=style, name=name)
            x = layers.Add(name=f"{name}_add")([x, y])
        x = layers.ReLU(name="last_relu")(style.norm(x, name="last_norm"))
        x = layers.GlobalAveragePooling2D(name="features")(x)
        return head(x, outputs=outputs, dropout=0.0)

    return network


def _blocks(blocks: int, *, width: int = 1) -> list[tuple[str, int, int]]:
    """Name, filters and stride of every block of the three stages."""
    return [
        (f"stage{stage}_block{block}", filters * width, strides if block == 1 else 1)
        for stage, (filters, strides) in enumerate(_STAGES, start=1)
        for block in range(1, blocks + 1)
    ]


def _check(name: str, inputs: Any, *, blocks: int, style: Convolutions) -> None:
    steps = [(style.reach, 1)]
    for _, _, strides in _blocks(blocks):
        steps += [(style.reach, strides), (style.reach, 1)]
    check_size(name, inputs, steps=steps, style=style)


def _cropped(x: Any, y: Any, *, strides: int, style: Convolutions, name: str) -> Any:
    """The part of a block's input `x` that its two convolutions looked at around each pixel."""
    if style.padding != "valid":
        return x
    # Pixel 0 of y sees the pixels around number `strides + 1` of x.
    first = strides + 1
    crops = [
        (first, size - first - strides * (made - 1) - 1)
        for size, made in zip(x.shape[1:3], y.shape[1:3])
    ]
    return layers.Cropping2D(crops, name=f"{name}_crop")(x)


def _shortcut(
    x: Any, filters: int, *, kind: str, strides: int, style: Convolutions, name: str
) -> Any:
    more = filters - x.shape[-1]
    if not more:
        return x
    if kind == "B":
        x = _project(x, filters, strides=strides, style=style, name=name)
        return style.norm(x, name=f"{name}_projection_norm")
    x = layers.MaxPooling2D(1, strides, name=f"{name}_subsample")(x)
    return ops.pad(x, [(0, 0), (0, 0), (0, 0), (more // 2, more - more // 2)])


def _project(x: Any, filters: int, *, strides: int, style: Convolutions, name: str) -> Any:
    return layers.Conv2D(
        filters,
        1,
        strides,
        use_bias=not style.batch_norm,
        kernel_initializer=style.kernel_initializer,
        name=f"{name}_projection",
    )(x)


resnet20, resnet32, resnet56 = _deep(20), _deep(32), _deep(56)
wrn_16_4, wrn_28_10, wrn_40_4 = _wide(16, 4), _wide(28, 10), _wide(40, 4)
