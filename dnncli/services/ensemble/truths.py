"""Truth files of a consensus: which rows of the models they are about, and what those are."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnncli.data.align import NormalizeIds, normalized
from dnncli.data.ids import MISSING, counted, not_found, rows_of
from dnncli.data.predictions import read_truth
from dnncli.errors import DataError
from dnncli.predictions import Predictions

if TYPE_CHECKING:
    import polars as pl


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
    return normalized(truth, str(path), normalize_ids=normalize_ids)


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
        lines, compared = not_found(missing, ids)
        splits = truth.metadata.get("splits", ())
        remedy = f" --split keeps one of its splits ({', '.join(splits)})." if splits else ""
        raise DataError(
            f"{name}: truth for other ids: {len(missing)} of its {len(truth)} are not in the "
            f"models' files. {compared}.{remedy}",
            counted(lines, len(missing)),
        )
    return rows
