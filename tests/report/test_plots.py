"""Pictures of curves, bins and confusions: that they open, and what they say."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from report_support import random_tables, results

from dnncli.metrics.calibration import calibration
from dnncli.metrics.counts import count
from dnncli.metrics.curves import curve
from dnncli.metrics.thresholds import point_at
from dnncli.report.canvas import DPI
from dnncli.report.confusion import confusion_plot
from dnncli.report.plots import precision_recall_plot, roc_plot
from dnncli.report.reliability import reliability_plot
from dnncli.report.thinning import class_curve

CURVE_PLOTS = (precision_recall_plot, roc_plot)


def words(path):
    """What a picture says; it must decode and hold more than paper."""
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert len(image.convert("RGB").getcolors(image.width * image.height)) > 10
        return image.text["Description"].split("\n")


def curves_of(n_classes, n, **options):
    predictions, truth = random_tables(n_classes, n, **options)
    return results(predictions, truth)["curves"]


def test_a_line_of_the_legend_says_class_area_and_base_rate(tmp_path):
    # Falling: 0.9 (+), 0.8 (-), 0.1 (+): average precision 1/2 + 1/2 * 2/3, base rate 2/3
    found = curve([True, False, True], np.array([0.9, 0.8, 0.1]))
    curves = {"P": class_curve(found, n_classes=1)}
    precision_recall_plot(tmp_path / "pr.png", curves, n=3)
    assert words(tmp_path / "pr.png") == [
        "Precision against recall: 'P' against the rest (n = 3)",
        "base rate of P",
        "P: average precision 0.833, base rate 0.667",
    ]
    roc_plot(tmp_path / "roc.png", curves, n=3)
    assert words(tmp_path / "roc.png") == [
        "ROC: 'P' against the rest (n = 3)",
        "P: area under the curve 0.500",
    ]


@pytest.mark.parametrize("plot", CURVE_PLOTS)
def test_the_chosen_threshold_is_marked_with_its_numbers(plot, tmp_path):
    truth, scores = np.array([True, False, True]), np.array([0.9, 0.8, 0.1])
    curves = {"P": class_curve(curve(truth, scores), n_classes=1)}
    plot(tmp_path / "without.png", curves, n=3, positive="P")
    chosen = point_at(truth, scores, 0.8)
    plot(tmp_path / "with.png", curves, n=3, positive="P", chosen=chosen)
    assert "threshold 0.8: precision 0.500, recall 0.500" in words(tmp_path / "with.png")
    assert len(words(tmp_path / "without.png")) == len(words(tmp_path / "with.png")) - 1


def test_a_threshold_that_flags_nothing_has_no_precision(tmp_path):
    truth, scores = np.array([True, False]), np.array([0.9, 0.8])
    curves = {"P": class_curve(curve(truth, scores), n_classes=1)}
    chosen = point_at(truth, scores, 0.95)
    precision_recall_plot(tmp_path / "pr.png", curves, n=2, positive="P", chosen=chosen)
    assert "threshold 0.95: precision n/a, recall 0.000" in words(tmp_path / "pr.png")


@pytest.mark.parametrize("plot", CURVE_PLOTS)
def test_of_two_classes_only_the_positive_one_is_drawn(plot, tmp_path):
    plot(tmp_path / "one.png", curves_of(2, 40), n=40, positive="class 1")
    found = words(tmp_path / "one.png")
    assert "Not drawn: 'class 0', the other of two classes" in found
    assert not any(line.startswith("class 0:") for line in found)


@pytest.mark.parametrize("plot", CURVE_PLOTS)
def test_of_many_classes_the_positive_and_the_worst_are_drawn_and_the_mean_of_all(plot, tmp_path):
    curves = curves_of(40, 1_000)
    plot(tmp_path / "many.png", curves, n=1_000, positive="class 7")
    found = words(tmp_path / "many.png")
    drawn = [line.partition(":")[0] for line in found if line.startswith("class")]
    area = "average_precision" if plot is precision_recall_plot else "roc_auc"
    others = [name for name in curves if name != "class 7"]
    worst = sorted(others, key=lambda name: getattr(curves[name], area))[:5]
    assert drawn == ["class 7", *worst]
    assert "mean of 40 classes" in found
    assert "The 5 worst of 40 classes; 34 only in the mean" in found


@pytest.mark.parametrize("plot", CURVE_PLOTS)
def test_classes_with_an_empty_side_are_named_and_not_drawn(plot, tmp_path):
    scores = np.array([0.9, 0.8, 0.1])
    truths = {"P": [True, False, True], "none": [False] * 3, "all": [True] * 3}
    curves = {
        name: class_curve(curve(truth, scores), n_classes=3) for name, truth in truths.items()
    }
    plot(tmp_path / "some.png", curves, n=3)
    found = words(tmp_path / "some.png")
    assert "Undefined, not drawn: 2 of 3 classes, which have no positive or no negative row: " \
        "none, all" in found  # fmt: skip
    assert not any(line.startswith(("none:", "all:")) for line in found)


@pytest.mark.parametrize("plot", CURVE_PLOTS)
def test_no_curve_at_all_is_said_in_the_picture(plot, tmp_path):
    curves = {"none": class_curve(curve([False], np.array([0.5])), n_classes=1)}
    plot(tmp_path / "none.png", curves, n=1)
    assert "No curve is defined." in words(tmp_path / "none.png")


@pytest.mark.parametrize("plot", CURVE_PLOTS)
def test_a_single_row_can_be_drawn(plot, tmp_path):
    curves = {"P": class_curve(curve([True], np.array([0.5])), n_classes=1)}
    plot(tmp_path / "one.png", curves, n=1)
    assert words(tmp_path / "one.png")


def test_the_order_of_the_rows_does_not_change_a_byte(tmp_path):
    rng = np.random.default_rng(0)
    truth, scores = rng.random(100) < 0.5, rng.random(100).round(1)
    order = rng.permutation(100)
    for name, rows in (("one", np.arange(100)), ("two", order)):
        curves = {"P": class_curve(curve(truth[rows], scores[rows]), n_classes=1)}
        precision_recall_plot(tmp_path / f"{name}.png", curves, n=100)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_odd_names_are_drawn_without_a_warning(tmp_path):
    names = ["$x^2$", "_hidden", 'a\nb,"c"', "猫", "bad\udcff", "x" * 300]
    curves = curves_of(6, 60, names=names)
    precision_recall_plot(tmp_path / "pr.png", curves, n=60)
    found = words(tmp_path / "pr.png")
    starts = ["$x^2$:", " _hidden:", 'a\\nb,"c":', "", "bad\\udcff:", "x" * 16 + "…" + "x" * 15]
    assert all(line.startswith(start) for line, start in zip(found[-6:], starts, strict=True))


@pytest.mark.parametrize(
    ("n_classes", "size"),
    [(2, (6.2, 4.8)), (6, (7.4, 6.0)), (16, (12.52, 11.12)), (17, (13, 8)), (300, (13, 8))],
)
def test_a_confusion_matrix_opens_in_a_size_that_fits_its_classes(n_classes, size, tmp_path):
    labels = np.arange(n_classes)
    counts = count(labels, np.roll(labels, 1), n_classes=n_classes)
    names = [f"class {index}" for index in range(n_classes)]
    confusion_plot(tmp_path / "c.png", counts, names)
    with Image.open(tmp_path / "c.png") as image:
        assert image.size == tuple(int(side * DPI) for side in size)
    found = words(tmp_path / "c.png")
    assert found[0] == f"Confusion matrix, {n_classes} classes (n = {n_classes}, accuracy 0.0000)"
    if n_classes > 16:
        assert found[1] == f"The 18 largest of {n_classes} confusions (truth → decision)" or (
            n_classes < 18
            and found[1] == f"The {n_classes} largest of {n_classes} confusions (truth → decision)"
        )


def test_the_largest_confusions_are_listed_by_count(tmp_path):
    labels = np.array([0, 0, 0, 0, 1, 1, 1, *range(20)])
    decisions = np.array([5, 5, 5, 0, 6, 6, 1, *range(20)])
    counts = count(labels, decisions, n_classes=20)
    confusion_plot(tmp_path / "c.png", counts, [f"c{index}" for index in range(20)])
    assert words(tmp_path / "c.png")[1:] == [
        "The 2 largest of 2 confusions (truth → decision)",
        "c0 → c5: 3 (60.0%)",
        "c1 → c6: 2 (50.0%)",
    ]


def test_undecided_rows_absent_classes_and_weights_can_be_drawn(tmp_path):
    labels, decisions = np.array([0, 0, 1]), np.array([0, -1, 0])
    weights = np.array([0.5, 1000.25, 2])
    confusion_plot(tmp_path / "c.png", count(labels, decisions, n_classes=3), "abc")
    assert "n = 3," in words(tmp_path / "c.png")[0]
    weighted = count(labels, decisions, n_classes=3, weights=weights)
    confusion_plot(tmp_path / "w.png", weighted, "abc")
    assert "(weight 1,003," in words(tmp_path / "w.png")[0]
    nothing = count(labels[:0], decisions[:0], n_classes=3)
    confusion_plot(tmp_path / "n.png", nothing, "abc")
    assert "n = 0, accuracy n/a" in words(tmp_path / "n.png")[0]


def test_the_title_of_a_confusion_matrix_fits_beside_long_names(tmp_path):
    labels, decisions = np.array([0, 1, 0, 1]), np.array([0, 1, 1, -1])
    counts = count(labels, decisions, n_classes=2, weights=np.full(4, 1234567.25))
    confusion_plot(tmp_path / "c.png", counts, ["a long name of a class", "and one more of them"])
    with Image.open(tmp_path / "c.png") as image:
        assert (np.asarray(image.convert("L"))[:, -3:] == 255).all()


def test_reliability_says_its_three_figures(tmp_path):
    probs = np.array([[0.8, 0.2], [0.4, 0.6]])
    found = calibration(probs, np.array([0, 0]), bins=10)
    reliability_plot(tmp_path / "r.png", found, n=2)
    # ECE: bins (0.7, 0.8] and (0.5, 0.6]: (0.2 + 0.6) / 2; Brier: (0.08 + 0.72) / 2
    assert words(tmp_path / "r.png")[:2] == [
        "Reliability of the class with the best score (n = 2, 10 bins)",
        f"ECE 0.4000, Brier score 0.4000, log loss {-np.log([0.8, 0.4]).mean():.4f}",
    ]
    assert "share in each bin, exact 95 % interval" in words(tmp_path / "r.png")


def test_reliability_of_weighted_rows_has_no_interval_and_of_no_rows_no_figures(tmp_path):
    found = calibration(np.array([0.8]), np.array([True]), weights=np.array([0.5]))
    reliability_plot(tmp_path / "w.png", found, n=1, of="P", exact=False)
    assert "share in each bin" in words(tmp_path / "w.png")
    assert words(tmp_path / "w.png")[0].startswith("Reliability of the 'P'")
    nothing = calibration(np.zeros((0, 2)), np.zeros(0, int))
    reliability_plot(tmp_path / "n.png", nothing, n=0)
    assert "There are no rows." in words(tmp_path / "n.png")
    assert "ECE n/a" in words(tmp_path / "n.png")[1]


def test_a_matplotlib_that_may_not_write_its_settings_is_silent(tmp_path):
    (tmp_path / "matplotlibrc").write_text("figure.dpi: 10\nlines.linewidth: 40\n")
    program = (
        "import sys, numpy as np\nfrom pathlib import Path\n"
        "from dnncli.metrics.counts import count\n"
        "from dnncli.report.confusion import confusion_plot\n"
        "counts = count(np.array([0]), np.array([0]), n_classes=2)\n"
        "confusion_plot(Path(sys.argv[1]), counts, 'ab')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    environment = os.environ | {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere"}
    environment |= {"XDG_CONFIG_HOME": "/proc/nowhere", "MPLCONFIGDIR": "/proc/nowhere"}
    environment |= {"MATPLOTLIBRC": str(tmp_path), "DISPLAY": "nowhere:9"}
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "c.png"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with Image.open(tmp_path / "c.png") as image:
        assert image.width == int(6.2 * DPI)
