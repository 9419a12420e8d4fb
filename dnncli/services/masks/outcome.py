"""What the validation pictures say of a network that was trained on masks or edges."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.masks import index_pairs, mask_counts, mask_report
from dnncli.results import Progress, plain
from dnncli.rundir import RunDir
from dnncli.services.evaluation.edges import EdgeOptions, evaluate_edge_maps
from dnncli.services.job import Outcome
from dnncli.services.masks.evaluate import judged_classes
from dnncli.services.masks.predictor import MaskPredictor
from dnncli.services.plan import Plan
from dnncli.training.backup import TrainState

_THRESHOLDS = tuple(step / 20 for step in range(1, 20))


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
    if not plan.config.fit.epochs:
        chosen = {}  # ready weights as they are
    if plan.dataset.task == "segment":
        return Outcome(validation=_scores(plan, predictor, rows, progress), chosen=chosen)
    found = _edge_scores(plan, predictor, rows, progress)
    return Outcome(validation=found, chosen=chosen | {"edge_threshold": found["ods_threshold"]})


def _edge_scores(
    plan: Plan, predictor: MaskPredictor, rows: NDArray[np.int64], progress: Progress
) -> dict[str, Any]:
    """ODS, OIS and AP at 19 thresholds: few enough for many pictures."""
    masks = plan.validation.masks
    if masks is None:
        raise ValueError("the validation data has no edges")
    row_of = {plan.validation.ids[row]: int(row) for row in rows}
    report = evaluate_edge_maps(
        list(row_of),
        lambda name: predictor.shares(row_of[name]),
        lambda name: [masks.read(row_of[name])],
        options=EdgeOptions(thresholds=_THRESHOLDS),
        names=("", ""),
        progress=progress,
    )
    found = {name: getattr(report, name) for name in ("ods", "ois", "ap", "r50")}
    return plain({"n": len(rows), **found, "ods_threshold": report.edges.ods.threshold})


def _scores(
    plan: Plan, predictor: MaskPredictor, rows: NDArray[np.int64], progress: Progress
) -> dict[str, Any]:
    masks = plan.validation.masks
    if masks is None:
        raise ValueError("the validation data has no masks")
    pairs = []
    for done, row in enumerate(rows.tolist(), start=1):
        pairs.append(index_pairs(masks.read(row), predictor.indices(row)))
        progress("Scoring validation pictures", done, len(rows))
    code = judged_classes(plan.validation.class_names)
    report = mask_report(
        mask_counts(pairs, values=code.values),
        ids=[plan.validation.ids[row] for row in rows],
        classes=code.class_names,
        betas=(plan.config.regime.beta,),
    )
    return {"n": len(rows), **plain(report)}
