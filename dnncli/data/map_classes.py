"""Masks of several models or people as class indices, and merged masks as stored numbers.

Shapes: C classes, H and W in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import BACKGROUND, NO_CLASS
from dnncli.data.map_codes import WHITE, Seen, mask_code
from dnncli.data.maps import Maps
from dnncli.errors import ConfigError, DataError
from dnncli.results import Progress, no_progress

_UNKNOWN = -1


@dataclass(frozen=True, kw_only=True)
class MapClasses:
    """The classes of masks, the background included."""

    names: tuple[str, ...]  # (C,)
    values: tuple[int, ...]  # (C,) in the masks, and in those that are stored
    judged: tuple[int, ...]  # indices of the classes that scores are about
    listed: tuple[str, ...]  # names to store, of the values 0, 1, ...; empty: values have none
    is_white: bool  # 255 stands for 1
    void: int  # the stored value that is no class

    @property
    def foreground(self) -> int | None:
        """Index of the class that is not the ground, where there are two."""
        return 1 if len(self.names) == 2 else None

    def indices(self, maps: Maps, map_id: str) -> NDArray[np.uint8]:
        """(H, W) class indices of one mask, NO_CLASS where it is void.

        Raises:
            DataError: naming values that are no class.
        """
        mask = maps.read(map_id)
        if mask.dtype == np.uint8:
            indices = _table(self.values, self.is_white, maps.void)[mask]
            if (indices != _UNKNOWN).all():
                return indices.astype(np.uint8)
        else:
            indices = np.full(mask.shape, _UNKNOWN, np.int16)
            for index, value in enumerate(self.values):
                indices[mask == value] = index
            if maps.void is not None:
                indices[mask == maps.void] = NO_CLASS
            if (indices != _UNKNOWN).all():
                return indices.astype(np.uint8)
        wrong = np.unique(mask[indices == _UNKNOWN]).tolist()
        shown = ", ".join(map(str, wrong[:5])) + (", ..." if len(wrong) > 5 else "")
        known = ", ".join(map(str, self.values))
        raise DataError(f"{maps.path}: '{map_id}' holds {shown}; the classes are {known}.")

    def stored(self, indices: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W) values from class indices, `void` where these are NO_CLASS."""
        table = np.full(NO_CLASS + 1, self.void, np.uint8)
        table[: len(self.values)] = self.values
        return table[indices]


@cache
def _table(values: tuple[int, ...], is_white: bool, void: int | None) -> NDArray[np.int16]:
    """(256,) value -> class index, NO_CLASS or _UNKNOWN."""
    table = np.full(WHITE + 1, _UNKNOWN, np.int16)
    table[list(values)] = range(len(values))
    if is_white:
        table[WHITE] = values.index(1)
    if void is not None and void <= WHITE:
        table[void] = NO_CLASS
    return table


def find_classes(
    sets: Sequence[Maps],
    *,
    declared: Sequence[str] = (),
    binary: bool = False,
    progress: Progress = no_progress,
) -> MapClasses:
    """The classes of several sets of masks, as `mask_code` has them, and the background.

    Every mask is read once.

    Args:
        sets: of models or people.
        declared: names or values; they stand above those that lie beside the masks.
        binary: 0 is background, 1 and 255 are foreground.
        progress: told of the masks read.

    Raises:
        ConfigError, DataError: if the masks do not fit to each other or to what is declared.
    """
    return classes_of(sets, _seen(sets, progress), declared=declared, binary=binary)


def classes_of(
    sets: Sequence[Maps],
    seen: Sequence[Seen],
    *,
    declared: Sequence[str] = (),
    binary: bool = False,
) -> MapClasses:
    """`find_classes` where the masks are read already.

    Args:
        sets: of models or people.
        seen: the numbers of each set but its void value.
        declared: as for `find_classes`.
        binary: as for `find_classes`.
    """
    whose = next((maps for maps in sets if maps.class_names), sets[0])
    if not declared:
        check_alike(sets)
    voids = [maps.void for maps in sets if maps.void is not None]
    void = whose.void if whose.void is not None else min(voids, default=None)
    code = mask_code(seen, classes=declared, declared=whose.class_names, binary=binary, void=void)
    if max(code.values, default=0) >= NO_CLASS:
        raise ConfigError(
            f"classes: masks are merged with values below {NO_CLASS}, which marks pixels that stay "
            f"undecided. Got {max(code.values)}. If 255 is the foreground, say --binary."
        )
    names, values = code.class_names, code.values
    if 0 not in values and void != 0:
        names, values = (BACKGROUND if BACKGROUND not in names else "0", *names), (0, *values)
    are_numbers = all(name == str(value) for name, value in zip(code.class_names, code.values))
    return MapClasses(
        names=names,
        values=values,
        judged=tuple(names.index(name) for name in code.class_names),
        listed=() if are_numbers else tuple(declared) or whose.class_names or code.class_names,
        is_white=code.binary,
        void=NO_CLASS if void is None or void > NO_CLASS else void,
    )


def check_alike(sets: Sequence[Maps]) -> None:
    """Raise DataError if sets declare different classes."""
    named = [maps for maps in sets if maps.class_names]
    classes = [
        [name for place, name in enumerate(maps.class_names) if place != maps.void]
        for maps in named
    ]
    if any(len(names) == 1 for names in classes):  # a name alone is that of the foreground
        classes = [names[-1:] if len(names) == 2 else names for names in classes]
    if any(names != classes[0] for names in classes):
        lines = [f"{maps.path}: {', '.join(maps.class_names)}" for maps in named]
        raise DataError("Classes differ. Say which hold with --classes:", lines)


def _seen(sets: Sequence[Maps], progress: Progress) -> list[Seen]:
    """The values of each set, and where each was met first."""
    found = []
    total, done = sum(len(maps.ids) for maps in sets), 0
    for maps in sets:
        values: dict[int, str] = {}
        for map_id in maps.ids:
            for value in _distinct(maps.read(map_id)):
                values.setdefault(value, map_id)
            done += 1
            progress("Looking at masks", done, total)
        values.pop(-1 if maps.void is None else maps.void, None)
        found.append(Seen(path=maps.path, values=values))
    return found


def _distinct(mask: NDArray[np.integer]) -> list[int]:
    if mask.dtype == np.uint8:  # counting is many times faster than sorting
        return np.flatnonzero(np.bincount(mask.ravel(), minlength=WHITE + 1)).tolist()
    return np.unique(mask).tolist()
