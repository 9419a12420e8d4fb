"""Opens predicted edge maps and the edges of one or several annotators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.maps import Maps, match_maps, open_maps
from dnncli.errors import DataError
from dnncli.results import Progress

_EDGE = 0.5  # of grey edges: the share of annotators who drew a pixel
_WHOLE = tuple(1 / np.iinfo(kind).max for kind in (np.uint8, np.uint16))  # what a stored 1 becomes


@dataclass(frozen=True, kw_only=True)
class EdgeFiles:
    """N pictures with a predicted map and the edges of some annotators."""

    ids: tuple[str, ...]  # (N,)
    predicted: Maps
    drawn: Sequence[Maps]  # each annotator
    warnings: tuple[str, ...]

    def truths(self, map_id: str) -> list[NDArray[np.bool_]]:
        """What each annotator of one picture drew, (H, W)."""
        return [as_edges(maps.read(map_id))[0] for maps in self.drawn if map_id in maps.shapes]


def open_edges(target: Path, truth: Path, *, nfc: bool, progress: Progress) -> EdgeFiles:
    """Open maps and truth, and read everything once, so that matching cannot fail later.

    Args:
        target: folder or .npz of maps.
        truth: the same of edges; or a folder of such folders, one for each annotator, of whom each
            may lack pictures.
        nfc: bring ids to Unicode form NFC.
        progress: told of what is read.

    Raises:
        DataError: naming what is missing, unreadable or of another size.
    """
    predicted = open_maps(target, kind="edge", nfc=nfc, progress=progress)
    drawn = [
        open_maps(place, kind="edge", nfc=nfc, progress=progress)
        for place in _annotators(truth, predicted) or [truth]
    ]
    ids = {map_id for maps in drawn for map_id in maps.ids}
    spare = set(predicted.ids) - ids
    warnings = []
    for maps in drawn:
        wanted = _only(predicted, {*maps.ids, *spare})
        warnings += match_maps(maps, [wanted], extra="leave")
    found = EdgeFiles(ids=tuple(sorted(ids)), predicted=predicted, drawn=drawn, warnings=())
    return replace(found, warnings=(*dict.fromkeys(warnings), *_read_all(found, progress)))


def as_edges(values: NDArray[np.floating]) -> tuple[NDArray[np.bool_], bool]:
    """Which pixels of a map in [0, 1] are edges, and whether it held anything between.

    A pixel is one from 0.5 on: at least half of the annotators drew it. Pictures that hold nothing
    but 0 and the whole number 1 say it by 1.
    """
    between = values[(values > 0) & (values < 1)]
    if len(between) and any((between == one).all() for one in _WHOLE) and values.max() < 1:
        return values > 0, False
    return values >= _EDGE, bool(len(between))


def _annotators(truth: Path, predicted: Maps) -> list[Path]:
    """The folders of annotators; folders that the predictions have, too, are ordinary ones."""
    if not truth.is_dir():
        return []
    entries = [entry for entry in truth.iterdir() if not entry.name.startswith(".")]
    folders = sorted(entry for entry in entries if entry.is_dir())
    own = {map_id.partition("/")[0] for map_id in predicted.ids if "/" in map_id}
    stems = {map_id for map_id in predicted.ids if "/" not in map_id}
    has_maps = any(entry.is_file() and entry.stem in stems for entry in entries)
    if has_maps or any(folder.name in own for folder in folders):
        return []
    return folders


def _only(maps: Maps, ids: set[str]) -> Maps:
    kept: Mapping[str, tuple[int, int]] = {
        name: shape for name, shape in maps.shapes.items() if name in ids
    }
    return replace(maps, ids=tuple(name for name in maps.ids if name in ids), shapes=kept)


def _read_all(found: EdgeFiles, progress: Progress) -> list[str]:
    """Read every map once.

    Returns:
        What a reader of the scores should know of the truth.

    Raises:
        DataError: naming maps that cannot be read.
    """
    problems = []
    grey = touched = kept = 0
    for done, map_id in enumerate(found.ids, start=1):
        for maps in (found.predicted, *found.drawn):
            if map_id not in maps.shapes:
                continue
            try:
                values = maps.read(map_id)
            except DataError as error:
                problems.append(str(error))
                continue
            if maps is not found.predicted:
                edges, is_grey = as_edges(values)
                grey += is_grey
                touched += int((values > 0).sum())
                kept += int(edges.sum())
        progress("Reading edges", done, len(found.ids))
    if problems:
        raise DataError("Maps that cannot be used:", problems)
    if not grey:
        return []
    return [
        f"{grey} of {sum(len(maps.ids) for maps in found.drawn)} true maps are grey: an edge is "
        f"what is 0.5 or more, {kept / touched:.1%} of the pixels that are not 0. People rarely "
        "draw an edge on the same pixel: better give a folder of edges for each."
    ]
