"""The folder of an evaluation of edge maps."""

from pathlib import Path

from dnncli.results import write_json, written_folder
from dnncli.services.evaluation.edge_result import EdgeEval
from dnncli.services.evaluation.folder import METRICS, check_out, write_csv

_CURVE = ("threshold", "precision", "recall", "f")
_IMAGE = ("id", "f", "precision", "recall", "threshold", "true_edges", "annotators")


def write_edge_folder(folder: Path, report: EdgeEval) -> None:
    """Write the files of an evaluation; an earlier one is replaced as a whole.

    Raises:
        ConfigError: if something else is there.
    """
    check_out(folder)
    with written_folder(folder) as neighbour:
        write_edge_files(neighbour, report)


def write_edge_files(folder: Path, report: EdgeEval) -> None:
    """Write metrics.json, curve.csv, per_image.csv and pr.png; undefined = empty."""
    from dnncli.report.edges import edge_plot

    write_json(folder / METRICS, report)
    curve = report.edges.curve
    rows = zip(*(getattr(curve, name).tolist() for name in _CURVE))
    write_csv(folder / "curve.csv", [_CURVE, *rows])
    images = ([getattr(image, name) for name in _IMAGE] for image in report.per_image)
    write_csv(folder / "per_image.csv", [_IMAGE, *images])
    edge_plot(folder / "pr.png", curve, best=report.edges.ods, ap=report.ap, n=report.n)
