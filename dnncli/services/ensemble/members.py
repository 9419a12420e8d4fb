"""Runs and .keras files as members of a consensus: each predicted once, then read from its file.

Shapes: N rows, M members.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dnncli.data.dataset import UNLABELLED, Dataset
from dnncli.data.detect import open_dataset
from dnncli.data.frames import SUFFIXES
from dnncli.data.names import near
from dnncli.errors import ConfigError, DataError, ModelError
from dnncli.networks.files import read_card
from dnncli.predictions import Predictions
from dnncli.results import Progress, no_progress
from dnncli.rundir import RunDir, is_group, is_run, lacking_seeds
from dnncli.services import predict
from dnncli.services.ensemble.kept import Member, keep, kept, keys_of
from dnncli.services.evaluation.remarks import chosen_on
from dnncli.services.predict import metadata_of
from dnncli.services.rows import (
    ALL,
    Opened,
    Rows,
    data_of,
    find_model,
    notes_on,
    open_for,
    run_of,
    splits_of,
)


@dataclass(frozen=True, kw_only=True)
class PredictedMembers:
    """What every member said about the same rows, in files; and what is true of them."""

    names: tuple[str, ...]  # (M,)
    files: tuple[Path, ...]  # (M,) Parquet, all with the same ids in the same order
    models: tuple[Path, ...]  # (M,) the .keras file of each; several views share one
    truth: Predictions | None  # labels of the N rows; None if the data set has none
    class_names: tuple[str, ...]
    split: str  # train, val, test, or "all"
    splits: tuple[str, ...]  # what else it could be, for some model
    computed: int  # members that were predicted now; the others had been before
    notes: tuple[str, ...]  # what the user should know


def are_models(targets: Sequence[str | Path]) -> bool:
    """Whether the targets are runs or .keras files; False: predictions files, or folders of maps.

    Raises:
        ConfigError: if there are both kinds.
    """
    models = [str(target) for target in targets if _is_model(Path(target))]
    others = [str(target) for target in targets if not _is_model(Path(target))]
    if models and others:
        raise ConfigError(
            f"{models[0]} is a model, but {others[0]} is none: give one kind. Predict the models "
            f"first: dnncli predict {models[0]} DATA --out FILE.parquet."
        )
    return bool(models)


@dataclass(frozen=True, kw_only=True)
class OpenedMembers:
    """Models, and the same rows to be predicted with each of them."""

    names: tuple[str, ...]  # (M,)
    rows: tuple[Rows, ...]  # (M,)
    splits: tuple[str, ...]  # what the split could be, for some model
    notes: tuple[str, ...]  # what the user should know


def open_members(
    targets: Sequence[str | Path],
    data: str | Path | None = None,
    *,
    split: str | None = None,
    on_bad: str = "skip",
    opener: Callable[..., Dataset] | None = None,
    progress: Progress = no_progress,
) -> OpenedMembers:
    """Find the models and open the data set for each; see `predicted`.

    Raises:
        ConfigError, DataError, ModelError: what does not fit together.
    """
    if not are_models(targets):
        raise ConfigError(f"{targets[0]}: is no run folder and no .keras file.")
    models = _named(targets)
    _check_classes(models)
    opener = opener or functools.cache(open_dataset)
    opened = [
        open_for(model, data or _data_of(models), on_bad=on_bad, opener=opener, progress=progress)
        for model in models.values()
    ]
    rows = _same_rows(list(models), opened, split=split)
    return OpenedMembers(
        names=tuple(models),
        rows=tuple(rows),
        splits=tuple(dict.fromkeys(entry for one in opened for entry in splits_of(one))),
        notes=(*_unfinished(targets, models), *(note for entry in rows for note in entry.notes)),
    )


def predicted(
    targets: Sequence[str | Path],
    data: str | Path | None = None,
    *,
    split: str | None = None,
    tta: int = 0,
    batch_size: int = predict.BATCH_SIZE,
    on_bad: str = "skip",
    opener: Callable[..., Dataset] | None = None,
    progress: Progress = no_progress,
) -> PredictedMembers:
    """Predict the rows of a data set with every model that was not asked before.

    What a model said is kept in `predictions/` beside its file, under a name that changes with the
    model, the data, the rows, the view and the versions; with all files there, TensorFlow is not
    imported.

    Args:
        targets: run folders (their snapshots if they have any, else best.keras), .keras files,
            and folders of runs, as `train --seeds` writes them.
        data: a data set; None: the one that all runs were trained on.
        split: train, val, test or all. None: test if the data set has one, else all rows.
        tta: views of every picture, each a member of its own, NAME~VIEW; 0: the picture alone.
        batch_size: pictures predicted at a time.
        on_bad: unreadable pictures: "skip" or "error".
        opener: opens data sets; for several splits of one, one that remembers those it opened.
        progress: told how far reading and predicting are.

    Raises:
        ConfigError, DataError, ModelError: what does not fit together, before anything is
            predicted.
    """
    opened = open_members(
        targets, data, split=split, on_bad=on_bad, opener=opener, progress=progress
    )
    rows = opened.rows
    members = list(_members(opened.names, rows, tta=tta))
    files, computed, unkept = _predict(members, batch_size=batch_size, progress=progress)
    notes = [
        *opened.notes,
        *(note for entry in rows for note in chosen_on(metadata_of(entry))),
        *unkept,
    ]
    return PredictedMembers(
        names=tuple(member.name for member in members),
        files=tuple(files[member.name] for member in members),
        models=tuple(member.rows.model for member in members),
        truth=_truth(rows[0]),
        class_names=tuple(rows[0].card["classes"]),
        split=rows[0].split,
        splits=opened.splits,
        computed=computed,
        notes=tuple(dict.fromkeys(notes)),
    )


def _is_model(path: Path) -> bool:
    """Whether a target is to be predicted with; what does not exist is, unless it is a table."""
    if path.is_dir():
        return is_run(path) or is_group(path) or bool(_inside(path))
    if path.is_file():
        return path.suffix == ".keras"
    return path.suffix not in (*SUFFIXES, ".png")


def _inside(folder: Path) -> list[Path]:
    """The runs of a folder of runs, or the models of a folder of snapshots, in natural order."""
    runs = [entry for entry in folder.iterdir() if is_run(entry)]
    found = runs or [entry for entry in folder.glob("*.keras") if is_run(folder.parent)]
    return sorted(found, key=lambda path: (len(path.stem), path.stem))


def _named(targets: Sequence[str | Path]) -> dict[str, Path]:
    """Name -> .keras file of every model, in the order given."""
    found: list[Path] = []
    for target in map(Path, targets):
        listed = _inside(target) if target.is_dir() and not is_run(target) else [target]
        if not listed:
            raise ModelError(
                f"{target}: none of its runs has begun. Go on with: dnncli train DATA --out "
                f"{target} --resume"
            )
        for entry in listed:
            snapshots = RunDir(entry).snapshots if is_run(entry) else ()
            found += snapshots or [find_model(entry)]
    twice = [model for model in dict.fromkeys(found) if found.count(model) > 1]
    if twice:
        raise ConfigError("Models that are named twice:", [str(model) for model in twice])
    names = [_name(model) for model in found]
    if len(set(names)) < len(names):  # runs of several folders may bear the same names
        names = [f"{_folder(model).parent.name}/{name}" for model, name in zip(found, names)]
    if len(set(names)) < len(names):
        names = [str(model) for model in found]
    return dict(zip(names, found, strict=True))


def tasks_of(targets: Sequence[str | Path]) -> dict[str, str]:
    """Name -> task of every model.

    Raises:
        ConfigError, ModelError: if a target is no model.
    """
    return {name: read_card(model)["task"] for name, model in _named(targets).items()}


def _unfinished(targets: Sequence[str | Path], models: dict[str, Path]) -> list[str]:
    """Notes on runs that have not been trained to their end, or not at all."""
    notes = []
    for path in map(Path, targets):
        if is_group(path) and (lacking := lacking_seeds(path)):
            notes.append(f"{path}: no run yet of seed {', '.join(map(str, lacking))}.")
    runs = {run.path: run for model in models.values() if (run := run_of(model)) is not None}
    for run in runs.values():
        state = run.read().get("state")
        if state != "done":
            notes.append(f"{run.path}: is not trained to its end (state: {state}).")
    return notes


def _folder(model: Path) -> Path:
    """The run folder of a model, or else the folder that it lies in."""
    run = run_of(model)
    return (run.path if run else model.parent).resolve()


def _name(model: Path) -> str:
    """RUN for its best.keras, RUN-3 for its third snapshot; else the file's stem."""
    if run_of(model) is None:
        return model.stem
    folder = _folder(model)
    return folder.name if model.stem == "best" else f"{folder.name}-{model.stem}"


def _data_of(models: dict[str, Path]) -> str:
    """The data set that all runs were trained on.

    Raises:
        ConfigError: if there is none, or more than one.
        DataError: if it is not there any more.
    """
    runs = {name: run_of(model) for name, model in models.items()}
    found = {name: data_of(run) for name, run in runs.items() if run is not None}
    paths = list(dict.fromkeys(found.values()))
    if len(paths) == 1:
        return paths[0]
    if not paths:
        raise ConfigError("--data: name the data set to predict; no model lies in a run folder.")
    lines = [f"{name}: {path}" for name, path in found.items()]
    raise ConfigError("--data: the runs were trained on several data sets. Name one:", lines)


def _check_classes(models: dict[str, Path]) -> None:
    """Refuse models of different classes before anything is opened."""
    (first, *_), classes = models, [read_card(model)["classes"] for model in models.values()]
    lines = []
    for name, known in zip(models, classes, strict=True):
        extra = [entry for entry in known if entry not in classes[0]]
        missing = [entry for entry in classes[0] if entry not in known]
        lines += [f"{name}: has no class '{entry}', which {first} has." for entry in missing]
        hints = near(extra, missing)
        lines += [
            f"{name}: has the class '{entry}', which {first} has not.{hint}"
            for entry, hint in zip(extra, hints, strict=True)
        ]
    if lines:
        raise ConfigError("The models do not know the same classes:", lines)


def _same_rows(names: Sequence[str], opened: Sequence[Opened], *, split: str | None) -> list[Rows]:
    """The rows to predict, the same for every model; a model without a split follows the others.

    Raises:
        ConfigError: if a split was asked for that no model knows.
        DataError: if the rows of the split differ from model to model.
    """
    available = list(dict.fromkeys(entry for one in opened for entry in splits_of(one)))
    split = split or ("test" if "test" in available else ALL)
    if split not in available:
        raise ConfigError(f"--split {split}: this data set has {', '.join(available)}.")
    first = next(place for place, one in enumerate(opened) if split in splits_of(one))
    ids = _ids(opened[first], split)
    problems = []
    for name, one in zip(names, opened, strict=True):
        theirs = _ids(one, split) if split in splits_of(one) else ids
        if different := sorted(set(ids) ^ set(theirs)):
            problems.append(
                f"{name}: {len(different)} ids differ from those of {names[first]} "
                f"(first: {different[0]})."
            )
    if problems:
        raise DataError(
            f"--split {split}: the rows are not the same for all models. Train members with one "
            "split (train --seeds, or --split FILE), or name a data set of new pictures:",
            problems,
        )
    return [_rows_of(one, ids, split=split) for one in opened]


def _ids(opened: Opened, split: str) -> Sequence[str]:
    ids = opened.dataset.ids
    return ids if split == ALL else [ids[row] for row in opened.dataset.rows(split)]


def _rows_of(opened: Opened, ids: Sequence[str], *, split: str) -> Rows:
    """The rows of these ids, in their order: data sets of other class orders have other orders."""
    place = {name: row for row, name in enumerate(opened.dataset.ids)}
    rows = np.array([place[name] for name in ids], np.int64)
    return Rows(
        dataset=opened.dataset,
        rows=rows,
        split=split,
        card=opened.card,
        model=opened.model,
        notes=notes_on(opened, rows, split=split),
    )


def _truth(rows: Rows) -> Predictions | None:
    """The labels of the rows, unless some have none."""
    if (rows.dataset.labels[rows.rows] == UNLABELLED).any():
        return None
    return predict.truth_of(rows.dataset, rows.rows)


def _members(names: Sequence[str], rows: Sequence[Rows], *, tta: int) -> Iterator[Member]:
    for name, entry in zip(names, rows, strict=True):
        model, asked = keys_of(entry)
        for view in predict.views_of(entry, tta):
            called = f"{name}~{view.name}" if tta else name
            yield Member(name=called, rows=entry, view=view, model_key=model, rows_key=asked)


def _predict(
    members: Sequence[Member], *, batch_size: int, progress: Progress
) -> tuple[dict[str, Path], int, list[str]]:
    """Predict what no file holds yet, all views of a model at once.

    Returns:
        The file of every member by name, how many were predicted now, and notes.
    """
    files = {member.name: file for member in members if (file := kept(member)) is not None}
    missing = [member for member in members if member.name not in files]
    notes = []
    for model in dict.fromkeys(member.rows.model for member in missing):
        asked = [member for member in missing if member.rows.model == model]
        rows = asked[0].rows
        told = functools.partial(_told, progress, asked[0].name.partition("~")[0])
        views = [member.view for member in asked]
        probs = predict.compute_views(rows, views, batch_size=batch_size, progress=told)
        for place, member in enumerate(asked):
            metadata = metadata_of(rows) | {"key": member.key, "view": member.view.name}
            found = predict.as_predictions(rows, probs[:, place], metadata=metadata)
            files[member.name], note = keep(member, found)
            notes += note
    return files, len(missing), notes


def _told(progress: Progress, name: str, what: str, done: int, total: int) -> None:
    """Progress that says which model is at work."""
    progress(f"{what} ({name})", done, total)
