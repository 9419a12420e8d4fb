"""Work done in a process of its own, whose Keras computes on JAX."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HAS_JAX = importlib.util.find_spec("jax") is not None
needs_jax = pytest.mark.skipif(
    not HAS_JAX, reason="JAX is not installed: pip install 'dnncli[jax]'"
)

_WORKER = """
import json, sys
import dnncli
for call, positional, options in json.loads(sys.argv[1]):
    getattr(dnncli, call)(*positional, **options)
import keras
assert keras.backend.backend() == "jax", keras.backend.backend()
"""


def on_jax(*calls, folder, **environment):
    """Make calls such as ("train", [data], {"epochs": 1}) in a new process on JAX.

    Warnings are errors there, as in the process of the tests.
    """
    text = json.dumps(calls, default=str)
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", _WORKER, text],
        cwd=folder,
        env=os.environ
        | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(Path(__file__).parents[1])}
        | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
