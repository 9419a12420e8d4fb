"""How a consensus of masks, maps or numbers is shown on a terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dnncli.cli import output
from dnncli.cli.consensus_tables import agreement_line, agreement_notes

if TYPE_CHECKING:
    from dnncli.metrics.masks import MaskReport
    from dnncli.services.ensemble.maps import MapsResult
    from dnncli.services.ensemble.values import Errors, ValuesReport

_MOST_PICTURES = 20  # shown; all of them are in the decisions file

number = output.number


def show_maps(report: "MapsResult") -> None:
    """Print headline and tables of a consensus of masks or maps."""
    output.lines(f"{what:<18} {value}" for what, value in _of_maps(report))
    output.table(*_map_members(report))
    if report.scores is not None:
        output.table(*_mask_scores(report), title="Pooled over the pictures")
    output.table(*_pictures(report))
    if len(report.per_image) > _MOST_PICTURES:
        output.lines([f"... and {len(report.per_image) - _MOST_PICTURES:,} more pictures."])
    if report.agreement is not None:
        output.lines(agreement_notes(report.agreement))


def show_values(report: "ValuesReport") -> None:
    """Print headline and table of averaged numbers."""
    output.lines(
        f"{what:<18} {value}"
        for what, value in (
            ("consensus", f"{report.method} of '{report.value}' by {len(report.models)} models"),
            ("rows", f"{number(report.n)}, {number(report.coverage)} of them with a mean"),
            ("spread", f"{number(report.spread)} (standard deviation of the models, mean)"),
        )
    )
    known = report.errors is not None
    columns = ["", "rows", *(["mean absolute", "root mean square", "bias"] if known else [])]
    rows = [
        [name, number(member.n_votes), *_errors(member.errors)]
        for name, member in report.members.items()
    ]
    rows.append(["consensus", number(report.n), *_errors(report.errors)])
    output.table(columns, rows, title="Errors" if known else "")


def _errors(found: "Errors | None") -> list[str]:
    if found is None:
        return []
    return [
        number(found.mean_absolute), number(found.root_mean_square), number(found.bias)
    ]  # fmt: skip


def _of_maps(report: "MapsResult") -> Iterator[tuple[str, str]]:
    yield "consensus", f"{report.method} of {len(report.models)} models, {report.kind} maps"
    if report.positive is not None:
        yield "positive", report.positive
    yield "pictures", f"{number(report.n)}, {number(report.pixels)} pixels"
    statuses = [f"{rows:,} {word}" for word, rows in report.status_counts.items() if rows]
    more = f" ({', '.join(statuses)})" if statuses else ""
    yield "decided", f"{number(report.coverage)} of the pixels{more}"
    if report.agreement is not None:
        yield "agreement", agreement_line(report.agreement)
    if report.best_single is not None:
        yield "best model", report.best_single


def _map_members(report: "MapsResult") -> tuple[list[str], list[list[str]]]:
    weighed = any(member.weight is not None for member in report.members.values())
    known = report.scores is not None
    columns = ["model", "pictures", *(["weight"] if weighed else [])]
    columns += ["mean Dice", "mean IoU"] if known else []
    rows = []
    for name, member in report.members.items():
        row = [name, number(member.pictures)]
        row += [number(member.weight)] if weighed else []
        rows.append([*row, *_overlap(member.scores)])
    for name, scores in report.baselines.items():
        if name == "majority":
            blank = ["", *([""] if weighed else [])]
            rows.append(["(majority)", *blank, *_overlap(scores)])
    return columns, rows


def _overlap(scores: "MaskReport | None") -> list[str]:
    if scores is None:
        return []
    return [number(scores.pooled.macro.dice), number(scores.pooled.macro.iou)]


def _mask_scores(report: "MapsResult") -> tuple[list[str], list[list[str]]]:
    scores = report.scores
    if scores is None:
        return [], []
    rows = [
        [name, *(number(value) for value in (entry.dice, entry.iou, entry.precision, entry.recall))]
        for name, entry in scores.per_class.items()
    ]
    return ["class", "Dice", "IoU", "precision", "recall"], rows


def _pictures(report: "MapsResult") -> tuple[list[str], list[list[str]]]:
    of_masks = report.agreement is not None
    columns = ["picture", "pixels", "decided", "agreement" if of_masks else "spread"]
    return columns, [
        [
            entry.id,
            number(entry.pixels),
            number(entry.coverage),
            number(entry.agreement if of_masks else entry.spread),
        ]
        for entry in report.per_image[:_MOST_PICTURES]
    ]
