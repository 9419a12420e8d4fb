"""Writes predictions a block of rows at a time: memory does not grow with their number.

Shapes: N rows in all, C classes.
"""

import itertools
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dnncli.data.frames import METADATA_KEY, csv_numbers, metadata_text
from dnncli.data.predictions import frame_of, write_predictions
from dnncli.predictions import Predictions
from dnncli.results import UNFINISHED, Progress, no_progress, written

if TYPE_CHECKING:
    import polars as pl

_BLOCK_BYTES = 2**25  # of the numbers of one block
_MOST_ROWS = 2**18  # of one block, as in the row groups that polars writes


def rows_of_block(n_classes: int) -> int:
    """Rows that are written together: as many as make 32 MiB of float32, at most 262,144."""
    return max(1, min(_MOST_ROWS, _BLOCK_BYTES // (4 * n_classes)))


def write_blocks(
    blocks: Iterable[Predictions], path: Path, *, rows: int, progress: Progress = no_progress
) -> None:
    """Write blocks of probabilities as they come; the file is whole or absent.

    A single block is written as `write_predictions` does. Of more, CSV and NPZ are written at
    once; the numbers of Parquet, whose row groups need all columns, wait in a nameless file beside
    `path`, which takes 4 N C bytes of the disk. Ids stay in memory.

    Args:
        blocks: at least one; all of the same classes, metadata and type of number.
        path: .csv, .parquet or .npz.
        rows: N, all blocks together.
        progress: told of the rows of Parquet written at the end.

    Raises:
        DataError: as `write_predictions`.
        ValueError: if the blocks do not hold N rows.
    """
    ahead = iter(blocks)
    begun = list(itertools.islice(ahead, 2))
    if len(begun) < 2:
        if sum(map(len, begun)) != rows or not rows:
            raise ValueError(f"{rows} rows were announced, at least one. Got {len(begun)} blocks.")
        write_predictions(begun[0], path)
        return
    counted = _counted(itertools.chain(begun, ahead), rows)
    with written(path) as neighbour:
        match path.suffix:
            case ".csv":
                _write_csv(counted, neighbour)
            case ".parquet":
                _write_parquet(counted, neighbour, rows=rows, progress=progress)
            case _:
                _write_npz(counted, neighbour, rows=rows)


def _counted(blocks: Iterable[Predictions], rows: int) -> Iterator[Predictions]:
    done = 0
    for block in blocks:
        done += len(block)
        yield block
    if done != rows:
        raise ValueError(f"{rows} rows were announced, the blocks hold {done}.")


def _numbers(block: Predictions) -> NDArray[np.floating]:
    """(n, C) probabilities, row by row in memory."""
    if block.probs is None:
        raise TypeError("Blocks hold probabilities; labels are written by write_predictions.")
    return np.ascontiguousarray(block.probs)


def _write_csv(blocks: Iterable[Predictions], path: Path) -> None:
    with path.open("wb") as file:
        for number, block in enumerate(blocks):
            frame, _ = frame_of(block, path)
            csv_numbers(frame).write_csv(file, include_header=number == 0)


def _write_parquet(
    blocks: Iterable[Predictions], path: Path, *, rows: int, progress: Progress
) -> None:
    """One row group for each block."""
    from polars.io.plugins import register_io_source

    with tempfile.TemporaryFile(prefix=UNFINISHED, dir=path.parent) as file:
        ids: list[pl.Series] = []
        for block in blocks:
            frame, metadata = frame_of(block, path)
            ids.append(frame["id"])
            file.write(_numbers(block).data)
        file.seek(0)
        schema, kind = frame.schema, _numbers(block).dtype

        def source(
            columns: list[str] | None, _predicate: Any, _limit: int | None, _batch: int | None
        ) -> "Iterator[pl.DataFrame]":
            # What polars could ask for beyond the columns is never asked for by a plain sink.
            done = 0
            for some in ids:
                whole = _read_back(file, some, schema.names()[1:], kind)
                yield whole if columns is None else whole.select(columns)
                done += len(some)
                progress("Writing", done, rows)

        register_io_source(source, schema=schema).sink_parquet(
            path,
            metadata={METADATA_KEY: metadata_text(metadata)},
            row_group_size=max(map(len, ids)),
        )


def _read_back(
    file: BinaryIO, ids: "pl.Series", names: Sequence[str], kind: np.dtype
) -> "pl.DataFrame":
    """The next block of the nameless file."""
    import polars as pl

    data = file.read(len(ids) * len(names) * kind.itemsize)
    numbers = np.frombuffer(data, kind).reshape(len(ids), len(names))
    return pl.DataFrame({"id": ids, **dict(zip(names, numbers.T, strict=True))})


def _write_npz(blocks: Iterable[Predictions], path: Path, *, rows: int) -> None:
    """The members that `np.savez` writes, the large ones piece by piece."""
    ids: list[pl.Series] = []
    with zipfile.ZipFile(path, "w") as archive:
        ahead = iter(blocks)
        first = next(ahead)
        numbers = _numbers(first)
        shape = (rows, numbers.shape[1])
        with archive.open("probs.npy", "w", force_zip64=True) as member:
            _begin(member, numbers.dtype, shape)
            for block in itertools.chain((first,), ahead):
                frame, metadata = frame_of(block, path)
                ids.append(frame["id"])
                member.write(_numbers(block).data)
        width = max(int(some.str.len_chars().max() or 0) for some in ids)  # type: ignore[arg-type]
        text = np.dtype(f"U{max(width, 1)}")
        with archive.open("ids.npy", "w", force_zip64=True) as member:
            _begin(member, text, (rows,))
            for some in ids:
                member.write(np.array(some.to_list(), text).tobytes())
        for name, array in (
            ("class_names", np.array(metadata["classes"], str)),
            (METADATA_KEY, np.array(metadata_text(metadata))),
        ):
            with archive.open(f"{name}.npy", "w") as member:
                npy.write_array(member, array, allow_pickle=False)


def _begin(member: Any, kind: np.dtype, shape: tuple[int, ...]) -> None:
    """Write what NumPy's files say of the array that follows."""
    head = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(member, head)
