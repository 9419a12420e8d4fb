"""Binds the labels of TFRecord files to class names, which may lie beside the records."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.labels import bind, by_position, read_class_names
from dnncli.errors import DataError

_LISTS = ("labels.txt", "label.labels.txt")


def bind_labels(
    numbers: Sequence[int | None],
    texts: Sequence[str | None],
    *,
    root: Path,
    folders: Iterable[Path],
    classes: Sequence[str],
    from_zero: bool,
    where: Callable[[int], str],
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Labels of records by name; a record's own text counts more than its number.

    Args:
        numbers: (N,) label of every record, or None.
        texts: (N,) class name in every record, or None.
        root: the data set, for error messages.
        folders: where lists of class names may lie.
        classes: declared order; empty: that of a list, else sorted.
        from_zero: numbers count from 0.
        where: row -> "file:record" for error messages.

    Returns:
        (N,) indices into the class names, UNLABELLED where there is neither; the class names.

    Raises:
        DataError: if numbers cannot be bound to names, or a class is not declared.
    """
    listed, source = _listed_names(folders)
    used = sorted({n for n, text in zip(numbers, texts, strict=True) if n is not None and not text})
    name_of = _name_of(
        used,
        listed or by_position(classes),
        source=source or "the declared classes",
        root=root,
        from_zero=from_zero,
    )
    names = [
        text or (None if number is None else name_of[number])
        for number, text in zip(numbers, texts, strict=True)
    ]
    order = tuple(classes)
    if not order and listed:
        known = tuple(listed.values()) if isinstance(listed, dict) else listed
        order = known if set(known) >= {name for name in names if name is not None} else ()
    if not order and not any(texts):
        order = tuple(name_of[number] for number in used)
    return bind(names, classes=order, root=root, where=where)


def _name_of(
    numbers: Sequence[int],
    names: dict[int, str] | Sequence[str],
    *,
    source: str,
    root: Path,
    from_zero: bool,
) -> dict[int, str]:
    """The class name behind every label number.

    TF-Slim numbers classes from 1 where 0 is a background class, else from 0. A plain list of
    names does not say which: it is told from the numbers that occur, or refused.

    Raises:
        DataError: if a number has no name, or it cannot be told from where the names count.
    """
    if not names or not numbers:
        return {number: str(number) for number in numbers}
    if isinstance(names, dict):
        known = names
    else:
        count, low, high = len(names), numbers[0], numbers[-1]
        first = 1 if high == count and low >= 1 and not from_zero else 0
        if not from_zero and low >= 1 and high < count and names[0] != "background":
            raise DataError(
                f"{root}: labels are {low} to {high} for the {count} names of {source}: do they "
                f"count from 0 ('{names[low]}' first) or from 1 ('{names[low - 1]}' first)? Write "
                "labels.txt with lines id:name."
            )
        known = dict(enumerate(names, start=first))
    missing = [number for number in numbers if number not in known]
    if missing:
        raise DataError(
            f"{root}: labels {', '.join(map(str, missing[:20]))} have no name in {source}, which "
            f"names {min(known)} to {max(known)}. Correct the list or the labels."
        )
    return known


def _listed_names(folders: Iterable[Path]) -> tuple[dict[int, str] | tuple[str, ...], str]:
    """Class names that lie beside the records, and the file that lists them."""
    for folder in sorted(folders):
        for name in _LISTS:
            if (folder / name).is_file():
                return read_class_names(folder / name), str(folder / name)
        for name in ("features.json", "dataset_info.json"):
            if (folder / name).is_file() and (names := _described_names(folder / name)):
                return names, str(folder / name)
    return (), ""


def _described_names(path: Path) -> tuple[str, ...]:
    """Names of the `label` feature in a description by TensorFlow Datasets; empty: none given."""
    try:
        found: list = [json.loads(path.read_text(encoding="utf-8"))]
    except ValueError as error:
        raise DataError(f"{path}: is not valid JSON: {error}.") from error
    while found:
        node = found.pop()
        if isinstance(node, dict):
            label = node.get("label")
            names = (
                label.get("names") or label.get("classLabel", {}).get("names")
                if isinstance(label, dict)
                else None
            )
            if isinstance(names, list) and all(isinstance(name, str) for name in names):
                return tuple(names)
            found += node.values()
        elif isinstance(node, list):
            found += node
    return ()
