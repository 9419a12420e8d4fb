"""Opens pictures with a mask or an edge map each.

Shapes: N pictures, H and W in pixels, C classes.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.annotators import EDGES, people_beside
from dnncli.data.dataset import NO_CLASS, Dataset, Masks, Problem, Task
from dnncli.data.header import MAX_PIXELS
from dnncli.data.map_codes import WHITE, Seen
from dnncli.data.maps import Maps
from dnncli.data.mask_pairs import Pairs, drawn_folders, find_pairs, read_pictures
from dnncli.data.mask_values import MaskCode, MaskForm, edge_code, mask_code_of
from dnncli.data.scan import digest
from dnncli.errors import DataError
from dnncli.results import Progress, no_progress

_LAYOUT = "[train|val|test/]images/NAME.jpg and [train|val|test/]masks/NAME.png, or edges/, labels/"
_THREADS = 4
_BATCH = 64  # masks between two reports of progress


@dataclass(frozen=True, kw_only=True)
class _Look:
    """One mask: its numbers with how often each occurs, and a digest of them."""

    counts: dict[int, int]
    content: bytes


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Reads masks from files; `Masks.source`."""

    pairs: Pairs
    code: MaskCode

    def __call__(self, number: int) -> NDArray[np.uint8]:
        maps, stem = self.pairs.maps[number], self.pairs.stems[number]
        try:
            return self.code.indices(_numbers(maps, stem))
        except DataError as error:
            raise DataError(f"{maps.path}: '{stem}': {error}") from error


def has_masks(path: Path) -> bool:
    """Whether a folder holds pictures in `images` and maps of them beside it."""
    return bool(drawn_folders(path))


def find_masks_task(path: Path) -> Task:
    """What pictures with maps are for: edges if there is nothing else, else masks."""
    return "edges" if drawn_folders(path) == [EDGES] else "segment"


def open_masks(
    path: Path | str,
    *,
    task: str = "auto",
    classes: Sequence[str] = (),
    like: MaskForm | None = None,
    labelled: bool = True,
    max_pixels: int = MAX_PIXELS,
    progress: Progress = no_progress,
) -> Dataset:
    """Open `[split/]images` and `[split/](masks|labels|edges)`, matched by stem.

    Every mask is read once, to know its numbers; later they are read when they are asked for.
    Pictures and masks that cannot be used are left out and named in `problems`. Ids are paths below
    the root without `images` and suffix: "train/12".

    Args:
        path: the data set.
        task: "segment" (masks or labels), "edges", or "auto": masks if there are any.
        classes: declared names or numbers, see `mask_code_of`; empty: as the masks have them.
        like: the classes of a model, to which those of the masks are bound.
        labelled: if not, pictures alone are opened, without masks.
        max_pixels: pictures with more pixels count as unreadable.
        progress: told of what is read.

    Raises:
        DataError: if there is no such layout, nothing fits, or numbers are no class.
        ConfigError: if `classes` do not fit.
    """
    root = Path(path)
    if not labelled:
        dataset = read_pictures(root, max_pixels=max_pixels, progress=progress)
        names = like.class_names if like else tuple(classes)
        kind: Task = "edges" if "edges" in (task, find_masks_task(root)) else "segment"
        return replace(dataset, task=kind, class_names=names)
    folder = _folder(root, task)
    pairs = find_pairs(root, folder, max_pixels=max_pixels, progress=progress)
    pairs, looks = _readable(pairs, root, progress)
    code = _code(pairs, looks, root=root, classes=classes, like=like)
    masks = Masks(
        source=_Source(pairs=pairs, code=code),
        numbers=np.arange(len(looks)),
        values=code.values,
        void=code.void,
        digests=_digests(looks, code),
        counts=_class_counts(looks, code),
    )
    dataset = replace(pairs.dataset, masks=masks, class_names=code.class_names)
    if task == "auto":
        dataset = replace(dataset, problems=(*dataset.problems, *_others(root, folder)))
    return dataset


def pixel_counts(
    dataset: Dataset, rows: NDArray[np.int64], *, progress: Progress = no_progress
) -> NDArray[np.int64]:
    """(C,) pixels of each class in the masks of `rows`; those of no class do not count.

    Raises:
        DataError: if a mask cannot be read.
    """
    return row_pixel_counts(dataset, rows, progress=progress).sum(axis=0)


def row_pixel_counts(
    dataset: Dataset, rows: NDArray[np.int64], *, progress: Progress = no_progress
) -> NDArray[np.int64]:
    """The same for each of n `rows` by itself: (n, C)."""
    masks = dataset.masks
    if masks is None:
        raise ValueError("a data set without masks has no pixels to count.")
    if masks.counts is not None:
        return masks.counts[rows]
    counts = np.zeros((len(rows), len(masks.values)), np.int64)
    for done, row in enumerate(rows.tolist()):
        found = np.bincount(masks.read(row).ravel(), minlength=NO_CLASS + 1)
        counts[done] = found[: len(masks.values)]
        progress("Counting pixels", done + 1, len(rows))
    return counts


def content(mask: NDArray) -> bytes:
    """A digest of the numbers of a mask and of its shape."""
    head = f"{mask.shape} {mask.dtype}".encode()
    return digest(head + np.ascontiguousarray(mask).tobytes())


def _folder(root: Path, task: str) -> str:
    """The folder that holds the maps for a task.

    Raises:
        DataError: if there is none, if there are two, or if they are of several annotators.
    """
    drawn = drawn_folders(root)
    if not drawn:
        raise DataError(f"{root}: no pictures with masks or edges. Expected {_LAYOUT}.")
    if task == "auto":
        task = find_masks_task(root)
    fitting = [name for name in drawn if (name == EDGES) == (task == "edges")]
    if not fitting:
        asked, other = ("edges", "segment") if task == "edges" else ("masks", "edges")
        raise DataError(
            f"{root}: holds {' and '.join(drawn)}, not {asked} as --task {task} asks for. "
            f"Say --task {other}."
        )
    if len(fitting) > 1:
        raise DataError(f"{root}: holds {' and '.join(fitting)}. Keep one of them.")
    if people_beside(root, fitting[0]):
        raise DataError(
            f"{root}: holds images and {fitting[0]} of several annotators. Say how these become "
            "one with --set data.annotators=majority (or staple, mean), or merge them with "
            "`dnncli data convert --annotators`."
        )
    return fitting[0]


def _others(root: Path, folder: str) -> tuple[Problem, ...]:
    """A remark where there are maps for another task, too."""
    drawn = drawn_folders(root)
    if len(drawn) == 1:
        return ()
    other = "segment" if folder == EDGES else "edges"
    return (
        Problem(
            path=str(root),
            what=f"holds {' and '.join(drawn)}; {folder} are taken.",
            remedy=f"--task {other} takes the others.",
            action="noted",
        ),
    )


def _numbers(maps: Maps, stem: str) -> NDArray[np.integer]:
    """(H, W) numbers of a mask as they are stored, or levels of edges in 0 to 255."""
    if maps.kind == "mask":
        return maps.read(stem)
    return np.rint(maps.read(stem) * WHITE).astype(np.uint8)


def _readable(pairs: Pairs, root: Path, progress: Progress) -> tuple[Pairs, list[_Look]]:
    """Read every map once: what each holds; those that cannot be read are left out and named."""

    def look(row: int) -> _Look | Problem:
        maps, stem = pairs.maps[row], pairs.stems[row]
        try:
            numbers = _numbers(maps, stem)
        except DataError as error:
            path = (maps.path.relative_to(root) / stem).as_posix()
            return Problem(path=path, what=str(error.__cause__ or error))
        return _Look(counts=_histogram(numbers), content=content(numbers))

    found: list[_Look | Problem] = []
    total = len(pairs.stems)
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, total, _BATCH):
            found += pool.map(look, range(start, min(start + _BATCH, total)))
            progress("Looking at masks", len(found), total)
    bad = [entry for entry in found if isinstance(entry, Problem)]
    looks = [entry for entry in found if isinstance(entry, _Look)]
    if not bad:
        return pairs, looks
    if not looks:
        raise DataError(f"{root}: no mask can be used:", [str(problem) for problem in bad])
    good = [isinstance(entry, _Look) for entry in found]
    dataset = pairs.dataset.take(np.flatnonzero(good))
    return Pairs(
        dataset=replace(dataset, problems=(*dataset.problems, *bad)),
        maps=tuple(compress(pairs.maps, good)),
        stems=tuple(compress(pairs.stems, good)),
    ), looks


def _histogram(numbers: NDArray[np.integer]) -> dict[int, int]:
    """Number -> how many pixels have it."""
    if numbers.dtype == np.uint8:  # counting is many times faster than sorting
        counts = np.bincount(numbers.ravel(), minlength=WHITE + 1)
        return {int(number): int(counts[number]) for number in np.flatnonzero(counts)}
    found, counts = np.unique(numbers, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist()))


def _code(
    pairs: Pairs,
    looks: Sequence[_Look],
    *,
    root: Path,
    classes: Sequence[str],
    like: MaskForm | None,
) -> MaskCode:
    """What the numbers of the maps of all splits mean."""
    sets = {maps.path: maps for maps in pairs.maps}
    first: dict[Path, dict[int, str]] = {path: {} for path in sets}
    for maps, stem, look in zip(pairs.maps, pairs.stems, looks):
        for number in look.counts:
            first[maps.path].setdefault(number, stem)
    for path, maps in sets.items():
        if maps.void is not None:
            first[path].pop(maps.void, None)
    seen = [Seen(path=path, values=values) for path, values in first.items()]
    if pairs.dataset.task == "edges":
        names = like.class_names if like else classes
        return edge_code(list(sets.values()), seen, root=root, classes=names)
    return mask_code_of(list(sets.values()), seen, root=root, classes=classes, like=like)


def _class_counts(looks: Sequence[_Look], code: MaskCode) -> NDArray[np.int64]:
    """(N, C) pixels of each class in each mask."""
    counts = np.zeros((len(looks), len(code.values)), np.int64)
    for row, look in enumerate(looks):
        for number, count in look.counts.items():
            if code.index[number] != NO_CLASS:
                counts[row, code.index[number]] += count
    return counts


def _digests(looks: Sequence[_Look], code: MaskCode) -> tuple[bytes, ...]:
    """Equal where numbers and what they mean are."""
    meanings = (repr([(n, code.index[n]) for n in sorted(look.counts)]).encode() for look in looks)
    return tuple(digest(look.content + meaning) for look, meaning in zip(looks, meanings))
