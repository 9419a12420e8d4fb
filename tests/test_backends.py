"""Which backend is chosen, and what is said of one that cannot be had."""

import importlib.util
import os
import subprocess
import sys

import pytest
from jax_support import needs_jax

from dnncli import backends
from dnncli.errors import ConfigError


@pytest.fixture
def before_keras(monkeypatch):
    """As in a process that has not imported Keras, with nothing in its environment."""
    monkeypatch.setattr(backends, "in_use", lambda: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.delenv(backends.VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("asked", "environment", "chosen"),
    [
        ("auto", None, "tensorflow"),
        ("auto", "", "tensorflow"),
        ("auto", "jax", "jax"),
        ("tensorflow", "jax", "tensorflow"),
        ("jax", "tensorflow", "jax"),
    ],
)
@pytest.mark.usefixtures("before_keras")
def test_a_setting_comes_before_the_environment(asked, environment, chosen, monkeypatch):
    if environment is not None:
        monkeypatch.setenv(backends.VARIABLE, environment)
    assert backends.choose(asked) == chosen


@pytest.mark.usefixtures("before_keras")
def test_a_backend_of_others_is_refused_with_those_there_are(monkeypatch):
    monkeypatch.setenv(backends.VARIABLE, "torch")
    with pytest.raises(ConfigError, match="KERAS_BACKEND: 'torch' .* Use one of tensorflow, jax"):
        backends.choose()


@pytest.mark.usefixtures("before_keras")
def test_without_jax_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert backends.choose("tensorflow") == "tensorflow"
    with pytest.raises(ConfigError, match=r"pip install 'dnncli\[jax\]', or use --backend tensor"):
        backends.choose("jax")


def test_keras_that_was_imported_with_another_backend_is_named(monkeypatch):
    monkeypatch.setattr(backends, "in_use", lambda: "tensorflow")
    monkeypatch.setenv(backends.VARIABLE, "jax")
    assert backends.choose() == "tensorflow"  # what is there, whatever the environment says now
    with pytest.raises(ConfigError, match="with the backend tensorflow, which cannot be changed"):
        backends.choose("jax")


def test_a_wrong_backend_is_told_before_the_data_are_read(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "dnncli", "train", tmp_path, "--backend", "torch"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "run.backend: Input should be 'auto', 'tensorflow' or 'jax'. Got 'torch'." in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "environment", "settled"),
    [
        ([], {}, "tensorflow"),
        ([], {"KERAS_BACKEND": "jax"}, "jax"),
        (["--set", "run.backend=jax"], {}, "jax"),
        (["-c", "jax.toml"], {}, "jax"),
        (["-c", "jax.toml", "--backend", "tensorflow"], {"KERAS_BACKEND": "jax"}, "tensorflow"),
    ],
)
@needs_jax
def test_the_plan_settles_the_backend(options, environment, settled, fashion, tmp_path):
    (tmp_path / "jax.toml").write_text('[run]\nbackend = "jax"\n')
    known = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-m", "dnncli", "train", fashion, "--dry-run", *options],
        cwd=tmp_path,
        env=known | environment | {"PYTHONPATH": str(fashion.parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f'backend = "{settled}"' in done.stdout
