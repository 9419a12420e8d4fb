"""Named lists of random changes to training pictures, and files that spell out one's own."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnncli import registry
from dnncli.augmentation import steps, words
from dnncli.augmentation.steps import MIXING, NO_MASKS, Step, step
from dnncli.errors import ConfigError

OLD_WORDS = "image_data_generator"  # the table of a policy file that holds them


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Random changes, applied in order to every training picture."""

    name: str
    steps: tuple[Step, ...]

    @property
    def mixing(self) -> tuple[str, ...]:
        """The steps that mix pictures, and with them labels."""
        return tuple(entry.name for entry in self.steps if entry.name in MIXING)

    @property
    def unfit_for_masks(self) -> tuple[str, ...]:
        """The steps that a mask cannot follow."""
        return tuple(entry.name for entry in self.steps if entry.name in NO_MASKS)


NONE = Policy(name="none", steps=())

# No flip: digits, letters, road signs and left and right sides change their class by it.
LIGHT = Policy(
    name="light",
    steps=(
        step("translation", height_factor=0.04, width_factor=0.04),
        step("zoom", height_factor=0.05),
        step("brightness", factor=0.05),
        step("contrast", factor=0.1),
    ),
)

STANDARD = Policy(
    name="standard",
    steps=(
        step("flip", mode="horizontal"),
        step("rotation", factor=10 / 360),
        step("translation", height_factor=0.08, width_factor=0.08),
        step("zoom", height_factor=0.08),
        step("brightness", factor=0.08),
        step("contrast", factor=0.1),
    ),
)

STRONG = Policy(
    name="strong",
    steps=(
        step("flip", mode="horizontal"),
        step("rotation", factor=20 / 360),
        step("translation", height_factor=0.12, width_factor=0.12),
        step("zoom", height_factor=0.15),
        step("shear", x_factor=0.1, y_factor=0.1),
        step("brightness", factor=0.2),
        step("contrast", factor=0.3),
        step("erasing", factor=0.25, scale=(0.02, 0.2)),
        step("mixup", alpha=0.2, rate=0.5),
        step("cutmix", factor=1.0, rate=0.5),
    ),
)


def load_policy(name_or_path: str | Path) -> Policy:
    """A named policy, a TOML file, or an import string `package.module:policy`.

    Raises:
        ConfigError: if there is no such policy or file, or something in the file is wrong.
    """
    name = str(name_or_path)
    if name.lower().endswith(".toml") or Path(name).is_file():
        return _read(Path(name))
    if "/" in name:
        raise ConfigError(f"policy '{name}': no such file. A policy file ends in .toml.")
    if name.lower() not in registry.POLICIES and ":" not in name:
        line = registry.unknown(name, registry.POLICIES, kind="policy")
        raise ConfigError(f"{line[:-1]}; a .toml file; or 'package.module:name'.")
    found = registry.find(registry.POLICIES, name, kind="policy")
    if not isinstance(found, Policy):
        raise ConfigError(
            f"policy '{name}' is a {type(found).__name__}, not an augmentation Policy."
        )
    return found


def check_masks(policy: Policy) -> None:
    """Refuse a policy that would part pictures from their masks.

    Raises:
        ConfigError: naming its steps that do.
    """
    if unfit := policy.unfit_for_masks:
        raise ConfigError(
            f"policy '{policy.name}': {' and '.join(unfit)} cannot be used with masks: what "
            f"{'they do' if len(unfit) > 1 else 'it does'} to a picture is not done to its mask. "
            "Use light or standard, or a policy file without."
        )


def _read(path: Path) -> Policy:
    try:
        with path.open("rb") as file:
            data = tomllib.load(file)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ConfigError(f"policy '{path}': no such file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}.") from error
    lines, found = _parse(data)
    if lines:
        raise ConfigError(f"{path}:", lines)
    return Policy(name=path.stem, steps=found)


def _parse(data: dict[str, Any]) -> tuple[list[str], tuple[Step, ...]]:
    """Problems and steps of a policy file: first those of the old words, then the `[[step]]`s."""
    data = dict(data)
    listed, table = data.pop("step", []), data.pop(OLD_WORDS, {})
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        return ["step: should be tables, each begun with [[step]]."], ()
    if not isinstance(table, dict):
        return [f"{OLD_WORDS}: should be a table, begun with [{OLD_WORDS}]."], ()
    if not listed and not table and not data:
        return ["the file is empty. It needs [[step]] tables or ImageDataGenerator words."], ()
    old = {**table, **data}
    lines = [f"{word}: given twice." for word in data if word in table] + words.problems(old)
    found = []
    for number, entry in enumerate(listed, start=1):
        options = {key: _frozen(value) for key, value in entry.items() if key != "name"}
        name = entry.get("name")
        if not isinstance(name, str):
            lines.append(f"step {number}: 'name' is missing. Known: {', '.join(steps.known())}.")
            continue
        wrong = steps.problems(name, options)
        lines += [f"step {number}: {line}" for line in wrong]
        if not wrong:
            found.append(Step(str(steps.resolve(name)), options))
    return lines, (() if lines else (*words.steps(old), *found))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
