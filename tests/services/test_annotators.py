import numpy as np
import pytest
from map_support import read_picture, write_pictures

import dnncli
from dnncli.data.health import health
from dnncli.data.maps import open_maps
from dnncli.data.masks import pixel_counts
from dnncli.errors import ConfigError, DataError
from dnncli.services.annotators import annotated_dataset, open_targets
from dnncli.services.convert import convert
from dnncli.services.inspect import inspect


def annotated(root, folder="masks", foreground=255):
    """One picture; three people mark 3, 2 and 1 of its 4 pixels."""
    write_pictures(root / "images", x=[[10, 20, 30, 40]])
    for number, name in enumerate(("ann", "bob", "cid")):
        row = [foreground * (place < 3 - number) for place in range(4)]
        write_pictures(root / folder / name, x=[row])
    return root


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"annotators": "majority"}, [1, 1, 0, 0]),
        ({"annotators": "majority", "ignore_zone": True}, [1, 255, 255, 0]),
        ({"annotators": "at-least", "annotators_k": 1}, [1, 1, 1, 0]),
        ({"annotators": "at-least", "annotators_k": 3}, [1, 0, 0, 0]),
        ({"annotators": "at-least", "annotators_k": 2, "ignore_zone": True}, [1, 1, 255, 0]),
        ({"annotators": "mean"}, [255, 170, 85, 0]),
        ({"annotators": "staple"}, [1, 1, 0, 0]),
    ],
)
def test_masks_of_three_people_become_one(tmp_path, options, expected):
    targets = open_targets(annotated(tmp_path), **options)
    assert targets.read(0).tolist() == [expected]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"annotators": "mean"}, [255, 170, 85, 0]),
        ({"annotators": "at-least", "annotators_k": 2}, [255, 255, 0, 0]),
        ({"annotators": "at-least", "annotators_k": 2, "ignore_zone": True}, [255, 255, 128, 0]),
    ],
)
def test_edges_stay_grey(tmp_path, options, expected):
    targets = open_targets(annotated(tmp_path, "edges"), **options)
    assert targets.read(0).tolist() == [expected]


def test_a_map_is_merged_once(tmp_path):
    targets = open_targets(annotated(tmp_path), annotators="majority")
    first = targets.read(0).tolist()
    for file in (tmp_path / "masks").rglob("*.png"):
        file.unlink()
    assert targets.read(0).tolist() == first


def test_whoever_did_not_draw_a_picture_has_no_say(tmp_path):
    root = annotated(tmp_path)
    write_pictures(root / "images", y=[[0, 0]])
    write_pictures(root / "masks" / "ann", y=[[255, 0]])
    targets = open_targets(root, annotators="majority", ignore_zone=True)
    assert targets.read(1).tolist() == [[1, 0]]
    with pytest.raises(DataError, match=r"(?s)annotators_k 2: .*y: 1 annotators"):
        open_targets(root, annotators="at-least", annotators_k=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"annotators": "median"}, "Unknown rule 'median'"),
        ({"annotators": "at-least"}, "annotators_k is for at-least, which needs it"),
        ({"annotators": "majority", "annotators_k": 2}, "annotators_k is for at-least"),
        ({"annotators": "at-least", "annotators_k": 0}, "must be at least 1"),
        ({"annotators": "mean", "ignore_zone": True}, "a mean keeps every degree"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        open_targets(annotated(tmp_path), **options)


def test_grey_edges_are_merged_by_mean_only(tmp_path):
    root = annotated(tmp_path, "edges")
    write_pictures(root / "edges" / "dan", x=[[0, 51, 102, 255]])
    with pytest.raises(DataError, match="Merge grey edges by mean"):
        open_targets(root, annotators="majority")
    assert inspect(root).agreement is None


def test_a_mean_of_three_classes_is_refused(tmp_path):
    root = annotated(tmp_path)
    write_pictures(root / "masks" / "ann", x=[[0, 1, 2, 2]])
    for name in ("bob", "cid"):
        write_pictures(root / "masks" / name, x=[[0, 1, 1, 2]])
    with pytest.raises(DataError, match="a mean is of two classes"):
        open_targets(root, annotators="mean")


def test_converting_writes_the_pictures_and_one_map_each(tmp_path):
    root, out = annotated(tmp_path / "data" / "train"), tmp_path / "out"
    report = convert(root.parent, out, annotators="majority", ignore_zone=True)
    assert (report.rows, report.splits) == (1, {"train": 1})
    picture = out / "train" / "images" / "x.png"
    assert picture.read_bytes() == (root / "images" / "x.png").read_bytes()
    assert read_picture(out / "train" / "masks" / "x.png") == [[1, 255, 255, 0]]
    maps = open_maps(out / "train" / "masks")
    assert (maps.class_names, maps.void) == (("foreground",), 255)


def test_a_mean_is_written_as_shares_and_says_so(tmp_path):
    root, out = annotated(tmp_path / "data"), tmp_path / "out"
    report = convert(root, out, annotators="mean")
    assert read_picture(out / "masks" / "x.png") == [[255, 170, 85, 0]]
    assert not (out / "classes.json").exists()
    assert "no class numbers" in report.notes[0]


def test_converting_asks_how_maps_become_one(tmp_path):
    root = annotated(tmp_path / "data")
    with pytest.raises(DataError, match="--annotators majority, at-least, staple, mean"):
        convert(root, tmp_path / "out")
    with pytest.raises(ConfigError, match="become a folder"):
        convert(root, tmp_path / "out", to="tfrecord", annotators="majority")
    assert not (tmp_path / "out").exists()


def test_other_data_has_no_annotators(fashion, tmp_path):
    with pytest.raises(DataError, match="no annotators"):
        convert(fashion, tmp_path / "out", annotators="majority")
    with pytest.raises(ConfigError, match="need --annotators"):
        convert(fashion, tmp_path / "out", to="numpy", annotators_k=2)
    with pytest.raises(ConfigError, match="--to FORM: is needed"):
        convert(fashion, tmp_path / "out")


def test_inspecting_tells_how_far_annotators_agree(tmp_path):
    report = inspect(annotated(tmp_path))
    assert report.annotators == {"ann": 1, "bob": 1, "cid": 1}
    assert report.per_picture == {3: 1}
    assert report.disputed == 0.5
    assert report.ties == 0.0
    assert report.marked == {1: 0.75, 2: 0.5, 3: 0.25}
    # Pairs: ann and bob differ in one pixel, bob and cid in one, ann and cid in two.
    assert report.agreement.observed == pytest.approx((3 + 3 + 2) / 12)


def test_a_picture_by_one_annotator_is_noted(tmp_path):
    root = annotated(tmp_path)
    write_pictures(root / "images", y=[[0]])
    write_pictures(root / "masks" / "ann", y=[[255]])
    assert inspect(root).notes == ("1 pictures were drawn by one annotator only.",)


def test_options_for_classes_are_not_for_annotators(tmp_path):
    with pytest.raises(ConfigError, match="--model, --split and --pixels are for classes"):
        inspect(annotated(tmp_path), model="cnn")


def test_training_on_them_is_refused_by_name(tmp_path, fashion):
    root = annotated(tmp_path / "data")
    out = {"out": str(tmp_path / "run")}
    with pytest.raises(DataError, match=r"Say how these become one with --set data\.annotators"):
        dnncli.train(root, **out)
    with pytest.raises(ConfigError, match=r"data\.annotators majority: is for masks or edges"):
        dnncli.train(fashion, settings={"data.annotators": "majority"}, **out)
    with pytest.raises(ConfigError, match=r"data\.annotators_k: is for annotators = 'at-least'"):
        dnncli.train(fashion, settings={"data.annotators": "at-least"}, **out)
    with pytest.raises(ConfigError, match=r"data\.ignore_zone: is for"):
        dnncli.train(fashion, settings={"data.ignore_zone": True}, **out)


def test_a_mean_of_many_people_is_exact_to_the_grey_level(tmp_path):
    rng = np.random.default_rng(1)
    maps = rng.integers(0, 2, (7, 5, 6))
    write_pictures(tmp_path / "images", x=np.zeros((5, 6)))
    for number, values in enumerate(maps):
        write_pictures(tmp_path / "edges" / f"p{number}", x=values * 255)
    merged = open_targets(tmp_path, annotators="mean").read(0)
    assert np.array_equal(merged, np.round(maps.mean(axis=0) * 255))


@pytest.mark.parametrize("folder", ["masks", "edges"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"annotators": "majority"}, [1, 1, 0, 0]),
        ({"annotators": "majority", "ignore_zone": True}, [1, 255, 255, 0]),
        ({"annotators": "at-least", "annotators_k": 2, "ignore_zone": True}, [1, 1, 255, 0]),
        ({"annotators": "mean"}, [1, 1, 0, 0]),  # at least half of three
    ],
)
def test_training_sees_what_convert_writes(tmp_path, folder, options, expected):
    root = annotated(tmp_path / "data", folder)
    dataset = annotated_dataset(open_targets(root, **options))
    assert dataset.masks.read(0).tolist() == [expected]
    assert pixel_counts(dataset, np.array([0])).tolist() == [expected.count(0), expected.count(1)]
    if options["annotators"] == "mean" and folder == "masks":
        return  # shares of masks are written as grey pictures, which are no masks
    convert(root, tmp_path / "out", **options)
    written = dnncli.open_dataset(tmp_path / "out")
    assert written.masks.read(0).tolist() == [expected]
    assert (written.task, written.ids, written.class_names) == (
        dataset.task,
        dataset.ids,
        dataset.class_names,
    )


def test_splits_and_copies_of_annotated_pictures_are_known(tmp_path):
    write_pictures(tmp_path / "train" / "images", x=[[1, 2]], y=[[1, 2]])
    write_pictures(tmp_path / "train" / "masks" / "ann", x=[[0, 1]], y=[[0, 2]])
    write_pictures(tmp_path / "test" / "images", z=[[3, 4]])
    write_pictures(tmp_path / "test" / "masks" / "ann", z=[[2, 2]])
    dataset = annotated_dataset(open_targets(tmp_path, annotators="majority"))
    assert dataset.ids == ("train/x", "train/y", "test/z")
    assert dataset.splits.tolist() == ["train", "train", "test"]
    assert dataset.class_names == ("0", "1", "2")
    assert dataset.take([2]).masks.read(0).tolist() == [[2, 2]]
    assert health(dataset).duplicates == (("train/x", "train/y"),)
    assert health(dataset).conflicts == (("train/x", "train/y"),)


def test_masks_beside_folders_of_masks_are_masks(tmp_path):
    root = annotated(tmp_path)
    write_pictures(root / "masks", x=[[0, 255, 0, 255]])
    dataset = dnncli.open_dataset(root)
    assert dataset.masks.read(0).tolist() == [[0, 1, 0, 1]]
    assert [problem.path for problem in dataset.problems] == [
        *("masks/ann/x", "masks/bob/x", "masks/cid/x"),
    ]
