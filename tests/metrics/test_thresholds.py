"""Thresholds for a target recall: exact comparisons, and certificates that keep their word."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dnncli.metrics.curves import curve
from dnncli.metrics.thresholds import (
    allowed_misses,
    best_certifiable,
    best_f,
    certified,
    exact_share,
    highest,
    max_precision,
    needed_positives,
    point_at,
    target,
)

# Falling: 0.9 +, 0.8 -, 0.8 + (together), 0.6 +, 0.4 -, 0.3 +
TRUTH = np.array([True, False, True, True, False, True])
SCORES = np.array([0.9, 0.8, 0.8, 0.6, 0.4, 0.3])


def random_case(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    dtype = rng.choice([np.float16, np.float32, np.float64])
    scores = (rng.integers(-5 * (seed % 2), rng.integers(2, 40), n) / 7).astype(dtype)
    return rng.random(n) < rng.random(), scores, Fraction(int(rng.integers(1, 101)), 100)


def naive_points(truth, scores):
    """Every distinct score as a threshold: (threshold, tp, fp)."""
    return [
        (t, int((truth & (scores >= t)).sum()), int((~truth & (scores >= t)).sum()))
        for t in np.unique(scores)
    ]


def test_points_worked_out_by_hand():
    points = curve(TRUTH, SCORES)
    three_of_four = highest(points, recall=0.75)
    assert (three_of_four.threshold, three_of_four.tp, three_of_four.fp) == (0.6, 3, 1)
    assert (three_of_four.fn, three_of_four.tn, three_of_four.n_flagged) == (1, 1, 4)
    assert (three_of_four.precision, three_of_four.recall) == (0.75, 0.75)
    assert three_of_four.flagged == 4 / 6
    half = highest(points, recall="1/2")
    assert (half.threshold, half.precision) == (0.8, 2 / 3)
    # Precision is not monotone: one threshold further down it is better.
    assert max_precision(points, recall="1/2").threshold == 0.6
    assert best_f(points, beta=0.1).threshold == 0.9
    assert best_f(points, beta=5).threshold == 0.3


def test_a_recall_written_as_a_decimal_is_that_decimal():
    # (1 - 0.9) * 10 is below 1 in binary, which would allow no miss among ten.
    scores = np.arange(10) / 10
    found = highest(curve(np.ones(10, bool), scores), recall=0.9)
    assert (found.fn, found.threshold) == (1, 0.1)
    for n in range(1, 200):
        for recall in ("0.8", "0.9", "0.95", "0.99"):
            found = highest(curve(np.ones(n, bool), np.arange(n) / n), recall=float(recall))
            assert found.tp == math.ceil(Fraction(recall) * n)


@pytest.mark.parametrize("seed", range(60))
def test_thresholds_agree_with_trying_every_score(seed):
    truth, scores, recall = random_case(seed)
    points = naive_points(truth, scores)
    positives = int(truth.sum())
    found = target(truth, scores, recall=recall, confidence="0.8")
    rows = curve(truth, scores)
    if positives == 0:
        assert found.highest is found.max_precision is None
        assert highest(rows, recall=recall) is max_precision(rows, recall=recall) is None
        assert best_f(rows, beta=1) is None
        return
    feasible = [point for point in points if Fraction(point[1], positives) >= recall]
    best = max(feasible, key=lambda point: (Fraction(point[1], point[1] + point[2]), point[1]))
    for ours, expected in ((found.highest, feasible[-1]), (found.max_precision, best)):
        assert (ours.threshold, ours.tp, ours.fp) == expected
        assert ours.fn == positives - ours.tp
        assert ours.tn == len(truth) - positives - ours.fp
    assert found.highest == highest(rows, recall=recall)
    assert found.max_precision == max_precision(rows, recall=recall)
    assert found.certified == certified(truth, scores, recall=recall, confidence="0.8")
    assert (found.n_positive, found.n_negative) == (positives, len(truth) - positives)
    widest = max(points, key=lambda p: (Fraction(2 * p[1], p[1] + p[2] + positives), p[1]))
    assert best_f(rows, beta=1).threshold == widest[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_rows_give_what_the_whole_curve_gives(dtype):
    rng = np.random.default_rng(0)
    truth = rng.random(200_000) < 0.3
    scores = (rng.normal(size=200_000) + truth).astype(dtype)
    rows = curve(truth, scores)
    for recall in ("0.05", "0.5", "0.95", "1"):
        found = target(truth, scores, recall=recall, confidence="0.95")
        assert found.highest == highest(rows, recall=recall)
        assert found.max_precision == max_precision(rows, recall=recall)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
@settings(deadline=None, max_examples=40)
def test_order_and_precision_of_the_scores_change_nothing(seed, shuffle):
    truth, scores, recall = random_case(seed)
    order = np.random.default_rng(shuffle).permutation(len(truth))
    first = target(truth, scores, recall=recall, confidence="0.9")
    assert first == target(truth[order], scores[order], recall=recall, confidence="0.9")
    wide = scores.astype(np.float64)
    assert first == target(truth, wide, recall=recall, confidence="0.9")
    # A strictly rising transform moves the thresholds and no count.
    moved = target(truth, 2 * wide + 1, recall=recall, confidence="0.9")
    if first.highest is not None:
        assert moved.highest.threshold == 2 * first.highest.threshold + 1
        assert moved.max_precision.tp == first.max_precision.tp
        assert moved.max_precision.fp == first.max_precision.fp


def test_a_threshold_of_float32_scores_finds_its_own_row_again():
    scores = np.array([0.7, 0.7, 0.9, 0.1], np.float32)
    truth = np.array([True, True, True, False])
    found = highest(curve(truth, scores), recall=1)
    assert found.threshold == float(np.float32(0.7)) != 0.7
    for threshold in (found.threshold, 0.7):  # 0.7 is taken in the scores' own precision
        assert point_at(truth, scores, threshold).recall == 1


def test_counts_at_a_threshold_beyond_all_scores():
    nothing = point_at(TRUTH, SCORES, 2.0)
    assert (nothing.tp, nothing.fp, nothing.fn, nothing.tn) == (0, 0, 4, 2)
    assert math.isnan(nothing.precision)
    assert (nothing.recall, nothing.flagged) == (0, 0)


def test_weighted_rows_are_feasible_where_rounding_alone_stands_in_the_way():
    # Eight of ten weights of 0.1 sum to less than 0.8 in binary.
    scores = np.arange(10, 0, -1) / 10
    found = highest(curve(np.ones(10, bool), scores, np.full(10, 0.1)), recall=0.8)
    assert found.threshold == pytest.approx(0.3)


def test_allowed_misses_worked_out_by_hand():
    # 0.95^58 = 0.0510 > 0.05 >= 0.95^59 = 0.0485
    assert allowed_misses(58, recall=0.95, confidence=0.95) is None
    assert allowed_misses(59, recall=0.95, confidence=0.95) == 0
    # 0.9^2 = 0.81 is exactly the limit, in which floating point has no say.
    assert allowed_misses(2, recall="0.9", confidence="0.19") == 0
    assert allowed_misses(2, recall="0.9", confidence="0.1900000001") is None
    assert allowed_misses(1, recall="1/2", confidence="1/2") == 0
    # All 3 of 3 may be missed only with certainty; 2 of 3 with 1 - 1/8.
    assert allowed_misses(3, recall="1/2", confidence="1/8") == 2


def test_allowed_misses_are_those_of_the_published_sizes():
    sizes = {59: 0, 100: 1, 200: 4, 500: 16, 1000: 38, 2000: 83}
    found = {n: allowed_misses(n, recall=0.95, confidence=0.95) for n in sizes}
    assert found == sizes


@pytest.mark.parametrize("confidence", ["0.9", "0.95", "0.99"])
@pytest.mark.parametrize("recall", ["0.8", "0.95", "0.99"])
def test_allowed_misses_are_the_most_that_the_binomial_sum_lets_pass(recall, confidence):
    for n in [*range(1, 80), 150, 299, 460, 5000]:
        k = np.arange(n + 1)
        passed = stats.binom.cdf(k, n, 1 - float(recall)) <= 1 - float(confidence)
        expected = int(k[passed].max()) if passed.any() else None
        assert allowed_misses(n, recall=recall, confidence=confidence) == expected


@pytest.mark.parametrize(
    ("recall", "confidence", "n"),
    [(0.95, 0.95, 59), (0.99, 0.95, 299), (0.98, 0.95, 149), (0.9, 0.95, 29), ("0.9", "0.19", 2)],
)
def test_needed_positives_are_just_enough(recall, confidence, n):
    assert needed_positives(recall=recall, confidence=confidence) == n
    assert allowed_misses(n, recall=recall, confidence=confidence) == 0
    assert allowed_misses(n - 1, recall=recall, confidence=confidence) is None


@pytest.mark.parametrize(
    ("recall", "confidence", "n"),
    [
        ("0.9999999999", "0.95", 29957322735),  # -ln(0.05) (10^10 - 1/2), up
        ("0.99999999999999999999", "0.95", 299573227355399099343),
        ("0.999999", "0.999999", 13815504),
        ("0.5", "0.9990234375", 10),  # exactly 2^-10
        ("0.999", "0.002997001", 3),  # exactly 1 - 0.999^3
        ("1e-30", "0.5", 1),
    ],
)
def test_needed_positives_of_extreme_targets_are_found_at_once(recall, confidence, n):
    assert needed_positives(recall=recall, confidence=confidence) == n


def test_a_refusal_is_a_full_answer():
    truth = np.arange(200) < 120
    found = certified(truth, np.arange(200) / 200, recall=0.99, confidence=0.95)
    assert not found.feasible
    assert found.point is found.allowed_misses is None
    assert found.needed_positives == 299
    assert found.best_certifiable_recall == pytest.approx(0.05 ** (1 / 120), abs=1e-15)
    assert 0.9753 < found.best_certifiable_recall < 0.9754


@pytest.mark.parametrize("n", [*range(1, 200), 1000, 12345])
def test_the_best_recall_that_can_be_certified_is_certified_when_asked_for(n):
    best = best_certifiable(n, confidence="0.95")
    assert allowed_misses(n, recall=best, confidence="0.95") == 0
    assert allowed_misses(n, recall=best + 1e-12, confidence="0.95") is None


def test_exactly_equal_sides_of_the_binomial_sum_are_told_at_once_at_any_size():
    # With an odd n the lower half of the outcomes has exactly the probability one half.
    assert allowed_misses(15_001, recall="0.5", confidence="0.5") == 7_500
    # Where fractions would take hours the answer is on the safe side.
    assert allowed_misses(10**6 + 1, recall="0.5", confidence="0.5") == 499_999


def test_certainty_cannot_be_certified():
    assert needed_positives(recall=1, confidence=0.9) is None
    assert allowed_misses(10**6, recall=1, confidence=0.9) is None
    assert best_certifiable(0, confidence=0.9) == 0


def test_the_certified_threshold_is_the_next_positive_after_the_allowed_misses():
    scores = np.arange(200) / 200
    found = certified(np.ones(200, bool), scores, recall=0.95, confidence=0.95)
    assert found.allowed_misses == 4
    assert found.point.threshold == scores[4]
    # Tied scores enter together, which misses fewer.
    tied = certified(np.ones(200, bool), np.floor(scores * 20), recall=0.95, confidence=0.95)
    assert tied.point.fn == 0


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("n", "recall"), [(60, 0.9), (60, 0.95), (300, 0.95), (300, 0.99)])
def test_recall_on_new_data_falls_below_a_certified_target_no_more_often_than_said(n, recall, ties):
    rng = np.random.default_rng(n)
    misses = allowed_misses(n, recall=recall, confidence=0.95)
    draws = rng.random((5000, n))
    if ties:
        draws = np.floor(draws * 50) / 50
    thresholds = np.sort(draws, axis=1)[:, misses]
    # Of a uniform score the share >= t is 1 - t, with or without the grid of fiftieths.
    failed = (1 - thresholds < recall - 1e-12).mean()
    assert failed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 5000)


@pytest.mark.parametrize("value", [0, -0.1, 1.2, "1.2", "much", math.nan, "1/0"])
def test_a_share_that_is_none_is_named(value):
    with pytest.raises(ValueError, match=rf"recall must lie in \(0, 1\]. Got {value}"):
        exact_share("recall", value)
    with pytest.raises(ValueError, match="recall must lie in"):
        target(TRUTH, SCORES, recall=value, confidence=0.95)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r"confidence must lie in \(0, 1\). Got 1"):
        allowed_misses(5, recall=0.9, confidence=1)
    with pytest.raises(ValueError, match="n must not be negative"):
        allowed_misses(-1, recall=0.9, confidence=0.9)
    with pytest.raises(ValueError, match="scores must be finite"):
        target([True], np.array([np.nan]), recall=0.9, confidence=0.9)
    with pytest.raises(ValueError, match="beta must lie in"):
        best_f(curve(TRUTH, SCORES), beta=0)
