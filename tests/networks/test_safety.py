"""A .keras file is looked into before it is opened: what it unpacks to, and what it would run."""

import json
import sys
import zipfile

import pytest
from typer.testing import CliRunner

from dnncli import trust
from dnncli.cli.app import app
from dnncli.errors import ModelError
from dnncli.networks.files import load_model, read_card
from dnncli.networks.safety import foreign_classes, read_config

CARD = {"task": "classify", "classes": ["a", "b"]}


def layer(name, module="keras.layers", **more):
    return {"class_name": name, "module": module, "config": {}, "registered_name": None, **more}


def archive(path, *layers, members=(), packed=zipfile.ZIP_STORED):
    config = {"class_name": "Functional", "module": "keras", "config": {"layers": list(layers)}}
    config["config"]["dnncli"] = CARD
    with zipfile.ZipFile(path, "w", packed) as file:
        file.writestr("config.json", json.dumps(config))
        for name, data in members:
            file.writestr(name, data)
    return path


def test_layers_of_keras_and_of_ours_are_no_foreign_code(tmp_path):
    ours = layer("ECA", "dnncli.networks.blocks.attention", registered_name="dnncli>ECA")
    relu = {"class_name": "function", "module": "builtins", "config": "relu"}
    inner = layer("Dense", config={"activation": relu, "kernel": layer("HeNormal", "keras.init")})
    assert read_card(archive(tmp_path / "m.keras", ours, inner)) == CARD


@pytest.mark.parametrize(
    ("evil", "named"),
    [
        (layer("Lambda"), "Lambda"),
        (layer("TFSMLayer"), "TFSMLayer"),
        (layer("Evil", "evil.layers"), "Evil of evil.layers"),
        (layer("Evil", None, registered_name="pack>Evil"), "Evil"),
        (layer("KerasEvil", "kerasevil"), "KerasEvil of kerasevil"),
        ({"class_name": "function", "module": "os", "config": "system"}, "system of os"),
        (layer("Dense", config={"a": [{"b": layer("Lambda")}]}), "Lambda"),
        (layer("Dense", config={"f": layer("__lambda__", "builtins")}), "a Python lambda"),
    ],
)
def test_foreign_code_is_refused_with_the_way_to_allow_it(tmp_path, evil, named):
    path = archive(tmp_path / "m.keras", layer("Dense"), evil)
    with pytest.raises(ModelError, match=r"add --allow-code") as caught:
        read_card(path)
    assert caught.value.problems == (named,)
    with trust.allowing(allowed=True):
        assert read_card(path) == CARD


@pytest.mark.parametrize("command", ["predict", "eval", "explain", "consensus"])
def test_every_command_refuses_before_anything_is_imported(tmp_path, command):
    path = archive(tmp_path / "m.keras", layer("Evil", "evil_layers"))
    (tmp_path / "evil_layers.py").write_text("raise SystemExit('it was run')")
    done = CliRunner().invoke(app, [command, str(path)])
    assert done.exit_code == 2
    assert "Evil of evil_layers" in done.stderr
    assert "--allow-code" in done.stderr


def test_the_weights_of_a_backbone_are_refused_too(tmp_path):
    path = archive(tmp_path / "m.keras", layer("Lambda"))
    with pytest.raises(ModelError, match="--allow-code"):
        load_model(path)


def test_an_allowed_class_is_found_by_its_module(tmp_path, monkeypatch):
    (tmp_path / "own_layers_of_test.py").write_text("class Mine: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    mine = layer("Mine", "own_layers_of_test", registered_name="Custom>Mine")
    path = archive(tmp_path / "m.keras", mine)
    with pytest.raises(ModelError, match="Mine of own_layers_of_test"):
        foreign_classes(path)
    assert "own_layers_of_test" not in sys.modules
    with trust.allowing(allowed=True):
        found = foreign_classes(path)
    assert set(found) == {"Mine", "Custom>Mine"}


def test_an_allowed_class_that_is_not_there_is_named(tmp_path):
    path = archive(tmp_path / "m.keras", layer("Mine", "no_such_module_anywhere"))
    with (
        trust.allowing(allowed=True),
        pytest.raises(ModelError, match="no_such_module_anywhere:Mine"),
    ):
        foreign_classes(path)


@pytest.mark.parametrize("name", ["../out.txt", "/etc/out.txt", "a/../../out.txt", "C:\\out.txt"])
def test_members_outside_of_the_archive_are_refused(tmp_path, name):
    path = archive(tmp_path / "m.keras", members=[(name, b"x")])
    with pytest.raises(ModelError, match="written outside of it"):
        read_config(path)


def test_an_archive_that_unpacks_to_many_times_its_size_is_refused(tmp_path):
    bomb = [("assets/zeros", bytes(70_000_000))]
    path = archive(tmp_path / "m.keras", members=bomb, packed=zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match=r"unpacks to 70 MB, 1,\d+ times"):
        read_config(path)


def test_a_huge_configuration_is_refused_though_it_is_not_packed(tmp_path):
    path = archive(tmp_path / "m.keras", {"pad": " " * 70_000_000})
    with pytest.raises(ModelError, match="more than 67 MB"):
        read_config(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{", "null", '{"config": 3}'])
def test_a_broken_configuration_is_named(tmp_path, text):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as file:
        file.writestr("config.json", text)
    with pytest.raises(ModelError, match="m.keras"):
        read_card(tmp_path / "m.keras")
