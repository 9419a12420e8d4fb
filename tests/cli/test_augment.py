"""`dnncli augment` from the outside."""

import json
import subprocess
import sys

import pytest

from dnncli.services.augment import augment

SAMPLE = "sample_data/fashion_mini"


@pytest.fixture
def root(pytestconfig):
    return pytestconfig.rootpath


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "dnncli", "augment", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_json_object_on_stdout_and_the_pictures_of_the_python_call(root, tmp_path):
    done = run(
        *(SAMPLE, tmp_path / "out", "--copies", 1, "--policy", "light", "--seed", 3, "--json"),
        *("--preview", tmp_path / "sheet.png"),
        cwd=root,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["policy"], report["seed"], report["copies"]) == ("light", 3, 1)
    assert report["written"] == 2 * report["training"] + report["untouched"]
    assert (tmp_path / "out/manifest.csv").is_file()
    assert (tmp_path / "sheet.png").is_file()
    again = tmp_path / "again"
    augment(root / SAMPLE, again, policy="light", seed=3, preview=tmp_path / "again.png")
    for path in tmp_path.joinpath("out").rglob("*.*"):
        assert path.read_bytes() == (again / path.relative_to(tmp_path / "out")).read_bytes()
    assert (tmp_path / "sheet.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_the_example_of_the_help_runs(root, tmp_path):
    done = run(root / SAMPLE, "--policy", "strong", "--preview", "sheet.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Contact sheet: sheet.png\n"
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policy", "lihgt", "--preview", "a.png"], "Did you mean 'light'?"),
        (["out", "--policy", "strong"], "mix the labels of two pictures"),
        ([], "Nothing to do: give OUT"),
    ],
)
def test_a_mistake_is_one_message_with_exit_code_2_and_no_file(arguments, said, root, tmp_path):
    done = run(root / SAMPLE, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())
