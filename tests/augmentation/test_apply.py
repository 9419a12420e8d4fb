"""What every policy and every step does to a batch."""

import numpy as np
import pytest

from dnncli import registry
from dnncli.augmentation.apply import build, recorded
from dnncli.augmentation.policies import Policy, load_policy
from dnncli.augmentation.steps import COLOUR, KERAS, MIXING, STEPS, step
from dnncli.errors import ConfigError

# Options under which each step visibly changes pictures.
OPTIONS = {
    "flip": {"mode": "both"},
    "rotation": {"factor": 0.1},
    "translation": {"height_factor": 0.2, "width_factor": 0.2},
    "shift": {"height_pixels": 2.5, "width_pixels": 1.5},
    "crop": {"padding": 3},
    "zoom": {"height_factor": 0.3},
    "shear": {"x_factor": 0.3, "y_factor": 0.2},
    "brightness": {"factor": 0.3},
    "gain": {"factor": (0.5, 1.5)},
    "contrast": {"factor": 0.5},
    "erasing": {"factor": 1.0},
    "mixup": {"alpha": 1.0},
    "cutmix": {"factor": 1.0},
} | {name: {"factor": 0.5} for name in KERAS}
OPTIONS["RandomPosterization"] = {"factor": 4}
OPTIONS["RandomColorJitter"] = {"brightness_factor": 0.3, "hue_factor": 0.2}

# Options under which a step does nothing.
STILL = {
    "rotation": {"factor": 0},
    "translation": {},
    "shift": {},
    "crop": {"padding": 0},
    "zoom": {"height_factor": 0.0},
    "shear": {},
    "brightness": {"factor": 0},
    "gain": {"factor": 1},
    "contrast": {"factor": 0},
    "erasing": {"factor": 0},
    "mixup": {"alpha": 0},
    "cutmix": {"factor": 0},
}

POLICIES = {name: load_policy(name) for name in registry.POLICIES}
SINGLE = {
    name: Policy(name=name, steps=(step(name, **OPTIONS[name]),)) for name in (*STEPS, *KERAS)
}
EVERY = {**POLICIES, **SINGLE}

BYTES, N, K = (0.0, 255.0), 12, 3


def batch(channels=3, *, count=N, value_range=BYTES, seed=0):
    low, high = value_range
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 14, 18, channels)) / 255 * (high - low) + low
    labels = np.eye(K)[rng.integers(0, K, count)]
    return images.astype(np.float32), labels.astype(np.float32)


def built(policy, *, channels=3, value_range=BYTES):
    return build(policy, height_width=(14, 18), channels=channels, value_range=value_range)


def run(policy, images, labels, seed=(1, 2), **options):
    channels = images.shape[3]
    augment = built(policy, channels=channels, **options)
    return tuple(part.numpy() for part in augment(images, labels, np.array(seed, np.int32)))


def only(name, **options):
    return Policy(name="test", steps=(step(name, **options),))


def draws_of(policy, images, seed=(1, 2)):
    labels = np.eye(K, dtype=np.float32)[np.zeros(len(images), int)]
    augment = recorded(
        policy, height_width=images.shape[1:3], channels=images.shape[3], value_range=BYTES
    )
    out, _, drawn = augment(images, labels, np.array(seed, np.int32))
    return out.numpy(), {name: values.numpy() for name, values in drawn.items()}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("value_range", [BYTES, (0.0, 1.0)])
def test_shape_type_and_range_are_kept(name, value_range):
    images, labels = batch(value_range=value_range)
    out, mixed = run(EVERY[name], images, labels, value_range=value_range)
    assert (out.shape, out.dtype) == (images.shape, np.float32)
    assert (mixed.shape, mixed.dtype) == (labels.shape, np.float32)
    assert np.isfinite(out).all()
    slack = 1e-6 * (value_range[1] - value_range[0])  # a weighted mean may round past its ends
    assert out.min() >= value_range[0] - slack
    assert out.max() <= value_range[1] + slack


@pytest.mark.parametrize("name", [name for name in EVERY if name != "none"])
def test_the_seed_alone_decides(name):
    images, labels = batch()
    first, again = built(EVERY[name]), built(EVERY[name])
    one = [first(images, labels, np.array([1, 2], np.int32))[0].numpy() for _ in range(2)]
    assert np.array_equal(*one)
    assert np.array_equal(one[0], again(images, labels, np.array([1, 2], np.int32))[0].numpy())
    for other in ([1, 3], [0, 2]):
        seed = np.array(other, np.int32)
        assert not np.array_equal(one[0], first(images, labels, seed)[0].numpy())
    assert not np.array_equal(one[0], images)


@pytest.mark.parametrize("name", EVERY)
def test_labels_change_by_mixing_only_and_always_sum_to_1(name):
    images, labels = batch()
    _, mixed = run(EVERY[name], images, labels)
    assert np.allclose(mixed.sum(axis=1), 1, atol=1e-6)
    assert mixed.min() >= 0
    assert np.array_equal(mixed, labels) == (not EVERY[name].mixing)


@pytest.mark.parametrize("name", EVERY)
def test_a_parallel_map_gives_what_a_plain_call_gives(name):
    import tensorflow as tf

    images, labels = batch(count=24)
    augment = built(EVERY[name])
    seeds = [np.array([7, index], np.int64) for index in range(6)]
    batches = tf.data.Dataset.from_tensor_slices((images, labels, np.arange(24))).batch(4)

    def load(x, y, rows):
        return augment(x, y, tf.stack([tf.constant(7, tf.int64), rows[0] // 4]))

    one_by_one = batches.map(load, num_parallel_calls=1).as_numpy_iterator()
    at_once = batches.map(load, num_parallel_calls=4).as_numpy_iterator()
    for index, (one, other) in enumerate(zip(one_by_one, at_once, strict=True)):
        assert all(map(np.array_equal, one, other))
        rows = slice(4 * index, 4 * index + 4)
        expected = augment(images[rows], labels[rows], seeds[index])
        # A graph may fuse operations and round differently, which can tip a coordinate over.
        assert np.abs(one[0] - expected[0]).mean() < 0.02
        assert np.allclose(one[1], expected[1], atol=1e-6)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in COLOUR])
def test_grey_pictures_are_welcome(name):
    images, labels = batch(channels=1)
    assert run(EVERY[name], images, labels)[0].shape == images.shape


@pytest.mark.parametrize("name", COLOUR)
def test_steps_about_colour_refuse_grey_pictures(name):
    with pytest.raises(ConfigError, match=rf"{name} needs colour pictures \(3 channels\)"):
        built(SINGLE[name], channels=1)


@pytest.mark.parametrize("name", STILL)
def test_a_step_of_no_strength_changes_nothing(name):
    images, labels = batch()
    out, mixed = run(only(name, **STILL[name]), images, labels)
    assert np.allclose(out, images, atol=1e-4)  # contrast takes the mean off and adds it again
    assert np.array_equal(mixed, labels)


@pytest.mark.parametrize("name", [name for name in STEPS if name not in MIXING])
def test_every_picture_gets_a_change_of_its_own(name):
    images = np.repeat(batch(count=1)[0], 64, axis=0)
    out = run(SINGLE[name], images, np.eye(K, dtype=np.float32)[np.zeros(64, int)])[0]
    assert len({picture.tobytes() for picture in out}) >= (4 if name == "flip" else 16)


def test_the_last_smaller_batch_and_a_single_picture_work():
    for count in (1, 5):
        images, labels = batch(count=count)
        assert run(POLICIES["strong"], images, labels)[0].shape == images.shape


def test_none_returns_the_batch_as_it_is():
    images, labels = batch()
    out, same = run(POLICIES["none"], images, labels)
    assert np.array_equal(out, images)
    assert np.array_equal(same, labels)


def test_a_sideways_flip_of_two_rows_of_three():
    images = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1).repeat(16, axis=0)
    out, drawn = draws_of(only("flip", mode="horizontal"), images)
    flipped = drawn["flip.horizontal"]
    assert 0 < flipped.sum() < 16
    for picture, turned in zip(out[..., 0].tolist(), flipped, strict=True):
        assert picture == ([[2, 1, 0], [5, 4, 3]] if turned else [[0, 1, 2], [3, 4, 5]])


def test_both_flips_throw_two_coins():
    # Keras' RandomFlip("horizontal_and_vertical") throws one: it turns by 180 degrees or not.
    images = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1).repeat(64, axis=0)
    out, _ = draws_of(only("flip", mode="both"), images)
    assert {tuple(picture.ravel()) for picture in out} == {
        (0, 1, 2, 3),
        (1, 0, 3, 2),
        (2, 3, 0, 1),
        (3, 2, 1, 0),
    }


@pytest.mark.parametrize(
    ("fill", "left"),
    [
        ({"fill_mode": "constant", "fill_value": 9}, 9),
        ({"fill_mode": "nearest"}, 0),
        ({"fill_mode": "reflect"}, 0),
        ({"fill_mode": "wrap"}, 2),
    ],
)
def test_a_move_by_one_pixel_and_what_comes_in(fill, left):
    images = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1).repeat(32, axis=0)
    out, drawn = draws_of(only("crop", padding=(0, 1), **fill), images)
    assert set(drawn["crop.right"].tolist()) == {-1, 0, 1}
    moved = out[drawn["crop.right"] == 1][0, :, :, 0]
    assert moved.tolist() == [[left, 0, 1], [left + 3 if left != 9 else 9, 3, 4]]


def test_a_translation_of_half_the_width():
    images = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)
    policy = only("translation", width_factor=(0.5, 0.5), fill_mode="constant")
    assert draws_of(policy, images)[0].ravel().tolist() == [0, 0, 0, 1]


def test_a_quarter_turn_is_exact():
    images = batch()[0][:, :14, :14]
    out, _ = draws_of(only("rotation", factor=(0.25, 0.25)), images)
    assert np.allclose(out, np.rot90(images, axes=(1, 2)), atol=0.01)


def test_a_shear_keeps_the_middle_where_it_is():
    # Keras' RandomShear shears about the corner, which would move the dot by about two pixels.
    images = np.zeros((16, 15, 15, 1), np.float32)
    images[:, 7, 7] = 255
    out, drawn = draws_of(only("shear", x_factor=(0.3, 0.3)), images)
    assert np.allclose(np.abs(drawn["shear.x"]), 0.3)
    assert np.allclose(out[:, 7, 7], 255, atol=0.01)


def test_geometric_steps_are_one_interpolation():
    # Turned by 45 degrees and back: two interpolations would blur the picture.
    images = batch()[0]
    there, back = step("rotation", factor=(0.125, 0.125)), step("rotation", factor=(-0.125, -0.125))
    out, drawn = draws_of(Policy(name="test", steps=(there, back)), images)
    assert np.allclose(out, images, atol=0.05)
    assert drawn["rotation.angle"][0] == pytest.approx(45)
    assert drawn["rotation2.angle"][0] == pytest.approx(-45)


def test_contrast_is_lowered_as_well_as_raised():
    # RandomContrast(0.5) alone draws from [1, 1.5].
    _, drawn = draws_of(only("contrast", factor=0.5), batch(count=200)[0])
    factors = drawn["contrast.factor"]
    assert 0.5 <= factors.min() < 0.6
    assert 1.4 < factors.max() <= 1.5


def test_erasing_happens_with_the_chance_that_was_given():
    # RandomErasing(0.3) alone would draw each chance from [0, 0.3]: 0.15 on average.
    _, drawn = draws_of(only("erasing", factor=0.3), batch(count=2000)[0])
    assert drawn["erasing.applied"].mean() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(("fill", "values"), [({}, 127.5), ({"fill_value": 7}, 7)])
def test_erasing_puts_one_value_in_a_box(fill, values):
    images = np.full((8, 14, 18, 3), 200, np.float32)
    out, _ = draws_of(only("erasing", scale=(0.2, 0.3), **fill), images)
    assert set(np.unique(out).tolist()) == {values, 200.0}


def test_gain_multiplies_above_black():
    images, labels = batch(value_range=(-1.0, 1.0))
    out, _ = run(only("gain", factor=(0.5, 0.5)), images, labels, value_range=(-1.0, 1.0))
    assert np.allclose(out, -1 + (images + 1) / 2, atol=1e-6)


@pytest.mark.parametrize("name", MIXING)
def test_labels_follow_the_pixels(name):
    # Class c is the flat picture of value 100 c: the mean pixel tells the mixture.
    labels = np.eye(K, dtype=np.float32)[np.arange(60) % K]
    flat = (labels @ np.array([0, 100, 200], np.float32))[:, None, None, None]
    images = np.broadcast_to(flat, (60, 14, 18, 1)).astype(np.float32)
    out, mixed = run(SINGLE[name], images, labels)
    assert np.allclose(out.mean(axis=(1, 2, 3)), mixed @ np.array([0, 100, 200]), atol=0.01)
    assert ((mixed > 0.01).sum(axis=1) == 2).any()


@pytest.mark.parametrize("name", MIXING)
def test_the_rate_is_the_share_of_pictures_that_are_mixed(name):
    images, _ = batch(count=2000)
    _, drawn = draws_of(only(name, rate=0.25, **OPTIONS[name]), images)
    assert (drawn[f"{name}.weight"] < 1).mean() == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_mixing_needs_one_hot_labels_of_two_classes(shape):
    augment = built(POLICIES["strong"])
    with pytest.raises(ValueError, match=r"mixup and cutmix mix one-hot labels \(B, K\)"):
        augment(batch(count=4)[0], np.zeros(shape, np.float32), np.array([1, 2], np.int32))


def test_a_fill_that_is_no_pixel_value_is_refused():
    policy = only("rotation", factor=0.1, fill_mode="constant", fill_value=128)
    with pytest.raises(ConfigError, match=r"fill_value 128 is not a pixel value .* from 0 to 1"):
        built(policy, value_range=(0.0, 1.0))


def test_named_policies_fit_any_range_of_pixel_values():
    images, labels = batch(value_range=(5.0, 9.0))
    for policy in POLICIES.values():
        out, _ = run(policy, images, labels, value_range=(5.0, 9.0))
        assert out.min() >= 5 - 1e-5
        assert out.max() <= 9 + 1e-5


def test_what_keras_refuses_is_told_with_the_step():
    with pytest.raises(ConfigError, match=r"step 'RandomHue': Keras' RandomHue says"):
        built(only("RandomHue", factor="much"))


def test_neither_keras_precision_nor_its_seed_matters():
    import keras

    images, labels = batch()
    expected = run(POLICIES["strong"], images, labels)[0]
    keras.config.set_dtype_policy("mixed_float16")
    keras.utils.set_random_seed(5)
    try:
        assert np.array_equal(run(POLICIES["strong"], images, labels)[0], expected)
    finally:
        keras.config.set_dtype_policy("float32")
