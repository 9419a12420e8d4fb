"""Writes a data set as TFRecord files with the keys of TF-Slim."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from dnncli.data.dataset import SPLITS, Dataset
from dnncli.data.example_proto import Value, serialise, write_record
from dnncli.data.header import look
from dnncli.data.labels import write_class_names
from dnncli.data.records import GROUP, WEIGHT, split_of
from dnncli.errors import DataError
from dnncli.results import Progress, no_progress


def write_records(
    dataset: Dataset,
    out: Path,
    *,
    name: str,
    shards: int = 1,
    picture: Callable[[int], bytes],
    progress: Progress = no_progress,
) -> list[Path]:
    """Write `NAME-train.tfrecord-00000-of-0000N` and so on, and `labels.txt`, into a folder.

    Rows keep their order; each shard holds the next part of its split.

    Args:
        out: an empty folder.
        name: first part of the file names.
        shards: files for each split; fewer if a split has fewer rows.
        picture: row -> encoded picture.

    Returns:
        The TFRecord files.

    Raises:
        DataError: if a class name has a line break, or a picture cannot be read.
    """
    if split_of(out / f"{name}.tfrecord"):
        name = "data"  # or "my-train" would turn rows without a split into training rows
    files, done = [], 0
    for split in ("", *SPLITS):
        rows = dataset.rows(split)
        parts = np.array_split(rows, min(shards, len(rows))) if len(rows) else []
        for number, part in enumerate(parts):
            suffix = f"-{split}" if split else ""
            file = out / f"{name}{suffix}.tfrecord-{number:05d}-of-{len(parts):05d}"
            with file.open("wb") as opened:
                for row in part.tolist():
                    write_record(opened, serialise(_features(dataset, row, picture(row))))
                    done += 1
                    if done % 64 == 0 or done == len(dataset):
                        progress("Writing records", done, len(dataset))
            files.append(file)
    if dataset.class_names:
        write_class_names(out / "labels.txt", dataset.class_names, numbered=True)
    return files


def _features(dataset: Dataset, row: int, data: bytes) -> dict[str, Value]:
    seen = look(data)
    if seen.problem:
        raise DataError(f"{dataset.ids[row]}: {seen.problem} It could be read before.")
    features: dict[str, Value] = {
        "image/encoded": [data],
        "image/format": [seen.format.lower().encode()],
        "image/colorspace": [b"Grayscale" if seen.grey else b"RGB"],
        "image/height": [seen.height],
        "image/width": [seen.width],
        "image/filename": [dataset.ids[row].encode()],
    }
    label = int(dataset.labels[row])
    if label >= 0:
        features["image/class/label"] = [label]
        features["image/class/text"] = [dataset.class_names[label].encode()]
    if dataset.groups is not None and dataset.groups[row]:
        features[GROUP] = [dataset.groups[row].encode()]
    if dataset.weights is not None:
        features[WEIGHT] = [float(dataset.weights[row])]
    return features
