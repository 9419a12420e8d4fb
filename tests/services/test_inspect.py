"""What `inspect` reports as a Python call."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dnncli.errors import ConfigError, DataError
from dnncli.results import to_json
from dnncli.services.inspect import inspect

SAMPLES = Path(__file__).parents[2] / "sample_data"


def test_the_sample_set_is_reported_whole():
    report = inspect(SAMPLES / "fashion_mini")
    assert report.schema == "dnncli.inspect/1"
    assert report.kind == "folder"
    assert len(report.classes) == 10
    assert report.health.splits == {"train": 400, "test": 100}
    assert (report.image_size, report.channels) == ((28, 28), 1)
    assert report.batch.images == "(32, 28, 28, 1) float32"
    assert report.batch.labels == {
        "int": "(32,) int32",
        "categorical": "(32, 10) float32",
        "binary": None,
    }
    assert (report.batch.steps, report.batch.last) == (13, 16)  # 400 = 12 * 32 + 16
    assert report.weights is None
    to_json(report)


def test_options_change_what_the_network_would_see():
    report = inspect(
        SAMPLES / "defects", image_size=(224, 96), color="rgb", batch_size=5, label_mode="binary"
    )
    assert report.batch.images == "(5, 224, 96, 3) float32"
    assert report.batch.labels["binary"] == "(5, 1) float32"
    assert (report.batch.steps, report.batch.last) == (50, 5)  # 250 training rows


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label_mode": "binary"}, "needs two classes, .* has 10"),
        ({"label_mode": "categoric"}, "Unknown label mode .* Did you mean 'categorical'"),
        ({"color": "gray"}, "Unknown color 'gray'"),
        ({"batch_size": 0}, "at least 1"),
        ({"model": "resnet19"}, "Did you mean 'resnet"),
    ],
)
def test_a_wrong_option_is_named(options, words):
    with pytest.raises(ConfigError, match=words):
        inspect(SAMPLES / "fashion_mini", **options)


@pytest.fixture
def damaged(tmp_path):
    """Two classes; one file cut short, and one PNG whose pixels only decoding shows to be bad."""
    import struct
    import zlib

    rng = np.random.default_rng(0)
    for name in ("a/0.png", "a/1.png", "b/0.png", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8)).save(tmp_path / name)
    path = tmp_path / "a/1.png"
    path.write_bytes(path.read_bytes()[:60])

    def chunk(kind, body):
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"not zlib") + chunk(b"IEND", b"")
    (tmp_path / "b/1.png").write_bytes(data)
    return tmp_path


def test_unreadable_files_are_listed_or_stop_it(damaged):
    report = inspect(damaged)
    assert [problem.path for problem in report.health.problems] == ["a/1.png"]
    with pytest.raises(DataError, match=r"a/1\.png: truncated"):
        inspect(damaged, on_bad="error")


def test_pixels_finds_what_the_structure_hides(damaged):
    report = inspect(damaged, pixels=True)
    assert report.pixels_compared
    assert report.health.rows == 2
    assert [problem.path for problem in report.health.problems] == ["a/1.png", "b/1.png"]
    (damaged / "a/1.png").unlink()
    with pytest.raises(DataError, match=r"b/1\.png: damaged PNG"):
        inspect(damaged, pixels=True, on_bad="error")


def test_arrays_are_reported_like_folders(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (6, 12, 10, 3), np.uint8)
    x[5] = x[0]
    np.savez(tmp_path / "set.npz", x=x, y=np.array([0, 1, 0, 1, 0, 1]))
    report = inspect(tmp_path / "set.npz")
    assert (report.kind, report.batch.images) == ("numpy", "(32, 12, 10, 3) float32")
    assert len(report.health.conflicts) == 1


def test_rules_of_thumb_weigh_training_rows_against_weights():
    rule = inspect(SAMPLES / "fashion_mini", model="MLP").weights
    assert rule.model == "mlp"
    assert rule.examples == 400  # the test rows do not count
    assert rule.per_weight == pytest.approx(400 / rule.parameters)
    assert rule.needed == {
        "2-3 per weight": 2 * rule.parameters,
        "10 per weight": 10 * rule.parameters,
    }
    assert rule.met == {"2-3 per weight": False, "10 per weight": False}
