"""Small real data that many tests train and predict on."""

from pathlib import Path

import pytest
from tests_support import write_patterns

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def patterns(tmp_path_factory):
    """Class folders with train (16 a class) and test (6 a class)."""
    root = tmp_path_factory.mktemp("data") / "patterns"
    return write_patterns(root, splits={"train": 16, "test": 6})


@pytest.fixture(scope="session")
def fashion():
    """The sample data: 10 classes of grey 28x28 pictures, 400 to train on, 100 to test on."""
    return ROOT / "sample_data" / "fashion_mini"


@pytest.fixture(scope="session")
def small_run(patterns, tmp_path_factory):
    """A run of two epochs on the patterns."""
    import dnncli

    out = tmp_path_factory.mktemp("runs") / "small"
    settings = {"run.tensorboard": False, "fit.batch_size": 16}
    dnncli.train(patterns, out=str(out), model="mlp", epochs=2, augment="none", settings=settings)
    return out
