"""The folder of an evaluation of masks."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dnncli.results import write_json, written_folder
from dnncli.services.evaluation.folder import METRICS, check_out, write_confusion, write_csv
from dnncli.services.evaluation.map_result import MaskEval

_SCORES = ("dice", "iou", "precision", "recall")
_COUNTS = ("tp", "fp", "fn", "support", "predicted")
_IMAGES = ("n_defined", "n_correctly_empty", "n_missed", "n_false_alarms")


def write_mask_folder(folder: Path, report: MaskEval) -> None:
    """Write the files of an evaluation; an earlier one is replaced as a whole.

    Raises:
        ConfigError: if something else is there.
    """
    check_out(folder)
    with written_folder(folder) as neighbour:
        write_mask_files(neighbour, report)


def write_mask_files(folder: Path, report: MaskEval) -> None:
    """Write metrics.json, per_class.csv, per_image.csv and confusion.csv; undefined = empty."""
    write_json(folder / METRICS, report)
    write_csv(folder / "per_class.csv", _per_class(report))
    write_csv(folder / "per_image.csv", _per_image(report))
    write_confusion(folder, report.confusion)


def _per_class(report: MaskEval) -> Iterable[list[Any]]:
    betas = list(report.pooled.micro.f)
    images = ("image_dice", "image_iou", *_IMAGES)
    near = ("outline_f", "outline_image_f", "whole_f", "whole_image_f")
    yield ["class", "value", *_SCORES, *(f"f{beta}" for beta in betas), *_COUNTS, *images, *near]
    for name, entry in report.per_class.items():
        cells = [getattr(entry, key) for key in _SCORES]
        cells += [entry.f[beta] for beta in betas]
        cells += [getattr(entry, key) for key in _COUNTS]
        cells += [getattr(entry.images, key) for key in ("dice", "iou", *_IMAGES)]
        parts = (report.near[name].outline, report.near[name].whole)
        cells += [value for part in parts for value in (part.f, part.image_f)]
        yield [name, report.values[name], *cells]


def _per_image(report: MaskEval) -> Iterable[list[Any]]:
    """One line for each picture and class."""
    yield ["id", "class", "dice", "iou", "tp", "fp", "fn", "pixels", "ignored", "undecided"]
    for image in report.per_image:
        for name, entry in image.per_class.items():
            cells = [entry.dice, entry.iou, entry.tp, entry.fp, entry.fn]
            yield [image.id, name, *cells, image.pixels, image.ignored, image.undecided]
