"""`dnncli eval` on masks, as a black box."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases" / "masks.json"
SAMPLE = Path(__file__).parents[2] / "sample_data" / "cracks_seg" / "test" / "masks"


@pytest.fixture
def run(tmp_path, monkeypatch):
    from dnncli.cli.app import app

    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["eval", *map(str, arguments)])


@pytest.fixture
def save(tmp_path):
    def write(folder, *masks):
        (tmp_path / folder).mkdir()
        for number, mask in enumerate(masks):
            Image.fromarray(np.array(mask, np.uint8)).save(tmp_path / folder / f"{number}.png")

    return write


def test_json_is_one_object_with_scores_by_class_and_by_picture(run, save):
    save("truth", [[0, 1], [1, 1]], [[0, 0]])
    save("model", [[0, 1], [1, 0]], [[0, 0]])
    result = run("model", "--truth", "truth", "--beta", 2, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    entry = found["per_class"]["foreground"]
    assert (entry["tp"], entry["fp"], entry["fn"]) == (2, 0, 1)
    assert entry["dice"] == 0.8
    assert entry["f"]["2"] == pytest.approx(10 / 14)
    assert [image["per_class"]["foreground"]["dice"] for image in found["per_image"]] == [0.8, None]
    assert found["pooled"]["accuracy"] == pytest.approx(5 / 6)
    assert entry["intervals"] is None


def test_tables_name_pooled_scores_and_means_by_picture(run, save):
    save("truth", [[0, 1], [1, 1]], [[0, 0]])
    save("model", [[0, 1], [1, 0]], [[0, 0]])
    result = run("model", "--truth", "truth", "--classes", "crack", "--positive", "crack")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split() == ["positive", "crack"]
    assert "Pooled: pixels of all pictures together" in result.stdout
    assert "By picture: mean over the pictures" in result.stdout
    assert "Correctly empty" in result.stdout
    assert "nan" not in result.stdout.lower()
    assert "too few for intervals" in result.stderr


def test_many_pictures_have_intervals_in_the_table(run):
    result = run(SAMPLE, "--truth", SAMPLE)
    assert result.exit_code == 0
    assert "[1.000, 1.000]" in result.stdout
    assert "whole pictures were drawn again" in result.stdout


def test_a_low_score_ends_with_3_and_everything_is_printed(run, save):
    save("truth", [[0, 1], [1, 1]])
    save("model", [[0, 1], [0, 0]])
    result = run("model", "--truth", "truth", "--fail-under", "iou.foreground=0.9")
    assert result.exit_code == 3
    assert "not met: iou.foreground is 0.33" in result.stderr
    assert "foreground" in result.stdout


def test_mixed_numbers_end_with_2_and_say_what_to_do(run, save):
    save("truth", [[0, 255]])
    save("model", [[0, 1]])
    result = run("model", "--truth", "truth")
    assert result.exit_code == 2
    assert result.stdout == ""
    for word in ("255", "--binary", "--classes", "--ignore"):
        assert word in result.stderr
    assert run("model", "--truth", "truth", "--binary").exit_code == 0


def test_masks_of_different_sizes_end_with_2_and_name_both(run, save):
    save("truth", [[0, 1]])
    save("model", [[0, 1], [1, 1]])
    result = run("model", "--truth", "truth", "--out", "out")
    assert result.exit_code == 2
    assert "'0': 2 x 1 pixels in truth, 2 x 2 pixels in model" in result.stderr
    assert not Path("out").exists()


def cases():
    if not CASES.exists():
        return []
    found = json.loads(CASES.read_text())["cases"]
    return [pytest.param(case, id=case["id"]) for case in found if "masks" not in case["input"]]


@pytest.mark.skipif(not CASES.exists(), reason="the worked cases are not here")
@pytest.mark.parametrize("case", cases())
def test_worked_cases_come_out(run, save, case):
    given, expected = case["input"], case.get("expect", {})
    pictures = given.get("images", [given])
    save("truth", *(picture["truth"] for picture in pictures))
    save("model", *(picture["pred"] for picture in pictures))
    classes = ",".join(map(str, given["classes"]))

    def scored(*options):
        return run(
            "model", "--truth", "truth", "--classes", classes, "--beta", 2, "--json", *options
        )

    result = scored()
    if "expect_error" in case:
        assert result.exit_code == 2
        assert all(word in result.stderr for word in case["expect_error"]["must_mention"])
        return
    found = json.loads(result.stdout)
    for name, values in expected.get("per_class", {}).items():
        entry = found["per_class"][name]
        ours = {key: entry["f"]["2"] if key == "f2" else entry[key] for key in values}
        assert ours == pytest.approx(values, abs=1e-9)
    if "pooled_dice" in expected:
        (name,) = found["per_class"]
        dices = [image["per_class"][name]["dice"] for image in found["per_image"]]
        assert dices == pytest.approx(expected["per_image_dice"])
        entry = found["per_class"][name]
        assert entry["dice"] == pytest.approx(expected["pooled_dice"])
        for key in ("n_defined", "n_correctly_empty"):
            assert entry["images"][key] == expected[key]
        for undefined, key in (("skip", "defined_only"), ("0", "empty_as_0"), ("1", "empty_as_1")):
            again = json.loads(scored("--undefined", undefined).stdout)["per_class"][name]
            assert again["images"]["dice"] == pytest.approx(expected[f"mean_dice_{key}"])
