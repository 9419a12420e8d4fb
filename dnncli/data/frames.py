"""CSV, Parquet and NPZ files as one kind of table: a text column `id`, and further columns."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dnncli.data.csvfile import read_csv
from dnncli.data.npzfile import arrays_of, read_npz
from dnncli.errors import DataError
from dnncli.results import written

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = (".csv", ".parquet", ".npz")

METADATA_KEY = "dnncli"  # of Parquet and of NPZ

_BATCH = 2**20  # rows; whole row groups of the Parquet files that polars and PyArrow write


@dataclass(frozen=True, kw_only=True)
class Table:
    """The columns of a file. Those of a Parquet file are read when they are asked for."""

    path: Path
    frame: "pl.LazyFrame"
    schema: "pl.Schema"  # name -> type of each column
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, in the file's order."""
        return tuple(self.schema)

    @property
    def plain_names(self) -> tuple[str, ...]:
        """The columns that a CSV file could hold: no lists, no pictures."""
        import polars as pl

        return tuple(
            name
            for name, dtype in self.schema.items()
            if not dtype.is_nested() and dtype not in (pl.Binary, pl.Object)
        )

    def read(self, names: Sequence[str]) -> "pl.DataFrame":
        """Some columns; in many chunks if the file has them.

        Raises:
            DataError: if the file is broken.
        """
        return self._collected(self.frame.select(names))

    def batches(self, names: Sequence[str]) -> "Iterator[pl.DataFrame]":
        """Some columns, some rows at a time: memory is used again instead of asked for.

        Raises:
            DataError: if the file is broken.
        """
        frame, start = self.frame.select(names), 0
        while len(batch := self._collected(frame.slice(start, _BATCH))):
            yield batch
            start += len(batch)

    def _collected(self, frame: "pl.LazyFrame") -> "pl.DataFrame":
        import polars as pl

        try:
            return frame.collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise DataError(f"{self.path}: cannot be read ({error}).") from error


def read_table(path: Path) -> Table:
    """A file's columns, `id`, `label` and `split` as text, and its metadata (CSV has none).

    Raises:
        DataError: if the file is missing, broken, of another kind, or has no `id` column.
    """
    check_suffix(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file.")
    match path.suffix:
        case ".csv":
            table = table_of(path, read_csv(path), {})
        case ".parquet":
            table = _scan_parquet(path)
        case _:
            frame, text = read_npz(path, key=METADATA_KEY)
            table = table_of(path, frame, _metadata(path, text))
    if "id" not in table.names:
        separated = len(table.names) == 1 and any(mark in table.names[0] for mark in ";\t")
        hint = " Its values are separated by ';' or tabs." if separated else ""
        raise DataError(
            f"{path}: there is no column 'id'.{hint} Columns: {', '.join(table.names)}. "
            "Needed: id,label or id,<class>,<class>... separated by commas."
        )
    return table


def table_of(path: Path, frame: "pl.DataFrame", metadata: dict[str, Any]) -> Table:
    """A table whose columns are in memory already; `path` is for messages."""
    return Table(path=path, frame=frame.lazy(), schema=frame.schema, metadata=metadata)


def write_frame(frame: "pl.DataFrame", metadata: dict[str, Any], path: Path) -> None:
    """Write the columns to a file of the suffix's kind; the file is whole or absent."""
    text = metadata_text(metadata)
    with written(path) as neighbour:
        match path.suffix:
            case ".csv":
                csv_numbers(frame).write_csv(neighbour)
            case ".parquet":
                frame.write_parquet(neighbour, metadata={METADATA_KEY: text})
            case _:
                with neighbour.open("wb") as file:
                    arrays = arrays_of(frame, metadata) | {METADATA_KEY: np.array(text)}
                    np.savez(file, **arrays)  # type: ignore[arg-type]


def csv_numbers(frame: "pl.DataFrame") -> "pl.DataFrame":
    """The doubles equal to float32 numbers, so that no threshold comes out differently in CSV."""
    import polars as pl

    return frame.with_columns(pl.col(pl.Float32).cast(pl.Float64))


def metadata_text(metadata: dict[str, Any]) -> str:
    """JSON, as Parquet and NPZ hold it."""
    return json.dumps(metadata, ensure_ascii=False)


def check_suffix(path: Path) -> None:
    """Raise DataError unless the suffix is one of SUFFIXES."""
    if path.suffix not in SUFFIXES:
        hint = " It is a folder: give the files in it." if path.is_dir() else ""
        raise DataError(
            f"{path}: is no predictions or truth file. Known suffixes: {', '.join(SUFFIXES)}.{hint}"
        )


def _scan_parquet(path: Path) -> Table:
    import polars as pl

    try:
        frame = pl.scan_parquet(path, glob=False)
        schema = frame.collect_schema()
        text = pl.read_parquet_metadata(path).get(METADATA_KEY, "{}")
        # Categories, numbers and truth values become the text that a person would have written.
        named = [name for name in ("id", "label", "split") if name in schema]
        named = [name for name in named if name == "id" or not schema[name].is_float()]
        frame = frame.with_columns(pl.col(named).cast(pl.String))
        schema = frame.collect_schema()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error}).") from error
    return Table(path=path, frame=frame, schema=schema, metadata=_metadata(path, text))


def _metadata(path: Path, text: str) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: its '{METADATA_KEY}' metadata is not JSON ({error}).") from error
    return metadata if isinstance(metadata, dict) else {}
