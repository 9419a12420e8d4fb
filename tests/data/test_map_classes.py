import numpy as np
import pytest
from map_support import write_pictures

from dnncli.data.dataset import NO_CLASS
from dnncli.data.map_classes import find_classes
from dnncli.data.maps import open_maps
from dnncli.errors import ConfigError, DataError


def opened(folder, **masks):
    return open_maps(write_pictures(folder, **masks))


def test_masks_of_0_and_255_have_a_background_and_a_foreground(tmp_path):
    maps = opened(tmp_path, a=[[0, 255]])
    classes = find_classes([maps])
    assert classes.names == ("background", "foreground")
    assert classes.indices(maps, "a").tolist() == [[0, 1]]
    assert classes.stored(np.array([[0, 1, NO_CLASS]], np.uint8)).tolist() == [[0, 1, 255]]
    assert [classes.names[place] for place in classes.judged] == ["foreground"]


def test_every_value_is_a_class_where_none_are_declared(tmp_path):
    maps = opened(tmp_path, a=[[0, 2]], b=[[7, 7]])
    classes = find_classes([maps])
    assert classes.names == ("0", "2", "7")
    assert classes.indices(maps, "b").tolist() == [[2, 2]]
    assert classes.stored(np.array([[0, 1, 2]], np.uint8)).tolist() == [[0, 2, 7]]
    assert classes.listed == ()


def test_declared_names_are_those_of_the_values_from_0(tmp_path):
    maps = opened(tmp_path, a=[[0, 2]])
    classes = find_classes([maps], declared=["sky", "road", "tree"])
    assert classes.names == classes.listed == ("sky", "road", "tree")
    assert classes.foreground is None


def test_a_void_value_beside_the_masks_is_no_class(tmp_path):
    (tmp_path / "classes.json").write_text('{"classes": ["void", "sky", "road"], "ignore": 0}')
    maps = opened(tmp_path / "masks", a=[[0, 1, 2]])
    classes = find_classes([maps])
    assert classes.names == ("sky", "road")
    assert classes.indices(maps, "a").tolist() == [[NO_CLASS, 0, 1]]
    # Stored as it was: names stay those of the same values.
    assert classes.stored(np.array([[NO_CLASS, 0, 1]], np.uint8)).tolist() == [[0, 1, 2]]
    assert classes.listed == ("void", "sky", "road")


def test_sets_that_declare_different_classes_are_both_named(tmp_path):
    sets = []
    for name, words in (("a", '["sky", "road"]'), ("b", '["road", "sky"]')):
        folder = tmp_path / name
        sets.append(opened(folder, x=[[0, 1]]))
        (folder / "classes.json").write_text(words)
    sets = [open_maps(tmp_path / "a"), open_maps(tmp_path / "b")]
    with pytest.raises(DataError, match=r"(?s)/a: sky, road.*/b: road, sky"):
        find_classes(sets)
    assert find_classes(sets, declared=["x", "y"]).names == ("x", "y")


def test_a_value_that_is_no_class_is_named_with_its_mask(tmp_path):
    with pytest.raises(DataError, match=r"3 is no class \(first in 'a'\)"):
        find_classes([opened(tmp_path, a=[[0, 3]])], declared=["sky", "road"])


def test_255_as_foreground_in_one_set_and_1_in_another_is_refused(tmp_path):
    sets = [opened(tmp_path / "a", x=[[0, 255]]), opened(tmp_path / "b", x=[[0, 1]])]
    with pytest.raises(DataError, match="255 is no class"):
        find_classes(sets, declared=["0", "1"])
    classes = find_classes(sets, binary=True)
    assert [classes.indices(maps, "x").tolist() for maps in sets] == [[[0, 1]], [[0, 1]]]


def test_grey_maps_are_no_masks(tmp_path):
    shades = np.arange(100).reshape(10, 10)
    with pytest.raises(
        DataError, match="100 different numbers, from 0 to 99, too many for class numbers"
    ):
        find_classes([opened(tmp_path, a=shades)])


def test_255_cannot_be_a_class_of_masks_that_are_merged(tmp_path):
    with pytest.raises(ConfigError, match=r"Got 255\. If 255 is the foreground, say --binary"):
        find_classes([opened(tmp_path, a=[[0, 255]])], declared=["0", "255"])


def test_masks_of_16_bits_are_read_too(tmp_path):
    np.savez(tmp_path / "m.npz", a=np.array([[0, 2, 9]], np.uint16))
    maps = open_maps(tmp_path / "m.npz")
    assert find_classes([maps]).indices(maps, "a").tolist() == [[0, 1, 2]]
