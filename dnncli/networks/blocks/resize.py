"""Maps made larger, and pictures padded and cut, of any size known only when they come.

Shapes: B pictures, H x W places, C channels.
"""

from typing import Any

import keras  # noqa: TID253
import numpy as np
from keras import layers, ops  # noqa: TID253

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable("dnncli")
class BilinearUpsampling(layers.Layer):
    """(B, H, W, C) -> (B, scale H, scale W, C), interpolated between the centres of the pixels.

    Pixels beyond the border are those at the border. Every channel by itself, without weights.
    Keras' UpSampling2D(interpolation="bilinear") cannot be traced or exported while H and W are
    unknown; a transposed convolution without padding fades to 0 at the border.
    """

    def __init__(self, scale: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if scale < 1:
            raise ValueError(f"scale must be at least 1. Got {scale}.")
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        if self.scale == 1:
            return inputs
        scale, channels = self.scale, inputs.shape[-1]
        batch, height, width, _ = ops.shape(inputs)
        # The new pixels of a row lie one after another, as more channels of the old pixel would.
        x = ops.concatenate(self._between(inputs, axis=2), axis=-1)
        x = ops.reshape(x, (batch, height, width * scale * channels))
        x = ops.concatenate(self._between(x, axis=1), axis=-1)
        return ops.reshape(x, (batch, height * scale, width * scale, channels))

    def _between(self, x: Any, *, axis: int) -> list[Any]:
        """The `scale` maps that come out of every place along `axis`."""
        start = [slice(None)] * axis
        first, last = x[(*start, slice(0, 1))], x[(*start, slice(-1, None))]
        before = ops.concatenate([first, x[(*start, slice(0, -1))]], axis=axis)
        after = ops.concatenate([x[(*start, slice(1, None))], last], axis=axis)
        made = []
        for place in (np.arange(self.scale) + 0.5) / self.scale - 0.5:
            other, share = (before, float(-place)) if place < 0 else (after, float(place))
            made.append(x * (1 - share) + other * share)
        return made

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *sides, channels = input_shape
        return (batch, *(None if n is None else n * self.scale for n in sides), channels)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale}


@keras.saving.register_keras_serializable("dnncli")
class CropLike(layers.Layer):
    """`[x, like]` -> x without the rows and columns, below and right, that `like` does not have."""

    def call(self, inputs: Any) -> Any:
        x, like = inputs
        _, height, width, _ = ops.shape(like)
        return x[:, :height, :width]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        (batch, _, _, channels), (_, height, width, _) = input_shape
        return (batch, height, width, channels)


@keras.saving.register_keras_serializable("dnncli")
class PadToMultiple(layers.Layer):
    """Rows below and columns right, so that H and W become whole multiples of a number.

    `CropLike()([y, x])` cuts what was made of the result back to the size of `x`. Pictures may be
    smaller than what is added.
    """

    def __init__(self, multiple: int, mode: str = "reflect", **kwargs: Any) -> None:
        """Say how far and how to pad.

        Args:
            multiple: at least 1.
            mode: reflect: as in a mirror on the last pixel; edge: the last pixel again.
            **kwargs: of every Keras layer.
        """
        super().__init__(**kwargs)
        if multiple < 1:
            raise ValueError(f"multiple must be at least 1. Got {multiple}.")
        if mode not in ("reflect", "edge"):
            raise ValueError(f"mode must be reflect or edge. Got {mode!r}.")
        self.multiple, self.mode = multiple, mode

    def call(self, inputs: Any) -> Any:
        x = inputs
        for axis, length in zip((1, 2), ops.shape(inputs)[1:3]):
            if not isinstance(length, int) or length % self.multiple:
                x = ops.take(x, self._index(length), axis=axis)
        return x

    def _index(self, length: Any) -> Any:
        """The pixel shown at each place of a padded row of `length` pixels."""
        index = ops.arange(-(-length // self.multiple) * self.multiple, dtype="int32")
        if self.mode == "edge":
            return ops.minimum(index, length - 1)
        index = index % ops.maximum(2 * (length - 1), 1)  # there and back
        return ops.minimum(index, 2 * (length - 1) - index)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *sides, channels = input_shape
        made = [None if n is None else -(-n // self.multiple) * self.multiple for n in sides]
        return (batch, *made, channels)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"multiple": self.multiple, "mode": self.mode}


def learned_upsampling(
    x: Any,
    filters: int,
    *,
    name: str,
    scale: int = 2,
    use_bias: bool = True,
    kernel_initializer: str = "he_normal",
) -> Any:
    """(B, scale H, scale W, filters): every pixel becomes scale x scale pixels of learned weights.

    Kernel and stride are the same, so no output pixel is made of more inputs than another.
    """
    return layers.Conv2DTranspose(
        filters,
        scale,
        strides=scale,
        padding="same",
        use_bias=use_bias,
        kernel_initializer=kernel_initializer,
        name=name,
    )(x)


@keras.saving.register_keras_serializable("dnncli")
class NearestUpsampling(layers.Layer):
    """(B, H, W, C) -> (B, scale H, scale W, C): every pixel scale x scale times.

    Keras' UpSampling2D forgets the number of channels in an exported graph while H and W are
    unknown, and LiteRT then refuses the convolution after it.
    """

    def __init__(self, scale: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if scale < 1:
            raise ValueError(f"scale must be at least 1. Got {scale}.")
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        scale, channels = self.scale, inputs.shape[-1]
        batch, height, width, _ = ops.shape(inputs)
        x = ops.concatenate([inputs] * scale, axis=-1)
        x = ops.reshape(x, (batch, height, width * scale * channels))
        x = ops.concatenate([x] * scale, axis=-1)
        return ops.reshape(x, (batch, height * scale, width * scale, channels))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, *sides, channels = input_shape
        return (batch, *(None if n is None else n * self.scale for n in sides), channels)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale}
