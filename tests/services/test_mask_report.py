"""What `inspect` says of pictures with masks or edges."""

from pathlib import Path

import numpy as np
import pytest
from map_support import write_pictures
from PIL import Image

from dnncli.errors import ConfigError, DataError
from dnncli.results import to_json
from dnncli.services.inspect import inspect

SAMPLES = Path(__file__).parents[2] / "sample_data"


@pytest.fixture
def small(tmp_path):
    """Three training pictures of 2 x 20 pixels, one of them empty, and a test picture."""
    row = np.zeros((2, 20), int)
    drawn = row.copy()
    drawn[0, :5] = 1
    void = drawn.copy()
    void[1, :3] = 2
    write_pictures(tmp_path / "train" / "images", a=row, b=row + 1, c=row + 2)
    write_pictures(tmp_path / "train" / "masks", a=row, b=drawn, c=void)
    write_pictures(tmp_path / "test" / "images", d=row + 3)
    write_pictures(tmp_path / "test" / "masks", d=drawn)
    (tmp_path / "classes.json").write_text('{"classes": ["background", "x", "?"], "ignore": 2}')
    return tmp_path


def test_pixels_are_counted_by_class_and_split(small):
    report = inspect(small)
    assert (report.kind, report.task, report.classes) == ("masks", "segment", ("background", "x"))
    assert report.pixels == {
        "background": {"train": 40 + 35 + 32, "test": 35},
        "x": {"train": 10, "test": 5},
    }
    assert report.shares == {"background": 142 / 157, "x": 15 / 157}
    assert report.void_pixels == {"train": 3, "test": 0}
    assert (report.values, report.void) == ({"background": 0, "x": 1}, 2)
    assert report.empty == {"train": 1, "test": 0}
    assert report.health.classes["x"] == {"train": 2, "test": 1}
    to_json(report)


def test_batches_are_windows_of_the_pictures_and_of_their_masks(small):
    report = inspect(small, batch_size=2)
    assert report.window == (16, 32)
    assert report.batch.images == "(2, 16, 32, 1) float32"
    assert report.batch.masks == "(2, 16, 32) uint8"
    assert (report.batch.steps, report.batch.last) == (2, 1)
    sized = inspect(small, batch_size=8, image_size=(256, 128), color="rgb")
    assert sized.batch.images == "(8, 256, 128, 3) float32"


def test_the_sample_sets_are_reported_whole():
    cracks = inspect(SAMPLES / "cracks_seg")
    assert cracks.health.splits == {"train": 40, "test": 12}
    assert cracks.batch.images == "(8, 128, 128, 1) float32"
    assert 0.01 < cracks.shares["foreground"] < 0.02
    edges = inspect(SAMPLES / "shapes_edge")
    assert (edges.kind, edges.classes) == ("edges", ("background", "edge"))
    assert edges.health.sizes.distinct == 2


def test_without_a_background_no_picture_is_called_empty(tmp_path):
    write_pictures(tmp_path / "images", a=[[1, 2, 3]])
    write_pictures(tmp_path / "masks", a=[[0, 1, 2]])
    (tmp_path / "classes.json").write_text('["sky", "road", "car"]')
    assert inspect(tmp_path).empty is None


def test_the_task_chooses_between_masks_and_edges(small):
    for split, name in (("train", "abc"), ("test", "d")):
        for stem in name:
            write_pictures(small / split / "edges", **{stem: np.full((2, 20), 255)})
    assert inspect(small).task == "segment"
    assert inspect(small, task="edges").task == "edges"


def test_decoding_finds_pictures_that_were_saved_anew(small):
    pixels = np.asarray(Image.open(small / "train" / "images" / "b.png"))
    Image.fromarray(pixels).save(small / "test" / "images" / "d.png", compress_level=0)
    assert inspect(small).health.leaks == ()
    assert inspect(small, pixels=True).health.leaks == (("train/b", "test/d"),)


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ("cracks_seg", {"label_mode": "binary"}, "needs two classes, .* has masks"),
        ("cracks_seg", {"model": "cnn"}, "names whole pictures; .* --task segment.* unet"),
        ("fashion_mini", {"model": "unet"}, "says something of every pixel; .* classify.* cnn"),
        ("cracks_seg", {"task": "segments"}, "Did you mean 'segment'"),
    ],
)
def test_what_does_not_fit_the_task_is_refused(data, options, words):
    with pytest.raises(ConfigError, match=words):
        inspect(SAMPLES / data, **options)


def test_what_cannot_be_used_is_listed_or_stops(small):
    (small / "train" / "masks" / "a.png").write_bytes(b"")
    report = inspect(small)
    assert report.health.splits == {"train": 2, "test": 1}
    assert [str(problem) for problem in report.health.problems] == [
        "train/masks/a.png: empty file (0 bytes)."
    ]
    with pytest.raises(DataError, match="empty file"):
        inspect(small, on_bad="error")
