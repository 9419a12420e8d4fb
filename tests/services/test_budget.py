"""Training for a given time."""

import tomllib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

import dnncli
from dnncli.config import FitConfig, ModelConfig, OptimizerConfig, RegimeConfig, TrainConfig
from dnncli.errors import ConfigError
from dnncli.services.budget import Budget, budget_of, seconds, within
from dnncli.training.pace import Pace


@dataclass(frozen=True)
class Stub:
    """As much of a `Fit` as a budget looks at: 10 steps of a second, 2 s of validation."""

    config: TrainConfig
    judge: Any = None
    deadline: float | None = None
    batches: Any = field(default_factory=lambda: SimpleNamespace(steps_per_epoch=10))
    listener: Any = field(default_factory=lambda: SimpleNamespace(note=lambda _: None))

    def measure(self):
        return Pace(step=1.0, validation=2.0)


@pytest.fixture
def no_time_passes(monkeypatch):
    monkeypatch.setattr("dnncli.services.budget.time.monotonic", lambda: 50.0)


@pytest.mark.parametrize(
    ("text", "value"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("2", 120), (" .5 m ", 30)]
)
def test_times_are_read(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "soon", "0", "-1m", "1d", "1m30s"])
def test_what_is_no_time_is_refused_with_what_is(text):
    with pytest.raises(ConfigError, match="must be a time such as 90s, 10m or 1.5h"):
        seconds(text)


@pytest.mark.parametrize(
    ("left", "settings", "asked", "epochs"),
    [
        (1000, {}, None, 77),  # (0.93 1000 - 3 2) / 12
        (1000, {"judge": True}, None, 66),  # the judge predicts the validation rows once more
        (1000, {}, 5, 5),
        (1, {}, None, 1),
        (-5, {}, None, 1),
        (1000, {"fit": FitConfig(snapshots=10)}, None, 70),
        (1, {"fit": FitConfig(validation_freq=3)}, None, 3),
    ],
)
@pytest.mark.usefixtures("no_time_passes")
def test_there_are_as_many_epochs_as_fit(left, settings, asked, epochs):
    config = TrainConfig(fit=settings.get("fit", FitConfig()))
    budget = Budget(deadline=50 + left, epochs=asked, early_stop=None)
    found = within(budget, Stub(config=config, judge=settings.get("judge")))
    assert found.config.fit.epochs == epochs
    assert found.deadline == budget.deadline


@pytest.mark.usefixtures("no_time_passes")
def test_patience_follows_from_the_epochs_that_fit():
    config = TrainConfig(optimizer=OptimizerConfig(schedule="constant"), fit=FitConfig(epochs=7))
    budget = Budget(deadline=1050, epochs=None, early_stop=None)
    assert within(budget, Stub(config=config)).config.regime.early_stop == 39
    mine = Budget(deadline=1050, epochs=None, early_stop=4)
    assert within(mine, Stub(config=config)).config.regime.early_stop == 4


def test_without_a_budget_nothing_changes():
    stub = Stub(config=TrainConfig())
    assert within(budget_of(stub.config, began=0.0), stub) is stub


def test_what_counts_epochs_itself_is_refused():
    config = TrainConfig(model=ModelConfig(unfreeze=3), fit=FitConfig(time_budget="1m"))
    with pytest.raises(ConfigError, match=r"--time-budget: not with model\.unfreeze"):
        budget_of(config, began=0.0)


def test_what_the_user_settled_is_kept():
    config = TrainConfig(
        fit=FitConfig(time_budget="1m", epochs=3), regime=RegimeConfig(early_stop=2)
    )
    assert budget_of(config, began=5.0) == Budget(deadline=65.0, epochs=3, early_stop=2)


def test_a_run_has_the_epochs_that_fitted_and_goes_on_with_them(patterns, tmp_path):
    out = tmp_path / "run"
    result = dnncli.train(patterns, out=out, time_budget="1s", image_size=(8, 8))
    settings = tomllib.loads((out / "config.toml").read_text())["fit"]
    assert settings["time_budget"] == "1s"
    assert settings["epochs"] >= result.epochs >= 1
    more = dnncli.train(
        patterns, out=out, resume=True, epochs=settings["epochs"] + 1, image_size=(8, 8)
    )
    assert more.epochs == settings["epochs"] + 1


def test_a_wrong_time_is_refused_before_anything_is_written(patterns, tmp_path):
    with pytest.raises(ConfigError, match="must be a time"):
        dnncli.train(patterns, out=tmp_path / "run", time_budget="long")
    assert not (tmp_path / "run").exists()
