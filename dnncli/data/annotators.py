"""Opens pictures whose masks or edges were drawn by several people.

Shapes: N pictures, A annotators, H and W in pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import SPLITS, FileImages
from dnncli.data.folder import SPLIT_FOLDERS, read_folder
from dnncli.data.map_classes import MapClasses, find_classes
from dnncli.data.maps import MapKind, Maps, open_maps
from dnncli.data.names import near
from dnncli.errors import SHOWN, DataError
from dnncli.results import Progress, no_progress

IMAGES = "images"
EDGES = "edges"
DRAWN = ("masks", EDGES, "labels")  # folders beside the pictures

_PICTURES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".jpg", ".jpeg", ".webp")

_LAYOUT = "[train|val|test/]images/NAME.jpg and [train|val|test/]masks/ANNOTATOR/NAME.png"


@dataclass(frozen=True, kw_only=True)
class Annotated:
    """N pictures, and for each the maps of some of A annotators."""

    root: Path
    folder: str  # one of DRAWN
    kind: MapKind  # "mask", or "edge": shares in [0, 1]
    annotators: tuple[str, ...]  # (A,) rising
    ids: tuple[str, ...]  # (N,) path below the root without suffix and `images`: "train/12"
    splits: tuple[str, ...]  # (N,) "train", "val", "test" or ""
    folders: tuple[str, ...]  # (N,) of the split, as it is called; "" without splits
    stems: tuple[str, ...]  # (N,) path below `images`, without suffix
    images: FileImages  # (N,)
    digests: tuple[bytes, ...]  # (N,) equal where pictures are
    drawn: tuple[Mapping[str, Maps], ...]  # (N,) annotator -> all maps of this split
    classes: MapClasses | None  # of masks

    def __len__(self) -> int:
        return len(self.ids)

    def by(self, row: int) -> tuple[str, ...]:
        """The annotators of one picture."""
        stem = self.stems[row]
        return tuple(name for name, maps in self.drawn[row].items() if stem in maps.shapes)

    def masks(self, row: int) -> list[NDArray[np.uint8]]:
        """Masks (H, W) of class indices, 255 where void, in the order of `by`.

        Raises:
            DataError: if one cannot be read or holds a value that is no class.
        """
        if self.classes is None:
            raise ValueError("edges read as shares have no classes.")
        stem = self.stems[row]
        return [self.classes.indices(self.drawn[row][name], stem) for name in self.by(row)]

    def edges(self, row: int) -> list[NDArray[np.floating]]:
        """Edge maps (H, W) in [0, 1], in the order of `by`."""
        return [self.drawn[row][name].read(self.stems[row]) for name in self.by(row)]


def has_annotators(path: Path) -> bool:
    """Whether a folder holds pictures and, for each annotator, a folder of masks or edges."""
    return any(people_beside(path, folder) for folder in DRAWN)


def people_beside(path: Path, folder: str) -> bool:
    """Whether `folder` holds a folder for each annotator, and no maps itself."""
    places = [place / folder for place in split_places(path) if (place / folder).is_dir()]
    files = (entry for place in places for entry in place.iterdir() if entry.is_file())
    return any(_people(place.parent, folder) for place in places) and not any(
        entry.suffix.lower() in _PICTURES for entry in files
    )


def open_annotated(
    root: Path,
    *,
    soft: bool = False,
    classes: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Annotated:
    """Open `[split/]images` and `[split/](masks|edges|labels)/<annotator>`, matched by stem.

    An annotator may lack pictures, but every picture needs one at least.

    Args:
        root: the data set.
        soft: read edges as shares in [0, 1], not as class numbers.
        classes: declared for masks; empty: see `find_classes`.
        progress: told of what is read.

    Raises:
        DataError: naming what is missing, unmatched, unreadable or of another size.
    """
    folders = sorted(
        {folder for place in split_places(root) for folder in DRAWN if _people(place, folder)}
    )
    if len(folders) != 1:
        found = f"annotators in {' and in '.join(folders)}" if folders else "no annotators"
        raise DataError(f"{root}: {found}. Expected {_LAYOUT}; one of {', '.join(DRAWN)}.")
    kind: MapKind = "edge" if soft and folders[0] == EDGES else "mask"
    parts = [
        _part(place, folders[0], kind=kind, progress=progress)
        for place in split_places(root)
        if (place / folders[0]).is_dir()
    ]
    problems = [line for part in parts for line in part.problems]
    if problems:
        raise DataError(f"{root}: pictures and maps that do not fit together:", problems)
    rows = [(part, row) for part in parts for row in range(len(part.stems))]
    people = sorted({name for part in parts for name in part.people})
    sets = [maps for part in parts for maps in part.people.values()]
    images = [part.images for part in parts]
    names = ["" if part.place == root else part.place.name for part in parts]
    where = {id(part): name for part, name in zip(parts, names)}
    return Annotated(
        root=root,
        folder=folders[0],
        kind=kind,
        annotators=tuple(people),
        ids=tuple(f"{where[id(part)]}/{part.stems[row]}".lstrip("/") for part, row in rows),
        splits=tuple(SPLIT_FOLDERS.get(where[id(part)].lower(), "") for part, _ in rows),
        folders=tuple(where[id(part)] for part, _ in rows),
        stems=tuple(part.stems[row] for part, row in rows),
        images=FileImages(
            names=tuple(entry.path(row) for entry in images for row in range(len(entry.names))),
            routes=np.concatenate([entry.routes for entry in images]),
            sizes=np.concatenate([entry.sizes for entry in images]),
            grey=np.concatenate([entry.grey for entry in images]),
        ),
        digests=tuple(content for part in parts for content in part.digests),
        drawn=tuple(part.people for part, _ in rows),
        classes=_classes(sets, root, folders[0], classes, progress) if kind == "mask" else None,
    )


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The pictures of one split."""

    place: Path
    stems: tuple[str, ...]
    images: FileImages
    digests: tuple[bytes, ...]
    people: dict[str, Maps]
    problems: tuple[str, ...]


def _classes(
    sets: Sequence[Maps], root: Path, folder: str, declared: Sequence[str], progress: Progress
) -> MapClasses:
    """Of masks; edges have two."""
    if folder != EDGES:
        return find_classes(sets, declared=declared, progress=progress)
    try:
        return find_classes(sets, declared=declared, binary=True, progress=progress)
    except DataError as error:
        raise DataError(
            f"{root}: edges that do not hold 0 and 255 only. Merge grey edges by mean:",
            [error.message, *error.problems],
        ) from error


def split_places(root: Path) -> list[Path]:
    """Where pictures lie: the root if it has `images`, else split folders that have, in order."""
    if (root / IMAGES).is_dir():
        return [root]
    if not root.is_dir():
        return []
    found = [
        (SPLITS.index(SPLIT_FOLDERS[entry.name.lower()]), entry.name, entry)
        for entry in root.iterdir()
        if entry.name.lower() in SPLIT_FOLDERS and (entry / IMAGES).is_dir()
    ]
    return [entry for _, _, entry in sorted(found)]


def _people(place: Path, folder: str) -> list[str]:
    """The folders of annotators; those that the pictures have, too, are ordinary folders."""
    if not (place / folder).is_dir():
        return []
    return sorted(
        entry.name
        for entry in (place / folder).iterdir()
        if entry.is_dir()
        and not entry.name.startswith(".")
        and not (place / IMAGES / entry.name).is_dir()
    )


def _part(place: Path, folder: str, *, kind: MapKind, progress: Progress) -> _Part:
    pictures = read_folder(place / IMAGES, labelled=False, progress=progress)
    if not isinstance(pictures.images, FileImages):
        raise TypeError("a folder must give files.")
    stems = tuple(PurePosixPath(name).with_suffix("").as_posix() for name in pictures.ids)
    people = {
        name: open_maps(place / folder / name, kind=kind, progress=progress)
        for name in _people(place, folder)
    }
    sizes = dict(zip(stems, map(tuple, pictures.images.sizes.tolist())))
    skipped = [f"{place / IMAGES}: {p}" for p in pictures.problems if p.action == "skipped"]
    return _Part(
        place=place,
        stems=stems,
        images=pictures.images,
        digests=pictures.digests or (),
        people=people,
        problems=(*skipped, *_twice(place, stems), *_unfit(place / folder, sizes, people)),
    )


def _twice(place: Path, stems: Sequence[str]) -> list[str]:
    if len(set(stems)) == len(stems):
        return []
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    return [f"{place / IMAGES}: several pictures are called '{stem}'." for stem in twice]


def _unfit(
    place: Path, sizes: Mapping[str, tuple[int, ...]], people: Mapping[str, Maps]
) -> list[str]:
    """Maps without a picture, pictures without a map, and sizes that differ."""
    problems = []
    drawn = {stem for maps in people.values() for stem in maps.ids}
    bare = sorted(set(sizes) - drawn)
    for name, maps in people.items():
        spare = [stem for stem in maps.ids if stem not in sizes]
        hints = near(spare[:SHOWN], [*bare, *sizes])
        problems += [
            f"{place / name}: '{stem}' has no picture.{hint}" for stem, hint in zip(spare, hints)
        ]
        problems += [""] * max(0, len(spare) - SHOWN)
        problems += [
            f"{place / name}: '{stem}' is {maps.shapes[stem][1]} x {maps.shapes[stem][0]} pixels, "
            f"its picture {sizes[stem][1]} x {sizes[stem][0]}."
            for stem in maps.ids
            if stem in sizes and maps.shapes[stem] != sizes[stem]
        ]
    return [*problems, *(f"{place}: nobody drew '{stem}'." for stem in bare)]
