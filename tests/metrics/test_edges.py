"""Scores of edge maps from counts, against values worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnncli.metrics.edge_intervals import edge_intervals
from dnncli.metrics.edges import edge_scores

# Two pictures, two thresholds. Picture 1 is best at the first, picture 2 at the second.
COUNTS = {
    "count_r": [[8, 4], [6, 6]],
    "sum_r": [[10, 10], [10, 10]],
    "count_p": [[8, 4], [6, 6]],
    "sum_p": [[10, 4], [30, 6]],
}


def test_ods_is_the_best_f_of_the_summed_counts():
    scores = edge_scores([0.2, 0.6], **COUNTS)
    # first: P 14/40, R 14/20; second: P 10/10, R 10/20, F 2/3
    assert scores.curve.precision == pytest.approx([14 / 40, 1])
    assert scores.curve.recall == pytest.approx([14 / 20, 10 / 20])
    assert scores.ods_plain.f == pytest.approx(2 / 3)
    assert scores.ods_plain.threshold == 0.6


def test_ods_is_interpolated_between_thresholds():
    scores = edge_scores([0.2, 0.6], **COUNTS)
    share = np.linspace(0, 1, 100)
    precision, recall = 0.35 + 0.65 * share, 0.7 - 0.2 * share
    f = 2 * precision * recall / (precision + recall)
    assert scores.ods.f == pytest.approx(f.max())
    assert scores.ods.f >= scores.ods_plain.f
    assert 0.2 < scores.ods.threshold <= 0.6


def test_ois_sums_the_counts_of_each_picture_at_its_best_threshold():
    scores = edge_scores([0.2, 0.6], **COUNTS)
    # picture 1 at 0.2: 8/10, 8/10; picture 2 at 0.6: 6/10, 6/6. Together R 14/20, P 14/16.
    assert scores.ois.recall == pytest.approx(14 / 20)
    assert scores.ois.precision == pytest.approx(14 / 16)
    assert scores.ois.f == pytest.approx(2 * 0.7 * 0.875 / 1.575)
    assert [image.threshold for image in scores.images] == [0.2, 0.6]
    mean = sum(image.f for image in scores.images) / 2
    assert scores.ois.f != pytest.approx(mean, abs=1e-3)


def test_average_precision_is_the_mean_of_the_interpolated_curve_at_101_recalls():
    # Precision 1 from recall 0 to 0.5, then falling to 0.5 at recall 1.
    scores = edge_scores(
        [0.1, 0.5, 0.9],
        [[10, 5, 0]],
        [[10, 10, 10]],
        [[10, 5, 0]],
        [[20, 5, 0]],
    )
    # Nothing is predicted at 0.9, which counts as precision 0 at recall 0: a ramp up to 0.5.
    recalls = np.arange(101) / 100
    expected = np.where(recalls <= 0.5, 2 * recalls, 1.5 - recalls)
    assert scores.ap == pytest.approx(expected.sum() / 100)
    assert scores.r50 == pytest.approx(1)


def test_r50_is_interpolated_where_precision_crosses_one_half():
    scores = edge_scores([0.1, 0.5], [[9, 6]], [[10, 10]], [[9, 6]], [[36, 8]])
    # precision 0.25 at recall 0.9 and 0.75 at recall 0.6: half way
    assert scores.r50 == pytest.approx(0.75)
    never = edge_scores([0.1, 0.5], [[9, 6]], [[10, 10]], [[9, 6]], [[36, 18]])
    assert never.r50 == 0
    always = edge_scores([0.1, 0.5], [[9, 6]], [[10, 10]], [[9, 6]], [[10, 6]])
    assert always.r50 == 0.9


def test_a_perfect_map_gets_one():
    scores = edge_scores([0.1, 0.9], [[5, 0]], [[5, 5]], [[5, 0]], [[5, 0]])
    assert (scores.ods.f, scores.ois.f) == (1, 1)


def test_nothing_true_and_nothing_predicted_is_undefined():
    scores = edge_scores([0.5], [[0]], [[0]], [[0]], [[0]])
    assert all(math.isnan(value) for value in (scores.ods.f, scores.ois.f, scores.ap, scores.r50))


def test_only_false_alarms_and_only_misses_get_zero():
    alarms = edge_scores([0.5], [[0]], [[0]], [[0]], [[7]])
    misses = edge_scores([0.5], [[0]], [[7]], [[0]], [[0]])
    wrong = edge_scores([0.5], [[0]], [[7]], [[0]], [[7]])
    for scores in (alarms, misses, wrong):
        assert (scores.ods.f, scores.ois.f) == (0, 0)
    assert math.isnan(alarms.ods.recall)
    assert math.isnan(misses.ods.precision)


def test_a_picture_in_which_nothing_is_right_costs_ois_no_more_than_it_must():
    # picture 1 is right at every threshold; picture 2 has no edges, picture 3 no right pixel
    counts = {
        "count_r": [[9, 9, 9], [0, 0, 0], [0, 0, 0]],
        "sum_r": [[9, 9, 9], [0, 0, 0], [1, 1, 1]],
        "count_p": [[9, 9, 9], [0, 0, 0], [0, 0, 0]],
        "sum_p": [[9, 9, 9], [50, 20, 0], [8, 3, 3]],
    }
    scores = edge_scores([0.1, 0.5, 0.9], **counts)
    assert (scores.ois.precision, scores.ois.recall) == (9 / 12, 9 / 10)
    assert scores.ois.f >= scores.ods.f
    assert [image.threshold for image in scores.images][::2] == [0.1, 0.5]
    assert math.isnan(scores.images[1].f)  # at 0.9 nothing is said of a picture without edges


def test_an_empty_picture_does_not_make_the_others_undefined():
    scores = edge_scores(
        [0.3, 0.5], [[4, 4], [0, 0]], [[5, 5], [0, 0]], [[4, 4], [0, 0]], [[4, 4], [0, 0]]
    )
    assert scores.ois.f == scores.ods_plain.f == pytest.approx(8 / 9)
    assert math.isnan(scores.images[1].f)


@st.composite
def counts(draw):
    n, t = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    table = st.lists(st.lists(st.integers(0, 9), min_size=t, max_size=t), min_size=n, max_size=n)
    found, right, missed, spare = (np.array(draw(table)) for _ in range(4))
    return found, found + missed, right, right + spare


@given(counts())
def test_scores_are_shares_or_undefined_and_interpolation_only_helps(parts):
    scores = edge_scores(np.arange(1, parts[0].shape[1] + 1) / 10, *parts)
    for value in (scores.ods.f, scores.ods_plain.f, scores.ois.f, scores.ap, scores.r50):
        assert math.isnan(value) or 0 <= value <= 1
    if not math.isnan(scores.ods_plain.f):
        assert scores.ods.f >= scores.ods_plain.f


def test_shapes_and_thresholds_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"\(N, T\). Got \(2,\), \[\(1, 1\)"):
        edge_scores([0.1, 0.2], [[1]], [[1]], [[1]], [[1]])
    with pytest.raises(ValueError, match="must rise"):
        edge_scores([0.2, 0.1], [[1, 1]], [[1, 1]], [[1, 1]], [[1, 1]])


def test_intervals_hold_the_score_and_are_wider_at_a_higher_confidence():
    rng = np.random.default_rng(1)
    sum_r = np.full((30, 2), 50)
    count_r = rng.integers(20, 50, (30, 2))
    sum_p = count_r + rng.integers(0, 30, (30, 2))
    parts = (count_r, sum_r, count_r, sum_p)
    scores = edge_scores([0.1, 0.2], *parts)
    best = np.array([[0.1, 0.2].index(image.threshold) for image in scores.images])
    narrow, wide = (edge_intervals(*parts, best=best, confidence=level) for level in (0.5, 0.95))
    for name, value in (("ods", scores.ods_plain.f), ("ois", scores.ois.f)):
        assert wide[name][0] < narrow[name][0] < value < narrow[name][1] < wide[name][1]


def test_few_pictures_have_no_intervals():
    parts = [np.ones((9, 1), int)] * 4
    assert edge_intervals(*parts, best=np.zeros(9, int), confidence=0.9) is None
