"""Copies of training pictures: what they are called, what they follow from, where they belong."""

from dataclasses import replace

import numpy as np
import pytest

from dnncli.augmentation.offline import copier, copy_seed, enlarge
from dnncli.augmentation.policies import LIGHT
from dnncli.data.dataset import ArrayImages, Dataset


def dataset(ids=("a.png", "b/c.d.jpeg", "7")):
    count = len(ids)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 9, 11, 3)).astype(np.uint8)
    rows = np.arange(count)
    return Dataset(
        kind="numpy",
        root="made.npz",
        ids=ids,
        labels=np.zeros(count, np.int32),
        class_names=("only",),
        splits=np.full(count, "train"),
        images=ArrayImages(arrays=(pixels,), array=np.zeros(count, np.int32), rows=rows),
    )


def test_copies_follow_their_source_under_names_of_their_own():
    enlarged = enlarge(dataset(), train=np.array([True, False, True]), copies=2)
    assert enlarged.dataset.ids == (
        *("a.png", "a-aug1.png", "a-aug2.png"),
        "b/c.d.jpeg",
        *("7", "7-aug1.png", "7-aug2.png"),
    )
    assert enlarged.sources.tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert enlarged.copies.tolist() == [0, 1, 2, 0, 0, 1, 2]


def test_a_seed_of_each_copy_of_each_picture():
    seeds = {copy_seed(s, name, copy) for s in (0, 1) for name in "ab" for copy in (1, 2)}
    assert len(seeds) == 8
    assert all(-(2**31) <= number < 2**31 for pair in seeds for number in pair)


def test_a_seed_does_not_change_with_the_release():
    # Golden: int32, little endian, of the SHA-256 of "0", NUL, "a.png", NUL, "1".
    assert copy_seed(0, "a.png", 1) == (-1468064236, -440474407)


def test_a_copy_does_not_depend_on_the_rest_of_the_set():
    whole = dataset()
    alone = whole.take([2])
    expected, drawn = copier(whole, LIGHT, seed=3)(2, 1)
    again, drawn_again = copier(alone, LIGHT, seed=3)(0, 1)
    assert np.array_equal(expected, again)
    assert drawn == drawn_again


@pytest.mark.parametrize("channels", [1, 3])
def test_copies_keep_size_and_channels(channels):
    whole = dataset()
    images = ArrayImages(
        arrays=(whole.images.arrays[0][..., :channels],),
        array=whole.images.array,
        rows=whole.images.rows,
    )
    pixels, _ = copier(replace(whole, images=images), LIGHT, seed=0)(0, 1)
    assert (pixels.shape, pixels.dtype) == ((9, 11, channels), np.uint8)
