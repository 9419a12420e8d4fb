"""Hard votes of several models, each combination of them counted once.

Shapes: N rows, M models, C classes, P distinct combinations ("patterns") of votes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_VOTE = -1  # the vote of a model that said nothing about a row

_MOST_DENSE = 1 << 24  # codes that are looked up in a table; more are sorted
_MOST_SHORT = 1 << 31  # codes that 32 bits hold, in half of the memory
_MOST_CODE = 1 << 62


@dataclass(frozen=True)
class Ballots:
    """Votes of M models about N rows.

    Everything that does not depend on which row is which is worked out on the patterns: there
    are at most (C + 1) ** M of them, and in practice far fewer than rows.
    """

    models: tuple[str, ...]  # (M,)
    class_names: tuple[str, ...]  # (C,)
    patterns: NDArray[np.int32]  # (P, M) class indices or NO_VOTE; no two are the same
    index: NDArray[np.int32]  # (N,) pattern of each row

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(P,) rows of each pattern."""
        return np.bincount(self.index, minlength=len(self.patterns)).astype(np.int64)

    def by_truth(self, labels: NDArray[np.integer]) -> NDArray[np.int64]:
        """(P, C) rows of each pattern, by their true class.

        Args:
            labels: (N,) class indices in [0, C); rows with a negative label are not counted.
        """
        n_classes = len(self.class_names)
        cells = self.index.astype(np.int64) * n_classes + labels
        known = labels >= 0
        if not known.all():
            cells = cells[known]
        sums = np.bincount(cells, minlength=len(self.patterns) * n_classes)
        return sums.reshape(len(self.patterns), n_classes).astype(np.int64)

    def votes(self, model: int) -> NDArray[np.int32]:
        """(N,) what one model voted for."""
        return self.patterns[:, model][self.index]

    def take(self, rows: NDArray[np.integer]) -> "Ballots":
        """The same votes of only some rows; patterns that they do not have stay, with count 0."""
        return Ballots(self.models, self.class_names, self.patterns, self.index[rows])

    def select(self, models: Sequence[int]) -> "Ballots":
        """The votes of only some models, in the given order."""
        kept = self.patterns[:, list(models)].T
        names = tuple(self.models[model] for model in models)
        smaller = encode(list(kept), names, self.class_names)
        return Ballots(names, self.class_names, smaller.patterns, smaller.index[self.index])


def encode(
    votes: Sequence[NDArray[np.integer]], models: Sequence[str], class_names: Sequence[str]
) -> Ballots:
    """Count each combination of votes once.

    Args:
        votes: M arrays (N,) of class indices in [0, C), or NO_VOTE.
        models: (M,) names.
        class_names: (C,) names.

    Raises:
        ValueError: if lengths or indices do not fit.
    """
    if len(votes) != len(models) or not votes:
        raise ValueError(f"votes must be of {len(models)} >= 1 models. Got {len(votes)}.")
    size = len(class_names) + 1
    fits = size ** len(votes) <= _MOST_SHORT
    code: NDArray[Any] = np.zeros(len(votes[0]), np.int32 if fits else np.int64)
    bound = 1  # codes are below it
    patterns, done = np.zeros((1, 0), np.int32), 0  # of the models that are renumbered already
    for place, column in enumerate(votes):
        _check(column, len(code), n_classes=size - 1)
        if bound * size > _MOST_CODE:
            code, patterns = _renumbered(code, patterns, n_new=place - done, size=size)
            bound, done = max(1, len(patterns)), place
        code *= size
        code += column
        code += 1  # NO_VOTE is -1
        bound *= size
    code, patterns = _renumbered(code, patterns, n_new=len(votes) - done, size=size)
    return Ballots(tuple(models), tuple(class_names), patterns, code.astype(np.int32, copy=False))


def _renumbered(
    code: NDArray[np.integer], patterns: NDArray[np.int32], *, n_new: int, size: int
) -> tuple[NDArray[np.integer], NDArray[np.int32]]:
    """Codes 0, 1, ... in the order of the patterns, and the patterns that they stand for.

    A code is the number of an old pattern, followed by `n_new` digits to the base `size`.
    """
    found, code = _dense(code, bound=len(patterns) * size**n_new)
    digits = np.empty((len(found), n_new), np.int32)
    for place in reversed(range(n_new)):
        found, digit = np.divmod(found, size)
        digits[:, place] = digit - 1
    return code, np.concatenate([patterns[found], digits], axis=1)


def _dense(code: NDArray[np.integer], *, bound: int) -> tuple[NDArray, NDArray[np.integer]]:
    """The distinct codes, rising, and where each row's code stands among them."""
    if bound > min(_MOST_DENSE, 16 * len(code)):
        return np.unique(code, return_inverse=True)
    seen = np.bincount(code, minlength=bound) > 0
    place = np.cumsum(seen, dtype=np.int32) - np.int32(1)
    return np.flatnonzero(seen), place[code]


def _check(column: NDArray[np.integer], n_rows: int, *, n_classes: int) -> None:
    if column.shape != (n_rows,):
        raise ValueError(f"votes must all be ({n_rows},). Got {column.shape}.")
    if n_rows and not NO_VOTE <= column.min() <= column.max() < n_classes:
        raise ValueError(
            f"votes must lie in [{NO_VOTE}, {n_classes}). Got {column.min()} to {column.max()}."
        )
