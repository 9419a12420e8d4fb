"""Fewer points of a curve: which are kept, and that the areas stay."""

import numpy as np
import pytest

from dnncli.metrics.curves import average_precision, curve, roc_auc
from dnncli.report.thinning import class_curve, thinned


def random_curve(seed, *, n=60_000, share=0.1, ties=None):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    scores = rng.normal(size=n) + 1.5 * truth
    return curve(truth, scores if ties is None else scores.round(ties))


@pytest.mark.parametrize("share", [0.0005, 0.1, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_the_areas_change_by_less_than_0_002(seed, share):
    whole = random_curve(seed, share=share)
    few = thinned(whole, limit=2_000)
    assert len(few.tp) <= 2_000 < len(whole.tp)
    assert roc_auc(few) == pytest.approx(roc_auc(whole), abs=0.002)
    assert average_precision(few) == pytest.approx(average_precision(whole), abs=0.002)


def test_every_kept_point_is_one_of_the_curve_and_both_ends_are_kept():
    whole = random_curve(0)
    few = thinned(whole, limit=100)
    rows = np.searchsorted(-whole.thresholds, -few.thresholds)
    assert (whole.thresholds[rows] == few.thresholds).all()
    assert (whole.tp[rows] == few.tp).all()
    assert (whole.fp[rows] == few.fp).all()
    assert rows[0] == 0
    assert rows[-1] == len(whole.tp) - 1
    assert (np.diff(rows) > 0).all()


def test_a_curve_within_the_limit_stays_as_it_is():
    whole = random_curve(0, ties=1)
    assert thinned(whole, limit=len(whole.tp)) is whole


def test_a_curve_without_positives_can_be_thinned():
    whole = curve(np.zeros(1_000, bool), np.arange(1_000.0))
    few = thinned(whole, limit=10)
    assert len(few.tp) <= 10
    assert few.fp[[0, -1]].tolist() == [1, 1_000]


def test_a_limit_that_leaves_no_curve_is_refused():
    with pytest.raises(ValueError, match="at least 4. Got 3"):
        thinned(random_curve(0), limit=3)


def test_the_areas_of_a_class_are_those_of_all_points():
    whole = random_curve(1, n=5_000)
    kept = class_curve(whole, n_classes=1_000)
    assert len(kept.points.tp) <= 200
    assert kept.n_points == len(whole.tp)
    assert kept.average_precision == average_precision(whole)
    assert kept.roc_auc == roc_auc(whole)
