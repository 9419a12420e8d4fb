"""Tables for people of an evaluation of masks or edges."""

from dnncli.cli.edge_evaluation import show_edges
from dnncli.cli.mask_evaluation import show_masks
from dnncli.services.evaluation.edge_result import EdgeEval
from dnncli.services.evaluation.map_result import MaskEval


def show_pixels(report: MaskEval | EdgeEval) -> None:
    """Print the tables of `report`."""
    if isinstance(report, EdgeEval):
        show_edges(report)
    else:
        show_masks(report)
