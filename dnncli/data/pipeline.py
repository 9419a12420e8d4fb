"""From rows of a data set to batches for training, validation and prediction, by tf.data.

Every batch is a pure function of (rows, seed, epoch, step): a resumed run sees the same pictures
in the same order with the same augmentation as one that was never stopped.

Shapes: B pictures per batch, H height, W width, C channels, K classes.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
import tensorflow as tf  # noqa: TID253
from numpy.typing import NDArray

from dnncli.data import decode
from dnncli.data.dataset import ArrayImages, Dataset, FileImages, RecordImages, Route
from dnncli.results import Progress, no_progress

_DECODED_AT_ONCE = 128  # pictures

# Images as the loader has them, targets, seed -> images of uint8 or float32, targets.
Augment = Callable[[Any, Any, Any], tuple[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class ImageFormat:
    """What every picture becomes before it reaches the network."""

    height_width: tuple[int, int]  # pixels
    channels: int  # 1 or 3
    resize: decode.Resize = "stretch"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return (*self.height_width, self.channels)


@dataclass(frozen=True, kw_only=True)
class Loader:
    """Reads pictures of one data set by row."""

    dataset: Dataset
    image_format: ImageFormat
    workers: int  # pictures decoded at the same time
    cached: NDArray | None = None  # (n, H, W, C) decoded pictures
    cached_rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def dtype(self) -> Any:
        """uint8 for 8-bit pictures, else float32."""
        images = self.dataset.images
        if isinstance(images, ArrayImages) and images.arrays[0].dtype != np.uint8:
            return tf.float32
        return tf.uint8

    @cached_property
    def _constants(self) -> tuple[Any, Any]:
        """Names of the files of encoded pictures, and their routes, as tensors."""
        images = self.dataset.images
        if isinstance(images, ArrayImages):
            raise TypeError("arrays hold no encoded pictures")
        names = images.names if isinstance(images, FileImages) else ()
        with tf.init_scope():  # outside of any graph, so that no graph holds a copy
            return tf.constant(names, tf.string), tf.constant(images.routes)

    @cached_property
    def _route(self) -> Route | None:
        """The decoder of all pictures; None if they differ."""
        routes = np.unique(cast(FileImages | RecordImages, self.dataset.images).routes)
        return Route(routes[0]) if len(routes) == 1 else None

    @cached_property
    def _has_large(self) -> bool:
        """Whether a picture has at least four times the wanted pixels a side."""
        sizes = cast(FileImages | RecordImages, self.dataset.images).sizes
        return bool((sizes // self.image_format.height_width >= 4).all(axis=1).any())

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """(N,) position of each row in the cache."""
        places = np.full(len(self.dataset), -1, np.int64)
        places[self.cached_rows] = np.arange(len(self.cached_rows))
        return places

    def batch(self, rows: Any) -> Any:
        """In-graph: (B,) int64 rows -> (B, H, W, C) pictures of `dtype`."""
        if self.cached is not None:
            # A Python-side gather: the cache is held once, never copied into a graph.
            cached, places = self.cached, self._places
            images = tf.numpy_function(
                lambda wanted: cached[places[wanted]], [rows], self.dtype, stateful=False
            )
        elif isinstance(self.dataset.images, ArrayImages):
            images = self._from_arrays(self.dataset.images, rows)
        else:
            read = as_it_is(lambda row: self._decode(self._read(row), row))
            images = tf.map_fn(read, rows, fn_output_signature=tf.uint8, parallel_iterations=1)
        return tf.ensure_shape(images, (None, *self.image_format.shape))

    def decoded(self, places: Any, rows: NDArray[np.int64]) -> tf.data.Dataset:
        """(place, (H, W, C) picture of `rows[place]`) for a data set of places in order.

        Pictures that cannot be decoded are errors of the data set.
        """
        chosen = tf.constant(rows)
        if not isinstance(self.dataset.images, RecordImages):
            return places.map(
                as_it_is(lambda place: (place, self.batch(tf.gather(chosen, place)[None])[0])),
                num_parallel_calls=self.workers,
            )
        # One call of Python reads many records, which are decoded in parallel without it.
        read = places.batch(_DECODED_AT_ONCE).map(
            as_it_is(lambda some: (some, self._records(tf.gather(chosen, some))))
        )
        decode_one = as_it_is(
            lambda place, data: (place, self._decode(data, tf.gather(chosen, place)))
        )
        return read.prefetch(1).unbatch().map(decode_one, num_parallel_calls=self.workers)

    def _records(self, rows: Any) -> Any:
        """In-graph: (B,) rows of a TFRecord data set -> (B,) encoded pictures."""
        images = cast(RecordImages, self.dataset.images)

        def read(wanted: NDArray[np.int64]) -> NDArray:
            return np.array([_record_or_nothing(images, row) for row in wanted], object)

        encoded = tf.numpy_function(
            read,
            [rows],
            tf.string,
            stateful=False,
        )
        return tf.ensure_shape(encoded, (None,))

    def _read(self, row: Any) -> Any:
        """In-graph: a row of a folder or of TFRecords -> () its encoded picture."""
        images = self.dataset.images
        if isinstance(images, RecordImages):
            return self._records(row[None])[0]
        folder = os.path.join(cast(FileImages, images).folder, "")  # noqa: PTH118
        return tf.io.read_file(folder + tf.gather(self._constants[0], row))

    def _decode(self, encoded: Any, row: Any) -> Any:
        """In-graph: the encoded picture of a row -> (H, W, C) uint8."""
        form = self.image_format
        image = decode.load(
            encoded,
            tf.gather(self._constants[1], row) if self._route is None else self._route,
            channels=form.channels,
            height_width=form.height_width,
            how=form.resize,
            may_reduce=self._has_large,
        )
        return tf.ensure_shape(image, form.shape)

    def _from_arrays(self, images: ArrayImages, rows: Any) -> Any:
        form = self.image_format
        kind = np.uint8 if self.dtype == tf.uint8 else np.float32
        pictures = tf.numpy_function(
            lambda wanted: gather(images, wanted).astype(kind, copy=False),
            [rows],
            self.dtype,
            stateful=False,
        )
        pictures = tf.ensure_shape(pictures, (None, *images.height_width, images.channels))
        if images.channels != form.channels:
            pictures = decode.change_channels(pictures, channels=form.channels)
        return decode.fit_to(pictures, height_width=form.height_width, how=form.resize)


def gather(images: ArrayImages, rows: NDArray[np.integer]) -> NDArray:
    """Pictures of `rows` as (B, H, W, C), whichever arrays they lie in."""
    shape = (len(rows), *images.height_width, images.channels)
    out = np.empty(shape, images.arrays[0].dtype)
    owners, places = images.array[rows], images.rows[rows]
    for number, array in enumerate(images.arrays):
        mine = owners == number
        if mine.any():
            out[mine] = array[places[mine]].reshape(-1, *shape[1:])
    return out


def read_record(images: RecordImages, row: int) -> bytes:
    """The encoded picture of one row of a TFRecord data set."""
    with open(images.files[images.file[row]], "rb") as file:  # noqa: PTH123
        file.seek(int(images.offsets[row]))
        return file.read(int(images.lengths[row]))


def _record_or_nothing(images: RecordImages, row: int) -> bytes:
    """As `read_record`; nothing, which no decoder takes, where the file cannot be read."""
    try:
        return read_record(images, row)
    except OSError:
        return b""


def options() -> tf.data.Options:
    """Options of every pipeline here: ordered, and without the autotune thread.

    The autotune thread makes each finite iterator wait for its next waking, up to doubling short
    epochs; with fixed parallelism it has nothing to tune.
    """
    chosen = tf.data.Options()
    chosen.autotune.enabled = False
    chosen.deterministic = True
    return chosen


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What the network should say about each row of a data set."""

    labels: NDArray[np.int32]  # (N,)
    n_classes: int
    weights: NDArray[np.float32] | None = None  # (N,) sample weights
    class_weights: NDArray[np.float32] | None = None  # (K,)

    def weigh(self, rows: Any, targets: Any) -> Any | None:
        """In-graph: (B,) weights of `rows`; None if all are 1.

        The weight of a class follows the targets, so that a mixed picture weighs as it is mixed.
        """
        weights = None
        if self.class_weights is not None:
            weights = tf.linalg.matvec(targets, tf.constant(self.class_weights))
        if self.weights is not None:
            own = tf.gather(self.weights, rows)
            weights = own if weights is None else weights * own
        return weights

    def one_hot(self, rows: Any) -> Any:
        """In-graph: (B,) rows -> (B, K) float32."""
        return tf.one_hot(tf.gather(self.labels, rows), self.n_classes, dtype=tf.float32)


def ordered(
    loader: Loader, rows: NDArray[np.int64], *, batch_size: int, targets: Targets | None = None
) -> tf.data.Dataset:
    """Batches for validation and prediction: `rows` in order, once, not augmented.

    Batches are images; (images, targets) if `targets` is given; (images, targets, weights) if it
    has weights.
    """

    def load(wanted: Any) -> Any:
        images = tf.cast(loader.batch(wanted), tf.float32)
        if targets is None:
            return images
        labels = targets.one_hot(wanted)
        weights = targets.weigh(wanted, labels)
        return (images, labels) if weights is None else (images, labels, weights)

    batches = tf.data.Dataset.from_tensor_slices(rows).batch(batch_size)
    batches = batches.map(as_it_is(load), num_parallel_calls=loader.workers)
    return batches.prefetch(2).with_options(options())


def shuffled(
    loader: Loader,
    rows: NDArray[np.int64],
    *,
    batch_size: int,
    targets: Targets,
    seed: int,
    first_step: int = 0,
    shuffle: bool = True,
    augment: Augment | None = None,
    accumulate: int = 1,
) -> tf.data.Dataset:
    """Endless training batches (images, targets[, weights]), beginning at global step `first_step`.

    Pass e over the rows is a permutation drawn from (seed, e); the augmentation of step s of that
    pass is drawn from (seed, e, s). With `accumulate` > 1, steps of one pass make one update, and
    sample weights make the mean of their gradients that of all rows, though the last batch is
    smaller.
    """
    share = np.float32(accumulate / len(rows))

    def load(number: Any, step: Any, wanted: Any) -> Any:
        images = loader.batch(wanted)
        labels = targets.one_hot(wanted)
        if augment is not None:
            images, labels = augment(images, labels, step_key(seed, number, step))
        images = tf.ensure_shape(tf.cast(images, tf.float32), (None, *loader.image_format.shape))
        weights = targets.weigh(wanted, labels)
        if accumulate > 1:
            part = tf.fill(tf.shape(wanted), share * tf.cast(tf.size(wanted), tf.float32))
            weights = part if weights is None else weights * part
        return (images, labels) if weights is None else (images, labels, weights)

    picked = passes(rows, batch_size=batch_size, seed=seed, first_step=first_step, shuffle=shuffle)
    batches = picked.map(as_it_is(load), num_parallel_calls=loader.workers)
    return batches.prefetch(2).with_options(options())


def passes(
    rows: NDArray[np.int64],
    *,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    shuffle: bool = True,
) -> tf.data.Dataset:
    """Endless (pass, step of the pass, (B,) rows), beginning at global step `first_step`."""
    steps = -(-len(rows) // batch_size)  # of one pass
    first_pass, skipped = divmod(first_step, steps)

    def one_pass(number: Any) -> tf.data.Dataset:
        order = tf.constant(rows)
        if shuffle:
            key = tf.stack([tf.constant(seed, tf.int64), number])
            order = tf.random.experimental.stateless_shuffle(order, seed=key)
        batches = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
        return batches.enumerate().map(as_it_is(lambda step, picked: (number, step, picked)))

    return tf.data.Dataset.counter(start=first_pass).flat_map(as_it_is(one_pass)).skip(skipped)


def as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` for a `map`, spared the rewriting of Python's own `if` and `for`.

    Nothing here branches on a tensor, and the rewriting takes seconds at every start.
    """
    return tf.autograph.experimental.do_not_convert(function)


def step_key(seed: int, number: Any, step: Any) -> Any:
    """In-graph: the (2,) int32 seed of the augmentation of one step of one pass."""
    key = tf.stack([tf.constant(seed, tf.int32), tf.cast(number, tf.int32)])
    return tf.random.experimental.stateless_fold_in(key, tf.cast(step, tf.int32))


def decode_once(
    loader: Loader,
    rows: NDArray[np.int64],
    *,
    into: NDArray | None = None,
    progress: Progress = no_progress,
    what: str = "Decoding",
) -> NDArray[np.int64]:
    """Decode every row once, so that no picture can fail in the middle of training.

    Args:
        loader: of the data set.
        rows: to decode.
        into: (n, H, W, C) of the loader's dtype, filled with the decoded pictures; None: they are
            let go of.
        progress: told how many are done.
        what: is told.

    Returns:
        The rows that could not be decoded.
    """
    places = tf.data.Dataset.range(len(rows))
    pictures = loader.decoded(places, rows).ignore_errors().batch(_DECODED_AT_ONCE)
    good = np.zeros(len(rows), bool)
    done = 0
    for found, decoded in pictures.prefetch(2).with_options(options()).as_numpy_iterator():
        good[found] = True
        if into is not None:
            into[found] = decoded
        done += len(found)
        progress(what, done, len(rows))
    return rows[~good]


def batches_of(loader: Loader, rows: NDArray[np.int64], *, batch_size: int) -> Iterator[NDArray]:
    """(B, H, W, C) pictures of `rows` as NumPy arrays, once, for fitting a normalisation."""
    for wanted in np.array_split(rows, max(1, -(-len(rows) // batch_size))):
        yield loader.batch(tf.constant(wanted)).numpy()
