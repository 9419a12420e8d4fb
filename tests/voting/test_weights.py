"""Weights are exactly what was written, and sums of them are exact."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnncli.errors import ConfigError, DataError
from dnncli.voting.weights import exact_weights, f_beta_weights, integers, log_odds


@pytest.mark.parametrize("tenth", ["0.1", 0.1, "1/10", " .1 ", "1e-1", Fraction(1, 10)])
def test_every_way_to_write_one_tenth_is_one_tenth(tenth):
    assert exact_weights({"a": tenth}, ["a"]) == (Fraction(1, 10),)


def test_weights_come_in_the_order_of_the_models():
    assert exact_weights({"b": 2, "a": "0"}, ["a", "b"]) == (0, 2)


@pytest.mark.parametrize(
    "value",
    ["-1", -0.5, "nan", float("nan"), "inf", float("-inf"), "abc", "", "1/0", "1/-2", "-1/2"],
)
def test_a_weight_that_is_no_number_above_0_is_refused_with_its_model(value):
    with pytest.raises(ConfigError, match=r"resnet: the weight must be a number >= 0"):
        exact_weights({"resnet": value, "vgg": 1}, ["resnet", "vgg"])


@pytest.mark.parametrize("value", ["1e999999999", "1e-999999999"])
def test_a_weight_whose_digits_would_fill_the_memory_is_refused(value):
    with pytest.raises(ConfigError, match="a: the weight must be a number >= 0 below 1e300"):
        exact_weights({"a": value}, ["a"])


def test_all_mistakes_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        exact_weights({"resnte": 1, "vgg": "x"}, ["resnet", "vgg", "unet"])
    assert caught.value.problems == (
        "resnte: there is no such model. Did you mean 'resnet'? Models: resnet, vgg, unet.",
        "vgg: the weight must be a number >= 0 below 1e300, such as 2, 0.5 or 1/3. Got x.",
        "resnet: has no weight. Give one, 0 to leave the model out.",
        "unet: has no weight. Give one, 0 to leave the model out.",
    )


def test_weights_that_are_all_0_are_refused():
    with pytest.raises(ConfigError, match="all are 0"):
        exact_weights({"a": 0, "b": "0.0"}, ["a", "b"])


@given(st.lists(st.fractions(min_value=0, max_value=10**9), min_size=1, max_size=8))
def test_whole_numbers_times_their_unit_are_the_weights(weights):
    if not any(weights):
        weights.append(Fraction(1))
    whole, unit = integers(weights)
    assert [int(number) * unit for number in whole] == weights
    assert math.gcd(*(int(number) for number in whole)) == 1


def test_the_unit_is_the_largest_possible():
    whole, unit = integers([Fraction("0.2"), Fraction("0.3"), Fraction(0)])
    assert whole.tolist() == [2, 3, 0] and whole.dtype == np.int64
    assert unit == Fraction(1, 10)


def test_sums_beyond_64_bits_stay_exact():
    for weights in ([3**40, 7**30], [2**62, 2**62 - 1]):  # too large alone, and together
        whole, unit = integers([Fraction(weight) for weight in weights])
        assert whole.dtype == object and unit == 1
        assert whole.sum() == sum(weights)


@pytest.mark.parametrize("weights", [[], [Fraction(0)], [Fraction(-1), Fraction(2)]])
def test_there_is_no_unit_of_nothing(weights):
    with pytest.raises(ValueError, match="at least one above 0"):
        integers(weights)


def test_log_odds_worked_out_by_hand():
    # a = (8 + 1) / (8 + 2) = .9 and ln(2 * .9 / .1) = ln 18; a = 1/3 is chance: ln 1 = 0;
    # a = .1 is below it
    weights = log_odds(np.array([8, 0, 0]), np.array([8, 1, 8]), n_classes=3)
    assert weights == (Fraction(round(math.log(18) * 10**12), 10**12), 0, 0)


def test_a_model_that_was_always_right_has_a_finite_weight():
    (weight,) = log_odds(np.array([100]), np.array([100]), n_classes=2)
    assert float(weight) == pytest.approx(math.log(101), abs=1e-12)


def test_two_weak_models_do_not_outvote_a_strong_one():
    strong, *weak = log_odds(np.array([900, 600, 600]), np.full(3, 1000), n_classes=2)
    assert strong > sum(weak)


@pytest.mark.parametrize(
    ("right", "voted", "n_classes", "message"),
    [
        ([1, 0], [9, 9], 2, "no model is better than chance .* 1 of 9, 0 of 9 right"),
        ([9], [9], 1, "at least 2 classes. Got 1"),
    ],
)
def test_weights_that_truth_cannot_teach_are_refused(right, voted, n_classes, message):
    with pytest.raises(DataError, match=message):
        log_odds(np.array(right), np.array(voted), n_classes=n_classes)


def test_more_right_than_voted_is_refused():
    with pytest.raises(ValueError, match=r"right must lie in \[0, voted\]"):
        log_odds(np.array([3]), np.array([2]), n_classes=2)


def test_f_beta_weights_worked_out_by_hand():
    # F2 = 5 tp / (5 tp + 4 fn + fp): 10 / (10 + 4 + 1) = 2/3 and 5 / (5 + 4 * 2 + 2) = 1/3;
    # the second model has no defined second class: its mean is that of the first alone
    tp, fp, fn = np.array([[2, 1], [1, 0]]), np.array([[1, 2], [0, 0]]), np.array([[1, 2], [0, 0]])
    assert f_beta_weights(tp, fp, fn, beta=2.0) == (Fraction(1, 2), 1)


def test_a_model_without_any_defined_class_counts_nothing():
    tp, none = np.array([[1], [0]]), np.zeros((2, 1), int)
    assert f_beta_weights(tp, none, none, beta=1.0) == (1, 0)
    with pytest.raises(DataError, match="every model has an F-beta of 0"):
        f_beta_weights(none, none, none, beta=1.0)
