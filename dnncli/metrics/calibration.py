"""Whether probabilities mean what they say, and the one number that puts them right.

Shapes: N rows, C classes, B bins.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CLIP = 1e-15  # a certain mistake would else cost an infinite log loss
TEMPERATURE_LIMITS = (1e-2, 1e2)
_LOG_OF_ZERO = -1e6  # finite, and yet no temperature within the limits makes more than 0 of it
_BLOCK = 1 << 17  # rows worked on at a time


@dataclass(frozen=True, kw_only=True)
class Bins:
    """The table behind a reliability diagram; NaN where a bin is empty."""

    lo: NDArray[np.float64]  # (B,) open end, except that the first bin holds 0
    hi: NDArray[np.float64]  # (B,) closed end
    count: NDArray[np.int64] | NDArray[np.float64]  # (B,) rows, or the sum of their weights
    confidence: NDArray[np.float64]  # (B,) mean probability
    accuracy: NDArray[np.float64]  # (B,) share that was right


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Three figures and the table of the first. NaN if there is no row."""

    ece: float  # expected calibration error, in [0, 1]
    brier: float  # in [0, 2] for (N, C), in [0, 1] for one score column
    log_loss: float  # in nats
    bins: Bins


def calibration(
    probs: NDArray[np.floating],
    labels: NDArray,
    *,
    bins: int = 15,
    weights: NDArray[np.floating] | None = None,
) -> Calibration:
    """Gap between confidence and accuracy, Brier score and log loss.

    With B_m the rows whose confidence falls in the m-th of `bins` equal parts (lo, hi] of [0, 1],
    n rows in all, p the probabilities and y the truth as 0 and 1:

        ECE      = sum_m |B_m| / n * |accuracy(B_m) - mean confidence(B_m)|
        Brier    = mean over rows of sum over classes of (p - y)^2
        log loss = mean over rows of -ln p[true class],  p clipped to [1e-15, 1 - 1e-15]

    For (N, C) the confidence is the highest probability of a row, and a row is right if its first
    highest class is the true one. One score column is the probability of the positive class: its
    confidence is that probability, its accuracy the share of positives, and its Brier score
    (p - y)^2, half of what two columns would give. Edges of bins are compared in the precision of
    the probabilities: 0.2 belongs to (0.1, 0.2] as float32, too.

    Args:
        probs: (N, C) class probabilities, or (N,) or (N, 1) scores of one class, in [0, 1].
        labels: (N,) true class indices; for one class, whether the row belongs to it.
        bins: number of equal bins >= 1. The ECE depends on it: report both.
        weights: (N,) sample weights >= 0.

    Raises:
        ValueError: if shapes do not fit, a probability lies outside [0, 1], a label is no class,
            or there is no bin.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", eq. 3,
    https://arxiv.org/abs/1706.04599; G. Brier 1950, "Verification of forecasts expressed in terms
    of probability".
    """
    probs, labels = _checked(probs, labels, weights)
    if bins < 1:
        raise ValueError(f"bins must be at least 1. Got {bins}.")
    rows = np.zeros((bins, 3))  # count, sum of confidence, sum of rights
    brier = log_loss = 0.0
    edges = np.arange(bins + 1) / bins
    inner_edges = edges[1:-1].astype(probs.dtype).astype(np.float64)
    for start in range(0, len(probs), _BLOCK):
        part = slice(start, start + _BLOCK)
        weight = np.ones(len(labels[part])) if weights is None else weights[part].astype(float)
        p, truth = probs[part].astype(np.float64), labels[part]
        if p.ndim == 1:
            confidence, right = p, truth
            squares = (p - truth) ** 2
            given = np.where(truth, p, 1 - p)
        else:
            at = np.arange(len(p))
            top = p.argmax(axis=1)
            confidence, right = p[at, top], top == truth
            given = p[at, truth]
            p[at, truth] -= 1
            squares = (p * p).sum(axis=1)
        brier += float(squares @ weight)
        log_loss -= float(np.log(np.clip(given, _CLIP, 1 - _CLIP)) @ weight)
        # Edges are compared, not multiplied: 0.7 * 10 is above 7.
        index = np.searchsorted(inner_edges, confidence, side="left")
        for column, value in enumerate((weight, weight * confidence, weight * right)):
            rows[:, column] += np.bincount(index, value, minlength=bins)
    return _result(rows, brier, log_loss, edges, whole=weights is None)


def _result(
    rows: NDArray, brier: float, log_loss: float, edges: NDArray, *, whole: bool
) -> Calibration:
    count = rows[:, 0]
    total = count.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        table = Bins(
            lo=edges[:-1],
            hi=edges[1:],
            count=count.astype(np.int64) if whole else count,
            confidence=rows[:, 1] / count,
            accuracy=rows[:, 2] / count,
        )
    if total == 0:
        return Calibration(ece=float("nan"), brier=float("nan"), log_loss=float("nan"), bins=table)
    ece = float(np.abs(rows[:, 2] - rows[:, 1]).sum() / total)
    return Calibration(
        ece=ece, brier=float(brier / total), log_loss=float(log_loss / total), bins=table
    )


def fit_temperature(
    probs: NDArray[np.floating],
    labels: NDArray,
    *,
    weights: NDArray[np.floating] | None = None,
) -> float:
    """The temperature T at which softmax(ln(probs) / T) has the lowest log loss.

    The log loss is convex in 1 / T, so that there is one answer; it is found by Newton's method
    with halving, within TEMPERATURE_LIMITS. Rows whose true class has the probability 0 are left
    out, as 0 stays 0 at every temperature. Choose it on validation rows: on the rows that are
    reported it would flatter.

    Args:
        probs: (N, C) class probabilities, or (N,) or (N, 1) scores of one class, in [0, 1].
        labels: (N,) true class indices; for one class, whether the row belongs to it.
        weights: (N,) sample weights >= 0.

    Returns:
        Above 1 for a model that is too sure of itself, below 1 for one that is not sure enough; 1
        if no temperature changes the log loss.

    Raises:
        ValueError: as `calibration`, and if there is no row.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2,
    https://arxiv.org/abs/1706.04599
    """
    probs, labels = _checked(probs, labels, weights)
    if len(labels) == 0:
        raise ValueError("probs must have at least one row.")
    columns, truth = _columns(probs.astype(np.float64)), labels.astype(np.intp)
    weight = np.ones(len(truth)) if weights is None else weights.astype(np.float64)
    weight = np.where(columns[np.arange(len(truth)), truth] > 0, weight, 0.0)
    logs = np.full(columns.shape, _LOG_OF_ZERO)
    np.log(columns, out=logs, where=columns > 0)
    logs -= logs.max(axis=1, keepdims=True)  # classes that are alike leave no rounding noise
    low, high = 1 / TEMPERATURE_LIMITS[1], 1 / TEMPERATURE_LIMITS[0]
    inverse = 1.0
    for _ in range(100):
        slope, curvature = _log_loss_slope(logs, truth, weight, inverse)
        if slope == 0:
            break
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        following = inverse - slope / curvature if curvature > 0 else (low + high) / 2
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - inverse) <= 1e-14 * inverse:
            break
        inverse = following
    return 1 / inverse


def with_temperature(probs: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """softmax(ln(probs) / temperature): sharper below 1, flatter above; the order of classes stays.

    Args:
        probs: (N, C) class probabilities, or (N,) or (N, 1) scores of one class, in [0, 1].
        temperature: > 0.

    Returns:
        Probabilities of the same shape; 0 stays 0.

    Source: see `fit_temperature`.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0. Got {temperature}.")
    one = probs.ndim == 1 or probs.shape[1] == 1
    wide = probs.astype(np.float64)
    with np.errstate(divide="ignore"):
        scaled = np.log(_columns(wide.reshape(-1)) if one else wide) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled[:, 1].reshape(probs.shape) if one else scaled


def _log_loss_slope(
    logs: NDArray, truth: NDArray, weights: NDArray, inverse: float
) -> tuple[float, float]:
    """First and second derivative of the summed log loss by 1 / T."""
    slope = curvature = 0.0
    for start in range(0, len(logs), _BLOCK):
        part, weight = logs[start : start + _BLOCK], weights[start : start + _BLOCK]
        q = np.exp(inverse * part)
        q /= q.sum(axis=1, keepdims=True)
        mean = (q * part).sum(axis=1)
        true = part[np.arange(len(part)), truth[start : start + _BLOCK]]
        slope += float((mean - true) @ weight)
        curvature += float(((part - mean[:, None]) ** 2 * q).sum(axis=1) @ weight)
    return slope, curvature


def _checked(probs: NDArray, labels: NDArray, weights: NDArray | None) -> tuple[NDArray, NDArray]:
    if probs.ndim == 2 and probs.shape[1] == 1:
        probs = probs[:, 0]
    if probs.ndim not in (1, 2) or labels.shape != probs.shape[:1]:
        raise ValueError(
            "probs must be (N, C) or (N,) and labels (N,). "
            f"Got probs {probs.shape} and labels {labels.shape}."
        )
    if probs.size and not (probs.min() >= 0 and probs.max() <= 1):
        raise ValueError("probs must lie in [0, 1].")
    if probs.ndim == 2 and len(labels) and not 0 <= labels.min() <= labels.max() < probs.shape[1]:
        raise ValueError(
            f"labels must lie in [0, {probs.shape[1]}). "
            f"Got values from {labels.min()} to {labels.max()}."
        )
    if weights is not None and weights.shape != labels.shape:
        raise ValueError(f"weights must be (N,) = {labels.shape}. Got {weights.shape}.")
    return probs, labels.astype(bool) if probs.ndim == 1 else labels


def _columns(probs: NDArray) -> NDArray:
    """(N, C) as it is; (N,) as the two columns of the rest and the class."""
    return np.stack([1 - probs, probs], axis=1) if probs.ndim == 1 else probs
