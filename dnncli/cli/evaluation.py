"""How an evaluation is shown on a terminal."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dnncli.cli import output

if TYPE_CHECKING:
    from dnncli.metrics.report import AverageReport, ClassReport
    from dnncli.services.evaluate import EvalReport
    from dnncli.services.evaluation.against import Paired
    from dnncli.services.evaluation.slices import SliceReport

_LARGEST_MATRIX = 20  # classes; a larger confusion matrix fits no terminal
_ON_ONE_LINE = 3  # scores; more intervals beside their scores would not fit into a line
_NAMED = 5  # missed ids in the headline

number = output.number


def show(report: "EvalReport") -> None:
    """Print headline, tables and what they assume."""
    output.lines(f"{what:<18} {value}" for what, value in _headline(report))
    columns = ["precision", "recall", *(f"F{beta}" for beta in report.averages.macro.f)]
    output.table(
        ["class", *columns, "support", "predicted", "tp", "fp", "fn"],
        [
            [name, *_scores(entry), *_counts(entry, report.weighted)]
            for name, entry in report.per_class.items()
        ],
    )
    averages = {
        name: entry
        for name in ("macro", "weighted", "micro", "samples")
        if (entry := getattr(report.averages, name)) is not None
    }
    output.table(
        ["average", *columns], [[name, *_scores(entry)] for name, entry in averages.items()]
    )
    output.lines(_below(report))
    if report.confusion is not None and len(report.classes) <= _LARGEST_MATRIX:
        output.lines(["Confusion matrix (rows: truth, columns: decision)"])
        output.table(*_matrix(report))
    for name, groups in (report.slices or {}).items():
        of = f"of '{report.positive}'" if report.positive is not None else "macro"
        output.table(*_slices(groups, columns), title=f"By {name}, scores {of}")
    if report.against is not None:
        output.table(*_against(report), title=f"Against {report.against.target}")


def with_interval(value: float, interval: Sequence[float] | None, *, apart: str = " ") -> str:
    """`0.909 [0.783, 0.975]`; only the number where there is no interval."""
    text = number(value, digits=3)
    if interval is None or value != value or any(end is None or end != end for end in interval):
        return text
    low, high = interval
    return f"{text}{apart}[{low:.3f}, {high:.3f}]"


def _headline(report: "EvalReport") -> Iterator[tuple[str, str]]:
    from dnncli.services.evaluation.verdicts import sentence

    if report.positive is not None:
        yield from _of_positive(report)
    for name, verdict in (report.verdict or {}).items():
        yield "verdict", sentence(name, verdict)
    yield "rows", f"{number(report.n)} ({report.target})"
    if report.multi_label:
        yield "all labels right", number(report.subset_accuracy)
        yield "Hamming loss", number(report.hamming_loss)
    else:
        yield "accuracy", with_interval(report.accuracy, report.accuracy_interval)
    if report.majority is not None:
        yield (
            "  of one guess",
            f"{number(report.majority.accuracy)} (always the most frequent class)",
        )
    for beta, value in report.averages.macro.f.items():
        yield f"macro F{beta}", number(value)
    yield "macro recall", number(report.averages.macro.recall)
    if report.curves is not None and report.curves.of == "macro":
        yield "macro AP, ROC AUC", _areas(report)
    if (found := report.calibration) is not None:
        yield (
            "calibration",
            (
                f"ECE {number(found.ece)} ({found.n_bins} bins), Brier {number(found.brier)}, "
                f"log loss {number(found.log_loss)}"
            ),
        )
        if found.temperature is not None:
            yield (
                f"  T = {found.temperature:.3f}",
                (
                    f"ECE {number(found.ece_after)}, log loss {number(found.log_loss_after)} "
                    "(temperature chosen on validation)"
                ),
            )
    if report.undecided:
        ties = f" ({report.ties:,} ties)" if report.ties else ""
        yield "undecided rows", f"{report.undecided:,}{ties}"


def _of_positive(report: "EvalReport") -> Iterator[tuple[str, str]]:
    """What there is to say of the positive class."""
    positive = str(report.positive)
    entry = report.per_class[positive]
    yield "positive", positive
    yield "  precision", with_interval(entry.precision, _interval(entry, "precision"))
    yield "  recall", with_interval(entry.recall, _interval(entry, "recall"))
    for beta, value in entry.f.items():
        yield f"  F{beta}", with_interval(value, _interval(entry, beta))
    if report.curves is not None and report.curves.of == positive:
        yield "  AP, ROC AUC", _areas(report)
    if report.threshold is not None:
        source = report.threshold_from
        whence = "" if source is None else f" ({source.rule}, {source.file})"
        yield "  decided if", f"score >= {report.threshold!r}{whence}"
    if report.missed is not None:
        some = ", ".join(report.missed[:_NAMED])
        more = ", ..." if len(report.missed) > _NAMED else ""
        yield "  missed", f"{len(report.missed):,}{': ' if some else ''}{some}{more}"


def _areas(report: "EvalReport") -> str:
    if report.curves is None:
        return "n/a"
    return f"{number(report.curves.average_precision)}, {number(report.curves.roc_auc)}"


def _below(report: "EvalReport") -> Iterator[str]:
    """What stands under the tables of scores."""
    averages = report.averages
    missing = averages.undefined
    undefined = [("precision", missing.precision), ("recall", missing.recall)]
    undefined += [(f"F{beta}", count) for beta, count in missing.f.items()]
    if averages.undefined_classes:
        counted = "left out" if report.undefined == "skip" else f"counted as {report.undefined}"
        found = ", ".join(f"{name} in {count}" for name, count in undefined if count)
        yield f"Undefined (0/0): {found} of {len(report.classes)} classes; {counted}."
    if not report.weighted:
        yield (
            f"[ ]: intervals at {report.confidence:.4g} confidence, exact for precision, recall "
            f"and accuracy, {report.interval_methods['f']} for F. They assume independent rows, "
            "looked at once."
        )


def _interval(
    entry: "ClassReport | AverageReport | SliceReport", name: str
) -> Sequence[float] | None:
    """The interval of precision, recall, or the F of a beta."""
    found = entry.intervals
    if found is None:
        return None
    if name in ("precision", "recall"):
        return getattr(found, name)
    return found.f[name]


def _scores(entry: "ClassReport | AverageReport | SliceReport") -> list[str]:
    values = {"precision": entry.precision, "recall": entry.recall, **entry.f}
    apart = " " if len(values) <= _ON_ONE_LINE else "\n"
    return [
        with_interval(value, _interval(entry, name), apart=apart) for name, value in values.items()
    ]


def _counts(entry: "ClassReport", weighted: bool) -> list[str]:
    values = [entry.support, entry.predicted, entry.tp, entry.fp, entry.fn]
    return [number(value, digits=6 if weighted else 0) for value in values]


def _matrix(report: "EvalReport") -> tuple[list[str], list[list[str]]]:
    confusion = report.confusion
    if confusion is None:
        return [], []
    columns = [*confusion.classes, *(["undecided"] if report.undecided else [])]
    rows = []
    for name, counts, undecided in zip(confusion.classes, confusion.counts, confusion.undecided):
        cells = [*counts, *([undecided] if report.undecided else [])]
        rows.append([name, *(number(cell, digits=2) for cell in cells)])
    return ["truth", *columns], rows


def _slices(
    groups: "dict[str, SliceReport]", columns: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    rows = []
    for value, group in groups.items():
        positives = "" if group.positives is None else number(group.positives, digits=2)
        accuracy = with_interval(group.accuracy, group.accuracy_interval)
        name = f"{value} (few)" if group.few else value
        rows.append([name, number(group.n), positives, accuracy, *_scores(group)])
    return ["group", "rows", "positives", "accuracy", *columns], rows


def _against(report: "EvalReport") -> tuple[list[str], list[list[str]]]:
    against = report.against
    if against is None:
        return [], []
    pairs: list[tuple[str, Paired]] = [("accuracy", against.accuracy)]
    if against.recall is not None:
        pairs.append((f"recall of {report.positive}", against.recall))
    rows = []
    for name, pair in pairs:
        apart = with_interval(pair.difference, pair.interval)
        only = [number(pair.only_this), number(pair.only_other)]
        rows.append(
            [name, number(pair.value), number(pair.other), apart, *only, number(pair.p_value)]
        )
    columns = ["", "this", "other", "difference", "only this right", "only other right", "p"]
    return columns, rows
