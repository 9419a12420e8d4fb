"""The folder of a consensus of maps: what is written into it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnncli.data.map_writer import write_maps
from dnncli.results import Progress, write_json, written_folder
from dnncli.services.ensemble.folder import REPORT, check_out
from dnncli.services.ensemble.map_merge import MapReport, MaskMerger, ValueMerger
from dnncli.services.evaluation.folder import write_csv

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
        write_csv(neighbour / "decisions.csv", _lines(found.per_image))
        write_json(neighbour / REPORT, found)
        write_json(neighbour / "agreement.json", found.agreement)
    return found


def _lines(pictures: Sequence[MapReport]) -> Iterator[list[Any]]:
    """One line per picture."""
    words = list(pictures[0].status_counts) if pictures else []
    is_mask = bool(words)
    yield ["id", "pixels", "coverage", "agreement" if is_mask else "spread", *words]
    for picture in pictures:
        share = picture.agreement if is_mask else picture.spread
        counts = picture.status_counts.values()
        yield [picture.id, picture.pixels, picture.coverage, share, *counts]
