from collections import defaultdict

import numpy as np
import pytest

from dnncli.data.alike import equal_rows


def by_dictionary(keys):
    same = defaultdict(list)
    for row, key in enumerate(keys):
        same[key].append(row)
    return [rows for rows in same.values() if len(rows) > 1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kinds", [2, 50, 10_000])
def test_agrees_with_a_dictionary(seed, kinds):
    numbers = np.random.default_rng(seed).integers(kinds, size=500).tolist()
    for keys in (numbers, [str(n) for n in numbers], [b"%d" % n for n in numbers]):
        assert equal_rows(keys) == by_dictionary(keys)


def test_equal_hashes_are_no_proof():
    assert hash(-1) == hash(-2)
    assert equal_rows([-1, -2, 5, -2]) == [[1, 3]]


def test_without_keys_there_are_no_groups():
    assert equal_rows(()) == []
    assert equal_rows([b"x"]) == []
