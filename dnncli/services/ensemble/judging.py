"""What decisions are worth where the truth is known, and what asking for more agreement costs.

Shapes: N rows, V rows with known truth, P patterns of votes, K patterns or rows, C classes.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.predictions import Predictions, take_rows
from dnncli.results import Progress
from dnncli.services.ensemble.inputs import Inputs, Known
from dnncli.services.ensemble.options import ConsensusOptions
from dnncli.services.ensemble.rule import Ruled
from dnncli.services.evaluation import options as evaluation
from dnncli.services.evaluation.curves import calibration_of, curves_of
from dnncli.services.evaluation.inputs import Inputs as EvalInputs
from dnncli.services.evaluation.report import scored
from dnncli.services.evaluation.result import EvalReport
from dnncli.voting.coverage import CoverageLevel, coverage_table
from dnncli.voting.pooling import tolerance
from dnncli.voting.rules import NO_DECISION, Denominator

_BINS = 15  # of the calibration error, as in `eval`


def scores_of(
    known: Known, options: ConsensusOptions, ruled: Ruled, *, progress: Progress
) -> EvalReport:
    """The scores of the decided rows as `eval` gives them; undefined if no row is decided.

    Areas under curves and the calibration need no decision: they are of all V rows.
    """
    decision = ruled.rows(known.rows)
    decided = np.flatnonzero(decision != NO_DECISION)
    settings = _eval_options(options)
    truth = known.truth.take(decided)
    labels = Predictions(
        ids=truth.ids, class_names=truth.class_names, kind="label", labels=decision[decided]
    )
    found = scored(
        EvalInputs(predictions=labels, truth=truth, options=settings),
        target=Path("consensus"),
        folder=None,
        progress=progress,
    )
    if ruled.probs is None:
        return found
    probs = ruled.probs if known.rows is None else take_rows(ruled.probs, known.rows)
    soft = Predictions(
        ids=known.truth.ids, class_names=truth.class_names, kind="probability", probs=probs
    )
    curves, _ = curves_of(
        soft, known.truth, positive=options.positive, keep=False, progress=progress
    )
    calibrated = calibration_of(soft, known.truth, temperature=None, bins=_BINS)
    return replace(found, curves=curves, calibration=None if calibrated is None else calibrated[0])


def _eval_options(options: ConsensusOptions) -> evaluation.EvalOptions:
    return evaluation.checked(
        classes=(),
        betas=options.betas,
        undefined=options.undefined,
        tie="abstain",
        positive=options.positive,
        normalize_ids="none",
        confidence=float(options.certainty),
        intervals="delta",
        bins=_BINS,
        nan="error",
        multi_label=False,
        threshold=None,
        thresholds=None,
        slices=(),
        fail_under=(),
        against=None,
    )


@dataclass(frozen=True, kw_only=True)
class Items:
    """Rows of each of K patterns or rows: those with known truth, or all if there are none."""

    rows: NDArray[np.int64]  # (K,)
    right: NDArray[np.int64] | None  # (K,) rows whose leading class is the true one
    positives: NDArray[np.int64] | None  # (K,) rows of the positive class


def items_of(inputs: Inputs, ruled: Ruled) -> Items:
    """Count the rows of each pattern; without patterns, every row by itself."""
    n_items, known = len(ruled.decisions), inputs.judging
    index = np.arange(n_items) if ruled.index is None else ruled.index
    if known is None:
        return Items(rows=np.bincount(index, minlength=n_items), right=None, positives=None)
    if known.rows is not None:
        index = index[known.rows]
    is_right = known.labels == ruled.decisions.leader[index]
    positives = None
    if inputs.positive is not None:
        positives = np.bincount(index[known.labels == inputs.positive], minlength=n_items)
    return Items(
        rows=np.bincount(index, minlength=n_items),
        right=np.bincount(index[is_right], minlength=n_items),
        positives=positives,
    )


def levels_of(
    inputs: Inputs, ruled: Ruled, items: Items, *, denominator: Denominator
) -> list[CoverageLevel]:
    """The coverage table."""
    equal = ruled.weighing.how == "equal" and not ruled.by_probability
    return coverage_table(
        ruled.decisions,
        items.rows,
        right=items.right,
        positives=items.positives,
        positive=inputs.positive,
        share="support" if ruled.by_probability else denominator,
        n_models=len(inputs.votes.ballots.models) if equal and denominator == "all" else None,
        tolerance=tolerance(ruled.precision) if ruled.by_probability else 0.0,
    )
