"""Normalisation: what is fitted, what is computed, and what travels inside a saved model."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.data.normalize import METHODS, Normalization, apply, fit_normalization, layers
from dnncli.errors import ConfigError, DataError

BYTES = (0.0, 255.0)


def pictures(seed=0, *, count=20, low=0, high=256, channels=3):
    shape = (count, 5, 7, channels)
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.uint8)


def fit(name, images, *, known_range=None, size=6):
    batches = (images[i : i + size] for i in range(0, len(images), size))
    return fit_normalization(name, batches, known_range=known_range)


def never():
    raise AssertionError("the pictures were read")
    yield


def test_zscore_of_the_fitted_pictures_has_mean_0_and_population_sd_1():
    images = pictures()
    out = apply(fit("zscore", images), images)
    assert np.allclose(out.mean(axis=(0, 1, 2)), 0, atol=1e-6)
    assert np.allclose(out.std(axis=(0, 1, 2)), 1, atol=1e-6)


def test_zscore_worked_out_by_hand():
    # Values 1, 3: mean 2, population sd 1 (the sample sd would be 1.414).
    images = np.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    fitted = fit("zscore", images, size=1)
    assert (fitted.mean, fitted.sd) == ((2.0,), (1.0,))
    assert apply(fitted, images).ravel().tolist() == [-1.0, 1.0]


@settings(deadline=None, max_examples=40)
@given(size=st.integers(1, 25), seed=st.integers(0, 10**6), shift=st.sampled_from([0, 1e3, 1e7]))
def test_how_the_pictures_are_cut_into_batches_does_not_matter(size, seed, shift):
    images = np.random.default_rng(seed).normal(shift, 1.0, (20, 3, 2, 2))
    fitted = fit("zscore", images, size=size)
    assert np.allclose(fitted.mean, images.mean(axis=(0, 1, 2)), rtol=1e-12)
    assert np.allclose(fitted.sd, images.std(axis=(0, 1, 2)), rtol=1e-7)


@pytest.mark.parametrize("name", ["minmax", "minmax-signed"])
def test_a_known_range_is_used_without_looking_at_the_pictures(name):
    fitted = fit_normalization(name, never(), known_range=BYTES)
    assert (fitted.minimum, fitted.maximum) == BYTES


def test_minmax_takes_the_range_of_the_pictures_when_none_is_known():
    fitted = fit("minmax", np.array([[2.0, -3.0], [5.0, 0.0]]).reshape(2, 2, 1, 1), size=1)
    assert (fitted.minimum, fitted.maximum) == (-3.0, 5.0)


@pytest.mark.parametrize(("name", "ends"), [("minmax", (0, 1)), ("minmax-signed", (-1, 1))])
def test_minmax_maps_the_ends_of_the_range_exactly(name, ends):
    images = np.array([0.0, 255.0]).reshape(2, 1, 1, 1)
    out = apply(fit(name, images, known_range=BYTES), images)
    assert out.ravel().tolist() == pytest.approx(ends, abs=1e-7)


def test_unit_gives_every_picture_length_1_over_all_pixels():
    images = np.array([[3.0, 4.0], [0.0, 10.0]]).reshape(2, 1, 1, 2)
    out = apply(Normalization(name="unit"), images)
    assert out[0].ravel().tolist() == pytest.approx([0.6, 0.8])
    assert out[1].ravel().tolist() == pytest.approx([0.0, 1.0])


def test_none_changes_nothing_and_needs_no_layer():
    images = pictures()
    assert np.array_equal(apply(Normalization(name="none"), images), images.astype(np.float32))
    assert layers(Normalization(name="none")) == []


def difficult():
    """Picture sets that break careless arithmetic: name -> (pictures, known range)."""
    constant = pictures().astype(np.float32)
    constant[..., 1] = 0.1
    black = pictures()
    black[3] = 0
    high = np.random.default_rng(1).uniform(1e4, 1e4 + 1, (20, 5, 7, 3)).astype(np.float32)
    return {
        "8-bit": (pictures(), BYTES),
        "range of the data": (pictures(low=30, high=90), None),
        "a constant channel": (constant, None),
        "one constant colour": (np.full((4, 5, 7, 3), 7, np.uint8), None),
        "a black picture": (black, BYTES),
        "grey": (pictures(channels=1), BYTES),
        "small differences far from 0": (high, None),
    }


@pytest.mark.parametrize("case", difficult())
@pytest.mark.parametrize("name", METHODS)
def test_the_layers_compute_what_numpy_does(name, case):
    images, known_range = difficult()[case]
    fitted = fit(name, images, known_range=known_range)
    out = images.astype(np.float32)
    for layer in layers(fitted):
        out = layer(out)
    expected = apply(fitted, images)
    # float32 rounds the fitted mean itself: half a step at 1e4 is 5e-4 pixel values.
    tolerance = 2e-3 if "far" in case and name == "zscore" else 1e-6
    assert np.isfinite(expected).all()
    assert np.allclose(out, expected, rtol=1e-6, atol=tolerance)


@pytest.mark.parametrize("name", ["minmax", "minmax-signed", "zscore"])
def test_what_was_constant_in_training_is_0_even_when_it_changes_later(name):
    fitted = fit(name, np.full((4, 2, 2, 1), 7.0))
    later = np.full((1, 2, 2, 1), 9.0, np.float32)
    out = later
    for layer in layers(fitted):
        out = layer(out)
    assert np.allclose(out, 0, atol=1e-12)
    assert np.allclose(apply(fitted, later), 0)


@pytest.mark.parametrize("name", METHODS)
def test_layers_compute_in_float32_under_mixed_precision(name):
    import keras

    keras.config.set_dtype_policy("mixed_float16")
    try:
        stack = layers(fit(name, pictures(), known_range=BYTES))
    finally:
        keras.config.set_dtype_policy("float32")
    assert all(layer.compute_dtype == "float32" for layer in stack)


def test_a_saved_model_reloads_in_safe_mode_without_dnncli(tmp_path):
    import keras

    images = pictures()
    np.save(tmp_path / "images.npy", images)
    for name in METHODS:
        fitted = fit(name, images, known_range=BYTES)
        inputs = keras.Input((5, 7, 3))
        out = inputs
        for layer in layers(fitted):
            out = layer(out)
        keras.Model(inputs, keras.layers.Flatten()(out)).save(tmp_path / f"{name}.keras")
        np.save(tmp_path / f"{name}.npy", apply(fitted, images).reshape(len(images), -1))
    code = f"""
import sys, keras, numpy as np
images = np.load("images.npy")
for name in {METHODS!r}:
    model = keras.saving.load_model(name + ".keras", safe_mode=True)
    out = keras.ops.convert_to_numpy(model(images.astype("float32")))
    assert np.allclose(out, np.load(name + ".npy"), atol=1e-6), name
assert "dnncli" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_typo_is_answered_with_the_nearest_method():
    with pytest.raises(ConfigError, match=r"normalisation 'zcore'. Did you mean 'zscore'\?"):
        fit_normalization("zcore", [], known_range=None)


@pytest.mark.parametrize("name", ["minmax", "zscore"])
def test_nothing_to_fit_on_is_said(name):
    with pytest.raises(DataError, match="No training picture"):
        fit_normalization(name, [], known_range=None)


@pytest.mark.parametrize("name", ["minmax", "zscore"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_not_numbers_are_refused(name, bad):
    with pytest.raises(DataError, match="NaN or infinite"):
        fit_normalization(name, [np.full((1, 2, 2, 1), bad)], known_range=None)
