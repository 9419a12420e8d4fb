"""Counts of pixels of masks, Dice, IoU and their means."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dnncli.data.map_codes import VOID
from dnncli.metrics.mask_intervals import FEWEST, mask_intervals
from dnncli.metrics.masks import mask_confusion, mask_counts, mask_report, pixel_pairs

PAIRS = arrays.arrays(np.uint8, (2, 5, 4), elements=st.integers(0, 3))


def report_of(*pictures, values=(1,), **options):
    counts = mask_counts([pixel_pairs(*map(np.array, pair)) for pair in pictures], values=values)
    ids = [f"p{number}" for number in range(len(pictures))]
    return mask_report(counts, ids=ids, classes=[str(value) for value in values], **options)


def test_counts_and_scores_worked_out_by_hand():
    # 2 of 3 found, 1 false alarm: Dice 4/6, IoU 2/4.
    truth, predicted = [[1, 1, 1], [0, 0, 0]], [[1, 1, 0], [1, 0, 0]]
    found = report_of((truth, predicted), betas=(2.0,)).per_class["1"]
    assert (found.tp, found.fp, found.fn, found.tn) == (2, 1, 1, 2)
    assert (found.support, found.predicted) == (3, 3)
    assert found.dice == pytest.approx(2 / 3)
    assert found.iou == 0.5
    assert found.precision == found.recall == pytest.approx(2 / 3)
    assert found.f == {"2": pytest.approx(2 / 3)}


@given(PAIRS)
def test_agrees_with_counting_one_pixel_after_the_other(pair):
    truth, predicted = pair
    counts = mask_counts([pixel_pairs(truth, predicted)], values=range(4))
    for value in range(4):
        cells = [(t == value, p == value) for t, p in zip(truth.ravel(), predicted.ravel())]
        assert counts.tp[0, value] == cells.count((True, True))
        assert counts.fp[0, value] == cells.count((False, True))
        assert counts.fn[0, value] == cells.count((True, False))


@given(PAIRS)
def test_numbers_of_any_type_are_counted_alike(pair):
    bytewise = pixel_pairs(pair[0], pair[1])
    sorted_out = pixel_pairs(pair[0].astype(np.int32), pair[1].astype(np.uint16))
    for name in ("truth", "predicted", "counts"):
        assert getattr(bytewise, name).tolist() == getattr(sorted_out, name).tolist()


@given(PAIRS)
def test_dice_follows_from_iou_and_micro_dice_is_accuracy(pair):
    report = report_of(pair, values=range(4))
    for entry in report.per_class.values():
        if entry.iou == entry.iou:
            assert entry.dice == pytest.approx(2 * entry.iou / (1 + entry.iou))
    assert report.pooled.micro.dice == pytest.approx(report.pooled.accuracy)


@given(PAIRS)
def test_the_order_of_pixels_and_pictures_changes_nothing(pair):
    truth, predicted = pair
    turned = (truth[::-1].T, predicted[::-1].T)
    one = report_of((truth, predicted), (truth, truth), values=range(4))
    other = report_of((truth, truth), turned, values=range(4))
    assert str(one.pooled) == str(other.pooled)  # NaN equals itself in text
    assert str(one.per_class) == str(other.per_class)


@pytest.mark.parametrize("seed", range(3))
def test_pooled_scores_are_those_of_scikit_learn(seed):
    from sklearn.metrics import f1_score, jaccard_score

    pair = np.random.default_rng(seed).integers(0, 4, size=(2, 30, 20))
    report = report_of(pair, values=range(4))
    flat = pair.reshape(2, -1)
    ours = [(entry.dice, entry.iou) for entry in report.per_class.values()]
    theirs = zip(f1_score(*flat, average=None), jaccard_score(*flat, average=None))
    np.testing.assert_allclose(ours, list(theirs), rtol=1e-12)
    assert report.pooled.macro.iou == pytest.approx(jaccard_score(*flat, average="macro"))


def test_an_empty_picture_is_undefined_and_counted_as_correctly_empty():
    # Dice by picture: 2*1/(2+1) = 2/3, undefined, 0. Pooled: 2*1/(2+1+1).
    pictures = [([[1, 1]], [[1, 0]]), ([[0, 0]], [[0, 0]]), ([[0, 0]], [[0, 1]])]
    found = report_of(*pictures).per_class["1"]
    assert found.dice == 0.5
    assert found.images.dice == pytest.approx(1 / 3)
    assert found.images.n_defined == 2
    assert found.images.n_correctly_empty == found.images.n_false_alarms == 1
    assert found.images.n_missed == 0
    as_zero = report_of(*pictures, undefined="0").per_class["1"].images.dice
    as_one = report_of(*pictures, undefined="1").per_class["1"].images.dice
    assert (as_zero, as_one) == (pytest.approx(2 / 9), pytest.approx(5 / 9))


def test_a_class_that_is_nowhere_is_undefined_and_not_in_the_macro_mean():
    report = report_of(([[1, 1]], [[1, 1]]), values=(1, 2))
    nowhere = report.per_class["2"]
    assert all(np.isnan([nowhere.dice, nowhere.iou, nowhere.recall, nowhere.images.dice]))
    assert report.pooled.macro.dice == 1
    assert report.pooled.undefined_classes == 1


def test_a_class_that_was_not_found_at_all_counts_as_a_missed_picture():
    found = report_of(([[1, 0]], [[0, 1]])).per_class["1"]
    assert (found.images.n_missed, found.images.n_false_alarms) == (1, 0)
    assert found.dice == 0


def test_void_pixels_of_the_truth_count_for_nothing_and_undecided_ones_are_wrong():
    truth, predicted = [[VOID, VOID, 1, 1, 0]], [[1, VOID, VOID, 1, VOID]]
    report = report_of((truth, predicted))
    entry = report.per_class["1"]
    assert (entry.tp, entry.fp, entry.fn, entry.tn) == (1, 0, 1, 1)
    image = report.per_image[0]
    assert (image.pixels, image.ignored, image.undecided) == (3, 2, 2)
    assert report.pooled.accuracy == pytest.approx(1 / 3)


def test_a_picture_that_is_void_altogether_has_no_score():
    report = report_of(([[VOID]], [[1]]))
    assert np.isnan(report.pooled.accuracy)
    assert report.per_class["1"].images.n_correctly_empty == 1


def test_masks_of_different_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        pixel_pairs(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8))


def test_the_confusion_matrix_holds_every_judged_pixel_once():
    pairs = [
        pixel_pairs(np.array([[0, 1, 2, VOID]]), np.array([[2, 1, VOID, 1]])),
        pixel_pairs(np.array([[7]]), np.array([[1]])),
    ]
    found = mask_confusion(pairs, values=(1, 2), classes=("a", "b"), rest="other")
    assert found.classes == ("other", "a", "b")
    assert found.counts == [[0, 1, 1], [0, 1, 0], [0, 0, 0]]
    assert found.undecided == [0, 0, 1]
    only = mask_confusion(pairs[:1], values=(0, 1, 2), classes=("o", "a", "b"), rest="other")
    assert only.classes == ("o", "a", "b")


def intervals_of(tp, fp, fn, **options):
    settings = {"betas": (1.0,), "undefined": "skip", "confidence": 0.95} | options
    return mask_intervals(*(np.array(part)[:, None] for part in (tp, fp, fn)), **settings)


def test_pictures_that_are_all_alike_leave_nothing_to_chance():
    ends = intervals_of([3] * 12, [1] * 12, [0] * 12)
    np.testing.assert_allclose(ends["dice"][:, 0], 6 / 7)
    np.testing.assert_allclose(ends["image_iou"][:, 0], 3 / 4)
    np.testing.assert_allclose(ends["f1"], ends["dice"])


def test_higher_confidence_gives_wider_intervals_that_hold_the_score():
    rng = np.random.default_rng(0)
    tp, fp, fn = rng.integers(0, 50, size=(3, 40))
    narrow, wide = (intervals_of(tp, fp, fn, confidence=level)["dice"] for level in (0.8, 0.99))
    score = 2 * tp.sum() / (2 * tp.sum() + fp.sum() + fn.sum())
    assert wide[0] < narrow[0] < score < narrow[1] < wide[1]


def test_the_mean_by_picture_has_about_the_interval_of_its_standard_error():
    values = np.random.default_rng(1).integers(1, 100, size=200)
    ends = intervals_of(values, 100 - values, np.zeros(200, int))["image_iou"][:, 0]
    shares = values / 100
    error = 1.96 * shares.std() / np.sqrt(200)
    # Quantiles of 2,000 draws are off by a few percent of the width.
    np.testing.assert_allclose(ends, [shares.mean() - error, shares.mean() + error], atol=0.006)


def test_scores_that_are_undefined_have_no_interval():
    nothing = [0] * FEWEST
    ends = intervals_of(nothing, nothing, nothing)
    assert np.isnan(ends["dice"]).all()
    assert np.isnan(ends["image_dice"]).all()
    np.testing.assert_array_equal(
        intervals_of(nothing, nothing, nothing, undefined="1")["image_dice"][:, 0], [1, 1]
    )


def test_few_pictures_have_no_intervals():
    few = [1] * (FEWEST - 1)
    assert intervals_of(few, few, few) is None
    pictures = [([[1, 0]], [[1, 1]])] * (FEWEST - 1)
    assert report_of(*pictures).per_class["1"].intervals is None
    assert report_of(*pictures, pictures[0]).per_class["1"].intervals.recall == (1, 1)


def test_masks_of_many_numbers_need_no_table_of_all_pairs():
    numbers = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    pairs = pixel_pairs(numbers, numbers[::-1])
    assert (pairs.counts == 1).all()
    assert (numbers[::-1].ravel()[pairs.truth] == pairs.predicted).all()
