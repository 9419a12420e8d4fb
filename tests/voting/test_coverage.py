"""What more agreement costs."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.voting.ballots import encode
from dnncli.voting.coverage import coverage_table, k_table, remarks
from dnncli.voting.rules import NO_DECISION, VoteOptions, k_of_m, majority


def drawn(seed, *, rows=200, models=5, missing=0.1):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, rows)
    votes = np.where(rng.random((models, rows)) < 0.6, truth, rng.integers(0, 3, (models, rows)))
    votes = np.where(rng.random((models, rows)) < missing, -1, votes)
    return encode(list(votes), [str(m) for m in range(models)], ["a", "b", "c"]), truth


def table(ballots, truth, *, options=None, weights=None, positive=1, **more):
    decisions = majority(ballots, weights=weights, options=options or VoteOptions())
    by_truth = ballots.by_truth(truth)
    leader = np.maximum(decisions.leader, 0)[:, None]
    return coverage_table(
        decisions,
        ballots.counts,
        right=np.take_along_axis(by_truth, leader, axis=1)[:, 0],
        positives=by_truth[:, positive],
        positive=positive,
        **more,
    )


def test_levels_worked_out_by_hand():
    # 3 of 3 right about x; 2 of 3 right about y; 2 of 3 wrong about y; all differ about y.
    votes = [np.array([0, 1, 0, 0]), np.array([0, 1, 0, 1]), np.array([0, 0, 1, 2])]
    ballots = encode(votes, ["p", "q", "r"], ["x", "y", "z"])
    two, three = table(ballots, np.array([0, 1, 1, 1]), n_models=3)
    assert (two.agree, two.needed, three.agree, three.needed) == (2 / 3, "2 of 3", 1, "3 of 3")
    assert (two.coverage, two.decided_rows, two.review, two.review_rows) == (0.75, 3, 0.25, 1)
    assert two.accuracy_decided == 2 / 3
    # Of three positives one is found, one is taken for x, one is left to people.
    assert (two.recall_excluding, two.recall_missed, two.recall_caught) == (1 / 2, 1 / 3, 2 / 3)
    assert (three.coverage, three.accuracy_decided) == (0.25, 1)
    assert np.isnan(three.recall_excluding)
    assert (three.recall_missed, three.recall_caught) == (0, 1)


@pytest.mark.parametrize("tie", ["abstain", "class-order"])
@pytest.mark.parametrize("share", ["all", "voted"])
@pytest.mark.parametrize("seed", range(3))
def test_each_level_is_what_the_rule_decides_with_it(seed, share, tie):
    ballots, truth = drawn(seed)
    options = VoteOptions(tie=tie, min_votes=3, denominator=share)
    found = table(ballots, truth, options=options, share=share)
    assert len(found) > 2
    for level in found:
        agree = Fraction(level.agree).limit_denominator(100)
        asked = VoteOptions(tie=tie, min_votes=3, denominator=share, agree=agree)
        decision = majority(ballots, options=asked).decision[ballots.index]
        decided, positive = decision != NO_DECISION, truth == 1
        tp = (decision == 1) & positive
        assert level.decided_rows == decided.sum() == len(ballots) - level.review_rows
        assert level.accuracy_decided == np.mean(truth[decided] == decision[decided])
        assert level.recall_excluding == tp.sum() / (positive & decided).sum()
        assert level.recall_missed == tp.sum() / positive.sum()
        assert level.recall_caught == (tp | (positive & ~decided)).sum() / positive.sum()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.9))
def test_more_agreement_never_decides_more(seed, missing):
    ballots, truth = drawn(seed, missing=missing, rows=60)
    found = table(ballots, truth)
    for lower, higher in pairwise(found):
        assert lower.agree < higher.agree
        assert lower.coverage > higher.coverage > 0
        assert lower.recall_missed >= higher.recall_missed
        assert lower.recall_caught <= higher.recall_caught
    for level in found:
        assert level.recall_missed <= level.recall_caught


def test_a_given_level_is_inclusive_and_exact():
    # Eight of ten weights of one tenth
    votes = [np.array([int(m < 8)]) for m in range(10)]
    ballots = encode(votes, [str(m) for m in range(10)], ["n", "p"])
    tenths = [Fraction(1, 10)] * 10
    levels = [Fraction(4, 5), Fraction(81, 100)]
    found = table(ballots, np.array([1]), weights=tenths, levels=levels)
    assert [level.coverage for level in found] == [1, 0]
    assert [level.needed for level in found] == [None, None]
    assert np.isnan(found[1].accuracy_decided)


@pytest.mark.parametrize("n_models", range(1, 50))
def test_levels_are_told_as_models(n_models):
    # k / M as a double, times M, may be above k
    votes = [np.arange(n_models) >= m for m in range(n_models)]
    ballots = encode(
        [vote.astype(int) - 1 for vote in votes], [str(m) for m in range(n_models)], ["x"]
    )
    decisions = majority(ballots, options=VoteOptions())
    found = coverage_table(decisions, ballots.counts, n_models=n_models)
    expected = [f"{k} of {n_models}" for k in range(1, n_models + 1)]
    assert [level.needed for level in found] == expected


def test_pooled_probabilities_are_levels_themselves():
    ballots, _ = drawn(0, missing=0, rows=3)
    decisions = majority(ballots, options=VoteOptions())
    found = coverage_table(decisions, ballots.counts, share="support", levels=[3.0, 3 + 1e-13, 6])
    near = coverage_table(
        decisions, ballots.counts, share="support", levels=[3 + 1e-13], tolerance=1e-12
    )
    assert found[0].coverage == near[0].coverage >= found[1].coverage
    assert found[2].coverage == 0
    exactly_three = ballots.counts[decisions.support.max(axis=1) == 3].sum()
    assert found[0].decided_rows - found[1].decided_rows == exactly_three


def test_many_shares_become_steps_of_a_hundredth():
    rng = np.random.default_rng(0)
    weights = [Fraction(int(weight), 10**6) for weight in rng.integers(10**5, 10**6, 9)]
    ballots, truth = drawn(1, rows=2000, models=9)
    found = table(ballots, truth, weights=weights)
    decisions = majority(ballots, weights=weights, options=VoteOptions())
    lowest = decisions.agreement_all[(decisions.leader >= 0) & (ballots.counts > 0)].min()
    assert [level.agree for level in found] == [
        step / 100 for step in range(int(lowest * 100), 101)
    ]
    assert found[0].decided_rows == ballots.counts[decisions.leader >= 0].sum()


def test_rows_that_no_agreement_decides_are_decided_at_no_level():
    votes = [np.array([0, 1, -1, 0]), np.array([1, 0, -1, -1])]
    ballots = encode(votes, ["p", "q"], ["x", "y"])
    options = VoteOptions(min_votes=2)
    assert table(ballots, np.zeros(4, int), options=options) == []
    found = table(ballots, np.zeros(4, int), options=options, levels=[0.5])
    assert found[0].coverage == 0
    assert found[0].review_rows == 4


def test_without_truth_only_coverage_is_told():
    ballots, _ = drawn(0)
    level = coverage_table(majority(ballots, options=VoteOptions()), ballots.counts)[0]
    assert level.coverage > 0
    assert level.accuracy_decided is level.recall_missed is level.recall_caught is None


@pytest.mark.parametrize("seed", range(3))
def test_every_k_is_what_the_rule_flags(seed):
    ballots, truth = drawn(seed)
    found = k_table(ballots, 2, ballots.by_truth(truth))
    for k, level in enumerate(found, 1):
        decision = k_of_m(ballots, k=k, options=VoteOptions(positive=2)).decision[ballots.index]
        flagged, positive = decision == 2, truth == 2
        assert level.k == k
        assert (level.flagged_rows, level.flagged) == (flagged.sum(), flagged.mean())
        assert level.tp == (flagged & positive).sum()
        assert level.fp == (flagged & ~positive).sum()
        assert level.fn == (~flagged & positive).sum()
        assert level.recall == level.tp / positive.sum()
        assert level.precision == pytest.approx(level.tp / flagged.sum(), abs=0, nan_ok=True)
    assert len(found) == 5


def test_k_without_truth_tells_only_the_work():
    ballots, _ = drawn(0)
    first, *_, last = k_table(ballots, 0)
    assert first.flagged_rows > last.flagged_rows
    assert first.recall is first.tp is first.precision is None


def test_shares_that_mean_more_models_are_said():
    assert remarks(n_models=3, agree=Fraction(4, 5)) == ["80 % of 3 models means all 3."]
    assert remarks(n_models=7, agree=Fraction(4, 5)) == ["80 % of 7 models means 6 of them."]
    assert remarks(n_models=5, agree=Fraction(4, 5)) == []
    assert remarks(n_models=3, agree=Fraction(1)) == []


def test_a_recall_that_the_majority_lowers_is_said_with_what_to_do():
    # Each of three models finds its own two of six positives; q finds one more.
    finds = [{0, 1}, {2, 3, 4}, {4, 5}]
    votes = [np.array([int(row in found) for row in range(10)]) for found in finds]
    ballots = encode(votes, ["p", "q", "r"], ["ok", "defect"])
    truth = np.array([1] * 6 + [0] * 4)
    recall = table(ballots, truth)[-2].recall_missed
    lines = remarks(
        n_models=3,
        positive="defect",
        recall=recall,
        member_recalls={"p": 2 / 6, "q": 3 / 6, "r": 2 / 6},
        ks=k_table(ballots, 1, ballots.by_truth(truth)),
    )
    assert lines == [
        "majority lowers the recall of 'defect': it finds 16.67 % by itself, q alone 50 %, "
        "38.89 % in the mean of all models.",
        "1 vote is enough to find 100 % of 'defect', flagging 60 % of the rows: "
        "--method k-of-m --k 1.",
    ]


def test_a_recall_that_is_not_lowered_is_not_spoken_of():
    asked = {"n_models": 2, "positive": "p", "member_recalls": {"a": 0.5, "b": 0.9}}
    assert remarks(**asked, recall=0.9) == []
    assert remarks(**asked, recall=float("nan")) == []
    assert remarks(**asked, recall=None) == []
    assert "mean" not in remarks(**asked, recall=0.8)[0]
    assert "mean" in remarks(**asked, recall=0.6)[0]


def test_what_does_not_fit_is_refused():
    ballots, _ = drawn(0)
    decisions = majority(ballots, options=VoteOptions())
    with pytest.raises(ValueError, match=r"rows must be \(\d+,\). Got \(2,\)"):
        coverage_table(decisions, np.ones(2, int))
    with pytest.raises(ValueError, match="need the index"):
        coverage_table(decisions, ballots.counts, positives=ballots.counts)
    with pytest.raises(ValueError, match="share must be one of"):
        coverage_table(decisions, ballots.counts, share="most")
    with pytest.raises(ValueError, match=r"positive must lie in \[0, 3\)"):
        k_table(ballots, 3)
