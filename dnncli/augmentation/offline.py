"""Randomly changed copies of training pictures, each a function of seed, source and copy number.

Shapes: H height and W width in pixels, C channels.
"""

import csv
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.augmentation.policies import Policy
from dnncli.data.dataset import ArrayImages, Dataset
from dnncli.data.pictures import pixels
from dnncli.errors import DataError

COLUMNS = ("path", "label", "split", "group", "source", "copy", "policy", "seed", "parameters")
MANIFEST = "manifest.csv"

_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{2,4}$")

Copy = Callable[[int, int], tuple[NDArray[np.uint8], dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Enlarged:
    """A data set with each training row followed by its copies."""

    dataset: Dataset  # copies have ids of their own
    sources: NDArray[np.int64]  # (M,) row of the original data set
    copies: NDArray[np.int64]  # (M,) 0 for an original, else the number of the copy


def enlarge(dataset: Dataset, *, train: NDArray[np.bool_], copies: int) -> Enlarged:
    """Every row once, and `copies` more times where `train` (N,) says so."""
    times = np.where(train, copies + 1, 1)
    sources = np.repeat(np.arange(len(dataset)), times)
    numbers = np.concatenate([np.arange(count) for count in times])
    ids = tuple(
        _copy_id(dataset, row, number) if number else dataset.ids[row]
        for row, number in zip(sources.tolist(), numbers.tolist(), strict=True)
    )
    return Enlarged(
        dataset=replace(dataset.take(sources), ids=ids), sources=sources, copies=numbers
    )


def copy_seed(seed: int, source: str, copy: int) -> tuple[int, int]:
    """The (2,) int32 seed of one copy. It does not depend on the other pictures of the set."""
    digest = hashlib.sha256(f"{seed}\0{source}\0{copy}".encode("utf-8", "surrogateescape")).digest()
    first, second = np.frombuffer(digest[:8], "<i4").tolist()
    return first, second


def copier(dataset: Dataset, policy: Policy, *, seed: int) -> Copy:
    """The function (row, copy number) -> (H, W, C) pixels and the parameters that were drawn.

    Pictures keep their own size; grey ones stay grey.
    """
    import tensorflow as tf

    from dnncli.augmentation.apply import recorded

    @cache
    def traced(channels: int) -> Any:
        run = recorded(policy, height_width=None, channels=channels, value_range=(0.0, 255.0))
        shapes = [
            tf.TensorSpec((1, None, None, channels), tf.float32),
            tf.TensorSpec((1, 2), tf.float32),  # a label nobody looks at
            tf.TensorSpec((2,), tf.int32),
        ]
        return tf.function(run, input_signature=shapes, autograph=False)

    @lru_cache(maxsize=1)  # a picture is decoded once for all of its copies
    def source(row: int) -> NDArray[np.uint8]:
        return decoded(dataset, row)

    def copy(row: int, number: int) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        picture = source(row)
        key = np.array(copy_seed(seed, dataset.ids[row], number), np.int32)
        label = np.zeros((1, 2), np.float32)
        images, _, record = traced(picture.shape[2])(picture[None].astype(np.float32), label, key)
        return np.clip(np.rint(images[0]), 0, 255).astype(np.uint8), drawn_values(record)

    return copy


def manifest_rows(
    dataset: Dataset,
    enlarged: Enlarged,
    *,
    places: Sequence[Mapping[str, str]],
    policy: Policy,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """One row of the manifest for each picture, without the parameters of the copies.

    Copies are in the group of their source, so that no split parts them.

    Args:
        dataset: what was copied.
        enlarged: with the copies.
        places: of each picture, the columns "path" and, if it has one, "mask".
        policy: of the copies.
        seed: of the copies.
    """
    for place, source, number in zip(places, enlarged.sources, enlarged.copies, strict=True):
        group = dataset.groups[source] if dataset.groups is not None else ""
        label = {} if "mask" in place else {"label": dataset.class_names[dataset.labels[source]]}
        yield {
            **place,
            **label,
            "split": str(dataset.splits[source]),
            "group": group or dataset.ids[source],
            "source": dataset.ids[source],
            "copy": int(number),
            "policy": policy.name if number else "",
            "seed": seed if number else "",
            "parameters": "",
        }


def write_manifest(
    path: Path, rows: Iterable[Mapping[str, Any]], *, columns: Sequence[str] = COLUMNS
) -> None:
    """Write the rows as CSV; with COLUMNS, the file is a data set of its own."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        # All quoted: the csv module leaves a bare carriage return unquoted, and cannot read it.
        writer = csv.DictWriter(file, columns, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)


def _copy_id(dataset: Dataset, row: int, number: int) -> str:
    if dataset.masks is not None:  # such ids have no suffix
        return f"{dataset.ids[row]}-aug{number}"
    return f"{_SUFFIX.sub('', dataset.ids[row])}-aug{number}.png"


def decoded(dataset: Dataset, row: int) -> NDArray[np.uint8]:
    """(H, W, C) pixels of one row; grey pictures have one channel.

    Raises:
        DataError: if it cannot be decoded, naming it.
    """
    images = dataset.images
    if isinstance(images, ArrayImages):
        channels = images.channels
    else:
        channels = 1 if images.grey[row] else 3
    try:
        return pixels(images, row, channels=channels)
    except ValueError as error:
        raise DataError(
            f"{dataset.ids[row]}: {error} It cannot be copied: repair or remove it."
        ) from error


def drawn_values(record: Mapping[str, Any]) -> dict[str, bool | float]:
    """What was drawn for the first picture of a batch, as plain values."""

    def value(drawn: Any) -> bool | float:
        return bool(drawn) if drawn.dtype == np.bool_ else round(float(drawn), 6)

    return {name: value(values.numpy()[0]) for name, values in record.items()}
