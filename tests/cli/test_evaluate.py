"""`dnncli eval` as a black box."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases"
TRUTH = "id,label\na,P\nb,N\nc,P\nd,N\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    from dnncli.cli.app import app

    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["eval", *map(str, arguments)])


@pytest.fixture
def files(tmp_path):
    def write(texts):
        for name, content in texts.items():
            data = base64.b64decode(content["base64"]) if isinstance(content, dict) else content
            (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())

    return write


def test_json_is_one_object_on_stdout(run, files):
    files({"p.csv": "id,label\nd,N\nb,P\na,P\nc,P\n", "t.csv": TRUTH})
    result = run("p.csv", "--truth", "t.csv", "--beta", "0.5", "--beta", 2, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["accuracy"] == 0.75
    assert list(found["per_class"]["P"]["f"]) == ["0.5", "2"]
    assert result.stderr == ""


def test_tables_show_the_positive_class_first_and_undefined_as_not_available(run, files):
    files({"p.csv": "id,label\na,N\nb,N\nc,N\nd,N\n", "t.csv": TRUTH})
    result = run("p.csv", "--truth", "t.csv", "--positive", "P")
    assert result.exit_code == 0
    first = result.stdout.splitlines()[0]
    assert first.split() == ["positive", "P"]
    assert "n/a" in result.stdout
    assert "Undefined (0/0): precision in 1 of 2 classes; left out." in result.stdout
    assert "nan" not in result.stdout.lower()


def test_large_confusion_matrices_are_not_printed(run, files):
    ids = [f"c{index:02}" for index in range(21)]
    rows = "\n".join(f"{name},{name}" for name in ids)
    files({"p.csv": f"id,label\n{rows}\n", "t.csv": f"id,label\n{rows}\n"})
    result = run("p.csv", "--truth", "t.csv")
    assert result.exit_code == 0
    assert "Confusion matrix" not in result.stdout


def test_evaluate_is_another_name_for_eval(run, files):
    from dnncli.cli.app import app

    files({"p.csv": TRUTH, "t.csv": TRUTH})
    result = CliRunner().invoke(app, ["evaluate", "p.csv", "--truth", "t.csv", "--json"])
    assert json.loads(result.stdout)["accuracy"] == 1


def test_classes_come_from_a_list_or_a_file(run, files):
    files({"p.csv": TRUTH, "t.csv": TRUTH, "classes.txt": "P\nN\nM\n"})
    for classes in ("P,N,M", "classes.txt"):
        result = run("p.csv", "--truth", "t.csv", "--classes", classes, "--json")
        assert json.loads(result.stdout)["classes"] == ["P", "N", "M"]


def test_the_calibration_error_depends_on_the_bins_that_are_asked_for(run, files):
    # a, c, d are right and b is wrong, with confidences 0.6, 0.6, 0.6 and 1.
    files({"p.csv": "id,N,P\nd,.6,.4\nb,0,1\na,.4,.6\nc,.4,.6\n", "t.csv": TRUTH})
    # One bin: |3/4 - 0.7|. Two: the same, as all four lie above 0.5.
    # Ten: 3/4 * |1 - 0.6| + 1/4 * |0 - 1|.
    for bins, wanted in (("1", 0.05), ("2", 0.05), ("10", 0.55)):
        result = run("p.csv", "--truth", "t.csv", "--bins", bins, "--json")
        found = json.loads(result.stdout)["calibration"]
        assert found["n_bins"] == int(bins)
        assert found["ece"] == pytest.approx(wanted)
    assert run("p.csv", "--truth", "t.csv", "--bins", "0").exit_code == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tie", "first"], "--tie: Unknown value 'first'. Known: abstain, class-order."),
        (["--undefined", "2"], "--undefined: Unknown value '2'."),
        (["--beta", "-1"], "--beta -1.0: must be greater than 0"),
        (["--positive", "Q"], "--positive: Unknown class 'Q'. Known: N, P."),
        (["--classes", "A,B"], "class 'N' is not one of A, B."),
    ],
)
def test_mistakes_exit_with_2_one_message_and_no_file(run, files, tmp_path, options, message):
    files({"p.csv": TRUTH, "t.csv": TRUTH})
    result = run("p.csv", "--truth", "t.csv", "--out", "out", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "t.csv"]


def test_scoring_files_never_imports_tensorflow(files, tmp_path):
    files({"p.csv": "id,N,P\nd,1,0\nb,0,1\na,0,1\nc,0.5,0.5\n", "t.csv": TRUTH})
    code = (
        "import sys\n"
        "from dnncli.cli.app import app\n"
        "app(['eval', 'p.csv', '--truth', 't.csv', '--json'], standalone_mode=False)\n"
        "heavy = {'tensorflow', 'keras', 'PIL', 'matplotlib', 'sklearn', 'scipy'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["ties"] == 1


def alignment_cases():
    path = CASES / "files_alignment.json"
    if not path.exists():
        return []
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return [
        pytest.param(case, id=case["id"])
        for case in cases
        if "truth.csv" in case["input"]["files"] or case["id"] == "f26"
    ]


@pytest.mark.skipif(not CASES.exists(), reason="the worked cases are not in the repository")
@pytest.mark.parametrize("case", alignment_cases())
def test_worked_cases_of_alignment(case, run, files, tmp_path):
    given = case["input"]["files"]
    files(given)
    if "truth.csv" not in given:
        files({"truth.csv": "id,label\na,cat\nb,dog\n"})
    before = sorted(path.name for path in tmp_path.iterdir())
    result = run("m1.csv", "--truth", "truth.csv", "--json", "--out", "out")
    if "expect_error" in case:
        assert result.exit_code == 2
        for word in case["expect_error"]["must_mention"]:
            assert word in result.stderr
        for word in case["expect_error"].get("hint_must_mention", []):
            assert word.lower() in result.stderr.lower()
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        return
    assert result.exit_code == 0, result.stderr
    found, expect = json.loads(result.stdout), case["expect"]
    assert found["accuracy"] == pytest.approx(expect["accuracy"], abs=1e-12)
    assert found["n"] == expect.get("evaluated", found["n"])
    for word in case.get("expect_warning", {}).get("must_mention", []):
        assert word in result.stderr
        assert word in " ".join(found["warnings"])
    if "binary" in expect:
        ours = found["per_class"][expect["binary"]["positive"]]
        assert {key: ours[key] for key in ("tp", "fp", "fn", "tn")} == {
            key: expect["binary"][key] for key in ("tp", "fp", "fn", "tn")
        }


def metrics_cases():
    path = CASES / "metrics_hard.json"
    if not path.exists():
        return []
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=case["id"]) for case in cases]


@pytest.mark.skipif(not CASES.exists(), reason="the worked cases are not in the repository")
@pytest.mark.parametrize("case", metrics_cases())
def test_worked_cases_of_scores(case, run, files):
    given = case["input"]
    weights = given.get("sample_weight")
    head = "id,label,weight" if weights else "id,label"
    truth = [head, *(f"{i},{label}" for i, label in zip(given["ids"], given["y_true"]))]
    if weights:
        truth = [head, *(f"{row},{weight}" for row, weight in zip(truth[1:], weights))]
    rows = ["id,label", *(f"{i},{label}" for i, label in zip(given["ids"], given["y_pred"]))]
    files({"m1.csv": "\n".join(rows) + "\n", "truth.csv": "\n".join(truth) + "\n"})
    options = ["--classes", ",".join(given["classes"])]
    if positive := case["options"].get("positive"):
        options += ["--positive", positive]
    options += ["--beta", "0.5", "--beta", "1", "--beta", "2"]
    result = run("m1.csv", "--truth", "truth.csv", "--json", *options)
    if "expect_error" in case:
        assert result.exit_code == 2
        for word in case["expect_error"].get("must_mention", []):
            assert word in result.stderr
        return
    assert result.exit_code == 0, result.stderr
    found, expect = json.loads(result.stdout), case["expect"]
    assert found["positive"] == case["options"].get("positive")
    assert found["accuracy"] == pytest.approx(expect["accuracy"], abs=1e-12)
    for name, wanted in expect["per_class"].items():
        ours = found["per_class"][name]
        got = {**ours, **{f"f{beta}": value for beta, value in ours["f"].items()}}
        assert {key: got[key] for key in wanted} == pytest.approx(wanted, abs=1e-12)
    for kind, wanted in expect["averages_by_zero_division"]["nan"].items():
        ours = found["averages"][kind]
        got = {**ours, **{f"f{beta}": value for beta, value in ours["f"].items()}}
        assert {key: got[key] for key in wanted} == pytest.approx(wanted, abs=1e-12)


def test_a_missed_gate_exits_with_3_after_everything_is_printed_and_written(run, files, tmp_path):
    files({"p.csv": "id,label\nd,N\nb,P\na,P\nc,N\n", "t.csv": TRUTH})
    gates = ["--fail-under", "recall.P=0.95", "--fail-under", "accuracy=0.5"]
    gates += ["--fail-under", "precision.N=0.9"]
    result = run("p.csv", "--truth", "t.csv", "--out", "out", "--json", *gates)
    assert result.exit_code == 3
    assert [entry["met"] for entry in json.loads(result.stdout)["gates"]] == [False, True, False]
    assert (tmp_path / "out" / "metrics.json").exists()
    assert result.stderr.splitlines()[-2:] == [
        "not met: recall.P is 0.5, not >= 0.95.",
        "not met: precision.N is 0.5, not >= 0.9.",
    ]
    passed = run("p.csv", "--truth", "t.csv", "--fail-under", "recall.P=0.5")
    assert passed.exit_code == 0


def test_a_gate_that_is_no_score_exits_with_2_before_anything_is_computed(run, files, tmp_path):
    files({"p.csv": TRUTH, "t.csv": TRUTH})
    result = run("p.csv", "--truth", "t.csv", "--out", "out", "--fail-under", "recal.P=0.9")
    assert result.exit_code == 2
    assert "--fail-under recal.P: no such score. Did you mean 'recall'?" in result.stderr
    assert not (tmp_path / "out").exists()


def test_intervals_thresholds_and_missed_rows_are_shown(run, files):
    files(
        {
            "p.csv": "id,P,N\na,0.4,0.6\nb,0.3,0.7\nc,0.2,0.8\nd,0.1,0.9\n",
            "t.csv": "id,label,site\na,P,x\nb,N,y\nc,P,y\nd,N,x\n",
        }
    )
    options = ["--positive", "P", "--threshold", "0.4", "--slices", "site", "--against", "p.csv"]
    result = run("p.csv", "--truth", "t.csv", *options)
    assert result.exit_code == 0, result.stderr
    shown = result.stdout
    assert "score >= 0.4" in shown
    assert "1: c" in shown
    assert "0.500 [0.013, 0.987]" in shown
    assert "always the most frequent class" in shown
    assert "They assume independent rows" in shown
    assert "By site, scores of 'P'" in shown
    assert "x (few)" in shown
    assert "Against p.csv" in shown
