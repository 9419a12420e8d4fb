"""From a plan to a network in training: everything of `train` that needs Keras."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dnncli import config as configuration
from dnncli import devices, rundir
from dnncli.augmentation.apply import build as build_policy
from dnncli.augmentation.views import flips_of
from dnncli.data import pipeline
from dnncli.data.cache import Place, Room
from dnncli.data.dataset import SPLITS, ArrayImages, Dataset
from dnncli.data.decode import Resize
from dnncli.data.masks import pixel_counts
from dnncli.data.normalize import Normalization, fit_normalization
from dnncli.data.normalize import layers as normalization_layers
from dnncli.data.pipeline import ImageFormat, Loader, Targets
from dnncli.data.split import write_split
from dnncli.errors import DataError
from dnncli.losses import build_loss
from dnncli.networks.network import Network, build_network, parameters
from dnncli.results import Progress, filled, write_json, write_text
from dnncli.rundir import RunDir
from dnncli.services import outcome, predict
from dnncli.services.budget import Budget, within
from dnncli.services.job import Job
from dnncli.services.plan import Plan, known_range, without_bad
from dnncli.training import backup
from dnncli.training.backup import Backup
from dnncli.training.listener import Listener
from dnncli.training.loop import Batches, Fit
from dnncli.training.metrics import ClassScores
from dnncli.training.recall import AVERAGE_PRECISION, PRECISION_AT_RECALL, RecallJudge

_STATISTICS_BATCH = 256  # pictures read at a time when a normalisation is fitted
CARD_SCHEMA = "dnncli.model/1"


def prepare(
    plan: Plan,
    run: RunDir,
    *,
    budget: Budget | None = None,
    progress: Progress,
    listener: Listener | None,
) -> Job:
    """Decode and check the pictures, fit the normalisation, build the network.

    Raises:
        DataError: if pictures cannot be decoded and `--on-bad error` was asked for.
        ModelError: if the network cannot take such pictures.
    """
    config = plan.config
    listener = listener or Listener()
    form = ImageFormat(
        height_width=plan.height_width,
        channels=plan.channels,
        resize=cast(Resize, config.data.resize),
    )
    loader, train_rows = _load(plan.dataset, plan.train_rows, form, plan, run, progress, listener)
    validation, val_rows = loader, plan.val_rows
    if len(val_rows):
        validation, val_rows = _load(plan.validation, val_rows, form, plan, run, progress, listener)
    plan = without_bad(plan, train_rows, val_rows)
    pictures = partial(pipeline.batches_of, loader, train_rows, batch_size=_STATISTICS_BATCH)
    normalization = normalization_of(plan, pictures())
    value_range = known_range(plan.dataset) or measured_range(pictures())
    network = build_network(
        config.model,
        height_width=plan.height_width,
        channels=plan.channels,
        class_names=plan.dataset.class_names,
        loss=config.loss.name,
        normalization=normalization_layers(normalization),
        seed=config.run.seed,
        value_range=value_range,
        class_shares=plan.start_shares,
    )
    val_probs = _predictor(network, validation, val_rows)
    for note in plan.notes:
        listener.note(note)
    fit = Fit(
        config=config,
        network=network,
        loss=partial(build_loss, config.loss, class_names=plan.dataset.class_names),
        metrics=lambda: [
            ClassScores(n_classes=len(plan.dataset.class_names), beta=config.regime.beta)
        ],
        tolerance=config.regime.tolerance,
        batches=_batches(plan, loader, train_rows, validation, val_rows, value_range),
        monitor=plan.monitor,
        ties=(AVERAGE_PRECISION,) if plan.monitor == PRECISION_AT_RECALL else (),
        judge=_judge(plan, val_probs, val_rows),
        run=run,
        card=card_of(plan, normalization, network, value_range),
        listener=listener,
    )
    plan, fit = ready(plan, fit, budget)
    judge = partial(outcome.judge, plan, val_rows, val_probs)
    return Job(plan=plan, fit=fit, judge=judge)


def ready(plan: Plan, fit: Fit, budget: Budget | None) -> tuple[Plan, Fit]:
    """Check what will be trained, fit it into the time there is, and tell the plan."""
    for note in devices.remarks():
        fit.listener.note(note)
    fit.check()
    fit = within(budget, fit)
    plan = replace(plan, config=fit.config)
    fit.listener.plan(plan.summary() | {"parameters": parameters(fit.network).total})
    return plan, fit


def _predictor(
    network: Network, loader: Loader, rows: NDArray[np.int64]
) -> Callable[[], NDArray[np.float32]]:
    """Predicts `rows` exactly as `dnncli predict` would with the network as it then is."""
    call = predict.forward(network.serving)
    return lambda: predict.run_model(call, loader, rows, batch_size=predict.BATCH_SIZE)


def _judge(
    plan: Plan, val_probs: Callable[[], NDArray[np.float32]], val_rows: NDArray[np.int64]
) -> RecallJudge | None:
    """Scores every epoch for the class that must not be missed, if one was named."""
    positive = plan.positive
    if positive is None or not len(val_rows):
        return None
    return RecallJudge(
        lambda: val_probs()[:, positive],
        plan.validation.labels[val_rows] == positive,
        recall=plan.config.regime.recall,
    )


def _load(
    dataset: Dataset,
    rows: NDArray[np.int64],
    form: ImageFormat,
    plan: Plan,
    run: RunDir,
    progress: Progress,
    listener: Listener,
) -> tuple[Loader, NDArray[np.int64]]:
    """A loader for `rows`, all of which were decoded once; kept where there is room."""
    loader = Loader(dataset=dataset, image_format=form, workers=devices.cores())
    images = dataset.images
    if isinstance(images, ArrayImages) and not any(isinstance(a, np.memmap) for a in images.arrays):
        return loader, rows  # decoded and in memory already
    room = room_of(plan, run)
    needed = len(rows) * int(np.prod(form.shape)) * loader.dtype.size
    place = tell_room(room, needed, len(rows), listener)
    cached = None
    if place != "none":
        dtype = loader.dtype.as_numpy_dtype
        cached = room.allocate((len(rows), *form.shape), dtype, place=place)
    bad = pipeline.decode_once(loader, rows, into=cached, progress=progress)
    if cached is not None:
        loader = replace(loader, cached=cached, cached_rows=rows)
    return loader, left_out(dataset, rows, bad, on_bad=plan.config.data.on_bad, listener=listener)


def room_of(plan: Plan, run: RunDir) -> Room:
    """Where decoded pictures of training, or of validation, may be kept."""
    data = plan.config.data
    return Room(kind=data.cache, memory_bytes=data.cache_mb * 2**20 // 2, folder=run.path)


def tell_room(room: Room, needed: int, count: int, listener: Listener) -> Place:
    """Where `needed` bytes will be kept; said if it is not simply in memory."""
    place = room.place(needed)
    if place != "memory":
        kept = "kept in a file while training" if place == "disk" else "decoded in every epoch"
        listener.note(f"{count:,} pictures are {needed / 1e9:.2f} GB decoded: {kept} (--cache).")
    return place


def left_out(
    dataset: Dataset,
    rows: NDArray[np.int64],
    bad: NDArray[np.int64],
    *,
    on_bad: str,
    listener: Listener,
) -> NDArray[np.int64]:
    """`rows` without the `bad` ones, of which the user is told.

    Raises:
        DataError: if there are some and `on_bad` is "error".
    """
    if not len(bad):
        return rows
    names = [dataset.ids[row] for row in bad]
    if on_bad == "error":
        what = "Pictures" if dataset.masks is None else "Pictures or masks"
        raise DataError(f"{what} that cannot be decoded:", names)
    listener.note(f"{len(bad)} pictures cannot be decoded and are left out (first: {names[0]}).")
    return np.setdiff1d(rows, bad)


def normalization_of(plan: Plan, pictures: Iterable[NDArray]) -> Normalization:
    """Fitted on training pictures only; `auto` leaves it to a network with ready weights."""
    name = plan.config.data.normalize
    if name == "auto":
        name = "none" if plan.config.model.weights != "none" else "minmax"
    return fit_normalization(name, pictures, known_range=known_range(plan.dataset))


def augment_by(
    build: Callable[..., Any], plan: Plan, value_range: tuple[float, float]
) -> Callable[..., Any] | None:
    """What `build` makes of the plan's policy for a training batch; None if nothing is changed."""
    if not plan.policy.steps:
        return None
    return build(
        plan.policy,
        height_width=plan.height_width,
        channels=plan.channels,
        value_range=value_range,
    )


def _batches(
    plan: Plan,
    loader: Loader,
    train_rows: NDArray[np.int64],
    validation: Loader,
    val_rows: NDArray[np.int64],
    value_range: tuple[float, float],
) -> Batches:
    config = plan.config
    n_classes = len(plan.dataset.class_names)
    augment = augment_by(build_policy, plan, value_range)
    targets = Targets(
        labels=plan.dataset.labels,
        n_classes=n_classes,
        weights=plan.dataset.weights if config.fit.sample_weight else None,
        class_weights=plan.class_weights,
    )

    def training(first_step: int) -> Any:
        return pipeline.shuffled(
            loader,
            train_rows,
            batch_size=plan.batch_size,
            targets=targets,
            seed=config.run.seed,
            first_step=first_step,
            shuffle=config.fit.shuffle,
            augment=augment,
            accumulate=plan.accumulate,
        )

    held_out = None
    if len(val_rows):
        held_out = pipeline.ordered(
            validation,
            val_rows,
            batch_size=config.fit.validation_batch_size or max(plan.batch_size, 128),
            targets=Targets(labels=plan.validation.labels, n_classes=n_classes),
        )
    return Batches(
        training=training,
        validation=held_out,
        steps_per_epoch=plan.steps_per_epoch,
        accumulate=plan.accumulate,
        validation_rows=len(val_rows),
        batch_size=plan.batch_size,
    )


def measured_range(batches: Iterable[NDArray]) -> tuple[float, float]:
    """Smallest and largest pixel value."""
    low, high = np.inf, -np.inf
    for batch in batches:
        low, high = min(low, float(batch.min())), max(high, float(batch.max()))
    return low, high


def card_of(
    plan: Plan,
    normalization: Normalization,
    network: Network,
    value_range: tuple[float, float],
) -> dict[str, Any]:
    """What a model file says about itself, beside its layers."""
    return {
        "schema": CARD_SCHEMA,
        "task": plan.dataset.task,
        "classes": list(plan.dataset.class_names),
        "image_size": list(plan.height_width),
        "channels": plan.channels,
        "resize": plan.config.data.resize,
        "input_range": list(value_range),
        "max_pixels": plan.config.data.max_pixels,
        "normalization": asdict(normalization),
        "preprocessing": network.preprocessing,
        "flips": list(flips_of(plan.policy)),
        "model": plan.config.model.name,
        "data_fingerprint": plan.dataset.fingerprint,
    }


def write_run(plan: Plan, run: RunDir, job: Job, *, command: Sequence[str]) -> None:
    """Make the run folder: run.json, config.toml, data.json, split.csv; all of them or none."""
    # run.json last, because it makes the folder a run: all that a resumed run reads is there then.
    with filled(run.path, last=run.run.name) as folder:
        _write_run(plan, RunDir(folder), job, command=command)


def _write_run(plan: Plan, run: RunDir, job: Job, *, command: Sequence[str]) -> None:
    config = plan.config
    dataset = plan.dataset
    write_text(run.config, configuration.as_toml(config))
    write_json(
        run.data,
        {
            "path": config.data.path,
            "kind": dataset.kind,
            "fingerprint": dataset.fingerprint,
            "rows": len(dataset),
            "classes": list(dataset.class_names),
            "counts": {split: _counts(dataset, split) for split in SPLITS},
            "skipped": [
                {"path": problem.path, "reason": problem.what}
                for problem in dataset.problems
                if problem.action == "skipped"
            ],
            "notes": list(plan.notes),
            "plan": plan.summary() | {"parameters": parameters(job.fit.network).total},
        },
    )
    write_split(dataset, run.split)
    write_json(
        run.run,
        {
            "schema": "dnncli.run/1",
            "command": shlex.join(["dnncli", *command[1:]]),
            "data": str(Path(config.data.path).resolve()),
            "seed": config.run.seed,
            "state": "running",
            "started": rundir.now(),
            **devices.describe(),
        },
    )


def _counts(dataset: Dataset, split: str) -> dict[str, int]:
    """Pictures, or pixels of masks, of each class in one split."""
    rows = dataset.rows(split)
    if dataset.masks is not None:
        counts = pixel_counts(dataset, rows)
    else:
        counts = np.bincount(dataset.labels[rows], minlength=len(dataset.class_names))
    return dict(zip(dataset.class_names, counts.tolist(), strict=True))


def load_backup(run: RunDir) -> Backup | None:
    """The backup to go on from; None if the run was stopped before its first."""
    return backup.load(run.backup) if run.backup.exists() else None
