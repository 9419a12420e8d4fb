"""What the machine does to a training: too little memory or disk, pictures that go missing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dnncli.data.dataset import Dataset, FileImages, Problem, RecordImages
from dnncli.data.header import MAX_PIXELS
from dnncli.errors import DataError, DnncliError, ModelError

_DISK = "space left"  # TensorFlow calls a full disk an exhausted resource, too


@contextmanager
def explained(
    batch_size: int, *, datasets: Sequence[Dataset] = (), max_pixels: int = MAX_PIXELS
) -> Iterator[None]:
    """Turn what TensorFlow raises inside this block into a message, where the cause is known.

    Args:
        batch_size: pictures at a time, for the message about memory.
        datasets: whose files are looked at again where reading them may have failed.
        max_pixels: as when they were opened.

    Raises:
        ModelError: if there is too little memory.
        DataError: if pictures vanished or were changed while they were read.
        OSError: if the disk is full.
    """
    import tensorflow as tf

    try:
        yield
    except (MemoryError, tf.errors.OpError) as error:
        if found := _cause(error, batch_size, datasets, max_pixels):
            raise found from error
        raise


def _cause(
    error: Exception, batch_size: int, datasets: Sequence[Dataset], max_pixels: int
) -> DnncliError | OSError | None:
    import tensorflow as tf

    text = str(error)
    if _DISK in text:
        return OSError(28, "No space left on device")
    is_memory = isinstance(error, MemoryError | tf.errors.ResourceExhaustedError)
    if is_memory or "MemoryError" in text:  # raised inside a function that TensorFlow calls
        return too_little(batch_size)
    lines = [str(problem) for dataset in datasets for problem in _lost(dataset, max_pixels)]
    if lines:
        return DataError(
            "Pictures vanished or were changed while they were read. Restore them; a training "
            "goes on with --resume:",
            lines,
        )
    return None


def too_little(batch_size: int) -> ModelError:
    """The message that memory does not suffice for so many pictures at a time."""
    smaller = batch_size // 2
    advice = f"Try --batch-size {smaller}, " if smaller else "Try "
    return ModelError(
        f"Out of memory with {batch_size} pictures at a time (--batch-size). {advice}a smaller "
        "--image-size or a smaller --model."
    )


def _lost(dataset: Dataset, max_pixels: int) -> list[Problem]:
    """Files of pictures that can no longer be read as they were."""
    from dnncli.data.scan import scan

    images = dataset.images
    if isinstance(images, FileImages):
        seen = scan(images.names, folder=images.folder, max_pixels=max_pixels)
        what = dict(seen.problems)
        for row, (now, before) in enumerate(zip(seen.digests, dataset.digests or ())):
            if now != before:
                what.setdefault(row, "is not what it was when it was looked at first.")
        return [Problem(path=images.path(row), what=what[row]) for row in sorted(what)]
    if isinstance(images, RecordImages):
        return [
            Problem(path=str(file), what="cannot be read to its former end.")
            for number, file in enumerate(images.files)
            if _size(file) < _last(images, number)
        ]
    return []


def _size(file: str | Path) -> int:
    try:
        return Path(file).stat().st_size
    except OSError:
        return -1


def _last(images: RecordImages, number: int) -> int:
    """Where the last record of a file ended when it was opened; 0 if none was used."""
    mine = images.file == number
    return int((images.offsets[mine] + images.lengths[mine]).max(initial=0))
