"""How many people annotated each picture, and how far they agree.

Shapes: N pictures, A annotators, P patterns of votes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.annotators import EDGES, Annotated, open_annotated
from dnncli.errors import DataError
from dnncli.results import Progress, no_progress
from dnncli.services.annotators import consensus_of
from dnncli.services.ensemble.agreed import AgreementReport
from dnncli.services.ensemble.map_tally import Tally
from dnncli.voting.maps import MaskRule


@dataclass(frozen=True, kw_only=True)
class AnnotatorReport:
    """Pictures with maps of several people, as `dnncli data inspect` tells of them."""

    schema: str
    root: Path
    kind: str  # "annotators"
    folder: str  # "masks", "edges" or "labels"
    classes: tuple[str, ...]  # empty: edges that are grey
    splits: dict[str, int]  # split -> pictures; "" where none is declared
    sizes: dict[str, int]  # height x width -> pictures, the most frequent first
    annotators: dict[str, int]  # name -> pictures that they drew
    per_picture: dict[int, int]  # number of annotators -> pictures
    agreement: AgreementReport | None  # of all pixels; None if the maps are grey
    ties: float | None  # share of the pixels with as many votes for one class as for another
    marked: dict[int, float]  # k -> share of the pixels that k annotators or more mark; two classes
    disputed: float | None  # share of the pixels that annotators see differently
    notes: tuple[str, ...]


def inspect_annotated(
    data: Path, *, classes: Sequence[str] = (), progress: Progress = no_progress
) -> AnnotatorReport:
    """Open pictures that several people drew maps for, and compare the maps pixel by pixel.

    Args:
        data: as for `open_annotated`.
        classes: declared for masks.
        progress: told how far it is.

    Raises:
        DataError: if the data cannot be used.
    """
    annotated, notes = _opened(data, classes, progress)
    sizes = Counter(f"{height} x {width}" for height, width in annotated.images.sizes.tolist())
    drawn = [annotated.by(row) for row in range(len(annotated))]
    tally = ties = None
    if annotated.classes is not None:
        tally, ties = _compared(annotated, progress)
    found = None if tally is None else tally.agreement()
    few = sum(len(names) < 2 for names in drawn)
    if annotated.folder == EDGES:
        notes = (*notes, "Edges that are drawn a pixel apart count as different.")
    if few:
        notes = (*notes, f"{few} pictures were drawn by one annotator only.")
    return AnnotatorReport(
        schema="dnncli.inspect/1",
        root=data,
        kind="annotators",
        folder=annotated.folder,
        classes=annotated.classes.names if annotated.classes else (),
        splits=dict(Counter(annotated.splits)),
        sizes=dict(sizes.most_common()),
        annotators={name: sum(name in by for by in drawn) for name in annotated.annotators},
        per_picture=dict(sorted(Counter(map(len, drawn)).items())),
        agreement=found,
        ties=ties,
        marked={} if tally is None else _marked(annotated, tally),
        disputed=None if found is None else 1 - found.unanimous,
        notes=notes,
    )


def _opened(
    data: Path, classes: Sequence[str], progress: Progress
) -> tuple[Annotated, tuple[str, ...]]:
    """The data set; edges with many values are opened as grey ones."""
    try:
        annotated = open_annotated(data, classes=classes, progress=progress)
    except DataError:
        annotated = open_annotated(data, soft=True, classes=classes, progress=progress)
        if annotated.classes is not None:
            raise
        return annotated, ("The edges are grey: they can be merged by mean only.",)
    return annotated, ()


def _compared(annotated: Annotated, progress: Progress) -> tuple[Tally, float]:
    """The votes of all pixels, and the share of ties."""
    tally = Tally(annotated.annotators, len(annotated.classes.names) if annotated.classes else 0)
    ties = pixels = 0
    for row in range(len(annotated)):
        found = consensus_of(annotated, row, MaskRule())
        tally.add(found.ballots)
        ties += found.status_counts["tie"]
        pixels += found.mask.size
        progress("Comparing annotators", row + 1, len(annotated))
    return tally, ties / pixels


def _marked(annotated: Annotated, tally: Tally) -> dict[int, float]:
    """k -> share of the pixels that k annotators or more mark as foreground."""
    if annotated.classes is None or annotated.classes.foreground is None:
        return {}
    votes: NDArray[np.int64] = (tally.patterns == annotated.classes.foreground).sum(axis=1)
    total = int(tally.counts.sum())
    return {
        k: int(tally.counts[votes >= k].sum()) / total
        for k in range(1, int(votes.max(initial=0)) + 1)
    }
