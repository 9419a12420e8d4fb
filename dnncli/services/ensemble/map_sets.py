"""What a consensus of maps joins: the maps of several models or people, matched by id.

Shapes: M models, K pictures, H and W in pixels.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import NO_CLASS
from dnncli.data.map_classes import MapClasses, find_classes
from dnncli.data.maps import MapKind, Maps, match_maps, open_maps
from dnncli.errors import DataError
from dnncli.results import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class MapSets:
    """M sets of maps of K pictures, in the order of their names."""

    names: tuple[str, ...]  # (M,)
    sets: tuple[Maps, ...]
    ids: tuple[str, ...]  # (K,) of all sets together
    classes: MapClasses | None  # of masks
    truth: Maps | None  # of some of the pictures
    warnings: tuple[str, ...]

    def masks(self, map_id: str) -> list[NDArray[np.uint8]]:
        """M masks (H, W) of class indices; all NO_CLASS of a model that has none.

        Raises:
            DataError: if a mask holds a value that is no class.
        """
        if self.classes is None:
            raise ValueError("only sets of masks have masks.")
        shape = next(maps.shapes[map_id] for maps in self.sets if map_id in maps.shapes)
        nothing = np.full(shape, NO_CLASS, np.uint8)
        return [
            self.classes.indices(maps, map_id) if map_id in maps.shapes else nothing
            for maps in self.sets
        ]

    def true_mask(self, map_id: str) -> NDArray[np.uint8] | None:
        """(H, W) class indices of the truth, NO_CLASS where it is void; None: not known."""
        if self.truth is None or self.classes is None or map_id not in self.truth.shapes:
            return None
        return self.classes.indices(self.truth, map_id)

    def values(self, map_id: str) -> list[NDArray[np.floating]]:
        """M maps (H, W); all NaN of a model that has none."""
        shape = next(maps.shapes[map_id] for maps in self.sets if map_id in maps.shapes)
        nothing = np.full(shape, np.nan)
        return [maps.read(map_id) if map_id in maps.shapes else nothing for maps in self.sets]


def open_sets(
    targets: Sequence[Path],
    *,
    kind: MapKind,
    truth: Path | None = None,
    classes: Sequence[str] = (),
    binary: bool = False,
    ignore: int | None = None,
    partial: bool = False,
    nfc: bool = False,
    progress: Progress = no_progress,
) -> MapSets:
    """Open the maps of all models and match them.

    Args:
        targets: M folders or .npz files.
        kind: of all of them.
        truth: masks of some of the pictures.
        classes: declared for masks; empty: see `find_classes`.
        binary: in masks, 0 is background, 1 and 255 are foreground.
        ignore: value of masks that is no class; None: as the masks declare.
        partial: a model may lack pictures.
        nfc: ids may differ in Unicode form.
        progress: told of what is read.

    Raises:
        ConfigError, DataError: what does not fit, before anything is merged.
    """

    def opened_maps(target: Path) -> Maps:
        maps = open_maps(target, kind=kind, nfc=nfc, progress=progress)
        return maps if ignore is None else replace(maps, void=ignore)

    opened = [opened_maps(target) for target in targets]
    names = _names(opened)
    order = sorted(range(len(opened)), key=names.__getitem__)
    sets = [opened[place] for place in order]
    if partial:
        _check_shapes(sets)
    else:
        match_maps(sets[0], sets[1:])
    together = _together(sets)
    known, warnings = None, list[str]()
    if truth is not None:
        known = opened_maps(truth)
        warnings = match_maps(known, [together], extra="leave")
    judged = _with_named_void([*sets, *filter(None, [known])])
    return MapSets(
        names=tuple(names[place] for place in order),
        sets=tuple(judged[: len(sets)]),
        ids=together.ids,
        classes=find_classes(judged, declared=classes, binary=binary, progress=progress)
        if kind == "mask"
        else None,
        truth=None if known is None else judged[-1],
        warnings=tuple(warnings),
    )


def _with_named_void(sets: Sequence[Maps]) -> list[Maps]:
    """A void class among the names of one set has that number in those without names, too."""
    named = {
        maps.void for maps in sets if maps.void is not None and maps.void < len(maps.class_names)
    }
    if len(named) != 1:
        return list(sets)
    void = named.pop()
    return [
        maps if maps.class_names or maps.void is not None else replace(maps, void=void)
        for maps in sets
    ]


def _together(sets: Sequence[Maps]) -> Maps:
    """The first set, as if it had the maps of all."""
    shapes = {map_id: shape for maps in reversed(sets) for map_id, shape in maps.shapes.items()}
    return replace(sets[0], ids=tuple(sorted(shapes)), shapes=shapes)


def _names(sets: Sequence[Maps]) -> list[str]:
    """The models' names; where these are equal, with the folder that they lie in."""
    names = [maps.name for maps in sets]
    if len(set(names)) == len(names):
        return names
    names = [f"{maps.path.absolute().parent.name}/{maps.name}" for maps in sets]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        lines = [f"'{name}': {maps.path}" for name, maps in zip(names, sets) if name in twice]
        raise DataError("Two models have the same name. Rename a folder:", lines)
    return names


def _check_shapes(sets: Sequence[Maps]) -> None:
    lines = []
    for map_id in _together(sets).ids:
        found = {maps.shapes[map_id]: maps for maps in sets if map_id in maps.shapes}
        if len(found) > 1:
            sizes = [f"{w} x {h} pixels in {maps.path}" for (h, w), maps in found.items()]
            lines.append(f"'{map_id}': {', '.join(sizes)}")
    if lines:
        raise DataError(
            "Maps of one id must have the same size. Resize them by nearest neighbour:", lines
        )
