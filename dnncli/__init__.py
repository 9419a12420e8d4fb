"""Train image networks and judge them honestly, from the command line or from Python."""

import importlib
from typing import Any

__version__ = "0.1.0"

# Public call -> where it lives. Loaded on first use, so `import dnncli` costs nothing.
_CALLS = {
    "augment": "dnncli.services.augment",
    "consensus": "dnncli.services.consensus",
    "convert": "dnncli.services.convert",
    "evaluate": "dnncli.services.evaluate",
    "explain": "dnncli.services.explain",
    "inspect": "dnncli.services.inspect",
    "models": "dnncli.services.models",
    "open_dataset": "dnncli.data.detect",
    "predict": "dnncli.services.predict",
    "split": "dnncli.services.split",
    "threshold": "dnncli.services.threshold",
    "train": "dnncli.services.train",
}

__all__ = ["__version__", *_CALLS]


def __getattr__(name: str) -> Any:
    if name in _CALLS:
        return getattr(importlib.import_module(_CALLS[name]), name)
    raise AttributeError(f"module 'dnncli' has no attribute '{name}'")
