"""Predict the masks or edges of a data set, at the size of its pictures.

Shapes: H, W in pixels, C classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import NO_CLASS
from dnncli.data.map_writer import write_maps
from dnncli.errors import ConfigError
from dnncli.results import Progress, no_progress, write_json, written_folder
from dnncli.services.masks.predictor import (
    FOREGROUND,
    MaskPredictor,
    decided,
    eight_bit,
    predictor,
    views_of,
)
from dnncli.services.out_folder import check_replaceable
from dnncli.services.rows import ALL, Rows, metadata_of, open_rows

SCHEMA = "dnncli.predict/1"
ABOUT = "predict.json"  # in a folder of maps: where they come from

_NO_MAPS = (".csv", ".parquet", ".png")
_EDGE = 0.5  # share from which a pixel is counted as an edge


@dataclass(frozen=True, kw_only=True)
class MaskPredictions:
    """What was predicted, and where it went."""

    schema: str
    kind: str  # "masks"; or "edges" or "probabilities": shares of the last class
    out: Path
    n: int
    classes: tuple[str, ...]
    split: str
    pixels: int
    counts: dict[str, int]  # pixels decided for each class; of edges at 0.5
    metadata: dict[str, Any]  # of model and data
    notes: tuple[str, ...]


def predict_masks(
    target: str | Path,
    data: str | Path | None = None,
    *,
    out: str | Path = "predictions",
    split: str | None = None,
    tta: int = 0,
    batch_size: int = 128,
    on_bad: str = "skip",
    overwrite: bool = False,
    probabilities: bool = False,
    progress: Progress = no_progress,
) -> MaskPredictions:
    """Predict a data set and write its masks, or shares of every pixel.

    Args:
        target: a run folder (its best.keras), or a .keras file written by dnncli.
        data: a data set, with masks or without, or a folder of pictures; None: that of the run.
        out: a folder, which gets one PNG per picture under the picture's name; or an .npz file.
        split: train, val, test or all. None: test if the data set has one, else all rows.
        tta: views of every picture to take the mean of: the picture and its flips.
        batch_size: windows of a picture at a time, at most; memory only.
        on_bad: unreadable pictures: "skip" or "error".
        overwrite: replace earlier predictions.
        probabilities: instead of masks, the share of the foreground; of several classes, a folder
            for each.
        progress: told how far it is.

    Raises:
        DataError, ModelError, ConfigError: what does not fit, and what to do.
    """
    folder = Path(out)
    check_maps_out(folder, overwrite=overwrite)
    chosen = open_rows(target, data, split=split, on_bad=on_bad, progress=progress)
    if probabilities and len(chosen.card["classes"]) > 2 and folder.suffix == ".npz":
        raise ConfigError(
            f"--out {out}: an .npz holds one map per picture. Name a folder for the probabilities "
            f"of {len(chosen.card['classes'])} classes."
        )
    found = predictor(chosen, tta=tta, batch_size=batch_size, progress=progress)
    about = metadata_of(chosen)
    about |= {"views": [view.name for view in views_of(chosen.card, tta)]} if tta else {}
    return write_predictions(
        found, chosen, folder, probabilities=probabilities, metadata=about, progress=progress
    )


def check_maps_out(out: Path, *, overwrite: bool) -> None:
    """Refuse what is no folder or .npz, and what would replace anything but predictions.

    Raises:
        ConfigError: saying what to give.
    """
    if out.suffix in _NO_MAPS:
        raise ConfigError(
            f"--out {out}: masks and edges are written as a folder of PNGs, or as .npz."
        )
    if out.suffix == ".npz":
        if out.exists() and not overwrite:
            raise ConfigError(f"--out {out}: exists already. Give another name, or --overwrite.")
        return
    check_replaceable(out, file=ABOUT, schema=SCHEMA, what="folder of predictions")
    if (out / ABOUT).exists() and not overwrite:
        raise ConfigError(f"--out {out}: exists already. Give another name, or --overwrite.")


def write_predictions(
    found: MaskPredictor,
    chosen: Rows,
    out: Path,
    *,
    probabilities: bool = False,
    threshold: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
) -> MaskPredictions:
    """Predict the chosen rows one by one and write each as it comes; all of them or none.

    Args:
        found: the model at work on the data set of `chosen`.
        chosen: the rows.
        out: a folder that may be replaced, or an .npz file.
        probabilities: shares instead of classes; those of edges always are.
        threshold: of two classes, the second if and only if its share is at least this.
        metadata: of model and data, for `predict.json`.
        progress: told how many are done.
    """
    card = chosen.card
    classes = tuple(card["classes"])
    is_shares = probabilities or card["task"] == "edges"
    tally = np.zeros(len(classes), np.int64)

    def result() -> MaskPredictions:
        return MaskPredictions(
            schema=SCHEMA,
            kind="edges" if card["task"] == "edges" else "probabilities" if is_shares else "masks",
            out=out,
            n=len(chosen.rows),
            classes=classes,
            split=chosen.split,
            pixels=int(tally.sum()),
            counts=dict(zip(classes, tally.tolist(), strict=True)),
            metadata=dict(metadata or {}),
            notes=chosen.notes,
        )

    if is_shares and len(classes) > 2:
        with written_folder(out) as neighbour:
            _write_classes(found, chosen, neighbour, tally=tally, progress=progress)
            write_json(neighbour / ABOUT, result())
        return result()
    maps = _maps(
        found, chosen, is_shares=is_shares, threshold=threshold, tally=tally, progress=progress
    )
    names = () if is_shares else listed_names(classes, card["values"], card["void"])
    void = card["void"] if card["void"] < len(names) else None
    if out.suffix == ".npz":
        write_maps(out, maps, class_names=names, void=void)
        return result()
    with written_folder(out) as neighbour:
        write_maps(neighbour, _as_pictures(maps), class_names=names, void=void)
        write_json(neighbour / ABOUT, result())
    return result()


def _maps(
    found: MaskPredictor,
    chosen: Rows,
    *,
    is_shares: bool,
    threshold: float | None,
    tally: NDArray[np.int64],
    progress: Progress,
) -> Iterator[tuple[str, NDArray]]:
    """Id and map of every row: stored values (H, W) uint8, or shares (H, W) float32."""
    values = stored_values(chosen.card)
    names = names_of(chosen)
    for done, (name, row) in enumerate(zip(names, chosen.rows.tolist(), strict=True), start=1):
        if is_shares:
            shares = found.shares(row)
            above = int((shares >= _EDGE).sum())
            tally += [shares.size - above, above]
            yield name, shares
        else:
            indices = found.indices(row, threshold=threshold)
            tally += np.bincount(indices.ravel(), minlength=len(tally))
            yield name, values[indices]
        progress("Predicting", done, len(chosen.rows))


def _as_pictures(maps: Iterator[tuple[str, NDArray]]) -> Iterator[tuple[str, NDArray]]:
    for name, values in maps:
        yield name, eight_bit(values) if values.dtype.kind == "f" else values


def _write_classes(
    found: MaskPredictor,
    chosen: Rows,
    folder: Path,
    *,
    tally: NDArray[np.int64],
    progress: Progress,
) -> None:
    """A folder of grey pictures for each class, named as it is; every picture is predicted once."""
    from PIL import Image

    for done, (name, row) in enumerate(zip(names_of(chosen), chosen.rows.tolist()), start=1):
        grey = []
        for strip in found.strips(row):
            tally += np.bincount(decided(strip).ravel(), minlength=len(tally))
            grey.append(eight_bit(strip))
        for index, class_name in enumerate(chosen.card["classes"]):
            file = folder / _as_folder(class_name) / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.concatenate([strip[..., index] for strip in grey])).save(file)
        progress("Predicting", done, len(chosen.rows))


def _as_folder(class_name: str) -> str:
    """A class name as the name of a folder."""
    name = class_name.replace("/", "_").replace("\\", "_").replace("\0", "_")
    return name if name.strip(".") else "_" * max(len(name), 1)


def names_of(chosen: Rows) -> Sequence[str]:
    """(n,) what the maps of the chosen rows are called: their ids.

    Of the rows of one split, without the folder of the split: `test/a/7` is `a/7`, as
    DATA/test/masks has it.
    """
    ids = [chosen.dataset.ids[row] for row in chosen.rows]
    prefix = f"{chosen.split}/"
    if chosen.split != ALL and all(name.startswith(prefix) for name in ids):
        return [name.removeprefix(prefix) for name in ids]
    return ids


def stored_values(card: Mapping[str, Any]) -> NDArray[np.uint8]:
    """(256,) the value of each class in masks, and of all other indices that of no class."""
    table = np.full(NO_CLASS + 1, card["void"], np.uint8)
    table[: len(card["values"])] = card["values"]
    return table


def listed_names(
    classes: Sequence[str], values: Sequence[int], void: int | None
) -> tuple[str, ...]:
    """Names of the values 0, 1, ... of masks, as `classes.json` lists them; empty: numbers do.

    Of two classes, the one that is not the background is listed alone: the other has no name in
    masks of 0 and 255, which say nothing of their classes.
    """
    if all(name == str(value) for name, value in zip(classes, values, strict=True)):
        return ()
    if len(classes) == 2 and values[FOREGROUND] in (1, 255):
        return (classes[FOREGROUND],)
    named = dict(zip(values, classes, strict=True))
    if void is not None and void <= max(values) + 1:
        named[void] = "void" if "void" not in classes else f"void {void}"
    return tuple(named.get(value, str(value)) for value in range(max(named) + 1))
