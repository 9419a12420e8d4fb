"""Pictures with masks or edges as one data set."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from map_support import declare, write_masked_split, write_pictures
from PIL import Image

from dnncli.data.dataset import NO_CLASS
from dnncli.data.detect import find_task, open_dataset
from dnncli.data.masks import has_masks, open_masks, pixel_counts
from dnncli.errors import ConfigError, DataError

SAMPLES = Path(__file__).parents[2] / "sample_data"


@pytest.fixture
def split(tmp_path):
    return write_masked_split(tmp_path)


def whats(dataset):
    return {problem.path: problem.what for problem in dataset.problems}


def test_pictures_and_masks_are_matched_by_path_without_suffix(split):
    dataset = open_masks(split)
    assert dataset.ids == ("train/a", "train/sub/b", "test/c")
    assert dataset.splits.tolist() == ["train", "train", "test"]
    assert (dataset.task, dataset.class_names) == ("segment", ("background", "foreground"))
    assert dataset.labels.tolist() == [-1, -1, -1]
    assert [dataset.masks.read(row).tolist() for row in range(3)] == [
        [[0, 1]],
        [[0], [0]],
        [[1, 0, 1]],
    ]
    assert dataset.problems == ()


def test_there_need_be_no_splits_and_the_suffixes_may_differ(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (2, 1)).save(tmp_path / "images" / "a.jpg")
    write_pictures(tmp_path / "labels", a=[[0, 1]])
    dataset = open_dataset(tmp_path)
    assert (dataset.ids, dataset.splits.tolist(), dataset.task) == (("a",), [""], "segment")
    assert dataset.masks.read(0).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("name", "task", "n_train", "n_test", "classes"),
    [
        ("cracks_seg", "segment", 40, 12, ("background", "foreground")),
        ("shapes_edge", "edges", 24, 8, ("background", "edge")),
    ],
)
def test_the_sample_sets_are_read_whole(name, task, n_train, n_test, classes):
    assert find_task(SAMPLES / name) == task
    dataset = open_dataset(SAMPLES / name)
    assert (dataset.task, dataset.class_names) == (task, classes)
    assert (len(dataset.rows("train")), len(dataset.rows("test"))) == (n_train, n_test)
    assert (dataset.masks.values, dataset.masks.void) == ((0, 255), 128)
    for row in (0, len(dataset) - 1):
        folder = "edges" if task == "edges" else "masks"
        name_, stem = dataset.ids[row].split("/")
        stored = np.asarray(Image.open(SAMPLES / name / name_ / folder / f"{stem}.png"))
        assert np.array_equal(dataset.masks.read(row), stored == 255)
        assert dataset.images.sizes[row].tolist() == list(stored.shape)


def test_class_folders_have_no_masks(fashion):
    assert not has_masks(fashion)
    assert find_task(fashion) == "classify"
    assert not has_masks(fashion / "nowhere")
    with pytest.raises(DataError, match="no pictures with masks or edges. Expected"):
        open_dataset(fashion, task="segment")


def test_where_there_are_masks_and_edges_the_task_decides(split):
    write_pictures(split / "train" / "edges", a=[[255, 0]], sub__b=[[0], [255]])
    write_pictures(split / "test" / "edges", c=[[0, 255, 0]])
    dataset = open_dataset(split)
    assert dataset.task == "segment"
    assert "--task edges takes the others" in str(dataset.problems[0])
    assert dataset.problems[0].action == "noted"
    edges = open_dataset(split, task="edges")
    assert edges.masks.read(0).tolist() == [[1, 0]]
    assert edges.problems == ()


def test_a_task_without_its_folder_is_refused(split):
    with pytest.raises(DataError, match="holds masks, not edges .* Say --task segment"):
        open_dataset(split, task="edges")
    with pytest.raises(ConfigError, match="Unknown task 'segmnt'. Did you mean 'segment'"):
        open_dataset(split, task="segmnt")
    write_pictures(split / "test" / "labels", c=[[0, 0, 1]])
    with pytest.raises(DataError, match="holds masks and labels. Keep one of them"):
        open_dataset(split)


def test_pairs_that_do_not_fit_are_left_out_and_named(split):
    write_pictures(split / "train" / "images", lost=[[9]], wide=[[9, 9, 9]], broken=[[1]])
    write_pictures(split / "train" / "masks", Lost=[[0]], wide=[[0, 0]], broken=[[0]])
    (split / "train" / "masks" / "broken.png").write_bytes(b"no picture")
    (split / "test" / "images" / "bad.png").write_bytes(b"")
    write_pictures(split / "test" / "masks", bad=[[0]])
    dataset = open_dataset(split)
    assert dataset.ids == ("train/a", "train/sub/b", "test/c")
    found = whats(dataset)
    assert set(found) == {
        *("train/images/lost.png", "train/masks/Lost", "train/images/wide.png"),
        *("train/masks/broken.png", "test/images/bad.png"),
    }
    assert "has no map in masks. There is 'Lost', which" in found["train/images/lost.png"]
    assert found["train/images/wide.png"] == "is 3 x 1 pixels, its map in masks 2 x 1."
    with pytest.raises(DataError) as error:
        open_dataset(split, on_bad="error")
    assert len(error.value.problems) == 5


def test_a_split_without_masks_is_left_out_and_named(split):
    write_pictures(split / "val" / "images", x=[[1]], y=[[1]])
    dataset = open_dataset(split)
    assert dataset.declared_splits == ("train", "test")
    assert whats(dataset) == {"val": "has no folder masks: its 2 pictures are left out."}


def test_masks_that_only_decoding_shows_to_be_wrong_are_left_out_and_named(split):
    write_pictures(split / "train" / "images", d=[[1, 1]], e=[[1, 1]])
    Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)).save(
        split / "train" / "masks" / "d.png"
    )
    Image.new("L", (2, 1)).save(split / "train" / "masks" / "e.jpg")
    dataset = open_dataset(split)
    assert dataset.ids == ("train/a", "train/sub/b", "test/c")
    found = whats(dataset)
    assert found["train/masks/d"].startswith("holds colours.")
    assert "JPEG changes the numbers of pixels" in found["train/masks/e"]


def test_no_pair_at_all_is_an_error_that_names_them(tmp_path):
    write_pictures(tmp_path / "images", a=[[1]])
    write_pictures(tmp_path / "masks", b=[[1]])
    with pytest.raises(DataError, match=r"no picture has a map in masks(.|\n)*images/a\.png"):
        open_dataset(tmp_path)


def test_two_pictures_of_one_name_share_no_mask(split):
    Image.new("L", (2, 1)).save(split / "train" / "images" / "a.bmp")
    dataset = open_dataset(split)
    assert "has the same name as a.bmp" in whats(dataset)["train/images/a.png"]
    assert dataset.ids.count("train/a") == 1


def test_void_pixels_are_of_no_class_and_do_not_count(tmp_path):
    write_pictures(tmp_path / "images", a=[[9, 9, 9, 9]])
    write_pictures(tmp_path / "masks", a=[[0, 2, 1, 1]])
    declare(tmp_path, ["sky", "void", "road"], ignore=1)
    dataset = open_dataset(tmp_path)
    assert dataset.class_names == ("sky", "road")
    assert (dataset.masks.values, dataset.masks.void) == ((0, 2), 1)
    assert dataset.masks.read(0).tolist() == [[0, 1, NO_CLASS, NO_CLASS]]
    assert pixel_counts(dataset, np.array([0])).tolist() == [1, 1]


def test_classes_are_bound_by_name_when_they_are_declared_again(tmp_path):
    write_pictures(tmp_path / "images", a=[[9, 9, 9]])
    write_pictures(tmp_path / "masks", a=[[1, 2, 0]])
    declare(tmp_path, ["void", "sky", "road"], ignore=0)
    names = open_dataset(tmp_path).class_names
    assert names == ("sky", "road")
    assert open_dataset(tmp_path, classes=names).masks.read(0).tolist() == [[0, 1, NO_CLASS]]
    swapped = open_dataset(tmp_path, classes=("road", "sky"))
    assert swapped.class_names == ("road", "sky")
    assert swapped.masks.read(0).tolist() == [[1, 0, NO_CLASS]]


def test_numbers_without_names_are_classes_of_their_own(tmp_path):
    write_pictures(tmp_path / "images", a=[[9, 9, 9]])
    write_pictures(tmp_path / "masks", a=[[0, 3, 7]])
    dataset = open_dataset(tmp_path)
    assert (dataset.class_names, dataset.masks.values) == (("0", "3", "7"), (0, 3, 7))
    again = open_dataset(tmp_path, classes=dataset.class_names)
    assert again.masks.read(0).tolist() == [[0, 1, 2]]


def test_numbers_that_are_no_class_are_named(tmp_path):
    write_pictures(tmp_path / "images", a=[[9, 9]], b=[[9, 9]])
    write_pictures(tmp_path / "masks", a=[[0, 1]], b=[[0, 5]])
    with pytest.raises(DataError, match=r"5 is no class \(first in 'b'\)"):
        open_dataset(tmp_path, classes=("background", "crack"))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([0, 1, 255], r"255 is no class \(first in 'a'\)"),
        (list(range(100)), "100 different numbers"),
    ],
)
def test_masks_of_unclear_numbers_are_refused_with_what_to_do(tmp_path, row, words):
    write_pictures(tmp_path / "images", a=[row])
    write_pictures(tmp_path / "masks", a=[row])
    with pytest.raises(DataError, match=words) as error:
        open_dataset(tmp_path)
    assert '{"classes": ["sky", "road"], "ignore": 255}' in str(error.value)
    assert "--binary" not in str(error.value)
    declare(tmp_path, ["rock", "crack"] if len(row) == 3 else list(map(str, row)), ignore=255)
    assert open_dataset(tmp_path).masks.read(0)[0, :2].tolist() == [0, 1]


def test_masks_of_more_than_8_bits_are_refused_with_what_to_do(tmp_path):
    write_pictures(tmp_path / "images", a=[[9, 9]])
    (tmp_path / "masks").mkdir()
    white = np.array([[0, 65535]], np.uint16)
    Image.fromarray(white).save(tmp_path / "masks" / "a.png")
    with pytest.raises(DataError, match="Save masks with 8 bits") as error:
        open_dataset(tmp_path)
    assert error.value.problems == (f"{tmp_path / 'masks'}: 65535 (first in 'a').",)


def test_255_cannot_be_declared_as_a_class(split):
    with pytest.raises(ConfigError, match="255 stands for no class"):
        open_dataset(split, classes=("0", "255"))


def test_masks_may_be_of_one_bit_of_a_palette_or_grey_in_colours(tmp_path):
    write_pictures(tmp_path / "images", a=[[9, 9]], b=[[9, 9]], c=[[9, 9]])
    (tmp_path / "masks").mkdir()
    mask = Image.fromarray(np.array([[0, 1]], np.uint8))
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "masks" / "a.PNG")
    palette = mask.convert("P")
    palette.putpalette([10, 20, 30, 200, 100, 0])
    palette.putdata([0, 1])
    palette.save(tmp_path / "masks" / "b.png")
    Image.merge("RGB", [mask] * 3).save(tmp_path / "masks" / "c.png")
    dataset = open_dataset(tmp_path)
    assert [dataset.masks.read(row).tolist() for row in range(3)] == [[[0, 1]]] * 3
    assert dataset.masks.values == (0, 1)


def test_classes_json_of_splits_may_not_ignore_different_numbers(split):
    declare(split / "train", ["a", "b", "c"], ignore=2)
    declare(split / "test", ["a", "b", "c"], ignore=1)
    with pytest.raises(DataError, match="ignore different numbers"):
        open_dataset(split)


def test_a_mask_that_changes_after_opening_is_named(split):
    dataset = open_dataset(split)
    write_pictures(split / "test" / "masks", c=[[255, 7, 0]])
    with pytest.raises(DataError, match=r"masks: 'c': holds 7; the classes are 0, 255"):
        dataset.masks.read(2)


def test_edges_are_what_half_of_255_and_more_marks(tmp_path):
    write_pictures(tmp_path / "images", a=[[9, 9, 9, 9]])
    write_pictures(tmp_path / "edges", a=[[0, 127, 128, 255]])
    dataset = open_dataset(tmp_path)
    assert (dataset.task, dataset.class_names) == ("edges", ("background", "edge"))
    assert dataset.masks.read(0).tolist() == [[0, 0, 1, 1]]
    assert dataset.masks.values == (0, 255)


def test_edges_of_0_and_1_are_edges(tmp_path):
    write_pictures(tmp_path / "images", a=[[9, 9]], b=[[9, 9]])
    write_pictures(tmp_path / "edges", a=[[0, 1]], b=[[0, 0]])
    dataset = open_dataset(tmp_path)
    assert [dataset.masks.read(row).tolist() for row in (0, 1)] == [[[0, 1]], [[0, 0]]]
    assert dataset.masks.values == (0, 1)


def test_edges_follow_a_classes_json_of_edges_only(tmp_path):
    write_pictures(tmp_path / "images", a=[[9, 9, 9]])
    write_pictures(tmp_path / "edges", a=[[0, 128, 255]])
    declare(tmp_path, ["rock", "void"], ignore=128)
    assert open_dataset(tmp_path).masks.read(0).tolist() == [[0, 1, 1]]
    declare(tmp_path, ["background", "edge"], ignore=128)
    assert open_dataset(tmp_path).masks.read(0).tolist() == [[0, NO_CLASS, 1]]


def test_edges_may_have_another_name_but_only_one(tmp_path):
    write_pictures(tmp_path / "images", a=[[9]])
    write_pictures(tmp_path / "edges", a=[[255]])
    assert open_dataset(tmp_path, classes=("crack",)).class_names == ("background", "crack")
    assert open_dataset(tmp_path, classes=("rock", "crack")).class_names == ("rock", "crack")
    with pytest.raises(ConfigError, match="edges have one class and the background"):
        open_dataset(tmp_path, classes=("a", "b", "c"))


def test_rows_that_are_taken_keep_their_masks(split):
    dataset = open_dataset(split).take([2, 0])
    assert dataset.ids == ("test/c", "train/a")
    assert dataset.masks.read(0).tolist() == [[1, 0, 1]]
    assert pixel_counts(dataset, np.array([0, 1])).tolist() == [2, 3]


def test_pixels_are_counted_alike_with_and_without_counts_at_hand(split):
    from dataclasses import replace

    dataset = open_dataset(split)
    fresh = replace(dataset, masks=replace(dataset.masks, counts=None))
    rows = np.array([2, 0])
    assert np.array_equal(pixel_counts(fresh, rows), pixel_counts(dataset, rows))
    assert pixel_counts(fresh, rows).tolist() == [2, 3]


def test_the_fingerprint_tells_other_masks_but_not_another_way_to_store_them(split):
    before = open_dataset(split).fingerprint
    file = split / "test" / "masks" / "c.png"
    mask = np.asarray(Image.open(file))
    Image.fromarray(mask).save(file, compress_level=0)
    assert open_dataset(split).fingerprint == before
    Image.fromarray(255 - mask).save(file)
    assert open_dataset(split).fingerprint != before


def test_a_split_file_goes_by_the_ids(split, tmp_path):
    file = tmp_path / "split.csv"
    file.write_text("id,label,split\ntrain/a,,val\ntrain/sub/b,,train\ntest/c,,test\n")
    assert open_dataset(split, split_file=file).splits.tolist() == ["val", "train", "test"]
    file.write_text("id,label,split\ntrain/a.png,,val\ntrain/sub/b,,train\ntest/c,,test\n")
    with pytest.raises(DataError, match=r"'train/a\.png' is not in the data set"):
        open_dataset(split, split_file=file)


def test_masks_of_16_bits_may_hold_large_numbers(tmp_path):
    (tmp_path / "masks").mkdir()
    write_pictures(tmp_path / "images", a=[[9, 9]])
    Image.fromarray(np.array([[0, 200]], np.uint16)).save(tmp_path / "masks" / "a.png")
    dataset = open_dataset(tmp_path, classes=("0", "200"))
    assert dataset.masks.read(0).tolist() == [[0, 1]]


@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)),
    st.lists(st.integers(0, 254), min_size=2, max_size=4, unique=True),
)
def test_stored_numbers_become_indices_and_back(tmp_path_factory, choice, values):
    values = sorted(values)
    mask = np.array(values, np.uint8)[choice % len(values)]
    root = tmp_path_factory.mktemp("masks")
    write_pictures(root / "images", a=np.zeros_like(mask))
    write_pictures(root / "masks", a=mask)
    dataset = open_dataset(root, classes=tuple(map(str, values)))
    indices = dataset.masks.read(0)
    assert np.array_equal(np.array(dataset.masks.values)[indices], mask)
    counts = pixel_counts(dataset, np.array([0]))
    stored = dict(zip(dataset.masks.values, counts.tolist()))
    assert {value: int((mask == value).sum()) for value in stored} == stored
