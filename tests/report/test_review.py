"""The review queue: every row without a decision, the riskiest first."""

import csv
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from consensus_support import ballots_of, drawn_votes
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.report import review
from dnncli.report.review import risks, write_review
from dnncli.voting.rules import NO_DECISION, Decisions, VoteOptions, majority

ALL_OR_NONE = VoteOptions(agree=Fraction(1))
NAMES = ("c0", "c1", "c2")


def queue(path, decisions, ids, **options):
    n = write_review(path, decisions, pl.Series(list(ids), dtype=pl.String), NAMES, **options)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == n
    return rows


def test_rows_follow_by_falling_risk_then_uncertainty_then_id(tmp_path):
    # Votes of four models for c0, c1, c2 in each row
    rows = {"b": "0001", "z": "0011", "y": "0012", "a": "0001", "in": "0000", "x": "1122"}
    votes = np.array([[int(vote) for vote in row] for row in rows.values()]).T
    ballots = ballots_of(votes)
    decisions = majority(ballots, options=ALL_OR_NONE)
    found = queue(tmp_path / "r.csv", decisions, list(rows), index=ballots.index, positive=0)
    assert [(row["id"], row["risk"]) for row in found] == [
        ("a", "0.75"), ("b", "0.75"), ("y", "0.5"), ("z", "0.5"), ("x", "0.0"),
    ]  # fmt: skip
    assert (found[0]["status"], found[0]["leader"], found[0]["second"]) == (
        "below_threshold", "c0", "c1",
    )  # fmt: skip
    assert found[-1]["status"] == "tie"


def test_rows_without_votes_have_the_mean_risk_of_the_others(tmp_path):
    # Positive shares 1, 1/2, 0: mean 1/2. The row without votes is less certain than the tie.
    votes = np.array([[0, 0, 1, -1], [0, 1, 2, -1]])
    ballots = ballots_of(votes)
    decisions = majority(ballots, options=VoteOptions())
    found = queue(tmp_path / "r.csv", decisions, "abcd", index=ballots.index, positive=0)
    assert [(row["id"], row["risk"]) for row in found] == [("d", "0.5"), ("b", "0.5"), ("c", "0.0")]
    unknown = found[0]
    assert unknown["status"] == "no_votes"
    assert (unknown["leader"], unknown["second"], unknown["entropy"]) == ("", "", "")


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_queue_is_what_plain_sorting_gives(tmp_path_factory, seed, has_positive):
    votes, _ = drawn_votes(seed, rows=60, missing=0.3)
    ballots = ballots_of(votes)
    decisions = majority(ballots, options=VoteOptions(agree=Fraction(3, 4), min_votes=2))
    rows = decisions.take(ballots.index)
    ids = [f"{n:02}" for n in np.random.default_rng(seed).permutation(60)]
    total = rows.support.sum(axis=1)
    known = total > 0
    risk = np.full(60, 0.0)
    risk[known] = rows.support[known, 1] / total[known]
    risk[~known] = risk[known].mean() if known.any() else 0
    entropy = np.nan_to_num(rows.entropy, nan=np.inf)
    keys = [
        (-round(risk[row], 12) if has_positive else 0, -round(entropy[row], 12), ids[row], row)
        for row in np.flatnonzero(rows.decision == NO_DECISION)
    ]
    path = tmp_path_factory.mktemp("queue") / "r.csv"
    positive = 1 if has_positive else None
    found = queue(path, decisions, ids, index=ballots.index, positive=positive)
    assert [row["id"] for row in found] == [key[2] for key in sorted(keys)]
    assert ("risk" in (found[0] if found else {})) == (has_positive and bool(found))
    by_rows = queue(path, rows, ids, positive=positive)
    assert by_rows == found


def test_mutual_information_counts_before_entropy(tmp_path):
    ones = np.ones(2)
    decisions = Decisions(
        decision=np.full(2, NO_DECISION, np.int32),
        status=np.full(2, 3, np.uint8),
        leader=np.zeros(2, np.int32),
        agreement_all=ones,
        agreement_voted=ones,
        entropy=np.array([0.6, 0.5]),
        support=np.array([[0.7, 0.2, 0.1]] * 2),
        n_votes=np.full(2, 3, np.int32),
        member_entropy=ones,
        mutual_information=np.array([0.1, 0.2]),
    )
    assert [row["id"] for row in queue(tmp_path / "r.csv", decisions, "ab")] == ["b", "a"]


def test_ids_and_names_come_back_as_they_are(tmp_path):
    ids = ['a,"b"', "line\nbreak", "007", " 猫"]
    ballots = ballots_of(np.array([[0] * 4, [1] * 4]))
    decisions = majority(ballots, options=VoteOptions())
    found = queue(tmp_path / "r.csv", decisions, ids, index=ballots.index)
    assert [row["id"] for row in found] == sorted(ids, key=str.encode)


def test_nothing_to_review_is_a_file_with_a_head_only(tmp_path):
    ballots = ballots_of(np.zeros((2, 3), int))
    decisions = majority(ballots, options=VoteOptions())
    assert queue(tmp_path / "r.csv", decisions, "abc", index=ballots.index, positive=0) == []
    assert (tmp_path / "r.csv").read_text().startswith("id,risk,status,leader,second,")
    nobody = majority(ballots_of(np.zeros((2, 0), int)), options=VoteOptions())
    assert queue(tmp_path / "none.csv", nobody, [], index=np.zeros(0, int)) == []


def test_long_queues_are_written_part_by_part(tmp_path, monkeypatch):
    votes, _ = drawn_votes(0)
    ballots = ballots_of(votes)
    decisions = majority(ballots, options=ALL_OR_NONE)
    ids = [str(row) for row in range(200)]
    whole = queue(tmp_path / "one.csv", decisions, ids, index=ballots.index)
    monkeypatch.setattr(review, "_BLOCK", 7)
    assert len(whole) > 7
    assert queue(tmp_path / "two.csv", decisions, ids, index=ballots.index) == whole


@pytest.mark.parametrize("positive", [0, 2])
def test_risk_is_the_share_of_the_support(positive):
    votes, _ = drawn_votes(4, missing=0)
    ballots = ballots_of(votes)
    decisions = majority(ballots, options=VoteOptions())
    expected = (ballots.patterns == positive).mean(axis=1)
    assert risks(decisions, positive, place=ballots.index) == pytest.approx(expected, abs=1e-15)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_rows_models_and_classes_changes_no_queue(tmp_path_factory, seed):
    votes, _ = drawn_votes(seed, rows=80, missing=0.3, models=5)
    rng = np.random.default_rng(seed)
    rows, files, names = rng.permutation(80), rng.permutation(5), rng.permutation(3)
    moved = np.where(votes < 0, -1, names[votes])[np.ix_(files, rows)]
    ids = np.array([f"{row:02}" for row in range(80)])
    path = tmp_path_factory.mktemp("queue") / "r.csv"
    queues = []
    for table, order, positive in ((votes, np.arange(80), 1), (moved, rows, int(names[1]))):
        ballots = ballots_of(table)
        decisions = majority(ballots, options=ALL_OR_NONE)
        found = queue(path, decisions, ids[order], index=ballots.index, positive=positive)
        queues.append([row["id"] for row in found])
    assert queues[0] == queues[1]
