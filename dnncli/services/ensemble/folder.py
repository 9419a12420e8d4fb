"""The folder of a consensus: what is written into it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from dnncli.results import Progress, write_json, written_folder
from dnncli.services.ensemble.inputs import Inputs
from dnncli.services.ensemble.options import ConsensusOptions
from dnncli.services.ensemble.rule import Ruled
from dnncli.services.out_folder import check_replaceable

if TYPE_CHECKING:
    from dnncli.services.ensemble.report import Compared
    from dnncli.services.ensemble.result import ConsensusReport

REPORT = "consensus.json"
SCHEMA = "dnncli.consensus/1"  # of every consensus: of rows, of maps and of numbers


def check_out(folder: Path) -> None:
    """Refuse to replace anything but an empty folder or an earlier consensus.

    Raises:
        ConfigError: if something else is there.
    """
    check_replaceable(folder, file=REPORT, schema=SCHEMA, what="consensus")


def decisions_suffix(files: Sequence[Path], asked: str) -> str:
    """The kind of file that decisions are written to: CSV where every model is one."""
    if asked != "auto":
        return f".{asked}"
    return ".csv" if all(path.suffix == ".csv" for path in files) else ".parquet"


def write_folder(
    folder: Path,
    report: "ConsensusReport",
    inputs: Inputs,
    options: ConsensusOptions,
    ruled: Ruled,
    found: "Compared",
    *,
    suffix: str,
    progress: Progress,
) -> None:
    """Write decisions, review queue, agreement and pictures; an earlier folder is replaced.

    Raises:
        ConfigError: if something else is there.
    """
    from dnncli.report.consensus import write_consensus_pictures

    check_out(folder)
    with written_folder(folder) as neighbour, ThreadPoolExecutor(1) as beside:
        # Tables are written by polars, which needs no interpreter: pictures are drawn meanwhile.
        tables = beside.submit(_write_tables, neighbour, inputs, ruled, suffix=suffix)
        write_json(neighbour / "agreement.json", report.agreement)
        write_consensus_pictures(
            neighbour,
            decisions=ruled.decisions,
            rows=found.items.rows,
            models=inputs.votes.members.names,
            agreement=found.agreed,
            levels=report.coverage_table,
            k_levels=report.k_table if inputs.judging is not None and report.k_table else (),
            right=found.items.right,
            share=options.denominator,
            agree=options.agree,
            agree_is_of_models=not ruled.by_probability,
            k=options.k,
            positive=options.positive,
            accuracy=None
            if found.worth is None
            else {name: score.accuracy for name, score in found.worth.members.items()},
            progress=progress,
        )
        write_json(neighbour / REPORT, report)
        tables.result()


def _write_tables(folder: Path, inputs: Inputs, ruled: Ruled, *, suffix: str) -> None:
    from dnncli.report.decisions import write_decisions
    from dnncli.report.review import write_review

    ids, names = inputs.votes.members.ids, inputs.class_names
    write_decisions(
        folder / f"decisions{suffix}", ids, ruled.decisions, index=ruled.index, class_names=names
    )
    write_review(
        folder / "review.csv",
        ruled.decisions,
        ids,
        names,
        index=ruled.index,
        positive=inputs.positive,
    )
