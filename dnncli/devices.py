"""The machine a run computes on: seed, precision, determinism, and what is there."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from dnncli import backends

_BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # of the flags of a processor


_CPUINFO = Path("/proc/cpuinfo")
_DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


def _flags(cpuinfo: Path) -> set[str]:
    """What the processor can do; nothing where the system does not say."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return set(next((line for line in text.splitlines() if line.startswith("flags")), "").split())


def has_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the processor computes in bfloat16; False where the system does not say."""
    return bool(_BFLOAT16 & _flags(cpuinfo))


def needs_onednn(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether oneDNN is quicker on such a processor although TensorFlow leaves it off by itself.

    TensorFlow turns it on from AVX-512 with VNNI upwards; with AVX2 alone a training step gains,
    too (benchmarks/README.md). False where the system does not say.
    """
    flags = _flags(cpuinfo)
    return "avx2" in flags and "avx512_vnni" not in flags


def load_tensorflow(backend: str = "auto") -> None:
    """Import TensorFlow, which reads and prepares the pictures, and Keras on its backend.

    Without TensorFlow's start-up lines: they come from C++ before any log level is read, so the
    stream itself is turned off meanwhile. Set TF_CPP_MIN_LOG_LEVEL to see them. Sets
    TF_ENABLE_ONEDNN_OPTS, unless it is set, to use oneDNN where it is quicker.

    Args:
        backend: tensorflow, jax or auto: see `backends.choose`.

    Raises:
        ConfigError: if Keras cannot have that backend.
    """
    name = backends.choose(backend)
    os.environ[backends.VARIABLE] = name
    if needs_onednn():  # read once, by the first operation
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if "tensorflow" not in sys.modules and "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        _import_silently()
    if name == "jax":
        _prepare_jax()


def _import_silently() -> None:
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        importlib.import_module("keras")
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_physical_devices()
        tensorflow.get_logger().setLevel("ERROR")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _prepare_jax() -> None:
    """Let JAX count in 64 bits, as TensorFlow does, and have the graphics cards to itself."""
    import jax
    import tensorflow as tf

    jax.config.update("jax_enable_x64", True)  # noqa: FBT003
    if tf.config.list_physical_devices("GPU"):
        tf.config.set_visible_devices([], "GPU")  # it would take all of their memory


def _xla_flags() -> str:
    return os.environ.get("XLA_FLAGS", "")


def configure(*, seed: int, precision: str = "float32", deterministic: bool = False) -> None:
    """Set seed, floating-point precision and determinism of this process.

    Args:
        seed: seeds Python, NumPy and Keras.
        precision: float32, or bfloat16/float16 for mixed precision with float32 weights.
        deterministic: every operation gives the same bits each time, at some cost in speed.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
        # XLA reads it when JAX computes for the first time; only graphics cards need it.
        if keras.backend.backend() == "jax" and _DETERMINISTIC not in _xla_flags():
            os.environ["XLA_FLAGS"] = f"{_xla_flags()} {_DETERMINISTIC}".strip()
    keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")


def forget() -> None:
    """Forget the networks built so far: the next one is built as in a new process."""
    import keras

    keras.utils.clear_session()


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, Any]:
    """Versions, backend and devices, for run.json."""
    import platform

    import keras
    import numpy as np
    import tensorflow as tf

    from dnncli import __version__

    backend = keras.backend.backend()
    versions = {
        "dnncli": __version__,
        "python": platform.python_version(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }
    cards = [device.name for device in tf.config.list_physical_devices("GPU")]
    if backend == "jax":
        import jax

        versions["jax"] = jax.__version__
        cards = [str(device) for device in jax.devices() if device.platform != "cpu"]
    return {
        "versions": versions,
        "backend": backend,
        "device": {"platform": platform.platform(), "cores": cores(), "gpus": cards},
    }


def remarks() -> list[str]:
    """What the user should know of the backend on this machine."""
    import keras

    if keras.backend.backend() != "jax":
        return []
    import jax

    if jax.default_backend() != "cpu":
        return []
    return [
        "JAX on a processor trains convolutions several times slower than TensorFlow does; on "
        "graphics cards it is the quick one (docs/backends.md)."
    ]
