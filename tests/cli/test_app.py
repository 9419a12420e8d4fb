"""The command line as a whole: fast, quiet, and helpful about typos."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import dnncli
from dnncli.cli.app import app

SLOW_MODULES = ("tensorflow", "keras", "numpy", "polars", "PIL", "pydantic")


def modules_after(*arguments):
    """Which slow modules a fresh `dnncli` process has imported when it ends."""
    program = (
        "import sys, json\n"
        "from dnncli.cli.app import app\n"
        f"sys.argv = ['dnncli', *{list(arguments)!r}]\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        f"loaded = [name for name in {SLOW_MODULES!r} if name in sys.modules]\n"
        "sys.stderr.write('loaded:' + json.dumps(loaded))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    return json.loads(done.stderr.rpartition("loaded:")[2])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("train", "--help"),
        ("data", "inspect", "--help"),
        ("eval", "--help"),
        ("train", "nowhere", "--model", "resnet21"),
        ("models", "resnet21"),
        ("trian",),
    ],
)
def test_help_and_typos_cost_no_slow_import(arguments):
    loaded = modules_after(*arguments)
    assert "tensorflow" not in loaded
    assert "keras" not in loaded
    if arguments[-1] in ("--help", "--version"):
        # Typer itself needs pydantic once a command has parameters to check.
        assert set(loaded) <= ({"pydantic"} if len(arguments) > 1 else set())


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("trian",), "Did you mean 'train'?"),
        (("train", "--epoch", "3", "x"), "--epochs"),
        (("train", "x", "--model", "resnet21"), "Did you mean 'resnet20'?"),
        (("train", "x", "--optimizer", "adm"), "Did you mean 'adam'?"),
        (("train", "x", "--loss", "fokal"), "Did you mean 'focal'?"),
        (("train", "x", "--augment", "strng"), "Did you mean 'strong'?"),
        (("train", "x", "--set", "fit.epoch=3"), "Did you mean 'epochs'?"),
        (("train", "x", "--normalize", "zsore"), "'zscore'"),
        (("train", "x", "--batch-size", "fulll"), "fulll"),
        (("train", "x", "--class-weight", "balancd"), "Did you mean 'balanced'?"),
        (("models", "resnet21"), "Did you mean 'resnet20'?"),
    ],
)
def test_a_typo_is_answered_with_exit_code_2_and_what_was_meant(
    arguments, answer, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2
    assert answer in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_that_of_the_package():
    assert CliRunner().invoke(app, ["--version"]).stdout == f"dnncli {dnncli.__version__}\n"


def test_a_missing_folder_is_one_message_with_the_nearest_name(tmp_path):
    (tmp_path / "pets").mkdir()
    result = CliRunner().invoke(app, ["train", str(tmp_path / "pet")])
    assert result.exit_code == 2
    assert "Did you mean 'pets'?" in result.stderr


def test_debug_shows_the_traceback():
    result = CliRunner().invoke(app, ["train", "nowhere", "--debug"])
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


def test_evaluate_is_understood_for_eval():
    result = CliRunner().invoke(app, ["evaluate", "--help"])
    assert result.exit_code == 0


def test_every_call_of_the_package_exists():
    for name in dnncli.__all__:
        assert getattr(dnncli, name) is not None


def test_the_package_itself_imports_nothing_slow():
    program = f"import sys, dnncli; sys.exit(any(m in sys.modules for m in {SLOW_MODULES!r}))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"], ["train", "--help"]])
def test_a_pipe_that_nobody_reads_is_no_error(arguments):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "dnncli", *arguments], stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
