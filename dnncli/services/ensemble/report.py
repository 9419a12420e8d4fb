"""Puts the report of a consensus together.

Shapes: N rows, V rows with known truth, P patterns of votes, K patterns or rows, C classes.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dnncli.metrics.agreement import Agreement, agreement
from dnncli.metrics.thresholds import exact_share
from dnncli.results import Progress
from dnncli.services.ensemble.agreed import agreement_report
from dnncli.services.ensemble.folder import SCHEMA
from dnncli.services.ensemble.inputs import Inputs
from dnncli.services.ensemble.judging import Items, items_of, levels_of, scores_of
from dnncli.services.ensemble.options import ConsensusOptions
from dnncli.services.ensemble.result import (
    Baselines,
    BestSingle,
    ConsensusReport,
    LearnedReport,
    MemberReport,
    SelectionReport,
)
from dnncli.services.ensemble.rule import Ruled
from dnncli.voting.coverage import KLevel, k_table, remarks
from dnncli.voting.recall_target import RuleChoice
from dnncli.voting.rules import Status
from dnncli.voting.worth import Worth, duplicates_sentence, near_duplicates, worth


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What the models are to each other, and to the truth if it is known."""

    agreed: Agreement
    items: Items
    per_row: float  # predictions that the decisions cost
    worth: Worth | None
    ks: list[KLevel] | None  # None without a positive class


def compared(inputs: Inputs, options: ConsensusOptions, ruled: Ruled) -> Compared:
    """Compare the models with each other, and with the truth if it is known."""
    ballots, known, by_truth = inputs.votes.ballots, inputs.judging, None
    if known is not None:
        by_truth = known.votes.ballots.by_truth(known.labels)
    agreed = agreement(
        ballots.patterns, ballots.counts, n_classes=len(ballots.class_names), by_truth=by_truth
    )
    per_row, found = _asked(inputs, ruled, agreed) / len(ballots), None
    if known is not None:
        found = worth(
            known.votes.ballots,
            known.labels,
            ruled.rows(known.rows),
            positive=inputs.positive,
            confidence=float(options.certainty),
            per_row=per_row,
            tie=options.tie,
        )
    ks = None
    if inputs.positive is not None:
        ks = k_table(ballots if known is None else known.votes.ballots, inputs.positive, by_truth)
    return Compared(
        agreed=agreed, items=items_of(inputs, ruled), per_row=per_row, worth=found, ks=ks
    )


def report(
    inputs: Inputs,
    options: ConsensusOptions,
    ruled: Ruled,
    found: Compared,
    *,
    target: RuleChoice | None,
    notes: tuple[str, ...],
    progress: Progress,
) -> ConsensusReport:
    """The report of what was decided and compared.

    Args:
        inputs: the votes.
        options: of the command.
        ruled: the decisions.
        found: of `compared`.
        target: the rule that reaches a recall; None: not asked for.
        notes: about the rows.
        progress: told about curves.
    """
    ballots, known, judged = inputs.votes.ballots, inputs.judging, found.worth
    n, names = len(ballots), inputs.class_names
    statuses = _status_counts(ruled, n=n)
    decided = np.bincount(ruled.rows() + 1, minlength=len(names) + 1)[1:]
    weights, duplicates = ruled.weighing.weights, near_duplicates(ballots.models, found.agreed)
    return ConsensusReport(
        schema=SCHEMA,
        models=ballots.models,
        classes=names,
        positive=options.positive,
        kind=inputs.votes.members.kind,
        method=ruled.method,
        options=_shown(options),
        n=n,
        coverage=(statuses["decided"] + statuses["tie_broken"]) / n,
        status_counts=statuses,
        decided=dict(zip(names, decided.tolist(), strict=True)),
        weights=None if weights is None else dict(zip(ballots.models, map(float, weights))),
        weighed_by=ruled.weighing.how,
        chosen_by=_chosen_by(inputs, ruled),
        selection=_selection(ballots.models, ruled),
        learned=_learned(names, ruled),
        target=target,
        agreement=agreement_report(found.agreed, ballots.models),
        members=_members(inputs, ruled, found),
        scores=None if known is None else scores_of(known, options, ruled, progress=progress),
        consensus=None if judged is None else judged.consensus,
        coverage_table=levels_of(inputs, ruled, found.items, denominator=options.denominator),
        k_table=found.ks,
        baselines=None if judged is None else _baselines(judged),
        duplicates=[*duplicates],
        effective_models=None if judged is None else judged.effective_models,
        predictions_per_row=found.per_row,
        out=None,
        notes=(*notes, *_unjudged(inputs)),
        warnings=(
            *inputs.votes.members.warnings,
            *_chosen_warnings(inputs, ruled),
            *(() if target is None else target.warnings),
            *_remarks(inputs, options, ruled, found),
            *(() if judged is None else judged.warnings),
            *duplicates_sentence(duplicates),
        ),
    )


def _status_counts(ruled: Ruled, *, n: int) -> dict[str, int]:
    status = ruled.decisions.status
    if ruled.index is None:
        counts = np.bincount(status, minlength=len(Status))
    else:
        rows = np.bincount(ruled.index, minlength=len(status))
        counts = np.bincount(status, rows, minlength=len(Status)).astype(np.int64)
    if counts.sum() != n:
        raise ValueError(f"{counts.sum()} statuses for {n} rows.")
    return {one.word: int(counts[one]) for one in Status}


def _shown(options: ConsensusOptions) -> dict[str, Any]:
    """The options that were looked at, as JSON can hold them."""
    return {
        "agree": None if options.agree is None else float(options.agree),
        "k": options.k,
        "tie": options.tie,
        "min_votes": options.min_votes,
        "denominator": options.denominator,
        "nan": options.nan,
        "missing": options.missing,
        "normalize_ids": options.normalize_ids,
        "confidence": float(options.certainty),
        "betas": options.betas,
        "undefined": options.undefined,
        "rounds": options.rounds,
        "target_recall": None
        if options.target_recall is None
        else float(exact_share("target-recall", options.target_recall, one=True)),
    }


def _chosen_by(inputs: Inputs, ruled: Ruled) -> dict[str, str]:
    """What was chosen, and whose rows chose it: they cannot judge it."""
    chosen = {}
    if inputs.teaching is not None and ruled.weighing.how not in ("equal", "given"):
        chosen["weights"] = inputs.teaching.name
    if inputs.choosing is not None:
        chosen["rule"] = inputs.choosing.name
    return chosen


def _chosen_warnings(inputs: Inputs, ruled: Ruled) -> list[str]:
    judging = inputs.judging
    if judging is None:
        return []
    lines = []
    for what, known in (("weights", inputs.teaching), ("rule", inputs.choosing)):
        if what not in _chosen_by(inputs, ruled) or known is None:
            continue
        if known.rows is None or judging.rows is None:
            continue
        shared = len(np.intersect1d(known.rows, judging.rows, assume_unique=True))
        if shared:
            lines.append(
                f"{shared:,} of the {len(judging.rows):,} rows of {judging.name} chose the {what}, "
                "too: these scores are no test, and better than those of new rows."
            )
    return lines


def _asked(inputs: Inputs, ruled: Ruled, agreed: Agreement) -> int:
    """Predictions that the decisions need: those of models without weight could be left out.

    Probabilities whose highest is that of several classes are no vote, but were predicted.
    """
    weights = ruled.weighing.weights or (Fraction(1),) * len(inputs.votes.members.names)
    return sum(
        member.n_votes + tied
        for member, tied, weight in zip(agreed.members, inputs.votes.tied, weights)
        if weight > 0
    )


def _selection(models: tuple[str, ...], ruled: Ruled) -> SelectionReport | None:
    found = ruled.weighing.selection
    if found is None:
        return None
    return SelectionReport(
        sequence=[models[place] for place in found.sequence],
        losses=list(found.losses),
        best_prefix=found.best_prefix,
        best_single=models[found.best_single],
        best_single_loss=found.best_single_loss,
    )


def _learned(names: tuple[str, ...], ruled: Ruled) -> LearnedReport | None:
    found = ruled.learned
    if found is None:
        return None
    return LearnedReport(
        prior=dict(zip(names, found.prior.tolist(), strict=True)),
        iterations=found.iterations,
        converged=found.converged,
    )


def _members(inputs: Inputs, ruled: Ruled, found: Compared) -> dict[str, MemberReport]:
    weights, learned = ruled.weighing.weights, ruled.learned
    members = {}
    for place, (name, among) in enumerate(zip(inputs.votes.members.names, found.agreed.members)):
        score = None if found.worth is None else found.worth.members[name]
        members[name] = MemberReport(
            n_votes=among.n_votes,
            ties=inputs.votes.tied[place],
            weight=None if weights is None else float(weights[place]),
            agreement=among.agreement,
            accuracy=None if score is None else score.accuracy,
            accuracy_interval=None if score is None else score.accuracy_interval,
            accuracy_decided=None if score is None else score.accuracy_decided,
            coverage=None if score is None else score.coverage,
            recall=None if score is None else score.recall,
            precision=None if score is None else score.precision,
            habits=None if learned is None else learned.confusion[place].tolist(),
        )
    return members


def _baselines(found: Worth) -> Baselines:
    best = found.members[found.best_single]
    return Baselines(
        majority=found.majority,
        best_single=BestSingle(
            name=found.best_single,
            accuracy=best.accuracy,
            recall=best.recall,
            against=found.against_best,
            against_decided=found.against_best_decided,
            against_positives=found.against_best_positives,
        ),
        mean_single=found.mean_single,
        mean_recall=found.mean_recall,
    )


def _remarks(inputs: Inputs, options: ConsensusOptions, ruled: Ruled, found: Compared) -> list[str]:
    equal = ruled.weighing.how == "equal" and not ruled.by_probability
    is_share = equal and options.denominator == "all" and ruled.method == "majority"
    members = {} if found.worth is None else found.worth.members
    lines = remarks(
        n_models=len(inputs.votes.ballots.models),
        agree=options.agree if is_share else None,
        positive=options.positive,
        method=ruled.method,
        recall=None if found.worth is None else found.worth.consensus.recall,
        member_recalls={
            name: score.recall for name, score in members.items() if score.recall is not None
        },
        ks=(found.ks or []) if found.worth is not None else [],
    )
    lines += _of_weights(inputs)
    if len(inputs.votes.members.names) == 1:
        lines.append("There is only one model: it agrees with itself.")
    if (tied := sum(inputs.votes.tied)) > 0:
        lines.append(
            f"{tied:,} times the highest probability of a model belongs to several classes: as a "
            "vote this counts as none."
        )
    if ruled.learned is not None and not ruled.learned.converged:
        lines.append(
            f"dawid-skene: not converged after {ruled.learned.iterations:,} iterations. Its "
            "posteriors may still move."
        )
    return lines


def _unjudged(inputs: Inputs) -> list[str]:
    known, ids = inputs.judging, inputs.votes.members.ids
    if known is None or known.rows is None or len(known.truth) == len(ids):
        return []
    is_judged = np.zeros(len(ids), bool)
    is_judged[known.rows] = True
    return [
        f"{known.name}: says nothing about {len(ids) - len(known.truth):,} of {len(ids):,} rows, "
        f"such as '{ids[int(np.argmin(is_judged))]}': they are decided, but not judged."
    ]


def _of_weights(inputs: Inputs) -> list[str]:
    files = (inputs.judging, inputs.teaching, inputs.choosing)
    weighed = [one.name for one in files if one is not None and one.truth.weights is not None]
    if not weighed:
        return []
    return [
        f"{', '.join(dict.fromkeys(weighed))}: the weights of rows count in `scores` alone; "
        "everything else counts every row once."
    ]
