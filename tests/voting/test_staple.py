"""STAPLE: SimpleITK's numbers where it has some, and defined results where it has none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dnncli.voting.ballots import NO_VOTE, encode
from dnncli.voting.rules import NO_DECISION
from dnncli.voting.staple import staple, staple_votes

# Pixels by what three annotators marked: 000, 001, 010, ... 111
PIXELS = [50, 6, 5, 3, 4, 4, 6, 22]
FIRST = np.cumsum([0, *PIXELS[:-1]])


def three_masks():
    marked = np.repeat(np.arange(8), PIXELS).reshape(10, 10)
    return [(marked >> place & 1).astype(np.uint8) for place in (2, 1, 0)]


def naive(masks, iterations):
    """Plain EM on pixels with the share of foreground kept, in products."""
    masks = np.stack([mask.ravel() for mask in masks])
    probability = masks.mean(axis=0)
    share = probability.mean()
    for _ in range(iterations):
        p = (masks * probability).sum(axis=1) / probability.sum()
        q = ((1 - masks) * (1 - probability)).sum(axis=1) / (1 - probability).sum()
        yes = share * np.where(masks == 1, p[:, None], 1 - p[:, None]).prod(axis=0)
        no = (1 - share) * np.where(masks == 1, 1 - q[:, None], q[:, None]).prod(axis=0)
        probability = yes / (yes + no)
    return probability, p, q


def test_the_numbers_of_simple_itk():
    # SimpleITK 2.5.7, STAPLEImageFilter with foreground value 1, on the same masks: 20 iterations.
    # It stops when no rate moves by 1e-7.
    found = staple(three_masks())
    probability = [0.002102, 0.067377, 0.127038, 0.833084, 0.231858, 0.911912, 0.95424, 0.998604]
    assert found.probability.ravel()[FIRST] == pytest.approx(probability, abs=2e-6)
    assert found.sensitivity == pytest.approx([0.89854, 0.858426, 0.79414], abs=2e-6)
    assert found.specificity == pytest.approx([0.941794, 0.919315, 0.898893], abs=2e-6)
    assert found.converged


def test_patterns_give_what_loops_over_pixels_give():
    found = staple(three_masks())
    probability, p, q = naive(three_masks(), 300)
    assert found.probability.ravel() == pytest.approx(probability, abs=1e-8)
    assert found.sensitivity == pytest.approx(p, abs=1e-8)
    assert found.specificity == pytest.approx(q, abs=1e-8)


@pytest.mark.parametrize("marked", [0, 1])
def test_masks_that_are_all_empty_or_all_full_are_what_they_are(marked):
    found = staple([np.full((2, 3), marked)] * 3)
    assert (found.probability == marked).all()
    assert (found.decision == marked).all()
    known, unknown = found.specificity, found.sensitivity
    if marked:
        known, unknown = unknown, known
    assert known == pytest.approx([1, 1, 1])
    assert np.isnan(unknown).all()  # there is nothing to be sensitive to


def test_one_mask_is_believed():
    mask = np.array([[0, 1, 1], [0, 0, 1]])
    found = staple([mask])
    assert found.probability == pytest.approx(mask, abs=1e-8)
    assert (found.decision == mask).all()


def test_pixels_at_one_half_are_undecided():
    found = staple([np.array([[True, False]]), np.array([[False, True]])])
    assert found.probability.tolist() == [[0.5, 0.5]]
    assert found.decision.tolist() == [[NO_DECISION, NO_DECISION]]
    # Floors move this one, a tie as well, in the eleventh decimal:
    # 3/8 * 1 * (1 - 2/3) against 5/8 * (1 - .8) * 1.
    found = staple([np.array([[1, 1, 0, 0]]), np.array([[1, 0, 0, 0]])])
    assert found.decision.tolist() == [[1, NO_DECISION, 0, 0]]


def test_annotators_who_miss_most_do_not_outvote_those_who_look():
    rng = np.random.default_rng(0)
    truth = np.zeros((40, 40), int)
    truth[10:25, 12:30] = 1
    careful = [np.where(rng.random(truth.shape) < 0.93, truth, 1 - truth) for _ in range(2)]
    shy = [np.where(truth, rng.random(truth.shape) < 0.3, 0) for _ in range(3)]
    found = staple([*careful, *shy])
    majority = sum([*careful, *shy]) >= 3
    assert (found.decision != truth).sum() < (majority != truth).sum() / 2
    assert found.sensitivity[:2].min() > 0.85 > 0.4 > found.sensitivity[2:].max()


def test_pixels_that_nobody_spoke_of_have_the_mean_share():
    masks = [np.array([[1, 0, 0, 0, NO_VOTE]])] * 2
    assert staple(masks).probability[0, 4] == pytest.approx(0.25)


def test_pixels_without_any_vote_at_all_are_undecided():
    found = staple([np.full((1, 2), NO_VOTE)])
    assert found.decision.tolist() == [[NO_DECISION] * 2]
    assert np.isnan(found.sensitivity).all()


def test_several_classes_give_what_two_give_if_there_are_two():
    masks = three_masks()
    ballots = encode([mask.ravel() * 2 for mask in masks], "abc", ["ground", "unused", "crack"])
    found, binary = staple_votes(ballots), staple(masks)
    assert found.posteriors[ballots.index, 2] == pytest.approx(binary.probability.ravel())
    assert (found.posteriors[:, 1] == 0).all()
    assert found.confusion[:, 2, 2] == pytest.approx(binary.sensitivity)
    assert np.isnan(found.confusion[:, 1]).all()


@settings(deadline=None, max_examples=60)
@given(arrays(np.int8, st.tuples(*[st.integers(1, 5)] * 3), elements=st.integers(-1, 1)))
def test_probabilities_are_numbers_between_0_and_1(masks):
    found = staple(list(masks))
    assert ((found.probability >= 0) & (found.probability <= 1)).all()
    assert np.isin(found.decision, [NO_DECISION, 0, 1]).all()


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([], r"M >= 1 arrays of one shape \(H, W\). Got \[\]"),
        ([np.zeros((2, 3), int), np.zeros((3, 2), int)], r"Got \[\(2, 3\), \(3, 2\)\]"),
        ([np.zeros(4, int)], r"Got \[\(4,\)\]"),
        ([np.array([[0, 255]], np.uint8)], "Got 0 to 255"),
        ([np.array([[0.2, 0.9]])], "probabilities need a threshold"),
    ],
)
def test_masks_that_do_not_fit_are_refused(masks, message):
    with pytest.raises(ValueError, match=message):
        staple(masks)
