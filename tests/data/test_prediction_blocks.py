import subprocess
import sys
import textwrap

import numpy as np
import polars as pl
import pytest

from dnncli.data.prediction_blocks import rows_of_block, write_blocks
from dnncli.data.predictions import read_predictions, write_predictions
from dnncli.errors import DataError
from dnncli.predictions import Predictions

SUFFIXES = (".csv", ".parquet", ".npz")
METADATA = {"task": "classify", "split": "test", "model": "cnn", "data": "ä\u4e2d"}


def predictions(n, *, classes=("b", "a, quoted", "ü")):
    probs = np.random.default_rng(n).dirichlet(np.ones(len(classes)), n).astype(np.float32)
    ids = pl.Series("id", [f"{classes[row % 3]}/{row}{'é' * (row % 4)}.png" for row in range(n)])
    return Predictions(
        ids=ids, class_names=classes, kind="probability", probs=probs, metadata=METADATA
    )


def cut(whole, sizes):
    ends = np.cumsum(sizes)
    for start, end in zip(ends - sizes, ends, strict=True):
        yield whole.take(np.arange(start, end))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("sizes", [(50, 50, 3), (1, 1), (7, 90, 6)])
def test_blocks_read_back_as_one_table(tmp_path, suffix, sizes):
    whole = predictions(sum(sizes))
    file, other = tmp_path / f"blocks{suffix}", tmp_path / f"whole{suffix}"
    write_blocks(cut(whole, np.array(sizes)), file, rows=len(whole))
    write_predictions(whole, other)
    got, wanted = read_predictions(file), read_predictions(other)
    assert got.ids.equals(wanted.ids)
    assert got.class_names == wanted.class_names
    np.testing.assert_array_equal(got.probs, wanted.probs)
    assert got.probs.dtype == wanted.probs.dtype
    assert got.metadata == wanted.metadata


@pytest.mark.parametrize("sizes", [(103,), (50, 53)])
def test_csv_is_the_same_to_the_byte(tmp_path, sizes):
    whole = predictions(103)
    write_blocks(cut(whole, np.array(sizes)), tmp_path / "blocks.csv", rows=103)
    write_predictions(whole, tmp_path / "whole.csv")
    assert (tmp_path / "blocks.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_one_block_is_the_same_parquet_to_the_byte(tmp_path):
    whole = predictions(20)
    write_blocks(iter([whole]), tmp_path / "blocks.parquet", rows=20)
    write_predictions(whole, tmp_path / "whole.parquet")
    assert (tmp_path / "blocks.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_numpy_alone_opens_the_npz(tmp_path):
    whole = predictions(9)
    write_blocks(cut(whole, np.array([4, 5])), tmp_path / "p.npz", rows=9)
    with np.load(tmp_path / "p.npz", allow_pickle=False) as file:
        assert sorted(file.files) == ["class_names", "dnncli", "ids", "probs"]
        assert file["ids"].tolist() == whole.ids.to_list()
        np.testing.assert_array_equal(file["probs"], whole.probs)


def test_parquet_has_a_row_group_for_each_block(tmp_path):
    write_blocks(cut(predictions(30), np.array([10, 10, 10])), tmp_path / "p.parquet", rows=30)
    assert pl.scan_parquet(tmp_path / "p.parquet").select(pl.len()).collect().item() == 30
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.ParquetFile(tmp_path / "p.parquet").num_row_groups == 3


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_fails_half_way_leaves_the_old_file_alone(tmp_path, suffix):
    file = tmp_path / f"p{suffix}"
    file.write_text("old")

    def failing():
        yield from cut(predictions(20), np.array([10, 10]))
        raise DataError("a picture cannot be decoded")

    with pytest.raises(DataError, match="cannot be decoded"):
        write_blocks(failing(), file, rows=30)
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]
    assert file.read_text() == "old"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_killed_process_leaves_the_old_file_alone(tmp_path, suffix):
    file = tmp_path / f"p{suffix}"
    file.write_text("old")
    code = f"""
        import os, signal
        from pathlib import Path
        import numpy as np
        from dnncli.data.prediction_blocks import write_blocks
        from tests.data.test_prediction_blocks import cut, predictions

        def killed():
            yield from cut(predictions(20), np.array([10, 10]))
            os.kill(os.getpid(), signal.SIGKILL)

        write_blocks(killed(), Path({str(file)!r}), rows=30)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -9
    assert file.read_text() == "old"
    left = [entry.name for entry in tmp_path.iterdir() if entry.name != file.name]
    assert all(name.startswith(".tmp-") for name in left)


def test_blocks_that_are_not_as_many_rows_as_announced_are_refused(tmp_path):
    for sizes, rows in (((5, 5), 11), ((5, 5), 9), ((5,), 6)):
        whole = predictions(sum(sizes))
        with pytest.raises(ValueError, match=f"{rows} rows were announced"):
            write_blocks(cut(whole, np.array(sizes)), tmp_path / "p.npz", rows=rows)
    with pytest.raises(ValueError, match="at least one"):
        write_blocks(iter(()), tmp_path / "p.npz", rows=0)
    assert not list(tmp_path.iterdir())


def test_a_block_is_32_mebibytes_or_a_row_group():
    assert rows_of_block(10) == 2**18
    assert rows_of_block(1000) == 2**25 // 4000
    assert rows_of_block(10**8) == 1


def test_progress_tells_of_the_rows_of_parquet(tmp_path):
    told = []
    write_blocks(
        cut(predictions(30), np.array([10, 20])),
        tmp_path / "p.parquet",
        rows=30,
        progress=lambda *words: told.append(words),
    )
    assert told == [("Writing", 10, 30), ("Writing", 30, 30)]
