"""Windows: side by side, at random, and whole masks made to fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnncli.data.dataset import NO_CLASS
from dnncli.data.windows import DRAWS, count, cut, fit_mask, place, side_by_side

SIDES = st.tuples(st.integers(1, 13), st.integers(1, 13))


def numbered(height, width):
    """A picture whose pixels are their own numbers, and a mask of class 1."""
    picture = np.arange(height * width, dtype=np.float32).reshape(height, width, 1)
    return picture, np.ones((height, width), np.uint8)


@given(size=SIDES, window=SIDES)
def test_windows_side_by_side_show_every_pixel_of_a_mask_once(size, window):
    images, masks = side_by_side(*numbered(*size), window)
    assert len(images) == len(masks) == count(size, window)
    assert images.shape[1:] == (*window, 1)
    assert sorted(images[masks == 1].ravel().tolist()) == list(range(size[0] * size[1]))
    assert set(np.unique(masks)) <= {1, NO_CLASS}


def test_the_last_window_of_a_line_lies_within_the_picture_and_repeats_without_a_class():
    images, masks = side_by_side(*numbered(1, 5), (1, 3))
    assert images[:, 0, :, 0].tolist() == [[0, 1, 2], [2, 3, 4]]
    assert masks[:, 0].tolist() == [[1, 1, 1], [NO_CLASS, 1, 1]]


def test_a_picture_smaller_than_a_window_is_mirrored_without_a_class():
    image, mask = cut(*numbered(1, 2), (0, 0), (2, 5))
    assert image[..., 0].tolist() == [[0, 1, 1, 0, 0]] * 2
    assert mask.tolist() == [[1, 1] + [NO_CLASS] * 3, [NO_CLASS] * 5]


def test_a_window_is_a_copy():
    picture, mask = numbered(4, 4)
    image, truth = cut(picture, mask, (0, 0), (2, 2))
    image[:], truth[:] = -1, NO_CLASS
    assert picture.min() == 0
    assert (mask == 1).all()


@given(size=SIDES, window=SIDES, seed=st.integers(0, 2**31))
def test_a_window_for_the_foreground_shows_some_and_lies_within_the_picture(size, window, seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros(size, np.uint8)
    mask.flat[rng.integers(mask.size)] = 2
    mask.flat[rng.integers(mask.size)] = NO_CLASS if mask.sum() != 2 else 2
    top, left = place(mask, window, rng.random(DRAWS), foreground=1.0)
    if (mask == 2).any():
        assert 2 in mask[top : top + window[0], left : left + window[1]]
    assert 0 <= top <= max(0, size[0] - window[0])
    assert 0 <= left <= max(0, size[1] - window[1])


def test_without_a_wish_for_foreground_windows_reach_every_pixel_margins_too():
    rng = np.random.default_rng(0)
    mask = np.ones((20, 20), np.uint8)
    shown = np.zeros(mask.shape)
    for _ in range(2000):
        top, left = place(mask, (8, 8), rng.random(DRAWS), foreground=0.0)
        shown[top : top + 8, left : left + 8] += 1 / 2000
    # A corner lies in the windows whose middle is in its 5 x 5 pixels; inner pixels in 8 x 8.
    assert shown[0, 0] == pytest.approx(25 / 400, abs=0.02)
    assert shown[10, 10] == pytest.approx(64 / 400, abs=0.03)


def test_rare_classes_are_wished_for_as_often_as_common_ones():
    mask = np.ones((1, 100), np.uint8)
    mask[0, 40] = 7
    rng = np.random.default_rng(1)
    places = [place(mask, (1, 1), rng.random(DRAWS), foreground=1.0) for _ in range(400)]
    assert np.mean([spot == (0, 40) for spot in places]) == pytest.approx(0.5, abs=0.08)


def test_the_share_of_windows_with_foreground_is_the_one_asked_for():
    mask = np.zeros((1, 1000), np.uint8)
    mask[0, 500] = 1
    rng = np.random.default_rng(2)
    places = [place(mask, (1, 1), rng.random(DRAWS), foreground=0.25) for _ in range(1000)]
    assert np.mean([spot == (0, 500) for spot in places]) == pytest.approx(0.25, abs=0.05)


def test_background_and_void_alone_give_any_window():
    mask = np.array([[0, NO_CLASS, 0, 0]], np.uint8)
    rng = np.random.default_rng(3)
    assert {place(mask, (1, 1), rng.random(DRAWS), foreground=1.0) for _ in range(100)} == {
        (0, left) for left in range(4)
    }


def test_a_stretched_mask_takes_the_pixel_under_the_middle_of_the_new_one():
    assert fit_mask(np.array([[0, 1, 2, 3]], np.uint8), (2, 2), "stretch").tolist() == [[1, 3]] * 2
    assert fit_mask(np.array([[4, 9]], np.uint8), (1, 5), "stretch").tolist() == [[4, 4, 9, 9, 9]]


def test_a_padded_mask_keeps_its_shape_and_has_no_class_around():
    fitted = fit_mask(np.array([[1, 2]], np.uint8), (4, 4), "pad")
    none = [NO_CLASS] * 4
    assert fitted.tolist() == [none, [1, 1, 2, 2], [1, 1, 2, 2], none]


@pytest.mark.parametrize("how", ["stretch", "pad"])
@given(size=SIDES)
def test_a_mask_of_the_right_size_stays_as_it_is(how, size):
    mask = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size)
    assert fit_mask(mask, size, how) is mask
