"""Runs of several seeds: one split, the numbers of single runs, and going on after a stop."""

import json
import shutil

import pytest
from tests_support import write_patterns

import dnncli
from dnncli.config import read_toml
from dnncli.errors import ConfigError, DataError, Interrupted
from dnncli.rundir import RunDir
from dnncli.services.seeds import SeedsResult

QUICK = {"model": "cnn", "epochs": 2, "augment": "light", "batch_size": 8}
SETTINGS = {"run.tensorboard": False, "model.dropout": 0.3}


def train(data, out, **options):
    return dnncli.train(data, out=str(out), settings=SETTINGS, **(QUICK | options))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Patterns without declared splits, so that the split follows from the seed."""
    return write_patterns(tmp_path_factory.mktemp("data") / "d", splits={"": 12})


@pytest.fixture(scope="module")
def pair(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "pair"
    return out, train(data, out, seeds=(3, 1))


class Stopper:
    """A listener that presses Ctrl-C in the given epoch, counted over all runs."""

    def __init__(self, epoch):
        self.left = epoch

    def note(self, text):
        pass

    plan = note
    step = None

    def epoch(self, done, total, logs):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_every_run_has_the_split_of_the_first_seed(data, pair):
    out, result = pair
    dnncli.split(data, out=out.parent / "split.csv", seed=3)
    expected = (out / "split.csv").read_text()
    assert expected == (out.parent / "split.csv").read_text()
    assert [run.run for run in result.runs] == [out / "seed-3", out / "seed-1"]
    for seed in (3, 1):
        assert RunDir(out / f"seed-{seed}").split.read_text() == expected
        assert RunDir(out / f"seed-{seed}").read()["seed"] == seed


def test_a_run_among_several_has_the_numbers_of_a_run_by_itself(data, pair, tmp_path):
    out, result = pair
    alone = train(data, tmp_path / "alone", seed=1, split=str(out / "split.csv"))
    assert RunDir(out / "seed-1").history.read_text() == RunDir(alone.run).history.read_text()
    assert result.runs[1].validation == alone.validation


def test_the_runs_are_spread_over_a_mean(pair):
    _, result = pair
    values = [run.validation["accuracy"] for run in result.runs]
    spread = result.validation["accuracy"]
    assert spread["mean"] == pytest.approx(sum(values) / 2)
    assert spread["sd"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert (spread["lowest"], spread["highest"]) == (min(values), max(values))


def test_a_stopped_group_goes_on_where_it_was(data, pair, tmp_path):
    out = tmp_path / "pair"
    with pytest.raises(Interrupted, match=r"in the run of seed 1; .* --out .*pair --resume"):
        train(data, out, seeds=(3, 1), listener=Stopper(3))
    resumed = dnncli.train(data, out=str(out), resume=True)
    assert isinstance(resumed, SeedsResult)
    assert resumed.trained == (1,)
    for seed in (3, 1):
        name = f"seed-{seed}/history.csv"
        assert (out / name).read_text() == (pair[0] / name).read_text()
    assert [run.validation for run in resumed.runs] == [run.validation for run in pair[1].runs]
    assert json.loads((out / "seeds.json").read_text())["seeds"] == [3, 1]


def test_further_seeds_and_epochs_can_be_asked_for_later(data, tmp_path):
    out = tmp_path / "group"
    train(data, out, seeds=(1,), epochs=1, model="mlp")
    with pytest.raises(ConfigError, match="all its runs are finished"):
        dnncli.train(data, out=str(out), resume=True)
    with pytest.raises(ConfigError, match=r"begun with 1\. Left out now: 1\."):
        dnncli.train(data, out=str(out), resume=True, seeds=(2,))
    with pytest.raises(ConfigError, match=r"optimizer\.learning_rate: the run has None"):
        dnncli.train(data, out=str(out), resume=True, seeds=(1, 2), lr=0.5)
    more = dnncli.train(data, out=str(out), resume=True, seeds=(1, 2))
    assert more.seeds == (1, 2)
    assert more.trained == (2,)
    assert read_toml(out / "seed-2" / "config.toml")["model"]["name"] == "mlp"
    longer = dnncli.train(data, out=str(out), resume=True, epochs=2)
    assert longer.trained == (1, 2)
    assert [run.epochs for run in longer.runs] == [2, 2]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_members_are_never_added_on_other_data_and_nothing_is_written(data, pair, tmp_path):
    out, other = tmp_path / "pair", tmp_path / "d"
    shutil.copytree(pair[0], out)
    shutil.copytree(data, other)
    shutil.copy(other / "dots" / "000.png", other / "down" / "000.png")
    before = contents(out)
    with pytest.raises(DataError, match="pair: the data set is not the one this training began"):
        dnncli.train(other, out=str(out), resume=True, seeds=(3, 1, 2))
    shutil.rmtree(other / "down")
    with pytest.raises(DataError):
        dnncli.train(other, out=str(out), resume=True, seeds=(3, 1, 2))
    assert contents(out) == before


def test_cycles_cannot_become_longer_and_nothing_is_written(data, tmp_path):
    settings = SETTINGS | {"fit.snapshots": 2}
    dnncli.train(data, out=str(tmp_path), settings=settings, seeds=(1,), **QUICK)
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match="its 2 snapshots divide the 2 epochs"):
        dnncli.train(data, out=str(tmp_path), resume=True, epochs=4)
    assert contents(tmp_path) == before


def test_fewer_epochs_than_were_trained_leave_nothing_to_do(data, pair):
    for out in (pair[0], pair[0] / "seed-1"):
        with pytest.raises(ConfigError, match="Ask for more"):
            dnncli.train(data, out=str(out), resume=True, epochs=1)


def test_a_group_whose_run_was_killed_while_its_folder_was_made_goes_on(
    data, pair, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "runs" / "pair"
    shutil.copytree(pair[0], out)
    shutil.rmtree(out / "seed-1")
    (out / "seed-1" / ".tmp-1").mkdir(parents=True)
    (out / "seed-1" / ".tmp-1" / "config.toml").touch()
    about = json.loads((out / "seeds.json").read_text())
    (out / "seeds.json").write_text(json.dumps(about | {"result": None}))
    resumed = dnncli.train(data, resume=True)  # found without its name
    assert resumed.trained == (1,)
    assert resumed.runs[1].validation == pair[1].runs[1].validation


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"seeds": (1, 1)}, "1: is given twice"),
        ({"seeds": (-1, 2)}, "-1: seeds are from 0 to 2147483647"),
        ({"seeds": (1, 2), "seed": 3}, "--seed: is for a single run"),
        ({"seeds": (1, 2), "resume": True}, "name the folder of the runs with --out"),
        ({"seeds": (1, 2), "settings": {"loss.options": {"gama": 2}}}, "gama"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(data, tmp_path, options, answer):
    with pytest.raises(ConfigError, match=answer):
        dnncli.train(data, out=str(tmp_path / "out"), **(QUICK | options))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_not_touched(data, pair):
    with pytest.raises(ConfigError, match="exists already.* by --resume"):
        train(data, pair[0], seeds=(3, 1))


def test_a_dry_run_names_the_seeds_and_writes_nothing(data, tmp_path):
    told = train(data, tmp_path / "out", seeds=(3, 1), dry_run=True)
    assert told["plan"]["seeds"] == [3, 1]
    assert not (tmp_path / "out").exists()
