"""What a model said about each row, in memory."""

import numpy as np
import pytest

from dnncli.predictions import recoded


@pytest.mark.parametrize("kind", [np.int16, np.int32])
def test_labels_keep_their_names_and_their_type_under_other_indices(kind):
    labels = np.array([1, 0, -1, 1], kind)
    found = recoded(labels, ("a", "c"), ("a", "b", "c"))
    assert found.tolist() == [2, 0, -1, 2]
    assert found.dtype == kind


def test_short_labels_become_longer_where_the_classes_are_too_many():
    names = tuple(map(str, range(40_000)))
    assert recoded(np.array([0, -1], np.int16), names[-1:], names).tolist() == [39_999, -1]
