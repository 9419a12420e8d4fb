"""Two thousand random problems on which every score equals scikit-learn's to 1e-12."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from dnncli.metrics.calibration import calibration
from dnncli.metrics.counts import count, decide
from dnncli.metrics.curves import average_precision, curve, roc_auc
from dnncli.metrics.report import score_report
from dnncli.metrics.scores import average_scores, beta_name, class_scores, micro_scores

PROBLEMS, CHUNKS = 2000, 20
POLICIES = {"skip": np.nan, "0": 0, "1": 1}  # ours: scikit-learn's zero_division
BETAS = (0.5, 1.0, 2.0, 0.3)


@pytest.fixture(autouse=True)
def fast_scikit_learn():
    with config_context(skip_parameter_validation=True, assume_finite=True):
        yield


def problem(seed):
    """Truth, probabilities and weights; ties, absent classes, one class and one row occur."""
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(1, 7))
    n = int(rng.choice([1, 2, 10, 60]))
    present = rng.permutation(n_classes)[: rng.integers(1, n_classes + 1)]
    labels = rng.choice(present, size=n)
    probs = rng.integers(1, rng.choice([3, 1000]), size=(n, n_classes)).astype(float)
    probs /= probs.sum(axis=1, keepdims=True)
    weights = rng.random(n) + 0.01 if rng.random() < 0.4 else None
    names = rng.permutation([f"class {index}" for index in range(n_classes)])
    return rng, labels, probs, weights, names


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_scores_and_averages_equal_scikit_learn(chunk):
    for seed in range(chunk, PROBLEMS, CHUNKS):
        rng, labels, probs, weights, names = problem(seed)
        decisions, _ = decide(probs, tie="class-order")
        beta, undefined = float(rng.choice(BETAS)), str(rng.choice(list(POLICIES)))
        counts = count(labels, decisions, n_classes=len(names), weights=weights)
        scores = class_scores(counts, betas=[beta])
        ours = {
            None: scores,
            "macro": average_scores(scores, undefined=undefined),
            "weighted": average_scores(scores, undefined=undefined, weights=counts.support),
            "micro": micro_scores(counts, betas=[beta]),
        }
        kind = [None, "macro", "weighted", "micro"][rng.integers(4)]
        theirs = precision_recall_fscore_support(
            names[labels],
            names[decisions],
            beta=beta,
            labels=names,
            average=kind,
            sample_weight=weights,
            zero_division=POLICIES[undefined] if kind else np.nan,
        )[:3]
        found = [ours[kind].precision, ours[kind].recall, ours[kind].f[beta_name(beta)]]
        if kind is not None:
            # Where every weighted class is undefined, scikit-learn says 0 and we undefined.
            found, theirs = np.nan_to_num(found), np.nan_to_num(np.array(theirs, float))
        np.testing.assert_allclose(found, theirs, rtol=0, atol=1e-12, err_msg=str(seed))


def binary_problem(seed):
    """Truth with both sides, scores in few or many steps, and weights."""
    rng = np.random.default_rng(seed)
    n = int(rng.choice([2, 3, 10, 60, 300]))
    truth = rng.random(n) < rng.random()
    truth[:2] = rng.permutation([True, False])
    scores = rng.integers(-3 * (seed % 2), rng.choice([1, 4, 1000]), n) / 3
    return truth, scores, rng.random(n) + 0.01 if rng.random() < 0.4 else None


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_areas_under_curves_equal_scikit_learn(chunk):
    for seed in range(chunk, PROBLEMS, CHUNKS):
        truth, scores, weights = binary_problem(seed)
        points = curve(truth, scores, weights)
        expected = average_precision_score(truth, scores, sample_weight=weights)
        assert average_precision(points) == pytest.approx(expected, abs=1e-12), seed
        expected = roc_auc_score(truth, scores, sample_weight=weights)
        assert roc_auc(points) == pytest.approx(expected, abs=1e-12), seed


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_brier_score_and_log_loss_equal_scikit_learn(chunk):
    for seed in range(chunk, PROBLEMS, CHUNKS):
        _, labels, probs, weights, names = problem(seed)
        if len(names) < 2:
            continue
        classes = np.arange(len(names))
        ours = calibration(probs, labels, weights=weights)
        expected = log_loss(labels, probs, labels=classes, sample_weight=weights)
        assert ours.log_loss == pytest.approx(expected, abs=1e-12), seed
        expected = brier_score_loss(
            labels, probs, labels=classes, sample_weight=weights, scale_by_half=False
        )
        assert ours.brier == pytest.approx(expected, abs=1e-12), seed
        if len(names) == 2 and 0 < labels.sum() < len(labels):
            one = calibration(probs[:, 1], labels, weights=weights)
            expected = brier_score_loss(labels, probs[:, 1], sample_weight=weights)
            assert one.brier == pytest.approx(expected, abs=1e-12), seed


def test_the_report_holds_these_same_numbers():
    _, labels, probs, _, names = problem(17)
    decisions, _ = decide(probs, tie="class-order")
    counts = count(labels, decisions, n_classes=len(names))
    report = score_report(counts, classes=names, betas=(2,))
    scores = class_scores(counts, betas=(2,))
    found = [entry.f["2"] for entry in report.per_class.values()]
    np.testing.assert_array_equal(found, scores.f["2"])
    assert report.averages.macro.f["2"] == average_scores(scores).f["2"]
