"""The table of what several models decided together about each row.

Shapes: N rows, C classes, K items that were decided: the rows, or the patterns of their votes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.decisions import COLUMNS
from dnncli.data.frames import METADATA_KEY
from dnncli.data.ids import valid_text
from dnncli.results import written
from dnncli.voting.rules import Decisions, Status

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = (".csv", ".parquet")

# Names that the support of a class cannot have: they would be taken for something else.
_TAKEN = ("id", *COLUMNS, "mutual_information", "label", "split", "group", "weight")

_BLOCK = 2**18  # rows written at a time


def write_decisions(
    path: Path,
    ids: "pl.Series",
    decisions: Decisions,
    *,
    class_names: Sequence[str],
    index: NDArray[np.integer] | None = None,
) -> None:
    """Write id, decision, status, agreements, entropy, number of votes and support per class.

    `decision` is empty where nothing was decided, and a number where it is undefined. The support
    has the class's name, after `support:` where another column is called so. `read_predictions`
    reads the decisions as labels. Memory holds some rows at a time beside what is passed in.

    Args:
        path: .csv or .parquet.
        ids: (N,) of the rows.
        decisions: of K items.
        class_names: (C,) names.
        index: (N,) item of each row; None: the items are the rows.

    Raises:
        ValueError: if the suffix is another, or lengths do not fit.
    """
    import polars as pl

    n_rows = len(decisions.decision) if index is None else len(index)
    if path.suffix not in SUFFIXES or len(ids) != n_rows:
        raise ValueError(
            f"path must end in {' or '.join(SUFFIXES)} and ids be {n_rows}. "
            f"Got {path.name} and {len(ids)}."
        )
    names = [valid_text(name) for name in class_names]
    whole = None if index is None else _counts(_frame(decisions, slice(None), names), names)

    def blocks() -> Iterator[pl.DataFrame]:
        for start in range(0, n_rows, _BLOCK):
            part = slice(start, start + _BLOCK)
            if whole is None or index is None:
                frame = _frame(decisions, part, names)
            else:
                frame = whole[index[part]]
            yield frame.insert_column(0, ids.slice(start, _BLOCK).alias("id"))

    entries = {"kind": "label", "classes": names, "table": "decisions"}
    with written(path) as neighbour:
        if path.suffix == ".csv":
            _write_csv(neighbour, blocks())
        else:
            _write_parquet(neighbour, blocks(), entries)


def _frame(decisions: Decisions, part: slice, names: Sequence[str]) -> "pl.DataFrame":
    """Some items as columns; undefined numbers are null."""
    import polars as pl

    chosen = decisions.decision[part]
    classes = pl.Series([*names, None], dtype=pl.Enum(names))
    statuses = [status.word for status in Status]
    words = pl.Series(statuses, dtype=pl.Enum(statuses))
    columns: dict[str, Any] = {
        "decision": classes.gather(np.where(chosen < 0, len(names), chosen)),
        "status": words.gather(decisions.status[part].astype(np.uint32)),
        "agreement_all": decisions.agreement_all[part],
        "agreement_voted": decisions.agreement_voted[part],
        "entropy": decisions.entropy[part],
    }
    if decisions.mutual_information is not None:
        columns["mutual_information"] = decisions.mutual_information[part]
    columns["n_votes"] = decisions.n_votes[part]
    taken = set(_TAKEN)
    for name, support in zip(names, decisions.support[part].T, strict=True):
        while name in taken:
            name = f"support:{name}"
        taken.add(name)
        columns[name] = support
    return pl.DataFrame(columns).with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))


def _counts(frame: "pl.DataFrame", names: Sequence[str]) -> "pl.DataFrame":
    """The support as small integers where it is numbers of votes: less to write, and to read."""
    import polars as pl

    support = frame.columns[-len(names) :]
    numbers = frame.select(support)
    is_whole = numbers.select(pl.all_horizontal(((pl.all() % 1) == 0).all())).item()
    if not is_whole or max(numbers.max().row(0)) >= 2**16:
        return frame
    return frame.with_columns(pl.col(support).cast(pl.UInt16))


def _write_csv(path: Path, blocks: "Iterator[pl.DataFrame]") -> None:
    import polars as pl

    with path.open("wb") as file:
        for place, frame in enumerate(blocks):
            frame.with_columns(pl.col(pl.Float32).cast(pl.Float64)).write_csv(
                file, include_header=place == 0
            )


def _write_parquet(
    path: Path, blocks: "Iterator[pl.DataFrame]", metadata: Mapping[str, Any]
) -> None:
    from polars.io.plugins import register_io_source

    first = next(blocks)

    def source(*_: Any) -> "Iterator[pl.DataFrame]":
        yield first
        yield from blocks

    register_io_source(source, schema=first.schema).sink_parquet(
        path,
        compression="zstd",
        compression_level=1,  # half the time of the default, and the same size
        row_group_size=_BLOCK,
        statistics=False,  # nobody looks for rows by their numbers
        metadata={METADATA_KEY: json.dumps(metadata, ensure_ascii=False)},
    )
