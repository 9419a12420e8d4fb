"""What the validation pictures say of a network that was trained on masks or edges."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import NO_CLASS, judged
from dnncli.data.map_codes import VOID
from dnncli.metrics.masks import mask_counts, mask_report, pixel_pairs
from dnncli.results import Progress, plain
from dnncli.rundir import RunDir
from dnncli.services.job import Outcome
from dnncli.services.masks.predictor import MaskPredictor
from dnncli.services.plan import Plan
from dnncli.training.backup import TrainState


def judge_masks(
    plan: Plan,
    predictor: MaskPredictor,
    rows: NDArray[np.int64],
    progress: Progress,
    run: RunDir,  # noqa: ARG001
    state: TrainState,
) -> Outcome:
    """Score the network on whole validation pictures, as `dnncli eval` would.

    Args:
        plan: of the run.
        predictor: the network as it now is.
        rows: of the plan's validation data.
        progress: told how many pictures are done.
        run: not used: pixels choose no threshold.
        state: how training ended.
    """
    if not len(rows):
        return Outcome()
    chosen = {"rows": len(rows), "epoch": state.best_epoch, "by": plan.monitor}
    return Outcome(validation=_scores(plan, predictor, rows, progress), chosen=chosen)


def _scores(
    plan: Plan, predictor: MaskPredictor, rows: NDArray[np.int64], progress: Progress
) -> dict[str, Any]:
    masks, classes = plan.validation.masks, plan.validation.class_names
    if masks is None:
        raise ValueError("the validation data has no masks")
    pairs = []
    for done, row in enumerate(rows.tolist(), start=1):
        truth = masks.read(row).astype(np.int16)
        truth[truth == NO_CLASS] = VOID
        pairs.append(pixel_pairs(truth, predictor.indices(row).astype(np.int16)))
        progress("Scoring validation pictures", done, len(rows))
    values = judged(classes)
    report = mask_report(
        mask_counts(pairs, values=values),
        ids=[plan.validation.ids[row] for row in rows],
        classes=[classes[value] for value in values],
        betas=(plan.config.regime.beta,),
    )
    return {"n": len(rows), **plain(report)}
