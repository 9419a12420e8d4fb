"""Greedy selection: the definition, its promise, and what must not change it."""

from fractions import Fraction

import numpy as np
import pytest

from dnncli.metrics.calibration import calibration
from dnncli.metrics.paired import difference
from dnncli.voting.ballots import NO_VOTE, encode
from dnncli.voting.selection import select, select_votes


def drawn(seed, *, rows=80, models=4, classes=3, missing=0.0):
    """Truth, and probabilities (M, V, C) that lean towards it more and more."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    logits = rng.normal(size=(models, rows, classes))
    logits[:, np.arange(rows), labels] += np.linspace(0, 1.5, models)[:, None]
    probs = np.exp(logits)
    probs /= probs.sum(axis=2, keepdims=True)
    probs[rng.random((models, rows)) < missing] = np.nan
    return labels, probs


def loss(mean, labels, metric):
    return getattr(calibration(mean, labels), metric)


def naive(probs, labels, rounds, metric):
    """Models picked and losses, each mean worked out from the start."""
    picked, losses = [], []
    for _ in range(rounds):
        found = []
        for model in range(len(probs)):
            said = np.stack([probs[member] for member in [*picked, model]])
            n = (~np.isnan(said[:, :, :1])).sum(axis=0)
            mean = np.where(n > 0, np.nansum(said, axis=0) / np.maximum(n, 1), 1 / probs.shape[2])
            found.append(loss(mean, labels, metric))
        picked.append(int(np.argmin(found)))
        losses.append(min(found))
    return picked, losses


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("metric", ["log_loss", "brier"])
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_each_round_picks_what_lowers_the_loss_most(seed, metric, missing):
    labels, probs = drawn(seed, missing=missing)
    found = select(list(probs), labels, rounds=15, metric=metric)
    picked, losses = naive(probs, labels, 15, metric)
    assert list(found.sequence) == picked
    assert found.losses == pytest.approx(losses, abs=1e-12)


def test_weights_worked_out_by_hand():
    # Truth c0, c1. Brier of a: (.2^2 + .2^2 + .6^2 + .6^2) / 2 = .4, of b the same, of c 2 * .25.
    # Their mean is right with .6 on both rows: 2 * .16. With a again: .6667 and .5333, no better.
    a, b, c = [[0.8, 0.2], [0.6, 0.4]], [[0.4, 0.6], [0.2, 0.8]], [[0.5, 0.5], [0.5, 0.5]]
    found = select([np.array(p) for p in (a, b, c)], np.array([0, 1]), rounds=3, metric="brier")
    assert found.sequence == (0, 1, 0)
    assert found.losses == pytest.approx([0.4, 0.32, (2 * (1 / 3) ** 2 + 2 * (7 / 15) ** 2) / 2])
    assert found.weights == (Fraction(1, 2), Fraction(1, 2), Fraction(0))
    assert (found.best_prefix, found.best_single) == (2, 0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_weights_give_the_lowest_loss_and_none_worse_than_the_best_single(seed, metric):
    labels, probs = drawn(seed)
    found = select(list(probs), labels, metric=metric)
    mean = np.tensordot([float(weight) for weight in found.weights], probs, axes=1)
    assert sum(found.weights) == 1
    assert loss(mean, labels, metric) == pytest.approx(min(found.losses), abs=1e-12)
    singles = [loss(of_model, labels, metric) for of_model in probs]
    assert found.best_single == int(np.argmin(singles))
    assert found.best_single_loss == pytest.approx(min(singles))
    assert min(found.losses) <= found.best_single_loss
    assert len(found.sequence) == len(found.losses) == 50


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_hard_votes_are_selected_as_certain_probabilities_are(seed, missing):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 300)
    votes = np.where(rng.random((5, 300)) < 0.7, labels, rng.integers(0, 3, (5, 300)))
    votes[rng.random(votes.shape) < missing] = NO_VOTE
    probs = np.where(votes[..., None] == NO_VOTE, np.nan, np.eye(3)[votes])
    expected = select(list(probs), labels, rounds=20, metric="brier")
    found = select_votes(encode(list(votes), "abcde", "xyz"), labels, rounds=20)
    assert found.sequence == expected.sequence
    assert found.losses == pytest.approx(expected.losses, abs=1e-12)


def test_rows_without_a_label_do_not_count():
    labels = np.array([0, 1, -1, 1])
    votes = [np.array([0, 1, 0, 0]), np.array([0, 0, 1, 1])]
    kept = labels >= 0
    found = select_votes(encode(votes, "ab", "xy"), labels)
    only = select_votes(encode([of_model[kept] for of_model in votes], "ab", "xy"), labels[kept])
    assert found == only


def test_of_equal_models_the_first_is_picked():
    labels, probs = drawn(1)
    found = select([probs[3], probs[3], probs[0]], labels)
    assert found.weights[1] == 0
    assert found.best_single == 0


def test_the_fewest_rounds_that_reach_the_lowest_loss_count():
    labels, probs = drawn(1)
    found = select([probs[3]], labels, rounds=7)
    assert found.losses == pytest.approx([found.best_single_loss] * 7)
    assert (found.best_prefix, found.weights) == (1, (Fraction(1),))


def test_the_order_of_rows_and_classes_does_not_matter():
    labels, probs = drawn(2)
    rng = np.random.default_rng(0)
    rows, classes = rng.permutation(80), rng.permutation(3)
    mixed = probs[:, rows][:, :, np.argsort(classes)]
    found = select(list(mixed), classes[labels[rows]])
    assert found.sequence == select(list(probs), labels).sequence


def test_a_certain_mistake_costs_what_the_log_loss_says():
    found = select([np.array([[1.0, 0.0]])], np.array([1]), rounds=1)
    assert found.losses[0] == pytest.approx(-np.log(1e-15))


def test_a_row_that_no_model_spoke_of_has_even_shares():
    nothing = np.full((1, 4), np.nan)
    assert select([nothing], np.array([2]), rounds=1).losses[0] == pytest.approx(np.log(4))
    # 0.75^2 + 3 * 0.25^2
    assert select([nothing], np.array([2]), rounds=1, metric="brier").losses[0] == 0.75
    silent = encode([np.array([NO_VOTE])], "a", "wxyz")
    assert select_votes(silent, np.array([2]), rounds=1).losses[0] == 0.75


def test_weights_of_one_half_beat_the_best_single_model_on_the_other():
    # Five good models that err apart, and twelve poor ones that err together and win the majority.
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 6000)
    apart = rng.integers(0, 5, (5, 6000))
    good = np.where(rng.random((5, 6000)) < 0.85, labels, apart)
    base = np.where(rng.random(6000) < 0.7, labels, rng.integers(0, 5, 6000))
    poor = np.where(rng.random((12, 6000)) < 0.9, base, rng.integers(0, 5, (12, 6000)))
    votes = np.concatenate([good, poor])
    ballots = encode(list(votes), [str(m) for m in range(17)], "vwxyz")
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(6000)
        known, new = order[:3000], order[3000:]
        found = select_votes(ballots.take(known), labels[known])
        shares = np.zeros((3000, 5))
        for of_model, weight in zip(votes[:, new], found.weights):
            shares[np.arange(3000), of_model] += float(weight)
        ours = shares.argmax(axis=1) == labels[new]
        single = votes[found.best_single, new] == labels[new]
        gain = difference(int((ours & ~single).sum()), int((single & ~ours).sum()), 3000)
        assert gain.low > 0


@pytest.mark.parametrize(
    ("probs", "labels", "options", "message"),
    [
        ([], [0], {}, r"M >= 1 arrays of one shape \(V, C\)"),
        (
            [np.zeros((2, 3)), np.zeros((3, 3))],
            [0, 0],
            {},
            r"Got \[\(2, 3\), \(3, 3\)\] and \(2,\)",
        ),
        ([np.zeros((2, 3))], [0, 3], {}, r"index in \[0, 3\). Got \[0 3\]"),
        ([np.zeros((0, 3))], [], {}, "at least one index"),
        ([np.zeros((1, 3))], [0], {"rounds": 0}, "rounds must be at least 1. Got 0"),
        ([np.zeros((1, 3))], [0], {"metric": "accuracy"}, "log_loss.*Got 'accuracy'"),
    ],
)
def test_what_does_not_fit_is_named(probs, labels, options, message):
    with pytest.raises(ValueError, match=message):
        select(probs, np.array(labels, int), **options)


def test_votes_without_any_truth_are_refused():
    with pytest.raises(ValueError, match="at least one row"):
        select_votes(encode([np.array([0])], "a", "xy"), np.array([-1]))
