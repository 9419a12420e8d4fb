import json

import pytest
from map_support import read_picture, write_pictures
from typer.testing import CliRunner

from dnncli.cli.app import app


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def drawn(tmp_path):
    """One picture that ann and bob drew; they agree on one pixel of two."""
    write_pictures(tmp_path / "data" / "images", x=[[5, 5]])
    write_pictures(tmp_path / "data" / "masks" / "ann", x=[[255, 255]])
    write_pictures(tmp_path / "data" / "masks" / "bob", x=[[255, 0]])
    return tmp_path / "data"


def test_inspect_shows_annotators_and_their_agreement(drawn):
    result = run("data", "inspect", drawn)
    assert result.exit_code == 0
    for text in ("2 for 1 pictures", "ann", "Krippendorff's alpha", "at least 2 as foreground"):
        assert text in result.stdout
    report = json.loads(run("data", "inspect", drawn, "--json").stdout)
    assert report["kind"] == "annotators"
    assert report["agreement"]["observed"] == 0.5


def test_convert_merges_annotators(drawn, tmp_path):
    out = tmp_path / "out"
    words = ("--annotators", "at-least", "--annotators-k", 1)
    result = run("data", "convert", drawn, out, *words)
    assert result.exit_code == 0
    assert read_picture(out / "masks" / "x.png") == [[1, 1]]
    assert "1 pictures of 2 classes" in result.stdout


def test_convert_says_what_it_needs(drawn, tmp_path):
    result = run("data", "convert", drawn, tmp_path / "out")
    assert result.exit_code == 2
    assert "--annotators majority" in result.stderr
    assert not (tmp_path / "out").exists()


def test_consensus_joins_folders_of_masks(drawn, tmp_path):
    masks, out = drawn / "masks", tmp_path / "out"
    result = run("consensus", masks / "ann", masks / "bob", "--out", out, "--json")
    assert result.exit_code == 0
    assert read_picture(out / "maps" / "x.png") == [[1, 255]]
    report = json.loads(result.stdout)
    assert (report["models"], report["coverage"]) == (["ann", "bob"], 0.5)
    words = ("--tie", "positive", "--positive", "foreground", "--out", out)
    assert run("consensus", masks / "ann", masks / "bob", *words).exit_code == 0
    assert read_picture(out / "maps" / "x.png") == [[1, 1]]


def test_consensus_of_masks_of_different_shapes_is_one_message(tmp_path):
    write_pictures(tmp_path / "a", x=[[1, 0]])
    write_pictures(tmp_path / "b", x=[[1]])
    result = run("consensus", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "'x'" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()
