"""Stores a data set in another form: one reader, one writer, the same rows."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.data.annotators import EDGES, has_annotators
from dnncli.data.array_writer import write_arrays
from dnncli.data.dataset import ArrayImages, Dataset, FileImages, Problem
from dnncli.data.detect import open_dataset
from dnncli.data.folder_writer import write_folder
from dnncli.data.mask_writer import stored_form, write_masked
from dnncli.data.pictures import encoded, pixels, to_png
from dnncli.data.record_writer import write_records
from dnncli.data.windows import fit_mask
from dnncli.errors import ConfigError, DataError
from dnncli.registry import unknown
from dnncli.results import Progress, no_progress, written, written_folder
from dnncli.services.annotators import ANNOTATORS, Targets, open_targets, write_targets
from dnncli.services.places import takes_urls
from dnncli.urls import told

FORMS = ("folder", "numpy", "tfrecord")
COLORS = ("auto", "rgb", "grayscale")

Form = Literal["folder", "numpy", "tfrecord"]


@dataclass(frozen=True, kw_only=True)
class ConvertReport:
    """What was written."""

    data: str
    out: str
    to: str
    rows: int
    classes: tuple[str, ...]
    splits: dict[str, int]  # split -> rows; "" where none is declared
    files: int
    bytes: int
    image_size: tuple[int, int] | None  # height, width in pixels; None: as they were
    changed_ids: int  # rows that have another id in the new form
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]


@takes_urls
def convert(
    data: Path | str,
    out: Path | str,
    *,
    to: str | None = None,
    shards: int = 1,
    image_size: tuple[int, int] | None = None,
    color: str = "auto",
    task: str = "auto",
    classes: Sequence[str] = (),
    split_file: Path | str | None = None,
    on_bad: str = "skip",
    annotators: str | None = None,
    annotators_k: int | None = None,
    ignore_zone: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> ConvertReport:
    """Write a data set as class folders, NumPy arrays or TFRecord files.

    Reading what was written gives the same ids, labels, class names, splits and pixels. Picture
    files are copied as they are, unless `image_size` or `color` asks for other pixels: then they
    become PNG. Arrays hold pictures of one size.

    Pictures with masks or edges are written as a folder again, see `write_masked`. Those that
    several people drew for are written with one map each: see `Targets`.

    Args:
        data: anything `open_dataset` reads, or pictures with a folder of maps per annotator.
        out: a folder; for numpy also a file that ends in `.npz`.
        to: "folder", "numpy" or "tfrecord".
        shards: TFRecord files for each split.
        image_size: height and width in pixels; pictures are stretched to it, bilinear with
            antialias.
        task: of pictures with masks and edges, "segment" or "edges", whichever is wanted.
        color: "rgb" or "grayscale" for all pictures; "auto": arrays are grey if no picture has
            colour.
        classes: declared order of the classes.
        split_file: CSV whose splits replace those of the data.
        on_bad: as in `open_dataset`.
        annotators, annotators_k, ignore_zone: for maps of several people, as in `open_targets`.
        overwrite: replace what is at `out`.

    Raises:
        ConfigError: if an option makes no sense.
        DataError: if the data cannot be read, `out` exists, or the form cannot hold the data.
    """
    out = Path(out)
    if annotators is not None or has_annotators(Path(data)):
        is_plain = shards == 1 and image_size is None and color == "auto" and split_file is None
        if to not in (None, "folder") or not is_plain:
            raise ConfigError(
                f"{data}: maps of annotators become a folder. Leave out --to, --shards, "
                "--image-size, --color and --split."
            )
        if annotators is None:
            raise DataError(
                f"{data}: several people drew maps for its pictures. Say how they become one: "
                f"--annotators {', '.join(ANNOTATORS)}."
            )
        _check_out(Path(data), out, overwrite=overwrite)
        targets = open_targets(
            Path(data),
            annotators=annotators,
            annotators_k=annotators_k,
            ignore_zone=ignore_zone,
            classes=classes,
            progress=progress,
        )
        return _convert_annotated(targets, out, progress=progress)
    if annotators_k is not None or ignore_zone:
        raise ConfigError("--annotators-k and --ignore-zone: need --annotators.")
    if to is None:
        raise ConfigError(f"--to FORM: is needed. Known: {', '.join(FORMS)}.")
    _check_options(out, to=to, shards=shards, image_size=image_size, color=color)
    _check_out(Path(data), out, overwrite=overwrite)
    dataset = open_dataset(
        data,
        task=task,
        classes=classes,
        split_file=split_file,
        on_bad=on_bad,
        progress=progress,
    )
    _check_sources(dataset, out)
    if dataset.masks is not None and to != "folder":
        raise ConfigError(f"--to {to}: pictures with masks or edges are stored as a folder only.")
    form = _Pixels(dataset, image_size=image_size, color=color)
    changed = 0
    if to == "numpy":
        keeper = written if out.suffix else written_folder
        with keeper(out) as neighbour:
            write_arrays(
                dataset,
                neighbour,
                shape=form.shape(),
                dtype=form.dtype,
                picture=form.decoded,
                progress=progress,
            )
    else:
        picture = form.encoded()
        with written_folder(out) as neighbour:
            if to == "tfrecord":
                write_records(
                    dataset,
                    neighbour,
                    name=out.name,
                    shards=shards,
                    picture=picture,
                    progress=progress,
                )
            elif dataset.masks is not None:
                changed = write_masked(
                    dataset,
                    neighbour,
                    picture=picture,
                    mask=form.mask,
                    progress=progress,
                )
            else:
                changed = write_folder(
                    dataset,
                    neighbour,
                    picture=picture,
                    copied=form.as_they_are,
                    progress=progress,
                )
    files, size = _written(out)
    return ConvertReport(
        data=str(data),
        out=str(out),
        to=to,
        rows=len(dataset),
        classes=dataset.class_names,
        splits=dict(Counter(dataset.splits.tolist())),
        files=files,
        bytes=size,
        image_size=image_size,
        changed_ids=changed,
        notes=_notes(dataset, to=to, changed=changed),
        problems=dataset.problems,
    )


def _convert_annotated(targets: Targets, out: Path, *, progress: Progress) -> ConvertReport:
    with written_folder(out) as neighbour:
        write_targets(targets, neighbour, progress=progress)
    files, size = _written(out)
    annotated = targets.annotated
    notes = []
    if targets.how == "mean" and annotated.folder != EDGES:
        notes.append("The maps hold shares of the annotators, 0 to 255, and no class numbers.")
    return ConvertReport(
        data=str(annotated.root),
        out=str(out),
        to="folder",
        rows=len(annotated),
        classes=annotated.classes.names if annotated.classes else (),
        splits=dict(Counter(annotated.splits)),
        files=files,
        bytes=size,
        image_size=None,
        changed_ids=0,
        notes=tuple(notes),
        problems=(),
    )


def _written(out: Path) -> tuple[int, int]:
    """How many files there are, and their bytes."""
    files = [file for file in out.rglob("*") if file.is_file()] if out.is_dir() else [out]
    return len(files), sum(file.stat().st_size for file in files)


def _check_options(
    out: Path, *, to: str, shards: int, image_size: tuple[int, int] | None, color: str
) -> None:
    if to not in FORMS:
        raise ConfigError(unknown(to, FORMS, kind="form"))
    if color not in COLORS:
        raise ConfigError(unknown(color, COLORS, kind="color"))
    if shards < 1 or (shards > 1 and to != "tfrecord"):
        raise ConfigError(f"shards {shards}: must be at least 1, and is for tfrecord only.")
    if image_size is not None and min(image_size) < 1:
        raise ConfigError(f"image_size {image_size}: height and width are at least 1 pixel.")
    if out.suffix.lower() == ".npz" and to != "numpy":
        raise ConfigError(f"{out}: {to} is a folder. Leave out '.npz', or convert to numpy.")
    if to == "numpy" and out.suffix.lower() not in ("", ".npz"):
        raise ConfigError(f"{out}: numpy is a file ending in .npz, or a folder without suffix.")


def _check_out(data: Path, out: Path, *, overwrite: bool) -> None:
    source, target = (Path(told(str(path.resolve()))) for path in (data, out))
    if source == target or target in source.parents or source in target.parents:
        raise DataError(f"{out}: lies in {data}, or the other way round. Write it somewhere else.")
    is_empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not is_empty and not overwrite:
        raise DataError(f"{out}: exists already. Choose another name, or give --overwrite.")


def _check_sources(dataset: Dataset, out: Path) -> None:
    """Refuse to replace a folder that the pictures come from."""
    images = dataset.images
    if isinstance(images, ArrayImages):
        return
    if isinstance(images, FileImages):
        sources: Iterable[str] = map(images.path, range(len(dataset)))
    else:
        sources = images.files
    place = told(str(out.absolute()))
    inside = [path for path in sources if Path(told(str(path))).is_relative_to(place)]
    if inside:
        raise DataError(f"{out}: holds pictures that {dataset.root} names:", inside)


@dataclass(frozen=True)
class _Pixels:
    """The pictures of a data set in the wanted size and colour."""

    dataset: Dataset
    image_size: tuple[int, int] | None
    color: str

    @property
    def as_they_are(self) -> bool:
        """Picture files are copied byte by byte."""
        is_file = not isinstance(self.dataset.images, ArrayImages)
        return is_file and self.image_size is None and self.color == "auto"

    @property
    def dtype(self) -> Any:
        """Of the decoded pictures."""
        images = self.dataset.images
        return images.arrays[0].dtype if isinstance(images, ArrayImages) else np.uint8

    def channels(self, row: int | None = None) -> int:
        """Of one row, or of all rows together."""
        images = self.dataset.images
        if self.color != "auto":
            return 3 if self.color == "rgb" else 1
        if isinstance(images, ArrayImages):
            return images.channels
        return 1 if (images.grey.all() if row is None else images.grey[row]) else 3

    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of all pictures.

        Raises:
            DataError: if they differ in size and none was asked for.
        """
        images = self.dataset.images
        if self.image_size is not None:
            size = self.image_size
        elif isinstance(images, ArrayImages):
            size = images.height_width
        else:
            sizes = Counter(map(tuple, images.sizes.tolist()))
            if len(sizes) > 1:
                common = [
                    f"{height}x{width}: {count} pictures"
                    for (height, width), count in sizes.most_common(5)
                ]
                raise DataError(
                    f"{self.dataset.root}: pictures of {len(sizes)} sizes (height x width), but an "
                    "array has one. Give an image size, for example the most common one:",
                    common,
                )
            size = next(iter(sizes))
        return (*size, self.channels())

    def decoded(self, row: int, *, channels: int | None = None) -> NDArray:
        """(H, W, C) of one row."""
        images, channels = self.dataset.images, channels or self.channels()
        try:
            picture = pixels(images, row, channels=channels)
        except ValueError as error:
            raise DataError(f"{self.dataset.ids[row]}: {error}") from error
        if picture.shape[2] != channels:
            picture = _recolored(picture, channels=channels)
        if self.image_size is not None and picture.shape[:2] != self.image_size:
            picture = _resized(picture, self.image_size)
        return picture

    def mask(self, row: int) -> NDArray[np.uint8]:
        """(H, W) class indices of one row; each pixel is the nearest one where it is stretched."""
        if self.dataset.masks is None:
            raise ValueError(f"{self.dataset.root}: this data set has no masks.")
        mask = self.dataset.masks.read(row)
        return mask if self.image_size is None else fit_mask(mask, self.image_size, "stretch")

    def encoded(self) -> Callable[[int], bytes]:
        """Row -> picture file: the original where its pixels stay what they are, else PNG."""
        if self.as_they_are:
            return lambda row: encoded(self.dataset.images, row)
        return lambda row: to_png(self.decoded(row, channels=self.channels(row)))


def _recolored(picture: NDArray, *, channels: int) -> NDArray:
    """(H, W, 1) as RGB by repeating, (H, W, 3) as grey by ITU-R BT.601 luma, as Pillow has it."""
    if channels == 3:
        return np.repeat(picture, 3, axis=2)
    if picture.dtype == np.uint8:
        from PIL import Image

        return np.asarray(Image.fromarray(picture).convert("L"))[..., np.newaxis]
    grey = picture @ np.array([0.299, 0.587, 0.114])
    return grey.astype(picture.dtype)[..., np.newaxis]


def _resized(picture: NDArray, size: tuple[int, int]) -> NDArray:
    """(H, W, C) stretched to a height and width: bilinear with antialias."""
    from PIL import Image

    height, width = size
    planes = []
    for channel in range(picture.shape[2]):
        plane = picture[..., channel]
        image = Image.fromarray(plane if plane.dtype == np.uint8 else plane.astype(np.float32))
        resized = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
        whole = np.issubdtype(picture.dtype, np.integer)
        planes.append((np.round(resized) if whole else resized).astype(picture.dtype))
    return np.stack(planes, axis=2)


def _notes(dataset: Dataset, *, to: str, changed: int) -> tuple[str, ...]:
    """What the new form cannot hold."""
    notes = []
    if changed:
        notes.append(f"{changed} ids became other file names: a folder's ids are its paths.")
    if to == "folder" and dataset.groups is not None and any(dataset.groups):
        notes.append("Folders do not hold groups; they are not written.")
    if to == "folder" and dataset.weights is not None:
        notes.append("Folders do not hold sample weights; they are not written.")
    if dataset.task == EDGES:
        notes.append("Edges are written as 0 and 255; shares of several annotators are not kept.")
    elif dataset.masks is not None and stored_form(dataset).values != dataset.masks.values:
        notes.append(f"The masks hold 0 to {len(dataset.class_names) - 1} now, one per class.")
    return tuple(notes)
