"""Which way an evaluation of masks or edges goes: from files, or from a run that predicts them."""

from pathlib import Path
from typing import Any

from dnncli.errors import ConfigError
from dnncli.services.evaluation.edge_result import EdgeEval
from dnncli.services.evaluation.edges import checked_edges, evaluate_edges
from dnncli.services.evaluation.map_result import MaskEval
from dnncli.services.evaluation.maps import checked_masks, evaluate_masks
from dnncli.services.evaluation.request import Request


def evaluate_pixels(asked: Request, *, task: str) -> MaskEval | EdgeEval:
    """Score masks or edges.

    Args:
        asked: what to judge, and how.
        task: segment or edges of a run or model; "" for maps in files.
    """
    if asked.edges or task == "edges":
        return _edges(asked, task=task)
    return _masks(asked, task=task)


def _edges(asked: Request, *, task: str) -> EdgeEval:
    options = checked_edges(
        tolerance=asked.tolerance,
        nms=asked.nms,
        threshold=asked.threshold,
        confidence=asked.confidence,
        fail_under=asked.fail_under,
        normalize_ids=asked.normalize_ids,
        others=_foreign(asked, task=task)
        | {
            "classes": asked.classes,
            "beta": tuple(asked.betas) != (1.0,),
            "undefined": asked.undefined != "skip",
            "positive": asked.positive,
            "binary": asked.binary,
            "ignore": asked.ignore is not None,
            "edges": task == "segment",
        },
    )
    if task:
        from dnncli.services.masks.evaluate import evaluate_run_edges

        return evaluate_run_edges(_run(asked), options=options, progress=asked.progress)
    return evaluate_edges(
        asked.target, _true(asked), options=options, folder=asked.folder, progress=asked.progress
    )


def _masks(asked: Request, *, task: str) -> MaskEval:
    options = checked_masks(
        classes=asked.classes,
        binary=asked.binary,
        ignore=asked.ignore,
        threshold=asked.threshold,
        betas=asked.betas,
        undefined=asked.undefined,
        confidence=asked.confidence,
        tolerance=asked.tolerance,
        positive=asked.positive,
        fail_under=asked.fail_under,
        normalize_ids=asked.normalize_ids,
        others=_foreign(asked, task=task) | {"no-nms": not asked.nms},
    )
    if task:
        from dnncli.services.masks.evaluate import evaluate_run_masks

        return evaluate_run_masks(_run(asked), options=options, progress=asked.progress)
    return evaluate_masks(
        asked.target, _true(asked), options=options, folder=asked.folder, progress=asked.progress
    )


def _foreign(asked: Request, *, task: str) -> dict[str, object]:
    """Options that make no sense for pixels, and whether each was given."""
    return {
        "data": not task and asked.data,
        "split": not task and asked.split,
        "name": not task and asked.name,
        "truth": task and asked.truth,
        "thresholds": asked.thresholds,
        "slices": asked.slices,
        "against": asked.against,
        "multi-label": asked.multi_label,
        "intervals": asked.intervals != "delta",
        "bins": asked.bins != 15,
        "nan": asked.nan != "error",
        "tie": asked.tie != "abstain",
    }


def _run(asked: Request) -> Any:
    from dnncli.services.masks.evaluate import Asked  # loads what files do without

    return Asked(
        target=asked.target,
        data=asked.data,
        split=asked.split,
        name=asked.name,
        out=asked.folder,
        batch_size=asked.batch_size,
        on_bad=asked.on_bad,
    )


def _true(asked: Request) -> Path:
    """The truth of maps, which must be given."""
    if asked.truth is None:
        raise ConfigError(
            f"{asked.target}: is no run. If these are masks or edges, give the true ones by "
            "--truth PATH."
        )
    return Path(asked.truth)
