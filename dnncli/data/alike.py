"""Finds equal keys among very many, in little memory."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray


def equal_rows(keys: Sequence[Hashable]) -> list[list[int]]:
    """Groups of two and more rows with equal keys, each in row order, by their first rows.

    A dictionary of all keys takes more memory than the keys; here sorted hashes rule out all keys
    that stand alone, and only the others are compared.

    Args:
        keys: (N,) text, bytes or numbers.
    """
    hashes = np.fromiter(map(hash, keys), np.int64, len(keys))
    same: dict[Hashable, list[int]] = defaultdict(list)
    for row in _repeated(hashes).tolist():
        same[keys[row]].append(row)
    return [rows for rows in same.values() if len(rows) > 1]


def _repeated(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows, in order, whose number occurs in another row, too."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    equal = ordered[1:] == ordered[:-1]
    twice = np.zeros(len(numbers), bool)
    twice[order[1:][equal]] = True
    twice[order[:-1][equal]] = True
    return np.flatnonzero(twice)
