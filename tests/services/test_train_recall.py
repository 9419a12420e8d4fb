"""Training for high recall, end to end: what chooses the epoch and the threshold, what is kept."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, precision_recall_curve
from tests_support import pattern, write_hollow_png

import dnncli
from dnncli.errors import DataError
from dnncli.rundir import RunDir
from dnncli.thresholds import read_thresholds

QUICK = {"model": "mlp", "epochs": 3, "augment": "none", "batch_size": 16}
NO_LOGS = {"run.tensorboard": False}
GOAL = {"regime": "high-recall", "positive": "dots", "recall": 0.7, "val": 0.4}


def train(data, out, *, settings=None, **options):
    return dnncli.train(
        data, out=str(out), settings=NO_LOGS | (settings or {}), **(QUICK | options)
    )


def column(out, name):
    """One column of a run's history, as numbers."""
    rows = [row.split(",") for row in RunDir(out).history.read_text().splitlines()]
    return [float(row[rows[0].index(name)]) for row in rows[1:]]


def scores_of(out, data, split):
    """Scores of 'dots' and whether each row of a split is one, by `dnncli predict`."""
    file = out.parent / f"{out.name}-{split}.npz"
    dnncli.predict(out, data, out=file, split=split, overwrite=True)
    with np.load(file) as saved:
        scores = saved["probs"][:, saved["class_names"].tolist().index("dots")]
        return scores, np.array([name.startswith("dots") for name in saved["ids"]])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three classes, half hidden by noise: 60, 60, and 30 of 'dots'."""
    root = tmp_path_factory.mktemp("rare") / "data"
    rng = np.random.default_rng(0)
    for kind, count in (("across", 60), ("down", 60), ("dots", 30)):
        (root / kind).mkdir(parents=True)
        for number in range(count):
            noisy = pattern(kind, rng) * 0.3 + rng.integers(0, 170, size=(12, 12))
            Image.fromarray(noisy.astype(np.uint8)).save(root / kind / f"{number:03}.png")
    return root


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "high"
    return out, train(data, out, epochs=6, **GOAL)


def test_the_best_epoch_has_the_best_precision_at_the_recall(trained):
    out, result = trained
    precision = column(out, "val_precision_at_recall")
    ranked = list(zip(precision, column(out, "val_average_precision")))
    assert result.monitor == "val_precision_at_recall"
    assert result.best_value == max(precision)
    assert result.best_epoch == ranked.index(max(ranked)) + 1


def test_the_history_holds_what_the_saved_scores_say(trained, data):
    out, result = trained
    scores, truth = scores_of(out, data, "val")
    precision, recall, _ = precision_recall_curve(truth, scores)
    assert result.best_value == pytest.approx(precision[:-1][recall[:-1] >= 0.7].max())
    average = column(out, "val_average_precision")[result.best_epoch - 1]
    assert average == pytest.approx(average_precision_score(truth, scores))


def test_the_thresholds_are_scores_that_predict_gives_bit_for_bit(trained, data):
    out, result = trained
    scores, truth = scores_of(out, data, "val")
    saved = read_thresholds(RunDir(out).thresholds)
    entry = saved.per_class["dots"]
    assert entry.dtype == str(scores.dtype) == "float32"
    assert (entry.n_positive, entry.n_negative) == (truth.sum(), (~truth).sum())
    assert (entry.chosen, entry.certified.feasible) == ("certified", True)
    for point in (entry.highest, entry.max_precision, entry.certified.point):
        flagged = scores >= np.float32(point.threshold)
        assert point.threshold in scores.astype(float)
        assert (point.tp, point.fp) == ((flagged & truth).sum(), (flagged & ~truth).sum())
    assert entry.max_precision.precision == result.best_value
    assert saved.source.split == "val"


def test_the_result_says_what_the_validation_rows_chose(trained):
    out, result = trained
    chosen = json.loads(RunDir(out).run.read_text())["result"]["chosen_by_validation"]
    assert chosen == json.loads(json.dumps(result.chosen_by_validation))
    saved = json.loads(RunDir(out).thresholds.read_text())
    assert (chosen["epoch"], chosen["by"]) == (result.best_epoch, "val_precision_at_recall")
    assert (chosen["rule"], chosen["threshold"]) == (saved["chosen"], saved["threshold"])
    assert (chosen["positive"], chosen["target_recall"]) == ("dots", 0.7)
    assert chosen["refusal"] is None


def test_rows_that_chose_the_threshold_cannot_judge_it(trained, data):
    out, _ = trained
    with pytest.raises(DataError, match="chose"):
        dnncli.evaluate(out, data, split="val", thresholds=RunDir(out).thresholds)
    report = dnncli.evaluate(out, data, split="test", thresholds=RunDir(out).thresholds)
    scores, truth = scores_of(out, data, "test")
    saved = read_thresholds(RunDir(out).thresholds).per_class["dots"]
    flagged = scores >= np.float32(saved.threshold)
    assert report.per_class["dots"].tp == (flagged & truth).sum()


def test_a_refused_certificate_is_told_and_the_next_rule_taken(data, tmp_path):
    result = train(data, tmp_path / "a", epochs=1, **(GOAL | {"recall": 0.95}))
    chosen = result.chosen_by_validation
    n = chosen["n_positive"]
    assert chosen["refusal"].startswith(f"{n} positives in validation; 0.95 at 95 % confidence")
    assert "needs 59" in chosen["refusal"]
    assert chosen["rule"] == "max_precision"
    assert any(note.startswith(chosen["refusal"]) for note in result.notes)
    assert read_thresholds(RunDir(tmp_path / "a").thresholds).per_class["dots"].threshold


def test_the_balanced_regime_chooses_as_ever_and_writes_thresholds_too(data, tmp_path):
    result = train(data, tmp_path / "a", epochs=2, positive="dots", val=0.4)
    assert result.monitor == "val_f1"
    assert len(column(tmp_path / "a", "val_precision_at_recall")) == 2
    assert RunDir(tmp_path / "a").thresholds.exists()
    plain = train(data, tmp_path / "b", epochs=2, val=0.4)
    assert not RunDir(tmp_path / "b").thresholds.exists()
    assert plain.best_epoch == result.best_epoch
    for name in ("loss", "val_loss", "val_f1"):  # looking on changes nothing
        assert column(tmp_path / "a", name) == column(tmp_path / "b", name)


def test_the_saved_configuration_repeats_the_run(data, tmp_path):
    train(data, tmp_path / "a", loss="focal", **GOAL)
    dnncli.train(data, config=tmp_path / "a" / "config.toml", out=str(tmp_path / "b"))
    for name in ("history.csv", "thresholds.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_temperature_is_fitted_on_the_validation_rows(trained):
    _, result = trained
    fitted = result.calibration
    assert fitted["n"] == result.validation["n"]
    assert fitted["temperature"] > 0
    assert fitted["log_loss_after"] <= fitted["log_loss"]
    assert {"ece", "ece_after"} <= fitted.keys()


def test_epochs_that_are_not_validated_have_no_scores(data, tmp_path):
    result = train(data, tmp_path / "a", epochs=4, settings={"fit.validation_freq": 2}, **GOAL)
    rows = [row.split(",") for row in RunDir(result.run).history.read_text().splitlines()]
    place = rows[0].index("val_precision_at_recall")
    assert [row[place] == "NA" for row in rows[1:]] == [True, False, True, False]
    assert result.best_epoch in (2, 4)


def test_validation_scores_are_weighted_as_eval_weighs(data, tmp_path):
    rows = ["path,label,split,weight"]
    for kind in ("across", "dots"):
        for n in range(30):
            weight = 0.5 + n % 7
            rows.append(f"{kind}/{n:03}.png,{kind},{'val' if n % 3 else 'train'},{weight}")
    table = data / "weighted.csv"
    table.write_text("\n".join(rows) + "\n")
    result = train(table, tmp_path / "a", epochs=1)
    report = dnncli.evaluate(tmp_path / "a", table, split="val")
    assert report.weighted and result.validation["weighted"]
    assert result.validation["accuracy"] == pytest.approx(report.accuracy, abs=1e-12)
    for name, entry in report.per_class.items():
        assert result.validation["per_class"][name]["tp"] == pytest.approx(entry.tp, abs=1e-9)


@pytest.mark.parametrize("loss", ["cross-entropy", "binary-cross-entropy", "binary-focal"])
def test_two_classes_are_trained_with_one_logit_or_two(tmp_path, loss):
    data = tmp_path / "d"
    rng = np.random.default_rng(0)
    for kind, count in (("across", 50), ("dots", 20)):  # the positive is the second class
        (data / kind).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(pattern(kind, rng)).save(data / kind / f"{number}.png")
    result = train(data, tmp_path / "a", epochs=1, loss=loss, **GOAL)
    scores, truth = scores_of(tmp_path / "a", data, "val")
    entry = read_thresholds(RunDir(tmp_path / "a").thresholds).per_class["dots"]
    flagged = scores >= np.float32(entry.max_precision.threshold)
    assert entry.max_precision.tp == (flagged & truth).sum()
    assert result.best_value == entry.max_precision.precision


def test_positives_that_cannot_be_decoded_are_missed_before_training(tmp_path):
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    for kind in ("across", "dots"):
        for n in range(12):
            split = "val" if n < 4 else "train"
            file = tmp_path / f"{kind}{n}.png"
            if kind == "dots" and split == "val":
                write_hollow_png(file, size=12 + n)  # of four sizes: no copies of each other
            else:
                Image.fromarray(pattern(kind, rng)).save(file)
            rows.append(f"{file.name},{kind},{split}")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(DataError, match="the 4 validation rows hold no 'dots'"):
        train(tmp_path / "list.csv", tmp_path / "a", **GOAL)
    assert not (tmp_path / "a").exists()


def test_rows_that_cannot_be_decoded_weigh_nothing_from_the_start(tmp_path):
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    for kind, bad in (("across", 0), ("dots", 6)):
        for n in range(20):
            file = tmp_path / f"{kind}{n}.png"
            if n < bad:
                write_hollow_png(file, size=12 + n)
            else:
                Image.fromarray(pattern(kind, rng)).save(file)
            rows.append(f"{file.name},{kind},{'val' if n > 9 else 'train'}")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    # Without what depends on the number of epochs, so that a run may stop and go on.
    settings = {"optimizer.schedule": "constant", "optimizer.average": 0}
    goal = GOAL | {"batch_size": "full", "early_stop": 0}
    train(tmp_path / "list.csv", tmp_path / "a", settings=settings, epochs=2, **goal)
    planned = json.loads(RunDir(tmp_path / "a").data.read_text())["plan"]
    assert (planned["train"], planned["batch_size"]) == (14, 14)
    assert planned["loss_weights"] == {"across": 0.7, "dots": 1.75}  # 14 / 2 / 10, 14 / 2 / 4
    train(tmp_path / "list.csv", tmp_path / "b", settings=settings, epochs=1, **goal)
    dnncli.train(tmp_path / "list.csv", out=str(tmp_path / "b"), resume=True, epochs=2)
    assert RunDir(tmp_path / "b").history.read_text() == RunDir(tmp_path / "a").history.read_text()
    scores, _ = scores_of(tmp_path / "b", tmp_path / "list.csv", "val")
    assert len(scores) == 20
