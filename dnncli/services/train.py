"""Train a network: from options to a run folder."""

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from dnncli import config as configuration
from dnncli import recipes, rundir, runlock, trust
from dnncli.config import TrainConfig
from dnncli.errors import ConfigError, DnncliError, Interrupted, ModelError
from dnncli.registry import unknown
from dnncli.results import Progress, no_progress, plain, sweep, write_text
from dnncli.rundir import RunDir
from dnncli.services.places import BACKUP_SECONDS, borrowed, localized
from dnncli.services.resuming import check_same_data, resumed
from dnncli.urls import told_all

if TYPE_CHECKING:
    from dnncli.services.budget import Budget
    from dnncli.services.plan import Plan
    from dnncli.services.seeds import SeedsResult


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What a training run ended with."""

    schema: str
    run: Path
    state: str
    stopped: str  # "all epochs" or "early stop"
    epochs: int  # finished
    best_epoch: int  # counted from 1
    monitor: str  # what picked it
    best_value: float
    parameters: int
    seconds: float  # of training, start-up excluded
    task: str
    validation: dict[str, Any]  # scores of best.keras on the validation rows
    chosen_by_validation: dict[str, Any]  # epoch, temperature; threshold of the positive class
    calibration: dict[str, Any]  # temperature, and what it changes on the validation rows
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    test_rows: int = 0  # that nothing has seen

    @property
    def scores(self) -> dict[str, float | None]:
        """The scores of the validation rows by the names people know; empty without such rows."""
        found = self.validation
        if not found:
            return {}
        if self.task == "edges":
            return {"ODS": found["ods"], "OIS": found["ois"], "AP": found["ap"]}
        if self.task == "segment":
            macro = found["pooled"]["macro"]
            first = {"pixel accuracy": found["pooled"]["accuracy"]}
            first |= {"Dice": macro["dice"], "IoU": macro["iou"]}
        else:
            macro = found["averages"]["macro"]
            first = {"accuracy": found["accuracy"]}
        f_scores = {f"F{beta}": value for beta, value in macro["f"].items()}
        return first | {word: macro[word] for word in ("precision", "recall")} | f_scores


def load_config(
    data: str | Path,
    *,
    file: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[TrainConfig, dict[str, Any]]:
    """Merge a TOML file, `section.key` settings and flag words; later ones win.

    Returns:
        The configuration, and what was asked for explicitly ("section.key" -> value).
    """
    asked = dict(settings or {})
    for word, value in (options or {}).items():
        if word not in configuration.FLAGS:
            raise ConfigError(unknown(word, configuration.FLAGS, kind="option"))
        if value is not None:
            asked[configuration.FLAGS[word]] = value
    asked = {
        key: str(value) if isinstance(value, PurePath) else value for key, value in asked.items()
    }
    base = configuration.read_toml(Path(file)) if file else {}
    asked["data.path"] = str(data)
    source = str(file) if file else "settings"
    trust.check_imports(base, typed=asked, source=source)
    recipe = recipes.under(base, asked)
    return configuration.merge(base, asked, under=recipe, source=source), asked


@trust.scoped
def train(
    data: str | Path,
    *,
    config: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (),
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress = no_progress,
    listener: Any = None,
    allow_code: bool = False,  # noqa: ARG001 - `scoped` reads it
    **options: Any,
) -> "TrainResult | SeedsResult | dict[str, Any]":
    """Train a network on a data set and write a run folder.

    Args:
        data: a data set in any form `dnncli` reads.
        config: TOML file of settings.
        settings: "section.key" -> value, over the file.
        seeds: train one run for each, on one split, in `out`/seed-<n>; nothing: a single run.
        resume: go on with the run at `out`, or the newest unfinished one on `data`; where `out`
            holds the runs of several seeds, with those of them that are not finished.
        dry_run: only return the merged configuration and the plan; Keras is imported only to check
            options of parts.
        progress: told how far reading and decoding are.
        listener: `dnncli.training.listener.Listener`, told about steps and epochs.
        allow_code: import what `config`, a resumed run or a file of weights names as its code.
        **options: the command line's words, as `epochs=20, lr=0.01` (dnncli.config.FLAGS).

    Raises:
        ConfigError, DataError, ModelError: what is wrong, and what to do.
        Interrupted: after Ctrl-C, with what was finished saved.
    """
    note = getattr(listener, "note", None)
    with borrowed(progress=progress, every=BACKUP_SECONDS, note=note) as place:
        file = place(config, "file")
        merged, asked = load_config(data, file=file, settings=settings, options=options)
        _check_target(merged, asked)
        merged = localized(merged, place)
        how: dict[str, Any] = {"seeds": seeds, "resume": resume, "dry_run": dry_run}
        return told_all(_train(merged, asked, **how, progress=progress, listener=listener))


def _train(
    merged: TrainConfig,
    asked: dict[str, Any],
    *,
    seeds: Sequence[int],
    resume: bool,
    dry_run: bool,
    progress: Progress,
    listener: Any,
) -> "TrainResult | SeedsResult | dict[str, Any]":
    """`train` with settings that are merged and name nothing remote."""
    if resume and not merged.run.out:
        newest = rundir.newest_unfinished(Path(merged.data.path), seeds=bool(seeds))
        merged = replace(merged, run=replace(merged.run, out=str(newest)))
    if seeds or (resume and rundir.is_group(Path(merged.run.out))):
        from dnncli.services.seeds import train_seeds

        return train_seeds(
            merged,
            asked,
            seeds=seeds,
            resume=resume,
            dry_run=dry_run,
            progress=progress,
            listener=listener,
        )
    if dry_run:
        split = None
        if resume:
            run, merged = resumed(merged, asked)
            split = run.split if run.split.exists() else None
        else:
            rundir.choose(merged.run.out, data=Path(merged.data.path), model=merged.model.name)
        return planned(merged, split=split, progress=progress)
    return train_run(merged, asked, resume=resume, progress=progress, listener=listener)


def planned(
    config: TrainConfig, *, split: Path | None = None, progress: Progress = no_progress
) -> dict[str, Any]:
    """What --dry-run shows: the merged configuration, the plan, and notes.

    Keras is only imported if options were given that only the parts themselves know.
    """
    from dnncli.services import trial  # only now: a typo is answered without NumPy
    from dnncli.services.plan import make_plan

    plan = make_plan(config, split=split, progress=progress)
    if trial.has_own_parts(config):
        trial.build_parts(plan)
    return {
        "config": configuration.as_toml(plan.config),
        "plan": plan.summary(),
        "notes": list(plan.notes),
    }


def train_run(
    merged: TrainConfig,
    asked: dict[str, Any],
    *,
    resume: bool,
    progress: Progress = no_progress,
    listener: Any = None,
) -> TrainResult:
    """Train one run, or go on with it.

    Args:
        merged: all settings.
        asked: those that were asked for: a resumed run takes no others.
        resume: go on with the run at `run.out`.
        progress: told how far reading and decoding are.
        listener: told about steps and epochs.
    """
    from dnncli.services.budget import budget_of

    if resume:
        run = RunDir(Path(merged.run.out))
        run.read()  # else the lock would make the folder
        with runlock.held(run.path):
            return _go_on(merged, asked, progress=progress, listener=listener)
    budget = budget_of(merged, began=time.monotonic())
    from dnncli.services.plan import make_plan

    plan = make_plan(merged, progress=progress)
    data = Path(merged.data.path)
    run = rundir.choose(merged.run.out, data=data, model=plan.config.model.name)
    with runlock.held(run.path):
        return _execute(
            plan, run, budget=budget, resume=False, progress=progress, listener=listener
        )


def _go_on(
    merged: TrainConfig, asked: dict[str, Any], *, progress: Progress, listener: Any
) -> TrainResult:
    """Go on with the run at `run.out`, which this process has locked."""
    from dnncli.services.plan import make_plan

    run, merged = resumed(merged, asked)
    for folder in (run.path, run.backup.parent, run.path / run.SNAPSHOTS):
        sweep(folder)
    split = run.split if run.split.exists() else None
    plan = make_plan(merged, split=split, progress=progress)
    check_same_data(run.read_data(), plan, path=run.path)
    return _execute(plan, run, budget=None, resume=True, progress=progress, listener=listener)


def _check_target(merged: TrainConfig, asked: Mapping[str, Any]) -> None:
    """Refuse a target recall of no class: it would change nothing."""
    idle = [key for key in ("regime.recall", "regime.confidence") if key in asked]
    if idle and not merged.regime.positive:
        raise ConfigError(f"{idle[0]}: of which class? Name it with --positive CLASS.")


def _execute(
    plan: "Plan",
    run: RunDir,
    *,
    budget: "Budget | None",
    resume: bool,
    progress: Progress,
    listener: Any,
) -> TrainResult:
    """Everything that needs Keras: the run folder is made only once all of it was checked."""
    from dnncli import devices

    devices.load_tensorflow(plan.config.run.backend)
    from dnncli.services import faults, fitting, outcome

    settings = plan.config.run
    devices.configure(
        seed=settings.seed, precision=settings.precision, deterministic=settings.deterministic
    )
    prepare = fitting.prepare
    if plan.dataset.task != "classify":
        from dnncli.services.masks.fitting import prepare_masks as prepare
    watched = partial(
        faults.explained,
        plan.batch_size,
        datasets=(plan.dataset, plan.validation),
        max_pixels=plan.config.data.max_pixels,
    )
    with watched():
        job = prepare(plan, run, budget=budget, progress=progress, listener=listener)
    plan = job.plan
    saved = fitting.load_backup(run) if resume else None
    if saved is None:
        fitting.write_run(plan, run, job, command=sys.argv)
    else:
        write_text(run.config, configuration.as_toml(plan.config))
        run.update(
            state="running",
            resumed=rundir.now(),
            data=str(Path(plan.config.data.path).resolve()),
            ended=None,
            cause=None,
        )
    try:
        with watched():
            state = job.fit.train(saved)
            result = outcome.finish(job, run, state)
    except KeyboardInterrupt as interrupt:
        run.update(state="interrupted", ended=rundir.now())
        raise Interrupted(
            f"Stopped; the best and the last model are in {run.path}. "
            f"Go on with: dnncli train {plan.config.data.path} --out {run.path} --resume"
        ) from interrupt
    except (DnncliError, OSError) as error:
        if isinstance(error, ModelError) and not run.backup.exists():
            shutil.rmtree(run.path)  # not one epoch: there is nothing to keep or to go on with
        else:
            _mark_failed(run, str(error))
        raise
    except Exception as error:
        _mark_failed(run, repr(error))
        raise
    run.update(state="done", ended=rundir.now(), result=plain(result))
    return result


def _mark_failed(run: RunDir, cause: str) -> None:
    """Write the cause into run.json, unless even that cannot be written (a full disk)."""
    try:
        run.update(state="failed", ended=rundir.now(), cause=cause)
    except OSError:
        # The file of before is whole; the original error is the one to report.
        return
