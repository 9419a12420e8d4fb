"""Masks scored against true masks, as a call."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dnncli import evaluate
from dnncli.data.map_writer import write_maps
from dnncli.errors import ConfigError, DataError

SAMPLE = Path(__file__).parents[2] / "sample_data" / "cracks_seg" / "test" / "masks"


@pytest.fixture
def masks(tmp_path):
    """Writes a folder of masks, given as rows of digits ("01 10"); 9 stands for 255."""

    def write(name, texts, **options):
        def numbers(text):
            values = np.array([[int(digit) for digit in row] for row in text.split()], np.uint8)
            return np.where(values == 9, 255, values).astype(np.uint8)

        write_maps(
            tmp_path / name, ((key, numbers(text)) for key, text in texts.items()), **options
        )
        return tmp_path / name

    return write


def test_masks_are_matched_by_id_in_any_order(masks):
    truth = masks("truth", {"a": "0110", "b/c": "11 00"})
    report = evaluate(masks("model", {"b/c": "10 00", "a": "0110"}), truth=truth)
    assert [image.id for image in report.per_image] == ["a", "b/c"]
    assert [image.per_class["foreground"].tp for image in report.per_image] == [2, 1]
    assert report.n == 2
    assert report.pixels == 8
    assert report.per_class["foreground"].recall == 0.75


def test_a_folder_and_an_npz_of_the_same_masks_get_the_same_scores(masks):
    truth = masks("truth", {"a": "0120", "b": "1100"})
    texts = {"a": "0110", "b": "1200"}
    one, other = (evaluate(masks(name, texts), truth=truth) for name in ("model", "model.npz"))
    assert one.per_class == other.per_class
    assert one.pooled == other.pooled


def test_a_mask_against_itself_is_perfect():
    report = evaluate(SAMPLE, truth=SAMPLE)
    assert report.pooled.accuracy == 1
    assert report.per_class["foreground"].dice == 1
    assert report.binary
    assert "255 is taken as the foreground" in report.warnings[0]


def test_void_pixels_of_a_declared_number_are_left_out(masks):
    truth = masks("truth", {"a": "0129"})
    model = masks("model", {"a": "0111"})
    with pytest.raises(DataError, match="255 is no class"):
        evaluate(model, truth=truth)
    report = evaluate(model, truth=truth, ignore=255)
    assert report.classes == ("0", "1", "2")
    assert (report.pixels, report.ignored) == (3, 1)


def test_undecided_pixels_of_a_prediction_are_wrong_for_their_class(masks):
    truth = masks("truth", {"a": "0011"})
    model = masks("model", {"a": "0919"}, class_names=("ground", "crack"), void=255)
    report = evaluate(model, truth=truth)
    assert report.undecided == 2
    assert report.per_class["crack"].recall == 0.5
    assert report.per_class["crack"].precision == 1
    assert report.confusion.undecided == [1, 1]


def test_undecided_masks_of_two_named_classes_fit_a_truth_of_0_and_255(masks):
    truth = masks("truth", {"a": "0099"})
    model = masks("model", {"a": "0919"}, class_names=("ground", "crack"), void=255)
    report = evaluate(model, truth=truth)
    assert (report.binary, report.undecided) == (True, 2)
    assert report.per_class["crack"].tp == 1


def test_a_void_class_among_the_names_of_the_truth_is_void_in_plain_predictions_too(masks):
    truth = masks("truth", {"a": "0122"}, class_names=("sky", "road", "void"), void=2)
    report = evaluate(masks("model", {"a": "2112"}), truth=truth)
    assert report.classes == ("sky", "road")
    assert (report.ignored, report.undecided) == (2, 1)
    assert report.per_class["sky"].fn == 1


def test_classes_that_the_files_declare_must_be_the_same(masks):
    truth = masks("truth", {"a": "01"}, class_names=("sky", "road"))
    model = masks("model", {"a": "01"}, class_names=("road", "sky"))
    with pytest.raises(DataError, match="Classes differ") as error:
        evaluate(model, truth=truth)
    assert "road, sky" in str(error.value)
    assert evaluate(model, truth=truth, classes=("road", "sky")).classes == ("road", "sky")


def test_maps_of_shares_are_decided_by_a_threshold_that_includes_it(tmp_path, masks):
    truth = masks("truth", {"a": "0011"})
    model = tmp_path / "model.npz"
    np.savez(model, a=np.array([[0.1, 0.3, 0.3, 0.9]], np.float32))
    report = evaluate(model, truth=truth, threshold=0.3)
    assert report.per_class["foreground"].tp == 2
    assert report.per_class["foreground"].fp == 1
    with pytest.raises(DataError, match="--threshold"):
        evaluate(model, truth=truth)


def test_masks_taken_for_shares_are_remarked_on(masks):
    truth = masks("truth", {"a": "0011"})
    report = evaluate(masks("model", {"a": "0011"}), truth=truth, threshold=0.5)
    assert report.per_class["foreground"].dice == 0
    assert any("No value reaches --threshold 0.5" in warning for warning in report.warnings)


def test_pictures_whose_positive_class_was_not_found_are_missed(masks):
    truth = masks("truth", {"a": "01", "b": "02", "c": "10", "d": "00"})
    model = masks("model", {"a": "10", "b": "01", "c": "10", "d": "01"})
    report = evaluate(model, truth=truth, positive="1")
    assert report.missed == ["a"]
    with pytest.raises(ConfigError, match="Unknown class 'crack'. Known: 0, 1, 2"):
        evaluate(model, truth=truth, positive="crack")


def test_extra_masks_are_left_out_and_said_so(masks):
    truth = masks("truth", {"a": "01"})
    report = evaluate(masks("model", {"a": "01", "b": "10"}), truth=truth)
    assert report.n == 1
    assert any("1 of 2 maps" in warning for warning in report.warnings)


def test_every_mask_that_cannot_be_used_is_named_at_once(tmp_path, masks):
    truth = masks("truth", {"a": "01", "b": "01", "c": "01"})
    model = tmp_path / "model.npz"
    np.savez(model, a=np.ones((1, 2)), b=np.ones((1, 2)), c=np.ones((1, 2), np.uint8))
    with pytest.raises(DataError) as error:
        evaluate(model, truth=truth)
    assert [problem.count("holds floats") for problem in error.value.problems] == [1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"multi_label": True}, "--multi-label: is not for masks"),
        ({"against": "x.csv"}, "--against: is not for masks"),
        ({"slices": ("folder",)}, "--slices: is not for masks"),
        ({"tie": "class-order"}, "--tie: is not for masks"),
        ({"nan": "positive"}, "--nan: is not for masks"),
        ({"bins": 10}, "--bins: is not for masks"),
        ({"betas": (0.0,)}, "--beta 0.0: must be greater than 0"),
        ({"undefined": "2"}, "--undefined: Unknown value '2'"),
        ({"confidence": 1.0}, "--confidence 1: must lie between 0 and 1"),
        ({"threshold": float("nan")}, "--threshold nan: must lie between 0 and 1"),
        ({"threshold": 128.0}, "--threshold 128: must lie between 0 and 1; of 8 bits"),
        ({"normalize_ids": "nfd"}, "--normalize-ids: Unknown value 'nfd'"),
        ({"classes": ("a", "a")}, "--classes: a class is named twice"),
        ({"ignore": -1}, "--ignore -1: must be a number of the masks"),
        ({"fail_under": ("recal.1=1",)}, "Did you mean 'recall'"),
        ({"fail_under": ("dice=0.5",)}, "Did you mean 'dice.CLASS' or 'dice.macro'"),
        ({"fail_under": ("roc_auc.foreground=0.5",)}, "no such score"),
        ({"fail_under": ("dice.crack=0.5",)}, "no class or average 'crack'"),
        ({"fail_under": ("image_dice.micro=0.5",)}, "no class or average 'micro'"),
    ],
)
def test_options_that_do_not_fit_are_refused_and_nothing_is_written(
    tmp_path, masks, options, message
):
    truth = masks("truth", {"a": "01"})
    with pytest.raises(ConfigError) as error:
        evaluate(masks("model", {"a": "01"}), truth=truth, out=tmp_path / "out", **options)
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_masks_without_a_truth_and_mask_options_without_masks_are_refused(tmp_path, masks):
    with pytest.raises(ConfigError, match="true ones by --truth PATH"):
        evaluate(masks("model", {"a": "01"}))
    (tmp_path / "p.csv").write_text("id,label\na,x\n")
    with pytest.raises(ConfigError, match="--binary and --ignore are for masks"):
        evaluate(tmp_path / "p.csv", truth=tmp_path / "p.csv", binary=True)


def test_an_empty_folder_beside_true_masks_is_named(tmp_path, masks):
    (tmp_path / "model").mkdir()
    with pytest.raises(DataError, match="model: no picture that can be read"):
        evaluate(tmp_path / "model", truth=masks("truth", {"a": "01"}))


def test_gates_compare_pooled_scores_and_means_by_picture(masks):
    # Pooled Dice 2/(2+2) = 0.5, by picture (2/3 + 0) / 2 = 1/3.
    truth = masks("truth", {"a": "011", "b": "000"})
    model = masks("model", {"a": "010", "b": "010"})
    keys = ("accuracy", "dice.foreground", "iou.micro", "f2.macro", "image_dice.foreground")
    floors = (4 / 6, 0.5, 1 / 3, 0.5, 0.4)
    gates = [f"{key}={floor}" for key, floor in zip(keys, floors)]
    report = evaluate(model, truth=truth, fail_under=gates)
    values = {gate.key: gate.value for gate in report.gates}
    expected = dict(zip(keys, (4 / 6, 0.5, 1 / 3, 0.5, 1 / 3)))
    assert values == pytest.approx(expected)
    assert [gate.key for gate in report.gates if not gate.met] == ["image_dice.foreground"]


def test_an_undefined_score_misses_its_gate(masks):
    empty = masks("truth", {"a": "000"})
    report = evaluate(empty, truth=empty, fail_under=["dice.foreground=0", "accuracy=1"])
    assert [gate.met for gate in report.gates] == [False, True]


def test_the_folder_holds_scores_by_class_and_by_picture(tmp_path, masks):
    truth = masks("truth", {"a": "0110", "b": "0000"})
    out = tmp_path / "out"
    report = evaluate(
        masks("model", {"a": "0100", "b": "0000"}), truth=truth, out=out, betas=(2.0,)
    )
    assert report.out == out
    names = {file.name for file in out.iterdir()}
    assert names == {"metrics.json", "per_class.csv", "per_image.csv", "confusion.csv"}
    saved = json.loads((out / "metrics.json").read_text())
    assert saved["schema"] == "dnncli.eval/1"
    assert saved["per_class"]["foreground"]["iou"] == 0.5
    with (out / "per_image.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["dice"], row["fn"]) for row in rows] == [
        ("a", str(2 / 3), "1"),
        ("b", "", "0"),
    ]
    with (out / "per_class.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["f2"], row["n_correctly_empty"]) == (str(5 / 9), "1")
    again = evaluate(tmp_path / "model", truth=truth, out=out)  # an evaluation may be replaced
    assert again.out == out
    with pytest.raises(ConfigError, match="is no evaluation"):
        evaluate(tmp_path / "model", truth=truth, out=truth)


def test_evaluating_masks_starts_no_tensorflow():
    code = (
        "import sys, dnncli\n"
        f"dnncli.evaluate({str(SAMPLE)!r}, truth={str(SAMPLE)!r})\n"
        "print(sorted({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
