"""What a model said about each row: ids with labels, or ids with one score per class."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions (or a truth table) of N rows over C classes."""

    ids: tuple[str, ...]  # (N,) unique
    class_names: tuple[str, ...]  # (C,) the order of the columns of probs and of label indices
    kind: Literal["label", "probability", "score"]
    labels: NDArray[np.int32] | None = None  # (N,) index into class_names; kind "label"
    probs: NDArray[np.floating] | None = None  # (N, C), or (N, 1) for kind "score"
    weights: NDArray[np.float64] | None = None  # (N,) sample weights of a truth table
    metadata: dict[str, Any] = field(
        default_factory=dict
    )  # task, split, model and data fingerprints
    warnings: tuple[str, ...] = ()  # what had to be put right while reading

    def __len__(self) -> int:
        return len(self.ids)
