"""The default size and channels of what a network sees."""

from pathlib import Path

import numpy as np
import pytest

from dnncli.data.dataset import ArrayImages, Dataset, FileImages
from dnncli.data.shapes import default_channels, default_image_size


def of_sizes(*sizes, grey=False):
    n = len(sizes)
    return Dataset(
        kind="folder",
        root=Path(),
        ids=tuple(map(str, range(n))),
        labels=np.zeros(n, np.int32),
        class_names=("a",),
        splits=np.full(n, ""),
        images=FileImages(
            names=("",) * n,
            routes=np.zeros(n, np.uint8),
            sizes=np.array(sizes, np.int32),
            grey=np.broadcast_to(grey, n),
        ),
    )


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)] * 3, (28, 28)),
        ([(97, 61)] * 2, (97, 61)),
        ([(30, 40), (50, 60), (10, 99)], (30, 60)),
        ([(300, 300)], (128, 128)),
        ([(480, 640)], (96, 128)),
        ([(1000, 10)], (128, 8)),  # 1.28 is never below 8
        ([(1, 1)], (8, 8)),
    ],
)
def test_size(sizes, expected):
    assert default_image_size(of_sizes(*sizes)) == expected


def test_one_colour_picture_makes_three_channels():
    assert default_channels(of_sizes((4, 4), (4, 4), grey=True)) == 1
    assert default_channels(of_sizes((4, 4), (4, 4), grey=[True, False])) == 3


@pytest.mark.parametrize(
    ("shape", "channels"), [((2, 9, 8), 1), ((2, 9, 8, 1), 1), ((2, 9, 8, 3), 3)]
)
def test_arrays_tell_by_their_shape(shape, channels):
    images = ArrayImages(
        arrays=(np.zeros(shape, np.uint8),), array=np.zeros(2, np.int32), rows=np.arange(2)
    )
    from dataclasses import replace

    dataset = replace(of_sizes((1, 1), (1, 1)), images=images)
    assert default_channels(dataset) == channels
    assert default_image_size(dataset) == (9, 8)
