"""How fast training is, measured without a trace."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from dnncli.training.pace import StopAtDeadline, measure


@pytest.fixture
def model():
    inputs = keras.Input((6,))
    x = layers.Dropout(0.5)(layers.BatchNormalization()(layers.Dense(4)(inputs)))
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile("adam", "mse")
    return model


def batches(count):
    data = tf.data.Dataset.from_tensors((np.ones((8, 6)), np.ones((8, 2))))
    return data.repeat() if count is None else data.repeat(count)


def test_measuring_leaves_the_network_as_it_was(model):
    before = [value.numpy() for value in model.variables]
    pace = measure(model, training=batches(None), validation=batches(3))
    assert 0 < pace.step < 5 and 0 < pace.validation < 5
    for value, kept in zip(model.variables, before, strict=True):
        assert np.array_equal(value.numpy(), kept)


def test_without_validation_there_is_nothing_to_wait_for(model):
    assert measure(model, training=batches(None), validation=None).validation == 0


@pytest.mark.parametrize(("left", "stops"), [(-1.0, True), (4.0, True), (6.0, False)])
def test_an_epoch_that_would_end_far_too_late_is_not_begun(model, left, stops, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("dnncli.training.pace.time.monotonic", lambda: now[0])
    clock = StopAtDeadline(110 + left)
    clock.set_model(model)
    model.stop_training = False
    clock.on_epoch_begin(0)
    now[0] = 110.0  # the epoch took 10 seconds
    clock.on_epoch_end(0)
    assert (clock.has_stopped, model.stop_training) == (stops, stops)
