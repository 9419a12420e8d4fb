"""Rows without a decision, those first that people should look at first.

Shapes: N rows, K patterns or rows, C classes, R rows without a decision.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnncli.results import Progress, no_progress, written
from dnncli.voting.rules import NO_DECISION, Decisions, Status

if TYPE_CHECKING:
    import polars as pl

_BLOCK = 1_000_000  # rows written at a time


def review_order(
    decisions: Decisions,
    ids: "pl.Series",
    *,
    index: NDArray[np.integer] | None = None,
    positive: int | None = None,
) -> NDArray[np.int64]:
    """(R,) rows without a decision by falling risk.

    Risk is the positive class's share of the support. Equal ones follow by falling mutual
    information of the members, then by falling entropy, then by id. About a row without any vote
    nothing is known: it has the mean risk of all rows that have one, and the highest entropy.

    Args:
        decisions: of K items.
        ids: (N,).
        index: (N,) item of each row; None: the items are the rows.
        positive: class index; None: there is no risk, and the rest decides.
    """
    import polars as pl

    place = np.arange(len(decisions)) if index is None else index
    open_items = np.flatnonzero(decisions.decision == NO_DECISION)
    rank = np.full(len(decisions), -1, np.int64)
    rank[open_items] = _ranks(decisions, open_items, place, positive)
    rows = np.flatnonzero(rank[place] >= 0)
    table = pl.DataFrame({"rank": rank[place[rows]], "id": ids.gather(rows), "row": rows})
    return table.sort("rank", "id")["row"].to_numpy()


def risks(
    decisions: Decisions, positive: int, *, place: NDArray[np.integer]
) -> NDArray[np.float64]:
    """(K,) the positive class's share of the support; see `review_order`.

    Args:
        decisions: of K items.
        positive: class index.
        place: (N,) item of each row.
    """
    total = decisions.support.sum(axis=1)
    known = total > 0
    share = np.divide(decisions.support[:, positive], total, out=np.zeros(len(total)), where=known)
    rows = np.bincount(place, minlength=len(total))
    return np.where(known, share, (share @ rows) / max(int(rows[known].sum()), 1))


def write_review(
    path: Path,
    decisions: Decisions,
    ids: "pl.Series",
    classes: Sequence[str],
    *,
    index: NDArray[np.integer] | None = None,
    positive: int | None = None,
    progress: Progress = no_progress,
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
        progress: told of the rows written.

    Returns:
        R, the number of lines.
    """
    order = review_order(decisions, ids, index=index, positive=positive)
    place = np.arange(len(decisions)) if index is None else index
    risk = None if positive is None else risks(decisions, positive, place=place)
    with written(path) as neighbour, neighbour.open("wb") as file:
        for start in range(0, max(len(order), 1), _BLOCK):
            rows = order[start : start + _BLOCK]
            items = place[rows]
            table = _lines(
                decisions.take(items), ids.gather(rows), classes,
                risk=None if risk is None else risk[items],
            )  # fmt: skip
            table.write_csv(file, include_header=start == 0)
            progress("Writing the review queue", start + len(rows), len(order))
    return len(order)


def _ranks(
    decisions: Decisions,
    items: NDArray[np.int64],
    place: NDArray[np.integer],
    positive: int | None,
) -> NDArray[np.int64]:
    """Where each item stands, from 0; items that nothing tells apart share a rank."""
    keys = []
    if positive is not None:
        keys.append(risks(decisions, positive, place=place)[items])
    if decisions.mutual_information is not None:
        keys.append(decisions.mutual_information[items])
    keys.append(decisions.entropy[items])
    # NaN: without any vote; nothing is less certain.
    falling = np.stack([-np.nan_to_num(key, nan=np.inf) for key in keys])
    order = np.lexsort(falling[::-1])
    differs = np.append(0, (np.diff(falling[:, order], axis=1) != 0).any(axis=0))
    ranks = np.empty(len(items), np.int64)
    ranks[order] = np.cumsum(differs[: len(items)])
    return ranks


def _lines(
    decisions: Decisions,
    ids: "pl.Series",
    classes: Sequence[str],
    *,
    risk: NDArray[np.float64] | None,
) -> "pl.DataFrame":
    import polars as pl

    leader, second = _first_two(decisions.support)
    columns = {"id": ids}
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
