"""U-Net: a contracting path, an expanding path, and the maps of the first handed to the second."""

from functools import partial
from typing import Any

from keras import layers  # noqa: TID253

from dnncli.networks.blocks.attention import attend
from dnncli.networks.blocks.momentum import BN_MOMENTUM
from dnncli.networks.blocks.resize import BilinearUpsampling, CropLike, PadToMultiple
from dnncli.networks.dense import MaskLogits, preset_of

PRESETS: dict[str, dict[str, Any]] = {"": {}, "small": {"width": 16, "batch_norm": True}}

_DEEPEST = 8  # halvings: 256 times the filters, of pictures filled up to multiples of 256 pixels


def unet(
    inputs: Any,
    *,
    outputs: int,
    kernel_initializer: str = "he_normal",
    batch_norm: bool | None = None,
    dropout: float = 0.0,
    attention: str = "none",
    preset: str = "",
    width: int | None = None,
    depth: int = 4,
    upsampling: str = "transposed",
) -> MaskLogits:
    """The network of Ronneberger et al. with convolutions that keep the size of the map.

    `depth` halvings by 2x2 maxima, two 3x3 convolutions at every size, the number of filters
    doubled at every halving. Pictures of any size are continued as in a mirror up to a multiple of
    2 ** depth pixels, and the answer is cut back. 31,030,593 weights for grey pictures and one
    output.

    Args:
        inputs: (B, H, W, c), H and W at least 1 or unknown.
        outputs: K, logits of each pixel.
        kernel_initializer: of all convolutions but the last; a Keras name.
        batch_norm: normalise before every ReLU; preset: no.
        dropout: share of the features of the smallest maps dropped, in training.
        attention: none, se, eca or cbam, on the maps of the contracting path.
        preset: empty, or small: width 16 with batch normalisation. Other options go before it.
        width: filters at full size; preset: 64.
        depth: halvings; 1 to 8.
        upsampling: transposed: 2x2 convolutions of stride 2; bilinear: a 1x1 convolution, then
            bilinear interpolation.

    Raises:
        ValueError: if an option has a value that it cannot have.

    Source: Ronneberger, Fischer, Brox 2015, "U-Net: Convolutional Networks for Biomedical Image
    Segmentation", https://arxiv.org/abs/1505.04597
    """
    settings = {"width": 64, "batch_norm": False, **preset_of("unet", preset, PRESETS)}
    width = settings["width"] if width is None else width
    batch_norm = settings["batch_norm"] if batch_norm is None else batch_norm
    if depth < 1 or width < 1:
        raise ValueError(f"depth and width must be at least 1. Got {depth} and {width}.")
    if depth > _DEEPEST:
        raise ValueError(f"depth must be at most {_DEEPEST}: filters double at each. Got {depth}.")
    if upsampling not in ("transposed", "bilinear"):
        raise ValueError(f"upsampling must be 'transposed' or 'bilinear'. Got {upsampling!r}.")

    twice = partial(_twice, batch_norm=batch_norm, kernel_initializer=kernel_initializer)
    x = PadToMultiple(2**depth, name="pad")(inputs)
    kept = []
    for level in range(1, depth + 1):
        name = f"down{level}"
        x = attend(twice(x, width * 2 ** (level - 1), name=name), attention, name=name)
        kept.append(x)
        x = layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    x = attend(twice(x, width * 2**depth, name="bottom"), attention, name="bottom")
    if dropout:
        x = layers.Dropout(dropout, name="bottom_dropout")(x)
    for level in range(depth, 0, -1):
        name, filters = f"up{level}", width * 2 ** (level - 1)
        size = 2 if upsampling == "transposed" else 1
        kind = layers.Conv2DTranspose if size == 2 else layers.Conv2D
        x = kind(filters, size, size, kernel_initializer=kernel_initializer, name=name)(x)
        if upsampling == "bilinear":
            x = BilinearUpsampling(2, name=f"{name}_larger")(x)
        x = layers.Concatenate(name=f"{name}_skip")([kept[level - 1], x])
        x = twice(x, filters, name=name)
    last = layers.Conv2D(outputs, 1, dtype="float32", name="logits")
    logits = CropLike(dtype="float32", name="cut")([last(x), inputs])
    return MaskLogits(maps=(logits,), start=(last,))


def _twice(x: Any, filters: int, *, batch_norm: bool, kernel_initializer: str, name: str) -> Any:
    """Two convolutions, each followed by ReLU."""
    for index in (1, 2):
        x = layers.Conv2D(
            filters,
            3,
            padding="same",
            use_bias=not batch_norm,
            kernel_initializer=kernel_initializer,
            name=f"{name}_conv{index}",
        )(x)
        if batch_norm:
            x = layers.BatchNormalization(momentum=BN_MOMENTUM, name=f"{name}_norm{index}")(x)
        x = layers.ReLU(name=f"{name}_relu{index}")(x)
    return x
