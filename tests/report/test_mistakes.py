"""The contact sheet: every kind of picture, and pictures that cannot be shown."""

import numpy as np
import pytest
from PIL import Image

from dnncli.data.detect import open_dataset
from dnncli.report.mistakes import SIDE, Tile, pictures_of, write_sheet

GAP, HEAD = 10, 35  # of the layout, in pixels


def sheet(tmp_path, pictures, *, captions=("id", "cat: 0.1", "→ dog: 0.9")):
    """The sheet as an (H, W, 3) array."""
    tiles = [Tile(picture=picture, captions=captions) for picture in pictures]
    write_sheet(tmp_path / "sheet.png", tiles, title="The worst")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def tile(found, place=0):
    """The square of one tile of the first line."""
    left = GAP + place * (SIDE + GAP)
    return found[HEAD : HEAD + SIDE, left : left + SIDE]


def test_a_sheet_has_six_tiles_a_line(tmp_path):
    found = sheet(tmp_path, [np.zeros((8, 8), np.uint8)] * 7)
    assert found.shape == (HEAD + 2 * (SIDE + 3 * 15 + GAP), GAP + 6 * (SIDE + GAP), 3)


def test_a_small_picture_is_enlarged_by_whole_pixels(tmp_path):
    picture = np.array([[10, 200], [60, 120]], np.uint8)
    found = tile(sheet(tmp_path, [picture]))
    half = SIDE // 2
    assert (found[:half, :half] == 10).all()
    assert (found[half:, half:] == 120).all()


def test_colours_stay(tmp_path):
    picture = np.broadcast_to(np.array([200, 30, 70], np.uint8), (5, 5, 3))
    assert (tile(sheet(tmp_path, [picture])) == [200, 30, 70]).all()


@pytest.mark.parametrize("shape", [(1000, 10), (10, 1000), (1, 4000), (3000, 2500)])
def test_a_large_picture_is_made_as_long_as_its_tile(shape, tmp_path):
    found = tile(sheet(tmp_path, [np.full(shape, 77, np.uint8)]))
    inside = (found == 77).all(axis=2)
    assert max(inside.any(axis=0).sum(), inside.any(axis=1).sum()) == SIDE


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (np.array([0.0, 1.0]), [0, 255]),
        (np.array([-1.0, 1.0]), [0, 255]),
        (np.array([0.0, 255.0]), [0, 255]),
        (np.array([1000, 3000], np.uint16), [0, 255]),
        (np.array([False, True]), [0, 255]),
        (np.array([0.0, 0.5], np.float16), [0, 128]),
        (np.array([np.nan, 1.0]), [0, 255]),
    ],
)
def test_pictures_of_any_range_share_one_scale(values, shown, tmp_path):
    pictures = [np.full((5, 5, 1), value, values.dtype) for value in values]
    found = sheet(tmp_path, pictures)
    assert [int(tile(found, place)[0, 0, 0]) for place in (0, 1)] == shown


def test_channels_beyond_three_are_left_out(tmp_path):
    two = np.stack([np.full((5, 5), 50), np.full((5, 5), 255)], axis=2).astype(np.uint8)
    four = np.concatenate([two, two], axis=2)
    found = sheet(tmp_path, [two, four])
    assert (tile(found, 0) == 50).all()
    assert (tile(found, 1) == [50, 255, 50]).all()


def test_a_picture_that_cannot_be_shown_is_a_grey_tile_with_the_reason(tmp_path):
    found = tile(sheet(tmp_path, ["damaged JPEG: truncated.", np.zeros((5, 5), np.uint8)]))
    assert (found[-1] == 189).all()
    assert (found[:30] < 100).any()


def test_long_captions_stay_below_their_own_picture(tmp_path):
    picture = np.full((5, 5), 255, np.uint8)
    found = sheet(tmp_path, [picture, picture], captions=("x" * 500, "猫" * 500, "\n" * 500))
    below = found[HEAD + SIDE :]
    gap = below[:, GAP + SIDE + 1 : 2 * GAP + SIDE - 1]
    assert (below < 128).any()
    assert (gap > 200).all()


def test_pictures_of_a_data_set_are_read_by_the_place_of_their_row(tmp_path):
    for name, value in (("a", 10), ("b", 20), ("c", 30)):
        path = tmp_path / "data" / name / "0.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.full((9, 9), value, np.uint8)).save(path)
    dataset = open_dataset(tmp_path / "data")
    read = pictures_of(dataset, np.array([2, 0]))
    (tmp_path / "data" / "a" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    first, second = read(np.array([1, 0]))
    assert "damaged PNG" in first
    assert second.shape == (9, 9, 1)
    assert (second == 30).all()
    (tmp_path / "data" / "c" / "0.png").unlink()
    assert "No such file" in read(np.array([0]))[0]
