"""Edge maps scored against drawn edges, as a call."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from map_support import write_pictures

from dnncli import evaluate
from dnncli.errors import ConfigError, DataError
from dnncli.services.evaluation.edges import EdgeOptions, evaluate_edge_maps

SAMPLE = Path(__file__).parents[2] / "sample_data" / "shapes_edge" / "test" / "edges"


def line(row, value=255, size=24):
    drawn = np.zeros((size, size), np.uint8)
    drawn[row, 8:16] = value
    return drawn


def scored(target, truth, **options):
    return evaluate(target, truth=truth, edges=True, **options)


def test_drawn_edges_against_themselves_are_perfect_without_nms():
    report = scored(SAMPLE, SAMPLE, nms=False)
    assert (report.ods, report.ois, report.r50) == (1, 1, 1)
    assert report.n == len(report.per_image) == 8
    assert report.annotators == (1, 1)
    assert report.edges.intervals is None
    assert any("Every threshold gives the same edges" in warning for warning in report.warnings)


def test_drawn_edges_against_themselves_are_nearly_perfect_as_ridges():
    report = scored(SAMPLE, SAMPLE)
    assert report.ods > 0.95
    assert report.ap > 0.9


def test_edges_one_pixel_off_are_right_within_a_tolerance(tmp_path):
    truth = write_pictures(tmp_path / "truth", a=line(10))
    maps = write_pictures(tmp_path / "maps", a=line(11))
    assert scored(maps, truth, tolerance=1, nms=False).ods == 1
    assert scored(maps, truth, tolerance=0, nms=False).ods == 0
    assert scored(maps, truth, tolerance=0.0075, nms=False).ods == 0  # 0.25 pixels


def test_several_annotators_are_folders_and_may_lack_pictures(tmp_path):
    truth = tmp_path / "edges"
    write_pictures(truth / "ann", a=line(6), b=line(6))
    write_pictures(truth / "bob", a=line(18))
    maps = write_pictures(tmp_path / "maps", a=np.maximum(line(6), line(18)), b=line(6), c=line(6))
    report = scored(maps, truth, nms=False)
    assert report.annotators == (1, 2)
    assert [image.annotators for image in report.per_image] == [2, 1]
    # Each drew one line of the first picture: both are right, and each finds all.
    assert (report.ods, report.edges.ods.recall) == (1, 1)
    assert "1 of 3 maps are not in" in report.warnings[0]


def test_folders_that_the_maps_have_too_are_no_annotators(tmp_path):
    truth = write_pictures(tmp_path / "truth", day__a=line(6), night__a=line(6))
    report = scored(truth, truth, nms=False)
    assert [image.id for image in report.per_image] == ["day/a", "night/a"]


def test_grey_truth_counts_from_one_half_and_says_so(tmp_path):
    grey = np.maximum(line(6, 128), line(16, 127))
    truth = write_pictures(tmp_path / "truth", a=grey)
    report = scored(write_pictures(tmp_path / "maps", a=line(6)), truth, nms=False)
    assert report.ods == 1
    assert "50.0% of the pixels" in report.warnings[0]


def test_truth_of_0_and_1_is_read_as_edges(tmp_path):
    truth = write_pictures(tmp_path / "truth", a=line(6, 1))
    report = scored(write_pictures(tmp_path / "maps", a=line(6)), truth, nms=False)
    assert report.ods == 1
    assert not any("grey" in warning for warning in report.warnings)


def test_a_threshold_is_judged_by_itself(tmp_path):
    truth = write_pictures(tmp_path / "truth", a=line(6))
    maps = write_pictures(tmp_path / "maps", a=np.maximum(line(6, 200), line(16, 100)))
    report = scored(maps, truth, nms=False, threshold=0.123, fail_under=["ods=0.9", "ap=1"])
    assert report.edges.at_threshold.precision == 0.5
    assert report.edges.at_threshold.threshold == 0.123
    assert (report.edges.ods_plain.f, report.edges.ods_plain.threshold) == (1, 0.4)
    assert len(report.edges.curve.threshold) == 99
    assert [gate.met for gate in report.gates] == [True, False]


def test_saying_no_edge_everywhere_is_printed_as_baseline(tmp_path):
    truth = write_pictures(tmp_path / "truth", a=line(6))
    report = scored(write_pictures(tmp_path / "maps", a=np.zeros((24, 24))), truth)
    assert (report.ods, report.ois, report.ap) == (0, 0, 0)
    assert report.baseline.accuracy == 1 - 8 / 576
    assert any("nothing is predicted" in warning for warning in report.warnings)
    empty = scored(truth, write_pictures(tmp_path / "empty", a=np.zeros((24, 24))))
    assert math.isnan(empty.edges.ods.recall)
    assert any("recall is undefined" in warning for warning in empty.warnings)


def test_pixels_of_no_class_are_not_judged():
    truth = line(6) // 255
    truth[:, 12:] = 255
    report = evaluate_edge_maps(
        ["a"],
        lambda _: line(6) / 255,
        lambda _: [truth],
        options=EdgeOptions(nms=False, thresholds=(0.5,)),
        names=("maps", "truth"),
    )
    assert (report.pixels, report.ignored) == (24 * 12, 24 * 12)
    assert report.per_image[0].true_edges == 4
    assert report.ods == 1


def test_many_pictures_have_intervals_around_the_score(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"p{number}" for number in range(12)]
    truth = write_pictures(tmp_path / "truth", **{name: line(6) for name in names})
    maps = {name: line(6) * (rng.random((24, 24)) < 0.6) + line(18) for name in names}
    report = scored(write_pictures(tmp_path / "maps", **maps), truth, nms=False)
    low, high = report.edges.intervals["ods"]
    assert 0 < low < report.edges.ods_plain.f < high < 1


def test_everything_is_written_and_replaced_as_a_whole(tmp_path):
    truth = write_pictures(tmp_path / "truth", a=line(6))
    for _ in range(2):
        report = scored(truth, truth, nms=False, out=tmp_path / "out")
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"metrics.json", "curve.csv", "per_image.csv", "pr.png"}
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (written["kind"], written["ods"], written["out"]) == ("edges", 1.0, str(report.out))
    with (tmp_path / "out" / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 99
    assert (rows[0]["threshold"], rows[0]["f"]) == ("0.01", "1.0")


def test_maps_that_do_not_fit_are_named_before_anything_is_matched(tmp_path):
    truth = write_pictures(tmp_path / "truth", a=line(6), b=line(6))
    maps = write_pictures(tmp_path / "maps", a=line(6))
    with pytest.raises(DataError, match="no map for 1 of 2 ids"):
        scored(maps, truth)
    write_pictures(tmp_path / "maps", b=np.zeros((5, 6)))
    with pytest.raises(DataError, match="24 x 24 pixels in .*truth, 6 x 5 pixels in"):
        scored(maps, truth)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"beta": 2}, None),
        ({"positive": "edge"}, "--positive: is not for edges"),
        ({"classes": ("edge",)}, "--classes: is not for edges"),
        ({"ignore": 3}, "--ignore: is not for edges"),
        ({"tolerance": -1}, "--tolerance -1: must be a share"),
        ({"threshold": 0}, "--threshold 0: must lie above 0"),
        ({"fail_under": ["odds=0.5"]}, "Did you mean 'ods'"),
        ({"fail_under": ["dice.edge=0.5"]}, "no such score"),
        ({"fail_under": ["ods=2"]}, "VALUE from 0 to 1"),
    ],
)
def test_options_that_make_no_sense_are_named(options, words):
    if words is None:
        options, words = {"betas": (2,)}, "--beta: is not for edges"
    with pytest.raises(ConfigError, match=words):
        scored(SAMPLE, SAMPLE, **options)


def test_options_for_maps_are_refused_for_tables_and_masks(tmp_path):
    table = tmp_path / "p.csv"
    table.write_text("id,label\n1,a\n")
    for options in ({"edges": True}, {"tolerance": 2}, {"nms": False}):
        with pytest.raises(ConfigError, match="for edges and masks"):
            evaluate(table, truth=table, **options)
    with pytest.raises(ConfigError, match="--no-nms: is not for masks"):
        evaluate(SAMPLE, truth=SAMPLE, nms=False)
    with pytest.raises(ConfigError, match="--truth PATH"):
        evaluate(SAMPLE, edges=True)


def test_tensorflow_is_not_loaded():
    code = (
        "import sys, dnncli; "
        f"dnncli.evaluate({str(SAMPLE)!r}, truth={str(SAMPLE)!r}, edges=True, nms=False); "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
