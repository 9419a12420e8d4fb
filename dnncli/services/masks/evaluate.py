"""Judge a run on masks: predict a data set, compare with its masks, and show the worst pictures.

Shapes: H, W in pixels, C classes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import judged
from dnncli.data.map_codes import NO_CLASS, VOID, MaskCode
from dnncli.data.maps import Maps, open_maps
from dnncli.errors import ConfigError
from dnncli.networks.files import read_card
from dnncli.report.mask_panels import legend_of, mask_panels, write_panels
from dnncli.results import Progress, written_folder
from dnncli.services.evaluation.folder import check_out, folder_in_run, model_file
from dnncli.services.evaluation.map_folder import write_mask_files
from dnncli.services.evaluation.map_result import MaskEval
from dnncli.services.evaluation.maps import MaskOptions, check_positive, score_masks
from dnncli.services.masks.predict import names_of, write_predictions
from dnncli.services.masks.predictor import predictor, read_picture
from dnncli.services.option_problems import not_for
from dnncli.services.rows import Rows, find_model, metadata_of, open_rows

_WORST = 12  # pictures that are drawn


def evaluate_run_masks(
    target: Path,
    data: str | Path | None,
    *,
    options: MaskOptions,
    split: str | None,
    name: str | None,
    out: Path | None,
    batch_size: int,
    on_bad: str,
    progress: Progress,
) -> MaskEval:
    """The scores of a run or .keras file on the masks of a data set.

    Everything is judged as it is written: `predictions/` of the folder holds the masks, and
    `dnncli eval` gives the same scores for them.

    Args:
        target: the run or model.
        data: a data set with masks; None: that of the run.
        options: of the scores.
        split: train, val, test or all; None: test if there is one, else all.
        name: of the evaluation inside the run; None: from data and split.
        out: folder for the files; None: RUN/eval/<name>, or none for a model without a run.
        batch_size: windows predicted at a time, at most.
        on_bad: unreadable pictures: "skip" or "error".
        progress: told how far it is.

    Raises:
        ConfigError, DataError, ModelError: what is wrong, and what to do.
    """
    classes = read_card(find_model(target))["classes"]
    code = judged_classes(classes)
    check_for_run(options, classes)
    check_positive(code, options)
    chosen = open_rows(target, data, split=split, on_bad=on_bad, labelled=True, progress=progress)
    folder = folder_of(target, data, chosen, name=name, out=out)
    found = predictor(chosen, batch_size=batch_size, progress=progress)
    with _filled(folder) as place:
        place.mkdir(exist_ok=True)
        write_predictions(
            found,
            chosen,
            place / "predictions",
            threshold=options.threshold,
            metadata=metadata_of(chosen),
            progress=progress,
        )
        pairs = Pairs(chosen, place / "predictions")
        report = score_masks(
            pairs.names,
            pairs.numbers,
            code=code,
            options=options,
            names=(str(target), str(chosen.dataset.root)),
            warnings=chosen.notes,
            progress=progress,
        )
        report = replace(
            report,
            split=chosen.split,
            data=chosen.dataset.fingerprint,
            model_file=None if folder is None else model_file(target),
            out=folder,
        )
        if folder is not None:
            write_mask_files(place, report)
            _write_worst(place / "worst", pairs, report, progress)
    return report


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


def folder_of(
    target: Path, data: str | Path | None, chosen: Rows, *, name: str | None, out: Path | None
) -> Path | None:
    """Where an evaluation is written; None: nowhere.

    Raises:
        ConfigError: if something else is there, or the name cannot be that of a folder.
    """
    if name is not None and (name != Path(name).name or name in ("", "..")):
        raise ConfigError(f"--name '{name}': must be a plain name, it becomes a folder.")
    if out is None:
        data_id = chosen.dataset.fingerprint
        out = folder_in_run(target, data, name=name, split=chosen.split, data_id=data_id)
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


def _write_worst(folder: Path, pairs: Pairs, report: MaskEval, progress: Progress) -> None:
    """Draw the pictures with the lowest Dice of the class that matters, or mean over all."""

    def mean(place: int) -> float:
        entries = report.per_image[place].per_class
        names = [report.positive] if report.positive is not None else list(entries)
        found = [entries[name].dice for name in names if entries[name].dice == entries[name].dice]
        return sum(found) / len(found) if found else 1.0

    scores = [mean(place) for place in range(len(report.per_image))]
    worst = sorted(range(len(scores)), key=scores.__getitem__)[:_WORST]
    worst = [place for place in worst if scores[place] < 1]
    for number, place in enumerate(worst, start=1):
        name = report.per_image[place].id
        panels = mask_panels(
            pairs.picture(name),
            pairs.truth(name),
            pairs.predicted(name),
            classes=pairs.chosen.card["classes"],
        )
        file = folder / f"{number:02d}-{name.replace('/', '-')}.png"
        write_panels(
            file,
            panels,
            title=f"{name}: Dice {scores[place]:.3f}",
            legend=legend_of(pairs.chosen.card["classes"]),
        )
        progress("Drawing the worst pictures", number, len(worst))
