"""Plain data, strict JSON, and files that are whole or absent."""

import json
import math
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dnncli.errors import DnncliError
from dnncli.results import filled, is_empty, plain, to_json, write_text, written


def test_undefined_numbers_become_null_and_numpy_becomes_plain():
    @dataclass(frozen=True)
    class Result:
        path: Path
        scores: np.ndarray

    value = {"r": Result(Path("a/b"), np.array([1.0, math.nan])), "n": np.int64(2**53 + 1)}
    assert plain(value) == {"r": {"path": "a/b", "scores": [1.0, None]}, "n": 2**53 + 1}
    assert json.loads(to_json(value))["r"]["scores"] == [1.0, None]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "out.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), written(path) as neighbour:
        neighbour.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_filled_with_all_files_or_none(tmp_path):
    with filled(tmp_path / "run", last="a") as hidden:
        write_text(hidden / "a", "1")
        write_text(hidden / "b", "2")
        assert is_empty(tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["a", "b"]
    with pytest.raises(RuntimeError), filled(tmp_path / "other", last="a") as hidden:
        write_text(hidden / "a", "1")
        raise RuntimeError
    assert not list((tmp_path / "other").iterdir())


def test_a_folder_that_a_killed_process_began_to_fill_is_as_good_as_empty(tmp_path):
    code = (
        "import os, signal; from pathlib import Path; from dnncli.results import filled\n"
        f"with filled(Path({str(tmp_path / 'run')!r}), last='a') as hidden:\n"
        "    (hidden / 'a').touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    assert list((tmp_path / "run").iterdir())
    assert is_empty(tmp_path / "run")
    (tmp_path / "run" / "mine").touch()
    assert not is_empty(tmp_path / "run")
    assert not is_empty(tmp_path / "nowhere")


def test_new_files_get_the_users_usual_rights(tmp_path):
    usual = tmp_path / "usual"
    usual.write_text("")
    write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == usual.stat().st_mode


def test_the_first_twenty_problems_are_shown_and_the_rest_counted():
    message = str(DnncliError("bad.csv:", [f"row {number}" for number in range(50)]))
    assert "row 19" in message
    assert "row 20" not in message
    assert message.endswith("... and 30 more.")
