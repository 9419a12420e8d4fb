"""Resizing is that of TensorFlow, to the bit."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.data.resize import resize

SIDE = st.integers(1, 300)


def by_tensorflow(image, size):
    values = tf.image.resize(image, size, method="bilinear", antialias=True)
    return tf.cast(tf.round(tf.clip_by_value(values, 0, 255)), tf.uint8).numpy()


@settings(max_examples=60, deadline=None)
@given(size=st.tuples(SIDE, SIDE), wanted=st.tuples(SIDE, SIDE), channels=st.sampled_from([1, 3]))
def test_pictures_of_any_size_become_those_of_tensorflow(size, wanted, channels):
    image = np.random.default_rng(size).integers(0, 256, (*size, channels)).astype(np.uint8)
    assert np.array_equal(resize(image, wanted), by_tensorflow(image, wanted))


@pytest.mark.parametrize("size", [(375, 500), (2000, 3000), (5, 4999)])
def test_photographs_do_too(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    assert np.array_equal(resize(image, (224, 224)), by_tensorflow(image, (224, 224)))


def test_half_the_size_by_hand():
    # A triangle over four pixels: weights 1, 3, 3, 1 of 8; at the ends 3, 3, 1 of 7.
    image = np.array([0, 80, 160, 240], np.uint8).reshape(1, 4, 1)
    assert resize(image, (1, 2)).ravel().tolist() == [57, 183]  # 400 / 7, 1280 / 7 - rounded


def test_one_size_is_kept_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    assert np.array_equal(resize(image, (7, 9)), image)
