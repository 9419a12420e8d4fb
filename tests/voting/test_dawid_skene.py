"""Dawid-Skene: the estimate, and what must not change it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.voting.ballots import NO_VOTE, encode
from dnncli.voting.dawid_skene import dawid_skene


def cast(votes, *, classes=3):
    """Ballots of votes (M, N)."""
    columns = [np.asarray(column) for column in votes]
    names = [f"m{number}" for number in range(len(columns))]
    return encode(columns, names, [f"c{number}" for number in range(classes)])


def drawn(seed, *, rows=150, models=4, classes=3, right=0.6):
    """Truth, and votes that are right or drawn evenly; a tenth is missing."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    votes = np.where(
        rng.random((models, rows)) < right, truth, rng.integers(0, classes, (models, rows))
    )
    return truth, np.where(rng.random(votes.shape) < 0.1, NO_VOTE, votes)


def per_row(votes, *, classes=3, **options):
    ballots = cast(votes, classes=classes)
    found = dawid_skene(ballots, **options)
    return found, found.posteriors[ballots.index]


def naive(votes, classes, iterations):
    """Plain loops over rows; posteriors of rows with votes, prior and confusion."""
    votes = np.array([row for row in np.transpose(votes) if (row >= 0).any()])
    posteriors = np.array(
        [[(row == c).sum() / (row >= 0).sum() for c in range(classes)] for row in votes]
    )
    for _ in range(iterations):
        prior = posteriors.mean(axis=0)
        confusion = np.zeros((votes.shape[1], classes, classes))
        for row, q in zip(votes, posteriors):
            for model, vote in enumerate(row):
                if vote >= 0:
                    confusion[model, :, vote] += q
        confusion /= confusion.sum(axis=2, keepdims=True)
        for number, row in enumerate(votes):
            q = prior.copy()
            for model, vote in enumerate(row):
                if vote >= 0:
                    q *= confusion[model, :, vote]
            posteriors[number] = q / q.sum()
    return posteriors, prior, confusion


def log_likelihood(votes, found):
    """Of the votes, under the estimate."""
    total = 0.0
    for row in np.transpose(votes):
        joint = found.prior.copy()
        for model, vote in enumerate(row):
            if vote != NO_VOTE:
                joint *= found.confusion[model, :, vote]
        total += np.log(joint.sum())
    return total


def test_one_iteration_worked_out_by_hand():
    # Shares of votes: row 1 (2/3, 1/3), row 2 (0, 1). Prior (1/3, 2/3). Models 1 and 2 vote c0 for
    # every c0 and for 1/3 / (1/3 + 1) = 1/4 of c1; model 3 always votes c1, which tells nothing.
    # Row 1: 1/3 * 1 * 1 against 2/3 * 1/4 * 1/4 = 8 : 1.
    found, rows = per_row([[0, 1], [0, 1], [1, 1]], classes=2, most_iterations=1)
    assert rows == pytest.approx(np.array([[8 / 9, 1 / 9], [0, 1]]), abs=1e-8)
    assert found.prior == pytest.approx([1 / 3, 2 / 3])
    assert found.confusion[0] == pytest.approx(np.array([[1, 0], [1 / 4, 3 / 4]]), abs=1e-8)
    assert found.confusion[2] == pytest.approx(np.array([[0, 1], [0, 1]]), abs=1e-8)
    assert (found.iterations, found.converged) == (1, False)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("iterations", [1, 2, 25])
def test_patterns_give_what_loops_over_rows_give(seed, iterations):
    _, votes = drawn(seed)
    found, rows = per_row(votes, most_iterations=iterations, tolerance=0)
    posteriors, prior, confusion = naive(votes, 3, iterations)
    assert rows[(votes != NO_VOTE).any(axis=0)] == pytest.approx(posteriors, abs=1e-6)
    assert found.prior == pytest.approx(prior, abs=1e-6)
    assert found.confusion == pytest.approx(confusion, abs=1e-6)


def test_no_iteration_makes_the_votes_less_likely():
    _, votes = drawn(9)
    likelihoods = [
        log_likelihood(votes, dawid_skene(cast(votes), most_iterations=steps, tolerance=0))
        for steps in range(1, 30)
    ]
    assert np.diff(likelihoods).min() > -1e-9


def test_two_that_always_say_the_same_do_not_outvote_three_that_look():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 400)
    good = np.where(rng.random((3, 400)) < 0.85, truth, 1 - truth)
    found, rows = per_row([*good, np.ones(400, int), np.ones(400, int)], classes=2)
    majority = (good.sum(axis=0) + 2 >= 3).astype(int)
    assert found.converged
    assert (rows.argmax(axis=1) == truth).mean() > 0.9
    assert (majority == truth).mean() < 0.85
    assert found.confusion[3] == pytest.approx(np.array([[0, 1], [0, 1]]), abs=1e-8)


@pytest.mark.parametrize("prior", ["estimated", "votes"])
def test_the_estimate_is_of_the_shares_of_patterns_not_of_the_number_of_rows(prior):
    _, votes = drawn(5)
    once, rows = per_row(votes, prior=prior)
    many, more = per_row(np.tile(votes, 1000), prior=prior)
    assert more[: len(rows)] == pytest.approx(rows, abs=1e-9)
    assert many.confusion == pytest.approx(once.confusion, abs=1e-9)


def test_the_order_of_rows_models_and_classes_does_not_matter():
    _, votes = drawn(6)
    rng = np.random.default_rng(0)
    rows, models, classes = rng.permutation(150), rng.permutation(4), rng.permutation(3)
    renamed = np.where(votes == NO_VOTE, NO_VOTE, classes[votes])
    straight, expected = per_row(votes)
    mixed, found = per_row(renamed[models][:, rows])
    assert found[:, classes] == pytest.approx(expected[rows], abs=1e-9)
    assert mixed.confusion[:, classes][:, :, classes] == pytest.approx(
        straight.confusion[models], abs=1e-9
    )


def test_rows_without_votes_change_nothing_and_get_the_prior():
    _, votes = drawn(7)
    padded = np.concatenate([votes, np.full((4, 60), NO_VOTE)], axis=1)
    expected, rows = per_row(votes)
    found, more = per_row(padded)
    assert found.iterations == expected.iterations
    assert more[:150] == pytest.approx(rows, abs=1e-12)
    assert more[150:] == pytest.approx(np.tile(expected.prior, (60, 1)), abs=1e-12)


def test_patterns_that_no_row_has_are_rated_but_teach_nothing():
    _, votes = drawn(8)
    ballots, some = cast(votes), np.arange(0, 150, 2)
    part, fresh = ballots.take(some), cast(votes[:, some])
    found = dawid_skene(part)
    assert found.posteriors[part.index] == pytest.approx(
        dawid_skene(fresh).posteriors[fresh.index], abs=1e-12
    )
    assert found.posteriors.sum(axis=1) == pytest.approx(np.ones(len(ballots.patterns)))


def test_a_class_that_nobody_votes_for_is_impossible():
    # Its even habits would else beat two models that contradict what they always do.
    found, rows = per_row([[0] * 9 + [1] * 9 + [0], [0] * 9 + [1] * 9 + [1]], classes=3)
    assert found.prior[2] == 0
    assert (rows[:, 2] == 0).all()


def test_contradicting_models_of_equal_quality_leave_it_open():
    found, rows = per_row([[0] * 9 + [1] * 9 + [0, 1], [0] * 9 + [1] * 9 + [1, 0]], classes=2)
    assert rows[-2:] == pytest.approx(np.full((2, 2), 0.5))
    assert (found.rounded[found.posteriors.max(axis=1) < 0.6] == 0.5).all()


def test_a_thousand_models_do_not_underflow():
    truth, votes = drawn(2, rows=30, models=1000, right=0.2)
    _, rows = per_row(votes)
    assert np.isfinite(rows).all()
    assert (rows.argmax(axis=1) == truth).all()


@pytest.mark.parametrize("n_rows", [0, 3])
def test_without_votes_everything_is_even(n_rows):
    found, rows = per_row(np.full((2, n_rows), NO_VOTE), classes=4)
    assert found.prior.tolist() == [0.25] * 4
    assert rows.tolist() == [[0.25] * 4] * n_rows
    assert (found.confusion == 0.25).all()
    assert found.converged


def test_the_prior_of_the_votes_is_their_mean_share():
    # Shares of c1: 1/2, 1, 0, and no vote at all.
    found, _ = per_row([[0, 1, 0, NO_VOTE], [1, NO_VOTE, 0, NO_VOTE]], classes=2, prior="votes")
    assert found.prior == pytest.approx([0.5, 0.5])


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(0, 40),
    st.floats(0, 1),
)
def test_posteriors_prior_and_habits_are_shares(seed, models, classes, rows, right):
    _, votes = drawn(seed, rows=rows, models=models, classes=classes, right=right)
    found = dawid_skene(cast(votes, classes=classes), most_iterations=50)
    for shares in (found.posteriors, found.prior, found.confusion):
        assert (shares >= 0).all()
        assert shares.sum(axis=-1) == pytest.approx(np.ones(shares.shape[:-1]))


def test_at_least_one_iteration_is_needed():
    with pytest.raises(ValueError, match="at least 1. Got 0"):
        dawid_skene(cast([[0]]), most_iterations=0)
