"""Views of a picture: which there are, and what they show."""

import numpy as np
import pytest

from dnncli.augmentation.policies import LIGHT, NONE, STANDARD, Policy
from dnncli.augmentation.steps import step
from dnncli.augmentation.views import PLAIN, View, apply, flips_of, views
from dnncli.errors import ConfigError


def seen(view, picture):
    """A (H, W) picture as the view shows it."""
    import tensorflow as tf

    return apply(view, tf.constant(picture, tf.float32)[None, ..., None]).numpy()[0, ..., 0]


def test_a_class_survives_only_the_flips_it_was_trained_with():
    assert flips_of(NONE) == flips_of(LIGHT) == ()
    assert flips_of(STANDARD) == ("horizontal",)
    both = Policy(name="both", steps=(step("flip", mode="both"),))
    assert flips_of(both) == ("horizontal", "vertical")


@pytest.mark.parametrize("flips", [(), ("horizontal",), ("horizontal", "vertical")])
def test_views_are_all_different_and_begin_with_the_picture(flips):
    most = 9 * (1 + len(flips))
    found = views(most, flips=flips)
    assert found[0] == PLAIN
    assert len({view.name for view in found}) == most
    assert len({(view.flip, view.down, view.right) for view in found}) == most
    assert [views(count, flips=flips) for count in (0, 1)] == [(PLAIN,), (PLAIN,)]
    assert views(most - 1, flips=flips) == found[:-1]
    with pytest.raises(ConfigError, match=f"--tta {most + 1}: there are {most} views at most"):
        views(most + 1, flips=flips)


@pytest.mark.parametrize("count", [3, 5, 7, 9])
def test_shifts_cancel_out(count):
    found = views(count)
    assert sum(view.down for view in found) == sum(view.right for view in found) == 0


def test_a_view_shows_the_flipped_and_moved_picture_with_mirrored_edges():
    picture = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert np.array_equal(seen(PLAIN, picture), picture)
    assert seen(View("flip", "horizontal"), picture).tolist() == [[3, 2, 1], [6, 5, 4], [9, 8, 7]]
    assert seen(View("flip-vertical", "vertical"), picture).tolist() == picture[::-1]
    assert seen(View("left", right=-1), picture).tolist() == [[2, 3, 3], [5, 6, 6], [8, 9, 9]]
    assert seen(View("down", down=1), picture).tolist() == [[1, 2, 3], [1, 2, 3], [4, 5, 6]]
    moved = seen(View("flip-up-right", "horizontal", down=-1, right=1), picture)
    assert moved.tolist() == [[6, 6, 5], [9, 9, 8], [9, 9, 8]]


def test_large_pictures_move_by_a_share_of_their_side():
    picture = np.arange(50.0)[None].repeat(25, axis=0)  # 4 % are 2 columns and 1 row
    assert seen(View("left", right=-1), picture)[0, :4].tolist() == [2, 3, 4, 5]
    assert seen(View("up", down=-1), picture.T)[:3, 0].tolist() == [2, 3, 4]


def test_a_picture_of_one_pixel_can_be_moved():
    assert seen(View("up-left", down=-1, right=-1), [[7]]).tolist() == [[7]]
