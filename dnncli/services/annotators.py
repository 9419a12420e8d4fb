"""What several annotators drew, as one map for each picture.

Shapes: N pictures, A annotators, H and W in pixels.
"""

import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from dnncli.config import Annotators
from dnncli.data.annotators import EDGES, IMAGES, Annotated, open_annotated
from dnncli.data.dataset import NO_CLASS, UNLABELLED, Dataset, Masks, Task
from dnncli.data.map_files import CLASSES_FILE
from dnncli.data.mask_pairs import EDGE_NAMES
from dnncli.data.mask_values import MIDDLE
from dnncli.data.masks import content
from dnncli.data.pictures import to_png
from dnncli.errors import ConfigError, DataError
from dnncli.registry import unknown
from dnncli.results import Progress, no_progress, write_json
from dnncli.voting.maps import MaskConsensus, MaskRule, mask_consensus, mean_map
from dnncli.voting.rules import VoteOptions

ANNOTATORS: tuple[Annotators, ...] = get_args(Annotators)

_WHITE = 255
# Edge maps are grey. What annotators dispute lies between background and edge.
_GREY = np.full(NO_CLASS + 1, MIDDLE, np.uint8)
_GREY[:2] = (0, _WHITE)


@dataclass(frozen=True, kw_only=True)
class Targets:
    """N pictures with one map each, merged when it is first asked for and kept, compressed."""

    annotated: Annotated
    how: Annotators
    k: int | None  # of at-least
    ignore_zone: bool
    _kept: dict[int, bytes] = field(default_factory=dict, repr=False)

    def read(self, row: int) -> NDArray[np.uint8]:
        """(H, W) of one picture.

        Masks hold values of classes, and `classes.void` where the annotators decide nothing. Edge
        maps hold 0 for background, 255 for edge and 128 where they decide nothing. A mean holds the
        share of the annotators, times 255.

        Raises:
            DataError: if a map cannot be read.
        """
        merged, classes = self._merged(row), self.annotated.classes
        if classes is None or self.how == "mean":
            return merged
        return _GREY[merged] if self.annotated.folder == EDGES else classes.stored(merged)

    def indices(self, row: int) -> NDArray[np.uint8]:
        """(H, W) class indices of one picture, NO_CLASS where the annotators decide nothing.

        Of a mean, what half of the annotators or more mark is of the second class.

        Raises:
            DataError: if a map cannot be read.
        """
        merged = self._merged(row)
        is_share = self.annotated.classes is None or self.how == "mean"
        return (merged >= MIDDLE).astype(np.uint8) if is_share else merged

    def _merged(self, row: int) -> NDArray[np.uint8]:
        """(H, W) class indices, or levels of grey of a mean."""
        shape = self.annotated.images.sizes[row].tolist()
        if row not in self._kept:
            self._kept[row] = zlib.compress(self._merge(row).tobytes(), level=1)
        return np.frombuffer(zlib.decompress(self._kept[row]), np.uint8).reshape(shape)

    def _merge(self, row: int) -> NDArray[np.uint8]:
        annotated = self.annotated
        if annotated.classes is None:
            return _grey(annotated.edges(row))
        if self.how == "mean":
            masks = annotated.masks(row)
            return _grey([np.where(mask == NO_CLASS, np.nan, mask) for mask in masks])
        rule = MaskRule(
            method=self.how,
            k=self.k,
            options=VoteOptions(positive=annotated.classes.foreground),
            ignore_zone=self.ignore_zone,
        )
        return consensus_of(annotated, row, rule).mask


def consensus_of(annotated: Annotated, row: int, rule: MaskRule) -> MaskConsensus:
    """Merge the masks of one picture; whoever did not draw it has no say.

    Raises:
        DataError: if a mask cannot be read.
    """
    if annotated.classes is None:
        raise ValueError("shares are averaged; only masks have a consensus.")
    return mask_consensus(
        annotated.masks(row),
        models=annotated.by(row),
        class_names=annotated.classes.names,
        rule=rule,
    )


def _grey(shares: Sequence[NDArray[np.floating]]) -> NDArray[np.uint8]:
    """(H, W) mean of maps in [0, 1] as 0 to 255; 0 where nobody says anything."""
    return np.round(np.nan_to_num(mean_map(shares).mean) * _WHITE).astype(np.uint8)


def open_targets(
    data: Path,
    *,
    annotators: str,
    annotators_k: int | None = None,
    ignore_zone: bool = False,
    classes: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Targets:
    """Open pictures whose masks or edges were drawn by several people.

    Args:
        data: as for `open_annotated`.
        annotators: majority, at-least, staple or mean: how their maps become one.
        annotators_k: of at-least: so many annotators must mark a pixel.
        ignore_zone: leave pixels undecided that they do not agree on, see `mask_consensus`.
        classes: declared for masks.
        progress: told of what is read.

    Raises:
        ConfigError: if the options do not fit together.
        DataError: if the data cannot be used.
    """
    check_annotators(annotators, annotators_k, ignore_zone=ignore_zone)
    annotated = open_annotated(data, classes=classes, progress=progress, soft=annotators == "mean")
    found = annotated.classes
    if found is not None and found.foreground is None and annotators == "mean":
        raise DataError(
            f"{data}: a mean is of two classes. Its masks have {len(found.names)}: "
            f"{', '.join(found.names[:8])}. Take majority or staple."
        )
    few = [
        f"{annotated.ids[row]}: {len(annotated.by(row))} annotators"
        for row in range(len(annotated))
        if annotators_k is not None and len(annotated.by(row)) < annotators_k
    ]
    if few:
        raise DataError(
            f"annotators_k {annotators_k}: pictures that fewer people drew. Lower it:", few
        )
    return Targets(annotated=annotated, how=annotators, k=annotators_k, ignore_zone=ignore_zone)  # type: ignore[arg-type]


def check_annotators(annotators: str, k: int | None, *, ignore_zone: bool) -> None:
    """Refuse options that do not fit together.

    Raises:
        ConfigError: saying which.
    """
    if annotators not in ANNOTATORS:
        raise ConfigError(f"annotators: {unknown(annotators, ANNOTATORS, kind='rule')}")
    if (k is not None) != (annotators == "at-least"):
        raise ConfigError(
            f"annotators {annotators}, annotators_k {k}: annotators_k is for at-least, which needs "
            "it: so many annotators must mark a pixel."
        )
    if k is not None and k < 1:
        raise ConfigError(f"annotators_k {k}: must be at least 1.")
    if ignore_zone and annotators == "mean":
        raise ConfigError(
            "ignore_zone: a mean keeps every degree of agreement. Use it with at-least, majority "
            "or staple."
        )


def annotated_dataset(targets: Targets, *, progress: Progress = no_progress) -> Dataset:
    """The pictures with one map each, as training and evaluation take them.

    Every map is merged once.

    Args:
        targets: of `open_targets`.
        progress: told how far it is.

    Raises:
        DataError: if a map cannot be read.
    """
    annotated, n_rows = targets.annotated, len(targets.annotated)
    is_edges, classes = annotated.folder == EDGES, annotated.classes
    names = EDGE_NAMES if is_edges or classes is None else classes.names
    counts = np.zeros((n_rows, len(names)), np.int64)
    digests = []
    for row in range(n_rows):
        mask = targets.indices(row)
        counts[row] = np.bincount(mask.ravel(), minlength=NO_CLASS + 1)[: len(names)]
        digests.append(content(mask))
        progress("Merging annotators", row + 1, n_rows)
    is_grey = is_edges or targets.how == "mean" or classes is None
    task: Task = "edges" if is_edges else "segment"
    return Dataset(
        kind="folder",
        root=annotated.root,
        ids=annotated.ids,
        labels=np.full(n_rows, UNLABELLED, np.int32),
        class_names=names,
        splits=np.array(annotated.splits, "<U5"),
        images=annotated.images,
        digests=annotated.digests,
        task=task,
        masks=Masks(
            source=targets.indices,
            numbers=np.arange(n_rows),
            values=(0, _WHITE) if is_grey or classes is None else classes.values,
            void=MIDDLE if is_grey or classes is None else classes.void,
            digests=tuple(digests),
            counts=counts,
        ),
    )


def write_targets(targets: Targets, out: Path, *, progress: Progress = no_progress) -> None:
    """Write the pictures as they are, and one map for each.

    Args:
        targets: pictures and maps.
        out: an empty folder; gets `[split/]images/` and `[split/]masks/`, or `edges/` or
            `labels/`, and the classes of masks in `classes.json`.
        progress: told how far it is.

    Raises:
        DataError: if a map cannot be read.
    """
    annotated = targets.annotated
    for row, stem in enumerate(annotated.stems):
        place, source = out / annotated.folders[row], Path(annotated.images.path(row))
        name = PurePosixPath(stem)
        picture = place / IMAGES / name.parent / source.name
        drawn = place / annotated.folder / name.parent / f"{name.name}.png"
        for file in (picture, drawn):
            file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, picture)
        drawn.write_bytes(to_png(targets.read(row)[..., np.newaxis]))
        progress("Merging annotators", row + 1, len(annotated))
    classes = annotated.classes
    if classes is not None and targets.how != "mean":
        is_edges = annotated.folder == EDGES
        names, void = (EDGE_NAMES, MIDDLE) if is_edges else (classes.listed, classes.void)
        write_json(out / CLASSES_FILE, {"classes": list(names), "ignore": void})
