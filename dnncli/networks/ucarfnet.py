"""U-CARFnet: a U-Net of residual blocks with channel attention, and a map from all its sizes."""

from dataclasses import dataclass
from typing import Any

from keras import layers  # noqa: TID253

from dnncli.networks.blocks.attention import attend
from dnncli.networks.blocks.momentum import BN_MOMENTUM
from dnncli.networks.blocks.residual import identity_block, normalize, projection_block
from dnncli.networks.blocks.resize import CropLike, NearestUpsampling, PadToMultiple
from dnncli.networks.dense import MaskLogits, preset_of
from dnncli.networks.hed import enlarge, fuse

_DEPTH = 4
PRESETS: dict[str, dict[str, Any]] = {
    "": {"full_resolution_skip": True},
    "fixed": {"full_resolution_skip": True},
    "released": {},
    "small": {"full_resolution_skip": True, "width": 16},
    "dcn": {"full_resolution_skip": True, "conv": "dcn2"},
}


@dataclass(frozen=True, kw_only=True)
class _Style:
    """How the blocks of one network are made."""

    kernel_initializer: str
    norm: str
    attention: str
    attention_options: dict[str, Any]
    order: str
    conv: str
    stride_on: str
    decoder_attention: bool

    def convolve(self, x: Any, filters: int, size: int, *, name: str) -> Any:
        """A convolution that keeps the size of the map, and ReLU."""
        x = layers.Conv2D(
            filters, size, padding="same", kernel_initializer=self.kernel_initializer, name=name
        )(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    def attended(self, x: Any, *, name: str) -> Any:
        return attend(x, self.attention, name=name, **self.attention_options)

    def unit(
        self, x: Any, filters: tuple[int, int, int], *, strides: int, attention: bool, name: str
    ) -> Any:
        """A residual block that changes the shape, attention, and one that keeps it."""
        common: dict[str, Any] = {
            "norm": self.norm,
            "momentum": BN_MOMENTUM,
            "kernel_initializer": self.kernel_initializer,
        }
        x = projection_block(
            x,
            filters,
            strides=strides,
            stride_on=self.stride_on,
            conv=self.conv if strides > 1 else "standard",
            name=f"{name}_projection",
            **common,
        )
        if attention and self.order == "mid":
            x = self.attended(x, name=name)
        x = identity_block(x, filters, name=f"{name}_identity", **common)
        if attention and self.order == "end":
            x = self.attended(x, name=name)
        return x


def ucarfnet(
    inputs: Any,
    *,
    outputs: int,
    kernel_initializer: str = "he_normal",
    batch_norm: bool = True,
    dropout: float = 0.0,
    attention: str = "eca",
    preset: str = "",
    width: int | None = None,
    conv: str | None = None,
    order: str = "mid",
    norm: str = "batch",
    decoder_attention: bool = False,
    full_resolution_skip: bool | None = None,
    deep_supervision: bool = False,
) -> MaskLogits:
    """A U-Net of residual bottlenecks with attention, for thin contours.

    Four encoder stages halve the map by a stride, not by maxima: a residual block that changes the
    shape, attention over the channels, a residual block that keeps the shape. The decoder enlarges
    by repetition and a 2x2 convolution. A map from every stage is enlarged to full size; the answer
    is a learned sum of them. Pictures of any size are continued as in a mirror up to a multiple
    of 16 pixels, and the answer is cut back.

    The published network (preset released, 28,195,249 weights for grey pictures with eca; its
    answer here is the logit before the sigmoid) never reads three quarters of its maps of full
    size, and has two-channel ReLUs before the end that may die. The default is without both:
    strides on the 3x3 convolutions, a decoder stage of full size, linear maps.

    Args:
        inputs: (B, H, W, c), H and W at least 1 or unknown.
        outputs: K, logits of each pixel.
        kernel_initializer: of all convolutions but those of the maps; a Keras name.
        batch_norm: normalise after the convolutions of the residual blocks.
        dropout: share of the features of the smallest maps dropped, in training.
        attention: none, se, eca or cbam, in the encoder.
        preset: fixed (if empty), released, small: width 16, or dcn: deformable convolutions in the
            encoder. Other options go before it.
        width: filters at full size; preset: 64.
        conv: the 3x3 convolutions that halve maps: standard, dcn1 or dcn2 (deformable, of version
            1 or 2); preset: standard.
        order: attention between the two blocks of a stage (mid), or after both (end).
        norm: batch, or group: over up to 32 groups of channels of each picture.
        decoder_attention: attention in the decoder too.
        full_resolution_skip: a decoder stage of full size; preset: yes, but of released.
        deep_supervision: train the maps of all stages too, not the last alone.

    Raises:
        ValueError: if an option has a value that it cannot have.

    Source: Jin et al. 2023, "Study on segmentation of blasting fragment images from open-pit mine
    based on U-CARFnet", https://doi.org/10.1371/journal.pone.0291115; dcn1: Dai et al. 2017,
    https://arxiv.org/abs/1703.06211; dcn2: Zhu et al. 2019, https://arxiv.org/abs/1811.11168
    """
    settings = {"width": 64, "conv": "standard", **preset_of("u-carfnet", preset, PRESETS)}
    width = settings["width"] if width is None else width
    if full_resolution_skip is None:
        full_resolution_skip = settings.get("full_resolution_skip", False)
    released = preset == "released"
    _check(width=width, order=order, norm=norm)
    if released and deep_supervision:
        raise ValueError("the maps of preset 'released' are no logits. Use preset 'fixed'.")
    style = _Style(
        kernel_initializer=kernel_initializer,
        norm=norm if batch_norm else "none",
        attention=attention,
        attention_options=_AS_RELEASED.get(attention, {}) if released else {},
        order=order,
        conv=settings["conv"] if conv is None else conv,
        stride_on="first" if released else "second",
        decoder_attention=decoder_attention,
    )
    x = PadToMultiple(2**_DEPTH, name="pad")(inputs)
    x = layers.Conv2D(width, 3, padding="same", kernel_initializer=kernel_initializer, name="stem")(
        x
    )
    stages = _encode(x, width=width, style=style)
    if dropout:
        stages[-1] = layers.Dropout(dropout, name="bottom_dropout")(stages[-1])
    scales = _decode(stages, width=width, style=style, full=full_resolution_skip)
    features = [
        (scale, style.convolve(x, width, 1, name=f"map{scale}_features")) for scale, x in scales
    ]
    if released:
        return _released_maps(features, inputs, outputs=outputs, style=style)
    return _maps(features, inputs, outputs=outputs, deep_supervision=deep_supervision)


_AS_RELEASED: dict[str, dict[str, Any]] = {
    "se": {"use_bias": False},
    "cbam": {"variant": "port"},
}


def _check(*, width: int, order: str, norm: str) -> None:
    if width < 1:
        raise ValueError(f"width must be at least 1. Got {width}.")
    if order not in ("mid", "end"):
        raise ValueError(f"order must be 'mid' or 'end'. Got {order!r}.")
    if norm not in ("batch", "group"):
        raise ValueError(f"norm must be 'batch' or 'group'. Got {norm!r}.")


def _encode(x: Any, *, width: int, style: _Style) -> list[Any]:
    """The maps of full size, and those of every stage."""
    stages = [
        layers.ReLU(name="stem_relu")(
            normalize(x, style.norm, name="stem_norm", momentum=BN_MOMENTUM)
        )
    ]
    for level in range(1, _DEPTH + 1):
        least = width * 2 ** (level - 1)
        filters = (least, least, 2 * least)
        stages.append(
            style.unit(stages[-1], filters, strides=2, attention=True, name=f"down{level}")
        )
    return stages


def _decode(stages: list[Any], *, width: int, style: _Style, full: bool) -> list[tuple[int, Any]]:
    """The maps that are looked at, smallest first, each with its stride."""
    x = stages[-1]
    scales = [(2**_DEPTH, x)]
    for level in range(_DEPTH - 1, -1 if full else 0, -1):
        filters = width * 2**level
        name = f"up{level}"
        x = NearestUpsampling(2, name=f"{name}_larger")(x)
        x = style.convolve(x, filters, 2, name=f"{name}_conv")
        x = layers.Concatenate(name=f"{name}_skip")([stages[level], x])
        first = 2 * filters if level else filters  # full size costs four times as much
        attention = style.decoder_attention
        x = style.unit(x, (first, filters, filters), strides=1, attention=attention, name=name)
        scales.append((2**level, x))
    return scales


def _maps(
    scales: list[tuple[int, Any]],
    inputs: Any,
    *,
    outputs: int,
    deep_supervision: bool,
) -> MaskLogits:
    """A linear map of every size, and their learned sum."""
    maps, convolutions = [], []
    for scale, x in reversed(scales):
        name = f"map{scale}"
        convolution = layers.Conv2D(outputs, 1, dtype="float32", name=f"{name}_score")
        maps.append(enlarge(convolution(x), inputs, scale=scale, name=name))
        convolutions.append(convolution)
    fused = fuse(maps, outputs=outputs, name="fuse")
    return MaskLogits(
        maps=(*maps, fused) if deep_supervision else (fused,), start=tuple(convolutions)
    )


def _released_maps(
    scales: list[tuple[int, Any]], inputs: Any, *, outputs: int, style: _Style
) -> MaskLogits:
    """As published: two channels of every size after a ReLU, and two convolutions over them."""
    maps = []
    channels = max(2, outputs)
    for scale, x in reversed(scales):
        name = f"map{scale}"
        x = NearestUpsampling(scale, name=f"{name}_larger")(x)
        maps.append(style.convolve(x, channels, 2, name=name))
    x = style.convolve(layers.Concatenate(name="fuse_maps")(maps), channels, 3, name="fuse")
    last = layers.Conv2D(outputs, 1, dtype="float32", name="logits")
    logits = CropLike(dtype="float32", name="cut")([last(x), inputs])
    return MaskLogits(maps=(logits,), start=(last,))
