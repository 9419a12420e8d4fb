"""A policy as one function of a training batch and a seed, to be called inside `tf.data`.

Shapes: B pictures of height H, width W and C channels, K classes.
"""

import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import tensorflow as tf  # noqa: TID253

from dnncli.augmentation.moving import is_small
from dnncli.augmentation.parts import Part, check_fill, named, part_of
from dnncli.augmentation.policies import Policy, check_masks
from dnncli.augmentation.seeds import Draws, Record
from dnncli.augmentation.steps import Step
from dnncli.augmentation.tones import TONES, tones
from dnncli.augmentation.warp import (
    draw_of,
    fill_of,
    is_geometric,
    product,
    warp,
    warp_masks,
)

Batch = tuple[tf.Tensor, tf.Tensor]
Augment = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Batch]
Recorded = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor, Record]]


def build(
    policy: Policy,
    *,
    height_width: tuple[int, int] | None,
    channels: int,
    value_range: tuple[float, float],
) -> Augment:
    """The function (images, labels, seed) -> (images, labels) that applies a policy.

    It is a pure function of its arguments: the same seed gives the same pictures whichever thread
    of a parallel `map` calls it, and after a restart.

    Args:
        policy: from `load_policy`.
        height_width: size of the pictures in pixels; None if it differs from call to call.
        channels: C of the pictures.
        value_range: smallest and largest possible pixel value, (0, 255) for 8-bit pictures; no
            pixel leaves it.

    Returns:
        A function of images (B, H, W, C) uint8 or float32, one-hot labels (B, K) float32 and a
        seed, (2,) int32 or int64, that returns float32 images and labels of the same shape. Of
        uint8 images, what is moved is rounded to whole grey levels.

    Raises:
        ConfigError: if a step does not fit the pictures or Keras refuses an option's value.
    """
    run = recorded(policy, height_width=height_width, channels=channels, value_range=value_range)

    def augment(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> Batch:
        return run(images, labels, seed)[:2]

    return tf.autograph.experimental.do_not_convert(augment)


def recorded(
    policy: Policy,
    *,
    height_width: tuple[int, int] | None,
    channels: int,
    value_range: tuple[float, float],
) -> Recorded:
    """As `build`, but the function also returns what was drawn: `"step.parameter"` -> (B,)."""
    parts = list(_parts(policy, channels=channels, value_range=value_range, move_masks=False))
    shape = (None, *(height_width or (None, None)), channels)

    def run(
        images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, Record]:
        images = _uint8_or_float(tf.ensure_shape(images, shape))
        labels = tf.cast(labels, tf.float32)
        if policy.mixing and (labels.shape.rank != 2 or labels.shape[1] == 1):
            raise ValueError(
                f"{' and '.join(policy.mixing)} mix one-hot labels (B, K) with K >= 2. "
                f"Got labels of shape {labels.shape}."
            )
        return _run(parts, images, labels, seed)

    return tf.autograph.experimental.do_not_convert(run)


def build_joint(
    policy: Policy,
    *,
    height_width: tuple[int, int] | None,
    channels: int,
    value_range: tuple[float, float],
) -> Augment:
    """The function (images, masks, seed) -> (images, masks) that applies a policy to both.

    Pictures become what `build` makes of them. What moves their pixels moves those of the masks by
    the same map, to the nearest pixel; other changes, erasing among them, leave masks alone.

    Args:
        policy, height_width, channels, value_range: as for `build`.

    Returns:
        A function of images (B, H, W, C) uint8 or float32, masks (B, H, W) uint8 or int32 of class
        indices and a seed, (2,) int32 or int64, that returns float32 images and masks of the same
        shape, the latter of the same type. Where a step fills with a constant, the mask is
        NO_CLASS.

    Raises:
        ConfigError: as for `build`, and if a mask cannot follow a step.
    """
    run = recorded_joint(
        policy, height_width=height_width, channels=channels, value_range=value_range
    )

    def augment(images: tf.Tensor, masks: tf.Tensor, seed: tf.Tensor) -> Batch:
        return run(images, masks, seed)[:2]

    return tf.autograph.experimental.do_not_convert(augment)


def recorded_joint(
    policy: Policy,
    *,
    height_width: tuple[int, int] | None,
    channels: int,
    value_range: tuple[float, float],
) -> Recorded:
    """As `build_joint`, but the function also returns what was drawn, as `recorded` does."""
    check_masks(policy)
    parts = list(_parts(policy, channels=channels, value_range=value_range, move_masks=True))
    size = height_width or (None, None)

    def run(
        images: tf.Tensor, masks: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, Record]:
        images = _uint8_or_float(tf.ensure_shape(images, (None, *size, channels)))
        return _run(parts, images, tf.ensure_shape(masks, (None, *size)), seed)

    return tf.autograph.experimental.do_not_convert(run)


def _run(
    parts: Iterable[Part], images: tf.Tensor, targets: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, Record]:
    draws, record = Draws(seed), Record()
    for part in parts:
        images, targets, drawn = part(images, targets, draws)
        record |= drawn
    return tf.cast(images, tf.float32), targets, record


def _uint8_or_float(images: tf.Tensor) -> tf.Tensor:
    """8-bit pictures stay so as long as they can, unless they are small: less is to be moved."""
    stays = images.dtype == tf.uint8 and not is_small(*images.shape[1:3])
    return images if stays else tf.cast(images, tf.float32)


def _parts(
    policy: Policy, *, channels: int, value_range: tuple[float, float], move_masks: bool
) -> Iterable[Part]:
    """One function per step; neighbours that can be done together share one."""
    names = _unique(step.name for step in policy.steps)
    named = list(zip(names, policy.steps, strict=True))
    own = partial(part_of, policy=policy, channels=channels, value_range=value_range)
    for kind, group in itertools.groupby(named, lambda entry: _group(entry[1])):
        if isinstance(kind, tuple):
            if kind[0] == "constant":
                check_fill(policy, kind[1], value_range)
            members = [(name, draw_of(step)) for name, step in group]
            yield _geometric(members, kind, move_masks=move_masks)
        elif kind == "tone":
            yield tones(list(group), value_range=value_range)
        else:
            for name, step in group:
                yield _in_float(own(name, step))


def _group(step: Step) -> tuple[str, float, str] | str:
    if is_geometric(step):
        return fill_of(step)
    return "tone" if step.name in TONES else "other"


def _in_float(own: Part) -> Part:
    def part(images: tf.Tensor, targets: tf.Tensor, draws: Draws) -> tuple:
        return own(tf.cast(images, tf.float32), targets, draws)

    return part


def _unique(names: Iterable[str]) -> list[str]:
    """Names with repeated ones counted: flip, flip2."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}{seen[name]}")
    return out


def _geometric(
    members: list[tuple[str, Any]], fill: tuple[str, float, str], *, move_masks: bool
) -> Part:
    def part(images: tf.Tensor, targets: tf.Tensor, draws: Draws) -> tuple:
        record, matrices = Record(), []
        for name, draw in members:
            found, drawn = draw(images, draws)
            matrices.append(found)
            record |= named(name, drawn)
        total = product(matrices)
        if move_masks:
            targets = warp_masks(targets, total, fill)
        return warp(images, total, fill), targets, record

    return part
