"""The old ImageDataGenerator words mean what the old generator did."""

import math

import numpy as np
import pytest
from keras.src.legacy.preprocessing import image as legacy

from dnncli.augmentation import words
from dnncli.augmentation.apply import recorded
from dnncli.augmentation.policies import Policy

N, SIDE = 64, 32


def smooth(channels=3):
    """(N, SIDE, SIDE, C) pictures without edges: interpolation at the border hardly matters."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    phase = np.random.default_rng(0).uniform(0, 6, (N, 1, 1, channels))
    waves = np.sin(4 * x[None, ..., None] + phase) + np.cos(3 * y[None, ..., None] - phase)
    return (127 + 50 * waves).astype(np.float32)


def changed(settings, images, seed=(1, 2)):
    """Pictures after the words, and what was drawn."""
    assert words.problems(settings) == []
    policy = Policy(name="old", steps=words.steps(settings))
    run = recorded(policy, height_width=(SIDE, SIDE), channels=3, value_range=(0, 255))
    out, _, drawn = run(images, np.eye(N, dtype=np.float32), np.array(seed, np.int32))
    return out.numpy(), {name: values.numpy() for name, values in drawn.items()}


def old(images, **arrays):
    """Keras' legacy transformation of each picture with its own numbers.

    Its tx, zx are those of the width. The generator handed it the height's instead, against its
    documentation; the words here mean what was documented.
    """
    return np.stack(
        [
            legacy.apply_affine_transform(
                image,
                row_axis=0,
                col_axis=1,
                channel_axis=2,
                fill_mode="nearest",
                order=1,
                **{name: float(values[index]) for name, values in arrays.items()},
            )
            for index, image in enumerate(images)
        ]
    )


def inner(images):
    return images[:, 3:-3, 3:-3]


def fills(values, low, high):
    """Whether the values lie in [low, high] and come near both ends."""
    slack = 0.1 * (high - low)
    return low <= values.min() < low + slack and high - slack < values.max() <= high


def test_rotation_range_is_in_degrees():
    images = smooth()
    out, drawn = changed({"rotation_range": 30}, images)
    assert fills(drawn["rotation.angle"], -30, 30)
    assert np.abs(inner(out) - inner(old(images, theta=drawn["rotation.angle"]))).max() < 0.6


@pytest.mark.parametrize(
    ("given", "step", "limit"),
    [(0.2, "translation", 0.2 * SIDE), (3.5, "shift", 3.5), (4, "crop", 3)],
)
@pytest.mark.parametrize(("word", "key"), [("width", "right"), ("height", "down")])
def test_a_shift_range_below_1_is_a_share_and_from_1_pixels(given, step, limit, word, key):
    images = smooth()
    out, drawn = changed({f"{word}_shift_range": given}, images)
    values = drawn[f"{step}.{key}"]
    assert fills(values, -limit, limit)
    if isinstance(given, int):
        assert set(values.tolist()) == set(range(-given + 1, given))
    axis = {"width": "tx", "height": "ty"}[word]
    assert np.abs(inner(out) - inner(old(images, **{axis: -values}))).max() < 0.6


def test_zoom_range_is_drawn_for_height_and_width_apart():
    images = smooth()
    out, drawn = changed({"zoom_range": [0.8, 1.3]}, images)
    height, width = drawn["zoom.height"], drawn["zoom.width"]
    assert fills(height, 0.8, 1.3)
    assert fills(width, 0.8, 1.3)
    assert abs(np.corrcoef(height, width)[0, 1]) < 0.5
    assert np.abs(inner(out) - inner(old(images, zx=width, zy=height))).max() < 6
    single, _ = changed({"zoom_range": 0.3}, images)
    pair, _ = changed({"zoom_range": [0.7, 1.3]}, images)
    assert np.array_equal(single, pair)


def test_shear_range_is_an_angle_in_degrees():
    images = smooth()
    out, drawn = changed({"shear_range": 10}, images)
    assert fills(np.degrees(np.arcsin(drawn["shear.x"])), -10, 10)
    assert not drawn["shear.y"].any()
    # The generator also squeezed the height by cos(angle), 1.5 % here: a quarter of a pixel.
    expected = old(images, shear=-np.degrees(np.arcsin(drawn["shear.x"])))
    assert np.abs(inner(out) - inner(expected)).max() < 6


def test_brightness_range_multiplies():
    images = smooth()
    out, drawn = changed({"brightness_range": [0.5, 1.5]}, images)
    factors = drawn["gain.factor"]
    assert fills(factors, 0.5, 1.5)
    expected = [
        legacy.apply_brightness_shift(image, float(factor), scale=False)
        for image, factor in zip(images, factors, strict=True)
    ]
    assert np.abs(out - np.stack(expected)).max() < 3  # the generator rounded to 8 bit on its way


def test_channel_shift_range_adds_pixel_values():
    images = np.full((N, SIDE, SIDE, 3), 100, np.float32)
    out, drawn = changed({"channel_shift_range": 20.0}, images)
    assert fills(drawn["brightness.added"], -20, 20)
    assert np.allclose(out, images + drawn["brightness.added"][:, None, None, None], atol=1e-4)


@pytest.mark.parametrize("horizontal", [True, False])
@pytest.mark.parametrize("vertical", [True, False])
def test_flips_are_thrown_apart(horizontal, vertical):
    images = smooth()
    out, drawn = changed({"horizontal_flip": horizontal, "vertical_flip": vertical}, images)
    seen = set(zip(*(drawn.get(f"flip.{key}", [False] * N) for key in ("horizontal", "vertical"))))
    assert len(seen) == (1 + horizontal) * (1 + vertical)
    expected = images.copy()
    for index in range(N):
        if drawn.get("flip.horizontal", [False] * N)[index]:
            expected[index] = expected[index][:, ::-1]
        if drawn.get("flip.vertical", [False] * N)[index]:
            expected[index] = expected[index][::-1]
    assert np.array_equal(out, expected)


def test_the_fill_of_the_generator_is_kept():
    (rotation,) = words.steps({"rotation_range": 5, "fill_mode": "constant", "cval": 9})
    assert (rotation.options["fill_mode"], rotation.options["fill_value"]) == ("constant", 9)
    (rotation,) = words.steps({"rotation_range": 5})
    assert rotation.options["fill_mode"] == "nearest"
    (rotation,) = words.steps({"rotation_range": 5, "interpolation_order": 0})
    assert rotation.options["interpolation"] == "nearest"


def test_words_at_their_defaults_do_nothing():
    assert words.problems(words.WORDS) == []
    assert words.steps(words.WORDS) == ()


def test_the_order_is_that_of_the_generator():
    settings = {
        "brightness_range": [0.9, 1.1],
        "horizontal_flip": True,
        "zoom_range": 0.1,
        "shear_range": 5,
        "width_shift_range": 0.1,
        "rotation_range": 5,
        "channel_shift_range": 5,
    }
    names = [entry.name for entry in words.steps(settings)]
    assert names == ["rotation", "translation", "shear", "zoom", "brightness", "flip", "gain"]


def test_one_warp_in_the_order_of_the_generator():
    images = smooth()
    settings = {"rotation_range": 20, "width_shift_range": 0.1, "zoom_range": 0.2}
    out, drawn = changed(settings, images)
    expected = old(
        images,
        theta=drawn["rotation.angle"],
        tx=-drawn["translation.right"],
        zx=drawn["zoom.width"],
        zy=drawn["zoom.height"],
    )
    assert np.abs(inner(out) - inner(expected)).max() < 8
    assert math.isclose(np.abs(inner(out) - inner(expected)).mean(), 0, abs_tol=0.3)
