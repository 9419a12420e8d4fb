"""Maps laid over pictures: at the right place, in the picture's own size."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dnncli.data.decode import fit_to
from dnncli.report.overlays import (
    Box,
    at_picture,
    gates_plot,
    grey,
    overlay,
    placement,
    resized,
    to_unit,
    write_picture,
)

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(deadline=None, max_examples=60)
@given(picture=sizes, wanted=sizes, resize=st.sampled_from(["stretch", "crop", "pad"]))
def test_a_picture_is_brought_back_to_where_it_was(picture, wanted, resize):
    """Rows and columns as values: a map of places that `fit_to` moves as it moves pixels."""
    place = placement(picture, wanted, resize=resize)
    for axis in (0, 1):
        ramp = (np.indices(picture)[axis] + 100.0).astype(np.float32)
        fitted = fit_to(tf.constant(ramp[..., None]), height_width=wanted, how=resize).numpy()[
            ..., 0
        ]
        inside = place.inside.cut(fitted)
        assert inside.min() > 0  # padding is 0
        assert (fitted > 0).sum() == inside.size
        # Linear values survive bilinear resizing but for half a cell at the border.
        back = at_picture(fitted, place)
        shown = place.shown.cut(back)
        cell = max(1.0, place.shown.cut(ramp).shape[axis] / inside.shape[axis])
        assert np.abs(shown - place.shown.cut(ramp)).max() <= cell
        assert np.isnan(back).sum() == back.size - shown.size


def test_a_crop_sees_the_middle():
    place = placement((10, 30), (5, 5), resize="crop")
    assert place.shown == Box(0, 10, 10, 10)
    assert np.isnan(at_picture(np.ones((2, 2)), place)[:, :10]).all()


def test_padding_lies_around_the_picture():
    assert placement((10, 30), (30, 30), resize="pad").inside == Box(10, 0, 10, 30)


def test_a_map_grows_bilinearly_with_its_border_continued():
    grown = resized(np.array([[0.0, 1.0]]), (1, 4))
    np.testing.assert_allclose(grown, [[0, 0.25, 0.75, 1]], atol=1e-6)


def test_the_largest_value_becomes_1():
    np.testing.assert_allclose(to_unit(np.array([1.0, 4.0])), [0.25, 1])
    np.testing.assert_allclose(to_unit(np.array([1.0, 4.0]), lowest=None), [0, 1])


def test_a_map_without_evidence_has_no_colour():
    assert to_unit(np.zeros(3)).tolist() == [0, 0, 0]
    assert to_unit(np.full(2, 0.4), lowest=None).tolist() == [0, 0]
    unseen = to_unit(np.array([np.nan, 2.0]))
    assert np.isnan(unseen[0]) and unseen[1] == 1


def test_only_what_the_map_marks_is_coloured():
    picture = np.full((2, 2, 3), 90, np.uint8)
    heat = np.array([[0, np.nan], [0.5, 1]])
    shown = overlay(picture, heat)
    assert shown.shape == (2, 2, 3)
    assert shown[0].tolist() == [[90] * 3] * 2
    spread = np.ptp(shown.astype(int), axis=2)
    assert spread[1].min() > 0


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1), (3, 5, 2), (3, 5, 3), (3, 5, 4)])
def test_pictures_of_any_channels_turn_grey(shape):
    assert grey(np.full(shape, 7, np.uint8)).tolist() == np.full((3, 5), 7).tolist()


def test_colours_turn_grey_by_their_brightness():
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert grey(rgb).tolist() == [[76, 150, 29]]


def test_pictures_of_floats_are_shown_in_full_range():
    assert grey(np.array([[0.0, 1.0]], np.float32)).tolist() == [[0, 255]]


def test_a_picture_is_written_as_it_is(tmp_path):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    write_picture(tmp_path / "a" / "b.png", pixels)
    assert np.asarray(Image.open(tmp_path / "a" / "b.png")).tolist() == pixels.tolist()


@pytest.mark.parametrize("rows", [1, 3])
def test_gates_are_drawn_for_one_picture_and_for_several(tmp_path, rows):
    rng = np.random.default_rng(0)
    gates = {f"block{n}_gate": rng.uniform(size=(rows, 8 * n)).squeeze() for n in range(1, 6)}
    gates_plot(tmp_path / "gates.png", gates, title="Gates for a $1$ picture")
    with Image.open(tmp_path / "gates.png") as image:
        assert image.width > 1000
        assert "block5_gate: 40 channels" in image.info["Description"]
