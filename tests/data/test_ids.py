"""Ids are unique text, and found again by name."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnncli.data.ids import MISSING, are_unique, as_ids, check_ids, rows_of
from dnncli.errors import DataError

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=3)


@given(ids=st.lists(texts, max_size=8))
def test_ids_are_unique_if_no_text_occurs_twice(ids):
    assert are_unique(as_ids(ids)) == (len(set(ids)) == len(ids))


@given(
    ids=st.lists(texts, max_size=8, unique=True), wanted=st.lists(texts, max_size=8, unique=True)
)
def test_rows_are_where_a_plain_search_finds_them(ids, wanted):
    expected = [ids.index(name) if name in ids else MISSING for name in wanted]
    assert rows_of(as_ids(wanted), as_ids(ids)).tolist() == expected


@pytest.mark.parametrize("hashes", [[7, 7, 7], [1, 2, 1]], ids=["all alike", "two alike"])
def test_ids_that_share_a_hash_are_told_apart(monkeypatch, hashes):
    # 64-bit hashes of different texts are too rare to be found by trying.
    monkeypatch.setattr(pl.Series, "hash", lambda series: pl.Series(hashes[: len(series)]))
    assert are_unique(as_ids("bca"))
    assert not are_unique(as_ids("bab"))
    assert rows_of(as_ids("abc"), as_ids("bca")).tolist() == [2, 0, 1]
    assert rows_of(as_ids("ax"), as_ids("xb")).tolist() == [MISSING, 0]


def test_rows_are_found_across_the_chunks_of_a_parquet_file():
    ids = pl.concat([as_ids(["c", "a"]), as_ids(["b"])], rechunk=False)
    assert ids.n_chunks() == 2
    assert rows_of(as_ids("abc"), ids).tolist() == [1, 2, 0]


def test_text_that_is_not_unicode_gets_escapes():
    assert as_ids(["caf\udce9", "é", "a"]).to_list() == ["caf\\udce9", "é", "a"]
    assert as_ids([]).dtype == pl.String


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", None, "b", ""], r"p.csv: rows without an id:\n  row 2\n  row 4$"),
        (["b", "a", "b", "b", "a"], r"more than once.*\n  'b' 3 times\n  'a' 2 times$"),
    ],
)
def test_missing_and_repeated_ids_are_named(ids, message):
    with pytest.raises(DataError, match=message):
        check_ids(Path("p.csv"), pl.Series(ids, dtype=pl.String))


def test_many_repeated_ids_are_counted_and_the_first_named():
    ids = as_ids([f"{index}" for index in np.repeat(np.arange(1000), 2)])
    with pytest.raises(DataError, match=r"and 980 more\.$") as caught:
        check_ids(Path("p.csv"), ids)
    assert len(caught.value.problems) == 1000
