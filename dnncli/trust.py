"""Whether files may bring code of their own along: only if the user said so, with --allow-code."""

import functools
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from dnncli.errors import ConfigError

P = ParamSpec("P")
R = TypeVar("R")

# A context variable, because a model is loaded many calls below the one that was told: handing the
# answer down through all of them would leave many places where it could be forgotten.
_ALLOWED: ContextVar[bool] = ContextVar("allow_code", default=False)

# Settings that may hold an import string, "package.module:name".
_IMPORTED = (
    *("model.name", "model.kernel_initializer", "loss.name", "optimizer.name"),
    *("optimizer.schedule", "augment.policy", "fit.callbacks"),
)


def code_allowed() -> bool:
    """Whether the call under way may run code that files name."""
    return _ALLOWED.get()


@contextmanager
def allowing(*, allowed: bool) -> Iterator[None]:
    """Allow code in files, or refuse it, inside this block."""
    token = _ALLOWED.set(allowed)
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def scoped(function: Callable[P, R]) -> Callable[P, R]:
    """Let the keyword `allow_code` of a function hold for everything that it calls."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with allowing(allowed=bool(kwargs.get("allow_code", False))):
            return function(*args, **kwargs)

    return call


def check_imports(file: Mapping[str, Any], *, typed: Container[str], source: str) -> None:
    """Refuse import strings in a configuration file, unless code is allowed.

    Args:
        file: sections of the file.
        typed: "section.key" of the settings that were given by other means than the file.
        source: name of the file, for the message.

    Raises:
        ConfigError: naming each of them.
    """
    if code_allowed():
        return
    lines = []
    for key in _IMPORTED:
        section, name = key.split(".")
        values = file.get(section)
        value = values.get(name) if isinstance(values, Mapping) else None
        if key not in typed and _is_import(value):
            lines.append(f"{key} = {value!r}")
    if lines:
        raise ConfigError(
            f"{source}: names code of its own, which would be imported and run. If you trust the "
            "file, add --allow-code (in Python: allow_code=True):",
            lines,
        )


def _is_import(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_is_import, value))
    # A policy may be a file, and C:\policy.toml is no import string.
    return isinstance(value, str) and ":" in value and not value.endswith(".toml")
