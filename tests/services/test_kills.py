"""Trainings killed at random moments go on to the numbers of an uninterrupted one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dnncli.results import UNFINISHED, sweep

ROOT = Path(__file__).parents[2]


def figures(*options):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "faults.py", *options],
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return json.loads(done.stdout[done.stdout.index("{") :])


@pytest.mark.slow
def test_killed_at_random_moments_and_resumed_equals_uninterrupted():
    found = figures("--kills", "3", "--seed", "7")["kills"]
    assert found["lost"] == []
    assert found["survived"] == found["tried"] == 3


@pytest.mark.slow
def test_a_failing_machine_ends_in_one_message():
    found = figures("--faults", "--few")["faults"]
    assert found["lost"] == []
    assert found["survived"] == found["tried"] >= 5


def test_what_killed_processes_left_is_swept_away(tmp_path):
    (tmp_path / f"{UNFINISHED}x.keras").write_bytes(b"half")
    (tmp_path / f"{UNFINISHED}folder").mkdir()
    (tmp_path / f"{UNFINISHED}folder" / "x").write_bytes(b"half")
    (tmp_path / "best.keras").write_bytes(b"whole")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["best.keras"]
    sweep(tmp_path / "missing")
