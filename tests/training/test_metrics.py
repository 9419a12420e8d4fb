"""Live scores: argmax decisions in 64-bit counts."""

import keras
import numpy as np
import pytest
from sklearn.metrics import fbeta_score, precision_score, recall_score

from dnncli.training.metrics import ClassScores


def scores(targets, logits, *, n_classes, beta=1.0):
    metric = ClassScores(n_classes=n_classes, beta=beta)
    metric.update_state(np.asarray(targets, np.float32), np.asarray(logits, np.float32))
    return {name: float(value) for name, value in metric.result().items()}


def test_softmax_scores_follow_the_argmax_where_keras_cuts_at_one_half():
    # Three classes, no probability above 0.5: Keras' own metrics see no positive at all.
    targets = np.eye(3, dtype=np.float32)[[0, 1, 2]]
    probs = np.array([[0.4, 0.3, 0.3], [0.3, 0.4, 0.3], [0.4, 0.3, 0.3]], np.float32)
    theirs = keras.metrics.Recall()
    theirs.update_state(targets, probs)
    assert float(theirs.result()) == 0.0
    ours = scores(targets, np.log(probs), n_classes=3)
    assert ours["accuracy"] == pytest.approx(2 / 3)
    assert ours["recall"] == pytest.approx(2 / 3)
    assert ours["precision"] == pytest.approx((1 / 2 + 1) / 2)  # class 2 was never predicted


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_averages_agree_with_scikit_learn_over_several_batches(seed, beta):
    rng = np.random.default_rng(seed)
    truth, logits = rng.integers(0, 4, 50), rng.normal(size=(50, 4)).astype(np.float32)
    metric = ClassScores(n_classes=4, beta=beta)
    for part in np.array_split(np.arange(50), 3):
        metric.update_state(np.eye(4, dtype=np.float32)[truth[part]], logits[part])
    decided = logits.argmax(1)
    result = metric.result()
    options = {"average": "macro", "zero_division": np.nan}
    assert float(result["precision"]) == pytest.approx(
        precision_score(truth, decided, **options), abs=1e-6
    )
    assert float(result["recall"]) == pytest.approx(
        recall_score(truth, decided, **options), abs=1e-6
    )
    assert float(result[f"f{beta:g}"]) == pytest.approx(
        fbeta_score(truth, decided, beta=beta, **options), abs=1e-6
    )


def test_one_logit_is_positive_from_zero_on():
    targets = np.eye(2, dtype=np.float32)[[1, 1, 0, 0]]
    result = scores(targets, [[0.0], [-0.1], [-3.0], [2.0]], n_classes=2)
    assert result["accuracy"] == 0.5


def test_counts_go_beyond_what_float32_can_count():
    metric = ClassScores(n_classes=2)
    metric.support.assign(np.array([2**24, 0], np.int64))
    metric.update_state(np.array([[1.0, 0.0]], np.float32), np.array([[1.0, 0.0]], np.float32))
    assert int(metric.support.numpy()[0]) == 2**24 + 1


def test_reset_forgets_everything():
    metric = ClassScores(n_classes=2)
    metric.update_state(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))
    metric.reset_state()
    assert metric.support.numpy().tolist() == [0, 0]
    assert np.isnan(float(metric.result()["recall"]))
