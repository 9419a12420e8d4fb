"""A decisions table holds every row, and is read again as labels."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import dnncli
from dnncli.data.ids import as_ids
from dnncli.data.predictions import read_predictions
from dnncli.errors import DataError
from dnncli.report import decisions as module
from dnncli.report.decisions import write_decisions
from dnncli.voting.rules import Decisions

NAN = float("nan")


def three_items():
    """Two of three models for P; a tie; nobody voted."""
    return Decisions(
        decision=np.array([1, -1, -1], np.int32),
        status=np.array([0, 2, 5], np.uint8),
        leader=np.array([1, -1, -1], np.int32),
        agreement_all=np.array([2 / 3, 1 / 3, 0]),
        agreement_voted=np.array([2 / 3, 0.5, NAN]),
        entropy=np.array([0.625, 0.5, NAN]),
        n_votes=np.array([3, 2, 0], np.int32),
        support=np.array([[1.0, 2], [1, 1], [0, 0]]),
    )


def test_every_row_gets_the_numbers_of_its_item(tmp_path):
    path = tmp_path / "decisions.csv"
    index = np.array([2, 0, 1, 0])
    write_decisions(path, as_ids("abcd"), three_items(), index=index, class_names=("N", "P"))
    assert path.read_text().splitlines() == [
        "id,decision,status,agreement_all,agreement_voted,entropy,n_votes,N,P",
        "a,,no_votes,0.0,,,0,0,0",
        "b,P,decided,0.6666666666666666,0.6666666666666666,0.625,3,1,2",
        "c,,tie,0.3333333333333333,0.5,0.5,2,1,1",
        "d,P,decided,0.6666666666666666,0.6666666666666666,0.625,3,1,2",
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_decisions_are_read_again_as_labels(tmp_path, suffix):
    path = tmp_path / f"decisions{suffix}"
    write_decisions(path, as_ids(["007", "b", "NA"]), three_items(), class_names=("N", "P"))
    found = read_predictions(path)
    assert (found.kind, found.ids.to_list()) == ("label", ["007", "b", "NA"])
    assert [(*found.class_names, "")[label] for label in found.labels] == ["P", "", ""]
    if suffix == ".parquet":
        assert found.class_names == ("N", "P")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_decisions_can_be_scored(tmp_path, suffix):
    path, truth = tmp_path / f"decisions{suffix}", tmp_path / "truth.csv"
    write_decisions(path, as_ids("abc"), three_items(), class_names=("N", "P"))
    truth.write_text("id,label\na,P\nb,N\nc,P\n")
    report = dnncli.evaluate(path, truth=truth)
    assert report.accuracy == pytest.approx(1 / 3)
    assert report.undecided == 2


def test_parquet_says_what_it_holds(tmp_path):
    path = tmp_path / "decisions.parquet"
    write_decisions(path, as_ids("abc"), three_items(), class_names=("é", "P"))
    metadata = json.loads(pl.read_parquet_metadata(path)["dnncli"])
    assert metadata == {"kind": "label", "classes": ["é", "P"], "table": "decisions"}
    assert pl.read_parquet(path).to_dicts()[2] == {
        "id": "c",
        "decision": None,
        "status": "no_votes",
        "agreement_all": 0,
        "agreement_voted": None,
        "entropy": None,
        "n_votes": 0,
        "é": 0,
        "P": 0,
    }


@pytest.mark.parametrize("block", [1, 3, 7, 100])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_blocks_and_patterns_make_no_difference(tmp_path, monkeypatch, block, suffix):
    monkeypatch.setattr(module, "_BLOCK", block)
    rng = np.random.default_rng(block)
    items = Decisions(
        decision=rng.integers(-1, 3, 6).astype(np.int32),
        status=rng.integers(0, 6, 6).astype(np.uint8),
        leader=rng.integers(-1, 3, 6).astype(np.int32),
        agreement_all=rng.random(6),
        agreement_voted=rng.random(6),
        entropy=rng.random(6),
        n_votes=rng.integers(0, 5, 6).astype(np.int32),
        support=rng.random((6, 3)),
        mutual_information=rng.random(6),
    )
    index = rng.integers(0, 6, 20)
    rows = items.take(index)
    ids = as_ids(f"{row}" for row in range(20))
    paths = [tmp_path / f"{name}{suffix}" for name in ("patterns", "rows")]
    write_decisions(paths[0], ids, items, index=index, class_names="ABC")
    write_decisions(paths[1], ids, rows, class_names="ABC")
    read = pl.read_csv if suffix == ".csv" else pl.read_parquet
    found, others = (read(path) for path in paths)
    assert found.equals(others)
    assert found["mutual_information"].to_list() == rows.mutual_information.tolist()
    assert found.select("A", "B", "C").to_numpy().tolist() == rows.support.tolist()


def test_weights_of_votes_stay_fractions(tmp_path):
    items = replace(three_items(), support=np.array([[1, 2], [0.5, 1], [0, 0]]))
    write_decisions(
        tmp_path / "d.parquet", as_ids("abc"), items, index=np.arange(3), class_names="NP"
    )
    assert pl.read_parquet(tmp_path / "d.parquet")["N"].to_list() == [1, 0.5, 0]


def test_float32_support_is_written_so_that_it_comes_back(tmp_path):
    items = replace(three_items(), support=np.array([[0.1, 0.9], [0.5, 0.5], [0, 0]], np.float32))
    for suffix in (".csv", ".parquet"):
        path = tmp_path / f"d{suffix}"
        write_decisions(path, as_ids("abc"), items, class_names="NP")
        read = pl.read_csv if suffix == ".csv" else pl.read_parquet
        assert (
            read(path)["N"].to_numpy().astype(np.float32).tolist() == items.support[:, 0].tolist()
        )


def test_classes_called_like_a_column_are_told_apart(tmp_path):
    items = replace(three_items(), support=np.arange(12.0).reshape(3, 4))
    names = ("status", "label", "support:status", "ok")
    for suffix in (".csv", ".parquet"):
        path = tmp_path / f"d{suffix}"
        write_decisions(path, as_ids("abc"), items, class_names=names)
        frame = pl.read_csv(path) if suffix == ".csv" else pl.read_parquet(path)
        assert frame.columns[-4:] == [
            "support:status",
            "support:label",
            "support:support:status",
            "ok",
        ]
        assert read_predictions(path).labels.max() < 4


def test_a_table_with_other_columns_is_no_decisions_table(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("id,decision,status\na,.5,.5\n")
    assert read_predictions(path).class_names == ("decision", "status")


def test_what_does_not_fit_is_refused_and_nothing_written(tmp_path):
    items = three_items()
    for path, ids in ((tmp_path / "d.npz", "abc"), (tmp_path / "d.csv", "ab")):
        with pytest.raises(ValueError, match=r"path must end in .csv or .parquet and ids be 3."):
            write_decisions(path, as_ids(ids), items, class_names="NP")
    with pytest.raises(ValueError, match="zip"):
        write_decisions(tmp_path / "d.csv", as_ids("abc"), items, class_names="NPQ")
    assert list(tmp_path.iterdir()) == []


def test_a_decision_of_an_unknown_class_is_named_when_it_is_read(tmp_path):
    path = tmp_path / "d.csv"
    write_decisions(path, as_ids("abc"), three_items(), class_names="NP")
    with pytest.raises(DataError, match=r"id 'a': class 'P' is not one of A, N"):
        read_predictions(path, classes=("A", "N"))
