"""`dnncli threshold` as a black box."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

TRUTH = "id,label\n" + "".join(f"r{row},{'P' if row % 2 else 'N'}\n" for row in range(40))
SCORES = "id,P\n" + "".join(f"r{row},{(row * 7 % 40) / 40}\n" for row in range(40))
BOTH = "id,N,P\n" + "".join(f"r{row},{1 - row / 40},{row / 40}\n" for row in range(40))
ARGUMENTS = ("p.csv", "--truth", "t.csv", "--positive", "P")


@pytest.fixture
def run(tmp_path, monkeypatch):
    from dnncli.cli.app import app

    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text(SCORES)
    (tmp_path / "t.csv").write_text(TRUTH)
    return lambda *arguments: CliRunner().invoke(app, ["threshold", *map(str, arguments)])


def no_constant(name):
    raise AssertionError(f"{name} is no strict JSON")


def test_json_is_the_object_that_the_file_holds(run, tmp_path):
    result = run(*ARGUMENTS, "--recall", "0.8", "--json", "--out", "thresholds.json")
    assert result.exit_code == 0
    found = json.loads(result.stdout, parse_constant=no_constant)
    assert found == json.loads((tmp_path / "thresholds.json").read_text())
    assert found["schema"] == "dnncli.threshold/1"
    assert (found["positive"], found["target_recall"], found["confidence"]) == ("P", 0.8, 0.95)
    assert (found["n_positive"], found["n_negative"]) == (20, 20)
    for rule in ("highest", "max_precision", "certified"):
        assert {"threshold", "recall", "precision", "flagged"} <= set(found[rule])
    assert found["certified"]["needed_positives"] == 14
    assert found["certified"]["allowed_misses"] == 0
    assert found["chosen"] == "certified"
    assert found["warnings"] == []
    assert "Written to thresholds.json." in result.stderr


def test_a_refusal_is_a_result_with_nulls_and_one_sentence(run):
    result = run(*ARGUMENTS, "--recall", "0.95", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout, parse_constant=no_constant)
    assert found["certified"]["feasible"] is False
    assert found["certified"]["threshold"] is None
    assert found["chosen"] == "max_precision"
    sentence = "20 positives; 0.95 at 95 % confidence needs 59; the best that can be certified is"
    assert sentence in found["warnings"][0]
    assert sentence in result.stderr


def test_people_see_the_rules_side_by_side_and_what_they_mean(run):
    result = run(*ARGUMENTS, "--recall", "0.8")
    assert result.exit_code == 0
    shown = " ".join(result.stdout.split())
    assert "certified (chosen)" in shown
    assert "positive P rows 20 positive, 20 other target recall >= 0.8" in shown
    assert "It holds for no other data." in shown
    assert "cannot judge it" in shown
    refused = run(*ARGUMENTS, "--recall", "0.95")
    assert "max_precision (chosen)" in refused.stdout
    assert "n/a" in refused.stdout


def test_without_a_positive_class_every_class_gets_a_threshold(run, tmp_path):
    (tmp_path / "p.csv").write_text(BOTH)
    result = run("p.csv", "--truth", "t.csv", "--recall", "0.8")
    assert result.exit_code == 0
    assert "--positive CLASS picks one" in result.stderr
    found = json.loads(run("p.csv", "--truth", "t.csv", "--recall", "0.8", "--json").stdout)
    assert (found["positive"], found["threshold"]) == (None, None)
    assert list(found["per_class"]) == ["N", "P"]


def test_several_labels_a_row(run, tmp_path):
    (tmp_path / "p.csv").write_text("id,x,y\na,0.9,0.8\nb,0.4,0.6\nc,0.1,0.2\n")
    (tmp_path / "t.csv").write_text("id,x,y\na,1,1\nb,0,1\nc,0,0\n")
    result = run("p.csv", "--truth", "t.csv", "--recall", "1", "--multi-label", "--json")
    assert result.exit_code == 0, result.stderr
    per_class = json.loads(result.stdout)["per_class"]
    assert {name: entry["threshold"] for name, entry in per_class.items()} == {"x": 0.9, "y": 0.6}


def test_rows_without_a_score_can_be_flagged_always(run, tmp_path):
    (tmp_path / "p.csv").write_text(SCORES.replace("r1,0.175", "r1,NaN"))
    refused = run(*ARGUMENTS, "--recall", "0.8")
    assert refused.exit_code == 2
    assert "'r1'" in refused.stderr
    found = run(*ARGUMENTS, "--recall", "0.8", "--nan", "positive", "--json")
    assert json.loads(found.stdout)["forced_flags"] == ["r1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*ARGUMENTS, "--recall", "1.2"), "--recall 1.2: must be above 0 and at most 1"),
        ((*ARGUMENTS, "--recall", "95"), "95 % is written 0.95"),
        ((*ARGUMENTS, "--recall", "0.9", "--rule", "best"), "--rule: Unknown value 'best'."),
        ((*ARGUMENTS, "--recall", "0.99", "--rule", "certified"), "needs 299"),
        (("p.csv", "--truth", "t.csv", "--positive", "Q", "--recall", "0.9"), "Unknown class 'Q'"),
        (("x.csv", "--truth", "t.csv", "--recall", "0.9"), "x.csv: no such file"),
        (("t.csv", "--truth", "t.csv", "--recall", "0.9"), "a threshold needs scores"),
        ((*ARGUMENTS, "--recall", "0.9", "--split", "test"), "no column 'split'"),
    ],
)
def test_mistakes_exit_with_2_one_message_and_no_file(run, tmp_path, arguments, message):
    before = sorted(path.name for path in tmp_path.iterdir())
    result = run(*arguments, "--out", "thresholds.json")
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_error_leaves_the_earlier_file_as_it_was(run, tmp_path):
    assert run(*ARGUMENTS, "--recall", "0.8", "--out", "thresholds.json").exit_code == 0
    before = (tmp_path / "thresholds.json").read_bytes()
    options = ("--recall", "0.99", "--rule", "certified", "--out", "thresholds.json")
    assert run(*ARGUMENTS, *options).exit_code == 2
    assert (tmp_path / "thresholds.json").read_bytes() == before


def test_a_threshold_is_chosen_without_tensorflow(run, tmp_path):
    code = (
        "import sys\n"
        "from dnncli.cli.app import app\n"
        f"app(['threshold', *{ARGUMENTS}, '--recall', '0.8', '--json'], standalone_mode=False)\n"
        "sys.exit(bool({'tensorflow', 'keras', 'PIL', 'sklearn', 'scipy', 'matplotlib'}"
        " & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["n_positive"] == 20
