"""What training minimises: losses of classifiers, on logits.

Shapes: N pictures, C classes. Targets are (N, C) floats whose rows sum to 1 (one-hot, smoothed or
mixed); logits z are (N, C), or (N, 1) for the binary losses, which score the second class.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import keras  # noqa: TID253
from keras import ops  # noqa: TID253

from dnncli import registry
from dnncli.config import LossConfig
from dnncli.errors import ConfigError

BINARY = ("binary-cross-entropy", "binary-focal")  # one logit for two classes


@keras.saving.register_keras_serializable("dnncli")
class Focal(keras.losses.Loss):
    """Cross-entropy that cares less about what is already right.

    With p = softmax(z) and targets y:

        loss = -sum_c alpha_c * y_c * (1 - p_c)^gamma * log(p_c)

    gamma 0 with alpha 1 is cross-entropy. log(1 - p_c) is computed from the other logits, so value
    and gradient stay finite and useful for any |z| <= 120 (Keras' own loss is capped at 16.1 with
    gradient 0 there, and always multiplies by 0.25).

    Args:
        gamma: how strongly easy pictures are turned down; >= 0, useful range 0 to 5.
        alpha: weight of all classes, or one per class; all >= 0.
        label_smoothing: targets become (1 - s) * y + s / C; in [0, 1). What is spread over the
            other classes keeps the weight of the picture's own: weighed by theirs, a rare class
            of weight 19 would pull every other picture half way to itself.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", eq. 5,
    https://arxiv.org/abs/1708.02002
    """

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        alpha: float | Sequence[float] = 1.0,
        label_smoothing: float = 0.0,
        reduction: str = "sum_over_batch_size",
        name: str = "focal",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.gamma, self.alpha, self.label_smoothing = gamma, alpha, label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """(N,) losses of (N, C) targets and logits."""
        classes = y_pred.shape[-1]
        alpha = ops.convert_to_tensor(self.alpha, dtype=y_pred.dtype) * y_true
        spread = ops.sum(alpha, axis=-1, keepdims=True) * (self.label_smoothing / classes)
        targets = alpha * (1 - self.label_smoothing) + spread
        total = ops.logsumexp(y_pred, axis=-1, keepdims=True)
        # others[n, c] = log sum_{k != c} exp(z_k): exact where 1 - softmax would round to 0. The
        # diagonal is left out by a finite number: -inf times 0 in the gradient would be NaN.
        rows = ops.expand_dims(y_pred, axis=-2) - 1e9 * ops.eye(classes, dtype=y_pred.dtype)
        log_wrong = ops.logsumexp(rows, axis=-1) - total
        return -ops.sum(ops.exp(self.gamma * log_wrong) * targets * (y_pred - total), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Arguments that build this loss again."""
        own = {name: getattr(self, name) for name in ("gamma", "alpha", "label_smoothing")}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("dnncli")
class BinaryFocal(keras.losses.Loss):
    """Focal loss of two classes with one logit z, the score of the second class.

    With p = sigmoid(z) and y the target's second column:

        loss = -alpha * y * (1 - p)^gamma * log(p) - (1 - alpha) * (1 - y) * p^gamma * log(1 - p)

    alpha None leaves both weights out: gamma 0 is then binary cross-entropy. Computed from
    log-sigmoids, so value and gradient are finite for any |z| <= 120 and gamma >= 0 (the gradient
    of Keras' own loss is NaN at z = 20 for gamma 0 and 0.5).

    Args:
        gamma: how strongly easy pictures are turned down; >= 0, useful range 0 to 5.
        alpha: weight of the second class in [0, 1], the first gets 1 - alpha; None: 1 and 1.
        label_smoothing: targets become (1 - s) * y + s / 2; in [0, 1). What is spread keeps the
            weight of the picture's own class.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", eq. 5,
    https://arxiv.org/abs/1708.02002
    """

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        alpha: float | None = None,
        label_smoothing: float = 0.0,
        reduction: str = "sum_over_batch_size",
        name: str = "binary_focal",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.gamma, self.alpha, self.label_smoothing = gamma, alpha, label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """(N,) losses of (N, 2) targets and (N, 1) logits."""
        logit = y_pred[:, 0]
        right, wrong = ops.log_sigmoid(logit), ops.log_sigmoid(-logit)
        alpha = (1.0, 1.0) if self.alpha is None else (1 - self.alpha, self.alpha)
        first, second = alpha[0] * y_true[:, 0], alpha[1] * y_true[:, 1]
        spread = (first + second) * (self.label_smoothing / 2)
        first, second = (weight * (1 - self.label_smoothing) + spread for weight in (first, second))
        return -(
            second * ops.exp(self.gamma * wrong) * right
            + first * ops.exp(self.gamma * right) * wrong
        )

    def get_config(self) -> dict[str, Any]:
        """Arguments that build this loss again."""
        own = {name: getattr(self, name) for name in ("gamma", "alpha", "label_smoothing")}
        return {**super().get_config(), **own}


def cross_entropy(*, label_smoothing: float = 0.0) -> keras.losses.Loss:
    """Keras' categorical cross-entropy on logits: -sum_c y_c * log softmax(z)_c."""
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)


def binary_cross_entropy(*, label_smoothing: float = 0.0) -> keras.losses.Loss:
    """Binary cross-entropy of one logit: -y log sigmoid(z) - (1 - y) log sigmoid(-z)."""
    return BinaryFocal(gamma=0.0, label_smoothing=label_smoothing, name="binary_cross_entropy")


def focal(
    *,
    gamma: float = 2.0,
    alpha: float | Sequence[float] = 1.0,
    label_smoothing: float = 0.0,
) -> keras.losses.Loss:
    """`Focal`, its arguments checked.

    Raises:
        ConfigError: if gamma or an alpha is negative.
    """
    weights = [alpha] if isinstance(alpha, int | float) else list(alpha)
    if not gamma >= 0 or not all(weight >= 0 for weight in weights):
        raise ConfigError(f"focal: gamma and alpha must be 0 or more. Got {gamma} and {alpha}.")
    return Focal(
        gamma=gamma,
        alpha=alpha if isinstance(alpha, int | float) else weights,
        label_smoothing=label_smoothing,
    )


def binary_focal(
    *, gamma: float = 2.0, alpha: float | None = None, label_smoothing: float = 0.0
) -> keras.losses.Loss:
    """`BinaryFocal`, its arguments checked.

    Raises:
        ConfigError: if gamma is negative or alpha is outside [0, 1].
    """
    if not gamma >= 0 or not (alpha is None or 0 <= alpha <= 1):
        raise ConfigError(
            f"binary-focal: gamma must be 0 or more, alpha in 0 to 1. Got {gamma} and {alpha}."
        )
    return BinaryFocal(gamma=gamma, alpha=alpha, label_smoothing=label_smoothing)


def check_loss(config: LossConfig, *, class_names: Sequence[str]) -> str:
    """The loss's name in the registry; `auto` is cross-entropy.

    Raises:
        ConfigError: if the name or an option is unknown, or it is binary and there are more than
            two classes, or alpha has another length than `class_names`.
    """
    name = "cross-entropy" if config.name == "auto" else config.name
    name = registry.check(registry.LOSSES, name, kind="loss")
    if name in BINARY and len(class_names) != 2:
        raise ConfigError(
            f"loss.name: {name} is for two classes, and the data has {len(class_names)}. "
            f"Use {name.removeprefix('binary-')}."
        )
    registry.check_options(
        registry.find(registry.LOSSES, name, kind="loss"), config.options, where="loss.options"
    )
    alpha = config.options.get("alpha")
    if isinstance(alpha, list | tuple) and len(alpha) != len(class_names):
        raise ConfigError(
            f"loss.options.alpha: {len(alpha)} weights for {len(class_names)} classes. Give one "
            f"number, or one per class in the order {', '.join(class_names)}."
        )
    return name


def build_loss(config: LossConfig, *, class_names: Sequence[str]) -> keras.losses.Loss:
    """The loss of `config` on logits.

    The mean over the batch of weight * loss: sample and class weights change how much a picture
    counts and, unlike a weighted mean, mean the same in every batch.

    Raises:
        ConfigError: as `check_loss`, or if an option has a wrong value.
    """
    name = check_loss(config, class_names=class_names)
    part = registry.find(registry.LOSSES, name, kind="loss")
    options = dict(config.options)
    if "label_smoothing" in inspect.signature(part).parameters:
        options = {"label_smoothing": config.label_smoothing} | options
    try:
        return part(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"loss.options: {error}") from error
