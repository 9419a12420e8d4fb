"""Batch normalisation by TensorFlow's fused kernel, where the backend is TensorFlow.

Keras composes batch normalisation of single operations; one kernel that does all of it reads the
maps fewer times (benchmarks/README.md has the ratio). The layers stay Keras' own: saved models
carry no trace, and other backends are left alone.
"""

from functools import partial
from typing import Any

import keras  # noqa: TID253


def fuse_normalization(model: keras.Model) -> int:
    """Train every batch normalisation of (B, H, W, C) maps in `model` by one kernel.

    The numbers are Keras' own up to rounding: mean and biased variance of the batch.

    Returns:
        How many layers it concerns; 0 unless the backend is TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        return 0
    found = [
        layer
        for layer in model._flatten_layers()
        if type(layer) is keras.layers.BatchNormalization and _is_plain(layer)
    ]
    for layer in found:
        layer.call = partial(_call, layer)
    return len(found)


def _is_plain(layer: keras.layers.BatchNormalization) -> bool:
    """Whether the kernel does what the layer would do."""
    return layer.axis in (-1, 3) and not (layer.renorm or layer.synchronized)


def _call(
    layer: keras.layers.BatchNormalization, inputs: Any, training: Any = None, mask: Any = None
) -> Any:
    if not training or not layer.trainable or mask is not None or len(inputs.shape) != 4:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    import tensorflow as tf

    channels = inputs.shape[-1]
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        inputs,
        tf.convert_to_tensor(layer.gamma) if layer.scale else tf.ones(channels),
        tf.convert_to_tensor(layer.beta) if layer.center else tf.zeros(channels),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # The kernel gives the unbiased variance; Keras keeps the biased one.
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    variance *= (count - 1) / count
    kept = layer.momentum
    layer.moving_mean.assign(layer.moving_mean * kept + mean * (1.0 - kept))
    layer.moving_variance.assign(layer.moving_variance * kept + variance * (1.0 - kept))
    return outputs
