"""A convolution that learns where to look.

Shapes: B pictures, H x W places in and P x Q out, C channels, K = places of the kernel.
"""

from typing import Any

import keras  # noqa: TID253
from keras import layers, ops  # noqa: TID253


@keras.saving.register_keras_serializable("dnncli")
class DeformableConv2D(layers.Layer):
    """A convolution whose kernel places move, by offsets that a convolution of its own predicts.

    y(p) = sum_k w_k m_k(p) x(p + p_k + d_k(p)), with the picture interpolated bilinearly between
    pixels and zero outside. Version 1 has m = 1. Version 2 has m = 2 sigmoid(.), so that, as the
    offsets start at zero, both start as the plain convolution with the same kernel.

    It takes K^2 2 C + 2 K weights more than a plain convolution in version 1, K^2 3 C + 3 K in
    version 2. Offsets come as (row, column) per place of the kernel, then version 2's modulation.

    Source: Dai et al. 2017, "Deformable Convolutional Networks", https://arxiv.org/abs/1703.06211;
    Zhu et al. 2019, "Deformable ConvNets v2", https://arxiv.org/abs/1811.11168
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        *,
        version: int = 1,
        padding: str = "same",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        """Describe the convolution.

        Args:
            filters: channels of the output.
            kernel_size: pixels a side.
            strides: in both directions.
            version: 1, or 2 with modulation.
            padding: same or valid, as in Keras' Conv2D.
            use_bias: add a bias to every filter.
            kernel_initializer: of the kernel; offsets start at zero.
            **kwargs: of every Keras layer, such as name and dtype.
        """
        super().__init__(**kwargs)
        for value, allowed, what in (
            (version, (1, 2), "version"),
            (padding, ("same", "valid"), "padding"),
        ):
            if value not in allowed:
                raise ValueError(f"{what} must be {allowed[0]} or {allowed[1]}. Got {value!r}.")
        if min(filters, kernel_size, strides) < 1:
            raise ValueError(
                "filters, kernel_size and strides must be at least 1. "
                f"Got {filters}, {kernel_size} and {strides}."
            )
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.version, self.padding, self.use_bias = version, padding, use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        size, places = self.kernel_size, self.kernel_size**2
        channels = input_shape[-1]
        predicted = (self.version + 1) * places
        self.kernel = self.add_weight(
            shape=(size, size, channels, self.filters),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.offset_kernel = self.add_weight(
            shape=(size, size, channels, predicted), initializer="zeros", name="offset_kernel"
        )
        self.offset_bias = self.add_weight(
            shape=(predicted,), initializer="zeros", name="offset_bias"
        )

    def call(self, inputs: Any) -> Any:
        places = self.kernel_size**2
        moves = ops.conv(inputs, self.offset_kernel, self.strides, self.padding) + self.offset_bias
        # Half precision has no thirds of pixel 200.
        moves = ops.cast(moves, keras.backend.result_type(moves.dtype, "float32"))
        batch, height, width = ops.shape(moves)[:3]
        rows, columns = self._grid(ops.shape(inputs), height, width, dtype=moves.dtype)
        rows += moves[..., 0 : 2 * places : 2]
        columns += moves[..., 1 : 2 * places : 2]
        weight = 2.0 * ops.sigmoid(moves[..., 2 * places :]) if self.version == 2 else None
        seen = _interpolate(inputs, rows, columns, weight=weight)
        channels = inputs.shape[-1]
        kernel = ops.reshape(self.kernel, (places * channels, self.filters))
        y = ops.matmul(ops.reshape(seen, (-1, places * channels)), kernel)
        if self.bias is not None:
            y += self.bias
        return ops.reshape(y, (batch, height, width, self.filters))

    def _grid(self, shape: Any, height: Any, width: Any, *, dtype: Any) -> tuple[Any, Any]:
        """Rows (P, 1, K) and columns (1, Q, K) of the input that the undeformed kernel sees."""
        size = self.kernel_size
        step = ops.arange(size, dtype=dtype)
        across = (ops.repeat(step, size), ops.tile(step, size))
        found = []
        for length, there, within in zip((height, width), shape[1:3], across):
            before: Any = 0
            if self.padding == "same":
                before = ops.maximum((length - 1) * self.strides + size - there, 0) // 2
            first = ops.arange(length, dtype="int32") * self.strides - before
            found.append(ops.cast(first, dtype)[:, None] + within)
        return found[0][:, None], found[1][None]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        batch, *sides, _ = input_shape
        cut = self.kernel_size - 1 if self.padding == "valid" else 0
        made = [None if n is None else max(-(-(n - cut) // self.strides), 0) for n in sides]
        return (batch, *made, self.filters)

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "kernel_size", "strides", "version", "padding", "use_bias")
        return super().get_config() | {
            **{name: getattr(self, name) for name in names},
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


def _interpolate(x: Any, rows: Any, columns: Any, *, weight: Any) -> Any:
    """Pixels of `x` between pixels, times a weight.

    Args:
        x: (B, H, W, C).
        rows: (B, P, Q, K), of at least 32 bits; outside [-1, H] all is zero.
        columns: (B, P, Q, K).
        weight: (B, P, Q, K), or None for 1.

    Returns:
        (B P Q K, C) of the type of `x`.
    """
    batch, height, width, _ = ops.shape(x)
    # With a border of zeros every corner exists, so none needs a mask.
    x = ops.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0)))
    flat = ops.reshape(x, (-1, x.shape[-1]))
    top, down = _split(rows, height)
    left, right = _split(columns, width)
    wide = width + 3
    start = ops.reshape(ops.arange(batch, dtype="int32"), (-1, 1, 1, 1)) * ((height + 3) * wide)
    index = ops.reshape(start + top * wide + left, (-1,))
    down, right = ops.reshape(down, (-1, 1)), ops.reshape(right, (-1, 1))
    factor = 1.0 if weight is None else ops.reshape(weight, (-1, 1))
    total: Any = 0.0
    for offset, share in (
        (0, (1 - down) * (1 - right)),
        (1, (1 - down) * right),
        (wide, down * (1 - right)),
        (wide + 1, down * right),
    ):
        total += ops.take(flat, index + offset, axis=0) * ops.cast(share * factor, x.dtype)
    return total


def _split(places: Any, length: Any) -> tuple[Any, Any]:
    """The pixel before each place, counted with the border of one, and the rest in [0, 1)."""
    places = ops.clip(places, -1.0, ops.cast(length, places.dtype))
    before = ops.floor(places)
    # A diverged network's NaN must come out as NaN, and not look outside the picture.
    index = ops.clip(ops.cast(before, "int32") + 1, 0, length + 1)
    return index, places - before
