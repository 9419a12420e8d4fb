"""What the validation pictures say of a network that was trained on masks or edges."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.mask_pipeline import MaskLoader
from dnncli.results import Progress
from dnncli.rundir import RunDir
from dnncli.services.job import Outcome
from dnncli.services.plan import Plan
from dnncli.training.backup import TrainState

if TYPE_CHECKING:
    import keras


def judge_masks(
    plan: Plan,
    serving: "keras.Model",
    card: dict[str, Any],
    loader: MaskLoader,
    rows: NDArray[np.int64],
    progress: Progress,
    run: RunDir,  # noqa: ARG001
    state: TrainState,
) -> Outcome:
    raise NotImplementedError
