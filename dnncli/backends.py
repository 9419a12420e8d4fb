"""Which library computes under Keras: TensorFlow, or JAX where it was asked for."""

import importlib.util
import os
import sys
from typing import Any, Literal, get_args

from dnncli.errors import ConfigError
from dnncli.registry import suggest

Backend = Literal["tensorflow", "jax"]
BACKENDS = get_args(Backend)
VARIABLE = "KERAS_BACKEND"  # of the environment, read by Keras when it is first imported
INSTALL = {"jax": "pip install 'dnncli[jax]'"}


def in_use() -> str | None:
    """The backend of the Keras that this process has imported; None before that."""
    keras: Any = sys.modules.get("keras")
    # While Keras imports itself it has no such function yet.
    return keras.backend.backend() if hasattr(keras, "backend") else None


def choose(asked: str = "auto") -> str:
    """The backend to compute on.

    Args:
        asked: tensorflow or jax; auto: that of a Keras already imported, else KERAS_BACKEND of
            the environment, else TensorFlow.

    Raises:
        ConfigError: if there is no such backend, it is not installed, or Keras was imported with
            another one before.
    """
    loaded = in_use()
    name, where = asked, "run.backend"
    if asked == "auto":
        name = loaded or os.environ.get(VARIABLE) or "tensorflow"
        where = "Keras" if loaded else VARIABLE
    if name not in BACKENDS:
        raise ConfigError(
            f"{where}: '{name}' is no backend of dnncli.{suggest(name, BACKENDS)} "
            f"Use one of {', '.join(BACKENDS)}."
        )
    if loaded is not None and loaded != name:
        raise ConfigError(
            f"run.backend {name}: this process has imported Keras with the backend {loaded}, "
            f"which cannot be changed any more. Start a new process, or set {VARIABLE}={name} "
            "before the first import of Keras."
        )
    if name in INSTALL and importlib.util.find_spec(name) is None:
        raise ConfigError(
            f"{where} {name}: JAX is not installed. Install it with {INSTALL[name]}, or use "
            "--backend tensorflow."
        )
    return name
