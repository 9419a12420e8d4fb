"""Verbs on URLs, with a file system in memory (no TensorFlow) and with a local S3 server."""

import json
import shutil
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from tests_support import write_patterns
from typer.testing import CliRunner

import dnncli
from dnncli.cli.app import app
from dnncli.errors import ConfigError, DataError, Interrupted
from dnncli.remote import send
from dnncli.services import places

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")

LABELS = "id,label\na,cat\nb,dog\nc,cat\nd,dog\n"
SCORES = "id,cat,dog\na,0.9,0.1\nb,0.2,0.8\nc,0.4,0.6\nd,0.3,0.7\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Nothing is shared with other tests, or with the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.fixture
def pictures(tmp_path, memory):
    """Six pictures of two classes at memory://data/set, with a table beside them."""
    local = write_patterns(tmp_path / "local", splits={"": 6}, size=8)
    memory.put(f"{local}/", "/data/set", recursive=True)
    names = sorted(path.relative_to(local).as_posix() for path in local.rglob("*.png"))
    rows = "".join(f"set/{name},{name.split('/')[0]}\n" for name in names)
    memory.pipe_file("/data/some.csv", f"path,label\n{rows}".encode())
    return local


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_line_reads_and_writes_urls(pictures, memory):
    found = run("data", "split", "memory://data/set", "--out", "memory://out/split.csv", "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["data"], told["out"]) == ("memory://data/set", "memory://out/split.csv")
    assert memory.cat_file("/out/split.csv").startswith(b"id,label,split")
    again = run("data", "split", "memory://data/set", "--out", "memory://out/split.csv")
    assert again.exit_code == 2
    assert "memory://out/split.csv: exists already" in again.stderr


def test_python_and_the_command_line_say_the_same(pictures):
    local = dnncli.inspect(pictures)
    remote = dnncli.inspect("memory://data/set")
    assert str(remote.root) == "memory://data/set"
    assert (remote.classes, remote.health) == (local.classes, local.health)


def test_a_table_of_pictures_is_a_data_set(pictures):
    found, whole = dnncli.inspect("memory://data/some.csv"), dnncli.inspect(pictures)
    assert (found.health.rows, found.classes) == (18, whole.classes)


def test_errors_name_the_url_and_nothing_is_written(pictures, memory, tmp_path):
    before = set(memory.find("/"))
    memory.pipe_file("/data/bad.csv", b"path,class\nx.png,cat\n")
    with pytest.raises(DataError, match=r"^memory://data/bad\.csv: no column 'label'"):
        dnncli.split("memory://data/bad.csv", out="memory://out/split.csv")
    assert set(memory.find("/")) - before == {"/data/bad.csv"}


def test_converting_into_the_data_itself_is_refused(pictures, memory):
    before = memory.find("/")
    with pytest.raises(DataError, match="memory://data/set/x.*lies in"):
        dnncli.convert("memory://data/set", "memory://data/set/x", to="folder")
    assert memory.find("/") == before


def test_an_output_that_is_replaced_leaves_nothing_of_the_old_one(pictures, memory):
    memory.pipe_file("/out/set/old.txt", b"old")
    with pytest.raises(DataError, match="memory://out/set: exists already"):
        dnncli.convert("memory://data/set", "memory://out/set", to="tfrecord")
    assert memory.find("/out") == ["/out/set/old.txt"]
    dnncli.convert("memory://data/set", "memory://out/set", to="tfrecord", overwrite=True)
    assert "/out/set/old.txt" not in memory.find("/out")
    assert dnncli.inspect("memory://out/set").health.rows == 18


def test_predictions_are_scored_where_they_lie(memory):
    memory.pipe_file("/p/one.csv", SCORES.encode())
    memory.pipe_file("/p/truth.csv", LABELS.encode())
    report = dnncli.evaluate("memory://p/one.csv", truth="memory://p/truth.csv", out="memory://p/e")
    assert report.accuracy == 0.75
    assert str(report.out) == "memory://p/e"
    assert b"/cache/" not in memory.cat_file("/p/e/metrics.json")
    chosen = {"positive": "cat", "recall": 0.5, "out": "memory://p/t.json"}
    dnncli.threshold("memory://p/one.csv", truth="memory://p/truth.csv", **chosen)
    assert b"cat" in memory.cat_file("/p/t.json")
    memory.pipe_file("/p/two.csv", SCORES.encode())
    dnncli.consensus(["memory://p/one.csv", Path("memory://p/two.csv")], out="memory://p/c")
    assert memory.exists("/p/c/consensus.json")


def test_what_was_written_before_an_error_is_sent(memory):
    with pytest.raises(Interrupted, match="memory://o/run"), places.borrowed() as place:
        folder = place(Path("memory://o/run"), "out")
        folder.mkdir()
        (folder / "best").write_text("whole")
        raise Interrupted(f"Stopped; it is in {folder}.")
    assert memory.cat_file("/o/run/best") == b"whole"


def test_results_that_cannot_be_sent_are_said_to_be_here(memory, monkeypatch):
    def put_file(*_, **__):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(memory), "put_file", put_file)
    with pytest.raises(DataError, match="Access Denied") as caught, places.borrowed() as place:
        file = place("memory://o/x.csv", "out")
        Path(file).write_text("kept")
    here = str(caught.value).partition("whole in ")[2].partition(", and is sent")[0]
    assert Path(here).read_text() == "kept"


def test_a_run_is_sent_while_it_is_written(memory):
    with places.borrowed(every=0.05) as place:
        folder = place(Path("memory://o/run"), "out")
        folder.mkdir()
        (folder / "state").write_text("1")
        ends = time.monotonic() + 20
        while not memory.exists("/o/run/state") and time.monotonic() < ends:
            time.sleep(0.02)
        assert memory.cat_file("/o/run/state") == b"1"
    assert "dnncli-upload" not in {thread.name for thread in threading.enumerate()}


def test_an_upload_that_fails_meanwhile_is_told_and_tried_again(memory, monkeypatch):
    told, original = [], send

    def failing(copy, **options):
        if not told:
            raise DataError(f"{copy.url}: no network")
        return original(copy, **options)

    monkeypatch.setattr(places, "send", failing)
    with places.borrowed(every=0.05, note=told.append) as place:
        file = Path(place("memory://o/x.csv", "out"))
        file.write_text("kept")
        ends = time.monotonic() + 20
        while not memory.exists("/o/x.csv") and time.monotonic() < ends:
            time.sleep(0.02)
    assert told == ["Not saved, will be tried again: memory://o/x.csv: no network"]
    assert memory.cat_file("/o/x.csv") == b"kept"


@pytest.fixture
def bucket(monkeypatch):
    """The name of a bucket on an S3 server of this process."""
    reason = "moto or s3fs is not installed"
    server_of = pytest.importorskip("moto.server", reason=reason).ThreadedMotoServer
    s3fs = pytest.importorskip("s3fs", reason=reason)
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {"ENDPOINT_URL": f"http://{host}:{port}", "DEFAULT_REGION": "us-east-1"}
    environment |= {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret"}
    for name, value in environment.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("lab")
    yield "lab"
    s3fs.S3FileSystem.clear_instance_cache()
    reset = urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).close()  # all servers of a process share their buckets
    server.stop()


def test_a_bucket_that_is_not_there_is_named(bucket):
    with pytest.raises(
        DataError, match=r"s3://nosuch/set: cannot be read: .*bucket does not exist"
    ):
        dnncli.inspect("s3://nosuch/set")
    local = write_patterns(Path("local"), splits={"": 3}, size=8)
    with pytest.raises(DataError, match="s3://nosuch/split.csv.*Does the bucket exist"):
        dnncli.split(local, out="s3://nosuch/split.csv")


def test_missing_credentials_are_asked_for(bucket, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(DataError, match=r"Unable to locate credentials.*AWS_ACCESS_KEY_ID"):
        dnncli.inspect("s3://lab/set")


@pytest.mark.slow
def test_a_whole_job_on_s3(bucket, tmp_path, monkeypatch):
    local = write_patterns(tmp_path / "local", splits={"": 12}, size=8)
    s3 = fsspec.filesystem("s3")
    data, out = "s3://lab/data", "s3://lab/runs/a"
    assert run("data", "convert", local, data, "--to", "tfrecord").exit_code == 0
    assert s3.find("lab/data")
    train = ["train", data, "--out", out, "--model", "mlp", "--image-size", "8", "--json"]
    found = run(*train, "--epochs", "1")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["run"] == out
    files = {name.removeprefix("lab/runs/a/") for name in s3.find("lab/runs/a")}
    assert {"run.json", "config.toml", "best.keras", "backup/state.npz"} <= files
    assert not [name for name in files if ".tmp-" in name]
    assert json.loads(s3.cat("lab/runs/a/run.json"))["data"] == data
    for name in ("run.json", "config.toml", "data.json"):
        assert str(tmp_path / "cache") not in s3.cat(f"lab/runs/a/{name}").decode(), name

    taken = run(*train, "--epochs", "2")
    assert taken.exit_code == 2
    assert f"--out {out}: exists already" in taken.stderr

    shutil.rmtree(tmp_path / "cache")  # another machine
    longer = run(*train, "--epochs", "2", "--resume")
    assert longer.exit_code == 0, longer.output
    assert json.loads(longer.stdout)["epochs"] == 2
    assert json.loads(s3.cat("lab/runs/a/run.json"))["result"]["epochs"] == 2

    shutil.rmtree(tmp_path / "cache")
    score = run("eval", out, "--split", "val", "--json")  # of the data that run.json names
    assert score.exit_code == 0, score.output
    assert json.loads(score.stdout)["out"].startswith(f"{out}/eval/")
    s3.invalidate_cache()
    assert [name for name in s3.find("lab/runs/a/eval") if name.endswith("metrics.json")]
    told = run("predict", out, data, "--out", "s3://lab/p.csv", "--split", "all")
    assert told.exit_code == 0, told.output
    assert "s3://lab/p.csv" in told.stderr
    assert s3.cat("lab/p.csv").startswith(b"id,")
    with pytest.raises(ConfigError, match="--out s3://lab/p.csv: exists already"):
        dnncli.predict(out, data, out="s3://lab/p.csv")
