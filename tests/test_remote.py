"""Copies of remote files, with fsspec's file system in memory."""

import sys
from pathlib import Path

import pytest

from dnncli.errors import ConfigError, DataError
from dnncli.remote import mirror, send

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")


@pytest.fixture(autouse=True)
def memory(tmp_path, monkeypatch):
    """An empty file system in memory; the cache lies in the test's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.fixture
def fetched(memory, monkeypatch):
    """Names of the files that are fetched."""
    names = []
    original = type(memory).get_file

    def get_file(self, source, target, **options):
        names.append(source)
        return original(self, source, target, **options)

    monkeypatch.setattr(type(memory), "get_file", get_file)
    return names


def put(memory, **files):
    for name, text in files.items():
        memory.pipe_file("/set/" + name.replace("__", "/").replace("_", "."), text.encode())


def tree(path):
    return {
        file.relative_to(path).as_posix(): file.read_text()
        for file in path.rglob("*")
        if file.is_file()
    }


def test_a_folder_is_copied_once_and_then_only_what_changed(memory, fetched):
    put(memory, a__1_txt="one", b__2_txt="two")
    memory.pipe_file("/set2/x.txt", b"another folder")
    copy = mirror("memory://set")
    assert tree(copy.local) == {"a/1.txt": "one", "b/2.txt": "two"}
    assert copy.local.name == "set"
    assert sorted(fetched) == ["/set/a/1.txt", "/set/b/2.txt"]
    mirror(Path("memory://set"))
    assert len(fetched) == 2
    put(memory, a__1_txt="new")
    assert tree(mirror("memory://set/").local)["a/1.txt"] == "new"
    assert fetched[2:] == ["/set/a/1.txt"]


def test_what_vanished_there_vanishes_here_with_its_folder(memory):
    put(memory, a__1_txt="one", b__2_txt="two")
    path = mirror("memory://set").local
    memory.rm_file("/set/b/2.txt")
    mirror("memory://set")
    assert tree(path) == {"a/1.txt": "one"}
    assert not (path / "b").exists()


def test_a_damaged_copy_is_fetched_again(memory):
    put(memory, a_txt="one")
    path = mirror("memory://set").local
    (path / "a.txt").write_text("damaged")
    mirror("memory://set")
    assert tree(path) == {"a.txt": "one"}


def test_one_file_and_a_pattern(memory):
    put(memory, train_0="a", train_1="b", val_0="c", deep__train_0="d")
    assert mirror("memory://set/val.0").local.read_text() == "c"
    found = mirror("memory://set/train.*").local
    assert {path.name for path in found.parent.glob(found.name)} == {"train.0", "train.1"}
    assert tree(found.parent) == {"train.0": "a", "train.1": "b"}


def test_a_file_may_become_a_folder_and_a_folder_a_file(memory):
    memory.pipe_file("/set", b"file")
    path = mirror("memory://set").local
    assert path.read_text() == "file"
    memory.rm_file("/set")
    put(memory, a_txt="one")
    assert tree(mirror("memory://set").local) == {"a.txt": "one"}
    memory.rm("/set", recursive=True)
    memory.pipe_file("/set", b"file")
    assert mirror("memory://set").local.read_text() == "file"


@pytest.mark.parametrize("key", ["/set/../out.txt", "/set/a/../../out.txt", "/set//etc/x"])
def test_names_that_lead_out_of_the_folder_are_refused(memory, key, tmp_path):
    put(memory, a_txt="one")
    memory.store[key] = memory.store["/set/a.txt"]
    with pytest.raises(DataError, match=r"memory://set: holds names that no local folder can have"):
        mirror("memory://set")
    assert list(tmp_path.rglob("*.txt")) == []


def test_nothing_there_is_an_error_unless_it_is_to_be_written(memory):
    with pytest.raises(DataError, match=r"memory://set: there is no such file or folder"):
        mirror("memory://set")
    copy = mirror("memory://set", needed=False)
    assert not copy.local.exists()


def test_a_table_brings_the_pictures_that_it_lists(memory):
    put(memory, t_csv="x", a__1_png="1", a__2_png="2", b__3_png="3")
    copy = mirror("memory://set/t.csv", listed=lambda _: ["a/1.png", "./b/3.png", "gone.png"])
    assert tree(copy.local.parent) == {"t.csv": "x", "a/1.png": "1", "b/3.png": "3"}


@pytest.mark.parametrize("name", ["../x.png", "/etc/passwd", "a/../../x.png", "s3://b/x.png"])
def test_a_table_that_lists_files_elsewhere_is_refused(memory, name):
    put(memory, t_csv="x")
    with pytest.raises(DataError, match=r"set/t.csv: lists files that do not lie beside it"):
        mirror("memory://set/t.csv", listed=lambda _: [name])


def test_only_what_changed_is_sent_and_never_what_is_not_whole(memory):
    put(memory, a_txt="one", b_txt="two", c_txt="three")
    copy = mirror("memory://set", keep=True)
    assert send(copy) == 0
    (copy.local / "a.txt").write_text("changed")
    (copy.local / "b.txt").unlink()
    (copy.local / "new").mkdir()
    (copy.local / "new" / "d.txt").write_text("four")
    (copy.local / "new" / ".tmp-x").write_text("half")
    (copy.local / ".tmp-folder").mkdir()
    (copy.local / ".tmp-folder" / "e.txt").write_text("half")
    put(memory, other_txt="of somebody else")
    assert send(copy) == 3
    there = {name: memory.cat_file(name).decode() for name in memory.find("/set")}
    assert there == {
        "/set/a.txt": "changed",
        "/set/c.txt": "three",
        "/set/new/d.txt": "four",
        "/set/other.txt": "of somebody else",
    }
    assert send(copy) == 0


def test_an_upload_that_was_cut_off_goes_on(memory, monkeypatch):
    copy = mirror("memory://set", keep=True, needed=False)
    copy.local.mkdir()
    for name in "abc":
        (copy.local / name).write_text(name)
    original = type(memory).put_file

    def put_file(self, source, target, **options):
        if target.endswith("/b"):
            raise OSError("connection lost")
        return original(self, source, target, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "put_file", put_file)
        with pytest.raises(DataError, match=r"set/b: cannot be written: connection lost"):
            send(copy, in_order=True)
    assert "/set/b" not in memory.find("/set")
    again = mirror("memory://set", keep=True)
    assert tree(again.local) == {"a": "a", "b": "b", "c": "c"}
    send(again)
    assert sorted(memory.find("/set")) == ["/set/a", "/set/b", "/set/c"]


def test_what_another_machine_wrote_meanwhile_wins_over_what_was_not_sent(memory):
    put(memory, a_txt="one")
    copy = mirror("memory://set", keep=True)
    (copy.local / "a.txt").write_text("not sent")
    put(memory, a_txt="of another machine")
    assert tree(mirror("memory://set", keep=True).local) == {"a.txt": "of another machine"}


def test_files_are_sent_in_the_order_in_which_they_were_written(memory, monkeypatch):
    import os

    copy = mirror("memory://set", keep=True, needed=False)
    copy.local.mkdir()
    for time, name in enumerate(["z", "run.json", "a"], start=1):
        (copy.local / name).write_text(name)
        os.utime(copy.local / name, (time, time))
    sent = []
    original = type(memory).put_file

    def put_file(self, source, target, **options):
        sent.append(target.rpartition("/")[2])
        return original(self, source, target, **options)

    monkeypatch.setattr(type(memory), "put_file", put_file)
    send(copy, in_order=True)
    assert sent == ["z", "run.json", "a"]


def test_missing_packages_are_named(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "gcsfs", None)
        with pytest.raises(ConfigError, match=r"gs needs .* 'dnncli\[remote\]' gcsfs"):
            mirror("gs://b/x")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fsspec.core", None)
        with pytest.raises(ConfigError, match=r"s3://b/x: .*pip install 'dnncli\[remote\]'$"):
            mirror("s3://b/x")
