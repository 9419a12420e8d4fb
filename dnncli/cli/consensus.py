"""`dnncli consensus`."""

from pathlib import Path
from typing import Annotated

import typer

from dnncli.cli import output
from dnncli.cli.options import (
    AllowCode,
    AsJson,
    Classes,
    NormalizeIds,
    OnBad,
    Undefined,
    parse_classes,
)


def consensus(
    targets: Annotated[
        list[Path],
        typer.Argument(
            metavar="TARGET...",
            help="Predictions files, or folders of masks; or runs and .keras files.",
        ),
    ],
    method: Annotated[
        str,
        typer.Option(
            help="majority, mean, geometric, weighted, k-of-m, dawid-skene, selection or staple; "
            "auto: majority of labels, mean of probabilities.",
        ),
    ] = "auto",
    agree: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Decide only where this share agrees: 0.8, 4/5.",
        ),
    ] = None,
    k: Annotated[int | None, typer.Option("--k", help="Of k-of-m: so many votes.")] = None,
    tie: Annotated[str, typer.Option(help="abstain, positive or class-order.")] = "abstain",
    positive: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="The class not to be missed."),
    ] = None,
    min_votes: Annotated[int, typer.Option(help="Fewest models that must have voted.")] = 1,
    denominator: Annotated[
        str,
        typer.Option(
            help="Agreement is a share of all models, or of those that voted.",
        ),
    ] = "all",
    weights: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=W,...", help="Of the models, or a .json file."),
    ] = None,
    weights_from: Annotated[
        str | None,
        typer.Option(
            metavar="TRUTH",
            help="Labels of validation rows that teach the weights; or a split of --data.",
        ),
    ] = None,
    weight_by: Annotated[
        str | None,
        typer.Option(help="log-odds, f-beta or, without a truth, confidence."),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Of --method selection.")] = 50,
    target_recall: Annotated[
        str | None,
        typer.Option(
            metavar="R",
            help="Choose the rule that reaches this recall at the least work.",
        ),
    ] = None,
    truth_val: Annotated[
        str | None,
        typer.Option(
            metavar="TRUTH",
            help="Labels of the rows that choose it; or a split of --data.",
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="True labels (id,label) to judge by."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Rows of one split of the truth or of --data."),
    ] = None,
    beta: Annotated[list[float] | None, typer.Option(help="Of F; repeatable.")] = None,
    undefined: Undefined = "skip",
    confidence: Annotated[
        str,
        typer.Option(help="Of intervals and certificate, in (0, 1)."),
    ] = "0.95",
    data: Annotated[
        Path | None,
        typer.Option(help="What runs and .keras files predict [that of the runs]."),
    ] = None,
    tta: Annotated[
        int,
        typer.Option(help="Further views of each picture, each a member."),
    ] = 0,
    on_bad: OnBad = "skip",
    classes: Classes = None,
    missing: Annotated[
        str,
        typer.Option(help="A row that a model lacks: error, or no-vote."),
    ] = "error",
    nan: Annotated[
        str,
        typer.Option(help="Scores that are NaN: error, or positive."),
    ] = "error",
    normalize_ids: NormalizeIds = "none",
    scores: Annotated[
        str,
        typer.Option(help="any: one column of any numbers, which are averaged."),
    ] = "unit",
    binary: Annotated[
        bool,
        typer.Option("--binary", help="0 is background, 1 and 255 are foreground."),
    ] = False,
    ignore: Annotated[int | None, typer.Option(help="Number that is no class.")] = None,
    ignore_zone: Annotated[
        bool,
        typer.Option(
            "--ignore-zone",
            help="Pixels that annotators see differently become 255.",
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for decisions and report.")] = None,
    decisions: Annotated[
        str, typer.Option("--format", help="Of the decisions: csv or parquet; auto: as the files.")
    ] = "auto",
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Join what several models, or people, say about the same rows; abstain where they differ.

    Example: dnncli consensus runs/trio --method majority --agree 0.8 --positive coat
    """
    from dnncli.cli.consensus_tables import show
    from dnncli.services.consensus import consensus as join

    with output.progress() as progress:
        report = join(
            targets,
            data=data,
            split=split,
            tta=tta,
            on_bad=on_bad,
            method=method,
            agree=agree,
            k=k,
            weights=tuple(weights or ()),
            weights_from=weights_from,
            weight_by=weight_by,
            rounds=rounds,
            tie=tie,
            positive=positive,
            min_votes=min_votes,
            denominator=denominator,
            target_recall=target_recall,
            truth_val=truth_val,
            truth=truth,
            betas=tuple(beta or (1.0,)),
            undefined=undefined,
            confidence=confidence,
            classes=parse_classes(classes),
            missing=missing,
            nan=nan,
            normalize_ids=normalize_ids,
            scores=scores,
            binary=binary,
            ignore=ignore,
            ignore_zone=ignore_zone,
            out=out,
            decisions=decisions,
            allow_code=allow_code,
            progress=progress,
        )
    if as_json:
        output.show_json(report)
    else:
        show(report)
    for note in getattr(report, "notes", ()):
        output.hint(note)
    for warning in report.warnings:
        output.warn(warning)
    if report.out is not None:
        output.hint(f"Written to {report.out}.")
