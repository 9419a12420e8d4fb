"""Predictions and truth files: nothing is lost, nothing is guessed, everything wrong is named."""

import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnncli.data.dataset import UNLABELLED
from dnncli.data.ids import as_ids
from dnncli.data.predictions import read_predictions, read_truth, write_predictions
from dnncli.errors import DataError
from dnncli.predictions import Predictions

SUFFIXES = [".csv", ".parquet", ".npz"]
AWKWARD = ["007", "1e5", "NA", "None", "null", "nan", "True", " x ", "a,b", 'a"b', "a\nb", "a\r\nb"]
AWKWARD += ["é", unicodedata.normalize("NFD", "é"), "😀", "#x", "'", ";", "-", "\ufeff", "a\rb"]

# What people type, and what breaks readers of text.
texts = st.one_of(
    st.sampled_from(AWKWARD),
    st.text(
        st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]),
        min_size=1,
        max_size=8,
    ),
)
one_file_at_a_time = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@st.composite
def label_tables(draw):
    ids = draw(st.lists(texts, min_size=1, max_size=6, unique=True))
    names = draw(st.lists(texts, min_size=1, max_size=4, unique=True))
    labels = draw(st.lists(st.integers(0, len(names) - 1), min_size=len(ids), max_size=len(ids)))
    return tuple(ids), tuple(names), np.array(labels, np.int32)


@st.composite
def probability_tables(draw):
    ids = draw(st.lists(texts, min_size=1, max_size=5, unique=True))
    names = draw(
        st.lists(
            texts.filter(lambda name: name not in ("id", "label")),
            min_size=2,
            max_size=4,
            unique=True,
        )
    )
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    numbers = st.floats(0, 1, width=32 if dtype is np.float32 else 64)
    cells = draw(st.lists(numbers, min_size=len(ids) * len(names), max_size=len(ids) * len(names)))
    probs = np.array(cells, dtype).reshape(len(ids), len(names))
    sums = probs.sum(axis=1, keepdims=True, dtype=np.float64)
    probs = np.where(sums > 0, probs / np.where(sums > 0, sums, 1), 1 / len(names)).astype(dtype)
    return tuple(ids), tuple(names), probs


@pytest.mark.parametrize("suffix", SUFFIXES)
@one_file_at_a_time
@given(table=label_tables())
def test_labels_come_back_as_they_were_written(tmp_path, suffix, table):
    ids, names, labels = table
    given_table = Predictions(ids=as_ids(ids), class_names=names, kind="label", labels=labels)
    path = tmp_path / f"p{suffix}"
    write_predictions(given_table, path)
    for read in (
        read_predictions(path, classes=names),
        read_truth(path, classes=names),
        read_predictions(path),
    ):
        assert read.kind == "label"
        assert tuple(read.ids) == ids
        assert [read.class_names[label] for label in read.labels] == [names[i] for i in labels]


@pytest.mark.parametrize("suffix", SUFFIXES)
@one_file_at_a_time
@given(table=probability_tables())
def test_probabilities_come_back_bit_for_bit(tmp_path, suffix, table):
    ids, names, probs = table
    given_table = Predictions(ids=as_ids(ids), class_names=names, kind="probability", probs=probs)
    path = tmp_path / f"p{suffix}"
    write_predictions(given_table, path)
    read = read_predictions(path, classes=names)
    assert (tuple(read.ids), read.class_names, read.kind) == (ids, names, "probability")
    assert (read.probs == probs).all()
    assert read.warnings == ()
    if suffix != ".csv":  # text has no precision of its own: CSV gives the equal doubles
        assert read.probs.dtype == probs.dtype


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_single_column_is_the_score_of_that_class(tmp_path, suffix):
    scores = np.array([[0.7], [1.0], [0.0]], np.float32)
    table = Predictions(
        ids=as_ids(("a", "b", "c")), class_names=("defect",), kind="score", probs=scores
    )
    write_predictions(table, tmp_path / f"p{suffix}")
    read = read_predictions(tmp_path / f"p{suffix}", classes=("ok", "defect"))
    assert (read.kind, read.class_names) == ("score", ("defect",))
    assert (read.probs == scores).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_and_missing_labels_come_back(tmp_path, suffix):
    weights = np.array([1.0, 0.1, 2.5])
    labels = np.array([0, UNLABELLED, 1], np.int32)
    path = tmp_path / f"t{suffix}"
    table = Predictions(
        ids=as_ids(("a", "b", "c")),
        class_names=("A", "B"),
        kind="label",
        labels=labels,
        weights=weights,
    )
    write_predictions(table, path)
    assert read_predictions(path, classes=("A", "B")).labels.tolist() == labels.tolist()
    with pytest.raises(DataError, match=r"without a label:\n  id 'b'"):
        read_truth(path)
    full = Predictions(
        ids=as_ids(("a", "b", "c")),
        class_names=("A",),
        kind="label",
        labels=labels * 0,
        weights=weights,
    )
    write_predictions(full, path)
    assert read_truth(path).weights.tolist() == weights.tolist()


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
def test_metadata_keeps_the_class_order_and_who_predicted(tmp_path, suffix):
    table = Predictions(
        ids=as_ids(("a",)),
        class_names=("zebra", "ant"),
        kind="probability",
        probs=np.array([[0.25, 0.75]], np.float32),
        metadata={"task": "classify", "split": "test", "model": "f00d", "data": "cafe"},
    )
    write_predictions(table, tmp_path / f"p{suffix}")
    read = read_predictions(tmp_path / f"p{suffix}")
    assert read.class_names == ("zebra", "ant")
    assert read.metadata == table.metadata | {"kind": "probability", "classes": ["zebra", "ant"]}


def test_parquet_metadata_is_where_other_tools_find_it(tmp_path):
    import polars as pl

    table = Predictions(ids=as_ids(("a",)), class_names=("A",), kind="label", labels=np.array([0]))
    write_predictions(table, tmp_path / "p.parquet")
    assert pl.read_parquet_metadata(tmp_path / "p.parquet")["dnncli"] == (
        '{"kind": "label", "classes": ["A"]}'
    )


def test_file_names_that_cannot_be_decoded_are_written_with_escapes(tmp_path):
    table = Predictions(
        ids=as_ids(("caf\udce9.png",)), class_names=("A",), kind="label", labels=np.array([0])
    )
    write_predictions(table, tmp_path / "p.csv")
    assert tuple(read_truth(tmp_path / "p.csv").ids) == ("caf\\udce9.png",)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, suffix):
    path = write(tmp_path, f"p{suffix}", "old")
    probs = np.array([[0.5, 0.5]])
    table = Predictions(
        ids=as_ids(("a",)), class_names=("id", "x"), kind="probability", probs=probs
    )
    with pytest.raises(DataError, match="a class cannot be called 'id'"):
        write_predictions(table, path)
    table = Predictions(
        ids=as_ids(("a\0",)), class_names=("A",), kind="label", labels=np.array([0])
    )
    with pytest.raises(DataError, match="holds a NUL character"):
        write_predictions(table, path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffid,label\na,P\nb,N\n",
        "id,label\r\na,P\r\nb,N\r\n",
        "id,label\n\na,P\n\nb,N\n\n",
        "id,label\na,P\nb,N",
        "label,id,model\nP,a,x\nN,b,x\n",
        '"id","label"\n"a","P"\n"b","N"\n',
    ],
    ids=["bom", "crlf", "blank lines", "no last newline", "other columns", "all quoted"],
)
def test_the_ways_people_write_csv_all_read_alike(tmp_path, text):
    read = read_truth(write(tmp_path, "t.csv", text))
    assert tuple(read.ids) == ("a", "b")
    assert read.class_names == ("N", "P")
    assert read.labels.tolist() == [1, 0]


def test_a_quote_inside_an_unquoted_cell_is_a_quote(tmp_path):
    assert tuple(read_truth(write(tmp_path, "t.csv", 'id,label\na"b,P\nc,N\n')).ids) == ('a"b', "c")


def test_numbers_as_ids_and_labels_of_parquet_become_text(tmp_path):
    import polars as pl

    pl.DataFrame({"id": [7, 8], "label": [1, 0]}).write_parquet(tmp_path / "t.parquet")
    read = read_truth(tmp_path / "t.parquet")
    assert (tuple(read.ids), read.class_names) == (("7", "8"), ("0", "1"))


def test_integers_in_npz_are_indices_into_the_class_names(tmp_path):
    labels = np.array([1, 0, -1])
    np.savez(tmp_path / "p.npz", ids=["a", "b", "c"], labels=labels, class_names=["ok", "bad"])
    read = read_predictions(tmp_path / "p.npz", classes=("bad", "ok"))
    assert read.labels.tolist() == [0, 1, UNLABELLED]


def test_probability_columns_are_found_by_name_in_declared_order(tmp_path):
    path = write(tmp_path, "p.csv", "dog,id,cat\n0.9,a,0.1\n")
    assert read_predictions(path).class_names == ("cat", "dog")
    read = read_predictions(path, classes=("dog", "cat"))
    assert read.class_names == ("dog", "cat")
    assert read.probs.tolist() == [[0.9, 0.1]]


def test_a_class_may_be_called_label_if_it_is_declared(tmp_path):
    path = write(tmp_path, "p.csv", "id,label,other\na,0.25,0.75\n")
    read = read_predictions(path, classes=("label", "other"))
    assert read.probs.tolist() == [[0.25, 0.75]]


def test_rows_that_nearly_sum_to_one_are_scaled_and_said_so(tmp_path):
    read = read_predictions(write(tmp_path, "p.csv", "id,A,B\na,0.5,0.505\nb,0.25,0.75\n"))
    np.testing.assert_allclose(read.probs[0], [0.5 / 1.005, 0.505 / 1.005], rtol=1e-15)
    assert read.probs[1].tolist() == [0.25, 0.75]
    assert "1 of 2 rows do not sum to 1 exactly (id 'a': 1.005)" in read.warnings[0]


def test_rows_of_a_rounded_float32_softmax_stay_as_they_are(tmp_path):
    logits = np.random.default_rng(0).normal(size=(200, 1000)).astype(np.float32) * 4
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = tuple(f"c{index:03}" for index in range(1000))
    ids = tuple(map(str, range(200)))
    table = Predictions(ids=as_ids(ids), class_names=names, kind="probability", probs=probs)
    write_predictions(table, tmp_path / "p.parquet")
    read = read_predictions(tmp_path / "p.parquet")
    assert (read.probs == probs).all()
    assert read.warnings == ()


def test_nan_rows_are_kept_only_if_asked_for(tmp_path):
    path = write(tmp_path, "p.csv", "id,cat,dog\na,nan,0.5\nb,0.5,0.5\n")
    with pytest.raises(
        DataError, match=r"p.csv: scores that are no number.*\n  id 'a', class 'cat'"
    ):
        read_predictions(path)
    assert np.isnan(read_predictions(path, nan="keep").probs).tolist() == [
        [True, False],
        [False, False],
    ]


def test_the_rows_of_one_split_can_be_chosen(tmp_path):
    path = write(tmp_path, "split.csv", "id,label,split,group\na,P,train,\nb,N,test,\n")
    assert tuple(read_truth(path, split="test").ids) == ("b",)
    with pytest.raises(DataError, match=r"no row has the split 'val'. Found: test, train"):
        read_truth(path, split="val")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"p.csv: is empty"),
        ("id,A,B\n", r"p.csv: holds no rows"),
        ("file,A\nx,1\n", r"no column 'id'. Columns: file, A"),
        ("id;A;B\nx;1;0\n", r"separated by ';'"),
        ("id\nx\n", r"no column but 'id'"),
        ("id,A,A\nx,1,0\n", r"p.csv:1: column 'A' occurs twice"),
        ("id,A,B\nx,1,0\ny,1,0,3\n", r"p.csv:3: 4 values for 3 columns"),
        ('id,A,B\n"x,1,0\n', r"p.csv:2: broken quoting"),
        (b"id,A,B\ncaf\xe9,1,0\n", r"p.csv:2: is not UTF-8 \(byte 0xe9\)"),
        ("id,A,B\n".encode("utf-16"), r"p.csv:1: is not UTF-8"),
        ("id,A,B\nx,1,0\n,1,0\n", r"rows without an id:\n  row 2"),
        ("id,A,B\nx,1,0\nx,0,1\n", r"more than once.*\n  'x' 2 times"),
        ("id,A,B\nx,yes,0\n", r"not numbers.*\n  id 'x', column 'A': 'yes'"),
        ("id,A,B\nx,,0\n", r"not numbers.*\n  id 'x', column 'A': ''"),
        ("id,A,B\nx,2.5,-1\n", r"outside \[0, 1\]. Convert logits by a softmax.*\n  id 'x', .*2.5"),
        ("id,A,B\nx,inf,0\n", r"outside \[0, 1\].*\n  id 'x', class 'A': inf"),
        ("id;A;B\nx;1,5;0\n", r"p.csv:1: the columns are separated by ';'. Separate them by comm"),
        ("id,A,B\nx,,0\n", r"A score that is missing is written as nan"),
        ("id,A\nx,-3\n", r"With a threshold.* a single.* convert logits by 1 / \(1 \+ exp\(-x\)\)"),
        ("id,A,B\nx,0.9,0.9\n", r"do not exclude each other are scored by `eval --multi-label`"),
        ("id,A\nx,70\n", r"percentages by / 100.\n  id 'x', class 'A': 70.0"),
        ("id,A,B\nx,0.5,0.6\n", r"must sum to 1 within 0.01.*\n  id 'x': sums to 1.1"),
    ],
)
def test_wrong_predictions_are_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_predictions(write(tmp_path, "p.csv", text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,truth\na,P\n", r"t.csv: a truth file needs the columns id,label. Found: id, truth"),
        ("id,A,B\na,1,0\n", r"one 0/1 column per class is read with --multi-label"),
        ("id,label\na,P\nb,\n", r"rows without a label:\n  id 'b'"),
        ("id,label,weight\na,P,1\nb,N,-1\n", r"weights must be.*\n  id 'b': -1.0"),
        ("id,label,weight\na,P,1e308\nb,N,1\n", r"largest weight is 1e\+308. Weights may add up"),
        ("id,label,weight\na,P,1e-200\nb,N,0\n", r"largest weight is 1e-200. .*Scale them"),
        (
            "id,label,weight\na,P,1\nb,N,x\n",
            r"not numbers. Every row needs its weight.*\n  id 'b', column 'weight': 'x'",
        ),
        (
            "id,label\na,P\nb,Pp\n",
            r"not declared:\n  id 'b': class 'Pp' is not one of P, N. Did you mean 'P'\?",
        ),
        ("id,label\na,p\n", r"There is 'P', which differs only in letter case"),
    ],
)
def test_wrong_truth_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_truth(write(tmp_path, "t.csv", text), classes=("P", "N"))


def test_columns_that_are_not_the_declared_classes_are_named(tmp_path):
    path = write(tmp_path, "p.csv", "id,cat,dgo\na,0.5,0.5\n")
    with pytest.raises(DataError) as caught:
        read_predictions(path, classes=("cat", "dog"))
    assert caught.value.problems == (
        "no column 'dog'. Did you mean 'dgo'?",
        "column 'dgo' is no class. Did you mean 'dog'?",
    )


def test_only_the_first_problems_are_shown_and_the_rest_counted(tmp_path):
    rows = "".join(f"row{index},1,1\n" for index in range(100))
    with pytest.raises(DataError) as caught:
        read_predictions(write(tmp_path, "p.csv", f"id,A,B\n{rows}"))
    assert str(caught.value).endswith("id 'row19': sums to 2\n  ... and 80 more.")


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "p.npz", ids=np.array(["a", None], dtype=object), labels=["x", "y"])
    with pytest.raises(DataError, match="cannot be read as NPZ"):
        read_predictions(tmp_path / "p.npz")


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
def test_files_that_only_look_like_their_suffix_are_named(tmp_path, suffix):
    with pytest.raises(DataError, match=f"p{suffix}: cannot be read as"):
        read_predictions(write(tmp_path, f"p{suffix}", "id,label\na,P\n"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": [1]}, r"has the arrays x. Needed: ids"),
        ({"ids": ["a"], "probs": [[0.5, 0.5]]}, r"probs must be \(N, C\)"),
        ({"ids": ["a", "b"], "labels": ["x"]}, r"'label' has the shape \(1,\), ids have \(2,\)"),
        ({"ids": ["a"], "labels": [2], "class_names": ["x"]}, r"labels from 2 to 2 do not index"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_predictions(tmp_path / "p.npz")


def test_other_files_are_refused_by_their_suffix(tmp_path):
    with pytest.raises(DataError, match=r"Known suffixes: .csv, .parquet, .npz"):
        read_predictions(tmp_path / "p.xlsx")
    with pytest.raises(DataError, match="no such file"):
        read_predictions(tmp_path / "p.csv")


def test_brackets_in_a_file_name_are_no_pattern(tmp_path):
    assert len(read_truth(write(tmp_path, "t[1].csv", "id,label\na,P\n"))) == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_finite_score_is_enough_for_a_ranking(tmp_path, suffix):
    scores = np.array([[-3.5], [1e30], [0.25]])
    table = Predictions(
        ids=as_ids("abc"), class_names=("defect",), kind="score", probs=scores, metadata={}
    )
    path = tmp_path / f"p{suffix}"
    write_predictions(table, path)
    assert (read_predictions(path, scores="any").probs == scores).all()
    with pytest.raises(DataError, match=r"outside \[0, 1\]"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,A\nx,1\ny,inf\n", r"not finite. Predict them again:\n  id 'y', class 'A': inf"),
        ("id,A\nx,1\ny,-inf\n", r"not finite"),
        ("id,A\nx,9\ny,nan\n", r"no number. Predict them again, or.*:\n  id 'y', class 'A': nan"),
        ("id,A,B\nx,9,-9\n", r"outside \[0, 1\]. Convert logits by a softmax"),
    ],
)
def test_scores_that_rank_nothing_are_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_predictions(write(tmp_path, "p.csv", text), scores="any")


def test_nan_among_scores_of_any_range_is_kept_if_asked_for(tmp_path):
    path = write(tmp_path, "p.csv", "id,A\nx,9\ny,nan\n")
    read = read_predictions(path, scores="any", nan="keep")
    np.testing.assert_array_equal(read.probs, [[9], [np.nan]])


def test_other_columns_of_the_truth_are_kept_as_they_are(tmp_path):
    path = write(tmp_path, "t.csv", "id,label,site,weight,split\na,P,007,1,val\nb,N,,2,test\n")
    read = read_truth(path)
    assert {name: column.to_list() for name, column in read.columns.items()} == {
        "site": ["007", None],
        "split": ["val", "test"],
    }
    assert read_truth(path, split="test").columns["site"].to_list() == [None]
    write_predictions(read, tmp_path / "copy.csv")
    assert read_truth(tmp_path / "copy.csv").columns["site"].to_list() == ["007", None]


def test_pictures_and_lists_in_the_truth_are_left_alone(tmp_path):
    import polars as pl

    frame = pl.DataFrame({"id": ["a"], "label": ["P"], "png": [b"1"], "box": [[1, 2]], "age": [7]})
    frame.write_parquet(tmp_path / "t.parquet")
    read = read_truth(tmp_path / "t.parquet")
    assert list(read.columns) == ["age"]
    write_predictions(read, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "id,label,age\na,P,7\n"


def test_a_parquet_file_with_a_damaged_middle_is_named(tmp_path):
    import polars as pl

    path = tmp_path / "p.parquet"
    pl.DataFrame({"id": ["a", "b"] * 50, "A": [0.5] * 100}).write_parquet(path)
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\xff" * 64 + data[68:])
    with pytest.raises(DataError, match=r"p.parquet: cannot be read \("):
        read_predictions(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_classes_may_be_called_like_columns_of_the_truth(tmp_path, suffix):
    names = ("group", "split", "weight")
    probs = np.array([[0.5, 0.25, 0.25]], np.float32)
    table = Predictions(ids=as_ids("a"), class_names=names, kind="probability", probs=probs)
    write_predictions(table, tmp_path / f"p{suffix}")
    read = read_predictions(tmp_path / f"p{suffix}")
    assert read.class_names == names
    assert (read.probs == probs).all()


def test_a_class_called_label_keeps_its_float32_scores(tmp_path):
    probs = np.array([[0.1, 0.9]], np.float32)
    table = Predictions(
        ids=as_ids("a"), class_names=("label", "x"), kind="probability", probs=probs
    )
    write_predictions(table, tmp_path / "p.parquet")
    read = read_predictions(tmp_path / "p.parquet")
    assert read.probs.dtype == np.float32
    assert (read.probs == probs).all()


def test_a_class_column_without_a_name_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a column has no name.*pandas: index=False"):
        read_predictions(write(tmp_path, "p.csv", ",id,A,B\n0,a,1,0\n"))
    assert read_truth(write(tmp_path, "t.csv", ",id,label\n0,a,P\n")).class_names == ("P",)


def test_classes_that_are_declared_twice_are_refused(tmp_path):
    path = write(tmp_path, "t.csv", "id,label\na,P\n")
    with pytest.raises(DataError, match="a class is declared twice: P, P"):
        read_truth(path, classes=("P", "P"))


def test_missing_cells_of_parquet_are_no_numbers(tmp_path):
    import polars as pl

    frame = pl.DataFrame({"id": ["a", "b"], "A": [0.5, None], "B": [0.5, 1.0]})
    for dtype in (pl.Float32, pl.Float64):
        frame.with_columns(pl.col("A").cast(dtype)).write_parquet(tmp_path / "p.parquet")
        with pytest.raises(DataError, match=r"no number.*\n  id 'b', class 'A': nan"):
            read_predictions(tmp_path / "p.parquet")


def test_columns_that_hold_no_numbers_are_named_with_their_type(tmp_path):
    import polars as pl

    frame = pl.DataFrame({"id": ["a"], "A": [[0.5]], "B": [0.5]})
    frame.write_parquet(tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"column 'A' holds List\(Float64\), not numbers"):
        read_predictions(tmp_path / "p.parquet")


def test_a_matrix_has_one_stretch_of_memory_per_class(tmp_path):
    read = read_predictions(write(tmp_path, "p.csv", "id,A,B\na,1,0\nb,0,1\n"))
    assert read.probs.flags.f_contiguous
    taken = read.take(np.array([1, 0, 1]))
    assert taken.probs.flags.f_contiguous
    assert taken.probs.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert taken.ids.to_list() == ["b", "a", "b"]


def test_a_parquet_file_of_many_row_groups_is_read_like_one(tmp_path, monkeypatch):
    import polars as pl

    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(5), 1000)
    table = Predictions(
        ids=as_ids(map(str, range(1000))),
        class_names=tuple("abcde"),
        kind="probability",
        probs=probs,
    )
    write_predictions(table, tmp_path / "one.parquet")
    frame = pl.read_parquet(tmp_path / "one.parquet")
    frame.write_parquet(tmp_path / "many.parquet", row_group_size=64)
    monkeypatch.setattr("dnncli.data.scores._BATCH", 8 * 1000 * 2)  # two columns at a time
    read = read_predictions(tmp_path / "many.parquet")
    assert read.ids.n_chunks() > 1
    assert (read.probs == probs).all()
    again = read.take(np.arange(1000)[::-1])
    assert (again.probs == probs[::-1]).all()


def test_a_table_is_read_in_the_memory_that_it_takes(tmp_path):
    """Measured in fresh processes, so that only reading counts."""
    import subprocess
    import sys

    import polars as pl

    rows = 400_000
    scores = np.random.default_rng(0).random((20, rows), np.float32)
    scores /= scores.sum(axis=0)
    columns = {f"class_{index:02}": column for index, column in enumerate(scores)}
    frame = pl.DataFrame({"id": [f"{index:026}" for index in range(rows)], **columns})
    frame.write_parquet(tmp_path / "p.parquet")
    code = (
        "import resource, sys, polars; from pathlib import Path\n"
        "from dnncli.data.predictions import read_predictions\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "start = peak(); table = read_predictions(Path(sys.argv[1])); print(peak() - start)"
    )
    call = [sys.executable, "-c", code, str(tmp_path / "p.parquet")]
    used = int(subprocess.run(call, check=True, stdout=subprocess.PIPE).stdout)
    assert used < 3 * frame.estimated_size()
