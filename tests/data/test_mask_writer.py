"""Pictures with masks that are written are read back as they were."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_support import mask_dataset

from dnncli.data.dataset import NO_CLASS
from dnncli.data.detect import open_dataset
from dnncli.data.mask_writer import stored_form, write_masked
from dnncli.data.pictures import encoded
from dnncli.errors import DataError

FORMS = {  # names, stored values, value of no class
    "white": (("background", "foreground"), (0, 255), 128),
    "two": (("background", "crack"), (0, 1), 255),
    "named": (("sky", "road", "car"), (0, 1, 2), 255),
    "void between": (("sky", "road", "car"), (0, 1, 3), 2),
    "void behind": (("sky", "road", "car"), (0, 1, 2), 3),
    "numbers": (("0", "7", "9"), (0, 7, 9), 255),
    "gaps": (("background", "road", "car"), (0, 7, 9), 255),
    "background and numbers": (("background", "1", "2"), (0, 1, 2), 255),
}
# Where numbers cannot be told with names, those of the classes are stored.
RENUMBERED = ("gaps",)


def written(tmp_path, dataset):
    changed = write_masked(
        dataset,
        tmp_path / "out",
        picture=lambda row: encoded(dataset.images, row),
        mask=dataset.masks.read,
    )
    return open_dataset(tmp_path / "out"), changed


def made(form, *, seed=0, void=True, count=3):
    names, values, number = FORMS[form]
    rng = np.random.default_rng(seed)
    choice = [*range(len(names)), *([NO_CLASS] if void else [])]
    masks = rng.choice(np.array(choice, np.uint8), (count, 6, 5))
    masks[0, 0, : len(names)] = range(len(names))
    pictures = rng.integers(0, 256, (count, 6, 5, 1)).astype(np.uint8)
    dataset = mask_dataset(pictures, masks, class_names=names, values=values)
    return replace(dataset, masks=replace(dataset.masks, void=number))


@pytest.mark.parametrize("void", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_names_indices_and_numbers_come_back(tmp_path, form, void):
    dataset = made(form, void=void)
    again, changed = written(tmp_path, dataset)
    assert (again.ids, again.class_names, changed) == (dataset.ids, dataset.class_names, 0)
    for row in range(len(dataset)):
        assert np.array_equal(again.masks.read(row), dataset.masks.read(row))
    kept = form not in RENUMBERED
    assert again.masks.values == (dataset.masks.values if kept else (0, 1, 2))


@given(
    names=st.lists(
        st.sampled_from(["sky", "road", "void", "3", "12", "background", "0", "tree"]),
        min_size=2,
        unique=True,
    ),
    data=st.data(),
)
def test_every_class_has_a_number_of_its_own(names, data):
    codes = data.draw(
        st.lists(st.integers(0, 255), min_size=len(names) + 1, max_size=len(names) + 1, unique=True)
    )
    empty = [np.zeros((1, 1))]
    dataset = mask_dataset(
        np.zeros((1, 1, 1, 1), np.uint8),
        empty,
        class_names=tuple(names),
        values=tuple(codes[:-1]),
    )
    form = stored_form(replace(dataset, masks=replace(dataset.masks, void=codes[-1])))
    numbers = form.stored(np.array([[*range(len(names)), NO_CLASS]], np.uint8))[0].tolist()
    assert len(set(numbers)) == len(names) + 1
    if not all(name.isdecimal() for name in names) and form.values != (0, 255):
        assert [form.listed[number] for number in numbers[:-1]] == names


def test_edges_come_back_with_levels_that_are_no_class(tmp_path):
    dataset = made("white")
    dataset = replace(dataset, task="edges", class_names=("background", "edge"))
    again, _ = written(tmp_path, dataset)
    assert (again.task, again.class_names) == ("edges", ("background", "edge"))
    assert (tmp_path / "out" / "edges" / "0.png").is_file()
    assert all(np.array_equal(again.masks.read(row), dataset.masks.read(row)) for row in range(3))


def test_splits_become_folders_and_say_so_in_ids(tmp_path):
    dataset = replace(
        made("two", count=4),
        ids=("a", "train/b", "valid/sub/c", "train/d"),
        splits=np.array(["train", "train", "val", "test"]),
    )
    again, changed = written(tmp_path, dataset)
    assert again.ids == ("train/a", "train/b", "valid/sub/c", "test/d")
    assert again.splits.tolist() == ["train", "train", "val", "test"]
    assert changed == 2
    assert (tmp_path / "out" / "valid" / "masks" / "sub" / "c.png").is_file()


def test_pictures_that_would_get_one_name_are_refused(tmp_path):
    dataset = replace(
        made("two", count=2), ids=("train/a", "test/A"), splits=np.array(["val", "val"])
    )
    with pytest.raises(DataError, match=r"one name(.|\n)*'train/a' and 'test/A'"):
        written(tmp_path, dataset)


def test_rows_without_a_split_beside_rows_with_one_are_refused(tmp_path):
    dataset = replace(made("two", count=2), splits=np.array(["train", ""]))
    with pytest.raises(DataError, match="1 rows have no split"):
        written(tmp_path, dataset)
