"""`dnncli eval --edges`, as a black box."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

SAMPLE = Path(__file__).parents[2] / "sample_data" / "shapes_edge" / "test" / "edges"


@pytest.fixture(scope="module")
def run():
    from dnncli.cli.app import app

    return lambda *arguments: CliRunner().invoke(app, ["eval", *map(str, arguments)])


def test_json_has_the_four_scores_as_numbers(run):
    result = run(SAMPLE, "--truth", SAMPLE, "--edges", "--no-nms", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["ods"], found["ois"], found["r50"]) == (1.0, 1.0, 1.0)
    assert set(found["edges"]["curve"]) == {"threshold", "precision", "recall", "f"}
    assert len(found["per_image"]) == 8


def test_the_table_says_how_edges_were_made_thin_and_what_no_edge_gets(run):
    result = run(SAMPLE, "--truth", SAMPLE, "--edges", "--threshold", "0.2", "--tolerance", 2)
    assert result.exit_code == 0
    for words in ("ridges of the maps (NMS), thinned", "2 pixels", "ODS", "at --threshold", "96.8"):
        assert words in result.stdout
    assert "nan" not in result.stdout.lower()


def test_a_low_score_ends_with_3(run):
    result = run(SAMPLE, "--truth", SAMPLE, "--edges", "--fail-under", "ods=0.999")
    assert result.exit_code == 3
    assert "ods is 0.97" in result.stderr
    assert "ODS" in result.stdout


def test_masks_show_outlines_and_what_one_class_everywhere_gets(run):
    masks = SAMPLE.parents[2] / "cracks_seg" / "test" / "masks"
    result = run(masks, "--truth", masks, "--classes", "crack", "--tolerance", 2, "--json")
    found = json.loads(result.stdout)
    assert found["near"]["crack"]["outline"]["f"] == 1
    assert found["baselines"]["background"]["accuracy"] == pytest.approx(0.98539, abs=1e-5)
    assert found["baselines"]["background"]["per_class"]["crack"]["dice"] == 0
    shown = run(masks, "--truth", masks, "--classes", "crack", "--tolerance", 2)
    assert "background everywhere: 0.9854" in shown.stdout
    assert "Within 2 pixels" in shown.stdout
