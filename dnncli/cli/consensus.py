"""`dnncli consensus`."""

from pathlib import Path
from typing import Annotated

import typer

from dnncli.cli import output
from dnncli.cli.options import AsJson, Classes, OnBad, parse_classes

RULE, TRUTH, FILES, MAPS = "The rule", "Known truth", "Models and rows", "Masks and maps"


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
            rich_help_panel=RULE,
        ),
    ] = "auto",
    agree: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Decide only where this share agrees: 0.8, 4/5.",
            rich_help_panel=RULE,
        ),
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", help="Of k-of-m: so many votes.", rich_help_panel=RULE)
    ] = None,
    tie: Annotated[
        str, typer.Option(help="abstain, positive or class-order.", rich_help_panel=RULE)
    ] = "abstain",
    positive: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="The class not to be missed.", rich_help_panel=RULE),
    ] = None,
    min_votes: Annotated[
        int, typer.Option(help="Fewest models that must have voted.", rich_help_panel=RULE)
    ] = 1,
    denominator: Annotated[
        str,
        typer.Option(
            help="Agreement is a share of all models, or of those that voted.",
            rich_help_panel=RULE,
        ),
    ] = "all",
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=W,...", help="Of the models, or a .json file.", rich_help_panel=RULE
        ),
    ] = None,
    weights_from: Annotated[
        str | None,
        typer.Option(
            metavar="TRUTH",
            help="Labels of validation rows that teach the weights; or a split of --data.",
            rich_help_panel=RULE,
        ),
    ] = None,
    weight_by: Annotated[
        str | None,
        typer.Option(
            help="log-odds, f-beta or, without a truth, confidence.", rich_help_panel=RULE
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Of --method selection.", rich_help_panel=RULE)] = 50,
    target_recall: Annotated[
        str | None,
        typer.Option(
            metavar="R",
            help="Choose the rule that reaches this recall at the least work.",
            rich_help_panel=RULE,
        ),
    ] = None,
    truth_val: Annotated[
        str | None,
        typer.Option(
            metavar="TRUTH",
            help="Labels of the rows that choose it; or a split of --data.",
            rich_help_panel=TRUTH,
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="True labels (id,label) to judge by.", rich_help_panel=TRUTH),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Rows of one split of the truth or of --data.", rich_help_panel=TRUTH),
    ] = None,
    beta: Annotated[
        list[float] | None, typer.Option(help="Of F; repeatable.", rich_help_panel=TRUTH)
    ] = None,
    undefined: Annotated[
        str,
        typer.Option(help="A class value 0/0 in averages: skip, 0 or 1.", rich_help_panel=TRUTH),
    ] = "skip",
    confidence: Annotated[
        str,
        typer.Option(help="Of intervals and certificate, in (0, 1).", rich_help_panel=TRUTH),
    ] = "0.95",
    data: Annotated[
        Path | None,
        typer.Option(
            help="What runs and .keras files predict [that of the runs].", rich_help_panel=FILES
        ),
    ] = None,
    tta: Annotated[
        int,
        typer.Option(help="Further views of each picture, each a member.", rich_help_panel=FILES),
    ] = 0,
    on_bad: OnBad = "skip",
    classes: Classes = None,
    missing: Annotated[
        str,
        typer.Option(help="A row that a model lacks: error, or no-vote.", rich_help_panel=FILES),
    ] = "error",
    nan: Annotated[
        str,
        typer.Option(help="Scores that are NaN: error, or positive.", rich_help_panel=FILES),
    ] = "error",
    normalize_ids: Annotated[
        str,
        typer.Option(help="nfc: ids may differ in Unicode form.", rich_help_panel=FILES),
    ] = "none",
    scores: Annotated[
        str,
        typer.Option(
            help="any: one column of any numbers, which are averaged.", rich_help_panel=FILES
        ),
    ] = "unit",
    binary: Annotated[
        bool,
        typer.Option(
            "--binary", help="0 is background, 1 and 255 are foreground.", rich_help_panel=MAPS
        ),
    ] = False,
    ignore: Annotated[
        int | None, typer.Option(help="Number that is no class.", rich_help_panel=MAPS)
    ] = None,
    ignore_zone: Annotated[
        bool,
        typer.Option(
            "--ignore-zone",
            help="Pixels that annotators see differently become 255.",
            rich_help_panel=MAPS,
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for decisions and report.")] = None,
    decisions: Annotated[
        str, typer.Option("--format", help="Of the decisions: csv or parquet; auto: as the files.")
    ] = "auto",
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
