"""`dnncli consensus` as a user sees it."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from dnncli.cli.app import app

CLASSES = "id,label\n"


@pytest.fixture
def files(tmp_path):
    for name, votes in {"a": "PPNNP", "b": "PPNPN", "c": "PNNNN", "truth": "PPNPP"}.items():
        rows = "".join(f"i{place},{vote}\n" for place, vote in enumerate(votes))
        (tmp_path / f"{name}.csv").write_text(CLASSES + rows)
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, ["consensus", *map(str, words)])


def strict(text):
    def refuse(word):
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


def of(folder):
    return [folder / f"{name}.csv" for name in "abc"]


def test_the_headline_names_rule_coverage_and_best_model(files):
    result = run(*of(files), "--truth", files / "truth.csv", "--positive", "P")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split(maxsplit=1) == ["consensus", "majority of 3 models"]
    assert any(line.startswith("decided") and "5 decided" in line for line in lines)
    assert any("best model" in line and "0.8000 (a)" in line for line in lines)
    assert "warning: majority lowers the recall of 'P'" in result.stderr


def test_every_column_is_explained_below_the_tables(files):
    lines = run(*of(files), "--truth", files / "truth.csv", "--positive", "P").stdout.splitlines()
    below = [line.partition(":")[0] for line in lines if not line.startswith("│")]
    assert {"agrees", "agreement", "recall of 'P'", "Cost"} <= set(below)
    assert {"agrees", "recall of 'P'"}.isdisjoint(run(files / "a.csv").stdout.split(":"))


def test_json_has_the_promised_keys_and_is_strict(files):
    result = run(*of(files), "--truth", files / "truth.csv", "--positive", "P", "--json")
    found = strict(result.stdout)
    assert found["schema"] == "dnncli.consensus/1"
    assert {
        *("models", "classes", "method", "options", "n", "coverage", "status_counts", "agreement"),
        *("members", "scores", "coverage_table", "baselines", "warnings"),
    } <= set(found)
    assert {"fleiss_kappa", "krippendorff_alpha", "pairwise", "unanimous"} <= set(
        found["agreement"]
    )
    assert {
        *("agree", "coverage", "accuracy_decided", "recall_excluding", "recall_missed"),
        *("recall_caught", "review"),
    } <= set(found["coverage_table"][0])
    assert {"majority", "best_single"} <= set(found["baselines"])
    assert found["members"]["a"]["accuracy"] == 4 / 5
    assert found["scores"]["per_class"]["P"]["recall"] == 1 / 2


def test_undefined_numbers_are_null_and_not_available(files):
    for name in "abc":
        (files / f"{name}.csv").write_text(CLASSES + "i0,P\ni1,P\n")
    found = strict(run(*of(files), "--json").stdout)
    assert found["agreement"]["fleiss_kappa"] is None
    assert "Fleiss kappa n/a" in run(*of(files)).stdout


def test_the_second_name_is_understood(files):
    words = ["ensemble", *map(str, of(files)), "--json"]
    assert strict(CliRunner().invoke(app, words).stdout)["n"] == 5


def test_weights_may_be_given_several_times(files):
    words = ["--weights", "a=3", "--weights", "b=1,c=1", "--json"]
    found = strict(run(*of(files), *words).stdout)
    assert found["weights"] == {"a": 3, "b": 1, "c": 1}
    assert found["decided"] == {"N": 2, "P": 3}  # as a says


def test_weights_may_stand_in_a_file(files):
    (files / "w.json").write_text('{"a": 0.1, "b": 0.1, "c": 0.1}')
    words = ["--weights", files / "w.json", "--agree", "2/3", "--json"]
    assert strict(run(*of(files), *words).stdout)["coverage"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--agree", "80"], "at most 1; 80 % is written 0.8."),
        (["--method", "mean"], "needs probabilities"),
        (["--weights", "a=1,b=1"], "c: has no weight"),
        (["--positive", "Q"], "Unknown class 'Q'"),
    ],
)
def test_a_mistake_is_one_message_and_writes_nothing(files, words, message):
    result = run(*of(files), *words, "--out", files / "out")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("error") == 1
    assert message in result.stderr
    assert not (files / "out").exists()


def test_the_rule_for_a_target_recall_is_shown(files):
    words = ["--positive", "P", "--target-recall", "0.5", "--truth-val", files / "truth.csv"]
    result = run(*of(files), *words)
    assert result.exit_code == 0, result.output
    assert "0.5 of 'P', not certified" in result.stdout
    assert "'P' if" in result.stdout
    assert strict(run(*of(files), *words, "--json").stdout)["options"]["target_recall"] == 0.5


def test_a_missing_file_is_named(files):
    result = run(*of(files), files / "d.csv")
    assert result.exit_code == 2
    assert "d.csv: no such file" in result.stderr


def test_files_start_neither_tensorflow_nor_matplotlib(files):
    program = (
        "import sys\n"
        "from dnncli.cli.app import app\n"
        f"app(['consensus', *{[str(path) for path in of(files)]!r}, '--json'],"
        " standalone_mode=False)\n"
        "print({'tensorflow', 'keras', 'matplotlib', 'PIL'} & set(sys.modules), file=sys.stderr)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stderr.splitlines()[-1] == "set()"


def test_numbers_are_averaged_with_scores_any(files):
    for name, value in (("a", 10), ("b", 14)):
        (files / f"{name}.csv").write_text(f"id,kg\ni0,{value}\n")
    words = ["--scores", "any"]
    found = strict(run(files / "a.csv", files / "b.csv", *words, "--json").stdout)
    assert (found["kind"], found["spread"]) == ("value", 2)
    assert "spread" in run(files / "a.csv", files / "b.csv", *words).stdout
