from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dnncli.data.dataset import NO_CLASS
from dnncli.errors import ConfigError
from dnncli.voting.maps import MaskRule, mask_consensus, mean_map
from dnncli.voting.rules import VoteOptions

TWO = ("ground", "crack")


def merged(*masks, rule=None, class_names=TWO, **fields):
    arrays_ = [np.array(mask, np.uint8) for mask in masks]
    names = [f"m{number}" for number in range(len(masks))]
    return mask_consensus(
        arrays_, models=names, class_names=class_names, rule=rule or MaskRule(**fields)
    )


def lists(consensus):
    return consensus.mask.tolist()


def test_most_masks_decide_a_pixel():
    assert lists(merged([[0, 1, 1]], [[0, 1, 0]], [[0, 0, 0]])) == [[0, 1, 0]]


def test_a_tie_is_undecided_unless_it_is_broken():
    masks = [[1, 0], [1, 1]], [[0, 1], [1, 0]]
    positive = VoteOptions(tie="positive", positive=1)
    assert lists(merged(*masks)) == [[NO_CLASS, NO_CLASS], [1, NO_CLASS]]
    assert lists(merged(*masks, options=positive)) == [[1, 1], [1, 1]]
    assert lists(merged(*masks, options=VoteOptions(tie="class-order"))) == [[0, 0], [1, 0]]


def test_an_undecided_pixel_of_one_mask_is_no_vote():
    assert lists(merged([[NO_CLASS, NO_CLASS]], [[1, NO_CLASS]])) == [[1, NO_CLASS]]


def test_weights_decide_exactly():
    weights = (Fraction(3, 10), *[Fraction(1, 10)] * 3)  # .3 against .1 + .1 + .1 is a tie
    assert lists(merged([[1]], [[0]], [[0]], [[0]], weights=weights)) == [[NO_CLASS]]


def test_an_agreement_of_two_thirds_is_inclusive():
    masks = [[1, 1]], [[1, 0]], [[1, 0]]
    two_thirds, more = (VoteOptions(agree=Fraction(share)) for share in ("2/3", "0.67"))
    assert lists(merged(*masks, options=two_thirds)) == [[1, 0]]
    assert lists(merged(*masks, options=more)) == [[1, NO_CLASS]]


def test_at_least_k_masks_mark_the_positive_class():
    masks = [[1, 1, 1, 0]], [[1, 1, 0, 0]], [[1, 0, 0, 0]]
    options = VoteOptions(positive=1)
    assert lists(merged(*masks, method="at-least", k=1, options=options)) == [[1, 1, 1, 0]]
    assert lists(merged(*masks, method="at-least", k=2, options=options)) == [[1, 1, 0, 0]]
    assert lists(merged(*masks, method="at-least", k=3, options=options)) == [[1, 0, 0, 0]]


def test_at_least_k_of_several_classes_leaves_the_rest_undecided():
    names = ("road", "car", "tree")
    masks = [[0, 1, 2]], [[0, 1, 1]], [[0, 2, 0]]
    assert lists(merged(*masks, method="at-least", k=2, class_names=names)) == [[0, 1, NO_CLASS]]


def test_more_masks_than_there_are_cannot_agree():
    with pytest.raises(ConfigError, match=r"k must lie in \[1, 2\]"):
        merged([[1]], [[0]], method="at-least", k=3)


def test_the_ignore_zone_of_a_majority_is_where_masks_differ():
    masks = [[1, 1, 0]], [[1, 1, 0]], [[1, 0, 0]]
    consensus = merged(*masks, ignore_zone=True)
    assert lists(consensus) == [[1, NO_CLASS, 0]]
    assert consensus.status_counts["below_threshold"] == 1


def test_the_ignore_zone_of_at_least_k_spares_what_k_masks_mark():
    masks = [[1, 1, 1, 0]], [[1, 1, 0, 0]], [[1, 0, 0, 0]]
    options = VoteOptions(positive=1)
    zone = merged(*masks, method="at-least", k=2, options=options, ignore_zone=True)
    assert lists(zone) == [[1, 1, NO_CLASS, 0]]


def test_agreement_is_the_mean_share_of_masks_that_say_what_most_say():
    # Three of three, two of three, and one of one: (1 + 2/3 + 1) / 3; the last pixel has no vote.
    void = NO_CLASS
    consensus = merged([[1, 1, 1, void]], [[1, 1, void, void]], [[1, 0, void, void]])
    assert consensus.agreement == pytest.approx(8 / 9)
    assert consensus.status_counts == {
        "decided": 3,
        "tie_broken": 0,
        "tie": 0,
        "below_threshold": 0,
        "too_few_votes": 0,
        "no_votes": 1,
    }


def test_masks_without_a_single_vote_agree_on_nothing():
    consensus = merged([[NO_CLASS]], [[NO_CLASS]])
    assert lists(consensus) == [[NO_CLASS]]
    assert np.isnan(consensus.agreement)


def test_a_picture_without_pixels_has_a_mask_without_pixels():
    empty = np.zeros((0, 3), np.uint8)
    assert merged(empty, empty).mask.shape == (0, 3)


@given(
    masks=st.lists(
        arrays(np.uint8, (2, 3), elements=st.sampled_from([0, 1, 2, NO_CLASS])),
        min_size=1,
        max_size=6,
    )
)
def test_a_majority_is_what_counting_each_pixel_gives(masks):
    expected = np.full((2, 3), NO_CLASS)
    for at in np.ndindex(2, 3):
        votes = [int(mask[at]) for mask in masks if mask[at] != NO_CLASS]
        highest = max((votes.count(value) for value in set(votes)), default=0)
        leading = [value for value in set(votes) if votes.count(value) == highest]
        expected[at] = leading[0] if len(leading) == 1 else NO_CLASS
    consensus = merged(*masks, class_names=("a", "b", "c"))
    assert np.array_equal(consensus.mask, expected)


def test_shapes_that_differ_are_named():
    with pytest.raises(ValueError, match=r"\(1, 2\), \(2, 1\)"):
        merged([[1, 0]], [[1], [0]])


def test_a_value_that_is_no_class_is_refused():
    with pytest.raises(ValueError, match="2"):
        merged([[1, 0]], [[1, 2]])


def test_k_belongs_to_at_least_alone():
    with pytest.raises(ValueError, match="k is for 'at-least'"):
        MaskRule(k=2)
    with pytest.raises(ValueError, match="k is for 'at-least'"):
        MaskRule(method="at-least")
    with pytest.raises(ValueError, match="weights are for 'majority'"):
        MaskRule(method="staple", weights=(Fraction(1),))


def test_maps_of_values_are_averaged_by_weight():
    low, high = np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]])
    merged_maps = mean_map([low, high], weights=(Fraction(3), Fraction(1)))
    assert merged_maps.mean.tolist() == [[0.25, 1.0]]
    assert merged_maps.spread[0] == pytest.approx([np.sqrt(0.75 * 0.25), 0])


def test_a_value_that_is_missing_does_not_count():
    merged_maps = mean_map([np.array([[np.nan, np.nan]]), np.array([[0.5, np.nan]])])
    assert merged_maps.mean[0, 0] == 0.5
    assert np.isnan(merged_maps.mean[0, 1])
