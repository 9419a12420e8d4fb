"""Intervals of F scores: the variance they rest on, and how often they hold the truth."""

import numpy as np
import pytest

from dnncli.metrics.counts import Counts
from dnncli.metrics.f_intervals import class_f_interval, f_intervals
from dnncli.metrics.intervals import proportion_interval
from dnncli.metrics.scores import average, beta_name, f_beta

KINDS = ("macro", "weighted", "micro")


def counts_of(cells):
    cells = np.asarray(cells)
    return Counts(confusion=cells[:, :-1], undecided=cells[:, -1])


def some_counts(seed=0, *, n=4000, n_classes=4):
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(n_classes * (n_classes + 1)))
    cells = rng.multinomial(n, shares).reshape(n_classes, n_classes + 1)
    cells[np.arange(n_classes), np.arange(n_classes)] += n // n_classes
    return cells


def averages(cells, beta):
    """Macro, weighted and micro F of (C, C + 1) cells, undecided last."""
    counts = counts_of(cells)
    f = f_beta(counts.tp, counts.fp, counts.fn, beta=beta)
    micro = f_beta(counts.tp.sum(), counts.fp.sum(), counts.fn.sum(), beta=beta)
    return {
        "macro": average(f),
        "weighted": average(f, weights=counts.support),
        "micro": float(micro),
    }


def numeric_standard_error(cells, beta, kind):
    """The delta method as textbooks have it: gradient by differences, full covariance."""
    n = cells.sum()
    shares = cells.ravel() / n
    gradient = np.empty(len(shares))
    for place in range(len(shares)):
        ends = []
        for step in (1e-6, -1e-6):
            moved = shares.copy()
            moved[place] += step
            ends.append(averages(moved.reshape(cells.shape), beta)[kind])
        gradient[place] = (ends[0] - ends[1]) / 2e-6
    covariance = (np.diag(shares) - np.outer(shares, shares)) / n
    return np.sqrt(gradient @ covariance @ gradient)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", KINDS)
def test_width_is_that_of_the_full_covariance_of_the_cells(kind, beta):
    # With many rows the interval is the estimate -+ 1.96 standard errors.
    cells = some_counts() * 1000
    ends = getattr(f_intervals(counts_of(cells), betas=(beta,)), kind)[beta_name(beta)]
    error = numeric_standard_error(cells, beta, kind)
    assert ends[1] - ends[0] == pytest.approx(2 * 1.959964 * error, rel=1e-3)
    assert ends.mean() == pytest.approx(averages(cells, beta)[kind], abs=0.02 * error)


def test_f1_of_a_class_is_as_sure_as_the_share_that_it_stands_for():
    # F1 = 2 J / (1 + J), J = tp / (tp + fp + fn) a plain share: its Wilson interval, transformed.
    j = np.array(proportion_interval(800, 1000, method="wilson"))
    expected = 2 * j / (1 + j)
    assert class_f_interval([800], [90], [110], beta=1)[0] == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_delta_and_bootstrap_agree_on_many_rows(seed):
    counts = counts_of(some_counts(seed))
    delta = f_intervals(counts, betas=(0.5, 2))
    replicated = f_intervals(counts, betas=(0.5, 2), method="bootstrap")
    for name in ("0.5", "2"):
        for kind in ("per_class", *KINDS):
            ours, theirs = getattr(delta, kind)[name], getattr(replicated, kind)[name]
            np.testing.assert_allclose(ours, theirs, atol=0.006)


def test_percentiles_are_those_of_plain_replicates():
    cells = some_counts(1, n=60, n_classes=3)
    cells[2] = 0  # a class without a row, but decided for
    draws = np.random.default_rng(5).multinomial(
        cells.sum(), cells[cells > 0] / cells.sum(), size=400
    )
    scores = []
    for draw in draws:
        replicate = np.zeros_like(cells)
        replicate[cells > 0] = draw
        scores.append(list(averages(replicate, 1.0).values()))
    expected = np.quantile(scores, [0.05, 0.95], axis=0).T
    ours = f_intervals(counts_of(cells), confidence=0.9, method="bootstrap", replicates=400, seed=5)
    for kind, ends in zip(KINDS, expected):
        np.testing.assert_allclose(getattr(ours, kind)["1"], ends, atol=1e-12)


def test_the_same_seed_gives_the_same_interval():
    counts = counts_of(some_counts(2, n=100))
    first, second, other = (
        f_intervals(counts, method="bootstrap", seed=seed).macro["1"] for seed in (3, 3, 4)
    )
    assert (first == second).all()
    assert (first != other).any()


@pytest.mark.parametrize(("n", "beta"), [(100, 2.0), (300, 0.5), (1000, 1.0)])
def test_delta_holds_the_true_score_about_as_often_as_it_says(n, beta):
    # Three classes, the first with 15 % of the rows, and some rows undecided.
    cells = np.array([[0.10, 0.03, 0.01, 0.01], [0.04, 0.36, 0.03, 0.0], [0.01, 0.05, 0.36, 0.0]])
    truth = averages(cells, beta)
    first = float(f_beta(0.10, 0.05, 0.05, beta=beta))
    held = dict.fromkeys([*KINDS, "class"], 0)
    draws = np.random.default_rng(n).multinomial(n, cells.ravel(), size=1000)
    for draw in draws.reshape(-1, *cells.shape):
        found = f_intervals(counts_of(draw), betas=(beta,))
        for kind in KINDS:
            low, high = getattr(found, kind)[beta_name(beta)]
            held[kind] += low <= truth[kind] <= high
        low, high = found.per_class[beta_name(beta)][0]
        held["class"] += low <= first <= high
    # 1.5 points, and 2.5 standard errors of 1,000 draws
    for kind, times in held.items():
        assert times / len(draws) == pytest.approx(0.95, abs=0.015 + 0.017), kind


def test_no_error_in_few_rows_proves_no_perfect_score():
    found = f_intervals(counts_of([[5, 0, 0], [0, 5, 0]]))
    for ends in (*found.per_class["1"], found.macro["1"], found.weighted["1"], found.micro["1"]):
        assert ends[1] == 1
        assert 0.4 < ends[0] < 0.8


def test_an_undefined_score_has_no_interval():
    found = f_intervals(counts_of([[4, 1, 0], [0, 0, 0]]), undefined="skip")
    assert not np.isnan(found.per_class["1"]).any()  # decided for once: F is 0, not undefined
    nothing = f_intervals(counts_of(np.zeros((2, 3), int)))
    assert np.isnan(nothing.per_class["1"]).all()
    for kind in KINDS:
        assert np.isnan(getattr(nothing, kind)["1"]).all()
    empty = f_intervals(counts_of(np.zeros((2, 3), int)), method="bootstrap")
    assert np.isnan(empty.macro["1"]).all()


@pytest.mark.parametrize("method", ["delta", "bootstrap"])
def test_classes_without_rows_count_in_the_mean_as_asked(method):
    counts = counts_of([[90, 0, 10], [0, 0, 0]])
    skip, zero, one = (
        f_intervals(counts, undefined=undefined, method=method).macro["1"]
        for undefined in ("skip", "0", "1")
    )
    np.testing.assert_allclose(zero, skip / 2, atol=0.01)
    np.testing.assert_allclose(one, skip / 2 + 0.5, atol=0.01)


@pytest.mark.parametrize("method", ["delta", "bootstrap"])
def test_renaming_the_classes_changes_no_interval(method):
    cells = some_counts(3, n=200, n_classes=3)
    order = [2, 0, 1]
    one = f_intervals(counts_of(cells), method=method)
    two = f_intervals(counts_of(cells[order][:, [*order, 3]]), method=method)
    # Other replicates are drawn, so that percentiles agree only roughly.
    near = 1e-12 if method == "delta" else 0.02
    np.testing.assert_allclose(one.per_class["1"][order], two.per_class["1"], atol=near)
    np.testing.assert_allclose(one.macro["1"], two.macro["1"], atol=near)


def test_one_class_alone_has_intervals():
    found = f_intervals(counts_of([[48, 2]]))
    assert found.per_class["1"][0] == pytest.approx(found.macro["1"], abs=0.02)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="must be whole numbers"):
        f_intervals(counts_of([[1.5, 0.0], [0.0, 1.0]]))
    counts = counts_of([[1, 0, 0], [0, 1, 0]])
    with pytest.raises(ValueError, match="confidence must lie in"):
        f_intervals(counts, confidence=95)
    with pytest.raises(ValueError, match="method must be one of"):
        f_intervals(counts, method="jackknife")
