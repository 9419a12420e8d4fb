"""`dnncli data inspect` on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from dnncli.cli.inspect import inspect
from dnncli.cli.options import command

SAMPLES = Path(__file__).parents[2] / "sample_data"

app = typer.Typer()
app.command()(command(inspect))


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_tables_name_classes_splits_and_batch_shapes():
    result = run(SAMPLES / "fashion_mini", "--image-size", "224x96", "--batch-size", "16")
    assert result.exit_code == 0
    for words in (
        "ankle_boot",
        "train 400, test 100",
        "(16, 224, 96, 1) float32",
        "No exact copies",
    ):
        assert words in result.stdout


def test_json_is_one_strict_object_with_the_schema():
    result = run(SAMPLES / "defects", "--json", "--label-mode", "binary")
    report = json.loads(result.stdout)
    assert report["schema"] == "dnncli.inspect/1"
    assert report["health"]["classes"]["defect"] == {"train": 20, "test": 12}
    assert report["batch"]["labels"]["binary"] == "(32, 1) float32"
    assert result.stderr == ""


@pytest.fixture
def messy(tmp_path):
    """Two classes with a leak, a label conflict, an odd name and 30 unreadable files."""
    rng = np.random.default_rng(0)
    for name in ("train/a/0.png", "train/a/1\n.png", "train/b/0.png", "test/a/2.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8)).save(path)
    (tmp_path / "test/b").mkdir()
    (tmp_path / "test/b/copy.png").write_bytes((tmp_path / "train/a/1\n.png").read_bytes())
    for index in range(30):
        (tmp_path / f"train/b/bad{index:02d}.jpg").write_bytes(b"")
    return tmp_path


def test_problems_are_listed_up_to_twenty_then_counted(messy):
    result = run(messy)
    assert result.exit_code == 0
    assert "Skipped, cannot be used: 30" in result.stdout
    assert "train/b/bad19.jpg: empty file (0 bytes)." in result.stdout
    assert "bad20" not in result.stdout
    assert "... and 10 more." in result.stdout


def test_leaks_and_conflicts_name_both_pictures_on_one_line(messy):
    out = run(messy).stdout
    assert r"train/a/1\n.png = test/b/copy.png" in out
    assert "Same picture in two splits (leak): 1" in out
    assert "Same picture under two labels: 1" in out
    assert "1 of 2 test rows" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent"], "absent"),
        ([SAMPLES / "fashion_mini", "--image-size", "9y9"], "9y9"),
        ([SAMPLES / "fashion_mini", "--label-mode", "binary"], "needs two classes"),
        ([SAMPLES / "fashion_mini", "--model", "resnet-20"], "Did you mean 'resnet20'"),
        ([SAMPLES / "fashion_mini", "--classes", "bag,coat"], "not declared"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_two(arguments, words):
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_on_bad_error_stops_and_names_the_files(messy):
    result = run(messy, "--on-bad", "error")
    assert result.exit_code == 2
    assert "train/b/bad00.jpg" in result.stderr


@pytest.mark.parametrize("form", ["folder", "numpy", "masks"])
def test_folders_and_arrays_need_no_tensorflow(form, tmp_path):
    data = SAMPLES / ("cracks_seg" if form == "masks" else "fashion_mini")
    if form == "numpy":
        data = tmp_path / "set.npz"
        np.savez(data, x=np.zeros((4, 8, 8), np.uint8), y=np.array([0, 1, 0, 1]))
    code = (
        "import sys, typer\n"
        "from dnncli.cli.inspect import inspect\n"
        "from dnncli.cli.options import command\n"
        "app = typer.Typer()\n"
        "app.command()(command(inspect))\n"
        f"app([{str(data)!r}, '--pixels', '--json'], standalone_mode=False)\n"
        "print({'tensorflow', 'keras', 'sklearn', 'scipy'} & set(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stderr.strip() == "set()"
    assert json.loads(done.stdout)["schema"] == "dnncli.inspect/1"


def test_masks_are_shown_with_their_batches_and_pixels():
    result = run(SAMPLES / "cracks_seg", "--image-size", "64", "--batch-size", "4")
    assert result.exit_code == 0
    for words in (
        *("(4, 64, 64, 1) float32", "(4, 64, 64) uint8", "images with masks"),
        *("6,954 in 32", "0.0115", "Pictures of background alone: train 8, test 3"),
    ):
        assert words in result.stdout
    report = json.loads(run(SAMPLES / "shapes_edge", "--json", "--task", "edges").stdout)
    assert (report["schema"], report["task"]) == ("dnncli.inspect/1", "edges")
