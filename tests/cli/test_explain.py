"""`dnncli explain` as typed."""

import json

import pytest
from typer.testing import CliRunner

import dnncli
from dnncli.cli.app import app


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def attentive(patterns, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "se"
    settings = {"run.tensorboard": False, "model.attention": "se", "model.options": {"width": 4}}
    dnncli.train(patterns, out=str(out), model="cnn", epochs=1, settings=settings)
    return out


def test_tables_show_pictures_and_gates(attentive):
    result = run("explain", attentive, "--limit", 2)
    assert result.exit_code == 0, result.output
    for text in ("peak (row, column)", "test/across/000.png", "stage1_attention_gate", "spread"):
        assert text in result.stdout
    assert "2 pictures" in result.stderr


def test_json_is_what_the_folder_holds(attentive, tmp_path):
    words = ("test/dots/000.png", "--class", "down", "--out", tmp_path / "out", "--json")
    result = run("explain", attentive, *words)
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert shown == json.loads((tmp_path / "out" / "explain.json").read_text())
    assert shown["pictures"][0]["explained"] == "down"
    assert shown["gates"][0]["spread"] is None  # of one picture


def test_mistakes_end_with_code_2_and_write_nothing(attentive, tmp_path):
    out = tmp_path / "out"
    result = run("explain", attentive, "--layer", "stage9", "--out", out)
    assert result.exit_code == 2
    assert "Unknown layer 'stage9'" in result.stderr
    assert run("explain", tmp_path / "nowhere").exit_code == 2
    assert not out.exists()
