"""Static augmentation: a data set enlarged by changed copies of its training pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.augmentation.offline import MANIFEST
from dnncli.augmentation.policies import Policy, check_masks, load_policy
from dnncli.data.dataset import Dataset, FileImages
from dnncli.data.header import MAX_PIXELS
from dnncli.errors import ConfigError, DataError
from dnncli.results import Progress, no_progress, to_json, written_folder
from dnncli.services.places import takes_urls
from dnncli.urls import told


@dataclass(frozen=True, kw_only=True)
class AugmentReport:
    """What `augment` wrote."""

    data: Path
    policy: str
    seed: int
    copies: int  # of each training picture
    training: int  # pictures that were copied
    untouched: int  # pictures of val and test, written as they are
    written: int  # pictures in OUT, copies included
    out: Path | None = None
    manifest: Path | None = None
    preview: Path | None = None
    warnings: tuple[str, ...] = ()


@takes_urls
def augment(
    data: Path | str,
    out: Path | str | None = None,
    *,
    copies: int = 1,
    policy: str | Path = "standard",
    seed: int = 0,
    preview: Path | str | None = None,
    split_file: Path | str | None = None,
    task: str = "auto",
    classes: Sequence[str] = (),
    on_bad: str = "skip",
    max_pixels: int = MAX_PIXELS,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> AugmentReport:
    """Write an enlarged data set as class folders, a contact sheet of the policy, or both.

    Every picture is written byte for byte as it was; each training picture is followed by its
    copies, as PNG. Pictures of val and test are never changed or copied. `manifest.csv` tells the
    source and the drawn parameters of every copy and is itself a data set.

    Pictures with masks or edges become such a folder again: masks move as their pictures do. There,
    the folder is the data set, and its `manifest.csv` tells which pictures belong together.

    Args:
        data: anything `open_dataset` reads.
        out: folder to make; None: only the preview.
        copies: of each training picture.
        policy: a name, a TOML file or an import string.
        seed: every random choice follows from it, the id of the picture and the copy's number.
        preview: picture file to write.
        split_file: says which pictures are training pictures; else the data set's own splits do.
            Without either, all are.
        task: of pictures with masks and edges, "segment" or "edges", whichever is wanted.
        overwrite: replace a folder that an earlier call has written.

    Raises:
        ConfigError: if an argument is wrong, or the policy mixes labels and `out` is given.
        DataError: if the data cannot be used, or `out` must not be written.
    """
    from dnncli import devices
    from dnncli.augmentation.preview import pick_rows, write_preview
    from dnncli.data.detect import find_task, open_dataset

    target = Path(out) if out is not None else None
    sheet = Path(preview) if preview is not None else None
    chosen = load_policy(policy)
    if task != "classify" and find_task(Path(data)) != "classify":
        check_masks(chosen)
    _check(target, sheet, Path(data), copies=copies, policy=chosen, overwrite=overwrite)
    dataset = open_dataset(
        data,
        task=task,
        classes=classes,
        split_file=split_file,
        on_bad=on_bad,
        max_pixels=max_pixels,
        progress=progress,
    )
    train = _training_rows(dataset)
    devices.load_tensorflow()
    if sheet is not None:
        write_preview(
            dataset, pick_rows(dataset, np.flatnonzero(train)), sheet, policy=chosen, seed=seed
        )
    count = 0
    if target is not None:
        count = _write(
            dataset, target, train=train, copies=copies, policy=chosen, seed=seed, progress=progress
        )
    return AugmentReport(
        data=Path(data),
        policy=chosen.name,
        seed=seed,
        copies=copies if target else 0,
        training=int(train.sum()),
        untouched=int((~train).sum()),
        written=count,
        out=target,
        manifest=target / MANIFEST if target else None,
        preview=sheet,
        warnings=_warnings(dataset, written=target is not None),
    )


def _check(
    out: Path | None,
    preview: Path | None,
    data: Path,
    *,
    copies: int,
    policy: Policy,
    overwrite: bool,
) -> None:
    """Everything that can be refused before a picture is read."""
    if out is None and preview is None:
        raise ConfigError("Nothing to do: give OUT, the folder to write, or --preview picture.png.")
    if copies < 1:
        raise ConfigError(f"copies: should be at least 1. Got {copies}.")
    if preview is not None:
        _check_preview(preview)
    if out is None:
        return
    if policy.mixing:
        raise ConfigError(
            f"policy '{policy.name}': {' and '.join(policy.mixing)} mix the labels of two "
            "pictures; class folders cannot hold such a picture. Use the policy while training "
            f"('dnncli train --augment {policy.name}'), or one without these steps."
        )
    if not policy.steps:
        raise ConfigError(f"policy '{policy.name}' has no steps: the copies would be duplicates.")
    _check_out(out, data, overwrite=overwrite)


def _check_preview(path: Path) -> None:
    from PIL import Image

    Image.init()
    suffix = path.suffix.lower()
    if Image.EXTENSION.get(suffix) not in Image.SAVE:
        raise ConfigError(f"{path}: not the name of a picture file. Use one that ends in .png.")


def _check_out(out: Path, data: Path, *, overwrite: bool) -> None:
    inner, outer = (Path(told(str(path.resolve()))) for path in (out, data))
    if inner == outer or inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise DataError(f"{out}: OUT and DATA must not lie inside each other. Choose another OUT.")
    if not out.exists() and not out.is_symlink():
        return
    if not overwrite:
        raise DataError(f"{out}: exists. Choose another OUT, or replace it with --overwrite.")
    if not (out / MANIFEST).is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(
            f"{out}: holds no {MANIFEST}, so 'dnncli augment' did not write it and --overwrite "
            "does not replace it. Remove it yourself, or choose another OUT."
        )


def _training_rows(dataset: Dataset) -> NDArray[np.bool_]:
    """(N,) which rows may be copied: those of train, or all if no split is declared."""
    if not dataset.declared_splits:
        return np.ones(len(dataset), bool)
    train = dataset.splits == "train"
    if not train.any():
        raise DataError(
            f"{dataset.root}: has no training pictures, only {', '.join(dataset.declared_splits)}. "
            "Nothing else is ever copied. Give a split file that names some."
        )
    return train


def _write(
    dataset: Dataset,
    out: Path,
    *,
    train: NDArray[np.bool_],
    copies: int,
    policy: Policy,
    seed: int,
    progress: Progress,
) -> int:
    """Write the enlarged data set; returns the number of its pictures."""
    from dnncli.augmentation import offline, offline_masks
    from dnncli.data.folder_writer import write_folder
    from dnncli.data.mask_writer import write_masked
    from dnncli.data.pictures import encoded, to_png

    enlarged = offline.enlarge(dataset, train=train, copies=copies)
    masks = enlarged.dataset.masks
    has_masks = masks is not None
    copier = offline_masks.mask_copier if has_masks else offline.copier
    # Picture and mask of a copy are asked for one after the other.
    make: Callable[[int, int], Any] = lru_cache(maxsize=1)(copier(dataset, policy, seed=seed))
    places: list[dict[str, str]] = [{}] * len(enlarged.dataset)
    parameters = [""] * len(enlarged.dataset)

    def picture(row: int) -> bytes:
        source, number = int(enlarged.sources[row]), int(enlarged.copies[row])
        if not number:
            return encoded(dataset.images, source)
        pixels, *_, drawn = make(source, number)
        parameters[row] = to_json(drawn, indent=None)
        return to_png(pixels)

    def mask(row: int) -> NDArray[np.uint8]:
        number = int(enlarged.copies[row])
        if number:
            return make(int(enlarged.sources[row]), number)[1]
        return masks.read(row)  # type: ignore[union-attr]

    def placed(row: int, *paths: str) -> None:
        places[row] = dict(zip(("path", "mask"), paths))

    with written_folder(out) as folder:
        common: dict[str, Any] = {"picture": picture, "placed": placed, "progress": progress}
        if has_masks:
            write_masked(enlarged.dataset, folder, mask=mask, **common)
        else:
            copied = isinstance(dataset.images, FileImages)
            write_folder(enlarged.dataset, folder, copied=copied, **common)
        rows = offline.manifest_rows(dataset, enlarged, places=places, policy=policy, seed=seed)
        offline.write_manifest(
            folder / MANIFEST,
            (row | {"parameters": text} for row, text in zip(rows, parameters, strict=True)),
            columns=offline_masks.COLUMNS if has_masks else offline.COLUMNS,
        )
    return len(enlarged.dataset)


def _warnings(dataset: Dataset, *, written: bool) -> tuple[str, ...]:
    found = []
    skipped = [problem for problem in dataset.problems if problem.action == "skipped"]
    if skipped:
        found.append(f"{len(skipped)} pictures were left out; the first: {skipped[0]}")
    if written and not dataset.declared_splits:
        whole = "OUT" if dataset.masks is not None else "OUT/manifest.csv"
        found.append(
            f"No split is declared, so every picture was copied. Use {whole} as DATA: its "
            "groups keep copies beside their source. Better: 'dnncli data split' first, then "
            "--split, so that val and test hold no copies."
        )
    return tuple(found)
