"""What must not change a consensus does not, and what must change it does as it should."""

import math
from dataclasses import fields
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from consensus_support import ballots_of, drawn_votes, right_of
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.voting.ballots import NO_VOTE, encode
from dnncli.voting.coverage import coverage_table, k_table
from dnncli.voting.dawid_skene import dawid_skene
from dnncli.voting.pooling import Pool
from dnncli.voting.recall_target import choose_rule
from dnncli.voting.rules import NO_DECISION, Status, VoteOptions, k_of_m, majority
from dnncli.voting.selection import select, select_votes

CLASSES = 3

seeds = st.integers(0, 2**32 - 1)
numbers_of_models = st.integers(1, 7)
shares = st.fractions(min_value=Fraction(1, 20), max_value=1, max_denominator=20)
some_options = st.builds(
    VoteOptions,
    agree=st.none() | shares,
    tie=st.sampled_from(["abstain", "positive"]),
    positive=st.just(1),
    min_votes=st.integers(1, 3),
    denominator=st.sampled_from(["all", "voted"]),
)
without_time = settings(deadline=None, max_examples=60)


def weights_of(seed, models):
    """Tenths, some of them 0, not all."""
    tenths = np.random.default_rng(seed).integers(0, 10, models)
    tenths[0] = max(tenths[0], 1)
    return [Fraction(int(number), 10) for number in tenths]


def decided(votes, *, options=None, weights=None, classes=CLASSES):
    """What the majority decides about each row."""
    ballots = ballots_of(votes, classes)
    return majority(ballots, weights=weights, options=options or VoteOptions()).take(ballots.index)


def flagged(votes, k, *, positive=1):
    """What k of M decides about each row."""
    ballots = ballots_of(votes)
    return k_of_m(ballots, k=k, options=VoteOptions(positive=positive)).take(ballots.index)


def assert_same(one, other, *, classes=None, but=()):
    """Two decisions are equal number by number; `classes[c]` is what class c is called in `other`.

    Entropies are sums of logarithms, whose last bits depend on the order of the classes.
    """
    names = np.arange(one.support.shape[1]) if classes is None else np.asarray(classes)
    for field in fields(one):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        if ours is None or field.name in but:
            continue
        if field.name in ("decision", "leader"):
            ours = np.where(ours == NO_DECISION, NO_DECISION, names[ours])
        if field.name == "support":
            theirs = theirs[:, names]
        if field.name == "entropy":
            assert theirs == pytest.approx(ours, abs=1e-12, nan_ok=True)
        else:
            assert np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"), field.name


def renamed(votes, names):
    """The same votes with class c called names[c]."""
    return np.where(votes == NO_VOTE, NO_VOTE, np.asarray(names)[votes])


# What must not change anything


@without_time
@given(seeds, numbers_of_models, some_options)
def test_the_order_of_rows_models_and_classes_changes_no_vote(seed, models, options):
    votes, _ = drawn_votes(seed, models=models, missing=0.2)
    weights = weights_of(seed, models)
    rng = np.random.default_rng(seed)
    rows, files, names = (rng.permutation(n) for n in (votes.shape[1], models, CLASSES))
    other = VoteOptions(
        **{field.name: getattr(options, field.name) for field in fields(options)}
        | {"positive": int(names[1])}
    )
    one = decided(votes, options=options, weights=weights).take(rows)
    shuffled = renamed(votes, names)[np.ix_(files, rows)]
    two = decided(shuffled, options=other, weights=[weights[file] for file in files])
    assert_same(one, two, classes=names)


@without_time
@given(seeds, numbers_of_models, st.integers(1, 7))
def test_the_order_of_rows_models_and_classes_changes_no_count_of_k(seed, models, k):
    votes, _ = drawn_votes(seed, models=models, missing=0.2)
    rng = np.random.default_rng(seed)
    rows, files, names = (rng.permutation(n) for n in (votes.shape[1], models, CLASSES))
    k = min(k, models)
    shuffled = renamed(votes, names)[np.ix_(files, rows)]
    two = flagged(shuffled, k, positive=int(names[1]))
    assert_same(flagged(votes, k).take(rows), two, classes=names)


@without_time
@given(seeds, numbers_of_models, some_options)
def test_two_copies_with_half_the_weight_each_change_nothing(seed, models, options):
    votes, _ = drawn_votes(seed, models=models)
    weights = weights_of(seed, models)
    one = decided(votes, weights=weights)
    copied = np.concatenate([votes, votes[:1]])
    halves = [weights[0] / 2, *weights[1:], weights[0] / 2]
    assert_same(one, decided(copied, weights=halves), but=("n_votes",))
    # All models twice is the same with any options that do not count models.
    free = VoteOptions(agree=options.agree, tie=options.tie, positive=1,
                       denominator=options.denominator)  # fmt: skip
    twice = decided(np.concatenate([votes, votes]), options=free)
    assert_same(decided(votes, options=free), twice, but=("n_votes", "support"))


@without_time
@given(seeds, numbers_of_models, some_options, st.fractions(Fraction(1, 99), 99))
def test_only_the_proportions_of_weights_matter(seed, models, options, factor):
    votes, _ = drawn_votes(seed, models=models)
    weights = weights_of(seed, models)
    scaled = [factor * weight for weight in weights]
    one, two = (decided(votes, options=options, weights=some) for some in (weights, scaled))
    assert_same(one, two, but=("support",))
    assert two.support == pytest.approx(float(factor) * one.support, rel=1e-14)


@without_time
@given(seeds, numbers_of_models, some_options)
def test_a_class_that_nobody_votes_for_changes_nothing(seed, models, options):
    votes, _ = drawn_votes(seed, models=models)
    one = decided(votes, options=options)
    two = decided(votes, options=options, classes=CLASSES + 2)
    assert (two.support[:, CLASSES:] == 0).all()
    assert_same(one, two)


@without_time
@given(seeds, numbers_of_models)
def test_a_silent_model_changes_only_the_share_of_all(seed, models):
    votes, _ = drawn_votes(seed, models=models)
    silent = np.concatenate([votes, np.full_like(votes[:1], NO_VOTE)])
    one, two = decided(votes), decided(silent)
    assert_same(one, two, but=("agreement_all",))
    assert two.agreement_all * (models + 1) == pytest.approx(one.agreement_all * models, abs=1e-12)


@without_time
@given(seeds, numbers_of_models)
def test_the_mean_of_certain_probabilities_is_the_majority(seed, models):
    votes, _ = drawn_votes(seed, models=models)
    pool = Pool(votes.shape[1], CLASSES, how="mean")
    for column in votes:
        pool.add(np.where((column == NO_VOTE)[:, None], np.nan, np.eye(CLASSES)[column]))
    options = VoteOptions(agree=Fraction(3, 5), denominator="voted")
    pooled = pool.result().decide(options=options, votes=list(votes))
    hard = decided(votes, options=options)
    for name in ("decision", "leader", "status", "n_votes"):
        assert np.array_equal(getattr(pooled, name), getattr(hard, name)), name
    assert pooled.agreement_all == pytest.approx(hard.agreement_all, abs=1e-12)
    assert pooled.entropy == pytest.approx(hard.entropy, abs=1e-12, nan_ok=True)


@without_time
@given(seeds, st.sampled_from([1, 3, 5, 7]))
def test_of_two_classes_more_than_half_is_the_majority(seed, models):
    votes, _ = drawn_votes(seed, models=models, classes=2, missing=0)
    assert_same(flagged(votes, models // 2 + 1), decided(votes))


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_the_order_of_rows_models_and_classes_changes_no_estimate(seed):
    votes, _ = drawn_votes(seed, models=5, rows=400, skill=0.7)
    rng = np.random.default_rng(seed)
    rows, files, names = (rng.permutation(n) for n in (400, 5, CLASSES))
    one, two = ballots_of(votes), ballots_of(renamed(votes, names)[np.ix_(files, rows)])
    ours, theirs = dawid_skene(one), dawid_skene(two)
    assert theirs.posteriors[two.index][:, names] == pytest.approx(
        ours.posteriors[one.index][rows], abs=1e-6
    )
    assert theirs.prior[names] == pytest.approx(ours.prior, abs=1e-6)
    swapped = theirs.confusion[np.argsort(files)][:, names][:, :, names]
    assert swapped == pytest.approx(ours.confusion, abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(seeds, st.integers(2, 5))
def test_every_row_several_times_or_a_silent_model_change_no_estimate(seed, times):
    votes, _ = drawn_votes(seed, models=4, skill=0.7)
    one = ballots_of(votes)
    repeated = ballots_of(np.tile(votes, times))
    silent = ballots_of(np.concatenate([votes, np.full_like(votes[:1], NO_VOTE)]))
    expected = dawid_skene(one).posteriors[one.index]
    found = dawid_skene(repeated).posteriors[repeated.index][: len(expected)]
    assert found == pytest.approx(expected, abs=1e-6)
    assert dawid_skene(silent).posteriors[silent.index] == pytest.approx(expected, abs=1e-6)


def drawn_probs(seed, *, models=4, rows=80):
    """Probabilities (M, N, C) with some skill, and truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES, rows)
    logits = rng.normal(size=(models, rows, CLASSES)) + np.eye(CLASSES)[truth]
    probs = np.exp(logits)
    return probs / probs.sum(axis=2, keepdims=True), truth


@settings(deadline=None, max_examples=20)
@given(seeds, st.sampled_from(["log_loss", "brier"]))
def test_the_order_of_rows_models_and_classes_changes_no_selection(seed, metric):
    probs, truth = drawn_probs(seed)
    rng = np.random.default_rng(seed)
    rows, files, names = (rng.permutation(n) for n in (len(truth), len(probs), CLASSES))
    one = select(list(probs), truth, rounds=12, metric=metric)
    other = probs[np.ix_(files, rows, np.argsort(names))]
    two = select(list(other), names[truth][rows], rounds=12, metric=metric)
    assert [two.weights[place] for place in np.argsort(files)] == list(one.weights)
    assert two.losses == pytest.approx(one.losses, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_a_copy_gets_nothing_that_its_original_does_not_give(seed):
    probs, truth = drawn_probs(seed)
    one = select(list(probs), truth, rounds=12)
    two = select([*probs, probs[0]], truth, rounds=12)
    assert two.losses == pytest.approx(one.losses, abs=1e-12)
    assert two.weights[0] + two.weights[-1] == one.weights[0]
    votes, labels = drawn_votes(seed)
    hard = select_votes(ballots_of(votes), labels, rounds=12)
    copied = select_votes(ballots_of(np.concatenate([votes, votes[:1]])), labels, rounds=12)
    assert copied.losses == pytest.approx(hard.losses, abs=1e-12)
    assert copied.weights[0] + copied.weights[-1] == hard.weights[0]


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_the_order_of_rows_changes_no_choice_of_a_rule(seed):
    probs, truth = drawn_probs(seed, rows=300)
    scores = {"mean": probs[..., 0].mean(axis=0), "votes": (probs.argmax(axis=2) == 0).sum(axis=0)}
    rows = np.random.default_rng(seed).permutation(300)
    shuffled = {name: score[rows] for name, score in scores.items()}
    one = choose_rule(scores, truth == 0, recall=0.9, confidence=0.9)
    two = choose_rule(shuffled, (truth == 0)[rows], recall=0.9, confidence=0.9)
    turned = choose_rule(dict(reversed(scores.items())), truth == 0, recall=0.9, confidence=0.9)
    assert one.point == two.point
    assert (one.rule, one.threshold, one.certified) == (two.rule, two.threshold, two.certified)
    assert (turned.point.n_flagged, turned.point.tp) == (one.point.n_flagged, one.point.tp)


# What must change it, and how


@without_time
@given(seeds, numbers_of_models)
def test_a_whole_copy_counts_as_twice_the_weight(seed, models):
    votes, _ = drawn_votes(seed, models=models)
    copied = decided(np.concatenate([votes, votes[:1]]))
    doubled = decided(votes, weights=[Fraction(2), *[Fraction(1)] * (models - 1)])
    assert_same(copied, doubled, but=("n_votes",))
    one = decided(votes)
    spoke = votes[0] != NO_VOTE
    assert np.array_equal(copied.n_votes, one.n_votes + spoke)
    extra = copied.support - one.support
    assert np.array_equal(extra, np.eye(CLASSES)[votes[0]] * spoke[:, None])


@without_time
@given(seeds, numbers_of_models)
def test_a_copy_never_turns_a_row_away_from_its_own_vote(seed, models):
    votes, _ = drawn_votes(seed, models=models)
    before, after = decided(votes), decided(np.concatenate([votes, votes[:1]]))
    kept = (before.leader == votes[0]) & (votes[0] != NO_VOTE)
    assert np.array_equal(after.leader[kept], votes[0][kept])
    won = (after.leader != before.leader) & (after.leader != NO_DECISION)
    assert np.array_equal(after.leader[won], votes[0][won])


@without_time
@given(seeds, numbers_of_models, shares, shares, st.sampled_from(["all", "voted"]))
def test_more_agreement_only_takes_decisions_away(seed, models, first, second, denominator):
    votes, _ = drawn_votes(seed, models=models)
    weights = weights_of(seed, models)
    low, high = (
        decided(votes, weights=weights, options=VoteOptions(agree=agree, denominator=denominator))
        for agree in sorted([first, second])
    )
    kept = high.decision != NO_DECISION
    assert np.array_equal(high.decision[kept], low.decision[kept])
    assert_same(low, high, but=("decision", "status"))


@without_time
@given(seeds, numbers_of_models)
def test_more_votes_asked_for_only_take_decisions_away(seed, models):
    votes, _ = drawn_votes(seed, models=models, missing=0.4)
    results = [decided(votes, options=VoteOptions(min_votes=n)) for n in range(1, models + 2)]
    for few, many in pairwise(results):
        kept = many.decision != NO_DECISION
        assert np.array_equal(many.decision[kept], few.decision[kept])
    assert (results[-1].decision == NO_DECISION).all()


@without_time
@given(seeds, numbers_of_models)
def test_a_higher_k_flags_no_further_row(seed, models):
    votes, truth = drawn_votes(seed, models=models)
    ballots = ballots_of(votes)
    table = k_table(ballots, 1, ballots.by_truth(truth))
    is_flagged = [flagged(votes, k).decision == 1 for k in range(1, models + 1)]
    assert [level.flagged_rows for level in table] == [rows.sum() for rows in is_flagged]
    for loose, strict in pairwise(is_flagged):
        assert not (strict & ~loose).any()
    recalls = [level.recall for level in table if not math.isnan(level.recall)]
    assert recalls == sorted(recalls, reverse=True)


@without_time
@given(seeds, numbers_of_models, some_options)
def test_every_number_keeps_its_bounds(seed, models, options):
    votes, _ = drawn_votes(seed, models=models, missing=0.3)
    weights = weights_of(seed, models)
    found = decided(votes, options=options, weights=weights)
    weight = np.array([float(number) for number in weights])
    voted = weight @ (votes != NO_VOTE)
    assert found.support.sum(axis=1) == pytest.approx(voted, abs=1e-12)
    assert np.array_equal(found.n_votes, (votes != NO_VOTE).sum(axis=0))
    spoke = found.status != Status.NO_VOTES
    assert np.array_equal(spoke, voted > 0)
    assert (found.agreement_all[spoke] > 0).all()
    assert (found.agreement_all[spoke] <= found.agreement_voted[spoke]).all()
    assert (found.agreement_voted[spoke] <= 1).all()
    assert (found.agreement_voted[spoke] >= 1 / CLASSES).all()
    assert (found.entropy[spoke] <= math.log(CLASSES) + 1e-12).all()
    assert (found.entropy[spoke] >= 0).all()
    assert np.array_equal(found.decision != NO_DECISION, found.status <= Status.TIE_BROKEN)
    has = found.decision != NO_DECISION
    assert np.array_equal(found.decision[has], found.leader[has])
    rows = np.flatnonzero(found.leader != NO_DECISION)
    top = found.support[rows, found.leader[rows]]
    assert np.array_equal(top, found.support[rows].max(axis=1))


@without_time
@given(seeds, numbers_of_models)
def test_full_agreement_is_the_same_vote_of_every_model(seed, models):
    votes, _ = drawn_votes(seed, models=models, skill=0.9)
    found = decided(votes, options=VoteOptions(agree=Fraction(1)))
    same = (votes == votes[0]).all(axis=0) & (votes[0] != NO_VOTE)
    assert np.array_equal(found.decision != NO_DECISION, same)


@without_time
@given(seeds, numbers_of_models)
def test_recall_is_lowest_if_abstentions_are_missed_and_highest_if_they_are_caught(seed, models):
    votes, truth = drawn_votes(seed, models=models)
    ballots = ballots_of(votes)
    decisions = majority(ballots, options=VoteOptions())
    table = coverage_table(
        decisions, ballots.counts, right=right_of(ballots, truth, decisions),
        positives=ballots.by_truth(truth)[:, 1], positive=1,
    )  # fmt: skip
    assert [level.agree for level in table] == sorted({level.agree for level in table})
    assert [level.coverage for level in table] == sorted(
        (level.coverage for level in table), reverse=True
    )
    caught = [level.recall_caught for level in table]
    missed = [level.recall_missed for level in table]
    assert caught == sorted(caught)
    assert missed == sorted(missed, reverse=True)
    for level in table:
        assert level.coverage + level.review == pytest.approx(1)
        if not math.isnan(level.recall_excluding):
            assert level.recall_missed <= level.recall_excluding <= level.recall_caught


def test_names_of_models_and_classes_do_not_vote():
    # Decided by counts alone, whatever comes first in the alphabet
    for classes in (["benign", "malignant"], ["ok", "defect"]):
        tie = encode([np.array([0]), np.array([1])], ["b", "a"], classes)
        assert majority(tie, options=VoteOptions()).status.tolist() == [Status.TIE]
