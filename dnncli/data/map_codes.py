"""What the numbers in masks mean: which classes they are, and which number is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import ConfigError, DataError

VOID = -1  # no class: not to be judged in a truth, undecided in a prediction
LARGEST = 2**31 - 1  # number of a class
WHITE = 255  # what a foreground pixel is in pictures of masks

_MOST_UNDECLARED = 64  # different numbers

_BINARY = (
    "--binary takes 0 as background, 1 and 255 as foreground; --classes 0,255 takes the numbers "
    "as they are; --ignore 255 leaves out pixels that are 255"
)
_FEW = 2  # classes; of more, numbers up to 255 may be levels of grey
_GREY = (
    "Grey edges and probabilities have no classes: eval scores edges by --edges and decides "
    "probabilities by --threshold, consensus averages by --method mean."
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The numbers of one source of masks; its void value is left out."""

    path: Path
    values: Mapping[int, str]  # number -> id of the first mask that holds it


@dataclass(frozen=True, kw_only=True)
class MaskCode:
    """C classes and their numbers. 0 is the background, whether it is one of the classes or not."""

    class_names: tuple[str, ...]  # (C,)
    values: tuple[int, ...]  # (C,) the number of each class
    binary: bool  # 255 stands for 1
    note: str = ""  # what was assumed

    def folded(self, values: NDArray) -> NDArray:
        """Numbers of masks as numbers of classes."""
        return np.where(values == WHITE, 1, values) if self.binary else values


def mask_code(
    seen: Sequence[Seen],
    *,
    classes: Sequence[str] = (),
    declared: Sequence[str] = (),
    binary: bool = False,
    void: int | None = None,
) -> MaskCode:
    """The classes of masks, and whether all their numbers are known.

    Classes that are all numbers are those numbers. Names are the numbers 0, 1, ... in order; one
    name alone is that of 1, the foreground. Where nothing is declared, masks of 0 and 255, or of 0
    and 1, have one class, `foreground`; in others every number that occurs is a class. 255 is the
    foreground where it can be nothing else.

    Args:
        seen: the numbers of every source.
        classes: that the user declared.
        declared: names by number that the files declare.
        binary: 0 is background, 1 and 255 are foreground.
        void: the number that is no class, so no name is needed for it.

    Raises:
        ConfigError: if the classes do not fit.
        DataError: naming numbers that are no class, and where they are.
    """
    present = sorted(set().union(*(source.values for source in seen)))
    note = ""
    if not binary and WHITE in present and _is_two_valued(seen, classes or declared, void):
        binary = True
        note = "255 is taken as the foreground (--binary): masks hold 0 and 255 only."
    if binary:
        return _binary_code(seen, classes or declared, void=void, note=note)
    if not (classes or declared):
        _check_undeclared(seen, present)
        names, numbers = _by_number(present)
        known = set(present) - {WHITE}
    else:
        names, numbers = numbered(classes or declared)
        known = {0, *numbers}
        if len(set(numbers)) < len(numbers):
            raise ConfigError(f"--classes: two of {', '.join(names)} are the same number.")
        if max(numbers) > LARGEST:
            raise ConfigError(f"--classes: {max(numbers)} is too large. At most {LARGEST}.")
    if void in numbers:
        place = numbers.index(void)
        names.pop(place)
        numbers.pop(place)
    if not names:
        raise ConfigError(f"{void} is to be ignored, and the masks have no other class to judge.")
    _check(seen, known, names, numbers)
    return MaskCode(class_names=tuple(names), values=tuple(numbers), binary=False)


def _is_two_valued(seen: Sequence[Seen], classes: Sequence[str], void: int | None) -> bool:
    """Whether 255 can only be the foreground.

    Masks that hold 0 and 255 alone say so. Beside masks of 0 and 1 it takes names for one or two
    classes: the numbers could be those of different classes.
    """
    sources = [set(source.values) for source in seen]
    if not classes:
        return all(values <= {0, WHITE} for values in sources)
    names = [name for place, name in enumerate(classes) if place != void]
    are_names = not all(name.isdecimal() for name in names)
    allowed = all(values <= {0, WHITE} or values <= {0, 1} for values in sources)
    return len(names) <= 2 and are_names and allowed


def _check_undeclared(seen: Sequence[Seen], present: Sequence[int]) -> None:
    """Refuse to call every grey level of a picture a class."""
    if len(present) > _MOST_UNDECLARED:
        most = max(seen, key=lambda source: len(source.values))
        raise DataError(
            f"{most.path}: {len(most.values)} different numbers, from {min(most.values)} to "
            f"{max(most.values)}, too many for class numbers. Edge maps are judged by eval "
            "--edges, other shares by eval --threshold 0.5, and both are joined by consensus "
            "--method mean; if they are classes, "
            "declare --classes."
        )


def _by_number(present: Sequence[int]) -> tuple[list[str], list[int]]:
    if set(present) <= {0, 1}:
        return ["foreground"], [1]
    return [str(number) for number in present], list(present)


def numbered(classes: Sequence[str]) -> tuple[list[str], list[int]]:
    """Names of classes and their numbers: their own, or 0, 1, ...; one name alone is that of 1."""
    if all(name.isdecimal() for name in classes):
        return list(classes), [int(name) for name in classes]
    start = 1 if len(classes) == 1 else 0
    return list(classes), list(range(start, start + len(classes)))


def _binary_code(
    seen: Sequence[Seen], classes: Sequence[str], *, void: int | None, note: str
) -> MaskCode:
    names = [name for place, name in enumerate(classes) if place != void] or ["foreground"]
    if len(names) > 2:
        raise ConfigError(
            f"--binary: has a background and one class, not {len(names)}: {', '.join(names)}. "
            "Name the foreground, or both."
        )
    _check(seen, {0, 1, WHITE}, names, [])
    both = [source for source in seen if {1, WHITE} <= set(source.values)]
    if both:
        raise DataError(
            f"{both[0].path}: holds 1 ('{both[0].values[1]}') and 255 ('{both[0].values[WHITE]}'); "
            "--binary would take both as foreground. If 255 means undecided or void, say "
            "--ignore 255."
        )
    numbers = (1,) if len(names) == 1 else (0, 1)
    return MaskCode(class_names=tuple(names), values=numbers, binary=True, note=note)


def _check(
    seen: Sequence[Seen], known: set[int], names: Sequence[str], numbers: Sequence[int]
) -> None:
    lines = []
    white = False
    for source in seen:
        unknown = sorted(set(source.values) - known)
        white |= WHITE in unknown
        lines += [
            f"{source.path}: {number} is no class (first in '{source.values[number]}')."
            for number in unknown
        ]
    if not lines:
        return
    some = [_called(name, number) for name, number in zip(names, numbers)]
    if 0 not in numbers:
        some = ["0 (background)", *some]
    hint = f" {_BINARY}." if white else ""
    if white and len(numbers) > _FEW:
        hint += f" {_GREY}"
    raise DataError(
        f"Masks hold numbers that are no class. Known: {', '.join(some)}.{hint} "
        "Declare all classes with --classes, or a number that is none with --ignore:",
        lines,
    )


def _called(name: str, number: int) -> str:
    return name if name == str(number) else f"{number} ({name})"


def first_ids(pairs: Mapping[str, NDArray[Any]]) -> dict[int, str]:
    """Number -> the first id that holds it, from the numbers of each map; VOID is left out."""
    found: dict[int, str] = {}
    for name, values in pairs.items():
        for number in np.unique(values).tolist():
            if number != VOID:
                found.setdefault(number, name)
    return found
