"""Views of a picture that a network is asked about besides the picture itself: flips and shifts.

Shapes: B pictures of height H, width W and C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dnncli.augmentation.policies import Policy
from dnncli.errors import ConfigError

if TYPE_CHECKING:
    import tensorflow as tf

SHIFT = 0.04  # share of a side, as far as `--augment light` moves a picture; at least one pixel
# Names and directions (down, right), opposite ones side by side: any four or eight cancel out.
_SHIFTS = (
    *(("", (0, 0)), ("left", (0, -1)), ("right", (0, 1)), ("up", (-1, 0)), ("down", (1, 0))),
    *(("up-left", (-1, -1)), ("down-right", (1, 1))),
    *(("up-right", (-1, 1)), ("down-left", (1, -1))),
)
_FLIP_AXES = {"horizontal": 2, "vertical": 1}


@dataclass(frozen=True)
class View:
    """A change of every picture that leaves its class as it is."""

    name: str  # "plain" for the picture itself
    flip: str = ""  # horizontal, vertical, or none
    down: int = 0  # -1, 0 or 1 times the shift
    right: int = 0


PLAIN = View("plain")


def flips_of(policy: Policy) -> tuple[str, ...]:
    """The axes along which a policy flips pictures: a class survives what it was trained with."""
    modes = [step.options.get("mode", "horizontal") for step in policy.steps if step.name == "flip"]
    return tuple(axis for axis in _FLIP_AXES if axis in modes or "both" in modes)


def views(count: int, *, flips: Sequence[str] = ()) -> tuple[View, ...]:
    """The first `count` views: the picture, its flips, then shifted ones; the same every time.

    Args:
        count: how many; 0 and 1 are the picture alone.
        flips: of "horizontal" and "vertical": those that leave a class what it is.

    Raises:
        ConfigError: if there are not so many, or the number is negative.
    """
    found = [
        View("-".join(filter(None, (word, shift))) or PLAIN.name, flip, down, right)
        for shift, (down, right) in _SHIFTS
        for flip, word in (("", ""), *((axis, _word(axis)) for axis in flips))
    ]
    if count < 0:
        raise ConfigError(f"--tta {count}: a number of views, from 1; 0 is the picture alone.")
    if count > len(found):
        unflipped = "" if flips else " (more where training flips pictures: --augment standard)"
        raise ConfigError(f"--tta {count}: there are {len(found)} views at most{unflipped}.")
    return tuple(found[: max(count, 1)])


def _word(axis: str) -> str:
    return "flip" if axis == "horizontal" else "flip-vertical"


def apply(view: View, images: "tf.Tensor") -> "tf.Tensor":
    """(B, H, W, C) pictures as the view shows them; what a shift uncovers is mirrored."""
    import tensorflow as tf

    if view.flip:
        images = tf.reverse(images, [_FLIP_AXES[view.flip]])
    for axis, direction in ((1, view.down), (2, view.right)):
        if direction:
            images = _moved(images, axis=axis, direction=direction)
    return images


def _moved(images: "tf.Tensor", *, axis: int, direction: int) -> "tf.Tensor":
    import tensorflow as tf

    side = int(images.shape[axis])
    pixels = max(1, round(SHIFT * side))
    paddings = [[0, 0]] * 4
    paddings[axis] = [pixels, 0] if direction > 0 else [0, pixels]
    begin, size = [0] * 4, [-1] * 4
    begin[axis], size[axis] = 0 if direction > 0 else pixels, side
    return tf.slice(tf.pad(images, paddings, mode="SYMMETRIC"), begin, size)
