"""Small real data that many tests train and predict on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
CLASSES = ("across", "down", "dots")


def pattern(kind, rng, *, size=12):
    """A noisy (size, size) grey picture of stripes across, stripes down, or dots."""
    rows, columns = np.indices((size, size)) + rng.integers(0, 4, size=(2, 1, 1))
    value = {
        "across": rows % 4 < 2,
        "down": columns % 4 < 2,
        "dots": (rows % 4 < 2) & (columns % 4 < 2),
    }
    noisy = value[kind] * 160 + rng.integers(0, 60, size=(size, size))
    return noisy.astype(np.uint8)


def write_patterns(root, *, splits, seed=0, size=12):
    """Class folders of patterns; `splits` maps a folder ("" for none) to pictures per class."""
    rng = np.random.default_rng(seed)
    for split, count in splits.items():
        for kind in CLASSES:
            folder = root / split / kind
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                Image.fromarray(pattern(kind, rng, size=size)).save(folder / f"{number:03}.png")
    return root


@pytest.fixture(scope="session")
def patterns(tmp_path_factory):
    """Class folders with train (16 a class) and test (6 a class)."""
    root = tmp_path_factory.mktemp("data") / "patterns"
    return write_patterns(root, splits={"train": 16, "test": 6})


@pytest.fixture(scope="session")
def fashion():
    """The sample data: 10 classes of grey 28x28 pictures, 400 to train on, 100 to test on."""
    return ROOT / "sample_data" / "fashion_mini"
