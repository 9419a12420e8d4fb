"""One data set, trained, judged and explained on TensorFlow and on JAX."""

import json
import signal
import tomllib
from pathlib import Path

import numpy as np
import pytest
from jax_support import needs_jax, on_jax
from map_support import write_squares
from resume_support import KILLER, outcome, train

import dnncli
from dnncli.data.predictions import read_predictions

pytestmark = [pytest.mark.slow, needs_jax]

BOTH = ("tensorflow", "jax")
# JAX has other random numbers than TensorFlow, so what is drawn while training is left out.
OPTIONS = {"epochs": 1, "augment": "none", "dropout": 0.0, "batch_size": 16, "image_size": [8, 8]}
PIXELS = {"epochs": 1, "augment": "none", "model": "unet", "image_size": [16, 16]}
NO_LOGS = {"run.tensorboard": False}
SMALL = NO_LOGS | {"model.options": {"width": 2, "depth": 2}}


@pytest.fixture(scope="module")
def folder(patterns, tmp_path_factory):
    """Runs of both backends, each predicted, judged and explained by both, in `of-by` folders."""
    root = tmp_path_factory.mktemp("both")
    squares = write_squares(root / "squares", n=6)
    trained = {
        backend: [
            ("train", [patterns], OPTIONS | _out(root, backend, "kinds", NO_LOGS)),
            ("train", [squares], PIXELS | _out(root, backend, "squares", SMALL)),
        ]
        for backend in BOTH
    }
    # The models of one backend in the hands of the other, and of itself.
    used = {
        by: [call for of in BOTH for call in _uses(root, of, by, patterns, squares)] for by in BOTH
    }
    _here(trained["tensorflow"])
    on_jax(*trained["jax"], *used["jax"], folder=root)
    _here(used["tensorflow"])
    return root


def _out(root, backend, name, settings):
    return {"out": str(root / backend / name), "settings": settings, "backend": backend}


def _uses(root, of, by, patterns, squares):
    place = root / f"{of}-{by}"
    place.mkdir()
    kinds, pixels = root / of / "kinds", root / of / "squares"
    return [
        ("predict", [kinds, patterns], {"out": str(place / "kinds.csv")}),
        ("predict", [kinds, patterns], {"out": str(place / "views.csv"), "tta": 3}),
        ("predict", [pixels, squares], {"out": str(place / "squares.npz"), "probabilities": True}),
        ("explain", [kinds, [patterns]], {"out": str(place / "why"), "limit": 3}),
        ("explain", [pixels, [squares]], {"out": str(place / "where"), "limit": 2}),
    ]


def _here(calls):
    for name, positional, options in calls:
        getattr(dnncli, name)(*positional, **options)


def history(run):
    names, values = (line.split(",") for line in (run / "history.csv").read_text().splitlines())
    return dict(zip(names, map(float, values), strict=True))


def weights(model):
    import keras

    return keras.models.load_model(model, compile=False).get_weights()


@pytest.mark.parametrize("name", ["kinds", "squares"])
def test_one_epoch_gives_the_same_numbers(folder, name):
    ours, theirs = (history(folder / backend / name) for backend in BOTH)
    assert ours == pytest.approx(theirs, abs=1e-4, nan_ok=True)
    assert ours["val_loss"] > 0
    for model in ("best.keras", "last.keras"):
        pairs = zip(*(weights(folder / backend / name / model) for backend in BOTH), strict=True)
        for one, other in pairs:
            # The first update of Adam is sign(gradient): where a gradient is all but 0, rounding
            # decides, and the weight may be off by a whole step.
            assert np.quantile(np.abs(one - other), 0.99) < 1e-4


def test_the_run_says_which_backend_it_had(folder):
    for backend in BOTH:
        run = folder / backend / "kinds"
        assert json.loads((run / "run.json").read_text())["backend"] == backend
        assert tomllib.loads((run / "config.toml").read_text())["run"]["backend"] == backend
    assert "jax" in json.loads((folder / "jax/kinds/run.json").read_text())["versions"]


@pytest.mark.parametrize("of", BOTH)
@pytest.mark.parametrize("file", ["kinds.csv", "views.csv"])
def test_a_model_of_either_is_predicted_alike_by_both(folder, of, file):
    one, other = (read_predictions(folder / f"{of}-{by}" / file) for by in BOTH)
    assert list(one.ids) == list(other.ids)
    assert one.class_names == other.class_names
    np.testing.assert_allclose(one.probs, other.probs, atol=1e-5)
    assert np.ptp(one.probs) > 0.01  # not all the same


@pytest.mark.parametrize("of", BOTH)
def test_shares_of_pixels_are_predicted_alike_by_both(folder, of):
    one, other = (np.load(folder / f"{of}-{by}" / "squares.npz") for by in BOTH)
    assert one.files == other.files
    for name in one.files:
        if one[name].dtype.kind in "fu":  # 8 bits: rounding may decide one level
            gap = np.abs(one[name].astype(float) - other[name].astype(float))
            assert gap.max() <= 1


@pytest.mark.parametrize("of", BOTH)
@pytest.mark.parametrize("what", ["why", "where"])
def test_a_model_of_either_is_explained_alike_by_both(folder, of, what):
    told = [json.loads((folder / f"{of}-{by}" / what / "explain.json").read_text()) for by in BOTH]
    one, other = (each["pictures"] for each in told)
    assert told[0]["layer"] == told[1]["layer"]
    assert [picture["id"] for picture in one] == [picture["id"] for picture in other]
    for mine, theirs in zip(one, other, strict=True):
        assert mine["explained"] == theirs["explained"]
        assert mine["strength"] == pytest.approx(theirs["strength"], rel=1e-3, abs=1e-6)


def test_what_jax_cannot_do_in_this_process_is_one_message(patterns, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(dnncli.errors.ConfigError, match="imported Keras with the backend tensor"):
        dnncli.train(patterns, out=str(out), backend="jax", epochs=1)
    assert not Path(out).exists()


def test_killed_on_jax_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path):
    # Dropout and averages of the weights are in: their states must come back, too.
    options = ("--backend", "jax", "--model", "mlp", "--epochs", "3", "--image-size", "8")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    (killed / "killer.py").write_text(KILLER)
    (killed / "kill").write_text("batch 2 3")
    train(whole, *options)
    killer = '--set=fit.callbacks=["killer:Killer"]'
    assert train(killed, *options, killer, check=False).returncode == -signal.SIGKILL
    train(killed, *options, "--resume")
    assert outcome(killed) == outcome(whole)


def test_a_run_goes_on_with_its_own_backend(folder, patterns):
    run = folder / "jax" / "kinds"
    with pytest.raises(dnncli.errors.ConfigError, match="with the backend tensorflow"):
        dnncli.train(patterns, out=str(run), resume=True, epochs=2)
    with pytest.raises(dnncli.errors.ConfigError, match="the run has 'jax', asked for is 'tensor"):
        dnncli.train(patterns, out=str(run), resume=True, epochs=2, backend="tensorflow")
