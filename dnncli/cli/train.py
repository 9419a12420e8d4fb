"""`dnncli train`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnncli.cli import display, output
from dnncli.cli.options import AllowCode, AsJson, DataPath, parse_classes
from dnncli.urls import shown

if TYPE_CHECKING:
    from dnncli.services.seeds import SeedsResult
    from dnncli.services.train import TrainResult


def train(
    data: DataPath,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="TOML file of settings; flags win.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any other setting. Repeatable."),
    ] = None,
    out: Annotated[str | None, typer.Option(help="Run folder [runs/DATA-MODEL].")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what is at --out, or the newest.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the merged settings and the plan, then stop.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="All randomness follows from it.")] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...", help="A run for each, on one split, as members of a consensus."
        ),
    ] = None,
    deterministic: Annotated[
        bool | None, typer.Option("--deterministic", help="Same bits every time; slower.")
    ] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    split: Annotated[str | None, typer.Option(help="A split.csv to use.")] = None,
    val: Annotated[
        float | None,
        typer.Option(help="Share of the rows that are not test, to validate on."),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Class order: a comma list or a file."),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            help="Keep rows together in the split: 'parent', or a regular expression on the id.",
        ),
    ] = None,
    on_bad: Annotated[
        str | None,
        typer.Option(help="Unreadable pictures: skip or error."),
    ] = None,
    cache: Annotated[
        str | None,
        typer.Option(help="Decoded pictures: auto, memory, disk or none."),
    ] = None,
    image_size: Annotated[str | None, typer.Option(metavar="HxW", help="In pixels.")] = None,
    color: Annotated[str | None, typer.Option(help="auto, rgb or grayscale.")] = None,
    normalize: Annotated[
        str | None,
        typer.Option(help="auto, minmax, minmax-signed, zscore, unit or none."),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(help="none, light, standard, strong, or a TOML file."),
    ] = None,
    task: Annotated[str | None, typer.Option(help="auto, classify, segment or edges.")] = None,
    model: Annotated[str | None, typer.Option(help="See `dnncli models`.")] = None,
    attention: Annotated[str | None, typer.Option(help="none, se, eca or cbam.")] = None,
    weights: Annotated[str | None, typer.Option(help="none, imagenet or a file.")] = None,
    unfreeze: Annotated[
        int | None,
        typer.Option(
            help="Epochs with all layers trainable, after --epochs with a frozen backbone.",
        ),
    ] = None,
    dropout: Annotated[float | None, typer.Option(help="Share of units.")] = None,
    l1: Annotated[float | None, typer.Option(help="Adds l1 * sum |w|.")] = None,
    l2: Annotated[float | None, typer.Option(help="Adds l2 * sum w^2.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most.")] = None,
    time_budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="As 90s, 10m or 1.5h: as many epochs as fit."),
    ] = None,
    batch_size: Annotated[
        str | None,
        typer.Option(metavar="N|full", help="Pictures per update."),
    ] = None,
    optimizer: Annotated[str | None, typer.Option(help="adam, sgd, rmsprop ...")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    momentum: Annotated[float | None, typer.Option(help="sgd: 0.9 unless given.")] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help="cosine, constant, plateau ..."),
    ] = None,
    loss: Annotated[str | None, typer.Option(help="auto, cross-entropy, focal ...")] = None,
    class_weight: Annotated[
        str | None,
        typer.Option(help="auto, none, balanced, or a TOML file."),
    ] = None,
    early_stop: Annotated[
        int | None,
        typer.Option(
            metavar="PATIENCE",
            help="Stop after so many epochs without improvement; 0: never.",
        ),
    ] = None,
    regime: Annotated[
        str | None,
        typer.Option(help="balanced; high-recall: --positive must not be missed."),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="Choose thresholds for this class."),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(help="Share of the positives to find [0.95]."),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(help="Of the certified threshold [0.95]."),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(help="F_beta picks the best epoch of --regime balanced."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="float32, bfloat16, float16 or auto."),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="tensorflow or jax, under Keras."),
    ] = None,
) -> None:
    """Train a network on a data set.

    Example: dnncli train sample_data/fashion_mini --epochs 20 --out runs/fashion
    """
    from dnncli.config import parse_setting, parse_size
    from dnncli.services.seeds import SeedsResult
    from dnncli.services.train import TrainResult
    from dnncli.services.train import train as run

    with display.training() as (progress, listener):
        result = run(
            data,
            config=config,
            settings=dict(parse_setting(text) for text in setting or []),
            seeds=_seeds(seeds),
            resume=resume,
            dry_run=dry_run,
            allow_code=allow_code,
            progress=progress,
            listener=listener,
            seed=seed,
            deterministic=deterministic,
            out=out,
            split=split,
            val=val,
            classes=parse_classes(classes) or None,
            group_by=group_by,
            on_bad=on_bad,
            cache=cache,
            image_size=parse_size(image_size) if image_size else None,
            color=color,
            normalize=normalize,
            augment=augment,
            task=task,
            model=model,
            attention=attention,
            weights=weights,
            unfreeze=unfreeze,
            dropout=dropout,
            l1=l1,
            l2=l2,
            epochs=epochs,
            time_budget=time_budget,
            batch_size=_batch_size(batch_size),
            optimizer=optimizer,
            lr=lr,
            momentum=momentum,
            schedule=schedule,
            loss=loss,
            class_weight=class_weight,
            early_stop=early_stop,
            regime=regime,
            positive=positive,
            recall=recall,
            confidence=confidence,
            beta=beta,
            precision=precision,
            backend=backend,
        )
    if as_json:
        output.show_json(result)
    elif isinstance(result, TrainResult):
        _show(result, data)
    elif isinstance(result, SeedsResult):
        _show_seeds(result)
    else:
        output.lines([result["config"].rstrip(), "", "# The plan"])
        output.lines(f"# {name} = {value}" for name, value in result["plan"].items())
        for note in result["notes"]:
            output.hint(note)


def _seeds(text: str | None) -> tuple[int, ...]:
    """`"1,2,3"` -> (1, 2, 3)."""
    from dnncli.errors import ConfigError

    parts = [] if text is None else [part.strip() for part in text.split(",")]
    wrong = [part for part in parts if not re.fullmatch(r"-?[0-9]{1,18}", part)]
    if wrong:
        raise ConfigError(f"--seeds {text}: '{wrong[0]}' is no whole number. Write 1,2,3.")
    return tuple(int(part) for part in parts)


def _batch_size(text: str | None) -> int | str | None:
    """A number where it is one; the configuration checks the rest."""
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,18}", text) else text


def _show(result: "TrainResult", data: Path) -> None:
    """The final table, and what to do next."""
    rows: list[tuple[str, Any]] = [
        ("epochs", f"{result.epochs} ({result.stopped})"),
        ("best epoch", result.best_epoch),
        (f"best {result.monitor}", result.best_value),
        ("parameters", result.parameters),
        ("training time", f"{result.seconds:.1f} s"),
    ]
    chosen = result.chosen_by_validation
    if result.validation:
        rows += [("validation rows", result.validation["n"])]
        is_mean = result.task == "classify" or len(result.classes) > 2
        over = " (macro)" if is_mean and result.task != "edges" else ""
        rows += [
            (name if "accuracy" in name else f"{name}{over}", value)
            for name, value in result.scores.items()
        ]
    output.table(["", str(result.run)], [*rows, *_threshold(chosen), *_calibration(result)])
    _advise(result, data)


def _advise(result: "TrainResult", data: Path) -> None:
    """What the scores are worth, and what to do next."""
    chosen = result.chosen_by_validation
    if chosen.get("refusal"):
        output.warn(f"{chosen['refusal']} {chosen['rule']} was taken instead of a certificate.")
    judge = f"dnncli eval {result.run} {shown(data) if result.test_rows else 'OTHER'}"
    what = ["the epoch"] if "epoch" in chosen else []
    if "threshold" in chosen:
        what.append("the threshold")
        judge += f" --thresholds {result.run / 'thresholds.json'}"
    if chosen.get("temperature") is not None:
        what.append("the temperature")
    if what:
        listed = " and ".join(filter(None, [", ".join(what[:-1]), what[-1]]))
        output.hint(f"The validation rows chose {listed}, so their scores are flattering.")
    if result.epochs and result.best_value != result.best_value:
        output.warn(
            f"{result.monitor} is undefined in every epoch: the last one was kept. Are all classes "
            "in the validation rows?"
        )
    if result.test_rows:
        output.hint(f"Judge the model on other rows: {judge}")
    else:
        output.hint(f"No rows are kept for the test. Judge the model on other data: {judge}")


def _threshold(chosen: dict[str, Any]) -> list[tuple[str, Any]]:
    """Rows about the threshold that the validation rows chose, if they did."""
    if "threshold" not in chosen:
        return []
    name, goal = chosen["positive"], f"recall >= {chosen['target_recall']:g}"
    return [
        (f"threshold of {name} ({chosen['rule']}, {goal})", f"{chosen['threshold']:.6g}"),
        (f"precision of {name} there", chosen["precision"]),
        (f"recall of {name} there", chosen["recall"]),
    ]


def _calibration(result: "TrainResult") -> list[tuple[str, Any]]:
    """One row about the temperature, if one was fitted."""
    fitted = result.calibration
    if not fitted:
        return []
    before, after = (output.number(fitted[key]) for key in ("ece", "ece_after"))
    return [(f"temperature {output.number(fitted['temperature'])}: ECE", f"{before} -> {after}")]


def _show_seeds(result: "SeedsResult") -> None:
    """A row for each run, and what to do next."""
    names = list(result.validation)
    rows: list[list[Any]] = []
    for seed, run in zip(result.seeds, result.runs, strict=True):
        told = [run.scores.get(name) for name in names]
        rows.append([f"seed {seed}", run.epochs, run.best_epoch, *told, f"{run.seconds:.1f} s"])
    for word in ("mean", "sd"):
        rows.append([word, "", "", *(result.validation[name][word] for name in names), ""])
    output.table(
        ["run", "epochs", "best epoch", *names, "time"], rows, title=f"{result.out} (validation)"
    )
    for note in result.notes:
        output.hint(note)
    if result.validation:
        output.hint(
            "The validation rows chose the epoch of every run: their scores are flattering."
        )
    output.hint(f"Let the runs vote on other rows: dnncli consensus {result.out}")
