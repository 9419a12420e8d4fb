"""How a consensus is shown on a terminal."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dnncli.cli import output
from dnncli.cli.evaluation import with_interval

if TYPE_CHECKING:
    from dnncli.services.ensemble.agreed import AgreementReport
    from dnncli.services.ensemble.maps import MapsResult
    from dnncli.services.ensemble.result import ConsensusReport
    from dnncli.services.ensemble.values import ValuesReport
    from dnncli.voting.coverage import CoverageLevel
    from dnncli.voting.worth import Comparison

_MOST_MODELS = 12  # of which every pair is shown
_MOST_LEVELS = 25  # of the coverage table; all of them are in its file

number = output.number


def show(report: "ConsensusReport | MapsResult | ValuesReport") -> None:
    """Print headline, tables and what they assume."""
    from dnncli.services.ensemble.result import ConsensusReport

    if isinstance(report, ConsensusReport):
        _show_rows(report)
        return
    from dnncli.cli.consensus_maps import show_maps, show_values
    from dnncli.services.ensemble.maps import MapsResult

    if isinstance(report, MapsResult):
        show_maps(report)
    else:
        show_values(report)


def agreement_line(found: "AgreementReport") -> str:
    """How far the models agree, in one line."""
    return (
        f"{number(found.observed)} of pairs of votes; unanimous {number(found.unanimous)}; Fleiss "
        f"kappa {number(found.fleiss_kappa)}, Krippendorff alpha "
        f"{number(found.krippendorff_alpha)}"
    )


def agreement_notes(found: "AgreementReport") -> list[str]:
    """Why scores of it are undefined, and what they leave out."""
    return [*(f"{score}: {reason}." for score, reason in found.reasons.items()), *found.remarks]


def _show_rows(report: "ConsensusReport") -> None:
    output.lines(f"{what:<18} {value}" for what, value in _headline(report))
    output.table(*_members(report))
    if report.scores is not None and report.scores.n:
        output.table(*_scores(report), title="Decided rows")
    if report.coverage_table:
        output.table(*_coverage(report), title="What asking for more agreement costs")
    if report.k_table is not None:
        output.table(*_ks(report), title=f"If k votes are enough for '{report.positive}'")
    if 2 < len(report.models) <= _MOST_MODELS:
        output.table(*_pairs(report), title="Agreement of every two models")
    output.lines(_below(report))


def _headline(report: "ConsensusReport") -> Iterator[tuple[str, str]]:
    learned = "" if report.weighed_by in ("equal", "given") else f", weights by {report.weighed_by}"
    yield "consensus", f"{report.method} of {len(report.models)} models{learned}"
    for what, whence in report.chosen_by.items():
        yield f"  {what}", f"chosen by rows of {whence}"
    if report.target is not None:
        yield from _target(report)
    yield "rows", number(report.n)
    statuses = [f"{rows:,} {word}" for word, rows in report.status_counts.items() if rows]
    yield "decided", f"{number(report.coverage)} of them ({', '.join(statuses)})"
    yield "agreement", agreement_line(report.agreement)
    if report.consensus is not None and report.baselines is not None:
        yield from _worth(report)


def _target(report: "ConsensusReport") -> Iterator[tuple[str, str]]:
    choice = report.target
    if choice is None:
        return
    rule = (
        f"{choice.k} of {len(report.models)} votes"
        if choice.k is not None
        else f"{choice.rule} >= {choice.threshold!r}"
    )
    sure = "certified" if choice.certified else "not certified"
    yield "target recall", f"{report.options['target_recall']} of '{report.positive}', {sure}"
    yield f"  '{report.positive}' if", rule
    yield (
        "  on those rows",
        f"recall {number(choice.point.recall)}, precision {number(choice.point.precision)}, "
        f"flagged {number(choice.point.flagged)}",
    )


def _worth(report: "ConsensusReport") -> Iterator[tuple[str, str]]:
    found, base = report.consensus, report.baselines
    if found is None or base is None:
        return
    yield (
        "accuracy",
        f"{with_interval(found.accuracy, found.accuracy_interval)} of all rows with known truth, "
        f"{number(found.accuracy_decided)} of the decided",
    )
    yield (
        "  majority",
        f"{number(base.majority.accuracy)}, "
        f"{number(base.majority.accuracy_decided)} of the decided",
    )
    yield "  mean model", number(base.mean_single)
    yield "  best model", f"{number(base.best_single.accuracy)} ({base.best_single.name})"
    yield "  against it", _difference(base.best_single.against)
    if found.recall is not None:
        yield (
            f"recall of {report.positive}",
            f"{number(found.recall)} (no decision: missed), best model "
            f"{number(base.best_single.recall)}, mean {number(base.mean_recall)}",
        )


def _difference(found: "Comparison") -> str:
    apart = found.difference
    text = with_interval(apart.difference, [apart.low, apart.high])
    return (
        f"{text}, p {found.p_value:.2g}: only the consensus is right on "
        f"{found.only_consensus:,}, only the model on {found.only_member:,} of {found.n:,}"
    )


def _members(report: "ConsensusReport") -> tuple[list[str], list[list[str]]]:
    weighed, known = report.weights is not None, report.baselines is not None
    positive = report.positive is not None and known
    columns = ["model", "votes", "agrees", *(["weight"] if weighed else [])]
    columns += ["accuracy"] if known else []
    columns += ["recall", "precision"] if positive else []
    rows = []
    for name, member in report.members.items():
        row = [name, number(member.n_votes), number(member.agreement)]
        row += [number(member.weight)] if weighed else []
        row += [with_interval(member.accuracy or 0.0, member.accuracy_interval)] if known else []
        row += [number(member.recall), number(member.precision)] if positive else []
        rows.append(row)
    return columns, rows


def _scores(report: "ConsensusReport") -> tuple[list[str], list[list[str]]]:
    scores = report.scores
    if scores is None:
        return [], []
    names = [f"F{beta}" for beta in scores.averages.macro.f]
    columns = ["class", "precision", "recall", *names, "support", "predicted"]
    rows = []
    for name, entry in scores.per_class.items():
        values = [entry.precision, entry.recall, *entry.f.values()]
        counts = [number(entry.support), number(entry.predicted)]
        rows.append([name, *(number(value, digits=3) for value in values), *counts])
    macro = scores.averages.macro
    values = [macro.precision, macro.recall, *macro.f.values()]
    rows.append(["macro", *(number(value, digits=3) for value in values), "", ""])
    return columns, rows


def _coverage(report: "ConsensusReport") -> tuple[list[str], list[list[str]]]:
    known, positive = report.baselines is not None, report.positive is not None
    columns = ["agreement", "decided", "for review"]
    columns += ["accuracy of decided"] if known else []
    if known and positive:
        columns += ["recall, decided", "review missed", "review caught"]
    rows = []
    for level in _some(report.coverage_table):
        name = number(level.agree) if level.needed is None else f"{level.needed}"
        row = [name, number(level.coverage), number(level.review_rows)]
        row += [number(level.accuracy_decided)] if known else []
        if known and positive:
            recalls = (level.recall_excluding, level.recall_missed, level.recall_caught)
            row += [number(recall) for recall in recalls]
        rows.append(row)
    return columns, rows


def _some(levels: "Sequence[CoverageLevel]") -> "Sequence[CoverageLevel]":
    """At most so many levels as fit a terminal, first and last among them."""
    if len(levels) <= _MOST_LEVELS:
        return levels
    step = (len(levels) - 1) / (_MOST_LEVELS - 1)
    return [levels[round(place * step)] for place in range(_MOST_LEVELS)]


def _ks(report: "ConsensusReport") -> tuple[list[str], list[list[str]]]:
    known = report.baselines is not None
    columns = ["k", "flagged", "rows", *(["recall", "precision"] if known else [])]
    rows = []
    for level in report.k_table or []:
        row = [str(level.k), number(level.flagged), number(level.flagged_rows)]
        row += [number(level.recall), number(level.precision)] if known else []
        rows.append(row)
    return columns, rows


def _pairs(report: "ConsensusReport") -> tuple[list[str], list[list[str]]]:
    known = report.baselines is not None
    columns = ["models", "rows", "agreement", "Cohen kappa"]
    columns += ["both wrong", "Yule Q"] if known else []
    rows = []
    for name, pair in report.agreement.pairwise.items():
        row = [name, number(pair.n), number(pair.agreement), number(pair.cohen_kappa)]
        row += [number(pair.double_fault), number(pair.yule_q)] if known else []
        rows.append(row)
    return columns, rows


def _below(report: "ConsensusReport") -> Iterator[str]:
    yield from agreement_notes(report.agreement)
    if len(report.models) > 1:
        yield "agrees: how often a model says what another says, in the mean of the others."
    yield (
        "agreement: least share of the votes (of a mean: probability) of the class in front; rows "
        "below are for review."
    )
    if report.positive is not None and report.baselines is not None:
        yield (
            f"recall of '{report.positive}': among decided rows; if all for review are missed; if "
            "people who review them catch all."
        )
    yield f"Cost: {report.predictions_per_row:.4g} predictions per row."
    if report.consensus is not None:
        yield (
            f"[ ]: intervals at {report.options['confidence']:.4g} confidence: exact, of "
            "differences by Tango's score. They assume independent rows, looked at once."
        )
