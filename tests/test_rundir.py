"""Run folders: where they go, and what is said when they cannot."""

import json

import pytest

from dnncli import rundir
from dnncli.errors import ConfigError, ModelError
from dnncli.rundir import RunDir


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_run(path, **entries):
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(entries))


def test_runs_are_numbered_and_never_replaced(here):
    data = here / "pets"
    assert str(rundir.choose("", data=data, model="cnn").path) == "runs/pets-cnn"
    make_run(here / "runs" / "pets-cnn")
    assert str(rundir.choose("", data=data, model="cnn").path) == "runs/pets-cnn-2"


def test_an_existing_run_is_not_overwritten(here):
    make_run(here / "mine")
    with pytest.raises(ConfigError, match="mine: exists already.*--resume"):
        rundir.choose("mine", data=here, model="cnn")


def test_an_empty_folder_may_be_used(here):
    (here / "empty").mkdir()
    assert rundir.choose("empty", data=here, model="cnn") == RunDir(
        rundir.choose("empty", data=here, model="cnn").path
    )


def test_the_newest_unfinished_run_on_the_data_is_resumed(here):
    data = here / "pets"
    make_run(here / "runs" / "a", state="done", data=str(data))
    make_run(here / "runs" / "b", state="interrupted", data=str(data))
    make_run(here / "runs" / "c", state="interrupted", data=str(here / "other"))
    assert rundir.newest_unfinished(data).path.name == "b"
    with pytest.raises(ConfigError, match="no unfinished run"):
        rundir.newest_unfinished(here / "nowhere")


def test_a_folder_that_is_no_run_is_named(here):
    with pytest.raises(ModelError, match="is not a run folder"):
        RunDir(here).read()


def test_updates_keep_the_other_entries(here):
    run = RunDir(here / "r")
    run.update(a=1, b=2)
    run.update(b=3)
    assert run.read() == {"a": 1, "b": 3}
