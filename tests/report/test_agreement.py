"""Rows by agreement and status: counted right, and drawn so that one can read it."""

from fractions import Fraction

import numpy as np
import pytest
from consensus_support import ballots_of, drawn_votes, right_of, words
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dnncli.report.agreement import agreement_bars, agreement_plot, agreement_table
from dnncli.voting.rules import Status, VoteOptions, majority

FOUR_OF_FIVE = VoteOptions(agree=Fraction(4, 5))


def bars_of(votes, truth=None, *, options=FOUR_OF_FIVE, weights=None, share="all"):
    ballots = ballots_of(votes)
    decisions = majority(ballots, weights=weights, options=options)
    right = None if truth is None else right_of(ballots, truth, decisions)
    return agreement_bars(decisions, ballots.counts, n_models=len(votes), share=share, right=right)


def test_rows_are_counted_by_level_and_status():
    # Rows of five models: 5 of 5, 4 of 5, 3 of 5, a tie of 2 and 2, and nobody
    votes = np.array([[0, 0, 0, 0, -1], [0, 0, 0, 0, -1], [0, 0, 0, 1, -1], [0, 0, 1, 1, -1],
                      [0, 1, 1, 2, -1]])  # fmt: skip
    table = agreement_table(bars_of(votes, np.array([0, 1, 0, 0, 0])))
    assert table.rows() == [
        (0.0, 0.0, "no_votes", 1, 0),
        (0.4, 0.4, "tie", 1, 0),
        (0.6, 0.6, "below_threshold", 1, 1),
        (0.8, 0.8, "decided", 1, 0),
        (1.0, 1.0, "decided", 1, 1),
    ]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 12),
    st.sampled_from(["all", "voted"]),
    st.booleans(),
)
def test_every_row_is_in_one_bar_that_holds_its_share(seed, models, share, weighted):
    votes, truth = drawn_votes(seed, models=models)
    weights = None
    if weighted:
        weights = [Fraction(int(n), 10) for n in np.random.default_rng(seed).integers(1, 9, models)]
    ballots = ballots_of(votes)
    decisions = majority(ballots, weights=weights, options=FOUR_OF_FIVE)
    right = right_of(ballots, truth, decisions)
    bars = agreement_bars(decisions, ballots.counts, n_models=models, share=share, right=right)
    rows = decisions.take(ballots.index)
    shares = np.nan_to_num(rows.agreement_all if share == "all" else rows.agreement_voted)
    for bar, (lo, hi) in enumerate(zip(bars.lo, bars.hi, strict=True)):
        last = bar == len(bars.lo) - 1
        inside = (shares > lo - 1e-9) & (
            shares < hi + 1e-9 if bars.exact or last else shares < hi - 1e-9
        )
        expected = np.bincount(rows.status[inside], minlength=len(Status))
        assert np.array_equal(bars.rows[bar], expected)
        hits = inside & (rows.leader == truth)
        assert np.array_equal(bars.right[bar], np.bincount(rows.status[hits], minlength=6))
    assert bars.rows.sum() == len(truth)
    assert bars.unanimous == (shares == 1).sum()


def test_rows_by_themselves_give_the_same_bars_as_patterns():
    votes, truth = drawn_votes(3)
    ballots = ballots_of(votes)
    decisions = majority(ballots, options=FOUR_OF_FIVE)
    rows = decisions.take(ballots.index)
    one = agreement_bars(
        decisions, ballots.counts, n_models=4, right=right_of(ballots, truth, decisions)
    )
    other = agreement_bars(rows, None, n_models=4, right=(rows.leader == truth).astype(int))
    assert agreement_table(one).equals(agreement_table(other))


def test_many_different_shares_fill_twenty_bars():
    votes, _ = drawn_votes(1, rows=2_000, models=9)
    weights = [Fraction(100 + model**3) for model in range(9)]
    bars = bars_of(votes, weights=weights)
    assert not bars.exact
    assert len(bars.lo) == 20
    assert bars.rows.sum() == 2_000


def test_the_picture_says_levels_and_what_became_of_the_rows(tmp_path):
    votes = np.array([[0, 0, 1], [0, 0, 1], [0, 1, 2]])
    bars = bars_of(votes, np.array([0, 1, 1]), options=VoteOptions(agree=Fraction(1)))
    agreement_plot(tmp_path / "a.png", bars, agree=Fraction(1))
    assert words(tmp_path / "a.png") == [
        "Agreement of 3 models (n = 3)",
        "unanimous 33.3%, decided 33.3%",
        "2",
        "1",
        "agreement asked for: 1",
        "decided, right: 1 rows",
        "decided, wrong: 0 rows",
        "below the agreement asked for: undecided: 2 rows",
    ]


def test_a_second_panel_shows_what_the_highest_bar_dwarfs(tmp_path):
    few, many = np.array([[0, 0], [0, 1]]), np.array([[0] * 9 + [0], [0] * 9 + [1]])
    agreement_plot(tmp_path / "one.png", bars_of(few))
    agreement_plot(tmp_path / "two.png", bars_of(many))
    assert "The same, closer" not in words(tmp_path / "one.png")
    assert "The same, closer" in words(tmp_path / "two.png")
    assert "9 ↑" in words(tmp_path / "two.png")


@pytest.mark.parametrize("models", [1, 2, 30, 100])
def test_any_number_of_models_can_be_drawn(models, tmp_path):
    votes, _ = drawn_votes(0, models=models)
    agreement_plot(tmp_path / "a.png", bars_of(votes, share="voted"), agree=Fraction(1, 3))
    assert words(tmp_path / "a.png")[0] == f"Agreement of {models} models (n = 200)"


def test_no_row_at_all_is_said(tmp_path):
    agreement_plot(tmp_path / "a.png", bars_of(np.zeros((3, 0), int)))
    assert "There are no rows." in words(tmp_path / "a.png")


def test_the_order_of_the_rows_does_not_change_a_byte(tmp_path):
    votes, _ = drawn_votes(5)
    agreement_plot(tmp_path / "one.png", bars_of(votes))
    agreement_plot(tmp_path / "two.png", bars_of(votes[:, ::-1]))
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as image:
        assert image.width == 814  # 7.4 inches
