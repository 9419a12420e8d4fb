"""What is a URL, how it is written, and which URL a path into the cache stands for."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from dnncli import urls
from dnncli.errors import ConfigError
from dnncli.urls import Url, copy_folder, is_remote, normal, told, told_all


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    urls._is_known.cache_clear()
    yield tmp_path / "cache"
    urls._is_known.cache_clear()


@pytest.mark.parametrize("text", ["s3://b/x", "s3:/b/x", "gs://b", "S3://b/x", "memory://x"])
def test_urls_of_known_protocols_are_remote(text):
    assert is_remote(text) and is_remote(Path(text))


@pytest.mark.parametrize(
    "value",
    [
        *("runs/a", "/data/s3/x", "./s3", "s3", "s3:", "s3:x", "a/s3://b", "file:///x", "C:/x"),
        *("nosuch://b/x", "labels:/x", "", None, 3, ["s3://b/x"]),
    ],
)
def test_everything_else_is_local(value):
    assert not is_remote(value)


def test_a_local_folder_of_the_same_name_is_not_mistaken_for_storage(tmp_path):
    (tmp_path / "s3:").mkdir()
    with pytest.raises(ConfigError, match=r"s3:/b/x: a folder 's3:' lies here"):
        is_remote(Path("s3:/b/x"))
    assert not is_remote(tmp_path / "s3:" / "b")


def test_without_fsspec_the_common_protocols_are_still_known(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.registry", None)
    assert is_remote("s3://b/x")
    assert not is_remote("nosuch://b/x")


@pytest.mark.parametrize("text", ["s3://b/x", "s3:/b/x", "s3://b/x/", "S3://b//x"])
def test_one_url_is_written_in_one_way(text):
    assert normal(text) == normal(Path(text)) == "s3://b/x"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ftp://me:secret@host/x", "holds a password"),
        ("https://host/x?key=secret", "has a query"),
        ("s3://b/../x", "are not allowed"),
        ("s3://b/x::zip", "are not allowed"),
    ],
)
def test_what_must_not_be_written_down_is_refused_without_repeating_it(text, what):
    with pytest.raises(ConfigError, match=what) as caught:
        normal(text)
    assert "secret" not in str(caught.value)


def test_paths_of_copies_are_told_as_urls():
    folder = copy_folder("s3://b/set")
    folder.mkdir(parents=True)
    (folder / urls.ENTRY).write_text(json.dumps({"url": "s3://b/set", "base": "s3://b/set"}))
    assert (
        told(f"{folder}/set/a.png: bad; see {folder}/set.")
        == "s3://b/set/a.png: bad; see s3://b/set."
    )
    assert told("/nothing/of/this") == "/nothing/of/this"

    @dataclasses.dataclass(frozen=True)
    class Result:
        out: Path
        names: tuple[str, ...]
        n: int = 3

    found = told_all(Result(folder / "set" / "a", (str(folder / "set"), "x")))
    assert str(found.out / "b") == "s3://b/set/a/b"
    assert found.names == ("s3://b/set", "x")
    same = Result(Path("a"), ("b",))
    assert told_all(same) is same


def test_a_url_is_a_path_whose_text_keeps_both_slashes():
    assert str(Url("s3://b/x") / "y.json") == "s3://b/x/y.json"
