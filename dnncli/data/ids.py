"""Row ids as one polars column of text: made, checked, and found again in another file."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnncli.data.names import near
from dnncli.errors import SHOWN, DataError

if TYPE_CHECKING:
    import polars as pl

MISSING = -1  # the row of an id that is not there

_BLOCK = 2**20  # ids compared at a time: copies stay small
_SEARCHED = 100_000  # ids searched for one that differs only in form; more would take seconds


def as_ids(names: Iterable[str]) -> "pl.Series":
    """The ids of a table.

    Text that is not valid Unicode (file names that cannot be decoded) gets backslash escapes.
    """
    import polars as pl

    return pl.Series("id", [valid_text(name) for name in names], dtype=pl.String)


def valid_text(name: str) -> str:
    """`name` with what is not valid Unicode as backslash escapes."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def check_ids(path: Path, ids: "pl.Series") -> None:
    """Raise DataError if a row has no id, or two rows have the same."""
    empty = (ids.is_null() | (ids == "")).arg_true()
    if len(empty):
        lines = [f"row {row + 1}" for row in empty.head(SHOWN)]
        raise DataError(f"{path}: rows without an id:", counted(lines, len(empty)))
    if are_unique(ids):
        return
    counts = ids.value_counts(name="times", sort=True)
    twice = counts.filter(counts["times"] > 1)
    lines = [f"'{name}' {times} times" for name, times in twice.head(SHOWN).iter_rows()]
    raise DataError(
        f"{path}: ids that occur more than once. Keep one row of each:", counted(lines, len(twice))
    )


def are_unique(ids: "pl.Series") -> bool:
    """Whether no text occurs twice; there must be no nulls."""
    if bool((ids.slice(1) > ids.head(-1)).all()):  # sorted: one pass is enough
        return True
    # Counting 64-bit hashes is several times faster than counting text. Different hashes prove
    # different ids; equal ones prove nothing.
    return ids.hash().n_unique() == len(ids) or ids.n_unique() == len(ids)


def nfc_ids(ids: "pl.Series", name: str) -> "pl.Series":
    """The ids in Unicode form NFC.

    Args:
        ids: (N,) unique ids.
        name: of their table, for the message.

    Raises:
        DataError: if two of them become one.
    """
    normal = ids.str.normalize("NFC")
    if not are_unique(normal):
        twice = normal.filter(normal.is_duplicated()).unique(maintain_order=True)
        lines = [f"id '{text}'" for text in twice.head(SHOWN)]
        raise DataError(
            f"{name}: in Unicode form NFC, two ids become one. Rename one of them:",
            counted(lines, len(twice)),
        )
    return normal


def rows_of(wanted: "pl.Series", ids: "pl.Series") -> NDArray[np.int64]:
    """The row of `ids` that holds each of `wanted`, or MISSING.

    Args:
        wanted: (M,) unique ids.
        ids: (N,) unique ids.

    Returns:
        (M,) rows in [0, N), or MISSING.
    """
    # Sorting hashes takes a fraction of the time and memory of joining text. Two ids may share a
    # hash, so what was found is compared; then the text decides.
    rows = _places(wanted.hash().to_numpy(), ids.hash().to_numpy())
    if _are_at(wanted, ids.rechunk(), rows):  # picking from many chunks is slow
        return rows
    return _join(wanted, ids)


def _places(wanted: NDArray[np.integer], keys: NDArray[np.integer]) -> NDArray[np.int64]:
    """Where each number stands among `keys` (one of the places, if it is there twice), or MISSING.

    Args:
        wanted: (M,) numbers.
        keys: (N,) numbers.
    """
    rows = np.full(len(wanted), MISSING, np.int64)
    if not len(keys):
        return rows
    order, places = np.argsort(wanted), np.argsort(keys)
    wanted, keys = wanted[order], keys[places]
    if np.array_equal(wanted, keys):
        rows[order] = places
        return rows
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    same = keys[found] == wanted
    rows[order[same]] = places[found[same]]
    return rows


def _are_at(wanted: "pl.Series", ids: "pl.Series", rows: NDArray[np.int64]) -> bool:
    """Whether the text in those of the rows that are not MISSING is what was wanted."""
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        asked = wanted.slice(start, len(part))
        found = np.flatnonzero(part != MISSING)
        if len(found) < len(part):
            part, asked = part[found], asked.gather(found)
        if not ids.gather(part).equals(asked):
            return False
    return True


def _join(wanted: "pl.Series", keys: "pl.Series") -> NDArray[np.int64]:
    import polars as pl

    left = pl.DataFrame({"key": wanted})
    right = pl.DataFrame({"key": keys}).with_row_index("row")
    rows = left.join(right, on="key", how="left", maintain_order="left")["row"]
    return rows.cast(pl.Int64).fill_null(MISSING).to_numpy()


def not_found(
    ids: "pl.Series", others: "pl.Series", *, shown: int = SHOWN
) -> tuple[list[str], str]:
    """A line for each of the first ids that are missing, and how ids are compared.

    Args:
        ids: those that are missing.
        others: among which near ones are looked for.
        shown: lines at most.
    """
    asked = ids.head(shown).to_list()
    hints = near(asked, others.head(_SEARCHED))
    compared = "Ids are compared as text, letter by letter"
    if any("Unicode" in hint for hint in hints):
        compared += "; --normalize-ids nfc makes NFC and NFD equal"
    return [f"id '{name}'.{hint}" for name, hint in zip(asked, hints)], compared


def counted(lines: list[str], count: int) -> list[str]:
    """Lines for an error that shows the first and counts the rest: `count` of them."""
    return lines + [""] * (count - len(lines))
