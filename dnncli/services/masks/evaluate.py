"""Judge a run on masks or edges: predict a data set, compare, and show the worst pictures.

Shapes: H, W in pixels, C classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import NO_CLASS, judged
from dnncli.data.map_codes import VOID, MaskCode
from dnncli.data.maps import Maps, open_maps
from dnncli.errors import ConfigError
from dnncli.networks.files import read_card
from dnncli.report.mask_panels import edge_panels, legend_of, mask_panels, write_panels
from dnncli.results import Progress, written_folder
from dnncli.services.evaluation.edge_folder import write_edge_files
from dnncli.services.evaluation.edge_result import EdgeEval
from dnncli.services.evaluation.edges import EdgeOptions, evaluate_edge_maps
from dnncli.services.evaluation.folder import check_out, folder_in_run, model_file
from dnncli.services.evaluation.map_folder import write_mask_files
from dnncli.services.evaluation.map_result import MaskEval
from dnncli.services.evaluation.maps import MaskOptions, check_positive, score_masks
from dnncli.services.evaluation.remarks import chosen_on
from dnncli.services.masks.predict import names_of, write_predictions
from dnncli.services.masks.predictor import predictor, read_picture
from dnncli.services.option_problems import not_for
from dnncli.services.rows import Rows, find_model, metadata_of, open_rows

_WORST = 12  # pictures that are drawn


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which run is judged on what, and where the results go."""

    target: Path  # run folder or .keras file
    data: str | Path | None  # with masks or edges; None: that of the run
    split: str | None = None  # train, val, test or all; None: test if there is one, else all
    name: str | None = None  # of the evaluation inside the run; None: from data and split
    out: Path | None = None  # None: RUN/eval/<name>, or nowhere for a model without a run
    batch_size: int = 128  # windows predicted at a time, at most
    on_bad: str = "skip"  # unreadable pictures: "skip" or "error"


def evaluate_run_masks(asked: Asked, *, options: MaskOptions, progress: Progress) -> MaskEval:
    """The scores of a run or .keras file on the masks of a data set.

    Everything is judged as it is written: `predictions/` of the folder holds the masks, and
    `dnncli eval` gives the same scores for them.

    Raises:
        ConfigError, DataError, ModelError: what is wrong, and what to do.
    """
    classes = read_card(find_model(asked.target))["classes"]
    code = judged_classes(classes)
    check_for_run(options, classes)
    check_positive(code, options)
    with _predicted(asked, threshold=options.threshold, progress=progress) as (place, pairs, about):
        report = score_masks(
            pairs.names,
            pairs.numbers,
            code=code,
            options=options,
            names=(str(asked.target), str(pairs.chosen.dataset.root)),
            warnings=_warnings(pairs.chosen),
            progress=progress,
        )
        report = replace(report, **about)
        if report.out is not None:
            write_mask_files(place, report)
            _write_worst(place / "worst", pairs, _mask_scores(report), "Dice", progress)
    return report


def evaluate_run_edges(asked: Asked, *, options: EdgeOptions, progress: Progress) -> EdgeEval:
    """The same for a run on edges, whose grey maps are judged.

    Raises:
        ConfigError, DataError, ModelError: what is wrong, and what to do.
    """
    if options.nfc:
        raise ConfigError("eval:", not_for("runs", {"normalize-ids": True}))
    with _predicted(asked, threshold=None, progress=progress) as (place, pairs, about):
        report = evaluate_edge_maps(
            pairs.names,
            pairs.predicted,
            lambda name: [pairs.truth(name)],
            options=options,
            names=(str(asked.target), str(pairs.chosen.dataset.root)),
            warnings=_warnings(pairs.chosen),
            progress=progress,
        )
        report = replace(report, **about)
        if report.out is not None:
            write_edge_files(place, report)
            scores = {image.id: image.f for image in report.per_image}
            _write_worst(place / "worst", pairs, scores, "F", progress)
    return report


def _warnings(chosen: Rows) -> tuple[str, ...]:
    """What to know of the rows; first of all whether the model was made with them."""
    return (*chosen_on(metadata_of(chosen)), *chosen.notes)


@contextmanager
def _predicted(
    asked: Asked, *, threshold: float | None, progress: Progress
) -> Iterator[tuple[Path, "Pairs", dict[str, Any]]]:
    """Predict the rows into a folder that becomes that of the evaluation.

    Yields:
        The folder to fill, the maps to compare, and what the report says of them.
    """
    chosen = open_rows(
        asked.target,
        asked.data,
        split=asked.split,
        on_bad=asked.on_bad,
        labelled=True,
        progress=progress,
    )
    folder = folder_of(asked, chosen)
    found = predictor(chosen, batch_size=asked.batch_size, progress=progress)
    about = {
        "split": chosen.split,
        "data": chosen.dataset.fingerprint,
        "model_file": None if folder is None else model_file(asked.target),
        "out": folder,
    }
    with _filled(folder) as place:
        write_predictions(
            found,
            chosen,
            place / "predictions",
            threshold=threshold,
            metadata=metadata_of(chosen),
            progress=progress,
        )
        yield place, Pairs(chosen, place / "predictions"), about


def judged_classes(classes: Sequence[str]) -> MaskCode:
    """The classes that scores are about."""
    values = judged(classes)
    return MaskCode(
        class_names=tuple(classes[value] for value in values), values=tuple(values), binary=False
    )


def check_for_run(options: MaskOptions, classes: Sequence[str]) -> None:
    """Refuse options for masks in files, and a threshold between more than two classes.

    Raises:
        ConfigError: naming them.
    """
    given = {
        "classes": bool(options.classes),
        "binary": options.binary and options.threshold is None,
        "ignore": options.ignore is not None,
        "normalize-ids": options.nfc,
    }
    problems = not_for("runs; a model has its classes inside", given)
    if options.threshold is not None and len(classes) > 2:
        problems.append(f"--threshold: decides between two classes; the model has {len(classes)}.")
    if problems:
        raise ConfigError("eval:", problems)


def folder_of(asked: Asked, chosen: Rows) -> Path | None:
    """Where an evaluation is written; None: nowhere.

    Raises:
        ConfigError: if something else is there, or the name cannot be that of a folder.
    """
    name, out = asked.name, asked.out
    if name is not None and (name != Path(name).name or name in ("", "..")):
        raise ConfigError(f"--name '{name}': must be a plain name, it becomes a folder.")
    if out is None:
        fingerprint = chosen.dataset.fingerprint
        out = folder_in_run(
            asked.target, asked.data, name=name, split=chosen.split, data_id=fingerprint
        )
    if out is not None:
        check_out(out)
    return out


@contextmanager
def _filled(folder: Path | None) -> Iterator[Path]:
    """A folder to fill: it replaces `folder` when the block ends well, or is forgotten."""
    if folder is None:
        with TemporaryDirectory() as name:
            yield Path(name)
    else:
        with written_folder(folder) as neighbour:
            yield neighbour


class Pairs:
    """True and predicted maps of the chosen rows, by the names of the predicted ones.

    Args:
        chosen: rows of a data set with masks.
        folder: of what was predicted for them.
    """

    def __init__(self, chosen: Rows, folder: Path) -> None:
        if chosen.dataset.masks is None:
            raise ValueError("the data set must have masks.")
        self.chosen, self.masks, self.folder = chosen, chosen.dataset.masks, folder
        self.names = names_of(chosen)
        self._rows = dict(zip(self.names, chosen.rows.tolist(), strict=True))
        self._maps: Maps | None = None

    def truth(self, name: str) -> NDArray[np.uint8]:
        """(H, W) class indices, NO_CLASS where a pixel is of none."""
        return self.masks.read(self._rows[name])

    def predicted(self, name: str) -> NDArray:
        """(H, W) class indices of a mask, or shares of edges."""
        card = self.chosen.card
        if self._maps is None:
            kind = "edge" if card["task"] == "edges" else "mask"
            self._maps = open_maps(self.folder, kind=kind)  # type: ignore[arg-type]
        found = self._maps.read(name)
        if card["task"] == "edges":
            return found
        table = np.zeros(NO_CLASS + 1, np.uint8)
        table[card["values"]] = np.arange(len(card["values"]))
        return table[found]

    def numbers(self, name: str) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """True and predicted mask for the scores: class indices, VOID where a pixel is of none."""
        truth = self.truth(name)
        void = truth == NO_CLASS
        numbers = np.where(void, VOID, truth.astype(np.int64)) if void.any() else truth
        return numbers, self.predicted(name)

    def picture(self, name: str) -> NDArray:
        """(H, W, c) pixels."""
        channels = self.chosen.card["channels"]
        return read_picture(self.chosen.dataset, self._rows[name], channels=channels)


def _mask_scores(report: MaskEval) -> dict[str, float]:
    """Dice of each picture: of the class that matters, or the mean over all."""
    scores = {}
    for image in report.per_image:
        names = [report.positive] if report.positive is not None else list(image.per_class)
        dices = [image.per_class[name].dice for name in names]
        known = [dice for dice in dices if dice == dice]
        scores[image.id] = sum(known) / len(known) if known else 1.0
    return scores


def _write_worst(
    folder: Path, pairs: Pairs, scores: Mapping[str, float], what: str, progress: Progress
) -> None:
    """Draw the pictures with the lowest scores; those that are all right are left out."""
    worst = sorted((name for name in scores if scores[name] < 1), key=scores.__getitem__)[:_WORST]
    for number, name in enumerate(worst, start=1):
        file = folder / f"{number:02d}-{name.replace('/', '-')}.png"
        title = f"{name}: {what} {scores[name]:.3f}"
        picture, truth, predicted = pairs.picture(name), pairs.truth(name), pairs.predicted(name)
        if pairs.chosen.card["task"] == "edges":
            panels, legend = edge_panels(picture, truth, predicted), {}
        else:
            classes = pairs.chosen.card["classes"]
            panels = mask_panels(picture, truth, predicted, classes=classes)
            legend = legend_of(classes)
        write_panels(file, panels, title=title, legend=legend)
        progress("Drawing the worst pictures", number, len(worst))
