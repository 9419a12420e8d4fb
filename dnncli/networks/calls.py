"""A network at rest as one compiled function, on the backend that Keras has."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def compiled(model: "keras.Model", *, any_size: bool = False) -> Callable[[Any], Any]:
    """`model` as a function of (B, H, W, c) pictures, a tensor of TensorFlow or an array.

    Its weights are those of the moment of the call.

    Args:
        model: of one input.
        any_size: the pictures are float32, and few have the size of another; TensorFlow compiles
            once for all of them. JAX compiles anew for every size, also for other numbers B.

    Returns:
        What gives a tensor of TensorFlow on TensorFlow, and elsewhere an array of NumPy.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return _compiled_by_jax(model)
    import tensorflow as tf

    signature = [tf.TensorSpec(model.inputs[0].shape, tf.float32)] if any_size else None
    return tf.function(
        lambda images: model(images, training=False),
        input_signature=signature,
        reduce_retracing=True,
    )


def _compiled_by_jax(model: "keras.Model") -> Callable[[Any], Any]:
    import jax

    @jax.jit
    def call(trainable: list[Any], others: list[Any], images: Any) -> Any:
        return model.stateless_call(trainable, others, images, training=False)[0]

    def run(images: Any) -> Any:
        trainable = [_here(variable) for variable in model.trainable_variables]
        others = [_here(variable) for variable in model.non_trainable_variables]
        return np.asarray(call(trainable, others, np.asarray(images)))

    return run


def _here(variable: Any) -> Any:
    """The value on this process's own device, also where several processes train together."""
    return variable.value.addressable_data(0)
