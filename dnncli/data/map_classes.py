"""What the numbers in masks mean: which values are classes, which one is none.

Shapes: C classes, H and W in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dnncli.data.maps import Maps
from dnncli.errors import ConfigError, DataError
from dnncli.results import Progress, no_progress

VOID = 255  # no class, unless masks are 0/255 or declare another value
BINARY = ("background", "foreground")  # what masks of 0 and 255 mean

_MOST_CLASSES = VOID
_MOST_VALUES = 64  # undeclared; more are no classes but shares
_NO_CLASS = -1


@dataclass(frozen=True, kw_only=True)
class MapClasses:
    """The classes of masks."""

    names: tuple[str, ...]  # (C,)
    values: tuple[int, ...]  # (C,) in the masks
    void: int | None = VOID  # a value that is no class
    listed: tuple[str, ...] = ()  # names of the values 0, 1, ..., the void one included

    @property
    def foreground(self) -> int | None:
        """Index of the class that is not the ground, where there are two."""
        return 1 if len(self.names) == 2 else None

    @property
    def as_stored(self) -> "MapClasses":
        """The same for masks that can also say of a pixel that it is of no class.

        Masks of 0 and 255 cannot; they become 0 and 1.
        """
        if self.void is not None:
            return self
        return MapClasses(names=self.names, values=(0, 1), listed=self.names)

    def stored(self, indices: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W) values of `as_stored` from class indices, where 255 is no class."""
        classes = self.as_stored
        table = np.full(VOID + 1, classes.void, np.uint8)
        table[: len(classes.values)] = classes.values
        return table[indices]

    @cached_property
    def _table(self) -> NDArray[np.int16]:
        table = np.full(VOID + 1, _NO_CLASS, np.int16)
        if self.void is not None and self.void <= VOID:
            table[self.void] = VOID
        table[list(self.values)] = range(len(self.values))
        return table

    def indices(self, mask: NDArray[np.integer]) -> NDArray[np.uint8]:
        """(H, W) class indices of a mask, 255 where it is void.

        Raises:
            DataError: naming values that are no class.
        """
        low, high = int(mask.min(initial=0)), int(mask.max(initial=0))
        if low >= 0 and high <= VOID:
            indices = self._table[mask]
            if (indices != _NO_CLASS).all():
                return indices.astype(np.uint8)
        wrong = sorted(set(np.unique(mask).tolist()) - {*self.values, self.void})
        shown = ", ".join(map(str, wrong[:5])) + (", ..." if len(wrong) > 5 else "")
        hint = ""
        if VOID in wrong and self.values != (0, VOID):
            hint = " Are these masks of 0 and 255? Then declare --classes 0,255."
        raise DataError(f"holds {shown}. Classes are {self._known()}.{hint}")

    def _known(self) -> str:
        pairs = [
            name if name == str(value) else f"{value} ({name})"
            for name, value in zip(self.names, self.values)
        ]
        return ", ".join(pairs[:20]) + (", ..." if len(pairs) > 20 else "")


def declared_classes(names: Sequence[str], *, void: int | None = None) -> MapClasses:
    """The classes that names stand for: values if all are whole numbers, else 0, 1, ...

    Args:
        names: in their order.
        void: value that is no class; None: 255 if it is free.

    Raises:
        ConfigError: if there are too many, or one occurs twice.
    """
    numbers = [int(name) for name in names if name.isascii() and name.isdigit()]
    are_values = len(numbers) == len(names)
    values = tuple(numbers) if are_values else tuple(range(len(names)))
    if len(set(values)) < len(values) or len(set(names)) < len(names):
        raise ConfigError("--classes: a class is declared twice. Name every class once.")
    if len(values) > _MOST_CLASSES or max(values, default=0) > VOID:
        raise ConfigError(
            f"--classes: masks are merged with at most {_MOST_CLASSES} classes, of values up to "
            f"{VOID}. Got {len(values)}, up to {max(values)}."
        )
    if void is None and VOID not in values:
        void = VOID
    kept = {name: value for name, value in zip(names, values) if value != void}
    return MapClasses(
        names=tuple(kept),
        values=tuple(kept.values()),
        void=void,
        listed=() if are_values else tuple(names),
    )


def find_classes(
    sets: Sequence[Maps], *, declared: Sequence[str] = (), progress: Progress = no_progress
) -> MapClasses:
    """The classes of several sets of masks: as declared, else as their values say.

    If nothing declares them, every mask is read: every value is a class but 255. Sets that hold
    only 0 and 255 have two classes, whether or not these are named.

    Args:
        sets: of models or people.
        declared: names; they stand above those that lie beside the masks.
        progress: told of the masks read.

    Raises:
        ConfigError: as `declared_classes`.
        DataError: if sets declare different classes, mix 0/255 with class numbers, or hold shares.
    """
    if declared:
        return _named(declared, None, sets, progress)
    beside = {(maps.class_names, maps.void): maps for maps in sets if maps.class_names}
    if len(beside) > 1:
        lines = [f"{maps.path}: {', '.join(names)}" for (names, _), maps in beside.items()]
        raise DataError("Masks declare different classes. Say which hold by --classes:", lines)
    for names, void in beside:
        return _named(names, void, sets, progress)
    voids = {maps.void for maps in sets if maps.void is not None}
    if len(voids) > 1:
        lines = [f"{maps.path}: {maps.void}" for maps in sets]
        raise DataError("Masks declare different values that are no class:", lines)
    found = _values(sets, progress)
    together = set().union(*found.values())
    if VOID in together and together <= {0, VOID}:
        return MapClasses(names=BINARY, values=(0, VOID), void=None, listed=BINARY)
    _check_mixed(found, together)
    void = min(voids, default=VOID)
    values = tuple(sorted(together - {VOID, void}))
    if len(values) > _MOST_VALUES or max(values, default=0) > VOID:
        raise DataError(
            f"{sets[0].path}: {len(values)} values from {values[0]} to {values[-1]} are no class "
            "numbers. For edge maps and probabilities take --method mean; else declare --classes."
        )
    return MapClasses(names=tuple(map(str, values)), values=values, void=void)


def _named(
    names: Sequence[str], void: int | None, sets: Sequence[Maps], progress: Progress
) -> MapClasses:
    """Classes that are declared; two names may be those of 0 and 255."""
    classes = declared_classes(names, void=void)
    if len(names) != 2 or void is not None or all(name.isdigit() for name in names):
        return classes
    if set().union(*_values(sets, progress).values()) <= {0, VOID}:
        return MapClasses(names=tuple(names), values=(0, VOID), void=None, listed=tuple(names))
    return classes


def _values(sets: Sequence[Maps], progress: Progress) -> dict[str, set[int]]:
    """The values of each set."""
    found: dict[str, set[int]] = {str(maps.path): set() for maps in sets}
    total, done = sum(len(maps.ids) for maps in sets), 0
    for maps in sets:
        for map_id in maps.ids:
            found[str(maps.path)] |= _distinct(maps.read(map_id)) - {maps.void}
            done += 1
            progress("Looking at masks", done, total)
    return found


def _distinct(mask: NDArray[np.integer]) -> set[int]:
    if mask.dtype == np.uint8:  # counting is many times faster than sorting
        return set(np.flatnonzero(np.bincount(mask.ravel(), minlength=VOID + 1)).tolist())
    return set(np.unique(mask).tolist())


def _check_mixed(found: dict[str, set[int]], together: set[int]) -> None:
    """Refuse 255 as foreground in one set and as no class in others."""
    binary = [name for name, values in found.items() if values == {0, VOID}]
    if binary and together - {0, VOID}:
        lines = [
            f"{name}: {', '.join(map(str, sorted(values)[:8]))}" for name, values in found.items()
        ]
        raise DataError(
            "Masks of 0 and 255 beside masks of class numbers. Save them alike, or declare the "
            "classes (255 is then no class):",
            lines,
        )
