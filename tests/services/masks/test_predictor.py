"""A network of masks at work on one picture."""

import numpy as np
import pytest
from PIL import Image

from dnncli.data.detect import open_dataset
from dnncli.errors import ModelError
from dnncli.services.masks.predictor import MaskPredictor, decided

CARD = {"channels": 1, "window": [16, 16], "resize": "tile", "overlap": 0.25}


def predictor_that_says(value, tmp_path):
    """A predictor of one 20 x 24 picture whose network gives the same pair everywhere."""
    Image.fromarray(np.zeros((20, 24), np.uint8)).save(tmp_path / "one.png")
    pair = np.array([1 - value, value], np.float32)

    def call(images):
        return np.broadcast_to(pair, (*images.shape[:3], 2))

    dataset = open_dataset(tmp_path, task="segment", labelled=False)
    return MaskPredictor(dataset=dataset, card=CARD, call=call)


def test_answers_that_are_not_finite_are_refused(tmp_path):
    with pytest.raises(ModelError, match="one: the network's probabilities of it are not finite"):
        predictor_that_says(np.nan, tmp_path).indices(0)


@pytest.mark.parametrize(("value", "index"), [(0.49, 0), (0.5, 1), (0.51, 1)])
def test_a_pixel_is_foreground_if_its_share_reaches_a_half(value, index, tmp_path):
    found = predictor_that_says(value, tmp_path).indices(0)
    assert found.shape == (20, 24) and (found == index).all()


def test_of_three_classes_the_first_of_the_likeliest_is_taken():
    assert decided(np.array([[[0.4, 0.4, 0.2], [0.1, 0.3, 0.6]]], np.float32)).tolist() == [[0, 2]]
