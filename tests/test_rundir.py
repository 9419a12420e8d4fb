"""Run folders: where they go, and what is said when they cannot."""

import json
import os

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
    (here / "runs" / "damaged").mkdir()
    (here / "runs" / "damaged" / "run.json").write_text("{")
    assert rundir.newest_unfinished(data).name == "b"
    with pytest.raises(ConfigError, match="no unfinished run"):
        rundir.newest_unfinished(here / "nowhere")


def test_unfinished_runs_of_several_seeds_are_found_as_one_folder(here):
    data = here / "pets"
    for name, result in (("finished", {"n": 1}), ("begun", None)):
        make_run(here / "runs" / name / "seed-1", state="done", data=str(data))
        entries = {"seeds": [1, 2], "data": str(data), "result": result}
        (here / "runs" / name / "seeds.json").write_text(json.dumps(entries))
    assert rundir.newest_unfinished(data).name == "begun"
    assert rundir.lacking_seeds(here / "runs" / "begun") == [2]
    make_run(here / "runs" / "single", state="interrupted", data=str(data))
    os.utime(here / "runs" / "single" / "run.json", ns=(2**62, 2**62))
    assert rundir.newest_unfinished(data).name == "single"
    assert rundir.newest_unfinished(data, seeds=True).name == "begun"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "it is no JSON object"),
        ("{}", "it lists no seeds"),
        ('{"seeds": ["../x"]}', "it lists no seeds"),
    ],
)
def test_a_list_of_seeds_that_cannot_be_read_is_named(here, text, why):
    (here / "seeds.json").write_text(text)
    with pytest.raises(ModelError, match=rf"seeds\.json: cannot be read \({why}\)"):
        rundir.lacking_seeds(here)


@pytest.mark.parametrize("text", ["{}", '{"data": 3}', '{"data": null}'])
def test_a_run_that_names_no_data_set_says_so(here, text):
    (here / "run.json").write_text(text)
    with pytest.raises(ModelError, match="names no data set"):
        RunDir(here).trained_on()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"path": "x"}', "[" * 100_000])
def test_a_damaged_description_of_the_data_is_named(here, text):
    (here / "data.json").write_text(text)
    with pytest.raises(ModelError, match=r"data\.json: cannot be read"):
        RunDir(here).read_data()


def test_what_a_killed_start_left_makes_no_folder_taken(here):
    (here / "mine" / ".tmp-1").mkdir(parents=True)
    assert rundir.choose("mine", data=here, model="cnn").path.name == "mine"


def test_a_folder_that_is_no_run_is_named(here):
    with pytest.raises(ModelError, match="is not a run folder"):
        RunDir(here).read()


def test_updates_keep_the_other_entries(here):
    run = RunDir(here / "r")
    run.update(a=1, b=2)
    run.update(b=3)
    assert run.read() == {"a": 1, "b": 3}
