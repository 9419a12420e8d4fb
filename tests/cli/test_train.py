"""`dnncli train` for high recall, as people and programs see it."""

import json

import pytest
from map_support import write_squares
from typer.testing import CliRunner

from dnncli.cli.app import app

GOAL = ("--regime", "high-recall", "--positive", "dots")
QUICK = ("--model", "mlp", "--augment", "none", "--epochs", "1", "--set", "run.tensorboard=false")


def run(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def test_a_dry_run_shows_settings_plan_and_notes(patterns):
    shown = run(patterns, *GOAL, "--recall", "0.6", "--confidence", "0.9", "--dry-run")
    assert shown.exit_code == 0
    assert 'name = "high-recall"' in shown.stdout
    assert "confidence = 0.9" in shown.stdout
    assert "# positive = dots" in shown.stdout
    assert "# monitor = val_precision_at_recall" in shown.stdout
    assert "2 positives in validation; 0.6 at 90 % confidence needs 5" in shown.stderr


def test_a_dry_run_is_one_json_object_with_its_notes(patterns):
    shown = run(patterns, *GOAL, "--dry-run", "--json")
    told = json.loads(shown.stdout)
    assert told["plan"]["val_positives"] == 2
    assert "needs 59" in told["notes"][0]


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (("--regime", "high-recal"), "regime.name: Input should be 'balanced' or 'high-recall'"),
        (("--regime", "high-recall"), "Name it with --positive: across, dots, down"),
        (("--regime", "high-recall", "--positive", "dot"), "Did you mean 'dots'?"),
        (("--recall", "0.9"), "Name it with --positive CLASS"),
        ((*GOAL, "--val", "0"), "Give a share with --val 0.2"),
        ((*GOAL, "--recall", "95"), "regime.recall: Input should be less than or equal to 1"),
    ],
)
def test_a_goal_that_makes_no_sense_ends_with_one_message(patterns, tmp_path, options, answer):
    shown = run(patterns, *options, "--out", tmp_path / "run")
    assert shown.exit_code == 2
    assert answer in shown.stderr
    assert shown.stdout == ""
    assert not (tmp_path / "run").exists()


def test_the_result_says_what_the_validation_rows_chose(patterns, tmp_path):
    out = tmp_path / "run"
    shown = run(patterns, *GOAL, *QUICK, "--recall", "0.9", "--out", out)
    assert shown.exit_code == 0, shown.output
    assert "best val_precision_at_recall" in shown.stdout
    assert "(max_precision, recall >= 0.9)" in " ".join(shown.stdout.split())
    assert "temperature" in shown.stdout
    assert "2 positives in validation; 0.9 at 95 % confidence needs 29" in shown.stderr
    assert "chose the epoch, the threshold and the temperature" in shown.stderr
    assert f"--thresholds {out / 'thresholds.json'}" in shown.stderr


def test_runs_of_several_seeds_are_a_table_and_one_json_object(patterns, tmp_path):
    shown = run(patterns, *QUICK, "--seeds", "1, 2", "--out", tmp_path / "pair")
    assert shown.exit_code == 0, shown.output
    for word in ("seed 1", "seed 2", "mean", "sd"):
        assert word in shown.stdout
    assert f"dnncli consensus {tmp_path / 'pair'}" in shown.stderr
    more = ("--seeds", "1,2,3", "--resume", "--json", "--out", tmp_path / "pair")
    told = json.loads(run(patterns, *more).stdout)
    assert told["schema"] == "dnncli.train-seeds/1"
    assert told["trained"] == [3]
    assert [entry["run"] for entry in told["runs"]] == [
        str(tmp_path / "pair" / f"seed-{seed}") for seed in (1, 2, 3)
    ]


@pytest.mark.parametrize("text", ["1,two", "1,,2", "1;2", "1,--2", "²"])
def test_seeds_that_are_no_numbers_are_named(patterns, text):
    shown = run(patterns, "--seeds", text, "--dry-run")
    assert shown.exit_code == 2
    assert "is no whole number. Write 1,2,3." in shown.stderr


@pytest.mark.parametrize("text", ["--8", "²", "half"])
def test_a_batch_size_that_is_no_number_is_refused(patterns, text):
    shown = run(patterns, f"--batch-size={text}", "--dry-run")
    assert shown.exit_code == 2
    assert "batch_size" in shown.stderr


@pytest.mark.parametrize(
    ("test", "said"),
    [("0.2", "on other rows: dnncli eval"), ("0", "No rows are kept for the test.")],
)
def test_other_rows_are_named_only_if_there_are_some(patterns, tmp_path, test, said):
    options = (*QUICK, "--set", f"data.test={test}", "--out", tmp_path / "run")
    shown = run(patterns / "train", *options)
    assert shown.exit_code == 0, shown.output
    assert said in shown.stderr


def test_masks_are_trained_on_and_judged_by_their_own_scores(tmp_path):
    data = write_squares(tmp_path / "squares")
    small = ("--set", "model.options={width = 2, depth = 2}", "--set", "run.tensorboard=false")
    shown = run(data, *small, "--epochs", "1", "--out", tmp_path / "run")
    assert shown.exit_code == 0, shown.output
    assert "Dice" in shown.stdout and "pixel accuracy" in shown.stdout
    assert "temperature" not in shown.output
