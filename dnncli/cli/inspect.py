"""`dnncli data inspect`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnncli.cli import output
from dnncli.cli.options import AsJson, Classes, DataPath, OnBad, parse_classes
from dnncli.errors import SHOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dnncli.data.health import HealthReport
    from dnncli.services.annotator_report import AnnotatorReport
    from dnncli.services.inspect import InspectReport
    from dnncli.services.mask_report import MaskReport


def inspect(
    data: DataPath,
    task: Annotated[
        str, typer.Option(help="classify, segment, edges, or auto: as the data is laid out.")
    ] = "auto",
    classes: Classes = None,
    split: Annotated[Path | None, typer.Option(help="A split.csv to use.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Weigh the data against this network (see `models`).")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Pictures per batch [32; of masks as in training].")
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="In pixels [from the pictures, <= 128; masks <= 256]."),
    ] = None,
    color: Annotated[str, typer.Option(help="auto, rgb or grayscale.")] = "auto",
    label_mode: Annotated[
        str, typer.Option(help="int, categorical (one-hot) or binary.")
    ] = "categorical",
    pixels: Annotated[
        bool, typer.Option("--pixels", help="Decode every picture: finds re-saved copies.")
    ] = False,
    on_bad: OnBad = "skip",
    as_json: AsJson = False,
) -> None:
    """Show what is in a data set, what a network would see of it, and what is wrong with it.

    Example: dnncli data inspect sample_data/fashion_mini
    """
    from dnncli.config import parse_size
    from dnncli.services.annotator_report import AnnotatorReport
    from dnncli.services.inspect import inspect as run
    from dnncli.services.mask_report import MaskReport

    size = parse_size(image_size) if image_size else None
    with output.progress() as progress:
        report = run(
            data,
            task=task,
            classes=parse_classes(classes),
            split=split,
            model=model,
            batch_size=batch_size,
            image_size=size,
            color=color,
            label_mode=label_mode,
            pixels=pixels,
            on_bad=on_bad,
            progress=progress,
        )
    if as_json:
        output.show_json(report)
    elif isinstance(report, AnnotatorReport):
        _show_annotators(report)
    elif isinstance(report, MaskReport):
        _show_masks(report)
    else:
        _show(report)


def _show(report: "InspectReport") -> None:
    health = report.health
    output.table(["data set", str(report.root)], _facts(report), left=2)
    splits = list(health.splits)
    output.table(
        ["class", *(split or "rows" for split in splits)],
        ([name, *(counts[split] for split in splits)] for name, counts in health.classes.items()),
    )
    if report.weights:
        rule = report.weights
        output.table(
            [f"rule of thumb for {rule.model}", "examples wanted", "there are", "met"],
            [
                [name, rule.needed[name], rule.examples, "yes" if rule.met[name] else "no"]
                for name in rule.needed
            ],
        )
        output.lines(
            [
                f"{rule.parameters:,} weights, {rule.per_weight:.3g} examples per weight. "
                "Informational: deep networks do well with far fewer."
            ]
        )
    _show_findings(health, conflict="under two labels")


def _show_findings(health: "HealthReport", *, conflict: str) -> None:
    output.lines(_findings(health, conflict=conflict))
    for action, title in (
        ("skipped", "Skipped, cannot be used"),
        ("ignored", "Left out, not part of the data set"),
        ("noted", "Used, but note"),
    ):
        entries = [str(p) for p in health.problems if p.action == action]
        output.lines(_listed(title, entries))


def _show_masks(report: "MaskReport") -> None:
    health, batch = report.health, report.batch
    splits = list(health.splits)
    void = sum(report.void_pixels.values())
    output.table(
        ["data set", str(report.root)],
        [
            ("format", f"images with {report.kind}"),
            *_rows(health),
            ("image batch", f"{batch.images}  (windows of the pictures)"),
            ("mask batch", batch.masks),
            ("batches per epoch", f"{batch.steps:,}, the last of {batch.last:,}"),
            ("largest / smallest class", f"{output.number(health.imbalance, digits=2)} in pixels"),
            *([("pixels of no class", f"{void:,} (stored as {report.void})")] if void else []),
        ],
        left=2,
    )
    rows = [
        [
            name,
            report.values[name],
            report.shares[name],
            *(f"{counts[split]:,} in {health.classes[name][split]:,}" for split in splits),
        ]
        for name, counts in report.pixels.items()
    ]
    heads = [f"{split or 'all'}: pixels in pictures" for split in splits]
    output.table(["class", "stored as", "share of pixels", *heads], rows)
    if report.weights:
        rule = report.weights
        output.lines(
            [
                f"{rule.model}: {rule.parameters:,} weights, {rule.per_weight:.3g} training pixels "
                "per weight. Informational: neighbouring pixels are much alike."
            ]
        )
    if report.empty and any(report.empty.values()):
        counts = ", ".join(f"{split or 'all'} {count:,}" for split, count in report.empty.items())
        output.lines([f"Pictures of background alone: {counts}."])
    _show_findings(health, conflict="with two masks")


def _show_annotators(report: "AnnotatorReport") -> None:
    splits = ", ".join(f"{name or 'not split'} {count:,}" for name, count in report.splits.items())
    pictures, found = sum(report.splits.values()), report.agreement
    sizes = [f"{count:,} of {size}" for size, count in report.sizes.items()]
    more = f"; {len(sizes) - 5:,} more sizes" if len(sizes) > 5 else ""
    output.table(
        ["data set", str(report.root)],
        [
            ("pictures", f"{pictures:,}  ({splits})"),
            ("height x width", "; ".join(sizes[:5]) + more),
            (report.folder, f"of classes {', '.join(report.classes)}" if found else "grey"),
            (
                "annotators",
                ", ".join(f"{count} for {n:,} pictures" for count, n in report.per_picture.items()),
            ),
        ],
        left=2,
    )
    output.table(["annotator", "pictures"], report.annotators.items())
    if found is not None:
        rows = [
            ("pairs of annotators say the same of a pixel", found.observed),
            ("Krippendorff's alpha (0: as by chance, 1: always)", found.krippendorff_alpha),
            ("pixels that annotators see differently", report.disputed),
            ("pixels undecided by a majority, tied", report.ties),
            *(
                (f"pixels marked by at least {k} as {report.classes[1]}", share)
                for k, share in report.marked.items()
            ),
        ]
        output.table(["agreement", "share"], rows)
    output.lines(report.notes)


def _facts(report: "InspectReport") -> list[tuple[str, str]]:
    health, batch = report.health, report.batch
    return [
        ("format", report.kind),
        ("classes", f"{len(report.classes):,}"),
        *_rows(health),
        ("image batch", batch.images),
        ("label batch", f"{batch.labels[batch.label_mode]}  ({batch.label_mode})"),
        (
            "other label modes",
            ", ".join(
                f"{mode} {shape or 'n/a (needs two classes)'}"
                for mode, shape in batch.labels.items()
                if mode != batch.label_mode
            ),
        ),
        ("batches per epoch", f"{batch.steps:,}, the last of {batch.last:,}"),
        ("largest / smallest class", output.number(health.imbalance, digits=2)),
    ]


def _rows(health: "HealthReport") -> list[tuple[str, str]]:
    """How many rows there are, and how large their pictures are."""
    sizes = health.sizes
    splits = ", ".join(f"{name or 'not split'} {count:,}" for name, count in health.splits.items())
    by_side = [f"{h} x {w}" for h, w in (sizes.smallest, sizes.median, sizes.largest)]
    return [
        ("rows", f"{health.rows:,}  ({splits})"),
        *([("rows without label", f"{health.unlabelled:,}")] if health.unlabelled else []),
        (
            "height x width",
            by_side[0]
            if sizes.distinct == 1
            else f"{' / '.join(by_side)} (smallest / median / largest; {sizes.distinct:,} sizes)",
        ),
        ("grey / colour", f"{health.grey:,} / {health.colour:,}"),
    ]


def _findings(health: "HealthReport", *, conflict: str) -> list[str]:
    if not health.compared:
        return ["Copies were not looked for: the data set has no digests."]
    copies = sum(len(group) - 1 for group in health.duplicates)
    leaked = ", ".join(
        f"{count:,} of {health.splits[split]:,} {split} rows"
        for split, count in health.leaked.items()
        if count
    )
    return [
        f"Exact copies: {copies:,}." if copies else "No exact copies.",
        *_listed("Same picture in two splits (leak)", _equal(health.leaks)),
        *([f"  Also in an earlier split: {leaked}."] if leaked else []),
        *_listed(f"Same picture {conflict}", _equal(health.conflicts)),
    ]


def _equal(groups: "Sequence[tuple[str, ...]]") -> list[str]:
    return [" = ".join(group) for group in groups]


def _listed(title: str, entries: list[str]) -> list[str]:
    """A title with the count, the first entries, and how many more there are."""
    if not entries:
        return []
    rest = len(entries) - SHOWN
    more = [f"  ... and {rest:,} more."] if rest > 0 else []
    shown = [entry.replace("\n", r"\n") for entry in entries[:SHOWN]]  # one line each
    return [f"{title}: {len(entries):,}", *(f"  {entry}" for entry in shown), *more]
