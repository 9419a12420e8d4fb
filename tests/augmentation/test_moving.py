"""OpenCV moves pixels to where TensorFlow's kernel moves them."""

import numpy as np
import pytest
import tensorflow as tf

from dnncli.augmentation.moving import BORDERS, move
from dnncli.augmentation.warp import warp, warp_masks

VALUE = 7.0


def maps(count, height, width, *, seed=0):
    """(B, 3, 3) flips, turns by any angle, zooms and shifts about the middle."""
    rng = np.random.default_rng(seed)
    angle, zoom = rng.uniform(-np.pi, np.pi, count), rng.uniform(0.7, 1.4, count)
    flip = rng.choice([-1, 1], count)
    turn = np.stack(
        [
            np.stack([flip * zoom * np.cos(angle), -zoom * np.sin(angle)], 1),
            np.stack([flip * zoom * np.sin(angle), zoom * np.cos(angle)], 1),
        ],
        axis=1,
    )
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = rng.uniform(-0.3, 0.3, (count, 2)) * (width, height)
    found = np.tile(np.eye(3), (count, 1, 1))
    found[:, :2, :2] = turn
    found[:, :2, 2] = middle + shift - turn @ middle
    return found.astype(np.float32)


def by_tensorflow(images, total, fill):
    mode, value, interpolation = fill
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images.astype(np.float32),
        transforms=total.reshape(-1, 9)[:, :8],
        output_shape=images.shape[1:3],
        fill_value=value,
        interpolation=interpolation.upper(),
        fill_mode=mode.upper(),
    ).numpy()


@pytest.mark.parametrize("size", [(28, 28), (61, 90), (1, 4), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("mode", BORDERS)
def test_bilinear_is_that_of_tensorflow(mode, dtype, channels, size):
    # Noise: a coordinate that is off by 1/32 pixel would show as up to 8 grey levels.
    images = np.random.default_rng(1).integers(0, 256, (16, *size, channels)).astype(dtype)
    fill = (mode, VALUE, "bilinear")
    total = maps(16, *size)
    gap = np.abs(move(images, total[:, :2], fill) - by_tensorflow(images, total, fill))
    assert gap.max() <= (0.51 if dtype == np.uint8 else 0.01)  # rounded; float32 coordinates


@pytest.mark.parametrize("mode", BORDERS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_nearest_is_that_of_tensorflow(mode, dtype):
    images = np.random.default_rng(1).integers(0, 256, (16, 61, 90, 3)).astype(dtype)
    fill = (mode, VALUE, "nearest")
    total = maps(16, 61, 90)
    differ = move(images, total[:, :2], fill) != by_tensorflow(images, total, fill)
    assert differ.mean() < 1e-4  # coordinates half way between pixels, but for rounding


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_whole_pixel_moves_and_flips_are_exact(interpolation):
    images = np.arange(12, dtype=np.uint8).reshape(1, 3, 4, 1)
    fill = ("reflect", 0.0, interpolation)
    right = np.array([[[1, 0, -1], [0, 1, 0]]], np.float32)
    assert move(images, right, fill)[0, :, :, 0].tolist() == [
        [0, 0, 1, 2],
        [4, 4, 5, 6],
        [8, 8, 9, 10],
    ]
    flipped = np.array([[[-1, 0, 3], [0, 1, 0]]], np.float32)
    assert np.array_equal(move(images, flipped, fill), images[:, :, ::-1])


def test_half_way_between_two_pixels_is_their_mean():
    images = np.array([[[[10], [21]]]], np.uint8)
    half = np.array([[[1, 0, 0.5], [0, 1, 0]]], np.float32)
    fill = ("nearest", 0.0, "bilinear")
    assert move(images, half, fill).ravel().tolist() in ([15, 21], [16, 21])
    assert move(images.astype(np.float32), half, fill).ravel().tolist() == [15.5, 21]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_wrap_is_left_to_tensorflow(dtype):
    images = np.random.default_rng(1).integers(0, 256, (4, 50, 60, 3)).astype(dtype)
    fill, total = ("wrap", 0.0, "bilinear"), maps(4, 50, 60)
    gap = np.abs(
        warp(tf.constant(images), total, fill).numpy() - by_tensorflow(images, total, fill)
    )
    assert gap.max() <= (0.5 if dtype == np.uint8 else 1e-3)


@pytest.mark.parametrize("mode", [*BORDERS, "wrap"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
@pytest.mark.parametrize("size", [(20, 30), (50, 60)])
def test_masks_keep_type_and_class_indices(size, mode, dtype):
    top = 200 if dtype == np.uint8 else 70_000
    masks = np.random.default_rng(1).integers(0, top, (8, *size)).astype(dtype)
    moved = warp_masks(tf.constant(masks), maps(8, *size), (mode, VALUE, "bilinear")).numpy()
    assert moved.dtype == dtype
    assert set(np.unique(moved)) <= {*np.unique(masks).tolist(), 255}


def test_small_pictures_are_left_to_tensorflow():
    images = np.random.default_rng(1).integers(0, 256, (4, 28, 28, 1)).astype(np.float32)
    fill, total = ("reflect", 0.0, "bilinear"), maps(4, 28, 28)
    assert np.array_equal(
        warp(tf.constant(images), total, fill), by_tensorflow(images, total, fill)
    )
