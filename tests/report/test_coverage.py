"""What agreement costs, in pictures that name the chosen level with its numbers."""

from fractions import Fraction

import numpy as np
import pytest
from consensus_support import ballots_of, drawn_votes, right_of, words

from dnncli.report.coverage import coverage_frame, coverage_plot, k_frame, k_plot
from dnncli.voting.coverage import coverage_table, k_table
from dnncli.voting.rules import VoteOptions, majority


def levels_of(votes, truth=None, positive=None, *, counted=True, classes=3):
    ballots = ballots_of(votes, classes)
    decisions = majority(ballots, options=VoteOptions())
    known = {}
    if truth is not None:
        known["right"] = right_of(ballots, truth, decisions)
    if positive is not None:
        known["positives"] = ballots.by_truth(truth)[:, positive]
        known["positive"] = positive
    n_models = len(votes) if counted else None
    return coverage_table(decisions, ballots.counts, n_models=n_models, **known)


def test_the_chosen_level_is_told_in_numbers(tmp_path):
    # Rows 3-0 for c0 (right), 2-1 for c0 (wrong: c1), 2-1 for c1 (right)
    votes, truth = np.array([[0, 0, 1], [0, 0, 1], [0, 1, 0]]), np.array([0, 1, 1])
    levels = levels_of(votes, truth, positive=1)
    coverage_plot(tmp_path / "c.png", levels, n=3, agree=Fraction(7, 10), positive="defect")
    assert words(tmp_path / "c.png") == [
        "Accuracy on the decided rows (n = 3)",
        "Recall of 'defect'",
        "3 of 3",
        "2 of 3",
        "Positive rows that are left to people",
        "are found by them",
        "are not counted",
        "are missed",
        "○ and dashed line: agreement ≥ 0.7 (3 of 3 models): coverage 0.3333, "
        "2 rows left to people",
        "    accuracy on decided: 1.0000",
        "    recall if they are found: 1.0000",
        "    recall if they are not counted: n/a",
        "    recall if they are missed: 0.0000",
    ]


def test_without_truth_only_coverage_is_drawn(tmp_path):
    levels = levels_of(drawn_votes(0)[0])
    coverage_plot(tmp_path / "c.png", levels, n=200)
    said = words(tmp_path / "c.png")
    assert said[0] == "Decided rows by agreement asked for (n = 200)"
    assert said[1].startswith("○ no agreement asked for (1 of 4 models): coverage ")
    assert len(said) == 2


def test_a_level_above_all_decides_nothing_and_says_so(tmp_path):
    votes, truth = np.array([[0, 1], [1, 0], [1, 0]]), np.array([1, 0])
    coverage_plot(tmp_path / "c.png", levels_of(votes, truth), n=2, agree=0.9)
    assert "At the agreement asked for, 0.9, no row is decided." in words(tmp_path / "c.png")


def test_a_level_that_is_just_reached_is_the_chosen_one(tmp_path):
    votes, truth = np.array([[0, 1], [1, 1], [0, 1]]), np.array([0, 1])
    for name, agree in (("fraction", Fraction(2, 3)), ("double", 2 / 3)):
        coverage_plot(tmp_path / f"{name}.png", levels_of(votes, truth), n=2, agree=agree)
        assert (
            "○ agreement ≥ 0.6667 (2 of 3 models): coverage 1.0000, 0 rows left to people"
            in words(tmp_path / f"{name}.png")
        )


def test_rows_that_are_all_tied_leave_an_empty_picture(tmp_path):
    votes, truth = np.array([[0, 1], [1, 0]]), np.array([1, 0])
    coverage_plot(tmp_path / "c.png", levels_of(votes, truth), n=2)
    assert words(tmp_path / "c.png")[-1] == "No row has a leading class."


@pytest.mark.parametrize("models", [2, 50])
def test_any_number_of_levels_can_be_drawn(models, tmp_path):
    votes, truth = drawn_votes(0, models=models)
    levels = levels_of(votes, truth, positive=0, counted=False)
    coverage_plot(tmp_path / "c.png", levels, n=200, agree=0.4, positive="$x$")
    assert "Recall of '$x$'" in words(tmp_path / "c.png")


def test_the_tables_hold_every_number_of_every_level():
    votes, truth = drawn_votes(1)
    levels = levels_of(votes, truth, positive=0)
    table = coverage_frame(levels)
    assert table.columns[:3] == ["agree", "needed", "coverage"]
    assert table["accuracy_decided"].to_list() == [level.accuracy_decided for level in levels]
    unknown = coverage_frame(levels_of(votes))
    assert unknown["recall_missed"].to_list() == [None] * len(unknown)
    assert coverage_frame([]).columns == table.columns


def test_a_picture_of_k_needs_no_truth(tmp_path):
    votes, truth = drawn_votes(2)
    ballots = ballots_of(votes)
    known = k_table(ballots, 0, ballots.by_truth(truth))
    k_plot(tmp_path / "known.png", known, n=200, positive="cat", k=2)
    assert words(tmp_path / "known.png") == [
        "'cat' if k of 4 votes are enough (n = 200)",
        "recall",
        "precision",
        "share of all rows that is flagged",
    ]
    k_plot(tmp_path / "unknown.png", k_table(ballots, 0), n=200, positive="cat", k=None)
    assert words(tmp_path / "unknown.png")[1:] == ["share of all rows that is flagged"]
    assert k_frame(known)["k"].to_list() == [1, 2, 3, 4]
