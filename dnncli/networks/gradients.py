"""The gradient of a convolution by its input, computed as a convolution, where that is quicker.

On processors without AVX-512, TensorFlow's kernel for this gradient (Conv2DBackpropInput) takes 1.2
to 13 times as long as a convolution of the gradient with the turned filters, which is the same sum
(benchmarks/README.md). The layers stay Keras' own: saved models carry no trace.

Shapes: B pictures, H x W pixels, C channels, K filters of k x k pixels.
"""

from functools import partial
from typing import Any

import keras  # noqa: TID253

_SMALL = 4  # output pixels a side up to which strides of 2 gain, too


def quicken_gradients(model: keras.Model) -> int:
    """Train every plain convolution of `model` with the quicker gradient.

    The numbers are TensorFlow's own up to rounding.

    Returns:
        How many layers it concerns; 0 unless the backend is TensorFlow without a GPU.
    """
    if keras.backend.backend() != "tensorflow":
        return 0
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return 0
    found = [layer for layer in model._flatten_layers() if _is_plain(layer)]
    for layer in found:
        layer.convolution_op = partial(_convolution_op, layer)
    return len(found)


def _is_plain(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and set(layer.dilation_rate) == {1}
        and layer.strides in ((1, 1), (2, 2))
        and layer.compute_dtype == "float32"
    )


def _convolution_op(layer: keras.layers.Conv2D, inputs: Any, kernel: Any) -> Any:
    import tensorflow as tf

    stride = layer.strides[0]
    padding = layer.padding.upper()
    if stride > 1 and not _is_small(inputs.shape[1:3], stride):
        return type(layer).convolution_op(layer, inputs, kernel)

    @tf.custom_gradient
    def convolve(x: Any, filters: Any) -> Any:
        def gradient(dy: Any) -> tuple[Any, Any]:
            by_filters = tf.raw_ops.Conv2DBackpropFilter(
                input=x,
                filter_sizes=filters.shape,
                out_backprop=dy,
                strides=(1, stride, stride, 1),
                padding=padding,
            )
            size = inputs.shape[1:3]
            same = padding == "SAME"
            return input_gradient(dy, filters, size=size, stride=stride, same=same), by_filters

        return tf.nn.conv2d(x, filters, stride, padding), gradient

    return convolve(inputs, tf.convert_to_tensor(kernel))


def _is_small(size: tuple[int | None, int | None], stride: int) -> bool:
    return all(side is not None and -(-side // stride) <= _SMALL for side in size)


def input_gradient(
    dy: Any, filters: Any, *, size: tuple[int | None, int | None], stride: int, same: bool
) -> Any:
    """In-graph: the gradient (B, H, W, C) of a convolution by its input.

    Args:
        dy: (B, H', W', K), the gradient by its output.
        filters: (k, k', C, K).
        size: H and W; not needed where the stride is 1.
        stride: of the convolution, along both sides.
        same: whether its padding is "same"; else "valid".
    """
    import tensorflow as tf

    turned = tf.transpose(filters[::-1, ::-1], (0, 1, 3, 2))
    pads = []
    for axis, side in enumerate(size, start=1):
        reach = filters.shape[axis - 1] - 1
        if stride == 1:
            before = reach - reach // 2 if same else reach
            pads.append((before, reach if same else 2 * reach))
            continue
        dy = _spread(dy, axis=axis, stride=stride)
        spread = dy.shape[axis]
        added = max(spread - stride + reach + 1 - side, 0) if same else 0
        before = reach - added // 2
        pads.append((before, side + reach - spread))
    margins = [(0, 0), *((before, total - before) for before, total in pads), (0, 0)]
    for axis, (_, after) in enumerate(margins):
        if after < 0:  # the last rows of zeros are beyond the picture
            dy = dy[(slice(None),) * axis + (slice(0, after),)]
    margins = [(before, max(after, 0)) for before, after in margins]
    return tf.nn.conv2d(dy, turned, 1, margins)


def _spread(dy: Any, *, axis: int, stride: int) -> Any:
    """In-graph: `dy` with `stride - 1` zeros after every entry along an axis."""
    import tensorflow as tf

    entries = tf.expand_dims(dy, axis + 1)
    margins = [(0, 0)] * len(entries.shape)
    margins[axis + 1] = (0, stride - 1)
    shape = [-1 if size is None else size for size in dy.shape]
    shape[axis] = dy.shape[axis] * stride
    return tf.reshape(tf.pad(entries, margins), shape)
