"""How an evaluation of edge maps is shown on a terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dnncli.cli import output
from dnncli.cli.evaluation import with_interval

if TYPE_CHECKING:
    from dnncli.metrics.edges import BestF, PooledF
    from dnncli.services.evaluation.edge_result import EdgeEval

_WORST = 5  # pictures in a table

number = output.number


def show_edges(report: "EdgeEval") -> None:
    """Print the scores, how they were worked out, and the worst pictures."""
    output.lines(f"{what:<18} {value}" for what, value in _headline(report))
    output.table(
        ["score", "F", "precision", "recall", "threshold"], list(_scores(report)), title="Edges"
    )
    output.lines(_below(report))
    worst = sorted(
        (image for image in report.per_image if image.f < 1), key=lambda image: (image.f, image.id)
    )
    if worst:
        output.table(
            ["picture", "F", "precision", "recall", "threshold", "true pixels"],
            [[image.id, *_cells(image), number(image.true_edges)] for image in worst[:_WORST]],
            title="Pictures with the lowest F, each at its own best threshold",
        )


def _headline(report: "EdgeEval") -> Iterator[tuple[str, str]]:
    yield "pictures", f"{number(report.n)} ({report.target})"
    few, most = report.annotators
    if most > 1:
        yield "annotators", f"{few} to {most} a picture" if few < most else f"{most} a picture"
    unit = "of the diagonal" if report.tolerance < 1 else "pixels"
    yield "tolerance", f"{report.tolerance:g} {unit}"
    steps = (["ridges of the maps (NMS)"] if report.nms else []) + (
        ["thinned"] if report.thin else []
    )
    yield "edges are", ", ".join(steps) or "taken as they are"
    yield "average precision", number(report.ap)
    yield "R50", number(report.r50)


def _scores(report: "EdgeEval") -> Iterator[list[str]]:
    found = report.edges
    ends = found.intervals or {}
    yield ["ODS", with_interval(report.ods, ends.get("ods")), *_cells(found.ods)[1:]]
    ois = _cells(found.ois)
    yield ["OIS", with_interval(report.ois, ends.get("ois")), *ois[1:], "each its own"]
    if found.at_threshold is not None:
        yield ["at --threshold", *_cells(found.at_threshold)]
    baseline = report.baseline
    yield ["(no edge anywhere)", number(baseline.f), "n/a", number(baseline.recall), ""]


def _cells(score: "BestF | PooledF") -> list[str]:
    cells = [score.f, score.precision, score.recall]
    return [number(cell) for cell in (*cells, *filter(None, [getattr(score, "threshold", None)]))]


def _below(report: "EdgeEval") -> Iterator[str]:
    yield (
        "ODS: one threshold for all pictures, the best for these very pictures. OIS: the best of "
        "each picture."
    )
    if report.threshold is None:
        yield "A threshold chosen elsewhere (--threshold T) is judged without that advantage."
    yield (
        f"Saying 'no edge' everywhere gets {number(100 * report.baseline.accuracy, digits=2)} % of "
        "the pixels right: pixel accuracy says nothing of edges."
    )
    if report.edges.intervals is not None:
        yield (
            f"[ ]: intervals at {report.confidence:.4g} confidence; whole pictures were drawn "
            "again 2,000 times."
        )
