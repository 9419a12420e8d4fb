"""Reads how much each model counts from what the user wrote."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from dnncli.errors import ConfigError
from dnncli.registry import suggest
from dnncli.voting.weights import Weight


def parse_weights(
    given: Sequence[str] | Mapping[str, Weight], models: Sequence[str]
) -> Mapping[str, Weight]:
    """Weights by model, as they were written.

    Args:
        given: texts `NAME=W,NAME=W`, in which the names may hold commas and equal signs; one .json
            file with an object; or the mapping itself.
        models: (M,) names.

    Raises:
        ConfigError: if a text is not of that form, or names a model twice.
    """
    if isinstance(given, Mapping):
        return given
    if len(given) == 1 and given[0].endswith(".json"):
        return _from_file(Path(given[0]))
    found: dict[str, Weight] = {}
    for text in given:
        rest = text
        while rest:
            name, rest = _name_first(rest, models)
            value, _, rest = rest.partition(",")
            if name in found:
                raise ConfigError(f"--weights: '{name}' is weighed twice.")
            found[name] = value.strip()
    return found


def _name_first(text: str, models: Sequence[str]) -> tuple[str, str]:
    """The name before the `=`, and what follows it."""
    known = [name for name in models if text.lstrip().startswith(f"{name}=")]
    if known:
        name = max(known, key=len)
        return name, text.lstrip()[len(name) + 1 :]
    name, equals, rest = text.partition("=")
    if not equals:
        raise ConfigError(
            f"--weights: '{text}' is not NAME=W,NAME=W... The models are {', '.join(models)}."
            f"{suggest(text, models)}"
        )
    return name.strip(), rest


def _from_file(path: Path) -> Mapping[str, Weight]:
    try:
        # Numbers stay text: 0.1 is one tenth.
        found = json.loads(path.read_text(encoding="utf-8"), parse_float=str, parse_int=str)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--weights {path}: cannot be read as JSON ({error}).") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ConfigError(f'--weights {path}: must hold one object, {{"model": weight, ...}}.')
    return found
