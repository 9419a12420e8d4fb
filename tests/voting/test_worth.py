"""Whether a consensus is worth its cost."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.metrics.agreement import agreement
from dnncli.metrics.paired import difference, mcnemar
from dnncli.voting.ballots import encode
from dnncli.voting.rules import NO_DECISION, VoteOptions, majority
from dnncli.voting.worth import duplicates_sentence, near_duplicates, worth


def drawn(seed, *, rows=500, accuracies=(0.7, 0.8, 0.75), missing=0.0, classes="xyz"):
    """Votes of models that err independently, and truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(classes), rows)
    votes = [
        np.where(rng.random(rows) < accuracy, truth, (truth + 1) % len(classes))
        for accuracy in accuracies
    ]
    votes = [np.where(rng.random(rows) < missing, -1, vote) for vote in votes]
    return encode(votes, [f"m{place}" for place in range(len(votes))], tuple(classes)), truth


def judged(ballots, truth, **more):
    decision = majority(ballots, options=VoteOptions()).decision[ballots.index]
    return worth(ballots, truth, decision, **more), decision


def test_values_worked_out_by_hand():
    truth = np.array([0, 0, 1, 1])
    votes = [np.array([0, 0, 1, 0]), np.array([0, 1, 1, 0]), np.array([1, -1, 1, 0])]
    found, _ = judged(encode(votes, ["a", "b", "c"], ["no", "yes"]), truth, positive=1)
    # Majority: 0, tie, 1, 0: two of four right, three decided
    assert (found.consensus.accuracy, found.consensus.coverage) == (0.5, 0.75)
    assert found.consensus.accuracy_decided == 2 / 3
    assert (found.consensus.recall, found.consensus.precision) == (0.5, 1)
    assert found.majority == found.consensus
    assert [found.members[name].accuracy for name in "abc"] == [0.75, 0.5, 0.25]
    assert [found.members[name].coverage for name in "abc"] == [1, 1, 0.75]
    assert [found.members[name].precision for name in "abc"] == [1, 0.5, 0.5]
    assert (found.best_single, found.mean_single, found.mean_recall) == ("a", 0.5, 0.5)
    assert (found.against_best.only_consensus, found.against_best.only_member) == (0, 1)
    assert found.against_best_decided.only_member == 0
    assert (found.against_best.n, found.against_best_decided.n) == (4, 3)
    assert found.predictions_per_row == 11 / 4


@pytest.mark.parametrize("seed", range(3))
def test_the_comparison_is_the_paired_test_on_the_same_rows(seed):
    ballots, truth = drawn(seed, missing=0.2)
    found, decision = judged(ballots, truth, positive=2, confidence=0.9)
    votes = ballots.votes(ballots.models.index(found.best_single))
    for pair, rows in (
        (found.against_best, truth >= 0),
        (found.against_best_decided, decision != NO_DECISION),
        (found.against_best_positives, truth == 2),
    ):
        first = int(((decision == truth) & (votes != truth) & rows).sum())
        second = int(((votes == truth) & (decision != truth) & rows).sum())
        assert pair.member == found.best_single
        assert (pair.only_consensus, pair.only_member, pair.n) == (first, second, rows.sum())
        assert pair.difference == difference(first, second, int(rows.sum()), confidence=0.9)
        assert pair.p_value == mcnemar(first, second)
    gap = found.consensus.accuracy - found.members[found.best_single].accuracy
    assert found.against_best.difference.difference == pytest.approx(gap, abs=1e-12)


def test_independent_models_of_equal_strength_pay():
    ballots, truth = drawn(0, rows=2000, accuracies=(0.8,) * 5)
    found, _ = judged(ballots, truth)
    assert found.against_best.difference.low > 0
    assert found.warnings == ()
    assert found.effective_models == pytest.approx(5, abs=0.5)
    assert found.against_best_positives is found.consensus.recall is found.mean_recall is None


def test_a_consensus_that_is_worse_than_a_member_is_named():
    ballots, truth = drawn(0, accuracies=(0.6, 0.95, 0.6))
    (line,) = judged(ballots, truth)[0].warnings
    assert "the consensus is worse than 'm1' alone: -" in line
    assert "(95 % interval -" in line
    assert line.endswith(" on 500 rows. It costs 3 predictions a row instead of 1.")


def test_rows_left_to_people_are_told_apart_from_wrong_ones():
    ballots, truth = drawn(0, accuracies=(0.95, 0.95))
    found, decision = judged(ballots, truth)
    n_decided = (decision != NO_DECISION).sum()
    assert "where a row left to people counts as wrong; on the " in found.warnings[0]
    assert f"on the {n_decided} decided rows +0.00. It costs 2" in found.warnings[0]


def test_a_consensus_that_may_only_be_lucky_is_named():
    ballots, truth = drawn(0, rows=40, accuracies=(0.9, 0.9, 0.9))
    (line,) = judged(ballots, truth, confidence=0.8)[0].warnings
    assert "is not shown to be better than" in line
    assert "80 % interval" in line


def test_equal_models_are_ranked_by_name_whatever_their_order():
    truth = np.array([0, 1])
    votes = [np.array([0, 0]), np.array([1, 1]), np.array([0, 0])]
    assert judged(encode(votes, ["c", "b", "a"], "xy"), truth)[0].best_single == "a"
    assert judged(encode(votes[::-1], ["c", "b", "a"], "xy"), truth)[0].best_single == "a"


def alike(votes, **more):
    ballots = encode(votes, "abcd"[: len(votes)], "xy")
    agreed = agreement(ballots.patterns, ballots.counts, n_classes=2)
    return near_duplicates(ballots.models, agreed, **more)


def test_near_duplicates_are_those_that_agree_on_more_than_the_limit():
    truth = np.zeros(1000, int)
    one, two = truth.copy(), truth.copy()
    one[0] = two[:2] = 1
    votes = [truth, truth, one, two]
    # a and c agree on exactly .999 of the rows, which is not more
    assert alike(votes) == (("a", "b", 1.0),)
    assert [pair[:2] for pair in alike(votes, near=Fraction(998, 1000))] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
        ("c", "d"),
    ]


def test_near_duplicates_are_named_in_a_sentence():
    votes = [np.array([0, 1, 0])] * 4
    assert duplicates_sentence(()) == ()
    (sentence,) = duplicates_sentence(alike(votes[:2]))
    assert "near duplicates, and count twice: 'a' and 'b' (1)." in sentence
    (sentence,) = duplicates_sentence(alike(votes))
    assert sentence.endswith(" and 1 more.")


def test_only_models_that_are_used_cost_predictions():
    ballots, truth = drawn(0)
    decision = ballots.votes(1)
    used = [place == 1 for place in range(len(ballots.models))]
    assert worth(ballots, truth, decision, used=used).predictions_per_row == 1


def test_copies_of_one_model_are_worth_one_model():
    ballots, truth = drawn(0, accuracies=(0.7,))
    copies = encode([ballots.votes(0)] * 4, list("abcd"), ballots.class_names)
    assert judged(copies, truth)[0].effective_models == pytest.approx(1, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.9))
def test_effective_models_agree_with_the_variances_of_errors(seed, missing):
    ballots, truth = drawn(seed, missing=missing, rows=50)
    found, _ = judged(ballots, truth)
    errors = np.array([ballots.votes(model) != truth for model in range(3)])
    below = errors.sum(axis=0).var()
    expected = 3 * errors.var(axis=1).sum() / below if below else np.nan
    assert found.effective_models == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_rows_of_unknown_truth_are_left_out():
    ballots, truth = drawn(3, missing=0.3)
    known = np.arange(len(truth)) % 3 > 0
    half = np.flatnonzero(known)
    decision = majority(ballots, options=VoteOptions()).decision[ballots.index]
    found = worth(ballots, np.where(known, truth, -1), decision, positive=0)
    only = worth(ballots.take(half), truth[half], decision[half], positive=0)
    assert found.n == len(half)
    assert (found.consensus, found.members) == (only.consensus, only.members)
    assert found.against_best_decided == only.against_best_decided


def test_no_row_of_known_truth_tells_nothing():
    ballots, truth = drawn(0)
    found, _ = judged(ballots, np.full_like(truth, -1))
    assert found.n == 0
    assert np.isnan([found.consensus.accuracy, found.mean_single, found.effective_models]).all()
    assert found.warnings == ()


def test_what_does_not_fit_is_refused():
    ballots, truth = drawn(0)
    with pytest.raises(ValueError, match=r"labels must be \(500,\). Got \(2,\)"):
        worth(ballots, truth[:2], truth)
    with pytest.raises(ValueError, match=r"decision must be \(500,\). Got \(2,\)"):
        worth(ballots, truth, truth[:2])
    with pytest.raises(ValueError, match="positive must lie in"):
        worth(ballots, truth, truth, positive=3)
