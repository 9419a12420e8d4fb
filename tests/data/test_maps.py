"""Masks, edge maps and value maps: opened, matched and written."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from dnncli.data.map_writer import write_maps
from dnncli.data.maps import is_maps, match_maps, open_maps
from dnncli.errors import DataError

MASK = np.array([[0, 1, 2], [255, 1, 0]], np.uint8)


def save(path, values, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = values if isinstance(values, Image.Image) else Image.fromarray(np.asarray(values))
    image.save(path, **options)
    return path


def folder_of(root, *names, shape=(2, 3)):
    for name in names:
        save(root / f"{name}.png", np.zeros(shape, np.uint8))
    return open_maps(root)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8)
IDS = NAMES.filter(lambda name: name not in ("maps", "ids", "labels", "probs", "members", "dnncli"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    maps=st.dictionaries(
        IDS.filter(lambda name: name != "class_names"),
        arrays.arrays(
            st.sampled_from([np.uint8, np.int64]),
            arrays.array_shapes(min_dims=2, max_dims=2, max_side=4),
            elements=st.integers(0, 200),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_an_npz_is_given_it_gives_back(tmp_path, maps):
    file = tmp_path / "maps.npz"
    assert write_maps(file, maps.items()) == len(maps)
    assert is_maps(file)
    found = open_maps(file)
    assert found.ids == tuple(sorted(maps))
    for name, values in maps.items():
        assert found.shapes[name] == values.shape
        np.testing.assert_array_equal(found.read(name), values)


@pytest.mark.parametrize(
    ("dtype", "top"),
    [(np.uint8, 1), (np.uint8, 255), (np.int64, 255), (np.int64, 65535), (bool, 1)],
)
def test_what_a_folder_is_given_it_gives_back(tmp_path, dtype, top):
    values = np.array([[0, top], [1, 0], [0, 1]], dtype)
    write_maps(tmp_path / "out", [("a/b.c", values), ("d", values)])
    found = open_maps(tmp_path / "out")
    assert found.ids == ("a/b.c", "d")
    assert found.shapes["a/b.c"] == (3, 2)
    np.testing.assert_array_equal(found.read("a/b.c"), values)


def test_classes_and_void_are_written_beside_the_masks_and_read_again(tmp_path):
    for path in (tmp_path / "folder", tmp_path / "file.npz"):
        write_maps(path, [("a", MASK)], class_names=("x", "y", "z"), void=255)
        found = open_maps(path)
        assert (found.class_names, found.void) == (("x", "y", "z"), 255)
        assert found.ids == ("a",)
        assert found.name == path.stem


def test_classes_are_found_up_to_two_folders_above_the_masks(tmp_path):
    entry = {"classes": ["sky", "road", "void"], "ignore": 2}
    (tmp_path / "classes.json").write_text(json.dumps(entry))
    save(tmp_path / "test" / "masks" / "a.png", MASK)
    found = open_maps(tmp_path / "test" / "masks")
    assert (found.class_names, found.void) == (("sky", "road", "void"), 2)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{", "is not JSON"),
        ('{"classes": "sky"}', "list of names"),
        ("3", "list of names"),
        ('{"classes": ["a", "a"]}', "named twice"),
        ('{"classes": ["a"], "ignore": -1}', "whole number"),
        ('{"classes": ["a"], "ignore": true}', "whole number"),
    ],
)
def test_classes_that_cannot_be_used_are_refused_by_file(tmp_path, text, wrong):
    save(tmp_path / "a.png", MASK)
    (tmp_path / "classes.json").write_text(text)
    with pytest.raises(DataError, match=f"classes.json: .*{wrong}"):
        open_maps(tmp_path)


@pytest.mark.parametrize("save_as", [np.savez, np.savez_compressed])
def test_maps_stacked_in_one_array_are_read_by_id(tmp_path, save_as):
    stack = np.arange(24).reshape(2, 3, 4)
    save_as(tmp_path / "m.npz", ids=["b", "a"], maps=stack, class_names=["x", "y"])
    found = open_maps(tmp_path / "m.npz")
    assert found.ids == ("a", "b")
    assert found.class_names == ("x", "y")
    np.testing.assert_array_equal(found.read("a"), stack[1])


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ({"maps": np.zeros((2, 3, 4))}, "no ids"),
        ({"ids": ["a"], "maps": np.zeros((2, 3, 4))}, r"\(1, H, W\) for 1 ids. Got \(2, 3, 4\)"),
        ({"ids": ["a", "a"], "maps": np.zeros((2, 3, 4))}, "more than once"),
        ({"ids": ["a"], "maps": np.zeros((1, 3, 4, 2))}, "Got"),
        ({"a": np.zeros((3, 4, 2))}, r"'a' has the shape \(3, 4, 2\)"),
        ({"a": np.zeros((0, 4))}, "'a'"),
        ({"class_names": ["x"]}, "holds no map"),
    ],
)
def test_arrays_that_are_no_maps_are_refused(tmp_path, content, wrong):
    np.savez(tmp_path / "m.npz", **content)
    with pytest.raises(DataError, match=wrong):
        open_maps(tmp_path / "m.npz")


def test_pickled_maps_are_refused(tmp_path):
    np.savez(tmp_path / "m.npz", a=np.array([[{}]], dtype=object))
    with pytest.raises(DataError, match="pickled"):
        open_maps(tmp_path / "m.npz").read("a")


def test_palette_one_bit_and_16_bit_masks_give_their_numbers(tmp_path):
    palette = Image.fromarray(MASK, mode="L").convert("P")
    palette.putpalette([9, 9, 9] * 256)  # every colour alike: only the index tells them apart
    save(tmp_path / "p.png", palette)
    save(tmp_path / "bit.png", Image.fromarray(MASK == 1))
    save(tmp_path / "deep.png", MASK.astype(np.uint16) * 100)
    found = open_maps(tmp_path)
    np.testing.assert_array_equal(found.read("p"), np.asarray(palette))
    np.testing.assert_array_equal(found.read("bit"), MASK == 1)
    np.testing.assert_array_equal(found.read("deep"), MASK.astype(int) * 100)


def test_grey_masks_saved_in_colour_are_accepted_and_colours_refused(tmp_path):
    grey = np.repeat(MASK[..., None], 3, axis=2)
    opaque = np.dstack([grey, np.full(MASK.shape, 255, np.uint8)])
    coloured = grey.copy()
    coloured[0, 0] = (1, 2, 3)
    for name, values in (("rgb", grey), ("rgba", opaque), ("red", coloured)):
        save(tmp_path / f"{name}.png", values)
    found = open_maps(tmp_path)
    np.testing.assert_array_equal(found.read("rgb"), MASK)
    np.testing.assert_array_equal(found.read("rgba"), MASK)
    with pytest.raises(DataError, match="'red': holds colours"):
        found.read("red")


def test_masks_in_jpeg_are_refused_because_it_changes_numbers(tmp_path):
    save(tmp_path / "a.jpg", MASK)
    with pytest.raises(DataError, match="'a': JPEG changes the numbers"):
        open_maps(tmp_path).read("a")
    assert open_maps(tmp_path, kind="edge").read("a").shape == MASK.shape


def test_floats_are_no_class_numbers(tmp_path):
    np.savez(tmp_path / "m.npz", a=np.ones((2, 2), np.float32))
    with pytest.raises(DataError, match="floats.*--threshold"):
        open_maps(tmp_path / "m.npz").read("a")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 51, 255]], np.uint8), [[0, 0.2, 1]]),
        (np.array([[0, 13107, 65535]], np.uint16), [[0, 0.2, 1]]),
        (np.array([[False, True]]), [[0, 1]]),
        (np.array([[0, 1]], np.int64), [[0, 1]]),
        (np.array([[0.25, 1]], np.float32), [[0.25, 1]]),
    ],
)
def test_edge_maps_are_shares(tmp_path, values, expected):
    np.savez(tmp_path / "m.npz", a=values)
    found = open_maps(tmp_path / "m.npz", kind="edge").read("a")
    np.testing.assert_allclose(found, expected, rtol=1e-15)


@pytest.mark.parametrize("values", [[[-0.1]], [[1.5]], [[float("nan")]], [[float("inf")]]])
def test_edge_maps_outside_of_0_to_1_are_refused(tmp_path, values):
    np.savez(tmp_path / "m.npz", a=np.array(values))
    with pytest.raises(DataError, match="'a': holds"):
        open_maps(tmp_path / "m.npz", kind="edge").read("a")


def test_value_maps_are_any_finite_numbers(tmp_path):
    np.savez(tmp_path / "m.npz", a=np.array([[-3.5, 1e6]]), b=np.array([[7]], np.uint8))
    found = open_maps(tmp_path / "m.npz", kind="value")
    assert found.read("a").tolist() == [[-3.5, 1e6]]
    assert found.read("b").tolist() == [[7.0]]


def test_maps_that_cannot_be_read_are_all_named_at_once(tmp_path):
    whole = save(tmp_path / "a.png", np.zeros((40, 40), np.uint8)).read_bytes()
    (tmp_path / "b.png").write_bytes(whole[:-20])
    (tmp_path / "c.png").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read") as error:
        open_maps(tmp_path)
    assert "b.png" in str(error.value)
    assert "c.png" in str(error.value)


def test_two_files_of_one_stem_are_named(tmp_path):
    save(tmp_path / "a.png", MASK)
    save(tmp_path / "a.tif", MASK)
    with pytest.raises(DataError, match="'a': a.png, a.tif"):
        open_maps(tmp_path)


def test_ids_may_be_brought_to_one_unicode_form(tmp_path):
    composed, decomposed = "\u00e9", "e\u0301"
    save(tmp_path / f"{decomposed}.png", MASK)
    assert open_maps(tmp_path).ids == (decomposed,)
    assert open_maps(tmp_path, nfc=True).ids == (composed,)
    save(tmp_path / f"{composed}.png", MASK)
    with pytest.raises(DataError, match="two ids become one"):
        open_maps(tmp_path, nfc=True)


@pytest.mark.parametrize("name", ["missing", "missing.npz", "table.csv"])
def test_what_is_no_source_of_maps_is_refused(tmp_path, name):
    (tmp_path / "table.csv").write_text("id,label\n")
    with pytest.raises(DataError, match=name):
        open_maps(tmp_path / name)


def test_a_broken_npz_is_refused(tmp_path):
    (tmp_path / "m.npz").write_bytes(b"PK\x03\x04 no archive")
    assert not is_maps(tmp_path / "m.npz")
    with pytest.raises(DataError, match="not a whole .npz"):
        open_maps(tmp_path / "m.npz")


def test_maps_are_told_from_tables_and_empty_folders(tmp_path):
    np.savez(tmp_path / "table.npz", ids=["a"], labels=["x"])
    np.savez(tmp_path / "stack.npz", ids=["a"], maps=np.zeros((1, 2, 2)))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no picture")
    save(tmp_path / "deep" / "er" / "a.png", MASK)
    names = ("table.npz", "stack.npz", "empty", "deep", "nothing")
    assert [is_maps(tmp_path / name) for name in names] == [False, True, False, True, False]


def test_maps_of_the_same_ids_and_sizes_match(tmp_path):
    one = folder_of(tmp_path / "one", "a", "b/c")
    other = folder_of(tmp_path / "other", "b/c", "a")
    assert match_maps(one, [other]) == []


def test_missing_ids_are_named_with_their_count_and_what_comes_near(tmp_path):
    truth = folder_of(tmp_path / "truth", *(f"{number:03}" for number in range(8)))
    model = folder_of(tmp_path / "model", "masks/003")
    with pytest.raises(DataError) as error:
        match_maps(truth, [model])
    text = str(error.value)
    assert "model: no map for 8 of 8 ids" in text
    assert "'003' There is 'masks/003', which differs only in its folder" in text
    assert "and 3 more" in text


def test_extra_maps_are_left_out_with_a_warning_or_refused(tmp_path):
    truth = folder_of(tmp_path / "truth", "a")
    model = folder_of(tmp_path / "model", "a", "b")
    (warning,) = match_maps(truth, [model], extra="leave")
    assert "1 of 2 maps" in warning
    assert "'b'" in warning
    with pytest.raises(DataError, match="truth: no map for 1 of 2 ids"):
        match_maps(truth, [model])


def test_maps_of_different_sizes_are_named_with_both_sizes(tmp_path):
    truth = folder_of(tmp_path / "truth", "a", shape=(2, 3))
    model = folder_of(tmp_path / "model", "a", shape=(4, 5))
    with pytest.raises(DataError, match="'a': 3 x 2 pixels in .*truth, 5 x 4 pixels in .*model"):
        match_maps(truth, [model])


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "a//b", "./a"])
def test_ids_that_lead_out_of_the_folder_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="cannot be the name of a file"):
        write_maps(tmp_path / "out", [("fine", MASK), (name, MASK)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "values", [[[-1]], [[70000]], [[1.5]], [[float("nan")]]], ids=["below", "above", "float", "nan"]
)
def test_numbers_that_no_png_holds_are_refused_and_nothing_is_written(tmp_path, values):
    with pytest.raises(DataError, match="id 'b': .* Write an .npz"):
        write_maps(tmp_path / "out", [("a", MASK), ("b", np.array(values))])
    assert list(tmp_path.iterdir()) == []


def test_shares_are_written_as_grey_levels(tmp_path):
    write_maps(tmp_path / "out", [("a", np.array([[0, 0.5, 1]]))])
    assert np.asarray(Image.open(tmp_path / "out" / "a.png")).tolist() == [[0, 128, 255]]


def test_a_folder_that_holds_something_is_kept(tmp_path):
    save(tmp_path / "out" / "mine.png", MASK)
    with pytest.raises(DataError, match="not empty"):
        write_maps(tmp_path / "out", [("a", MASK)])
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine.png"]


def test_ids_that_mean_something_in_an_npz_are_refused(tmp_path):
    with pytest.raises(DataError, match="'maps': has a meaning"):
        write_maps(tmp_path / "m.npz", [("maps", MASK)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "dtype", "found"),
    [([-1, 1], np.int64, "-1 to 1"), ([0, 2**64 - 1], np.uint64, "0 to 18446744073709551615")],
)
def test_numbers_that_no_class_has_are_not_taken_for_void(tmp_path, values, dtype, found):
    np.savez(tmp_path / "m.npz", a=np.array([values], dtype))
    with pytest.raises(DataError, match=f"'a': holds numbers from {found}"):
        open_maps(tmp_path / "m.npz").read("a")
