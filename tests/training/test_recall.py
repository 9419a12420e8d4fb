"""Precision at a recall over every score, against the definition and against scikit-learn."""

import math

import keras
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from dnncli.rundir import RunDir
from dnncli.training.backup import TrainState
from dnncli.training.callbacks import Keeper
from dnncli.training.recall import (
    AVERAGE_PRECISION,
    PRECISION_AT_RECALL,
    RecallJudge,
    recall_scores,
)


def random_case(seed, *, digits=None):
    """Labels and scores that know something about them; rounded scores are tied."""
    draw = np.random.default_rng(seed)
    n = int(draw.integers(2, 200))
    truth = draw.random(n) < draw.uniform(0.05, 0.9)
    truth[0] = True
    scores = 1 / (1 + np.exp(-draw.normal(truth, 1.0, n)))
    return truth, scores.astype(np.float32) if digits is None else scores.round(digits)


@pytest.mark.parametrize("recall", [0.5, 0.8, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("digits", [None, 1, 2])
@pytest.mark.parametrize("seed", range(10))
def test_agrees_with_the_curve_of_scikit_learn(seed, digits, recall):
    truth, scores = random_case(seed, digits=digits)
    precision, reached, _ = precision_recall_curve(truth, scores)
    ours = recall_scores(truth, scores, recall=recall)
    # Their curve ends in a point without a threshold; a tenth of a row is far more than rounding.
    feasible = reached[:-1] >= recall - 0.1 / len(truth)
    assert ours[PRECISION_AT_RECALL] == pytest.approx(precision[:-1][feasible].max(), abs=1e-12)
    theirs = average_precision_score(truth, scores)
    assert ours[AVERAGE_PRECISION] == pytest.approx(theirs, abs=1e-12)


def test_value_worked_out_by_hand():
    # Falling scores: + - + - +. Two of three positives: 2/3; all three: 3/5.
    truth, scores = np.array([1, 0, 1, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    found = recall_scores(truth, scores, recall=0.6)
    assert found[PRECISION_AT_RECALL] == pytest.approx(2 / 3)
    assert found[AVERAGE_PRECISION] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert recall_scores(truth, scores, recall=0.7)[PRECISION_AT_RECALL] == pytest.approx(3 / 5)


def test_the_target_is_exact():
    truth, scores = np.arange(20) < 10, np.linspace(1, 0, 20)
    scores[9] = 0.0  # nine of ten stand before all others, the tenth after them
    assert recall_scores(truth, scores, recall=0.9)[PRECISION_AT_RECALL] == 1.0
    assert recall_scores(truth, scores, recall=0.9000001)[PRECISION_AT_RECALL] == 0.5


def test_a_perfect_ranking_of_tiny_scores_is_perfect_where_keras_sees_nothing():
    truth, scores = np.array([0, 0, 1, 1]), np.array([1e-5, 2e-5, 1e-4, 2e-4])
    theirs = keras.metrics.PrecisionAtRecall(0.95)
    theirs.update_state(truth, scores)
    assert float(theirs.result()) == 0.5
    assert recall_scores(truth, scores, recall=0.95)[PRECISION_AT_RECALL] == 1.0


@pytest.mark.parametrize(
    ("truth", "scores"), [([0, 0], [0.1, 0.2]), ([0, 1], [0.1, np.nan]), ([], [])]
)
def test_without_positives_or_with_scores_that_are_no_numbers_it_is_undefined(truth, scores):
    found = recall_scores(truth, np.array(scores, float), recall=0.9)
    assert all(math.isnan(value) for value in found.values())


@pytest.mark.parametrize(
    ("second", "best"),
    [
        ((0.6, 0.9, 0.9), 1),  # a lower precision at recall is worse, whatever else
        ((0.7, 0.4, 0.2), 1),  # equal: the lower average precision is worse
        ((0.7, 0.6, 0.9), 2),  # equal: the higher average precision is better
        ((0.7, 0.5, 0.2), 2),  # equal in both: the lower loss is better
        ((0.7, 0.5, 0.3), 1),  # equal in all: the first stays
        ((0.8, 0.1, 0.9), 2),
        ((math.nan, 0.9, 0.1), 1),
    ],
)
def test_ties_of_precision_at_recall_are_broken_by_average_precision(tmp_path, second, best):
    state = TrainState()
    keeper = Keeper(
        state,
        RunDir(tmp_path),
        monitor=PRECISION_AT_RECALL,
        higher_is_better=True,
        ties=(AVERAGE_PRECISION,),
        write_model=lambda path: None,
        best=[],
    )
    keeper.set_model(compiled())
    for epoch, scores in enumerate([(0.7, 0.5, 0.3), second]):
        names = (PRECISION_AT_RECALL, AVERAGE_PRECISION, "val_loss")
        keeper.on_epoch_end(epoch, dict(zip(names, scores)))
    assert state.best_epoch == best


def compiled():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    return model


def judge_of(scores):
    judge = RecallJudge(lambda: scores, np.array([True, False]), recall=1.0)
    judge.set_model(compiled())
    return judge


def test_the_judge_adds_its_scores_to_validated_epochs_only():
    judge = judge_of(np.array([0.2, 0.7]))
    logs = {"loss": 1.0, "val_loss": 1.0}
    judge.on_epoch_end(0, logs)
    assert logs[PRECISION_AT_RECALL] == 0.5
    logs = {"loss": 1.0}
    judge.on_epoch_end(1, logs)
    assert logs == {"loss": 1.0}


def test_the_judge_sees_the_averaged_weights_where_the_optimizer_keeps_them():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    model.compile(optimizer=optimizer, loss="mse")
    x, y = np.array([[1.0], [2.0]], np.float32), np.array([[3.0], [1.0]], np.float32)
    for _ in range(2):  # after the first the average is that one value
        model.train_on_batch(x, y)
    seen = []
    kernel = model.layers[0].kernel

    def predict():
        seen.append(float(kernel.numpy()[0, 0]))
        return np.array([0.2, 0.7])

    judge = RecallJudge(predict, np.array([True, False]), recall=1.0)
    judge.set_model(model)
    now = float(kernel.numpy()[0, 0])
    judge.on_epoch_end(0, {"val_loss": 1.0})
    average = float(optimizer._model_variables_moving_average[0].numpy()[0, 0])
    assert seen == [average]
    assert average != now
    assert float(kernel.numpy()[0, 0]) == now
