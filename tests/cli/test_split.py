"""`dnncli data split` as a user sees it."""

import json

import pytest
from typer.testing import CliRunner

from dnncli.cli.app import app

RUN = CliRunner()


def test_json_counts_every_class_of_every_split(tmp_path):
    out = tmp_path / "split.csv"
    done = RUN.invoke(
        app, ["data", "split", "sample_data/fashion_mini", "--out", str(out), "--json"]
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["counts"]["test"]["bag"] == 10
    assert out.read_text().startswith("id,label,split,group\n")


def test_a_table_goes_to_stdout_and_the_hint_to_stderr(tmp_path):
    out = tmp_path / "split.csv"
    done = RUN.invoke(
        app, ["data", "split", "sample_data/defects", "--out", str(out), "--val", "0.2"]
    )
    assert done.exit_code == 0, done.output
    assert "all" in done.stdout
    assert "--split" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--val 1.5", "leave some for training"),
        ("--group-by (", "not a regular expression"),
        ("--group-by group", "has no 'group' column"),
    ],
)
def test_mistakes_exit_with_2_and_write_nothing(tmp_path, arguments, message):
    words = ["--out", f"{tmp_path}/split.csv", *arguments.split()]
    done = RUN.invoke(app, ["data", "split", "sample_data/defects", *words])
    assert done.exit_code == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
