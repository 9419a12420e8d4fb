"""Rows without a decision, those first that people should look at first.

Shapes: N rows, K patterns or rows, C classes, R rows without a decision.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnncli.data.csvfile import frame_as_text
from dnncli.results import written
from dnncli.voting.rules import NO_DECISION, Decisions, Status

if TYPE_CHECKING:
    import polars as pl

_BLOCK = 1_000_000  # rows written at a time
_DECIMALS = 12  # to which numbers are the same


def risks(
    decisions: Decisions, positive: int, *, place: NDArray[np.integer]
) -> NDArray[np.float64]:
    """(K,) the positive class's share of the support.

    Nothing is known about a row without any vote: it has the mean risk of all rows with one.

    Args:
        decisions: of K items.
        positive: class index.
        place: (N,) item of each row.
    """
    total = decisions.support.sum(axis=1)
    known = total > 0
    share = np.divide(decisions.support[:, positive], total, out=np.zeros(len(total)), where=known)
    if not known.all():
        rows = np.bincount(place, minlength=len(total)) * known
        # Each distinct share once, so that the order of the rows does not change the last bit.
        distinct, which = np.unique(share, return_inverse=True)
        mean = distinct @ np.bincount(which, rows) / max(int(rows.sum()), 1)
        share = np.where(known, share, mean)
    return share


def review_order(
    decisions: Decisions,
    ids: "pl.Series",
    *,
    place: NDArray[np.integer],
    risk: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """(R,) rows without a decision by falling risk.

    Equal ones follow by falling mutual information of the members, then by falling entropy, then
    by id. Nothing is less certain than a row without any vote.

    Args:
        decisions: of K items.
        ids: (N,).
        place: (N,) item of each row.
        risk: (K,); None: the rest decides.
    """
    items = np.flatnonzero(decisions.decision == NO_DECISION)
    rank = np.full(len(decisions), -1, np.int64)
    rank[items] = _ranks(
        [
            # NaN: without any vote. The last bits of sums depend on the order of the classes.
            np.round(np.nan_to_num(key[items], nan=np.inf), _DECIMALS)
            for key in (risk, decisions.mutual_information, decisions.entropy)
            if key is not None
        ]
    )
    rows = np.flatnonzero(rank[place] >= 0)
    shown = ids.gather(rows)
    if not shown.is_sorted():  # sorting millions of texts takes seconds
        rows = rows[shown.arg_sort().to_numpy()]
    return rows[np.argsort(rank[place[rows]], kind="stable")]


def write_review(
    path: Path,
    decisions: Decisions,
    ids: "pl.Series",
    classes: Sequence[str],
    *,
    index: NDArray[np.integer] | None = None,
    positive: int | None = None,
) -> int:
    """Write review.csv: one line for each row without a decision, in the order of `review_order`.

    Columns: id, [risk,] status, leader, second, agreement_all, agreement_voted, entropy,
    [mutual_information,] n_votes. `leader` and `second` are the classes with the most support, of
    equal ones the first in class order; empty where nothing speaks for a class.

    Args:
        path: of the file.
        decisions: of K items.
        ids: (N,).
        classes: (C,) names.
        index: (N,) item of each row; None: the items are the rows.
        positive: class index; without it, there is no column `risk`.

    Returns:
        R, the number of lines.
    """
    import polars as pl

    place = np.arange(len(decisions)) if index is None else index
    risk = None if positive is None else risks(decisions, positive, place=place)
    order = review_order(decisions, ids, place=place, risk=risk)
    with written(path) as neighbour, neighbour.open("wb") as file:
        for start in range(0, max(len(order), 1), _BLOCK):
            rows = order[start : start + _BLOCK]
            items, item = np.unique(place[rows], return_inverse=True)
            about = _columns(decisions.take(items), classes, risk if risk is None else risk[items])
            table = pl.DataFrame({"id": ids.gather(rows)}).hstack(about[item])
            frame_as_text(table).write_csv(file, include_header=start == 0)
    return len(order)


def _ranks(keys: Sequence[NDArray[np.floating]]) -> NDArray[np.int64]:
    """Where each item stands by falling keys, from 0; those with equal keys share a rank."""
    falling = -np.stack(keys)
    order = np.lexsort(falling[::-1])
    falling = falling[:, order]
    differs = (falling[:, 1:] != falling[:, :-1]).any(axis=0)
    ranks = np.zeros(len(order), np.int64)
    ranks[order[1:]] = np.cumsum(differs)
    return ranks


def _columns(
    decisions: Decisions, classes: Sequence[str], risk: NDArray[np.float64] | None
) -> "pl.DataFrame":
    """What the queue says about each item."""
    import polars as pl

    leader, second = _first_two(decisions.support)
    columns = {}
    if risk is not None:
        columns["risk"] = pl.Series(risk)
    columns["status"] = _words([status.word for status in Status], decisions.status)
    columns["leader"] = _words(classes, leader)
    columns["second"] = _words(classes, second)
    for name in ("agreement_all", "agreement_voted", "entropy", "mutual_information", "n_votes"):
        if (values := getattr(decisions, name)) is not None:
            columns[name] = pl.Series(values)
    return pl.DataFrame(columns).fill_nan(None)


def _first_two(support: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classes with the most and the second most support; -1 where it is 0."""
    rows = np.arange(len(support))
    rest = support.copy()
    found = []
    for _ in range(2):
        best = rest.argmax(axis=1)
        found.append(np.where(rest[rows, best] > 0, best, -1))
        rest[rows, best] = 0
    return found[0], found[1]


def _words(words: Sequence[str], codes: NDArray[np.integer]) -> "pl.Series":
    """The word of each code; -1 is none."""
    import polars as pl

    return pl.Series([*words, None], dtype=pl.String).gather(
        codes.astype(np.int64) % (len(words) + 1)
    )
