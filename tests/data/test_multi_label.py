"""Multi-label files: every class column is a question of its own."""

import numpy as np
import pytest

from dnncli.data.align import align
from dnncli.data.ids import as_ids
from dnncli.data.predictions import read_predictions, read_truth, write_predictions
from dnncli.errors import DataError
from dnncli.predictions import Predictions

SUFFIXES = [".csv", ".parquet", ".npz"]
SCORES = np.array([[0.9, 0.8, 0.0], [0.0, 0.0, 0.0]], np.float32)
MEMBERS = np.array([[True, True, False], [False, False, False]])


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def scored(names=("a", "b", "c"), *, ids="xy"):
    return Predictions(
        ids=as_ids(ids), class_names=tuple(names), kind="score", probs=SCORES, multi_label=True
    )


def truth_of(names=("a", "b", "c"), *, ids="xy", weights=None):
    return Predictions(
        ids=as_ids(ids),
        class_names=tuple(names),
        kind="label",
        multi_label=True,
        members=MEMBERS,
        weights=weights,
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_scores_come_back_whatever_they_sum_to(tmp_path, suffix):
    write_predictions(scored(), tmp_path / f"p{suffix}")
    read = read_predictions(tmp_path / f"p{suffix}", multi_label=True)
    assert (read.kind, read.multi_label, read.class_names) == ("score", True, ("a", "b", "c"))
    assert (read.probs == SCORES).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truth_and_weights_come_back(tmp_path, suffix):
    weights = np.array([0.5, 2.0])
    write_predictions(truth_of(weights=weights), tmp_path / f"t{suffix}")
    read = read_truth(tmp_path / f"t{suffix}", multi_label=True)
    assert read.members.dtype == bool
    assert (read.members == MEMBERS).all()
    assert read.weights.tolist() == weights.tolist()
    assert read.labels is None


@pytest.mark.parametrize("cells", ["1,0", "1.0,0.0", " 1 ,0"])
def test_one_and_zero_may_be_written_as_people_do(tmp_path, cells):
    read = read_truth(write(tmp_path, "t.csv", f"id,a,b\nx,{cells}\n"), multi_label=True)
    assert read.members.tolist() == [[True, False]]


def test_truth_values_of_parquet_are_ones_and_zeros(tmp_path):
    import polars as pl

    frame = pl.DataFrame({"id": ["x", "y"], "a": [True, False], "b": [0, 1]})
    frame.write_parquet(tmp_path / "t.parquet")
    read = read_truth(tmp_path / "t.parquet", multi_label=True)
    assert read.members.tolist() == [[True, False], [False, True]]
    read = read_predictions(tmp_path / "t.parquet", multi_label=True)
    assert read.probs.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("cell", ["2", "0.5", "yes", "", "nan", "-1"])
def test_truth_that_is_neither_is_named_by_id_column_and_value(tmp_path, cell):
    path = write(tmp_path, "t.csv", f"id,a,b\nx,1,0\ny,0,{cell}\n")
    with pytest.raises(DataError, match=r"must be 0 or 1.*\n") as caught:
        read_truth(path, multi_label=True)
    assert caught.value.problems == (f"id 'y', column 'b': '{cell}'",)


def test_scores_outside_of_zero_to_one_are_named_whatever_the_other_columns_hold(tmp_path):
    path = write(tmp_path, "p.csv", "id,a,b\nx,0.9,0.9\ny,0,1.5\n")
    with pytest.raises(DataError, match=r"outside \[0, 1\].*\n  id 'y', class 'b': 1.5$"):
        read_predictions(path, multi_label=True)


def test_weight_split_and_group_are_classes_only_if_declared(tmp_path):
    text = "id,weight,split,group,a\nx,1,1,0,1\n"
    path = write(tmp_path, "t.csv", text)
    read = read_truth(path, multi_label=True)
    assert read.class_names == ("a",)
    assert read.weights.tolist() == [1]
    assert sorted(read.columns) == ["group", "split"]
    names = ("a", "group", "split", "weight")
    read = read_truth(path, multi_label=True, classes=names)
    assert (read.class_names, read.weights) == (names, None)
    assert read.members.tolist() == [[True, False, True, True]]
    assert read_predictions(path, multi_label=True).class_names == names


def test_further_columns_of_truth_must_be_named_as_such(tmp_path):
    path = write(tmp_path, "t.csv", "id,a,site\nx,1,north\n")
    read = read_truth(path, multi_label=True, classes=("a",), further=("site",))
    assert read.columns["site"].to_list() == ["north"]
    with pytest.raises(DataError, match="column 'site' is no class"):
        read_truth(path, multi_label=True, classes=("a",))
    with pytest.raises(DataError, match=r"no column 'stie'. Did you mean 'site'\?"):
        read_truth(path, multi_label=True, further=("stie",))


@pytest.mark.parametrize("read", [read_truth, read_predictions])
def test_missing_and_extra_classes_are_named_with_the_nearest(tmp_path, read):
    path = write(tmp_path, "t.csv", "id,cat,dgo\nx,1,0\n")
    with pytest.raises(DataError) as caught:
        read(path, multi_label=True, classes=("cat", "dog"))
    assert caught.value.problems == (
        "no column 'dog'. Did you mean 'dgo'?",
        "column 'dgo' is no class. Did you mean 'dog'?",
    )


@pytest.mark.parametrize("read", [read_truth, read_predictions])
def test_one_label_per_row_is_not_taken_for_multi_label(tmp_path, read):
    path = write(tmp_path, "t.csv", "id,label\nx,a\n")
    with pytest.raises(DataError, match="has a column 'label', one class per row"):
        read(path, multi_label=True)
    path = write(tmp_path, "u.csv", "id,label,a\nx,1,0\n")
    assert read(path, multi_label=True, classes=("label", "a")).class_names == ("label", "a")


@pytest.mark.parametrize("read", [read_truth, read_predictions])
def test_a_file_that_says_it_is_multi_label_is_not_read_as_anything_else(tmp_path, read):
    write_predictions(truth_of(), tmp_path / "t.parquet")
    with pytest.raises(DataError, match="is multi-label.*--multi-label"):
        read(tmp_path / "t.parquet")


def test_rows_are_joined_by_id_and_classes_by_name():
    found, truth = align(scored(ids="yx"), truth_of(names=("c", "b", "a")))
    assert found.ids.to_list() == truth.ids.to_list() == ["x", "y"]
    assert found.class_names == truth.class_names == ("a", "b", "c")
    assert (found.probs == SCORES[::-1]).all()
    assert truth.members.tolist() == [[False, True, True], [False, False, False]]


def test_classes_of_one_side_only_are_named():
    with pytest.raises(DataError) as caught:
        align(scored(), truth_of(names=("a", "b", "C")), names=("m", "t"))
    assert caught.value.problems == (
        "t has no class 'c'. There is 'C', which differs only in letter case.",
        "m has no class 'C'. There is 'c', which differs only in letter case.",
    )


def test_single_and_multi_label_tables_are_not_mixed():
    labels = Predictions(
        ids=as_ids("xy"), class_names=("a",), kind="label", labels=np.zeros(2, np.int32)
    )
    with pytest.raises(ValueError, match="both be multi-label"):
        align(scored(), labels)


def test_matrices_that_fit_no_names_are_refused(tmp_path):
    np.savez(tmp_path / "t.npz", ids=["x"], members=[[1, 0]], class_names=["a"])
    with pytest.raises(DataError, match=r"members must be \(N, C\) with C different class_names"):
        read_truth(tmp_path / "t.npz", multi_label=True)
