"""The same initial weights on every backend: drawn as Keras draws them on TensorFlow.

Keras gives every initializer the same seed everywhere, but each backend has a generator of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

_DRAWS = {  # Keras' name -> TensorFlow's, and the names of the two numbers that follow the shape
    "normal": ("stateless_normal", "mean", "stddev"),
    "truncated_normal": ("stateless_truncated_normal", "mean", "stddev"),
    "uniform": ("stateless_uniform", "minval", "maxval"),
}


@contextmanager
def drawn_alike() -> Iterator[None]:
    """Inside the block, Keras' initializers draw with TensorFlow's generator on any backend."""
    import keras

    if keras.backend.backend() == "tensorflow":
        yield
        return
    # Keras names no public place: its initializers draw by three functions of this module.
    from keras.src.initializers import random_initializers as place

    kept = place.random
    ours = {name: _draw(name, otherwise=getattr(kept, name)) for name in _DRAWS}
    place.random = SimpleNamespace(**(vars(kept) | ours))
    try:
        yield
    finally:
        place.random = kept


def _draw(name: str, *, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """One of Keras' functions by TensorFlow's generator; `otherwise` where the seed is no number.

    Such a seed is a generator of the backend's own, which a user's network may bring.
    """
    import keras
    import tensorflow as tf

    function, first, second = _DRAWS[name]
    generate = getattr(tf.random, function)

    def draw(shape: Any, low: float = 0.0, high: float = 1.0, **options: Any) -> Any:
        low, high = options.get(first, low), options.get(second, high)
        seed = options.get("seed")
        dtype = options.get("dtype")
        if not isinstance(seed, int):
            return otherwise(shape, low, high, dtype=dtype, seed=seed)
        numbers = {first: low, second: high}
        dtype = keras.backend.standardize_dtype(dtype or keras.config.floatx())
        seed = [seed % (tf.int32.max - 1), 0]  # as Keras does
        return generate(shape, seed=seed, dtype=dtype, **numbers).numpy()

    return draw
