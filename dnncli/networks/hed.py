"""HED: an edge map from every size of a VGG-16 trunk, and one from them all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import initializers, layers  # noqa: TID253

from dnncli.networks.blocks.attention import attend
from dnncli.networks.blocks.momentum import BN_MOMENTUM
from dnncli.networks.blocks.resize import BilinearUpsampling, CropLike
from dnncli.networks.dense import MaskLogits, preset_of

# Convolutions of each size of VGG-16, and their filters in multiples of the width.
TRUNK = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))
PRESETS: dict[str, dict[str, Any]] = {
    "": {"width": 64, "batch_norm": False},
    "released": {"width": 64, "batch_norm": False},
    "from-scratch": {"width": 16, "batch_norm": True},
}
_SIDE_SPREAD = 0.01  # of the kernels of the side outputs; 0 in the paper, with ready weights


def hed(
    inputs: Any,
    *,
    outputs: int,
    kernel_initializer: str = "he_normal",
    batch_norm: bool | None = None,
    attention: str = "none",
    preset: str = "",
    width: int | None = None,
    deep_supervision: bool = True,
    output: str = "fused",
) -> MaskLogits:
    """The network of Xie and Tu: VGG-16 without its dense layers, and a map from each of its sizes.

    The five side outputs are 1x1 convolutions, enlarged by bilinear interpolation and cut to the
    picture; the sixth map is a weighted sum of them, at first their mean. Maxima are taken over the
    rest of odd sizes too, so that pictures of any size work, and the edges of the picture are
    continued where maps are enlarged, in place of the 35 zeros on every side of the Caffe model.
    14,716,171 weights for colour pictures and one output.

    Args:
        inputs: (B, H, W, c), H and W at least 1 or unknown.
        outputs: K, logits of each pixel.
        kernel_initializer: of the trunk; a Keras name.
        batch_norm: normalise before every ReLU; preset: no.
        attention: none, se, eca or cbam, on the maps that the side outputs see.
        preset: empty: as published, to be started from ready-trained weights (`released` is the
            same); from-scratch: width 16 with batch normalisation. Other options go before it.
        width: filters of the first convolutions; preset: 64.
        deep_supervision: train all six maps, not the last alone.
        output: fused: the answer is the sixth map; merged: the mean of the probabilities of all.

    Raises:
        ValueError: if an option has a value that it cannot have.

    Source: Xie, Tu 2015, "Holistically-Nested Edge Detection", https://arxiv.org/abs/1504.06375
    """
    settings = preset_of("hed", preset, PRESETS)
    width = settings["width"] if width is None else width
    batch_norm = settings["batch_norm"] if batch_norm is None else batch_norm
    if width < 1:
        raise ValueError(f"width must be at least 1. Got {width}.")
    if output not in ("fused", "merged"):
        raise ValueError(f"output must be 'fused' or 'merged'. Got {output!r}.")
    if output == "merged" and not deep_supervision:
        raise ValueError("output 'merged' is the mean of maps that deep_supervision trains.")
    scales = _trunk(
        inputs,
        width=width,
        batch_norm=batch_norm,
        kernel_initializer=kernel_initializer,
        attention=attention,
    )
    heads = [_Side(outputs, index) for index in range(1, len(scales) + 1)]
    sides = [head(x, inputs) for head, x in zip(heads, scales)]
    fused = fuse(sides, outputs=outputs, name="fuse")
    return MaskLogits(
        maps=(*sides, fused) if deep_supervision else (fused,),
        merged=output == "merged",
        start=tuple(head.convolution for head in heads),
    )


def _trunk(
    x: Any, *, width: int, batch_norm: bool, kernel_initializer: str, attention: str
) -> list[Any]:
    """The last maps of each size, full size first; layers have the names of Keras' VGG16."""
    scales = []
    for block, (convolutions, times) in enumerate(TRUNK, start=1):
        if block > 1:
            x = layers.MaxPooling2D(2, padding="same", name=f"block{block - 1}_pool")(x)
        for index in range(1, convolutions + 1):
            x = layers.Conv2D(
                width * times,
                3,
                padding="same",
                use_bias=not batch_norm,
                kernel_initializer=kernel_initializer,
                name=f"block{block}_conv{index}",
            )(x)
            if batch_norm:
                norm = layers.BatchNormalization(
                    momentum=BN_MOMENTUM, name=f"block{block}_norm{index}"
                )
                x = norm(x)
            x = layers.ReLU(name=f"block{block}_relu{index}")(x)
        x = attend(x, attention, name=f"block{block}")
        scales.append(x)
    return scales


class _Side:
    """A map of the size of the picture from maps of a 2 ** (index - 1) of it."""

    def __init__(self, outputs: int, index: int) -> None:
        self.name, self.scale = f"side{index}", 2 ** (index - 1)
        self.convolution = layers.Conv2D(
            outputs,
            1,
            kernel_initializer=initializers.RandomNormal(stddev=_SIDE_SPREAD),
            dtype="float32",
            name=f"{self.name}_score",
        )

    def __call__(self, x: Any, inputs: Any) -> Any:
        return enlarge(self.convolution(x), inputs, scale=self.scale, name=self.name)


def enlarge(x: Any, inputs: Any, *, scale: int, name: str) -> Any:
    """`x`, `scale` times as large by bilinear interpolation, cut to the size of `inputs`."""
    if scale > 1:
        x = BilinearUpsampling(scale, dtype="float32", name=f"{name}_larger")(x)
    return CropLike(dtype="float32", name=name)([x, inputs])


def fuse(maps: Sequence[Any], *, outputs: int, name: str) -> Any:
    """A learned weighted sum of maps, at first their mean, class by class.

    Args:
        maps: each (B, H, W, K) logits.
        outputs: K.
        name: of the layer.

    Returns:
        (B, H, W, K) logits.
    """
    x = layers.Concatenate(dtype="float32", name=f"{name}_maps")(maps)
    convolution = layers.Conv2D(outputs, 1, kernel_initializer="zeros", dtype="float32", name=name)
    x = convolution(x)
    convolution.kernel.assign(np.tile(np.eye(outputs) / len(maps), (len(maps), 1))[None, None])
    return x
