"""Votes decide exactly what their definition says, at every boundary."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.errors import ConfigError
from dnncli.voting.ballots import NO_VOTE, encode
from dnncli.voting.rules import (
    NO_DECISION,
    Status,
    VoteOptions,
    k_of_m,
    majority,
    positive_votes,
)

A, B, C = range(3)


def ballots(*rows, classes="ABC"):
    """Ballots of rows of votes, written as text: "AB-" is A, B and a missing vote."""
    table = np.array([["-ABC".index(vote) - 1 for vote in row] for row in rows])
    return encode(list(table.T), [f"m{place}" for place in range(table.shape[1])], list(classes))


def decided(rule, *rows, classes="ABC", weights=None, **options):
    """(decision, status word) of each row."""
    votes = ballots(*rows, classes=classes)
    given = {} if weights is None else {"weights": [Fraction(weight) for weight in weights]}
    result = rule(votes, **given, options=VoteOptions(**options)).take(votes.index)
    return [
        (None if decision == NO_DECISION else classes[decision], Status(status).word)
        for decision, status in zip(result.decision, result.status)
    ]


def naive(votes, weights, options, *, n_classes):
    """The rules once more, one row at a time, in fractions."""
    support = [
        sum((w for vote, w in zip(votes, weights) if vote == place), Fraction(0))
        for place in range(n_classes)
    ]
    voted = sum(support)
    if voted == 0:
        return NO_DECISION, Status.NO_VOTES
    if sum(vote != NO_VOTE for vote in votes) < options.min_votes:
        return NO_DECISION, Status.TOO_FEW_VOTES
    tied = [place for place in range(n_classes) if support[place] == max(support)]
    leader, status = tied[0], Status.DECIDED
    if len(tied) > 1:
        if options.tie == "positive" and options.positive in tied:
            leader = options.positive
        elif options.tie != "class-order":
            return NO_DECISION, Status.TIE
        status = Status.TIE_BROKEN
    share = support[leader] / (sum(weights) if options.denominator == "all" else voted)
    if options.agree is not None and share < options.agree:
        return NO_DECISION, Status.BELOW_THRESHOLD
    return leader, status


weights_of_four = st.lists(
    st.sampled_from(
        [Fraction(0), Fraction(1), Fraction(1, 10), Fraction(1, 3), Fraction(1, 3**45)]
    ),
    min_size=4,
    max_size=4,
).filter(any)
some_options = st.builds(
    VoteOptions,
    agree=st.none() | st.fractions(min_value=Fraction(1, 20), max_value=1, max_denominator=20),
    tie=st.sampled_from(["abstain", "positive", "class-order"]),
    positive=st.integers(0, 2),
    min_votes=st.integers(1, 4),
    denominator=st.sampled_from(["all", "voted"]),
)
every_vote = np.array(list(itertools.product([NO_VOTE, A, B, C], repeat=4)))


@settings(deadline=None)
@given(weights_of_four, some_options)
def test_every_combination_of_four_votes_agrees_with_the_definition(weights, options):
    votes = encode(list(every_vote.T), "wxyz", "ABC")
    result = majority(votes, weights=weights, options=options).take(votes.index)
    expected = [naive(row, weights, options, n_classes=3) for row in every_vote]
    assert list(zip(result.decision, result.status)) == expected


def test_values_worked_out_by_hand():
    # Support 3, 1, 0 of five models, one of which is missing: 3/5 and 3/4
    votes = ballots("AAAB-")
    result = majority(votes, options=VoteOptions())
    assert result.decision.tolist() == result.leader.tolist() == [A]
    assert result.support.tolist() == [[3, 1, 0]]
    assert result.agreement_all == [0.6] and result.agreement_voted == [0.75]
    assert result.entropy == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert result.n_votes.tolist() == [4]


def test_eight_of_ten_weights_of_one_tenth_reach_four_fifths():
    votes = "AAAAAAAABB"
    assert sum([0.1] * 8) < 0.8  # what a sum of doubles says
    args = {"weights": ["0.1"] * 10}
    assert decided(majority, votes, **args, agree=Fraction("0.8")) == [("A", "decided")]
    assert decided(majority, votes, **args, agree=Fraction("0.80001")) == [
        (None, "below_threshold")
    ]


def test_agreement_is_exact_where_its_products_leave_64_bits():
    # Two thirds of the weight, compared with shares just above and at it
    args = {"weights": [2 * 10**18, 10**18]}
    above = Fraction(2, 3) + Fraction(1, 10**30)
    assert decided(majority, "AB", **args, agree=Fraction(2, 3)) == [("A", "decided")]
    assert decided(majority, "AB", **args, agree=above) == [(None, "below_threshold")]


def test_a_tie_of_weights_is_seen_that_doubles_hide():
    weights = ["0.3", "0.1", "0.1", "0.1"]
    assert 0.1 + 0.1 + 0.1 != 0.3
    assert decided(majority, "ABBB", weights=weights) == [(None, "tie")]


def test_weights_too_far_apart_for_64_bits_are_still_exact():
    tiny = Fraction(1, 3**60)
    assert decided(majority, "AB", weights=[1, 1 + tiny]) == [("B", "decided")]
    result = majority(ballots("AB"), weights=[Fraction(1), 1 + tiny], options=VoteOptions())
    assert result.support.tolist() == [[1, 1, 0]] and result.agreement_all == [0.5]


def test_support_is_in_the_unit_of_the_weights_and_rounded_once():
    result = majority(ballots("AAAB"), weights=[Fraction(1, 10)] * 4, options=VoteOptions())
    assert result.support.tolist() == [[0.3, 0.1, 0]]  # 3 * 0.1 would be 0.30000000000000004


@pytest.mark.parametrize(
    ("tie", "expected"),
    [
        ("abstain", [(None, "tie"), (None, "tie")]),
        ("class-order", [("A", "tie_broken"), ("A", "tie_broken")]),
        ("positive", [("C", "tie_broken"), (None, "tie")]),  # C is no part of the second
    ],
)
def test_ties_are_broken_as_asked(tie, expected):
    assert decided(majority, "AC-", "AB-", tie=tie, positive=C) == expected


def test_a_broken_tie_must_still_reach_the_agreement():
    assert decided(majority, "AABB", tie="class-order", agree=Fraction("0.6")) == [
        (None, "below_threshold")
    ]


def test_a_tie_stays_a_tie_below_the_agreement():
    assert decided(majority, "AB", agree=Fraction(1)) == [(None, "tie")]


def test_too_few_votes_come_before_ties_and_no_votes_before_all():
    assert decided(majority, "AB--", "----", min_votes=3) == [
        (None, "too_few_votes"),
        (None, "no_votes"),
    ]


def test_the_denominator_is_all_models_or_those_that_voted():
    votes = "AA---"
    assert decided(majority, votes, agree=Fraction(1, 2)) == [(None, "below_threshold")]
    assert decided(majority, votes, agree=Fraction(1), denominator="voted") == [("A", "decided")]


def test_a_model_of_weight_0_is_counted_but_not_heard():
    votes = ballots("ABB", "-BB")
    weights = [Fraction(1), Fraction(0), Fraction(0)]
    result = majority(votes, weights=weights, options=VoteOptions(min_votes=3)).take(votes.index)
    assert [Status(status).word for status in result.status] == ["decided", "no_votes"]
    assert result.n_votes.tolist() == [3, 2]
    assert result.agreement_all.tolist() == [1, 0]


def test_what_nobody_voted_on_has_no_agreement_and_no_entropy():
    result = majority(ballots("--"), options=VoteOptions())
    assert np.isnan(result.agreement_voted[0]) and np.isnan(result.entropy[0])
    assert result.agreement_all[0] == 0 and result.leader[0] == NO_DECISION


def test_the_leader_does_not_depend_on_what_is_asked_of_it():
    strict = VoteOptions(agree=Fraction(1), min_votes=4)
    result = majority(ballots("AAB", "ABC"), options=strict)
    assert result.decision.tolist() == [NO_DECISION, NO_DECISION]
    assert result.leader.tolist() == [A, NO_DECISION]


def test_rows_are_taken_in_the_order_asked_for():
    votes = ballots("BB", "AA", "BB", "A-")
    result = majority(votes, options=VoteOptions()).take(votes.index)
    assert result.leader.tolist() == [B, A, B, A] and len(result) == 4
    assert result.support.tolist() == [[0, 2, 0], [2, 0, 0], [0, 2, 0], [1, 0, 0]]
    assert result.mutual_information is None


def test_many_patterns_are_decided_as_few_are():
    # More than one block of them
    rows = np.random.default_rng(0).integers(NO_VOTE, 3, (60_000, 12))
    votes = encode(list(rows.T), [str(place) for place in range(12)], "ABC")
    result = majority(votes, options=VoteOptions()).take(votes.index)
    support = np.stack([(rows == place).sum(axis=1) for place in range(3)], axis=1)
    assert np.array_equal(result.support, support)
    highest = support.max(axis=1, keepdims=True)
    alone = ((support == highest).sum(axis=1) == 1) & (highest[:, 0] > 0)
    assert np.array_equal(result.decision, np.where(alone, support.argmax(axis=1), NO_DECISION))


def k_rule(k):
    return lambda votes, *, options: k_of_m(votes, k=k, options=options)


def test_k_votes_for_the_positive_class_outweigh_any_majority():
    rows = ("CAAAA", "CCAAA", "CCABB")
    assert decided(k_rule(2), *rows, positive=C) == [
        ("A", "decided"),
        ("C", "decided"),
        ("C", "decided"),
    ]


def test_without_enough_positive_votes_the_other_classes_decide_among_themselves():
    rows = ("CCAAB", "CCAB-", "CC---", "-----")
    expected = [
        ("A", "decided"),
        (None, "tie"),
        (None, "below_threshold"),
        (None, "no_votes"),
    ]
    assert decided(k_rule(3), *rows, positive=C) == expected
    # The positive class is no part of the tie of the others
    assert decided(k_rule(3), *rows, positive=C, tie="positive") == expected
    expected[1] = ("A", "tie_broken")
    assert decided(k_rule(3), *rows, positive=C, tie="class-order") == expected


def test_the_agreement_of_k_votes_is_that_of_the_class_in_front():
    votes = ballots("CCAAA", "CAAAB", "C----")
    options = VoteOptions(positive=C)
    result = k_of_m(votes, k=2, options=options).take(votes.index)
    assert result.agreement_all.tolist() == [0.4, 0.6, 0.2]
    assert result.agreement_voted.tolist() == [0.4, 0.6, 1]
    assert result.leader.tolist() == [C, A, C]


@pytest.mark.parametrize("positive", [A, B, C])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_positive_means_at_least_k_votes_and_nothing_else(k, positive):
    votes = encode(list(every_vote.T), "wxyz", "ABC")
    result = k_of_m(votes, k=k, options=VoteOptions(positive=positive)).take(votes.index)
    enough = np.count_nonzero(every_vote == positive, axis=1) >= k
    assert np.array_equal(result.decision == positive, enough)
    assert np.array_equal(positive_votes(votes, positive)[votes.index] >= k, enough)


def test_without_a_positive_class_the_leading_one_needs_k_votes():
    assert decided(k_rule(3), "AAAB", "AABB", "AABC", "AA-B") == [
        ("A", "decided"),
        (None, "tie"),
        (None, "below_threshold"),
        (None, "below_threshold"),
    ]
    assert decided(k_rule(2), "AABB", tie="class-order") == [("A", "tie_broken")]


@pytest.mark.parametrize("k", [0, 4])
def test_a_k_that_no_row_or_every_row_reaches_is_refused(k):
    with pytest.raises(ConfigError, match=rf"k must lie in \[1, 3\]: there are 3 .* Got {k}"):
        k_of_m(ballots("AAB"), k=k, options=VoteOptions())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agree": Fraction(80)}, r"agree must lie in \(0, 1\]. Got 80"),
        ({"agree": Fraction(0)}, r"agree must lie in \(0, 1\]. Got 0"),
        ({"min_votes": 0}, "min_votes must be at least 1. Got 0"),
        ({"tie": "random"}, "Got 'random' and 'all'"),
        ({"denominator": "some"}, "Got 'abstain' and 'some'"),
        ({"tie": "positive"}, "needs the index of the positive class"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        VoteOptions(**options)


def test_arguments_that_do_not_fit_are_refused():
    votes = ballots("AAB")
    with pytest.raises(ValueError, match=r"weights must be \(3,\). Got \(1,\)"):
        majority(votes, weights=[Fraction(1)], options=VoteOptions())
    with pytest.raises(ValueError, match=r"positive must lie in \[0, 3\). Got 3"):
        majority(votes, options=VoteOptions(positive=3))
    with pytest.raises(ValueError, match="agree must be None"):
        k_of_m(votes, k=1, options=VoteOptions(agree=Fraction(1)))
