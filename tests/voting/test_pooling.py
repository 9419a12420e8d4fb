"""Pooled probabilities are the means that their names say, and decide at exact boundaries."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.voting.ballots import NO_VOTE
from dnncli.voting.pooling import POOL_HOWS, Pool, average, decide_probs, tolerance
from dnncli.voting.rules import NO_DECISION, Status, VoteOptions

HALF = [0.5, 0.5]
NAN = [np.nan, np.nan]


def pooled(*members, how="mean", weights=None, dtype=np.float64):
    """The pool of members, each a list of rows of probabilities."""
    arrays = [np.array(member, dtype) for member in members]
    pool = Pool(*arrays[0].shape, how=how)
    for array, weight in zip(arrays, weights or [1] * len(arrays)):
        pool.add(array, weight=weight)
    return pool.result()


def decide(probs, *, dtype=np.float64, votes=None, weights=None, n_votes=None, **options):
    probs = np.array(probs, dtype)
    n_models = 3 if votes is None else len(votes)
    n_votes = np.full(len(probs), n_models) if n_votes is None else np.array(n_votes)
    return decide_probs(
        probs,
        n_votes=n_votes,
        n_models=n_models,
        votes=votes,
        weights=weights,
        options=VoteOptions(**options),
        precision=np.dtype(dtype),
    )


def words(result):
    return [Status(status).word for status in result.status]


def drawn(seed, *, members=3, rows=40, classes=4):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), (members, rows))


def entropy(shares):
    return -sum(share * math.log(share) for share in shares if share > 0)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(POOL_HOWS))
def test_every_row_agrees_with_the_definition(seed, how):
    members, weights = drawn(seed), [0.5, 2, Fraction(1, 3)]
    members[1, ::5] = np.nan  # said nothing about these rows
    found = pooled(*members, how=how, weights=weights)
    for row, probs in enumerate(found.probs):
        present = [
            (member[row], float(weight))
            for member, weight in zip(members, weights)
            if not np.isnan(member[row, 0])
        ]
        total = sum(weight for _, weight in present)
        if how == "mean":
            expected = sum(weight * shares for shares, weight in present) / total
        elif how == "geometric":
            expected = np.prod([shares ** (weight / total) for shares, weight in present], axis=0)
        else:
            expected = sum(weight * shares * (shares == shares.max()) for shares, weight in present)
        assert probs == pytest.approx(expected / expected.sum(), abs=1e-14)
        assert found.n_votes[row] == len(present)
        mean_entropy = sum(weight * entropy(shares) for shares, weight in present) / total
        assert found.member_entropy[row] == pytest.approx(mean_entropy, abs=1e-13)
    assert found.n_models == 3


def test_means_worked_out_by_hand():
    # (.9 + .5) / 2 = .7; sqrt(.9 * .5) : sqrt(.1 * .5) = 3 : 1
    members = [[[0.9, 0.1]], [HALF]]
    assert pooled(*members).probs[0] == pytest.approx([0.7, 0.3])
    assert pooled(*members, how="geometric").probs[0] == pytest.approx([0.75, 0.25])
    # .9 for the first class; the second member shares its .5 among both
    assert pooled(*members, how="confidence").probs[0] == pytest.approx([1.15 / 1.4, 0.25 / 1.4])


def test_more_rows_than_one_block_are_pooled_as_few_are():
    members = drawn(1, members=2, rows=70_000, classes=3)
    assert np.array_equal(pooled(*members).probs, members.sum(axis=0) / 2)
    assert np.array_equal(
        pooled(*members, how="geometric").probs[-5:],
        pooled(*members[:, -5:], how="geometric").probs,
    )


def test_members_in_other_memory_layouts_are_the_same():
    members = drawn(2)
    columns = [np.asfortranarray(member) for member in members]
    assert np.array_equal(pooled(*members).probs, pooled(*columns).probs)


def test_one_zero_excludes_a_class_from_the_geometric_mean():
    found = pooled([[0.0, 0.2, 0.8]], [[0.98, 0.01, 0.01]], how="geometric").probs[0]
    assert found[0] == 0
    assert found[2] / found[1] == pytest.approx(math.sqrt(0.8 * 0.01) / math.sqrt(0.2 * 0.01))


@pytest.mark.parametrize(
    ("tie", "decision", "word"), [("abstain", NO_DECISION, "tie"), ("positive", 1, "tie_broken")]
)
def test_where_every_class_is_excluded_all_are_tied(tie, decision, word):
    found = pooled([[1.0, 0.0]], [[0.0, 1.0]], how="geometric")
    assert found.probs.tolist() == [[0, 0]]
    result = found.decide(options=VoteOptions(tie=tie, positive=1))
    assert result.decision.tolist() == [decision] and words(result) == [word]
    assert np.isnan(result.entropy[0])


@pytest.mark.parametrize("how", POOL_HOWS)
def test_what_nobody_said_anything_about_has_no_votes(how):
    found = pooled([NAN, HALF], [NAN, NAN], how=how)
    assert np.isnan(found.probs[0]).all() and np.isnan(found.member_entropy[0])
    result = found.decide(options=VoteOptions(tie="class-order"))
    assert words(result) == ["no_votes", "tie_broken"]
    assert result.leader.tolist() == [NO_DECISION, 0] and np.isnan(result.entropy[0])


@pytest.mark.parametrize("how", POOL_HOWS)
def test_a_model_of_weight_0_is_counted_but_not_heard(how):
    found = pooled([[0.8, 0.2]], [[0.0, 1.0]], how=how, weights=[1, 0])
    assert found.probs[0] == pytest.approx([1, 0] if how == "confidence" else [0.8, 0.2])
    assert found.n_votes.tolist() == [2]
    alone = pooled([NAN], [[0.0, 1.0]], how=how, weights=[1, 0])
    assert words(alone.decide(options=VoteOptions())) == ["no_votes"]


@pytest.mark.parametrize("how", POOL_HOWS)
def test_two_copies_with_half_the_weight_change_nothing(how):
    def result(members, weights):
        return pooled(*members, how=how, weights=weights).decide(
            options=VoteOptions(agree=Fraction("0.4")),
            votes=[member.argmax(axis=1) for member in members],
            weights=weights,
        )

    first, second, third = drawn(3)
    once = result([first, second, third], [Fraction(1)] * 3)
    half = Fraction(1, 2)
    twice = result([first, second, third, third], [Fraction(1), Fraction(1), half, half])
    assert twice.support == pytest.approx(once.support, abs=1e-14)
    assert twice.member_entropy == pytest.approx(once.member_entropy, abs=1e-14)
    for name in ("decision", "status", "agreement_all", "agreement_voted"):
        assert np.array_equal(getattr(twice, name), getattr(once, name))


@pytest.mark.parametrize("how", POOL_HOWS)
def test_the_order_of_members_and_classes_changes_no_decision(how):
    members = np.random.default_rng(4).integers(0, 3, (4, 300, 3)) + 0.0  # full of ties
    members = members[:, (members.sum(axis=2) > 0).all(axis=0)]
    members /= members.sum(axis=2, keepdims=True)
    expected = pooled(*members, how=how).decide(options=VoteOptions(agree=Fraction("0.4")))
    assert {"decided", "tie", "below_threshold"} <= set(words(expected))
    orders = itertools.product(itertools.permutations(range(4)), [[0, 1, 2], [2, 0, 1], [1, 0, 2]])
    for order, classes in itertools.islice(orders, 0, None, 7):
        found = pooled(*members[list(order)][:, :, classes], how=how)
        result = found.decide(options=VoteOptions(agree=Fraction("0.4")))
        assert np.array_equal(result.status, expected.status)
        named = np.where(result.decision >= 0, np.array(classes)[result.decision], NO_DECISION)
        assert np.array_equal(named, expected.decision)


def test_mutual_information_worked_out_by_hand():
    # Members are sure of different classes: all of the entropy ln 2 is between them
    found = pooled([[1.0, 0.0], HALF, [0.9, 0.1]], [[0.0, 1.0], HALF, [0.7, 0.3]])
    result = found.decide(options=VoteOptions())
    between = entropy([0.8, 0.2]) - (entropy([0.9, 0.1]) + entropy([0.7, 0.3])) / 2
    assert result.mutual_information == pytest.approx([math.log(2), 0, between], abs=1e-15)
    assert result.member_entropy[:2] == pytest.approx([0, math.log(2)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_members_have_no_mutual_information_at_all(dtype):
    member = drawn(5, members=1, rows=1000, classes=10)[0]
    found = pooled(member, member, member, dtype=dtype)
    assert not found.decide(options=VoteOptions()).mutual_information.any()


@pytest.mark.parametrize("how", ["geometric", "confidence"])
def test_only_a_mean_has_a_mutual_information(how):
    result = pooled([HALF], [HALF], how=how).decide(options=VoteOptions())
    assert result.mutual_information is None
    assert result.member_entropy == pytest.approx([math.log(2)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("first", "second"), [(0.9, 0.7), (0.8, 0.8), (0.85, 0.75), (0.99, 0.61)])
def test_a_mean_of_four_fifths_reaches_four_fifths(dtype, first, second):
    found = pooled([[first, 1 - first]], [[second, 1 - second]], dtype=dtype)
    assert words(found.decide(options=VoteOptions(agree=Fraction("0.8")))) == ["decided"]
    above = Fraction("0.80001")
    assert words(found.decide(options=VoteOptions(agree=above))) == ["below_threshold"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_up_to_rounding_is_tied_and_more_than_that_is_not(dtype):
    step = tolerance(np.dtype(dtype))
    rows = [[0.5, 0.5 - step / 4], [0.5, 0.5 - 2 * step]]
    assert words(decide(rows, dtype=dtype)) == ["tie", "decided"]


def test_one_float32_member_makes_the_pool_as_coarse_as_float32():
    pool = Pool(1, 2, how="mean")
    pool.add(np.array([HALF], np.float64))
    pool.add(np.array([HALF], np.float32))
    assert pool.result().precision == np.float32


def test_sums_are_double_whatever_the_members_are():
    # In float32, 0.1 * 0.7 would be rounded
    (probs,) = pooled([[0.7, 0.3]], [[0.7, 0.3]], weights=[0.1, 0.3], dtype=np.float32).probs
    assert probs[0] == pytest.approx(float(np.float32(0.7)), rel=1e-15)


@pytest.mark.parametrize(
    ("tie", "expected"),
    [
        ("abstain", ["tie", "tie"]),
        ("class-order", ["tie_broken", "tie_broken"]),
        ("positive", ["tie_broken", "tie"]),  # class 2 is no part of the second
    ],
)
def test_ties_are_broken_as_asked(tie, expected):
    result = decide([[0.4, 0.2, 0.4], [0.4, 0.4, 0.2]], tie=tie, positive=2)
    assert words(result) == expected
    if tie == "positive":
        assert result.decision.tolist() == [2, NO_DECISION]


def test_a_broken_tie_must_still_reach_the_agreement():
    result = decide([HALF], tie="class-order", agree=Fraction("0.6"))
    assert words(result) == ["below_threshold"] and result.leader.tolist() == [0]


def test_minimum_votes_count_the_models_that_said_something():
    found = pooled([[0.9, 0.1], [0.9, 0.1]], [[0.9, 0.1], NAN])
    assert words(found.decide(options=VoteOptions(min_votes=2))) == ["decided", "too_few_votes"]


def test_agreement_counts_models_with_the_leading_class_on_top():
    # The mean follows one sure model against two; the second row lacks a vote, the third two
    votes = [np.array([0, 1, NO_VOTE]), np.array([1, 1, NO_VOTE]), np.array([1, NO_VOTE, 0])]
    result = decide([[0.6, 0.4], [0.3, 0.7], [1, 0]], votes=votes, n_votes=[3, 2, 1])
    assert result.leader.tolist() == [0, 1, 0]
    assert result.agreement_all.tolist() == [1 / 3, 2 / 3, 1 / 3]
    assert result.agreement_voted.tolist() == [1 / 3, 1, 1]


def test_the_agreement_of_tied_classes_is_that_of_the_one_with_most():
    # In the second row most models name a class that is not among the tied
    votes = [np.array([0, 2, -1]), np.array([1, 2, -1]), np.array([1, 0, -1])]
    probs = [[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [np.nan] * 3]
    result = decide(probs, votes=votes, n_votes=[3, 3, 0])
    assert words(result) == ["tie", "tie", "no_votes"]
    assert result.agreement_all.tolist() == [2 / 3, 1 / 3, 0]
    assert np.isnan(result.agreement_voted[2])


def test_weighted_votes_make_a_weighted_agreement():
    votes = [np.array([0, 0]), np.array([1, NO_VOTE]), np.array([1, 1])]
    weights = [Fraction("0.3"), Fraction("0.2"), Fraction("0.5")]
    probs = decide([[0.7, 0.3], HALF], votes=votes, weights=weights)
    assert probs.agreement_all.tolist() == [0.3, 0.5]
    assert probs.agreement_voted.tolist() == [0.3, 0.625]
    with pytest.raises(ValueError, match=r"weights must be \(3,\). Got \(1,\)"):
        decide([HALF], weights=weights[:1])


def test_without_votes_there_is_no_agreement():
    result = decide([[0.9, 0.1]])
    assert np.isnan(result.agreement_all).all() and np.isnan(result.agreement_voted).all()


def test_float64_probabilities_become_the_support_without_a_copy():
    found = pooled([HALF])
    assert np.shares_memory(found.decide(options=VoteOptions()).support, found.probs)


def test_a_pool_is_used_up_by_its_result():
    pool = Pool(1, 2, how="mean")
    with pytest.raises(ValueError, match="at least one member"):
        pool.result()
    pool.add(np.array([HALF]))
    pool.result()
    with pytest.raises(ValueError, match="can be had once"):
        pool.result()
    with pytest.raises(ValueError, match="come before the result"):
        pool.add(np.array([HALF]))


@pytest.mark.parametrize(
    ("probs", "weight", "message"),
    [
        (np.zeros((2, 2)), 1, r"probs must be \(1, 2\).* Got \(2, 2\)"),
        (np.array([HALF]), -1, "weight must be finite and >= 0. Got -1"),
        (np.array([HALF]), math.inf, "Got inf"),
        (np.array([HALF]), math.nan, "Got nan"),
    ],
)
def test_members_that_do_not_fit_are_refused(probs, weight, message):
    with pytest.raises(ValueError, match=message):
        Pool(1, 2, how="mean").add(probs, weight=weight)


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="how must be one of"):
        Pool(1, 2, how="median")
    with pytest.raises(
        ValueError, match=r"n_votes must be \(1,\) and votes of 2 models. Got \(2,\)"
    ):
        decide([HALF], votes=[np.array([0])] * 2, n_votes=[2, 2])
    with pytest.raises(ValueError, match=r"positive must lie in \[0, 2\). Got 2"):
        decide([HALF], tie="positive", positive=2)


def test_averages_worked_out_by_hand():
    # Weights 1 and 3 of 10 and 14: 13; sqrt((9 + 3) / 4) = sqrt 3. The second row has one value.
    values = [np.array([10.0, 10, np.nan, np.nan]), np.array([14.0, np.nan, 5, np.nan])]
    found = average(values, weights=[Fraction(1), Fraction(3)])
    assert found.mean[:3].tolist() == [13, 10, 5] and np.isnan(found.mean[3])
    assert found.spread[:3] == pytest.approx([math.sqrt(3), 0, 0]) and np.isnan(found.spread[3])
    assert found.n_votes.tolist() == [2, 1, 1, 0]


def test_the_spread_of_large_values_keeps_its_digits():
    found = average([np.array([1e9]), np.array([1e9 + 1])])
    assert found.spread.tolist() == [0.5]


def test_values_of_weight_0_are_counted_but_not_heard():
    found = average([np.array([1.0]), np.array([5.0])], weights=[Fraction(0), Fraction(2)])
    assert (found.mean[0], found.spread[0], found.n_votes[0]) == (5, 0, 2)


@pytest.mark.parametrize(
    ("values", "weights"), [([], None), ([np.zeros(1), np.zeros(2)], None), ([np.zeros(1)], [])]
)
def test_values_that_do_not_fit_are_refused(values, weights):
    with pytest.raises(ValueError, match="values must be M >= 1 arrays"):
        average(values, weights=weights)
