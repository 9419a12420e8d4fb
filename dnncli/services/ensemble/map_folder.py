"""The folder of a consensus of maps: what is written into it."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnncli.data.map_writer import write_maps
from dnncli.results import Progress, write_json, write_text, written_folder
from dnncli.services.ensemble.folder import REPORT, check_out
from dnncli.services.ensemble.map_merge import MapReport, MaskMerger, ValueMerger

if TYPE_CHECKING:
    from dnncli.services.ensemble.maps import MapsResult


def write_map_folder(
    folder: Path,
    merger: MaskMerger | ValueMerger,
    *,
    result: Callable[[], "MapsResult"],
    progress: Progress,
) -> "MapsResult":
    """Merge the maps and write them as they come; an earlier folder is replaced as a whole.

    Args:
        folder: where to.
        merger: makes the maps.
        result: gives what they came to, when all are made.
        progress: told how far it is.

    Raises:
        ConfigError: if something else is there.
        DataError: if a map cannot be read or written.
    """
    check_out(folder)
    kind = merger.sets.sets[0].kind
    with written_folder(folder) as neighbour:
        place = neighbour / ("maps.npz" if kind == "value" else "maps")
        if isinstance(merger, MaskMerger):
            stored = merger.classes
            write_maps(place, merger.maps(progress), class_names=stored.listed, void=stored.void)
        else:
            write_maps(place, merger.maps(progress))
        found = result()
        write_text(neighbour / "decisions.csv", _table(found.per_image))
        write_json(neighbour / REPORT, found)
        write_json(neighbour / "agreement.json", found.agreement)
    return found


def _table(pictures: Sequence[MapReport]) -> str:
    """One line per picture; undefined values are empty cells."""
    words = list(pictures[0].status_counts) if pictures else []
    is_mask = bool(words)
    columns = ["id", "pixels", "coverage", "agreement" if is_mask else "spread", *words]
    rows: list[list[Any]] = [columns]
    for picture in pictures:
        share = picture.agreement if is_mask else picture.spread
        cell = "" if share is None or share != share else share
        counts = picture.status_counts.values()
        rows.append([picture.id, picture.pixels, picture.coverage, cell, *counts])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
