"""What numbers in masks are taken for."""

from pathlib import Path

import numpy as np
import pytest

from dnncli.data.map_codes import VOID, Seen, first_ids, mask_code
from dnncli.errors import ConfigError, DataError


def seen(*sources):
    return [
        Seen(path=Path(f"source{place}"), values=dict.fromkeys(values, "a"))
        for place, values in enumerate(sources)
    ]


@pytest.mark.parametrize("values", [{0, 1}, {0}, {1}, set()])
def test_zeros_and_ones_are_background_and_foreground(values):
    code = mask_code(seen(values, {0}))
    assert (code.class_names, code.values, code.binary) == (("foreground",), (1,), False)


def test_0_and_255_alone_are_background_and_foreground_and_said_so():
    code = mask_code(seen({0, 255}, {0}))
    assert (code.class_names, code.values, code.binary) == (("foreground",), (1,), True)
    assert "255 is taken as the foreground" in code.note
    assert code.folded(np.array([[0, 255, VOID]])).tolist() == [[0, 1, VOID]]


def test_every_number_is_a_class_where_none_is_declared():
    code = mask_code(seen({0, 3}, {7}))
    assert (code.class_names, code.values) == (("0", "3", "7"), (0, 3, 7))


@pytest.mark.parametrize(
    ("classes", "names", "values"),
    [
        (("ground", "crack"), ("ground", "crack"), (0, 1)),
        (("crack",), ("crack",), (1,)),
        (("1",), ("1",), (1,)),
        (("0", "255"), ("0", "255"), (0, 255)),
    ],
)
def test_declared_classes_are_numbers_or_the_names_of_numbers(classes, names, values):
    found = set(values) | {0}
    code = mask_code(seen(found), classes=classes)
    assert (code.class_names, code.values, code.binary) == (names, values, False)


def test_the_background_needs_no_declaration():
    assert mask_code(seen({0, 2}), classes=("2",)).values == (2,)


@pytest.mark.parametrize("names", [("crack",), ("ground", "crack")])
def test_names_for_two_values_fit_masks_of_0_and_255_beside_masks_of_0_and_1(names):
    code = mask_code(seen({0, 255}, {0, 1}), declared=names)
    assert code.binary
    assert code.class_names == names


@pytest.mark.parametrize("classes", [(), ("0", "1")])
def test_masks_of_0_and_255_beside_masks_of_0_and_1_are_refused_without_names(classes):
    with pytest.raises(DataError, match="255") as error:
        mask_code(seen({0, 255}, {0, 1}), classes=classes)
    for word in ("--classes", "--binary", "--ignore", "source0"):
        assert word in str(error.value)


def test_binary_takes_1_and_255_as_foreground():
    code = mask_code(seen({0, 255}, {0, 1}), binary=True, classes=("0", "1"))
    assert (code.class_names, code.values) == (("0", "1"), (0, 1))
    assert code.folded(np.array([0, 1, 255])).tolist() == [0, 1, 1]


def test_1_and_255_in_one_source_may_mean_two_things():
    with pytest.raises(DataError, match="1 .* and 255 .*--ignore 255"):
        mask_code(seen({0, 1, 255}), binary=True)


def test_binary_has_at_most_two_classes():
    with pytest.raises(ConfigError, match="not 3: a, b, c"):
        mask_code(seen({0, 1}), binary=True, classes=("a", "b", "c"))


def test_the_void_number_of_a_list_of_names_is_no_class():
    code = mask_code(seen({0, 1}), declared=("sky", "road", "void"), void=2)
    assert (code.class_names, code.values) == (("sky", "road"), (0, 1))


def test_unknown_numbers_are_named_with_their_source_and_first_mask():
    with pytest.raises(DataError, match="Known: 0 .sky., 1 .road.") as error:
        mask_code(seen({0, 9}, {0, 1, 5}), declared=("sky", "road"))
    assert "source0: 9 is no class (first in 'a')" in str(error.value)
    assert "source1: 5 is no class" in str(error.value)
    assert "255" not in str(error.value)


def test_the_first_mask_with_each_number_is_remembered():
    masks = {"a": np.array([[0, VOID]]), "b": np.array([[0, 2]])}
    assert first_ids(masks) == {0: "a", 2: "b"}


def test_grey_levels_are_not_called_classes_one_by_one():
    with pytest.raises(DataError, match="source1: 90 different numbers, from 0 to 89.*--threshold"):
        mask_code(seen({0, 1}, set(range(90))))
    assert len(mask_code(seen(set(range(64)))).values) == 64


def test_two_classes_of_one_number_are_refused():
    with pytest.raises(ConfigError, match="1, 01 are the same number"):
        mask_code(seen({0, 1}), classes=("1", "01"))


def test_a_number_that_is_ignored_cannot_be_the_only_class():
    with pytest.raises(ConfigError, match="1 is to be ignored, and the masks have no other class"):
        mask_code(seen({0, 1}), void=1)


def test_a_class_number_that_no_mask_can_hold_is_refused():
    with pytest.raises(ConfigError, match="2147483648 is too large"):
        mask_code(seen({0, 1}), classes=("0", str(2**31)))


def test_levels_of_grey_are_told_what_to_do():
    with pytest.raises(DataError, match="255 is no class") as error:
        mask_code(seen({0, 51, 102, 255}))
    assert "consensus averages by --method mean" in str(error.value)
