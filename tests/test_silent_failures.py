"""Nine things that go wrong without a word elsewhere: right here, or refused with the cause.

Each was measured in Keras 3.15.1. The eighth and ninth are shown together with Keras' own value.
"""

import numpy as np
import pytest
from PIL import Image
from tests_support import write_patterns
from typer.testing import CliRunner

import dnncli
from dnncli.cli.app import app
from dnncli.data.split import assign_splits


def pictures(folder, names, *, seed=0):
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(rng.integers(0, 255, (12, 12, 3), np.uint8)).save(folder / name)


def test_1_formats_that_keras_skips_are_read(tmp_path):
    pictures(tmp_path / "a", ["1.webp", "2.tif", "3.png", "4.gif"])
    pictures(tmp_path / "b", ["1.webp", "2.tiff", "3.bmp", "4.jpg"], seed=1)
    dataset = dnncli.open_dataset(tmp_path)
    assert len(dataset) == 8
    assert dataset.problems == ()


def test_2_a_folder_without_pictures_is_no_class_and_is_named(tmp_path):
    for name in ("a", "b"):
        pictures(tmp_path / name, ["1.png", "2.png"])
    (tmp_path / "empty").mkdir()
    dataset = dnncli.open_dataset(tmp_path)
    assert dataset.class_names == ("a", "b")
    assert any("empty" in problem.path for problem in dataset.problems)


def test_3_a_test_folder_lacking_a_class_does_not_shift_the_others(tmp_path):
    for name in ("ant", "cat", "dog"):
        pictures(tmp_path / "train" / name, ["1.png", "2.png"])
    for name in ("ant", "dog"):
        pictures(tmp_path / "test" / name, ["1.png"])
    dataset = dnncli.open_dataset(tmp_path)
    labels = {dataset.ids[row]: dataset.labels[row] for row in dataset.rows("test")}
    assert labels == {"test/ant/1.png": 0, "test/dog/1.png": 2}
    # The folder on its own is bound to the model's classes by name, too.
    alone = dnncli.open_dataset(tmp_path / "test", classes=("ant", "cat", "dog"))
    assert alone.labels.tolist() == [0, 2]


@pytest.mark.parametrize("seed", range(20))
def test_4_rare_classes_are_in_every_split(tmp_path, seed):
    # 95 and 5 rows: Keras' split leaves the rare class out of validation for 31 % of seeds.
    labels = np.repeat([0, 1], [95, 5])
    np.savez(tmp_path / "d.npz", x=np.arange(100 * 4, dtype=np.int32).reshape(100, 2, 2), y=labels)
    dataset = dnncli.open_dataset(tmp_path / "d.npz")
    splits, _ = assign_splits(dataset, val=0.2, test=0.0, seed=seed)
    assert ((splits == "val") & (labels == 1)).sum() == 1


def test_5_predictions_carry_their_ids_so_that_no_order_can_break_them(
    tmp_path, patterns, small_run
):
    # Keras shuffles by default: labels collected in a second pass do not match `predict`.
    first = dnncli.predict(small_run, patterns, out=tmp_path / "a.csv")
    again = dnncli.predict(small_run, patterns, out=tmp_path / "b.csv", batch_size=5)
    assert first.n == again.n == 18
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == sorted(
        line.split(",")[0] for line in lines[1:]
    )
    truth = "id,label\n" + "".join(
        f"{line.split(',')[0]},{line.split('/')[1]}\n" for line in reversed(lines[1:])
    )
    (tmp_path / "truth.csv").write_text(truth)
    from_file = dnncli.evaluate(tmp_path / "a.csv", truth=tmp_path / "truth.csv")
    from_run = dnncli.evaluate(small_run, patterns)
    assert from_file.accuracy == from_run.accuracy
    assert from_file.confusion.counts == from_run.confusion.counts


def test_6_a_broken_picture_is_named_before_training_starts(tmp_path):
    write_patterns(tmp_path / "d", splits={"": 8})
    broken = tmp_path / "d" / "across" / "000.png"
    broken.write_bytes(broken.read_bytes()[:60])
    result = CliRunner().invoke(
        app,
        [*("train", str(tmp_path / "d"), "--on-bad", "error"), *("--out", str(tmp_path / "r"))],
    )
    assert result.exit_code == 2
    assert "across/000.png" in result.stderr
    assert not (tmp_path / "r").exists()
    skipping = dnncli.train(
        tmp_path / "d",
        out=str(tmp_path / "r"),
        model="mlp",
        epochs=1,
        settings={"run.tensorboard": False},
    )
    assert any("across/000.png" in note for note in skipping.notes)
    assert "across/000.png" in (tmp_path / "r" / "data.json").read_text()


def test_7_softmax_scores_are_those_of_the_argmax():
    import keras

    from dnncli.training.metrics import ClassScores

    targets = np.eye(3, dtype=np.float32)
    probs = np.array([[0.4, 0.3, 0.3], [0.3, 0.4, 0.3], [0.4, 0.3, 0.3]], np.float32)
    theirs = keras.metrics.Precision()
    theirs.update_state(targets, probs)
    ours = ClassScores(n_classes=3)
    ours.update_state(targets, np.log(probs))
    assert float(theirs.result()) == 0.0
    assert float(ours.result()["accuracy"]) == pytest.approx(2 / 3)


def test_8_precision_at_a_recall_looks_at_every_score():
    import keras

    from dnncli.metrics.curves import curve
    from dnncli.metrics.thresholds import max_precision

    # An over-confident network: everything that matters happens above 0.995.
    rng = np.random.default_rng(0)
    truth = np.repeat([True, False], [40, 160])
    scores = np.where(truth, 0.9990 + 0.001 * rng.random(200), 0.9982 + 0.001 * rng.random(200))
    theirs = keras.metrics.PrecisionAtRecall(0.95)
    theirs.update_state(truth.astype(np.float32), scores.astype(np.float32))
    point = max_precision(curve(truth, scores), recall=0.95)
    ours, flagged = point.precision, scores >= point.threshold
    assert truth[flagged].sum() / truth.sum() >= 0.95
    assert ours == truth[flagged].mean()
    by_hand = max(
        truth[scores >= cut].mean() for cut in scores if truth[scores >= cut].sum() >= 0.95 * 40
    )
    assert ours == by_hand
    assert ours > float(theirs.result()) + 0.3


def test_9_a_resumed_run_keeps_its_best_epoch_and_its_patience():
    import keras

    from dnncli.training.callbacks import ResumableEarlyStopping

    losses = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    options = {"monitor": "val_loss", "mode": "min", "patience": 3}

    def stops_at(callbacks):
        """The epoch after which training stops, with a restart after the second."""
        for epoch, loss in enumerate(losses):
            callback = callbacks[epoch >= 2]
            if epoch in (0, 2):
                callback.set_model(keras.Sequential())
                callback.model.stop_training = False
                callback.on_train_begin()
            callback.on_epoch_end(epoch, {"val_loss": loss})
            if callback.model.stop_training:
                return epoch + 1
        return None

    memory = {}
    assert stops_at([ResumableEarlyStopping(memory, **options) for _ in range(2)]) == 4
    assert memory["best"] == 0.5
    assert stops_at([keras.callbacks.EarlyStopping(**options) for _ in range(2)]) == 6
