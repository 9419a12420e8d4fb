"""What the numbers stored in masks and edge maps mean: class indices, or no class.

Shapes: H and W in pixels, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import BACKGROUND, NO_CLASS
from dnncli.data.map_classes import MapClasses, classes_of
from dnncli.data.map_codes import WHITE, Seen, numbered
from dnncli.data.map_files import CLASSES_FILE
from dnncli.data.maps import Maps
from dnncli.data.mask_pairs import EDGE_NAMES
from dnncli.data.names import listed
from dnncli.errors import ConfigError, DataError

MIDDLE = 128  # how no class is stored where 0 and 255 are classes; of edges, the least that is one

_UNKNOWN = -1
_EXAMPLE = '{"classes": ["sky", "road"], "ignore": 255}'


@dataclass(frozen=True, kw_only=True)
class MaskForm:
    """What a model knows of the masks that it learned from."""

    class_names: tuple[str, ...]  # (C,)
    values: tuple[int, ...]  # (C,) how each class is stored
    void: int  # how no class is stored


@dataclass(frozen=True, kw_only=True)
class MaskCode:
    """C classes, and which of them every stored number is."""

    class_names: tuple[str, ...]  # (C,)
    values: tuple[int, ...]  # (C,) how each class is stored
    void: int  # how no class is stored
    index: Mapping[int, int]  # number -> class index or NO_CLASS

    def indices(self, numbers: NDArray[np.integer]) -> NDArray[np.uint8]:
        """(H, W) class indices, NO_CLASS where a pixel is of no class.

        Raises:
            DataError: naming numbers that are no class.
        """
        if numbers.dtype == np.uint8:
            if not self._unknown.any() or not self._unknown[_present(numbers)].any():
                return self._table[numbers]
            unknown = self._unknown[numbers]
        else:
            found = np.full(numbers.shape, _UNKNOWN, np.int16)
            for number, index in self.index.items():
                found[numbers == number] = index
            unknown = found == _UNKNOWN
            if not unknown.any():
                return found.astype(np.uint8)
        wrong = listed([str(number) for number in np.unique(numbers[unknown]).tolist()])
        raise DataError(f"holds {wrong}; the classes are {', '.join(map(str, self.values))}.")

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        """(256,) 8-bit number -> class index or NO_CLASS, also where it is unknown."""
        table = np.full(WHITE + 1, NO_CLASS, np.uint8)
        small = {number: index for number, index in self.index.items() if number <= WHITE}
        table[list(small)] = list(small.values())
        return table

    @cached_property
    def _unknown(self) -> NDArray[np.bool_]:
        """(256,) whether an 8-bit number is no class."""
        return ~np.isin(np.arange(WHITE + 1), list(self.index))


def _present(numbers: NDArray[np.integer]) -> NDArray[np.int64]:
    """The different 8-bit numbers that occur."""
    return np.flatnonzero(np.bincount(numbers.ravel(), minlength=WHITE + 1))


def edge_code(
    sets: Sequence[Maps], seen: Sequence[Seen], *, root: Path, classes: Sequence[str]
) -> MaskCode:
    """Edges: levels of 128 and more of 255 are edge; where none is above 1, 1 is.

    Half of 255 and more is what most of several annotators mark, where levels are their mean.

    Args:
        sets: the edges of each split.
        seen: levels in 0 to 255 of each, its void level left out.
        root: of the data set, for messages.
        classes: the name of edges, or of background and edges; empty: `EDGE_NAMES`.

    Raises:
        ConfigError: if there are more than two names.
    """
    void = _void(sets, root)
    if len(classes) > len(EDGE_NAMES):
        raise ConfigError(
            f"classes {', '.join(classes)}: edges have one class and the background. Name one, "
            "or none."
        )
    names = (*EDGE_NAMES[: len(EDGE_NAMES) - len(classes)], *classes) if classes else EDGE_NAMES
    highest = max((number for source in seen for number in source.values), default=WHITE)
    least = 1 if highest == 1 else MIDDLE
    index = {level: int(level >= least) for level in range(WHITE + 1)}
    if void is not None:
        index[void] = NO_CLASS
    values = (0, 1) if least == 1 else (0, WHITE)
    other = NO_CLASS if least == 1 else MIDDLE
    return MaskCode(
        class_names=tuple(names),
        values=values,
        void=other if void is None else void,
        index=index,
    )


def mask_code_of(
    sets: Sequence[Maps],
    seen: Sequence[Seen],
    *,
    root: Path,
    classes: Sequence[str] = (),
    like: MaskForm | None = None,
) -> MaskCode:
    """The classes of masks: those of a model, those that are declared, or those that occur.

    Classes are bound by name where the masks have names, else by number.

    Args:
        sets: the masks of each split.
        seen: the numbers of each, its void value left out.
        root: of the data set, for messages.
        classes: that the user declared.
        like: what a model learned from.

    Raises:
        ConfigError, DataError: if the masks do not fit to each other or to what is declared.
    """
    _check_small(seen, root)
    void = _void(sets, root)
    named = next((maps.class_names for maps in sets if maps.class_names), ())
    if like is None and classes and named:
        by_name = _by_name(named, void)
        if set(classes) <= set(by_name):
            like = MaskForm(
                class_names=tuple(classes),
                values=tuple(by_name[name] for name in classes),
                void=NO_CLASS if void is None else void,
            )
    if like is not None:
        return _bound(seen, like, named=named, void=void, root=root)
    if len(classes) > 1 and classes[0] == BACKGROUND and all(map(str.isdecimal, classes[1:])):
        classes = classes[1:]  # what such masks were called when nothing was declared
    if void is not None:
        sets = [replace(maps, void=void) for maps in sets]
    if str(WHITE) in classes:
        raise ConfigError(
            f"classes {', '.join(classes)}: 255 stands for no class. Masks of 0 and 255 need no "
            "classes: they are background and foreground."
        )
    try:
        found = classes_of(sets, seen, declared=classes)
    except DataError as error:
        # Options that `eval` has for single masks are no help here.
        levels = len(set().union(*(source.values for source in seen)))
        lines = error.problems or (f"{levels} different numbers",)
        raise DataError(
            f"{root}: the numbers in the masks are not those of classes. Save 0 and 255, "
            "or 0, 1, 2 ...; or name the classes, and a number that is none, in a "
            f"{CLASSES_FILE} beside them, {_EXAMPLE}; shares of 255 belong in a folder edges:",
            lines,
        ) from error
    return _found(found, seen, void)


def _check_small(seen: Sequence[Seen], root: Path) -> None:
    """Refuse numbers that 8 bits cannot hold, such as the white of 16-bit pictures."""
    lines = [
        f"{source.path}: {number} (first in '{source.values[number]}')."
        for source in seen
        for number in sorted(source.values)
        if number > WHITE
    ]
    if lines:
        raise DataError(
            f"{root}: masks hold numbers above 255. Save masks with 8 bits, a foreground as 255, "
            "classes as 0, 1, 2 ...:",
            lines,
        )


def _void(sets: Sequence[Maps], root: Path) -> int | None:
    """The declared number that is no class."""
    voids = sorted({maps.void for maps in sets if maps.void is not None})
    if len(voids) > 1:
        lines = [f"{maps.path}: {maps.void}" for maps in sets if maps.void is not None]
        raise DataError(f"{root}: classes.json of the splits ignore different numbers:", lines)
    return voids[0] if voids else None


def _by_name(named: Sequence[str], void: int | None) -> dict[str, int]:
    """Name -> number, from the names that lie beside masks."""
    return {name: number for name, number in zip(*numbered(named)) if number != void}


def _found(classes: MapClasses, seen: Sequence[Seen], void: int | None) -> MaskCode:
    index = {number: place for place, number in enumerate(classes.values)}
    values, other = classes.values, classes.void
    if classes.is_white:
        index[WHITE] = index[1]
        if any(WHITE in source.values for source in seen):
            values = (0, WHITE)
            other = MIDDLE if void is None else void
    if void is not None:
        index[void] = NO_CLASS
    return MaskCode(class_names=classes.names, values=values, void=other, index=index)


def _bound(
    seen: Sequence[Seen], like: MaskForm, *, named: Sequence[str], void: int | None, root: Path
) -> MaskCode:
    """The classes of a model, found in masks by name or number."""
    places = {name: place for place, name in enumerate(like.class_names)}
    present = set().union(*(source.values for source in seen))
    by_name = _by_name(named, void)
    if named and not _are_unnamed(like, by_name):
        index = {number: places[name] for name, number in by_name.items() if name in places}
        if like.class_names[0] == BACKGROUND and BACKGROUND not in by_name:
            index.setdefault(0, 0)
    else:
        index = {number: place for place, number in enumerate(like.values)}
    names = {number: name for name, number in by_name.items()}
    if void is not None:
        index[void] = NO_CLASS
    if len(places) == len(EDGE_NAMES):
        _fold(index, present)
    index.setdefault(like.void, NO_CLASS)
    lines = [
        f"{source.path}: {_called(number, names)} (first in '{source.values[number]}')."
        for source in seen
        for number in sorted(set(source.values) - set(index))
    ]
    if lines:
        known = [
            _called(number, dict(zip(like.values, like.class_names))) for number in like.values
        ]
        raise DataError(
            f"{root}: masks hold numbers that are none of the classes {listed(known)}. Name the "
            f"classes, and a number that is none, in a {CLASSES_FILE} beside the masks, "
            f"{_EXAMPLE}:",
            lines,
        )
    return MaskCode(class_names=like.class_names, values=like.values, void=like.void, index=index)


def _are_unnamed(like: MaskForm, by_name: Mapping[str, int]) -> bool:
    """Whether a model learned two classes without names, so that only numbers can be compared."""
    return like.class_names == (BACKGROUND, "foreground") and len(by_name) <= len(EDGE_NAMES)


def _fold(index: dict[int, int], present: set[int]) -> None:
    """Take 255 as 1, or 1 as 255, where masks of two classes hold only one of them beside 0."""
    for stored, known in ((WHITE, 1), (1, WHITE)):
        if stored in present and stored not in index and present <= {0, stored} and known in index:
            index[stored] = index[known]


def _called(number: int, names: Mapping[int, str]) -> str:
    name = names.get(number, str(number))
    return name if name == str(number) else f"{number} ({name})"
