import pytest
from map_support import write_pictures

from dnncli.data.annotators import has_annotators, open_annotated
from dnncli.data.detect import open_dataset
from dnncli.errors import DataError


@pytest.fixture
def split(tmp_path):
    """Two training pictures by ann and bob, a test picture by bob alone."""
    write_pictures(tmp_path / "train" / "images", x=[[9, 9]], y=[[9], [9]])
    write_pictures(tmp_path / "train" / "masks" / "ann", x=[[0, 1]], y=[[1], [1]])
    write_pictures(tmp_path / "train" / "masks" / "bob", x=[[1, 1]], y=[[0], [1]])
    write_pictures(tmp_path / "test" / "images", z=[[9]])
    write_pictures(tmp_path / "test" / "masks" / "bob", z=[[1]])
    return tmp_path


def test_pictures_and_their_maps_are_matched_by_name(split):
    assert has_annotators(split)
    found = open_annotated(split)
    assert found.ids == ("train/x", "train/y", "test/z")
    assert found.splits == ("train", "train", "test")
    assert found.annotators == ("ann", "bob")
    assert [found.by(row) for row in range(3)] == [("ann", "bob"), ("ann", "bob"), ("bob",)]
    assert [mask.tolist() for mask in found.masks(0)] == [[[0, 1]], [[1, 1]]]
    assert found.images.sizes.tolist() == [[1, 2], [2, 1], [1, 1]]


def test_there_need_be_no_splits(tmp_path):
    write_pictures(tmp_path / "images", x=[[9]], sub__y=[[9]])
    write_pictures(tmp_path / "labels" / "ann", x=[[1]], sub__y=[[0]])
    found = open_annotated(tmp_path)
    assert (found.ids, found.splits, found.folder) == (("sub/y", "x"), ("", ""), "labels")


def test_edges_may_be_grey(tmp_path):
    write_pictures(tmp_path / "images", x=[[9, 9]])
    write_pictures(tmp_path / "edges" / "ann", x=[[0, 51]])
    found = open_annotated(tmp_path, soft=True)
    assert found.classes is None
    assert found.edges(0)[0].tolist() == [[0.0, 0.2]]


def test_folders_that_the_pictures_have_too_are_no_annotators(tmp_path):
    write_pictures(tmp_path / "images", city__x=[[9]])
    write_pictures(tmp_path / "masks", city__x=[[1]])
    assert not has_annotators(tmp_path)
    with pytest.raises(DataError, match="no annotators. Expected"):
        open_annotated(tmp_path)


def test_class_folders_are_no_annotators(fashion):
    assert not has_annotators(fashion)
    assert not has_annotators(fashion / "nowhere")


def test_everything_that_does_not_fit_is_named_at_once(split):
    write_pictures(split / "train" / "images", lost=[[9]])
    write_pictures(split / "train" / "masks" / "ann", X=[[1, 1]])
    write_pictures(split / "test" / "masks" / "bob", z=[[1, 1]])
    with pytest.raises(DataError) as error:
        open_annotated(split)
    text = str(error.value)
    assert "'X' has no picture. There is 'x', which differs only in letter case." in text
    assert "nobody drew 'lost'" in text
    assert "'z' is 2 x 1 pixels, its picture 1 x 1" in text


def test_pictures_that_differ_only_in_suffix_are_refused(split):
    (split / "test" / "images" / "z.bmp.png").unlink(missing_ok=True)
    from PIL import Image

    Image.new("L", (1, 1)).save(split / "test" / "images" / "z.bmp")
    with pytest.raises(DataError, match="several pictures are called 'z'"):
        open_annotated(split)


def test_a_picture_that_cannot_be_read_is_refused(split):
    (split / "train" / "images" / "x.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"x\.png"):
        open_annotated(split)


def test_they_are_no_data_set_for_a_classifier(split):
    with pytest.raises(DataError, match="images and masks of several annotators"):
        open_dataset(split)
