"""The consensus of masks and maps: of those in files, and of those that runs predict."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dnncli.errors import ConfigError
from dnncli.results import Progress
from dnncli.services.ensemble.maps import MapsResult, consensus_maps
from dnncli.services.ensemble.members import tasks_of
from dnncli.services.ensemble.options import ConsensusOptions
from dnncli.services.masks.members import predicted_maps
from dnncli.services.option_problems import not_for
from dnncli.services.rows import OF_PIXELS


def are_of_pixels(paths: Sequence[Path]) -> bool:
    """Whether models say something of every pixel.

    Raises:
        ConfigError: if they are for different tasks.
    """
    tasks = tasks_of(paths)
    if len(set(tasks.values())) > 1:
        lines = [f"{name}: {task}" for name, task in tasks.items()]
        raise ConfigError("The models are for different tasks:", lines)
    return next(iter(tasks.values())) in OF_PIXELS


def of_runs(
    paths: Sequence[Path],
    options: ConsensusOptions,
    *,
    given: Mapping[str, bool],
    ignore_zone: bool,
    folder: Path | None,
    predicting: Mapping[str, Any],
    progress: Progress,
) -> MapsResult:
    """The consensus of what runs say about every pixel; masks are judged on the data set."""
    given = {**given, "classes": bool(options.classes)}
    if problems := not_for("runs of masks and edges", given):
        raise ConfigError("consensus:", problems)
    found = predicted_maps(paths, split=options.split, progress=progress, **predicting)
    options = replace(options, truth=found.truth, split=None)
    if found.task == "edges" and options.method == "auto":
        options = replace(options, method="weighted" if options.weights else "mean")
    result = of_maps(
        found.folders,
        options,
        binary=False,
        ignore=None,
        ignore_zone=ignore_zone,
        folder=folder,
        progress=progress,
    )
    return replace(result, warnings=(*found.notes, *result.warnings))


def of_maps(
    paths: Sequence[Path],
    options: ConsensusOptions,
    *,
    binary: bool,
    ignore: int | None,
    ignore_zone: bool,
    folder: Path | None,
    progress: Progress,
) -> MapsResult:
    """The consensus of masks or maps, which has fewer options."""
    given = {
        "weights-from": options.weights_from is not None,
        "weight-by": options.weight_by is not None,
        "target-recall": options.target_recall is not None,
        "split": options.split is not None,
        "nan": options.nan != "error",
        "scores any": options.scores == "any",
        "format": options.format != "auto",
    }
    if problems := not_for("masks and maps", given):
        raise ConfigError("consensus:", problems)
    return consensus_maps(
        paths,
        method=options.method,
        k=options.k,
        weights=options.weights,
        agree=options.agree,
        tie=options.tie,
        positive=options.positive,
        min_votes=options.min_votes,
        denominator=options.denominator,
        missing=options.missing,
        classes=options.classes,
        normalize_ids=options.normalize_ids,
        binary=binary,
        ignore=ignore,
        ignore_zone=ignore_zone,
        truth=options.truth,
        betas=options.betas,
        undefined=options.undefined,
        out=folder,
        progress=progress,
    )
