"""Truth files of a consensus: which rows of the models they are about, and what those are."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnncli.data.align import NormalizeIds
from dnncli.data.ids import MISSING, counted, rows_of
from dnncli.data.names import near
from dnncli.data.predictions import read_truth
from dnncli.errors import SHOWN, DataError
from dnncli.predictions import Predictions

if TYPE_CHECKING:
    import polars as pl

_SEARCHED = 100_000  # ids searched for one that differs only in form


def read_known(
    path: Path, *, classes: Sequence[str], split: str | None, normalize_ids: NormalizeIds
) -> Predictions:
    """A truth file, not yet bound to the rows of the models.

    Args:
        path: .csv, .parquet or .npz with `id,label`.
        classes: that it may name; empty: whatever it names.
        split: only rows of this split of its `split` column; None: all.
        normalize_ids: "nfc" brings the ids into that Unicode form.

    Raises:
        DataError: what is wrong with it.
    """
    truth = read_truth(path, classes=classes, split=split or "")
    if normalize_ids == "none":
        return truth
    return replace(truth, ids=truth.ids.str.normalize("NFC"))


def rows_known(truth: Predictions, ids: "pl.Series", *, name: str) -> NDArray[np.int64]:
    """The row of the models that each row of a truth table is about.

    Args:
        truth: of rows that the models have, too.
        ids: (N,) of the models.
        name: of the truth file.

    Returns:
        (V,) rows in [0, N).

    Raises:
        DataError: if the models said nothing about some of the rows.
    """
    if truth.ids.equals(ids):
        return np.arange(len(ids))
    rows = rows_of(truth.ids, ids)
    missing = truth.ids.gather(np.flatnonzero(rows == MISSING))
    if len(missing):
        asked = missing.head(SHOWN).to_list()
        hints = near(asked, ids.head(_SEARCHED))
        splits = truth.metadata.get("splits", ())
        remedy = f" --split keeps one of its splits ({', '.join(splits)})." if splits else ""
        if any("Unicode" in hint for hint in hints):
            remedy += " --normalize-ids nfc makes NFC and NFD equal."
        raise DataError(
            f"{name}: truth for other ids: {len(missing)} of its {len(truth)} are not in the "
            f"models' files. Ids are compared as text, letter by letter.{remedy}",
            counted([f"id '{one}'.{hint}" for one, hint in zip(asked, hints)], len(missing)),
        )
    return rows
