"""Training that must not miss one class: what it needs of the data, and what each class weighs.

Shapes: C classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli import registry
from dnncli.config import TrainConfig, read_toml
from dnncli.data.dataset import Dataset
from dnncli.errors import ConfigError, DataError
from dnncli.metrics.thresholds import best_certifiable, needed_positives

HIGH_RECALL = "high-recall"
PRECISION_AT_RECALL = "precision-at-recall"
CLASS_WEIGHTS = ("auto", "none", "balanced")
_FOCAL, _BINARY_FOCAL = "focal", "binary-focal"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a run is after, settled by the data it has."""

    config: TrainConfig  # class weight `auto` replaced
    positive: int | None  # index of the class that must not be missed
    class_weights: NDArray[np.float32] | None  # (C,); None if all are 1
    loss_weights: NDArray[np.float64]  # (C,) class weight times the loss's alpha
    start_shares: NDArray[np.float64] | None  # (C,) what the untrained network answers; None: free
    notes: tuple[str, ...]


def settle(
    config: TrainConfig,
    dataset: Dataset,
    train_rows: NDArray[np.int64],
    validation: Dataset,
    val_rows: NDArray[np.int64],
) -> Goal:
    """Check that the rows can teach and judge what is asked for, and weigh the classes.

    Raises:
        ConfigError: if a class is unknown, or none is named where one is needed.
        DataError: if rows that are needed are missing.
    """
    names = dataset.class_names
    positive = positive_class(config, names)
    train_counts = class_counts(dataset, train_rows)
    val_counts = class_counts(validation, val_rows)
    notes: tuple[str, ...] = ()
    if positive is not None:
        check_rows(config, positive=positive, train_counts=train_counts, val_counts=val_counts)
        notes = _certificate_notes(
            config, have=int(val_counts[positive]), more=int(train_counts[positive])
        )
    config = settle_weights(config, counts=train_counts)
    weights = class_weights(config, train_counts, names)
    loss_weights = weights_of(config, weights, n_classes=len(names))
    masses = train_counts.astype(np.float64)
    if dataset.weights is not None and config.fit.sample_weight:
        masses = np.zeros(len(names))
        np.add.at(masses, dataset.labels[train_rows], dataset.weights[train_rows])
    return Goal(
        config=config,
        positive=positive,
        class_weights=weights,
        loss_weights=loss_weights,
        start_shares=start_shares(config, masses * loss_weights),
        notes=notes,
    )


def class_counts(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(C,) how many of `rows` belong to each class."""
    return np.bincount(dataset.labels[rows], minlength=len(dataset.class_names))


def positive_class(config: TrainConfig, class_names: Sequence[str]) -> int | None:
    """Index of the class that must not be missed; None if none was named.

    Raises:
        ConfigError: if the data has no such class, or the settings need one.
    """
    wanted = config.regime
    if wanted.positive in class_names:
        return class_names.index(wanted.positive)
    if wanted.positive:
        text = registry.unknown(wanted.positive, class_names, kind="class")
        raise ConfigError(f"regime.positive: {text}")
    for setting, value in (("name", wanted.name), ("monitor", wanted.monitor)):
        if value in (HIGH_RECALL, PRECISION_AT_RECALL):
            raise ConfigError(
                f"regime.{setting} {value}: which class must not be missed? Name it with "
                f"--positive: {', '.join(class_names)}."
            )
    return None


def check_rows(
    config: TrainConfig,
    *,
    positive: int,
    train_counts: NDArray[np.int64],
    val_counts: NDArray[np.int64],
) -> None:
    """Refuse rows that cannot teach or judge what the settings ask for.

    Args:
        config: settings whose positive class is `positive`.
        positive: its index.
        train_counts: (C,) training rows of each class.
        val_counts: (C,) validation rows of each class.

    Raises:
        DataError: if precision at a recall is to choose the epoch and the validation rows lack
            positives or negatives, or the training rows lack positives.
    """
    wanted = config.regime
    if wanted.name != HIGH_RECALL and wanted.monitor != PRECISION_AT_RECALL:
        return
    where, name = config.data.path, wanted.positive
    if not val_counts.sum():
        raise DataError(
            f"{where}: no validation rows, which are to choose the epoch and the threshold. "
            "Give a share with --val 0.2, or a second data set with --set data.validation=PATH."
        )
    if val_counts[positive] in (0, val_counts.sum()):
        lacking = f"none but '{name}'" if val_counts[positive] else f"no '{name}'"
        raise DataError(
            f"{where}: the {val_counts.sum()} validation rows hold {lacking}, so they cannot tell "
            "a good epoch or threshold. Raise --val, or add such rows."
        )
    if not train_counts[positive]:
        raise DataError(f"{where}: no training row is '{name}'. Lower --val, or add such rows.")


def _certificate_notes(config: TrainConfig, *, have: int, more: int) -> tuple[str, ...]:
    """What should be known before hours are spent on training: is the target within reach?

    Args:
        config: settings.
        have: positives in validation.
        more: positives in training.
    """
    wanted = config.regime
    if not have:
        return (f"No validation row is '{wanted.positive}': it gets no threshold. Raise --val.",)
    needed = needed_positives(recall=wanted.recall, confidence=wanted.confidence)
    if needed is not None and have >= needed:
        return ()
    remedy = "Lower --recall."
    if needed is not None:
        remedy = "Raise --val or lower --recall."
        if have + more < needed:
            remedy = f"Lower --recall, or add rows: there are {have + more} outside the test."
    return (f"{refusal(config, positives=have)} {remedy}",)


def refusal(config: TrainConfig, *, positives: int) -> str:
    """One sentence on why a number of validation positives certifies no threshold."""
    wanted = config.regime
    needed = needed_positives(recall=wanted.recall, confidence=wanted.confidence)
    best = best_certifiable(positives, confidence=wanted.confidence)
    best = math.floor(best * 1000) / 1000  # never more than is true
    return (
        f"{positives} positives in validation; {wanted.recall:g} at {100 * wanted.confidence:g} % "
        f"confidence {'cannot be certified' if needed is None else f'needs {needed}'}; "
        f"the best that can be certified is {best:.3f}."
    )


def settle_weights(config: TrainConfig, *, counts: NDArray[np.integer]) -> TrainConfig:
    """Replace the class weight `auto` by what it stands for.

    In the high-recall regime a class weighs as much as it is rare, by class weights or, where the
    loss has one, by its alpha; never by both. An alpha that was given stays alone. Otherwise all
    classes weigh the same.

    Args:
        config: settings.
        counts: (C,) training rows of each class.
    """
    fit, loss = config.fit, config.loss
    if fit.class_weight != "auto":
        return config
    if config.regime.name != HIGH_RECALL or "alpha" in loss.options:
        return replace(config, fit=replace(fit, class_weight="none"))
    alpha: Any = None
    if loss.name.lower() == _FOCAL:
        alpha = balanced(counts).tolist()
    elif loss.name.lower() == _BINARY_FOCAL and len(counts) == 2:
        alpha = float(counts[0] / counts.sum())
    if alpha is None:
        return replace(config, fit=replace(fit, class_weight="balanced"))
    loss = replace(loss, options={**loss.options, "alpha": alpha})
    return replace(config, fit=replace(fit, class_weight="none"), loss=loss)


def balanced(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """(C,) weights N / (K n_c), with which K classes of n_c of N rows have the same sum.

    A class without rows weighs 1.
    """
    shared = np.count_nonzero(counts) * np.maximum(counts, 1)
    return np.where(counts > 0, counts.sum() / shared, 1.0)


def class_weights(
    config: TrainConfig, counts: NDArray[np.integer], class_names: Sequence[str]
) -> NDArray[np.float32] | None:
    """(C,) weight of each class, or None if all are 1."""
    given = config.fit.class_weight
    if given == "none":
        return None
    if isinstance(given, str):  # balanced
        return balanced(counts).astype(np.float32)
    wrong = [name for name in given if name not in class_names]
    if wrong:
        lines = [registry.unknown(name, class_names, kind="class") for name in wrong]
        raise ConfigError("fit.class_weight:", lines)
    return np.array([given.get(name, 1.0) for name in class_names], np.float32)


def read_class_weights(text: str) -> dict[str, float]:
    """Class weights from a TOML file of lines `name = weight`.

    Raises:
        ConfigError: if there is no such file, or an entry is not a weight.
    """
    path = Path(text)
    if not path.is_file():
        raise ConfigError(
            f"{registry.unknown(text, CLASS_WEIGHTS, kind='class weight')[:-1]}; "
            "or a TOML file of lines 'class = weight'."
        )
    weights = read_toml(path)
    wrong = [
        f"{name}: {value!r} is not a weight >= 0."
        for name, value in weights.items()
        if isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value < math.inf
    ]
    if wrong:
        raise ConfigError(f"{path}:", wrong)
    return {name: float(value) for name, value in weights.items()}


def weights_of(
    config: TrainConfig, class_weights: NDArray[np.floating] | None, *, n_classes: int
) -> NDArray[np.float64]:
    """(C,) what a row of each class counts in the loss: class weight times the loss's alpha."""
    weights = np.ones(n_classes) if class_weights is None else class_weights.astype(np.float64)
    alpha = config.loss.options.get("alpha")
    if alpha is None:
        return weights
    try:
        if config.loss.name.lower() == _BINARY_FOCAL:
            alpha = [1 - alpha, alpha]
        return weights * np.broadcast_to(np.asarray(alpha, np.float64), n_classes)
    except (TypeError, ValueError):
        return weights  # not a weight: refused where the loss is built


def start_shares(config: TrainConfig, masses: NDArray[np.floating]) -> NDArray[np.float64] | None:
    """(C,) class shares that the untrained network answers with; None for other regimes.

    They are the base rates as the loss sees them, so that the first updates need not learn them.
    With balanced weights each is 1 / C; unweighted, they are the shares of the training rows.

    Args:
        config: settings.
        masses: (C,) sum of the weights of the training rows of each class.
    """
    if config.regime.name != HIGH_RECALL or not masses.sum() > 0:
        return None
    return masses / masses.sum()
