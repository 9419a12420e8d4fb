"""What one map of logits costs against what is true, per picture: the terms of losses of masks.

Shapes: B pictures, Q pixels each, C classes with the background first, K logits of a pixel: 1
where C = 2 (the score of the second class), else C. A term is made from its options.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops  # noqa: TID253

from dnncli.errors import ConfigError

Term = Callable[["Pixels"], Any]


@dataclass(frozen=True)
class Pixels:
    """The logits of one map of a batch, and what is true."""

    logits: Any  # (B, Q, K)
    truth: Any  # (B, Q, C) one-hot; all 0 where a pixel is of no class
    weights: Any  # (B, Q) of its class; 0 where a pixel is of no class
    count: Any  # (B,) pixels of a class; at least 1, so that it can divide

    @property
    def log_probs(self) -> Any:
        """(B, Q, C) logarithms of the probabilities, exact for any confidence."""
        if self.logits.shape[-1] > 1:
            return ops.log_softmax(self.logits, axis=-1)
        return ops.log_sigmoid(ops.concatenate([-self.logits, self.logits], axis=-1))

    @property
    def probs(self) -> Any:
        """(B, Q, C) probabilities."""
        if self.logits.shape[-1] > 1:
            return ops.softmax(self.logits, axis=-1)
        return ops.sigmoid(ops.concatenate([-self.logits, self.logits], axis=-1))

    def mean(self, losses: Any) -> Any:
        """(B,) means of (B, Q) losses over the pixels of a class, each times its weight."""
        return ops.sum(self.weights * losses, axis=1) / self.count

    def overlap(self, *, background: bool, squared: bool = False) -> tuple[Any, Any, Any]:
        """(B, C') sums over pixels of p * y, p (or p^2) and y; C' leaves out the background."""
        first = 0 if background else 1
        probs, truth = self.probs[:, :, first:], self.truth[:, :, first:]
        weights = ops.expand_dims(self.weights, axis=-1)
        predicted = ops.square(probs) if squared else probs
        summands = (probs * truth, predicted, truth)
        both, predicted, actual = (ops.sum(weights * summand, axis=1) for summand in summands)
        return both, predicted, actual


def _not_negative(**options: float) -> None:
    for name, value in options.items():
        if not (value >= 0 and math.isfinite(value)):
            raise ConfigError(f"{name}: must be a number, 0 or more. Got {value}.")


def cross_entropy(*, label_smoothing: float = 0.0) -> Term:
    """Mean over the pixels of -sum_c t_c * log(p_c), with t_c = (1 - e) * y_c + e / C.

    Args:
        label_smoothing: e; in [0, 1).

    Raises:
        ConfigError: if it is not in [0, 1).
    """
    if not 0 <= label_smoothing < 1:
        raise ConfigError(f"label_smoothing: must be in 0 to 1, below 1. Got {label_smoothing}.")

    def term(pixels: Pixels) -> Any:
        spread = label_smoothing / pixels.truth.shape[-1]
        targets = (1 - label_smoothing) * pixels.truth + spread
        return pixels.mean(-ops.sum(targets * pixels.log_probs, axis=-1))

    return term


def balanced_cross_entropy(*, edge_free: float = 0.01, reduction: str = "mean") -> Term:
    """Cross-entropy in which the two classes of a picture weigh the same, for thin edges.

    With q the share of a picture's pixels that are of the second class (edges):

        loss = sum over edge pixels of (1 - q) * -log(p) + sum over the others of q * -log(1 - p)

    A picture of one class alone would weigh nothing and teach nothing: its pixels weigh
    `edge_free` instead.

    Args:
        edge_free: weight of the pixels of such a picture; 0: as published, in 0 to 1.
        reduction: `mean` divides by the number of pixels; `sum`, as published, does not, and
            belongs to learning rates near 1e-6.

    Raises:
        ConfigError: if an argument is outside its range.

    Source: Xie and Tu 2015, "Holistically-Nested Edge Detection", eq. 2,
    https://arxiv.org/abs/1504.06375
    """
    if not 0 <= edge_free <= 1:
        raise ConfigError(f"edge_free: must be in 0 to 1. Got {edge_free}.")
    if reduction not in ("mean", "sum"):
        raise ConfigError(f"reduction: must be mean or sum. Got '{reduction}'.")

    def term(pixels: Pixels) -> Any:
        shares = ops.sum(pixels.truth, axis=1) / ops.expand_dims(pixels.count, axis=-1)
        alone = ops.max(shares, axis=-1, keepdims=True) == 1
        weights = ops.expand_dims(ops.where(alone, edge_free, 1 - shares), axis=1)
        mean = pixels.mean(-ops.sum(weights * pixels.truth * pixels.log_probs, axis=-1))
        return mean if reduction == "mean" else mean * pixels.count

    return term


def focal(*, gamma: float = 2.0, alpha: float | Sequence[float] | None = None) -> Term:
    """Cross-entropy that cares less about pixels that are already right.

    Mean over the pixels of

        -alpha_y * (1 - p_y)^gamma * log(p_y)        y: the class of the pixel

    gamma 0 without alpha is cross-entropy. log(1 - p_y) is computed from the other logits, so value
    and gradient are finite for any |z| <= 120 and gamma >= 0; Keras' own losses give NaN for gamma
    0 and 0.5, or no gradient, on confident pixels.

    Args:
        gamma: how strongly easy pixels are turned down; >= 0, useful range 0 to 5.
        alpha: one weight per class, all >= 0; of two classes, one number in 0 to 1 is the weight of
            the second and 1 - alpha that of the first; None: 1 for all.

    Raises:
        ConfigError: if an argument is outside its range.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", eq. 5,
    https://arxiv.org/abs/1708.02002
    """
    _not_negative(gamma=gamma)
    per_class = None
    if alpha is not None:
        per_class = [1 - alpha, alpha] if isinstance(alpha, int | float) else list(alpha)
        if not all(0 <= weight < math.inf for weight in per_class):
            raise ConfigError(f"alpha: must be in 0 to 1, or weights of 0 or more. Got {alpha}.")

    def term(pixels: Pixels) -> Any:
        truth, log_probs = pixels.truth, pixels.log_probs
        if pixels.logits.shape[-1] == 1:
            log_wrong = ops.sum(truth * ops.flip(log_probs, axis=-1), axis=-1)
        else:
            # The class of the pixel is left out by a finite number: -inf would make gradients NaN.
            log_wrong = ops.logsumexp(log_probs - 1e9 * truth, axis=-1)
        log_right = ops.sum(truth * log_probs, axis=-1)
        losses = -ops.exp(gamma * log_wrong) * log_right
        if per_class is not None:
            losses = losses * ops.sum(truth * ops.convert_to_tensor(per_class, "float32"), axis=-1)
        return pixels.mean(losses)

    return term


def _ratio(above: Any, below: Any) -> Any:
    """above / below, and 1 where both are 0: nothing to find, and nothing found."""
    return ops.where(below > 0, above / ops.maximum(below, 1e-12), 1.0)


def dice(*, smooth: float = 1.0, squared: bool = False, background: bool = False) -> Term:
    """1 - Dice of soft counts, of every picture and class; the mean over the classes.

        1 - (2 * sum(p * y) + smooth) / (sum(p) + sum(y) + smooth)

    Empty masks answered by p = 0 cost 0, also with smooth 0. Keras' own Dice pools all pictures of
    a batch, and says 1 there.

    Args:
        smooth: in pixels; >= 0. It gives pictures without a class a gradient: with 0, that class's
            loss is 1 for any p above 0.
        squared: sum(p^2) in place of sum(p).
        background: the first class counts, too; by itself if it is none of that name.

    Raises:
        ConfigError: if `smooth` is negative.

    Source: Milletari et al. 2016, "V-Net", section 3, https://arxiv.org/abs/1606.04797 (squared)
    """
    _not_negative(smooth=smooth)

    def term(pixels: Pixels) -> Any:
        both, predicted, actual = pixels.overlap(background=background, squared=squared)
        return ops.mean(1 - _ratio(2 * both + smooth, predicted + actual + smooth), axis=-1)

    return term


def tversky(
    *, alpha: float = 0.3, beta: float = 0.7, smooth: float = 1.0, background: bool = False
) -> Term:
    """1 - Tversky index of soft counts, of every picture and class; the mean over the classes.

        1 - (tp + smooth) / (tp + alpha * fp + beta * fn + smooth)

    alpha = beta = 0.5 is Dice (with half its `smooth`); a larger beta finds more pixels of the
    class. Keras 3.15 swaps alpha and beta.

    Args:
        alpha: weight of false positives; >= 0.
        beta: weight of false negatives; >= 0.
        smooth: in pixels; >= 0.
        background: the first class counts, too; by itself if it is none of that name.

    Raises:
        ConfigError: if a weight or `smooth` is negative.

    Source: Salehi et al. 2017, "Tversky loss function for image segmentation", eq. 3 and section 4
    (0.3 and 0.7), https://arxiv.org/abs/1706.05721
    """
    _not_negative(alpha=alpha, beta=beta, smooth=smooth)

    def term(pixels: Pixels) -> Any:
        both, predicted, actual = pixels.overlap(background=background)
        wrong = alpha * (predicted - both) + beta * (actual - both)
        return ops.mean(1 - _ratio(both + smooth, both + wrong + smooth), axis=-1)

    return term


def generalized_dice() -> Term:
    """1 - Dice of all classes together, each weighed by 1 / (its pixels in the picture)^2.

        1 - 2 * sum_c w_c * sum(p_c * y_c) / sum_c w_c * (sum(p_c) + sum(y_c))

    A class that a picture does not hold has the largest weight of those it holds.

    Source: Sudre et al. 2017, "Generalised Dice overlap", eq. 5, https://arxiv.org/abs/1707.03237
    """

    def term(pixels: Pixels) -> Any:
        both, predicted, actual = pixels.overlap(background=True)
        rarest = ops.min(ops.where(actual > 0, actual, 1e12), axis=-1, keepdims=True)
        weights = ops.square(rarest / ops.maximum(actual, rarest))  # in (0, 1], whatever the size
        below = ops.sum(weights * (predicted + actual), axis=-1)
        return 1 - _ratio(2 * ops.sum(weights * both, axis=-1), below)

    return term
