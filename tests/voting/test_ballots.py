"""Votes become patterns, and come back unchanged."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.voting.ballots import NO_VOTE, encode


def drawn(seed, *, rows=200, models=4, classes=3):
    return np.random.default_rng(seed).integers(NO_VOTE, classes, (models, rows))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 300), st.integers(0, 50))
def test_every_vote_comes_back(seed, models, classes, rows):
    # 60 models of 300 classes do not fit into one 64-bit code
    votes = drawn(seed, rows=rows, models=models, classes=classes)
    ballots = encode(list(votes), [str(m) for m in range(models)], [str(c) for c in range(classes)])
    assert np.array_equal(ballots.patterns[ballots.index].T, votes)
    assert ballots.counts.sum() == len(ballots) == rows
    assert len(np.unique(ballots.patterns, axis=0)) == len(ballots.patterns)


def test_patterns_are_counted_once():
    ballots = encode([np.array([0, 1, 0, -1]), np.array([1, 1, 1, 0])], ["a", "b"], ["x", "y"])
    assert ballots.patterns.tolist() == [[-1, 0], [0, 1], [1, 1]]
    assert ballots.counts.tolist() == [1, 2, 1]
    assert ballots.by_truth(np.array([0, 1, 1, -1])).tolist() == [[0, 0], [1, 1], [0, 1]]


def test_models_can_be_left_out():
    votes = drawn(1)
    ballots = encode(list(votes), "abcd", "xyz").select([3, 1])
    assert ballots.models == ("d", "b")
    assert np.array_equal(ballots.votes(0), votes[3])
    assert np.array_equal(ballots.votes(1), votes[1])


def test_rows_can_be_left_out():
    ballots = encode(list(drawn(2)), "abcd", "xyz").take(np.array([5, 5, 7]))
    assert np.array_equal(ballots.votes(2), drawn(2)[2][[5, 5, 7]])
    assert ballots.counts.sum() == 3


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        ([np.zeros(2, int), np.zeros(3, int)], r"must all be \(2,\). Got \(3,\)"),
        ([np.array([0, 2]), np.zeros(2, int)], r"must lie in \[-1, 2\). Got 0 to 2"),
        ([np.zeros(2, int)], "2 >= 1 models. Got 1"),
    ],
)
def test_votes_that_do_not_fit_are_refused(votes, message):
    with pytest.raises(ValueError, match=message):
        encode(votes, ["a", "b"], ["x", "y"])
