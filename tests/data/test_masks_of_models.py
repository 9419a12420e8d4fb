"""Pictures with masks, opened for a model that learned from such before."""

import pytest
from map_support import declare, write_masked_split, write_pictures
from PIL import Image

from dnncli.data.dataset import NO_CLASS
from dnncli.data.detect import open_dataset
from dnncli.data.mask_values import MaskForm
from dnncli.errors import DataError


@pytest.fixture
def split(tmp_path):
    return write_masked_split(tmp_path)


FOREGROUND = MaskForm(class_names=("background", "foreground"), values=(0, 255), void=128)


@pytest.mark.parametrize("white", [1, 255])
@pytest.mark.parametrize("learned", [1, 255])
def test_masks_of_0_and_1_and_of_0_and_255_mean_the_same_to_a_model(tmp_path, white, learned):
    write_pictures(tmp_path / "images", a=[[9, 9]])
    write_pictures(tmp_path / "masks", a=[[0, white]])
    form = MaskForm(class_names=("background", "foreground"), values=(0, learned), void=128)
    dataset = open_dataset(tmp_path, like=form)
    assert dataset.masks.read(0).tolist() == [[0, 1]]
    assert dataset.masks.values == (0, learned)


def test_a_model_finds_the_fingerprint_of_the_data_that_it_learned_from(split):
    dataset = open_dataset(split)
    masks = dataset.masks
    form = MaskForm(class_names=dataset.class_names, values=masks.values, void=masks.void)
    again = open_dataset(split, like=form)
    assert again.fingerprint == dataset.fingerprint
    assert (again.masks.values, again.masks.void) == (masks.values, masks.void)


def test_masks_are_bound_to_the_classes_of_a_model_by_name(tmp_path):
    write_pictures(tmp_path / "images", a=[[9, 9, 9]])
    write_pictures(tmp_path / "masks", a=[[0, 1, 4]])
    declare(tmp_path, ["road", "sky", "car", "tree", "void"], ignore=4)
    form = MaskForm(class_names=("sky", "tree", "road"), values=(0, 1, 2), void=11)
    dataset = open_dataset(tmp_path, like=form)
    assert dataset.class_names == ("sky", "tree", "road")
    assert dataset.masks.read(0).tolist() == [[2, 0, NO_CLASS]]


def test_classes_that_a_model_does_not_know_are_named(tmp_path):
    write_pictures(tmp_path / "images", a=[[9, 9]])
    write_pictures(tmp_path / "masks", a=[[1, 2]])
    form = MaskForm(class_names=("road", "sky"), values=(0, 1), void=255)
    with pytest.raises(
        DataError, match=r"none of the classes 0 \(road\), 1 \(sky\)(.|\n)*masks: 2 "
    ):
        open_dataset(tmp_path, like=form)
    declare(tmp_path, ["road", "sky", "car"])
    with pytest.raises(DataError, match=r"masks: 2 \(car\) \(first in 'a'\)"):
        open_dataset(tmp_path, like=form)


def test_a_named_foreground_fits_a_model_that_learned_without_names(tmp_path):
    write_pictures(tmp_path / "images", a=[[9, 9]])
    write_pictures(tmp_path / "masks", a=[[0, 255]])
    declare(tmp_path, ["crack"])
    assert open_dataset(tmp_path).class_names == ("background", "crack")
    assert open_dataset(tmp_path, like=FOREGROUND).masks.read(0).tolist() == [[0, 1]]


def test_pictures_alone_have_the_ids_of_those_with_masks(split):
    labelled, bare = open_dataset(split), open_dataset(split, labelled=False)
    assert bare.ids == labelled.ids
    assert (bare.masks, bare.task) == (None, "segment")
    (split / "test" / "masks" / "c.png").unlink()
    assert open_dataset(split, labelled=False).ids == labelled.ids


def test_any_folder_of_pictures_can_be_predicted(split):
    folder = open_dataset(
        split / "train" / "images", task="segment", labelled=False, like=FOREGROUND
    )
    assert folder.ids == ("a", "sub/b")
    assert folder.class_names == ("background", "foreground")
    one = open_dataset(split / "test" / "images" / "c.png", task="segment", labelled=False)
    assert (one.ids, one.task) == (("c",), "segment")
    images = open_dataset(split / "train", task="edges", labelled=False)
    assert (images.ids, images.task) == (("a", "sub/b"), "edges")


def test_pictures_that_differ_in_suffix_only_cannot_be_predicted(split):
    Image.new("L", (2, 1)).save(split / "train" / "images" / "a.bmp")
    for path in (split, split / "train" / "images"):
        with pytest.raises(DataError, match=r"differ in suffix only(.|\n)*a\.bmp and .*a\.png"):
            open_dataset(path, task="segment", labelled=False)
