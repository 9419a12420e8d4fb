"""Windows of a picture: they cover it, and their answers add up to one."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnncli.services.masks.tiles import (
    Tiling,
    content,
    predict_picture,
    shares,
    starts,
    strips,
)

lengths = st.integers(1, 300)
sizes = st.integers(1, 64)
overlaps = st.floats(0, 0.9)


def card(window=(16, 16), overlap=0.25, resize="tile"):
    return {"window": list(window), "overlap": overlap, "resize": resize}


def by_pixel(batch):
    """A network that looks at nothing but the pixel itself."""
    share = batch[..., :1] / 255
    return np.concatenate([1 - share, share], axis=-1)


@given(lengths, sizes, overlaps)
def test_windows_cover_a_side_and_share_what_was_asked(length, size, overlap):
    found = starts(length, size, overlap=overlap)
    assert found[0] == 0
    step = max(1, size - round(overlap * size))
    # The last window reaches the end, and is longer by less than what windows are moved by.
    assert found[-1] <= max(length - size, 0) < found[-1] + min(16, step)
    assert all(0 < after - before <= step for before, after in pairwise(found))


@given(lengths, sizes, overlaps)
def test_the_shares_of_all_windows_add_up_to_one_at_every_pixel(length, size, overlap):
    found = shares(length, size, overlap=overlap)
    total = np.zeros(length)
    for begin, share in zip(starts(length, size, overlap=overlap), found, strict=True):
        total[begin : begin + len(share)] += share
        assert (share > 0).all()
    assert begin + len(share) == length
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_three_windows_of_eight_pixels_lie_evenly_on_sixteen():
    assert starts(16, 8, overlap=0.25) == [0, 4, 8]
    assert starts(16, 8, overlap=0.0) == [0, 8]
    assert starts(7, 8, overlap=0.25) == [0]


@given(lengths, st.integers(22, 64), st.floats(0, 0.25))
def test_windows_begin_where_a_network_that_halves_maps_keeps_its_grid(length, size, overlap):
    assert all(begin % 16 == 0 for begin in starts(length, size, overlap=overlap))


@pytest.mark.parametrize("shape", [(125, 119), (77, 128), (65, 40)])
def test_a_network_that_pools_answers_for_windows_as_for_the_whole_picture(shape):
    """Pooling by 16 looks at no surroundings; where its blocks begin is all that matters."""

    def pooled(batch):
        height, width = batch.shape[1:3]
        rows, columns = np.arange(0, height, 16), np.arange(0, width, 16)
        found = np.maximum.reduceat(np.maximum.reduceat(batch, rows, axis=1), columns, axis=2)
        found = found.repeat(16, axis=1).repeat(16, axis=2)[:, :height, :width]
        return by_pixel(found)

    picture = np.random.default_rng(3).integers(0, 256, (*shape, 1)).astype(np.uint8)
    found = predict_picture(pooled, picture, card=card((64, 64)))
    np.testing.assert_allclose(found, pooled(picture[None].astype(np.float32))[0], atol=1e-5)


def test_where_two_windows_meet_one_fades_into_the_other():
    found = shares(6, 4, overlap=0.5)
    np.testing.assert_allclose(found[0], [1, 1, 2 / 3, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(found[1], [1 / 3, 2 / 3, 1, 1], rtol=1e-6)


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 32), st.integers(1, 32), overlaps)
def test_what_needs_no_surroundings_comes_out_as_without_windows(h, w, high, wide, overlap):
    picture = np.random.default_rng(h * w).integers(0, 256, (h, w, 1)).astype(np.uint8)
    found = predict_picture(by_pixel, picture, card=card((high, wide), overlap), batch_size=3)
    np.testing.assert_allclose(found, by_pixel(picture.astype(np.float32)), atol=1e-5)


def test_a_picture_that_is_no_larger_than_a_window_is_passed_whole():
    seen = []

    def call(batch):
        seen.append(batch.shape)
        return by_pixel(batch)

    picture = np.arange(15 * 7, dtype=np.uint8).reshape(15, 7, 1)
    found = predict_picture(call, picture, card=card())
    assert seen == [(1, 15, 7, 1)]
    np.testing.assert_array_equal(found, by_pixel(picture[None].astype(np.float32))[0])


def test_strips_hold_no_more_than_a_window_of_a_long_picture():
    picture = np.zeros((200, 20, 1), np.uint8)
    tiling = Tiling(window=(16, 16), overlap=0.25, fit="tile")
    found = [len(strip) for strip in strips(by_pixel, picture, tiling=tiling)]
    assert sum(found) == 200
    assert max(found) <= 16


def test_neither_batch_size_nor_place_of_the_windows_changes_an_answer():
    picture = np.random.default_rng(1).integers(0, 256, (50, 61, 3)).astype(np.uint8)
    found = [
        predict_picture(by_pixel, picture, card=card(), batch_size=size) for size in (1, 2, 100)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_padded_picture_lies_in_the_middle_of_its_window():
    tiling = Tiling(window=(20, 40), overlap=0, fit="pad")
    assert content(10, 10, tiling=tiling) == (0, 10, 20, 20)
    assert content(10, 40, tiling=tiling) == (5, 0, 10, 40)
    assert content(1, 1000, tiling=tiling) == (9, 0, 1, 40)


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("shape", [(16, 24), (32, 48), (7, 11), (60, 41)])
def test_a_scaled_picture_is_answered_at_its_own_size(resize, shape):
    ramp = np.linspace(20, 220, shape[1], dtype=np.float32)
    picture = np.broadcast_to(ramp, shape)[..., None].astype(np.uint8)
    found = predict_picture(by_pixel, picture, card=card((16, 24), resize=resize))
    assert found.shape == (*shape, 2)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    inner = found[:, 2:-2, 1] * 255
    # Half a pixel of the window is how exactly a scaled answer can be placed.
    np.testing.assert_allclose(inner, picture[:, 2:-2, 0], atol=1 + 100 / min(11, shape[1]))


def test_a_picture_of_the_windows_size_is_not_scaled_at_all():
    picture = np.random.default_rng(2).integers(0, 256, (16, 24, 1)).astype(np.uint8)
    found = predict_picture(by_pixel, picture, card=card((16, 24), resize="stretch"))
    np.testing.assert_array_equal(found, by_pixel(picture.astype(np.float32)))
