"""Looking at many pictures at once."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dnncli.data.dataset import Route
from dnncli.data.scan import digest, scan, scan_bytes


@pytest.fixture
def paths(tmp_path):
    """600 files: pictures, every seventh no picture, every eleventh a TIFF."""
    rng = np.random.default_rng(0)
    names = []
    for index in range(600):
        path = tmp_path / f"{index:03d}.jpg"
        if index % 7 == 3:
            path.write_text("no picture")
        else:
            pixels = rng.integers(0, 256, (index % 5 + 1, 4, 3), np.uint8)
            form = "TIFF" if index % 11 == 0 else "JPEG"
            Image.fromarray(pixels).convert("L" if index % 2 else "RGB").save(path, form)
        names.append(str(path))
    return names


def test_order_is_that_of_the_paths(paths):
    seen = scan(paths)
    assert list(seen.problems) == list(range(3, 600, 7))
    assert set(seen.problems.values()) == {"not an image but text."}
    good = seen.good.tolist()
    assert good == [index for index in range(600) if index % 7 != 3]
    assert seen.sizes[good].tolist() == [[index % 5 + 1, 4] for index in good]
    assert seen.grey[good].tolist() == [bool(index % 2) for index in good]
    pillow = [index for index in good if index % 11 == 0]
    assert np.flatnonzero(seen.routes[good] == Route.PILLOW).tolist() == [
        good.index(index) for index in pillow
    ]


def test_files_and_bytes_are_judged_alike(paths):
    files = scan(paths)
    seen = scan_bytes(Path(path).read_bytes() for path in paths)
    for name in ("routes", "sizes", "grey"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(files, name))
    assert (seen.digests, seen.problems) == (files.digests, files.problems)


def test_digests_are_equal_where_the_bytes_are(paths):
    seen = scan([paths[0], paths[1], paths[0], paths[3]])
    assert seen.digests[0] == seen.digests[2] != seen.digests[1]
    assert [len(entry) for entry in seen.digests] == [16, 16, 16, 0]
    assert digest(b"a") != digest(b"b")


def test_progress_reaches_the_end_and_never_goes_back(paths):
    told = []
    scan(paths, progress=lambda what, done, total: told.append((done, total)))
    assert told[-1] == (600, 600)
    assert told == sorted(told)
    assert len(told) > 1


def test_threads_see_what_one_thread_sees(paths, monkeypatch):
    alone = scan(paths)
    monkeypatch.setattr("dnncli.data.scan._SLOW", 0.0)  # every file counts as slow
    monkeypatch.setattr("dnncli.data.scan._CHUNK", 7)
    monkeypatch.setattr("dnncli.data.scan._ROUND", 5)
    together = scan(paths)
    for name in ("routes", "sizes", "grey"):
        np.testing.assert_array_equal(getattr(together, name), getattr(alone, name))
    assert (together.digests, together.problems) == (alone.digests, alone.problems)
    assert together.notes == alone.notes


def test_names_below_a_folder_are_the_same_as_whole_paths(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x.png").write_bytes(b"no picture")
    whole = scan([str(tmp_path / "a/x.png")])
    assert (
        scan(["a/x.png"], folder=str(tmp_path)).problems
        == whole.problems
        == {0: "not an image but text."}
    )


def test_nothing_gives_empty_arrays():
    seen = scan([])
    assert seen.sizes.shape == (0, 2)
    assert len(seen.good) == 0


def test_what_cannot_be_opened_is_named_and_nothing_waits(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    (tmp_path / "folder.jpg").mkdir()
    names = ["pipe.jpg", "gone.jpg", "self.jpg", "folder.jpg", "absent.jpg"]
    seen = scan([str(tmp_path / name) for name in names])
    whats = [seen.problems[index] for index in range(5)]
    assert whats[:2] == ["not a regular file.", "a link to nothing."]
    assert whats[2].startswith("cannot be opened:")
    assert whats[3:] == ["not a regular file.", "no such file."]


def test_no_thread_is_left_behind(paths):
    before = threading.active_count()
    scan(paths)
    assert threading.active_count() == before
