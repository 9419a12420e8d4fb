"""Live scores of pixels: pooled, background left out, in 64-bit counts."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from sklearn.metrics import fbeta_score, jaccard_score, precision_score, recall_score

from dnncli.training.mask_metrics import PixelScores, _count


def scores(y, z, *, n_classes=2, beta=1.0):
    metric = PixelScores(n_classes=n_classes, beta=beta)
    metric.update_state(np.asarray(y, np.uint8), np.asarray(z, np.float32))
    return {name: float(value) for name, value in metric.result().items()}


def test_values_worked_out_by_hand():
    # 2 hits, 1 false alarm, 1 miss, 1 true negative; one pixel is of no class.
    y = np.array([[[1, 1, 0], [1, 0, 255]]])
    z = np.array([[[2.0, 0.0, 1.0], [-1.0, -2.0, 9.0]]])[..., None]
    assert scores(y, z, beta=2.0) == pytest.approx(
        {
            "accuracy": 3 / 5,
            "precision": 2 / 3,
            "recall": 2 / 3,
            "f2": 2 / 3,
            "iou": 2 / 4,
        }
    )


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_scores_agree_with_scikit_learn_over_several_batches(n_classes, beta):
    draw = np.random.default_rng(n_classes)
    y = draw.integers(0, n_classes, (6, 5, 7)).astype(np.uint8)
    y[draw.random(y.shape) < 0.1] = 255
    z = draw.normal(size=(6, 5, 7, 1 if n_classes == 2 else n_classes)).astype(np.float32)
    metric = PixelScores(n_classes=n_classes, beta=beta)
    for rows in (slice(0, 1), slice(1, 4), slice(4, 6)):
        metric.update_state(y[rows], z[rows])
    decided = (z[..., 0] >= 0).astype(int) if n_classes == 2 else z.argmax(-1)
    truth, decided = y[y != 255], decided[y != 255]
    options = {"average": "macro", "labels": range(1, n_classes)}
    expected = {
        "accuracy": (truth == decided).mean(),
        "precision": precision_score(truth, decided, **options),
        "recall": recall_score(truth, decided, **options),
        f"f{beta:g}": fbeta_score(truth, decided, beta=beta, **options),
        "iou": jaccard_score(truth, decided, **options),
    }
    result = {name: float(value) for name, value in metric.result().items()}
    assert result == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_last_map_decides(n_classes):
    draw = np.random.default_rng(0)
    y = draw.integers(0, n_classes, (2, 3, 4))
    z = draw.normal(size=(2, 3, 4, 5 * (1 if n_classes == 2 else n_classes)))
    last = z[..., -1:] if n_classes == 2 else z[..., -n_classes:]
    assert scores(y, z, n_classes=n_classes) == scores(y, last, n_classes=n_classes)


def test_a_class_that_is_neither_drawn_nor_found_does_not_count_in_the_mean():
    y = np.array([[[0, 1, 1, 0]]])
    z = np.eye(3)[[0, 1, 0, 0]][None, None]
    found = scores(y, z, n_classes=3)
    assert found["iou"] == 0.5 and found["recall"] == 0.5 and found["precision"] == 1.0


def test_without_a_background_the_first_class_counts_too():
    y = np.array([[[0, 1, 1, 0]]])
    z = np.eye(3)[[0, 1, 0, 0]][None, None]
    metric = PixelScores(n_classes=3, first=0)
    metric.update_state(y, z)
    assert float(metric.result()["iou"]) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_scores_of_nothing_but_background_are_undefined_and_accuracy_is_not():
    found = scores(np.zeros((1, 2, 2)), np.full((1, 2, 2, 1), -1.0))
    assert found.pop("accuracy") == 1.0
    assert all(math.isnan(value) for value in found.values())
    assert math.isnan(scores(np.full((1, 2, 2), 255), np.ones((1, 2, 2, 1)))["accuracy"])


def test_counts_go_beyond_what_float32_can_count():
    assert int(_count(ops.ones((1, 4097, 4097, 1)))[0]) == 4097**2 > 2**24
    metric = PixelScores(n_classes=2)
    metric.support.assign(np.array([0, 2**40], np.int64))
    metric.update_state(np.ones((1, 1, 3)), np.ones((1, 1, 3, 1)))
    assert int(metric.support[1]) == 2**40 + 3


def test_a_new_epoch_starts_from_0_and_the_settings_survive_saving():
    metric = PixelScores(n_classes=3, beta=0.5)
    metric.update_state(np.ones((1, 2, 2)), np.ones((1, 2, 2, 3)))
    metric.reset_state()
    assert int(ops.sum(metric.support)) == 0
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert (again.n_classes, again.beta, again.name) == (3, 0.5, "scores")
