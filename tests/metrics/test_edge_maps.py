"""Thinning of edge maps and one-to-one matching, against plain versions and pictures by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.metrics.edge_counts import edge_counts, pixels_of
from dnncli.metrics.edge_maps import nms, thin
from dnncli.metrics.edge_matching import closest_pairs, match, near_pairs


def picture(text):
    return np.array([[cell == "#" for cell in row] for row in text.split()])


def ring(shape=(40, 50)):
    """A circle, one pixel wide, away from the border."""
    ys, xs = np.indices(shape)
    distance = np.hypot(ys - shape[0] / 2, xs - shape[1] / 2)
    return thin(np.abs(distance - 12) < 1)


def test_a_bar_becomes_a_line_in_its_middle():
    found = thin(picture("......... .#######. .#######. .#######. ........."))
    assert found.sum(axis=0).max() == 1
    assert found[2].sum() >= 5
    assert found.sum() == found[2].sum()


def test_thin_lines_stay_as_they_are():
    drawn = np.zeros((20, 20), bool)
    drawn[3, 2:15] = True
    drawn[np.arange(6, 16), np.arange(4, 14)] = True
    assert (thin(drawn) == drawn).all()
    assert not thin(np.zeros((4, 4), bool)).any()
    assert thin(np.ones((1, 1), bool)).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_thinning_keeps_what_is_connected_and_ends(seed):
    from scipy.ndimage import label

    drawn = np.random.default_rng(seed).random((12, 14)) < 0.55
    found = thin(drawn)
    assert (found <= drawn).all()
    assert label(found, np.ones((3, 3)))[1] == label(drawn, np.ones((3, 3)))[1]
    assert (thin(found) == found).all()


@pytest.mark.parametrize("slope", [(0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, -1)])
def test_ridges_of_a_thick_edge_are_on_its_middle(slope):
    ys, xs = np.indices((60, 60))
    across = (slope[0] * (ys - 30) + slope[1] * (xs - 30)) / math.hypot(*slope)
    found = nms(np.exp(-((across / 3) ** 2)))
    kept = found[15:45, 15:45] > 0.5
    assert kept.any()
    assert np.abs(across[15:45, 15:45][kept]).max() <= 0.75


def test_ridges_fade_towards_the_border_of_the_picture():
    found = nms(np.ones((20, 30)))
    assert found[0].max() == found[:, 0].max() == found[:, -1].max() == 0
    assert found[3, 15] == pytest.approx(0.6)
    assert found[10, 15] == pytest.approx(1)
    assert nms(np.ones((1, 1))).tolist() == [[1]]


def largest_by_hand(places, true_places, reach):
    """Every way to pair them: the most pairs, and the least sum of distances of so many."""
    best = (0, 0.0)
    options = [*range(len(true_places)), None]
    for partners in itertools.product(options, repeat=len(places)):
        used = [partner for partner in partners if partner is not None]
        if len(set(used)) < len(used):
            continue
        lengths = [
            math.dist(place, true_places[partner])
            for place, partner in zip(places, partners)
            if partner is not None
        ]
        if all(length <= reach for length in lengths):
            best = max(best, (len(lengths), -sum(lengths)))
    return best[0], -best[1]


@pytest.mark.parametrize("seed", range(40))
def test_the_fast_way_finds_the_most_and_the_closest_pairs(seed):
    rng = np.random.default_rng(seed)
    places, true_places = (
        np.unique(rng.integers(0, 6, (rng.integers(0, 6), 2)), axis=0) for _ in range(2)
    )
    reach = rng.choice([0, 1, 1.5, 2.3, 4])
    pairs = near_pairs(places, true_places, max_distance=reach)
    rows, columns = closest_pairs(pairs)
    most, least = largest_by_hand(places.tolist(), true_places.tolist(), reach)
    assert len(rows) == len(set(rows)) == len(set(columns)) == most
    lengths = np.hypot(*(places[rows] - true_places[columns]).T) if most else np.zeros(0)
    assert (lengths <= reach).all()
    assert lengths.sum() == pytest.approx(least)


def test_the_fast_way_costs_as_much_as_one_problem_with_places_for_the_unmatched():
    from scipy.sparse import diags_array, hstack
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    rng = np.random.default_rng(0)
    drawn, truth = (thin(rng.random((60, 60)) < 0.25) for _ in range(2))
    pairs = near_pairs(np.argwhere(drawn), np.argwhere(truth), max_distance=2.5)
    rows, columns = closest_pairs(pairs)
    plain = hstack([pairs, diags_array(np.full(pairs.shape[0], 1e5))]).tocsr()
    all_rows, all_columns = min_weight_full_bipartite_matching(plain)
    is_paired = all_columns < pairs.shape[1]
    assert len(rows) == is_paired.sum()
    expected = plain[all_rows[is_paired], all_columns[is_paired]].sum()
    assert pairs[rows, columns].sum() == pytest.approx(expected)


def test_a_pixel_is_matched_once_only():
    thick = picture("....... .#####. .#####. .......")
    line = picture("....... .#####. ....... .......")
    matched, found = match(thick, line, max_distance=2)
    assert (matched.sum(), found.sum()) == (5, 5)
    assert (matched == line).all()  # the closest


@pytest.mark.parametrize(("shift", "expected"), [(0, 1), (2, 1), (3, 1), (4, None)])
def test_edges_within_the_tolerance_are_found(shift, expected):
    truth = np.zeros((40, 50), bool)
    truth[20, 10:40] = True
    counts = edge_counts(
        np.roll(truth, shift, axis=0).astype(float),
        [truth],
        thresholds=[0.5],
        tolerance=3,
        nms=False,
    )
    assert counts.count_r[0] == counts.count_p[0] == (30 if expected else 0)
    assert counts.sum_r[0] == counts.sum_p[0] == 30


def test_a_shifted_ring_gets_all_or_little():
    drawn = ring()
    near, far = (
        edge_counts(
            np.roll(drawn, 2, axis=1) * 1.0, [drawn], thresholds=[0.5], tolerance=t, nms=False
        )
        for t in (2, 1)
    )
    assert near.count_r[0] == near.sum_r[0]
    assert far.count_r[0] < 0.8 * far.sum_r[0]


def test_recall_sums_over_annotators_and_precision_takes_any_of_them():
    first, second, drawn = (np.zeros((30, 30), bool) for _ in range(3))
    first[5, 5:15] = second[20, 5:15] = True
    drawn[[5, 20, 27], 5:15] = True
    counts = edge_counts(
        drawn * 0.7, [first, second], thresholds=[0.5, 0.9], tolerance=1, nms=False
    )
    assert counts.sum_r.tolist() == [20, 20]
    assert counts.count_r.tolist() == [20, 0]
    assert counts.sum_p.tolist() == [30, 0]
    assert counts.count_p.tolist() == [20, 0]
    once = edge_counts(drawn * 0.7, [first, first], thresholds=[0.5], tolerance=1, nms=False)
    assert (once.count_r[0], once.count_p[0]) == (20, 10)


def test_pixels_that_are_not_judged_count_for_nothing():
    drawn = np.zeros((20, 20), bool)
    drawn[10, 2:18] = True
    judged = np.ones((20, 20), bool)
    judged[:, :10] = False
    counts = edge_counts(drawn * 1.0, [drawn], thresholds=[0.5], nms=False, judged=judged)
    assert (counts.sum_r[0], counts.sum_p[0], counts.count_p[0]) == (8, 8, 8)


def test_thick_edges_are_thinned_on_both_sides():
    truth = np.zeros((30, 40), bool)
    truth[14:17, 5:35] = True
    counts = edge_counts(truth * 1.0, [truth], thresholds=[0.5], nms=False)
    assert counts.sum_r[0] < 40
    assert counts.count_r[0] == counts.sum_r[0] == counts.count_p[0] == counts.sum_p[0]
    plain = edge_counts(truth * 1.0, [truth], thresholds=[0.5], nms=False, thin=False)
    assert plain.sum_r[0] == plain.sum_p[0] == 90


def test_a_smooth_map_of_a_ring_is_matched_after_its_ridges_are_found():
    from scipy.ndimage import gaussian_filter

    drawn = ring()
    soft = gaussian_filter(drawn.astype(float), 1.5)
    counts = edge_counts(soft / soft.max(), [drawn], thresholds=[0.3], tolerance=1.5)
    assert counts.count_r[0] >= 0.95 * counts.sum_r[0]
    assert counts.count_p[0] >= 0.95 * counts.sum_p[0]


def test_a_tolerance_below_one_is_a_share_of_the_diagonal():
    assert pixels_of(0.0075, (300, 400)) == pytest.approx(3.75)
    assert pixels_of(2, (300, 400)) == 2
    assert pixels_of(0, (300, 400)) == 0
    with pytest.raises(ValueError, match="-1"):
        pixels_of(-1, (3, 4))


def test_shapes_and_thresholds_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"\(3, 4\), but of truths and judged are \[\(4, 3\)\]"):
        edge_counts(np.zeros((3, 4)), [np.zeros((4, 3), bool)])
    with pytest.raises(ValueError, match=r"in \(0, 1\]"):
        edge_counts(np.zeros((3, 4)), [np.zeros((3, 4), bool)], thresholds=[0])


def test_the_order_of_the_memory_makes_no_difference():
    drawn = np.random.default_rng(5).random((30, 20)) < 0.6
    assert (thin(np.asfortranarray(drawn)) == thin(drawn)).all()
    assert (thin(drawn[::-1, ::2]) == thin(drawn[::-1, ::2].copy())).all()
