"""Training: what it learns, what it writes, and what it refuses."""

import json

import numpy as np
import pytest
from tests_support import CLASSES, write_patterns

import dnncli
from dnncli.errors import ConfigError, DataError, ModelError
from dnncli.rundir import RunDir

QUICK = {"model": "mlp", "epochs": 2, "augment": "none", "batch_size": 16}
NO_LOGS = {"run.tensorboard": False}


def train(data, out, *, settings=None, **options):
    return dnncli.train(
        data, out=str(out), settings=NO_LOGS | (settings or {}), **(QUICK | options)
    )


def history(out):
    return RunDir(out).history.read_text()


@pytest.fixture(scope="module")
def trained(patterns, tmp_path_factory):
    """A run that learned its patterns."""
    out = tmp_path_factory.mktemp("runs") / "learned"
    return out, dnncli.train(
        patterns, out=str(out), model="cnn", epochs=15, augment="none", batch_size=8, lr=0.01
    )


def test_patterns_are_learned(trained):
    _, result = trained
    assert result.validation["accuracy"] >= 0.8
    assert result.state == "done"
    assert 1 <= result.best_epoch <= result.epochs


def test_the_run_folder_is_that_of_the_contract(trained):
    out, result = trained
    names = {entry.name for entry in out.iterdir()}
    assert names >= {
        *("run.json", "config.toml", "data.json", "split.csv", "history.csv"),
        *("best.keras", "last.keras", "backup", "tensorboard"),
    }
    assert {entry.name for entry in (out / "tensorboard").iterdir()} == {"train", "validation"}
    written = json.loads((out / "run.json").read_text())
    assert written["state"] == "done"
    assert written["result"]["best_epoch"] == result.best_epoch
    assert written["versions"]["dnncli"] == dnncli.__version__
    counts = json.loads((out / "data.json").read_text())["counts"]
    assert counts["test"] == {"across": 6, "dots": 6, "down": 6}
    assert sum(counts["train"].values()) + sum(counts["val"].values()) == 48


def test_the_history_has_the_columns_of_the_csv_logger(trained):
    out, result = trained
    rows = history(out).splitlines()
    assert rows[0] == (
        "epoch,accuracy,f1,learning_rate,loss,precision,recall,"
        "val_accuracy,val_f1,val_loss,val_precision,val_recall"
    )
    assert [int(row.split(",")[0]) for row in rows[1:]] == list(range(result.epochs))


def column(out, name):
    """One column of a run's history, as numbers."""
    rows = [row.split(",") for row in history(out).splitlines()]
    return [float(row[rows[0].index(name)]) for row in rows[1:]]


def test_the_best_epoch_is_the_last_within_a_standard_error_of_the_best_f_score(trained):
    out, result = trained
    scores, rows = column(out, "val_f1"), result.validation["n"]
    near = []
    for epoch, score in enumerate(scores, start=1):
        top = max(scores[:epoch])
        if score >= top - (top * (1 - top) / rows) ** 0.5:
            near.append(epoch)
    assert result.monitor == "val_f1"
    assert result.best_epoch == near[-1]
    assert result.best_value == scores[near[-1] - 1]


def test_without_a_tolerance_the_best_f_score_counts_and_of_equals_the_lowest_loss(
    patterns, tmp_path
):
    settings = {"regime.tolerance": 0}
    result = train(patterns, tmp_path / "a", epochs=4, settings=settings)
    losses = column(tmp_path / "a", "val_loss")
    epochs = list(zip([-score for score in column(tmp_path / "a", "val_f1")], losses))
    assert result.best_value == -min(epochs)[0]
    assert result.best_epoch == epochs.index(min(epochs)) + 1


def test_beta_and_monitor_choose_what_is_best(patterns, tmp_path):
    assert train(patterns, tmp_path / "a", epochs=1, beta=2).monitor == "val_f2"
    settings = {"regime.monitor": "loss"}
    result = train(patterns, tmp_path / "b", epochs=3, settings=settings)
    losses = column(tmp_path / "b", "val_loss")
    assert result.best_epoch == losses.index(min(losses)) + 1


def test_the_model_file_speaks_for_itself(trained):
    import keras

    from dnncli.networks.files import read_card

    out, _ = trained
    card = read_card(out / "best.keras")
    assert card["classes"] == ["across", "dots", "down"]
    assert card["normalization"]["name"] == "minmax"
    model = keras.models.load_model(out / "best.keras")
    probs = model.predict(np.zeros((2, 12, 12, 1), np.float32), verbose=0)
    assert probs.shape == (2, 3)
    assert probs.sum(axis=1) == pytest.approx([1, 1], abs=1e-6)


def test_the_saved_configuration_repeats_the_run(patterns, tmp_path):
    train(patterns, tmp_path / "a", model="cnn", augment="light", seed=3)
    dnncli.train(patterns, config=tmp_path / "a" / "config.toml", out=str(tmp_path / "b"))
    assert history(tmp_path / "a") == history(tmp_path / "b")


def test_another_seed_gives_another_run(patterns, tmp_path):
    train(patterns, tmp_path / "a", epochs=1)
    train(patterns, tmp_path / "b", epochs=1, seed=1)
    assert history(tmp_path / "a") != history(tmp_path / "b")


def test_the_test_folder_takes_no_part(patterns, tmp_path):
    train(patterns, tmp_path / "a", epochs=1)
    rows = (tmp_path / "a" / "split.csv").read_text().splitlines()[1:]
    for row in rows:
        name, _, split = row.split(",")[:3]
        assert name.startswith("test/") == (split == "test")


def test_a_full_batch_is_the_same_accumulated_or_at_once(patterns, tmp_path, monkeypatch):
    from dnncli.services import plan

    options = {
        "batch_size": "full",
        "optimizer": "sgd",
        "epochs": 3,
        "settings": {"model.batch_norm": False, "model.dropout": 0.0},
    }
    train(patterns, tmp_path / "whole", **options)
    monkeypatch.setattr(plan, "_MICRO_BATCH_PIXELS", 144 * 15)
    train(patterns, tmp_path / "parts", **options)
    assert (
        json.loads((tmp_path / "parts" / "data.json").read_text())["plan"]["steps_per_update"] == 3
    )
    with (
        np.load(RunDir(tmp_path / "whole").backup) as whole,
        np.load(RunDir(tmp_path / "parts").backup) as parts,
    ):
        names = [name for name in whole.files if name.startswith("model/")]
        for name in names:
            assert parts[name] == pytest.approx(whole[name], abs=2e-5)


def test_classes_of_weight_zero_are_not_learned(patterns, tmp_path):
    result = train(
        patterns,
        tmp_path / "a",
        model="cnn",
        epochs=6,
        lr=0.01,
        settings={"fit.class_weight": {"dots": 0.0}},
    )
    assert result.validation["per_class"]["dots"]["recall"] in (0.0, None)


def test_an_unknown_class_in_the_weights_is_named(patterns, tmp_path):
    with pytest.raises(ConfigError, match="Unknown class 'dot'. Did you mean 'dots'"):
        train(patterns, tmp_path / "a", settings={"fit.class_weight": {"dot": 2.0}})
    assert not (tmp_path / "a").exists()


def test_early_stopping_stops_and_says_so(patterns, tmp_path):
    result = train(patterns, tmp_path / "a", epochs=50, early_stop=1, lr=0.05)
    assert result.epochs < 50
    assert result.stopped == "early stop"


def test_saturated_training_accuracy_stops_too(patterns, tmp_path):
    settings = {"regime.saturation": 0.3, "regime.saturation_patience": 2}
    result = train(patterns, tmp_path / "a", epochs=50, early_stop=0, settings=settings)
    assert result.epochs < 50


def test_validating_every_other_epoch_leaves_gaps_in_the_history(patterns, tmp_path):
    train(patterns, tmp_path / "a", epochs=4, settings={"fit.validation_freq": 2})
    rows = [row.split(",") for row in history(tmp_path / "a").splitlines()]
    column = rows[0].index("val_loss")
    assert [row[column] == "NA" for row in rows[1:]] == [True, False, True, False]


def test_steps_per_epoch_and_initial_epoch_are_keras_own(patterns, tmp_path):
    settings = {"fit.steps_per_epoch": 2, "fit.initial_epoch": 1}
    result = train(patterns, tmp_path / "a", epochs=3, settings=settings)
    assert result.epochs == 3
    assert [row.split(",")[0] for row in history(tmp_path / "a").splitlines()[1:]] == ["1", "2"]


def test_a_second_data_set_can_validate(patterns, tmp_path):
    other = write_patterns(tmp_path / "other", splits={"": 4}, seed=9)
    settings = {"data.validation": str(other)}
    result = train(patterns, tmp_path / "a", epochs=1, settings=settings)
    assert result.validation["n"] == 12


def test_a_second_data_set_may_hold_neither_test_nor_training_pictures(patterns, tmp_path):
    with pytest.raises(DataError, match="holds pictures of the training data set"):
        settings = {"data.validation": str(patterns / "train")}
        train(patterns, tmp_path / "a", settings=settings)
    with pytest.raises(DataError, match="has the splits train, test, but none for validation"):
        train(patterns / "train", tmp_path / "a", settings={"data.validation": str(patterns)})
    assert not (tmp_path / "a").exists()


def test_without_validation_rows_the_training_loss_decides(patterns, tmp_path):
    settings = {"data.val": 0.0}
    result = train(patterns, tmp_path / "a", epochs=1, settings=settings)
    assert result.monitor == "f1"
    assert result.validation == {}


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"optimizer.options": {"clipnrm": 1}}, "Did you mean 'clipnorm'"),
        ({"optimizer.name": "adam", "optimizer.momentum": 0.5}, "adam has no momentum"),
        ({"fit.callbacks": ["nowhere:Part"]}, "no module named 'nowhere'"),
        ({"loss.options": {"gamma": 2}}, "no such option 'gamma'"),
        ({"model.unfreeze": 3}, "nothing is frozen"),
        ({"fit.validation_freq": 5}, "no epoch would be validated"),
        ({"fit.initial_epoch": 2}, "leaves no epoch"),
        ({"fit.class_weight": {"dots": float("inf")}}, "fit.class_weight.*finite"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(patterns, tmp_path, settings, answer):
    with pytest.raises(ConfigError, match=answer):
        train(patterns, tmp_path / "a", settings=settings)
    assert not (tmp_path / "a").exists()


def test_a_run_stopped_before_it_was_marked_done_is_finished_by_resuming(patterns, tmp_path):
    first = train(patterns, tmp_path / "a")
    RunDir(tmp_path / "a").update(state="interrupted")
    (tmp_path / "a" / "best.keras").unlink()
    again = dnncli.train(patterns, out=str(tmp_path / "a"), resume=True)
    assert (again.epochs, again.best_epoch) == (first.epochs, first.best_epoch)
    assert (tmp_path / "a" / "best.keras").exists()
    assert RunDir(tmp_path / "a").read()["state"] == "done"


def test_a_finished_run_can_be_given_more_epochs(patterns, tmp_path):
    train(patterns, tmp_path / "a", epochs=1)
    more = dnncli.train(patterns, out=str(tmp_path / "a"), resume=True, epochs=3)
    assert more.epochs == 3
    assert "epochs = 3" in (tmp_path / "a" / "config.toml").read_text()


def test_a_run_goes_on_with_the_words_that_it_was_started_with(patterns, tmp_path):
    weights = tmp_path / "weights.toml"
    weights.write_text("dots = 2\n")
    words = {"class_weight": str(weights), "loss": "auto", "batch_size": "auto"}
    train(patterns, tmp_path / "a", epochs=1, **words)
    more = train(patterns, tmp_path / "a", epochs=2, resume=True, **words)
    assert more.epochs == 2
    weights.write_text("dots = 3\n")
    with pytest.raises(ConfigError, match="fit.class_weight: the run has {'dots': 2.0}"):
        train(patterns, tmp_path / "a", epochs=3, resume=True, **words)


def test_a_resumed_run_keeps_the_split_it_began_with(tmp_path):
    root = write_patterns(tmp_path / "d", splits={"": 8})
    lines = [f"{kind}/{n:03}.png,{kind}" for kind in CLASSES for n in range(8)]
    table = root / "list.csv"

    def declare(test_rows):
        rows = [f"{line},{'test' if i in test_rows else 'train'}" for i, line in enumerate(lines)]
        table.write_text("path,label,split\n" + "\n".join(rows) + "\n")

    declare({0, 8, 16})
    train(table, tmp_path / "a", epochs=1)
    split = (tmp_path / "a" / "split.csv").read_text()
    declare({1, 9, 17})
    dnncli.train(table, out=str(tmp_path / "a"), resume=True, epochs=2)
    assert (tmp_path / "a" / "split.csv").read_text() == split
    told = dnncli.predict(tmp_path / "a", table, out=tmp_path / "p.csv")
    assert told.n == 3
    assert "across/000.png" in (tmp_path / "p.csv").read_text()


def test_a_loss_that_is_no_number_stops_the_run_at_once(patterns, tmp_path):
    with pytest.raises(ModelError, match=r"batch \d+ of epoch 1\. Try a smaller --lr"):
        train(patterns, tmp_path / "a", lr=1e30, optimizer="sgd")
    assert not (tmp_path / "a").exists()


def test_a_full_disk_marks_the_run_failed_and_keeps_what_was_there(patterns, tmp_path, monkeypatch):
    from dnncli.training import backup

    real = backup.save
    calls = []

    def save(path, *args, **kwargs):
        calls.append(path)
        if len(calls) > 1:
            raise OSError(28, "No space left on device", str(path))
        real(path, *args, **kwargs)

    monkeypatch.setattr(backup, "save", save)
    with pytest.raises(OSError, match="No space left"):
        train(patterns, tmp_path / "a", settings={"run.backup_seconds": 0})
    run = RunDir(tmp_path / "a")
    assert run.read()["state"] == "failed"
    assert backup.load(run.backup).state.epoch == 1
    assert dnncli.predict(run.path, patterns, out=tmp_path / "p.csv").n == 18


def test_a_dry_run_tells_the_plan_and_writes_nothing(patterns, tmp_path):
    told = train(patterns, tmp_path / "a", dry_run=True)
    assert told["plan"]["image_shape"] == [12, 12, 1]
    assert told["plan"]["test"] == 18
    assert 'name = "mlp"' in told["config"]
    assert not (tmp_path / "a").exists()


def test_pictures_too_small_for_the_network_are_refused_before_anything_is_written(
    patterns, tmp_path
):
    with pytest.raises(ModelError, match="12x12"):
        train(patterns, tmp_path / "a", model="mobilenetv2", settings={"model.padding": "same"})
    assert not (tmp_path / "a").exists()
