"""Masks follow their pictures under every policy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.augmentation.apply import build, build_joint, recorded_joint
from dnncli.augmentation.policies import Policy, load_policy
from dnncli.augmentation.steps import FILL_MODES, KERAS, NO_MASKS, STEPS, step
from dnncli.augmentation.warp import is_geometric
from dnncli.data.dataset import NO_CLASS
from dnncli.errors import ConfigError

SIZE = (19, 26)
BYTES = (0.0, 255.0)
OPTIONS = {
    "flip": {"mode": "both"},
    "rotation": {"factor": 0.5},
    "translation": {"height_factor": 0.3, "width_factor": 0.3},
    "shift": {"height_pixels": 4.5, "width_pixels": 2.5},
    "crop": {"padding": 4},
    "zoom": {"height_factor": 0.4, "width_factor": 0.3},
    "shear": {"x_factor": 0.3, "y_factor": 0.2},
    "brightness": {"factor": 0.3},
    "gain": {"factor": (0.5, 1.5)},
    "contrast": {"factor": 0.5},
    "erasing": {"factor": 1.0},
} | {name: {"factor": 0.5} for name in KERAS}
OPTIONS["RandomPosterization"] = {"factor": 4}
OPTIONS["RandomColorJitter"] = {"brightness_factor": 0.3, "hue_factor": 0.2}
FITTING = [name for name in (*STEPS, *KERAS) if name not in NO_MASKS]
MOVING = [name for name in FITTING if is_geometric(step(name, **OPTIONS[name]))]
STANDING = [name for name in FITTING if name not in MOVING]


def only(name, **options):
    return Policy(name="test", steps=(step(name, **OPTIONS[name] | options),))


def joint(policy, images, masks, seed=(1, 2)):
    run = build_joint(
        policy, height_width=images.shape[1:3], channels=images.shape[3], value_range=BYTES
    )
    return tuple(part.numpy() for part in run(images, masks, np.array(seed, np.int32)))


def blots(*, count=6, channels=1, seed=0):
    """Black pictures with white rectangles, and masks that are 1 where they are white."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, *SIZE), np.uint8)
    for mask in masks:
        for _ in range(3):
            top, left = rng.integers(0, SIZE[0] - 3), rng.integers(0, SIZE[1] - 3)
            mask[top : top + rng.integers(2, 9), left : left + rng.integers(2, 9)] = 1
    return np.repeat(masks[..., None] * np.float32(255), channels, axis=3), masks


@settings(max_examples=8, deadline=None)
@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("name", [name for name in MOVING if name != "flip"])
@given(seed=st.integers(0, 2**31 - 1))
def test_a_mask_that_is_the_threshold_of_its_picture_stays_so(name, fill_mode, seed):
    nearest = {} if name == "crop" else {"interpolation": "nearest"}
    policy = only(name, fill_mode=fill_mode, **nearest)
    images, masks = blots(count=2, seed=seed)
    moved, followed = joint(policy, images, masks, seed=(seed, 0))
    inside = followed != NO_CLASS
    assert fill_mode == "constant" or inside.all()
    assert np.array_equal(moved[..., 0][inside] >= 127.5, followed[inside] == 1)


@pytest.mark.parametrize("mode", ["horizontal", "vertical", "both"])
def test_flipped_pictures_and_masks_are_the_same_pixels(mode):
    images, masks = blots(count=40)
    moved, followed = joint(only("flip", mode=mode), images, masks)
    assert np.array_equal(moved[..., 0] == 255, followed == 1)
    assert not np.array_equal(followed, masks)


@settings(max_examples=8, deadline=None)
@pytest.mark.parametrize("policy", ["light", "standard"])
@given(seed=st.integers(0, 2**31 - 1))
def test_under_named_policies_a_mask_differs_from_its_picture_at_most_at_its_outline(policy, seed):
    steps = tuple(entry for entry in load_policy(policy).steps if is_geometric(entry))
    images, masks = blots(count=2, seed=seed)
    moved, followed = joint(Policy(name="test", steps=steps), images, masks, seed=(seed, 0))
    # Bilinear: a pixel that is all black or all white was read between such pixels only.
    clear = (moved[..., 0] < 1) | (moved[..., 0] > 254)
    assert np.array_equal(moved[..., 0][clear] > 254, followed[clear] == 1)
    assert clear.mean() > 0.4


@pytest.mark.parametrize("policy", ["light", "standard", *MOVING])
def test_masks_do_not_drift_from_their_pictures(policy):
    chosen = only(policy) if policy in OPTIONS else load_policy(policy)
    chosen = Policy(name="test", steps=tuple(s for s in chosen.steps if is_geometric(s)))
    images, masks = blots(count=200)
    moved, followed = joint(chosen, images, masks)
    grid = np.indices(SIZE)
    gaps = []
    for light, mask in zip(moved[..., 0] / 255, followed, strict=True):
        if light.sum() > 5 and mask.sum() > 5:
            gaps.append(
                [(g * light).sum() / light.sum() - (g * mask).sum() / mask.sum() for g in grid]
            )
    assert len(gaps) > 100
    assert np.abs(np.mean(gaps, axis=0)).max() < 0.05  # pixels; an offset by a half would show
    assert moved.mean() / 255 == pytest.approx(followed.mean(), rel=0.02)


@pytest.mark.parametrize("name", STANDING)
def test_steps_that_change_values_only_leave_masks_alone(name):
    images, masks = blots(channels=3)
    images = images * 0.5 + np.random.default_rng(0).uniform(0, 100, images.shape)
    changed, same = joint(only(name), images.astype(np.float32), masks)
    assert np.array_equal(same, masks)
    assert not np.array_equal(changed, images)


@pytest.mark.parametrize("policy", ["none", "light", "standard"])
def test_pictures_become_what_they_become_without_masks(policy):
    chosen = load_policy(policy)
    images, masks = blots()
    seed = np.array([3, 4], np.int32)
    alone = build(chosen, height_width=SIZE, channels=1, value_range=BYTES)
    labels = np.zeros((len(images), 2), np.float32)
    assert np.array_equal(joint(chosen, images, masks, seed)[0], alone(images, labels, seed)[0])


def test_what_a_constant_fills_is_of_no_class():
    steps = (step("shift", height_pixels=6.0, fill_mode="constant", fill_value=255.0),)
    run = recorded_joint(
        Policy(name="test", steps=steps), height_width=SIZE, channels=1, value_range=BYTES
    )
    images, masks = blots()
    _, followed, drawn = run(images, masks, np.array([5, 6], np.int32))
    for mask, down in zip(followed.numpy(), drawn["shift.down"].numpy(), strict=True):
        rows = np.arange(SIZE[0]) - down  # where they were read
        outside = (np.round(rows) < 0) | (np.round(rows) > SIZE[0] - 1)
        assert np.array_equal((mask == NO_CLASS).all(axis=1), outside)
        assert not (mask[~outside] == NO_CLASS).any()


def test_void_pixels_and_many_classes_are_moved_as_they_are():
    rng = np.random.default_rng(0)
    masks = rng.choice(np.array([0, 1, 17, 254, NO_CLASS], np.uint8), (4, *SIZE))
    images = masks[..., None].astype(np.float32)
    moved, followed = joint(only("rotation", interpolation="nearest"), images, masks)
    assert np.array_equal(moved[..., 0], followed)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_masks_keep_shape_and_type(dtype):
    images, masks = blots()
    _, followed = joint(load_policy("standard"), images, masks.astype(dtype))
    assert (followed.shape, followed.dtype) == (masks.shape, dtype)


def test_pictures_of_a_batch_move_apart_and_the_seed_alone_decides():
    images, masks = (np.repeat(part[:1], 6, axis=0) for part in blots())
    one, again = (joint(load_policy("standard"), images, masks) for _ in range(2))
    assert np.array_equal(one[1], again[1])
    assert len({mask.tobytes() for mask in one[1]}) > 3
    assert not np.array_equal(one[1], joint(load_policy("standard"), images, masks, (1, 3))[1])


@pytest.mark.parametrize("name", NO_MASKS)
def test_steps_that_masks_cannot_follow_are_refused_by_name(name):
    policy = Policy(name="mine", steps=(step(name),))
    with pytest.raises(ConfigError, match=f"policy 'mine': {name} cannot be used with masks"):
        build_joint(policy, height_width=SIZE, channels=3, value_range=BYTES)


def test_the_strong_policy_says_which_of_its_steps_do_not_fit():
    with pytest.raises(ConfigError, match=r"'strong': mixup and cutmix .* Use light or standard"):
        build_joint(load_policy("strong"), height_width=SIZE, channels=3, value_range=BYTES)
