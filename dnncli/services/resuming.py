"""Going on with a run: what may change, and what must be as it was."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnncli import config as configuration
from dnncli import trust
from dnncli.config import TrainConfig
from dnncli.errors import ConfigError, DataError
from dnncli.rundir import RunDir
from dnncli.services.places import at_hand

if TYPE_CHECKING:
    from dnncli.services.plan import Plan

# What may change between a run and its continuation; everything else would change its numbers.
_RESUMABLE = ("fit.epochs", "run.out", "data.path", "data.cache", "data.cache_mb")


def resumed(merged: TrainConfig, asked: dict[str, Any]) -> tuple[RunDir, TrainConfig]:
    """The run to go on with and its configuration.

    Raises:
        ConfigError: if a setting was asked for that the run does not have.
    """
    path = merged.data.path
    run = RunDir(Path(merged.run.out))
    before = run.read()
    saved = at_hand(saved_config(run.config, asked))
    check_asked(saved, merged, asked, path=run.path)
    epochs = merged.fit.epochs if "fit.epochs" in asked else saved.fit.epochs
    if before.get("state") == "done" and (epochs or 0) <= (saved.fit.epochs or 0):
        result = before.get("result") or {}
        raise ConfigError(
            f"--resume {run.path}: this run is finished after {result.get('epochs')} epochs "
            f"({result.get('stopped')}). Ask for more with --epochs."
        )
    data = replace(saved.data, path=path)
    for name in ("cache", "cache_mb"):  # change nothing but the speed
        if f"data.{name}" in asked:
            data = replace(data, **{name: getattr(merged.data, name)})
    return run, replace(saved, fit=replace(saved.fit, epochs=epochs), data=data)


def saved_config(file: Path, asked: Mapping[str, Any]) -> TrainConfig:
    """The configuration that training began with.

    Raises:
        ConfigError: if it is damaged, or names code that was not asked for and is not allowed.
    """
    sections = configuration.read_toml(file)
    trust.check_imports(sections, typed=asked, source=str(file))
    return configuration.merge(sections, {}, source=str(file))


def check_asked(
    saved: TrainConfig, merged: TrainConfig, asked: Mapping[str, Any], *, path: Path
) -> None:
    """Refuse settings that were asked for but differ from those saved at `path`, or cannot follow.

    Raises:
        ConfigError: naming them.
    """
    wrong = [
        f"{key}: the run has {before!r}, asked for is {after!r}."
        for key, (before, after) in configuration.differences(saved, merged).items()
        if key in asked and key not in _RESUMABLE and not _stands_for(key, after, before)
    ]
    if wrong:
        raise ConfigError(f"--resume {path}: a run goes on with its own settings:", wrong)
    epochs = merged.fit.epochs if "fit.epochs" in asked else saved.fit.epochs
    if saved.fit.snapshots and epochs != saved.fit.epochs:
        raise ConfigError(
            f"--resume {path}: its {saved.fit.snapshots} snapshots divide the "
            f"{saved.fit.epochs} epochs it was begun with. Train anew for {epochs}."
        )


def _stands_for(key: str, asked: Any, settled: Any) -> bool:
    """Whether a run that was asked for `asked` may hold `settled`: the same command goes on."""
    if asked == "auto":
        return True
    if key != "fit.class_weight" or not isinstance(asked, str):
        return False
    from dnncli.services import regime

    return asked not in regime.CLASS_WEIGHTS and regime.read_class_weights(asked) == settled


def check_same_data(saved: Mapping[str, Any], plan: "Plan", *, path: Path) -> None:
    """Refuse data other than those that training at `path` began with.

    Args:
        saved: "fingerprint" and "path" of the data it began with.
        plan: what is to go on.
        path: folder of the run or the runs, for the message.

    Raises:
        DataError: if ids, labels or pictures differ.
    """
    if saved["fingerprint"] != plan.dataset.fingerprint:
        raise DataError(
            f"--resume {path}: the data set is not the one this training began with "
            f"({saved['path']}). Restore it, or train anew."
        )
