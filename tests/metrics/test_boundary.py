"""Scores of outlines and thin classes, and of masks that say one class everywhere."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.metrics.boundary import near_counts, near_scores, stacked
from dnncli.metrics.mask_baseline import baselines
from dnncli.metrics.masks import mask_counts, pixel_pairs


def square(low, high, size=20):
    mask = np.zeros((size, size), np.int64)
    mask[low:high, low:high] = 1
    return mask


def scores(truth, predicted, **options):
    counts = near_counts(truth, predicted, values=[1], **options)
    return near_scores(stacked([counts]))[0]


def test_a_mask_against_itself_is_perfect():
    for outlines in (True, False):
        found = scores(square(4, 12), square(4, 12), distance=0, outlines=outlines)
        assert (found.f, found.precision, found.recall, found.image_f) == (1, 1, 1, 1)


def test_outlines_count_the_pixels_along_the_edge_of_an_object():
    counts = near_counts(square(4, 12), square(4, 12), values=[0, 1], distance=0, outlines=True)
    # 8 x 8 pixels have 28 along their edge; outside, 4 x 8 touch them.
    assert counts.true.tolist() == [32, 28]


def test_an_outline_off_by_less_than_the_distance_is_right_and_by_more_is_wrong():
    truth, larger = square(5, 12), square(3, 14)
    assert scores(truth, larger, distance=3, outlines=True).f == 1
    assert scores(truth, larger, distance=1.9, outlines=True).f == 0


def test_a_thin_class_one_pixel_apart_is_found_within_a_tolerance():
    truth = np.zeros((12, 12), int)
    truth[5] = 1
    predicted = np.roll(truth, 1, axis=0)
    assert scores(truth, predicted, distance=1, outlines=False).f == 1
    assert scores(truth, predicted, distance=0.9, outlines=False).f == 0


def test_the_border_of_the_picture_and_void_are_no_outline():
    full = np.ones((6, 6), int)
    assert near_counts(full, full, values=[1], distance=1, outlines=True).true.tolist() == [0]
    half = full.copy()
    half[:, 3:] = -1
    counts = near_counts(half, square(0, 6, 6), values=[1], distance=1, outlines=True)
    assert (counts.true[0], counts.predicted[0]) == (0, 0)
    whole = near_counts(half, full, values=[1], distance=1, outlines=False)
    assert (whole.true[0], whole.predicted[0]) == (18, 18)


def test_neither_true_nor_predicted_is_undefined_and_one_of_both_is_zero():
    empty = np.zeros((20, 20), int)
    assert math.isnan(scores(empty, empty, distance=1, outlines=False).f)
    for pair in ((empty, square(3, 9)), (square(3, 9), empty)):
        found = scores(*pair, distance=1, outlines=True)
        assert (found.f, found.image_f) == (0, 0)


def test_pooled_scores_and_the_mean_over_pictures_differ():
    pairs = [(square(2, 18), square(2, 18)), (square(2, 4), square(10, 12))]
    counts = stacked([near_counts(*pair, values=[1], distance=0, outlines=False) for pair in pairs])
    (found,) = near_scores(counts)
    assert found.image_f == 0.5
    assert found.f == pytest.approx(256 / 260)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 1.5, 2.3, 3, 5, 30]))
@settings(max_examples=60, deadline=None)
def test_near_pixels_agree_with_the_definition(seed, distance):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 9, 2))
    truth, predicted = rng.integers(-1, 4, shape), rng.integers(0, 4, shape)
    values = [0, 1, 3]
    counts = near_counts(truth, predicted, values=values, distance=distance, outlines=False)
    judged = truth != -1
    for place, value in enumerate(values):
        here, there = (np.argwhere(judged & (mask == value)) for mask in (truth, predicted))
        assert (counts.true[place], counts.predicted[place]) == (len(here), len(there))
        apart = np.hypot(*np.moveaxis(here[:, None] - there[None], 2, 0))
        assert counts.true_near[place] == (apart <= distance).any(axis=1).sum()
        assert counts.predicted_near[place] == (apart <= distance).any(axis=0).sum()


def test_more_than_64_classes_are_counted_like_few():
    rng = np.random.default_rng(3)
    truth, predicted = rng.integers(0, 150, (2, 30, 30))
    counts = near_counts(truth, predicted, values=range(150), distance=2, outlines=True)
    for value in (0, 63, 64, 149):
        alone = near_counts(truth, predicted, values=[value], distance=2, outlines=True)
        assert counts.true_near[value] == alone.true_near[0]
        assert counts.predicted[value] == alone.predicted[0]


def test_shapes_and_distances_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"\(3, 3\), \(2, 3\)"):
        near_counts(
            np.zeros((3, 3), int), np.zeros((2, 3), int), values=[1], distance=1, outlines=True
        )
    with pytest.raises(ValueError, match="-1"):
        near_counts(
            np.zeros((3, 3), int), np.zeros((3, 3), int), values=[1], distance=-1, outlines=True
        )


def test_baselines_are_the_scores_of_the_background_and_of_the_class_everywhere():
    # Pictures of 10 pixels: 2 of the class in the first, none in the second.
    pictures = [np.repeat([1, 0], [2, 8])[None], np.zeros((1, 10), int)]
    counts = mask_counts([pixel_pairs(mask, mask) for mask in pictures], values=[1])
    found = baselines(counts, values=[1], classes=["crack"], rest="background")
    assert list(found) == ["background", "crack"]
    nothing, everything = found["background"], found["crack"]
    assert nothing.accuracy == 0.9
    assert (nothing.macro.dice, nothing.per_class["crack"].image_dice) == (0, 0)
    assert everything.accuracy == 0.1
    assert everything.macro.dice == pytest.approx(4 / 22)
    assert everything.macro.iou == pytest.approx(0.1)
    assert everything.per_class["crack"].image_dice == pytest.approx((4 / 12 + 0) / 2)


def test_baselines_equal_the_scores_of_such_masks():
    rng = np.random.default_rng(0)
    masks = rng.choice([0, 1, 2], (5, 8, 8), p=[0.2, 0.7, 0.1])
    counts = mask_counts([pixel_pairs(mask, mask) for mask in masks], values=[0, 1, 2])
    found = baselines(counts, values=[0, 1, 2], classes=["sky", "road", "car"], rest="-")
    assert list(found) == ["sky", "road"]
    for value, name in ((0, "sky"), (1, "road")):
        constant = [pixel_pairs(mask, np.full_like(mask, value)) for mask in masks]
        ours = mask_counts(constant, values=[0, 1, 2])
        assert found[name].accuracy == pytest.approx(ours.right.sum() / ours.pixels.sum())
        tp, fp, fn = (part.sum(axis=0)[value] for part in (ours.tp, ours.fp, ours.fn))
        assert found[name].per_class[name].iou == pytest.approx(tp / (tp + fp + fn))
