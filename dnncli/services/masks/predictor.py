"""A network of masks or edges at work on the rows of a data set, one picture at a time.

Shapes: H height, W width in pixels, c channels, C classes; B windows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.augmentation.views import View, views
from dnncli.data.dataset import Dataset
from dnncli.data.pictures import pixels
from dnncli.errors import ConfigError, DataError, ModelError
from dnncli.results import Progress, no_progress
from dnncli.services.masks.tiles import Call, Tiling, strips
from dnncli.services.rows import Rows

_LARGE = 2**21  # values of a picture from which on its own progress is told
_HALF = 0.5  # threshold of two classes, unless one is given
FOREGROUND = 1  # index of the class whose shares are written, where there are two


@dataclass(frozen=True, kw_only=True)
class MaskPredictor:
    """Answers for the pictures of a data set, each at its own size."""

    dataset: Dataset
    card: Mapping[str, Any]  # of the model
    call: Call
    batch_size: int = 128  # windows at a time, at most; memory only
    progress: Progress = no_progress  # told of the rows of large pictures

    def strips(self, row: int) -> Iterator[NDArray[np.float32]]:
        """Probabilities of one row in strips (n, W, C) from top to bottom.

        Raises:
            DataError: if the picture cannot be read.
            ModelError: if an answer is not finite.
        """
        tiling = Tiling.of_card(self.card)
        picture = read_picture(self.dataset, row, channels=self.card["channels"])
        done = 0
        for strip in strips(self.call, picture, tiling=tiling, batch_size=self.batch_size):
            if not np.isfinite(strip).all():
                raise ModelError(
                    f"{self.dataset.ids[row]}: the network's probabilities of it are not finite. "
                    "Train again with a smaller --lr, or --precision float32."
                )
            done += len(strip)
            if picture.size >= _LARGE:
                self.progress("Rows of a large picture", done, len(picture))
            yield strip

    def indices(self, row: int, *, threshold: float | None = None) -> NDArray[np.uint8]:
        """(H, W) index of the likeliest class of every pixel; of equal ones the first.

        Args:
            row: of the data set.
            threshold: of two classes, the second if and only if its share is at least this;
                None: 0.5.
        """
        return np.concatenate([decided(strip, threshold=threshold) for strip in self.strips(row)])

    def shares(self, row: int, *, index: int = FOREGROUND) -> NDArray[np.float32]:
        """(H, W) probability of one class."""
        return np.concatenate([strip[..., index] for strip in self.strips(row)])


def decided(probs: NDArray[np.float32], *, threshold: float | None = None) -> NDArray[np.uint8]:
    """(H, W) class indices from (H, W, C) probabilities: see `MaskPredictor.indices`."""
    if probs.shape[-1] == 2:  # positive if and only if the score reaches the threshold
        threshold = _HALF if threshold is None else threshold
        return (probs[..., FOREGROUND] >= np.float32(threshold)).astype(np.uint8)
    return probs.argmax(axis=-1).astype(np.uint8)


def eight_bit(shares: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Shares in [0, 1] as the levels of a grey picture."""
    return np.round(shares * 255).astype(np.uint8)


def read_picture(dataset: Dataset, row: int, *, channels: int) -> NDArray:
    """(H, W, channels) raw pixels of one row, as training had them.

    Raises:
        DataError: if the picture cannot be read; it is named.
    """
    try:
        picture = pixels(dataset.images, row, channels=channels)
    except (DataError, OSError) as error:
        raise DataError(f"{dataset.ids[row]}: {error}") from error
    if picture.shape[-1] == channels:
        return picture
    import tensorflow as tf

    from dnncli.data.decode import change_channels

    with tf.device("CPU:0"):
        return change_channels(tf.constant(picture), channels=channels).numpy()


def predictor(
    chosen: Rows, *, tta: int = 0, batch_size: int = 128, progress: Progress = no_progress
) -> MaskPredictor:
    """Load the model of `chosen`.

    Args:
        chosen: rows of a data set, and the model.
        tta: views of every picture whose answers are averaged; 0: the picture alone.
        batch_size: windows at a time, at most.
        progress: told that the model is loaded.

    Raises:
        ConfigError: if there are not so many views.
        ModelError: if the model cannot be loaded.
    """
    wanted = views_of(chosen.card, tta)
    from dnncli import devices

    progress("Loading the model", 0, 1)
    devices.load_tensorflow()
    from dnncli.networks.files import load_model

    call = forward(load_model(chosen.model), wanted)
    progress("Loading the model", 1, 1)
    return MaskPredictor(
        dataset=chosen.dataset,
        card=chosen.card,
        call=call,
        batch_size=batch_size,
        progress=progress,
    )


def views_of(card: Mapping[str, Any], count: int) -> tuple[View, ...]:
    """The picture and its flips: views from which an answer can be brought back in full.

    Raises:
        ConfigError: if training did not have so many flips.
    """
    flips = tuple(card.get("flips", ()))
    if count > 1 + len(flips):
        had = f"flips ({', '.join(flips)})" if flips else "no flips"
        raise ConfigError(
            f"--tta {count}: masks and edges have {1 + len(flips)} views at most: the picture, and "
            f"the flips that training had. This model was trained with {had}."
        )
    return views(count, flips=flips)


def forward(model: Any, wanted: Sequence[View]) -> Call:
    """The model compiled, for windows of any size: the mean over the views, brought back."""
    import tensorflow as tf

    from dnncli.augmentation.views import apply
    from dnncli.networks.calls import compiled

    call = compiled(model, any_size=True)

    def mean(windows: NDArray) -> NDArray[np.float32]:
        images = tf.constant(windows, tf.float32)
        # A flip undoes itself, so that the same view brings the answer back.
        seen = [apply(view, call(apply(view, images))) for view in wanted]
        return np.asarray(tf.add_n(seen) / len(seen) if len(seen) > 1 else seen[0])

    return mean
