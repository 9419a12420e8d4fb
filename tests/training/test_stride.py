"""Several steps of training in one call."""

import csv

import keras
import numpy as np
import pytest
from keras import layers

import dnncli
from dnncli.training import loop, stride
from dnncli.training.stride import steps_at_once


def dense(units):
    inputs = keras.Input((10,))
    return keras.Model(inputs, layers.Dense(units, use_bias=False)(inputs))


@pytest.mark.parametrize(
    ("units", "batch_size", "steps", "expected"),
    [
        (10, 16, 64, 32),  # never more than 32
        (10, 16, 27, 27),
        (10, 16, 37, 1),  # a prime above 32
        (10, 16, 70, 14),
        (100_000, 16, 64, 16),  # 96 million operations a step: 20 fit, 16 divides
        (100_000, 16, 25, 5),
        (10_000_000, 64, 64, 1),
    ],
)
def test_quick_steps_go_together_if_they_divide_an_epoch(
    units, batch_size, steps, expected, monkeypatch
):
    monkeypatch.setattr(stride, "multiply_adds", lambda _: 10 * units)
    assert steps_at_once(dense(1), batch_size=batch_size, steps_per_epoch=steps) == expected


def test_a_network_without_kernels_takes_as_many_as_others():
    inputs = keras.Input((10,))
    model = keras.Model(inputs, layers.Flatten()(inputs))
    assert steps_at_once(model, batch_size=1, steps_per_epoch=8) == 8


def train(data, out, **options):
    dnncli.train(data, out=out, epochs=3, batch_size=8, augment="light", **options)
    with (out / "history.csv").open(encoding="utf-8") as file:
        history = list(csv.DictReader(file))
    return history, [value.numpy() for value in keras.saving.load_model(out / "last.keras").weights]


def test_the_run_is_the_same_as_step_by_step(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    data = tmp_path / "data.npz"
    arrays = {"x_train": rng.integers(0, 256, (48, 16, 16, 1), dtype=np.uint8)}
    arrays |= {"y_train": np.arange(48) % 3, "y_val": np.arange(20) % 3}
    np.savez(data, **arrays, x_val=rng.integers(0, 256, (20, 16, 16, 1), dtype=np.uint8))
    taken = []
    choose = loop.steps_at_once
    monkeypatch.setattr(
        loop,
        "steps_at_once",
        lambda *args, **sizes: taken.append(choose(*args, **sizes)) or taken[-1],
    )
    together, weights = train(data, tmp_path / "together")
    assert set(taken) == {6}
    monkeypatch.setattr(loop, "steps_at_once", lambda *_, **__: 1)
    one_by_one, expected = train(data, tmp_path / "one")
    assert together == one_by_one
    for value, wanted in zip(weights, expected, strict=True):
        assert np.array_equal(value, wanted)
