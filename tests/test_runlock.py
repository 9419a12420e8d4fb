"""One training at a time in a run folder; the lock of a dead process holds nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dnncli import rundir, runlock
from dnncli.cli.app import app
from dnncli.errors import ConfigError
from dnncli.results import LOCK, is_empty

HOLD = """
import sys, time
from pathlib import Path
from dnncli import runlock
with runlock.held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of `run`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path, holder):
    match = rf"process {holder.pid} on .+ since 20"
    with pytest.raises(ConfigError, match=match) as caught, runlock.held(tmp_path / "run"):
        pass
    assert "another --out" in str(caught.value)
    assert json.loads((tmp_path / "run" / LOCK).read_text())["pid"] == holder.pid


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_dead_process_is_taken_over(tmp_path, holder, how):
    holder.send_signal(how)
    holder.wait()
    assert (tmp_path / "run" / LOCK).exists()
    runlock.check_free(tmp_path / "run")
    with runlock.held(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / LOCK).read_text())["pid"] == os.getpid()
    assert not (tmp_path / "run" / LOCK).exists()


@pytest.mark.parametrize("resume", [False, True])
def test_train_is_refused_before_the_data_is_used(tmp_path, holder, patterns, resume):
    run = tmp_path / "run"
    (run / "run.json").write_text('{"state": "running"}')
    more = ["--resume"] if resume else []
    done = CliRunner().invoke(app, ["train", str(patterns), "--out", str(run), *more])
    assert done.exit_code == 2
    assert f"process {holder.pid}" in done.stderr
    assert sorted(path.name for path in run.iterdir()) == [LOCK, "run.json"]


def test_a_folder_that_holds_only_a_lock_counts_as_empty_once_it_is_free(tmp_path, holder):
    assert is_empty(tmp_path / "run")
    with pytest.raises(ConfigError, match="training here"):
        rundir.choose(str(tmp_path / "run"), data=tmp_path, model="cnn")
    holder.kill()
    holder.wait()
    chosen = rundir.choose(str(tmp_path / "run"), data=tmp_path, model="cnn")
    assert chosen.path == tmp_path / "run"


def test_a_folder_made_for_the_lock_goes_with_it_unless_it_was_used(tmp_path):
    with runlock.held(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / LOCK).exists()
    assert not (tmp_path / "a").exists()
    with runlock.held(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "run.json").write_text("{}")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["run.json"]


def test_without_locks_of_the_system_the_named_process_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(runlock, "fcntl", None)
    folder = tmp_path / "run"
    folder.mkdir()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    own = json.loads(json.dumps(runlock._self()))
    for about, is_free in (
        (own | {"pid": ended.pid}, True),
        (own | {"pid": os.getppid()}, False),
        (own | {"pid": ended.pid, "host": "elsewhere"}, False),
        ({"pid": "x", "host": own["host"]}, True),
    ):
        (folder / LOCK).write_text(json.dumps(about))
        if is_free:
            with runlock.held(folder):
                pass
        else:
            with pytest.raises(ConfigError, match=f"process {about['pid']}"):
                runlock.check_free(folder)
    (folder / LOCK).write_text("half writ")
    with runlock.held(folder):
        pass


def test_many_processes_at_once_never_share_a_lock(tmp_path):
    script = (
        "import sys, os\n"
        "from pathlib import Path\n"
        "from dnncli import runlock\n"
        "from dnncli.errors import ConfigError\n"
        "folder = Path(sys.argv[1])\n"
        "won = 0\n"
        "for _ in range(300):\n"
        "    try:\n"
        "        with runlock.held(folder / 'run'):\n"
        "            os.close(os.open(folder / 'alone', os.O_CREAT | os.O_EXCL))\n"
        "            os.unlink(folder / 'alone')\n"
        "            won += 1\n"
        "    except ConfigError:\n"
        "        pass\n"
        "print(won)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        )
        for _ in range(4)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert sum(int(text) for text in outputs) >= 300


def test_a_full_disk_leaves_no_lock_and_no_folder_behind(tmp_path):
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from dnncli import runlock\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try:\n"
        "    with runlock.held(Path(sys.argv[1])):\n"
        "        pass\n"
        "except OSError as error:\n"
        "    print(error.filename)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.stdout.strip() == str(tmp_path / "run" / LOCK)
    assert not (tmp_path / "run").exists()
