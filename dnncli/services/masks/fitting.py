"""From a plan to a network that learns masks or edges: everything that needs Keras."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli import devices
from dnncli.augmentation.apply import build_joint
from dnncli.augmentation.views import PLAIN
from dnncli.data import mask_pipeline
from dnncli.data.dataset import Dataset, judged
from dnncli.data.mask_pipeline import MaskLoader
from dnncli.data.normalize import Normalization
from dnncli.data.normalize import layers as normalization_layers
from dnncli.mask_losses import build_mask_loss
from dnncli.networks.dense import build_dense
from dnncli.networks.network import Network
from dnncli.results import Progress
from dnncli.rundir import RunDir
from dnncli.services.budget import Budget
from dnncli.services.fitting import (
    augment_by,
    card_of,
    left_out,
    measured_range,
    normalization_of,
    ready,
    room_of,
    tell_room,
)
from dnncli.services.job import Job
from dnncli.services.masks.outcome import judge_masks
from dnncli.services.masks.predictor import MaskPredictor, forward
from dnncli.services.plan import Plan, known_range, without_bad
from dnncli.training.listener import Listener
from dnncli.training.loop import Batches, Fit
from dnncli.training.mask_metrics import PixelScores

_STATISTICS_BATCH = 16  # pictures read at a time when a normalisation is fitted


def prepare_masks(
    plan: Plan,
    run: RunDir,
    *,
    budget: Budget | None = None,
    progress: Progress,
    listener: Listener | None,
) -> Job:
    """Decode and check pictures and masks, fit the normalisation, build the network.

    Raises:
        DataError: if pictures cannot be decoded and `--on-bad error` was asked for.
    """
    config = plan.config
    listener = listener or Listener()
    loader, train_rows = _load(plan, plan.dataset, plan.train_rows, run, progress, listener)
    validation, val_rows = loader, plan.val_rows
    if len(val_rows):
        validation, val_rows = _load(plan, plan.validation, val_rows, run, progress, listener)
    plan = without_bad(plan, train_rows, val_rows)
    pictures = partial(mask_pipeline.picture_batches, loader, train_rows, _STATISTICS_BATCH)
    normalization = normalization_of(plan, pictures())
    value_range = known_range(plan.dataset) or measured_range(pictures())
    network = build_dense(
        config.model,
        height_width=None,
        channels=plan.channels,
        class_names=plan.dataset.class_names,
        task=plan.dataset.task,
        normalization=normalization_layers(normalization),
        seed=config.run.seed,
        value_range=value_range,
        class_shares=plan.start_shares,
    )
    for note in plan.notes:
        listener.note(note)
    classes = plan.dataset.class_names
    card = _card(plan, normalization, network, value_range)
    fit = Fit(
        config=config,
        network=network,
        loss=partial(
            build_mask_loss,
            config.loss,
            class_names=classes,
            maps=network.maps,
            class_weights=plan.class_weights,
        ),
        metrics=lambda: [
            PixelScores(n_classes=len(classes), beta=config.regime.beta, first=judged(classes)[0])
        ],
        batches=_batches(plan, loader, train_rows, validation, val_rows, value_range),
        monitor=plan.monitor,
        run=run,
        card=card,
        listener=listener,
    )
    plan, fit = ready(plan, fit, budget)
    found = MaskPredictor(
        dataset=plan.validation, card=card, call=forward(network.serving, (PLAIN,))
    )
    judge = partial(judge_masks, plan, found, val_rows, progress)
    return Job(plan=plan, fit=fit, judge=judge)


def _load(
    plan: Plan,
    dataset: Dataset,
    rows: NDArray[np.int64],
    run: RunDir,
    progress: Progress,
    listener: Listener,
) -> tuple[MaskLoader, NDArray[np.int64]]:
    """A loader for `rows`, all of which were decoded once; kept where there is room."""
    loader = MaskLoader(
        dataset=dataset,
        channels=plan.channels,
        window=plan.height_width,
        resize=plan.config.data.resize,  # type: ignore[arg-type]
        workers=devices.cores(),
    )
    room = room_of(plan, run)
    place = tell_room(room, mask_pipeline.decoded_bytes(loader, rows), len(rows), listener)
    loader, bad = mask_pipeline.decode_once(loader, rows, room=room, place=place, progress=progress)
    rows = left_out(dataset, rows, bad, on_bad=plan.config.data.on_bad, listener=listener)
    return loader, rows


def _batches(
    plan: Plan,
    loader: MaskLoader,
    train_rows: NDArray[np.int64],
    validation: MaskLoader,
    val_rows: NDArray[np.int64],
    value_range: tuple[float, float],
) -> Batches:
    config = plan.config
    augment = augment_by(build_joint, plan, value_range)

    def training(first_step: int) -> Any:
        return mask_pipeline.shuffled(
            loader,
            train_rows,
            batch_size=plan.batch_size,
            seed=config.run.seed,
            first_step=first_step,
            shuffle=config.fit.shuffle,
            augment=augment,
            accumulate=plan.accumulate,
            foreground=config.data.foreground,
        )

    held_out = None
    if len(val_rows):
        batch_size = config.fit.validation_batch_size or plan.batch_size
        held_out = mask_pipeline.ordered(validation, val_rows, batch_size=batch_size)
    return Batches(
        training=training,
        validation=held_out,
        steps_per_epoch=plan.steps_per_epoch,
        accumulate=plan.accumulate,
        validation_rows=len(val_rows),
    )


def _card(
    plan: Plan,
    normalization: Normalization,
    network: Network,
    value_range: tuple[float, float],
) -> dict[str, Any]:
    """What a model file says about itself, beside its layers."""
    masks, data = plan.dataset.masks, plan.config.data
    if masks is None:
        raise ValueError("the data set has no masks")
    return card_of(plan, normalization, network, value_range) | {
        "window": list(plan.height_width),
        "overlap": data.overlap,
        "values": list(masks.values),
        "void": masks.void,
        "maps": network.maps,
    }
