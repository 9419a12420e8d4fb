"""Which epoch is kept as the best."""

import keras
import pytest

from dnncli.rundir import RunDir
from dnncli.training.backup import TrainState
from dnncli.training.callbacks import Keeper


def best_epoch(folder, scores, *, tolerance, rows=100, losses=None):
    """The epoch kept of some with these scores; the state goes from each to the next."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd")
    state = TrainState()
    for epoch, score in enumerate(scores):
        keeper = Keeper(
            state,
            RunDir(folder),
            monitor="val_f1",
            higher_is_better=True,
            tolerance=tolerance,
            rows=rows,
            write_model=lambda _: None,
            best=[],
            backup_seconds=1e9,
        )
        keeper.next_save += 1e9
        keeper.set_model(model)
        keeper.on_epoch_end(epoch, {"val_f1": score, "val_loss": (losses or scores)[epoch]})
    return state.best_epoch, state.best_value


def test_the_last_epoch_within_one_standard_error_is_kept(tmp_path):
    # One standard error of 0.8 in 100 rows is 0.04.
    assert best_epoch(tmp_path, [0.5, 0.8, 0.765, 0.755], tolerance=1) == (3, 0.765)
    assert best_epoch(tmp_path, [0.5, 0.8, 0.765, 0.755], tolerance=2) == (4, 0.755)


def test_small_losses_do_not_add_up(tmp_path):
    falling = [0.8, 0.77, 0.765, 0.761, 0.72, 0.70]
    assert best_epoch(tmp_path, falling, tolerance=1) == (4, 0.761)


def test_without_a_tolerance_the_highest_is_kept_and_of_equals_the_lower_loss(tmp_path):
    scores, losses = [0.5, 0.8, 0.8, 0.79], [3.0, 2.0, 1.0, 0.5]
    assert best_epoch(tmp_path, scores, tolerance=0, losses=losses) == (3, 0.8)


@pytest.mark.parametrize("tolerance", [0.0, 1.0])
def test_an_epoch_without_a_score_is_not_kept(tmp_path, tolerance):
    assert best_epoch(tmp_path, [0.5, float("nan")], tolerance=tolerance) == (1, 0.5)


def test_a_perfect_score_has_no_error(tmp_path):
    assert best_epoch(tmp_path, [1.0, 0.999], tolerance=1) == (1, 1.0)
