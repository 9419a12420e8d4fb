"""The pictures and tables of a consensus, written into its folder."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.agreement import Agreement
from dnncli.report.agreement import agreement_bars, agreement_plot, agreement_table
from dnncli.report.coverage import coverage_frame, coverage_plot, k_frame, k_plot
from dnncli.report.heatmap import pair_table, pairwise_plot
from dnncli.report.tables import write_table
from dnncli.results import Progress, no_progress
from dnncli.voting.coverage import CoverageLevel, KLevel
from dnncli.voting.rules import Decisions


def write_consensus_pictures(
    folder: Path,
    *,
    decisions: Decisions,
    rows: NDArray[np.integer] | None,
    models: Sequence[str],
    agreement: Agreement | None = None,
    levels: Sequence[CoverageLevel] = (),
    k_levels: Sequence[KLevel] = (),
    right: NDArray[np.integer] | None = None,
    share: Literal["all", "voted"] = "all",
    agree: Fraction | None = None,
    agree_is_of_models: bool = True,
    k: int | None = None,
    positive: str | None = None,
    accuracy: Mapping[str, float] | None = None,
    progress: Progress = no_progress,
) -> list[Path]:
    """Write what a consensus shows, as pictures and as tables of the same names.

    Always agreement.csv and .png. With two models or more whose agreement is known, pairwise;
    with levels, coverage; with k_levels and a positive class, k.

    Args:
        folder: must exist.
        decisions: of K patterns or rows, as they were made.
        rows: (K,) rows of each; None: one each.
        models: (M,) names.
        agreement: of every two models.
        levels: of agreement, rising.
        k_levels: of k = 1 to M.
        right: (K,) rows whose leading class is the true one; None: the truth is unknown.
        share: of which models the agreement is.
        agree: the level that was asked for.
        agree_is_of_models: it is a share of models; not one of a pooled probability.
        k: the number of votes that was asked for.
        positive: the class that must not be missed.
        accuracy: of each model.
        progress: told of the files written.

    Returns:
        The files that were written.
    """
    bars = agreement_bars(decisions, rows, n_models=len(models), share=share, right=right)
    n = int(bars.rows.sum())
    tables = {"agreement": agreement_table(bars)}
    plots: dict[str, Callable[[Path], None]] = {
        "agreement": partial(agreement_plot, bars=bars, agree=agree if agree_is_of_models else None)
    }
    if agreement is not None and len(models) > 1:
        tables["pairwise"] = pair_table(agreement, models)
        plots["pairwise"] = partial(
            pairwise_plot, agreement=agreement.matrix("agreement"), models=models,
            n=agreement.n, accuracy=accuracy,
        )  # fmt: skip
    if levels:
        tables["coverage"] = coverage_frame(levels)
        plots["coverage"] = partial(
            coverage_plot, levels=levels, n=n, agree=agree, positive=positive
        )
    if k_levels and positive is not None:
        tables["k"] = k_frame(k_levels)
        plots["k"] = partial(k_plot, levels=k_levels, n=n, positive=positive, k=k)
    written: list[Path] = []
    for name, table in tables.items():
        progress("Drawing", len(written), 2 * len(tables))
        write_table(folder / f"{name}.csv", table)
        plots[name](folder / f"{name}.png")
        written += [folder / f"{name}.csv", folder / f"{name}.png"]
    progress("Drawing", len(written), 2 * len(tables))
    return written
