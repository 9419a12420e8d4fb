"""Several runs that differ in their seed only: one split, one folder, members of a consensus."""

import shlex
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnncli import config as configuration
from dnncli import devices, rundir, runlock
from dnncli.config import TrainConfig
from dnncli.errors import ConfigError, DnncliError, Interrupted, ModelError
from dnncli.results import Progress, filled, no_progress, plain, write_json, write_text
from dnncli.rundir import GROUP, RunDir, is_group, is_run, read_group
from dnncli.services.places import at_hand
from dnncli.services.resuming import check_asked, check_same_data, saved_config
from dnncli.services.train import TrainResult, planned, train_run
from dnncli.urls import told_all

if TYPE_CHECKING:
    from dnncli.services.plan import Plan

_MOST = 2**31  # seeds are below


@dataclass(frozen=True, kw_only=True)
class SeedsResult:
    """What the runs of several seeds ended with."""

    schema: str
    out: Path
    seeds: tuple[int, ...]
    split: Path  # that all runs share
    runs: tuple[TrainResult, ...]
    trained: tuple[int, ...]  # the seeds trained now; the others were finished before
    validation: dict[str, dict[str, float | None]]  # score -> mean, sd, lowest and highest run
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Group:
    """The folder of the runs, and the settings they share."""

    path: Path
    config: TrainConfig  # without seed and folder
    seeds: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def split(self) -> Path:
        """`id,label,split,group` of every row, for all runs."""
        return self.path / "split.csv"

    def run(self, seed: int) -> RunDir:
        """The run of one seed."""
        return RunDir(self.path / f"seed-{seed}")

    def settings(self, seed: int) -> TrainConfig:
        """The configuration of one run."""
        data = replace(self.config.data, split=str(self.split))
        run = replace(self.config.run, seed=seed, out=str(self.run(seed).path))
        return replace(self.config, data=data, run=run)


def train_seeds(
    merged: TrainConfig,
    asked: dict[str, Any],
    *,
    seeds: Sequence[int],
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress = no_progress,
    listener: Any = None,
) -> SeedsResult | dict[str, Any]:
    """Train one run per seed, one after the other, all on the split that the first seed draws.

    Each run ends with the numbers that it would have had by itself with that split file.

    Args:
        merged: all settings; its seed and folder are replaced.
        asked: those that were asked for ("section.key" -> value).
        seeds: one or more, all different; when resuming, empty for those of the folder.
        resume: train what is not finished, and seeds that are new.
        dry_run: only return the merged configuration and the plan.
        progress: told how far reading and decoding are.
        listener: told about steps and epochs.

    Raises:
        ConfigError, DataError, ModelError: what is wrong, and what to do.
        Interrupted: after Ctrl-C, with what was finished saved.
    """
    _check_seeds(seeds, asked)
    if dry_run:
        if resume:
            group = _resumed(merged, asked, seeds)
            return _planned(group, group.settings(group.seeds[0]), progress=progress)
        group = _Group(path=Path(merged.run.out), config=merged, seeds=tuple(seeds))
        return _planned(group, _first(group), progress=progress)
    if resume:
        group = _resumed(merged, asked, seeds)
        with runlock.held(group.path):
            _check_data(group, progress=progress)
            _write(group, group.path, resumed=rundir.now(), result=None)
            return _train(group, asked, resume=True, progress=progress, listener=listener)
    group, plan = _new(merged, seeds, progress=progress)
    with runlock.held(group.path):
        _begin(group, plan)
        return _train(group, asked, resume=False, progress=progress, listener=listener)


def _train(
    group: _Group, asked: dict[str, Any], *, resume: bool, progress: Progress, listener: Any
) -> SeedsResult:
    """Train what is not finished, one run after the other."""
    tell = getattr(listener, "note", None) or (lambda _: None)
    found: dict[int, TrainResult] = {}
    trained = []
    try:
        for number, seed in enumerate(group.seeds, start=1):
            if _is_finished(group.run(seed), asked):
                found[seed] = _result_of(group.run(seed))
                continue
            folder = told_all(group.run(seed).path)
            tell(f"Seed {seed}, run {number} of {len(group.seeds)}: {folder}.")
            found[seed] = train_run(
                group.settings(seed),
                {key: value for key, value in asked.items() if key == "fit.epochs"},
                resume=is_run(group.run(seed).path),
                progress=progress,
                listener=listener,
            )
            trained.append(seed)
            devices.forget()
    except Interrupted as interrupt:
        raise Interrupted(
            f"Stopped in the run of seed {seed}; what is finished is in {group.path}. "
            f"Go on with: dnncli train {group.config.data.path} --out {group.path} --resume"
        ) from interrupt
    except DnncliError:
        if not resume and not any(group.run(seed).path.exists() for seed in group.seeds):
            shutil.rmtree(group.path)  # not one run began: nothing is to be kept
        raise
    return _finished(group, found, trained)


def _check_seeds(seeds: Sequence[int], asked: Mapping[str, Any]) -> None:
    problems = [
        f"{seed}: seeds are from 0 to {_MOST - 1}." for seed in seeds if not 0 <= seed < _MOST
    ]
    problems += [
        f"{seed}: is given twice; the runs would be the same."
        for seed in dict.fromkeys(seeds)
        if list(seeds).count(seed) > 1
    ]
    if "run.seed" in asked:
        problems.append("--seed: is for a single run. Leave it out.")
    if problems:
        raise ConfigError("--seeds:", problems)


def _first(group: _Group) -> TrainConfig:
    """The settings that the split of a new folder follows from."""
    return replace(group.config, run=replace(group.config.run, seed=group.seeds[0]))


def _planned(group: _Group, config: TrainConfig, *, progress: Progress) -> dict[str, Any]:
    told = planned(config, progress=progress)
    return told | {"plan": told["plan"] | {"seeds": list(group.seeds)}}


def _new(config: TrainConfig, seeds: Sequence[int], *, progress: Progress) -> "tuple[_Group, Plan]":
    """A new folder, which is not made yet, and what the first seed draws."""
    from dnncli.services.plan import make_plan

    group = _Group(path=Path(config.run.out), config=config, seeds=tuple(seeds))
    plan = make_plan(_first(group), progress=progress)
    model = f"{plan.config.model.name}-seeds"
    path = rundir.choose(config.run.out, data=Path(config.data.path), model=model).path
    return replace(group, path=path, notes=plan.notes), plan


def _begin(group: _Group, plan: "Plan") -> None:
    """Make the folder, with the split that the first seed drew."""
    from dnncli.data.split import write_split

    # seeds.json last, because it makes the folder a group: all that a resumed one reads is there.
    with filled(group.path, last=GROUP) as folder:
        write_split(plan.dataset, folder / group.split.name)
        fingerprint = plan.dataset.fingerprint
        _write(group, folder, fingerprint=fingerprint, started=rundir.now(), result=None)


def _check_data(group: _Group, *, progress: Progress) -> None:
    """Refuse to go on with other data, which would make members that saw different pictures.

    Raises:
        DataError: if they are other data.
    """
    from dnncli.services.plan import make_plan

    plan = make_plan(group.settings(group.seeds[0]), progress=progress)
    known = read_group(group.path)
    saved = {"fingerprint": known["fingerprint"], "path": known["data"]}
    check_same_data(saved, plan, path=group.path)


def _write(group: _Group, folder: Path, **entries: Any) -> None:
    """Write config.toml, then seeds.json, to a folder, keeping what the latter says already."""
    known = read_group(group.path) if is_group(group.path) else {}
    write_text(folder / "config.toml", configuration.as_toml(group.config))
    about = {
        "schema": "dnncli.seeds/1",
        "command": shlex.join(["dnncli", *sys.argv[1:]]),
        "data": str(Path(group.config.data.path).resolve()),
        "seeds": list(group.seeds),
    }
    write_json(folder / GROUP, known | about | entries)


def _resumed(merged: TrainConfig, asked: dict[str, Any], seeds: Sequence[int]) -> _Group:
    """The folder to go on with, its seeds and further ones.

    Raises:
        ConfigError: if there is none, nothing is left to do, or other settings were asked for.
    """
    path = Path(merged.run.out)
    if not merged.run.out or not is_group(path):
        raise ConfigError(
            "--resume: name the folder of the runs with --out; it holds a file seeds.json."
        )
    before = tuple(read_group(path)["seeds"])
    if lost := [seed for seed in before if seeds and seed not in seeds]:
        raise ConfigError(
            f"--seeds: {path} was begun with {', '.join(map(str, before))}. Left out now: "
            f"{', '.join(map(str, lost))}. Leave --seeds out, or name all of them and new ones."
        )
    saved = at_hand(saved_config(path / "config.toml", asked))
    check_asked(saved, merged, asked, path=path)
    epochs = merged.fit.epochs if "fit.epochs" in asked else saved.fit.epochs
    config = replace(
        saved,
        fit=replace(saved.fit, epochs=epochs),
        data=replace(saved.data, path=merged.data.path),
    )
    group = _Group(
        path=path, config=config, seeds=(*before, *(s for s in seeds if s not in before))
    )
    if all(_is_finished(group.run(seed), asked) for seed in group.seeds):
        raise ConfigError(
            f"--resume {path}: all its runs are finished. Ask for more with --epochs, or for "
            "further seeds with --seeds."
        )
    return group


def _is_finished(run: RunDir, asked: Mapping[str, Any]) -> bool:
    """Whether a run is done, and no more epochs than it had were asked for."""
    if not is_run(run.path) or run.read().get("state") != "done":
        return False
    had = configuration.read_toml(run.config).get("fit", {}).get("epochs") or 0
    return asked.get("fit.epochs", had) <= had


def _result_of(run: RunDir) -> TrainResult:
    """The result of a finished run, as it was saved."""
    try:
        saved = run.read()["result"]
        lists = {key: tuple(saved[key]) for key in ("classes", "notes")}
        return TrainResult(**saved | lists | {"run": run.path})
    except (KeyError, TypeError) as error:
        raise ModelError(
            f"{run.run}: its result cannot be read ({error}). Remove the folder to train it again."
        ) from error


def _finished(group: _Group, found: Mapping[int, TrainResult], trained: list[int]) -> SeedsResult:
    runs = tuple(found[seed] for seed in group.seeds)
    said = {note for run in runs for note in run.notes}
    result = SeedsResult(
        schema="dnncli.train-seeds/1",
        out=group.path,
        seeds=group.seeds,
        split=group.split,
        runs=runs,
        trained=tuple(trained),
        validation=_spread(runs),
        notes=tuple(note for note in group.notes if note not in said),
    )
    _write(group, group.path, ended=rundir.now(), result=plain(result))
    return result


def _spread(runs: Sequence[TrainResult]) -> dict[str, dict[str, float | None]]:
    """Mean, standard deviation and range of every score over the runs that have it."""
    told = [run.scores for run in runs]
    spread: dict[str, dict[str, float | None]] = {}
    for name in dict.fromkeys(name for scores in told for name in scores):
        values = [value for scores in told if (value := scores.get(name)) is not None]
        if values:
            spread[name] = {
                "mean": statistics.fmean(values),
                "sd": statistics.stdev(values) if len(values) > 1 else None,
                "lowest": min(values),
                "highest": max(values),
            }
    return spread
