"""A configuration file runs code of its own only where the user said so."""

import json

import pytest
from typer.testing import CliRunner

from dnncli import trust
from dnncli.cli.app import app
from dnncli.data.csvfile import as_text, frame_as_text
from dnncli.errors import ConfigError
from dnncli.services.train import load_config

OWN = {
    "model": {"name": "evil:net", "kernel_initializer": "evil:start"},
    "loss": {"name": "dice+evil:loss"},
    "optimizer": {"name": "evil:optimizer", "schedule": "evil:schedule"},
    "augment": {"policy": "evil:policy"},
    "fit": {"callbacks": ["evil:Callback"]},
}


def test_every_import_string_of_a_file_is_named():
    with pytest.raises(ConfigError, match="--allow-code") as caught:
        trust.check_imports(OWN, typed=(), source="f.toml")
    assert len(caught.value.problems) == 7
    with trust.allowing(allowed=True):
        trust.check_imports(OWN, typed=(), source="f.toml")


def test_what_was_typed_needs_no_leave_and_a_policy_file_is_no_code():
    file = {"model": {"name": "evil:net"}, "augment": {"policy": "C:\\mine.toml"}, "loss": 3}
    trust.check_imports(file, typed={"model.name"}, source="f.toml")


def test_the_file_of_train_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "f.toml").write_text('[model]\nname = "evil:net"\n')
    arguments = ["train", str(tmp_path), "-c", str(tmp_path / "f.toml")]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert "model.name = 'evil:net'" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_typed_import_string_goes_through(tmp_path):
    config, _ = load_config(tmp_path, settings={"model.name": "mine:net"})
    assert config.model.name == "mine:net"


def test_a_run_folder_from_elsewhere_is_refused_on_resume(tmp_path):
    (tmp_path / "config.toml").write_text('[fit]\ncallbacks = ["evil:Callback"]\n')
    (tmp_path / "run.json").write_text(json.dumps({"state": "running", "data": str(tmp_path)}))
    done = CliRunner().invoke(app, ["train", str(tmp_path), "--out", str(tmp_path), "--resume"])
    assert done.exit_code == 2
    assert "evil:Callback" in done.stderr
    assert "--allow-code" in done.stderr


def test_leave_ends_with_the_call_that_got_it():
    with pytest.raises(ZeroDivisionError), trust.allowing(allowed=True):
        1 / 0  # noqa: B018
    assert not trust.code_allowed()


@pytest.mark.parametrize("text", ["=cmd()", "+SUM(A1)", "-rf.jpg", "@x", "\tx", "\rx", "=1+1"])
def test_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text):
    assert as_text(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["a=b", "-1", "+2.5e-3", "", "007", -1.5, None, True])
def test_other_cells_stay_what_they_are(cell):
    assert as_text(cell) is cell


def test_a_table_of_formulas_is_made_safe():
    import polars as pl

    frame = pl.DataFrame({"=id": ["=a", "b", None, "-1"], "n": [-1, 2, 3, 4]})
    safe = frame_as_text(frame)
    assert safe.columns == ["'=id", "n"]
    assert safe["'=id"].to_list() == ["'=a", "b", None, "-1"]
    assert safe["n"].to_list() == [-1, 2, 3, 4]
