"""Policies do to 8-bit pictures what they do to the same pictures as floats."""

import numpy as np
import pytest

from dnncli import registry
from dnncli.augmentation.apply import recorded, recorded_joint
from dnncli.augmentation.policies import Policy, load_policy
from dnncli.augmentation.steps import step
from dnncli.augmentation.tones import toned

SIZE, BYTES = (46, 51), (0.0, 255.0)
TONES = {"brightness": 0.3, "gain": (0.5, 1.7), "contrast": 0.6}


def pictures(count=16, channels=3):
    """Smooth ones, from black to white."""
    rng = np.random.default_rng(0)
    y, x = np.indices(SIZE)[:, None, :, :, None] / 8
    phase = rng.uniform(0, 6, (2, count, 1, 1, channels))
    waves = np.sin(x + phase[0]) * np.cos(y + phase[1])
    return np.rint(127.5 + 127.5 * waves).astype(np.uint8)


def both_ways(policy, images, value_range=BYTES):
    labels = np.eye(2, dtype=np.float32)[np.arange(len(images)) % 2]
    run = recorded(policy, height_width=SIZE, channels=images.shape[3], value_range=value_range)
    seed = np.array([4, 5], np.int32)
    return run(images, labels, seed), run(images.astype(np.float32), labels, seed)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", registry.POLICIES)
def test_a_policy_draws_the_same_and_gives_the_same_but_for_rounding(name, channels):
    eight, floats = both_ways(load_policy(name), pictures(channels=channels))
    assert eight[0].dtype == floats[0].dtype == np.float32
    # Half a grey level of the warp, which contrast makes up to 1.3 times as large.
    assert np.abs(eight[0] - floats[0]).max() < 0.7
    assert np.allclose(eight[1], floats[1])
    assert list(eight[2]) == list(floats[2])
    for key, drawn in eight[2].items():
        assert np.array_equal(drawn, floats[2][key]), key


@pytest.mark.parametrize(
    "names", [["brightness"], ["gain"], ["contrast"], [*TONES], [*TONES][::-1]]
)
@pytest.mark.parametrize("value_range", [BYTES, (20.0, 230.0)])
def test_a_table_gives_what_the_steps_give_one_by_one(names, value_range):
    policy = Policy(name="test", steps=tuple(step(name, factor=TONES[name]) for name in names))
    images = pictures()
    (eight, _, drawn), (floats, _, expected) = both_ways(policy, images, value_range)
    assert np.abs(eight - floats).max() < 1e-3  # sums in another order
    assert {key: v.numpy().tolist() for key, v in drawn.items()} == {
        key: v.numpy().tolist() for key, v in expected.items()
    }


def test_contrast_by_hand():
    # The mean of 0, 100, 200, 100 is 100; half the distance to it is left.
    images = np.array([0, 100, 200, 100], np.uint8).reshape(1, 2, 2, 1)
    out = toned(images, ("contrast",), np.array([[0.5]]), value_range=BYTES)
    assert out.ravel().tolist() == [50, 100, 150, 100]


def test_the_mean_is_that_after_the_steps_before():
    # 0 and 200 + 100 become 100 and 255 (cut off): mean 177.5; doubled distances: 22.5, 332.5.
    images = np.array([0, 200], np.uint8).reshape(1, 1, 2, 1)
    out = toned(images, ("brightness", "contrast"), np.array([[100.0], [2.0]]), value_range=BYTES)
    assert out.ravel().tolist() == [22.5, 255]


@pytest.mark.parametrize("name", ["light", "standard"])
def test_masks_follow_eight_bit_pictures_as_they_follow_floats(name):
    images = pictures(channels=1)
    masks = (images[..., 0] > 127).astype(np.uint8)
    run = recorded_joint(load_policy(name), height_width=SIZE, channels=1, value_range=BYTES)
    seed = np.array([4, 5], np.int32)
    eight, floats = run(images, masks, seed), run(images.astype(np.float32), masks, seed)
    assert np.abs(eight[0] - floats[0]).max() < 0.7
    assert np.array_equal(eight[1], floats[1])
