"""CSV and Parquet manifests: text stays text, and every mistake has a line number."""

import os

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.data.detect import open_dataset
from dnncli.data.pictures import pixels, to_png
from dnncli.data.table import read_rows
from dnncli.errors import DataError

PATHS = ["imgs/0.png", "imgs/1.png", "imgs/2.png", "imgs/3.png"]


@pytest.fixture
def folder(tmp_path):
    """Four grey 2x3 pictures; every pixel of picture i is i."""
    (tmp_path / "imgs").mkdir()
    for number, path in enumerate(PATHS):
        (tmp_path / path).write_bytes(to_png(np.full((2, 3, 1), number, np.uint8)))
    return tmp_path


def write(folder, text, name="pets.csv"):
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_a_row_is_a_picture_with_its_path_as_id(folder):
    path = write(
        folder, "path,label\n" + "".join(f"{p},{'ab'[i % 2]}\n" for i, p in enumerate(PATHS))
    )
    dataset = open_dataset(path)
    assert dataset.kind == "table"
    assert list(dataset.ids) == PATHS
    assert dataset.class_names == ("a", "b")
    assert dataset.labels.tolist() == [0, 1, 0, 1]
    assert dataset.images.sizes.tolist() == [[2, 3]] * 4
    assert pixels(dataset.images, 3, channels=1).max() == 3


def test_paths_are_relative_to_the_manifest_not_to_the_shell(folder, monkeypatch):
    path = write(folder, "path,label\n./imgs/0.png,a\nimgs/1.png,b\n")
    monkeypatch.chdir(folder / "imgs")
    dataset = open_dataset(os.path.relpath(path))
    monkeypatch.chdir("/")
    assert pixels(dataset.images, 1, channels=1).max() == 1


def test_splits_groups_and_weights_are_read(folder):
    path = write(
        folder,
        "label,weight,group,path,split\n"
        "a,1,g,imgs/0.png,train\na,2.5,,imgs/1.png,Validation\n"
        "b,0,g,imgs/2.png,train\nb,1e-3,,imgs/3.png,\n",
    )
    dataset = open_dataset(path)
    assert dataset.splits.tolist() == ["train", "val", "train", ""]
    assert dataset.groups == ("g", "", "g", "")
    assert dataset.weights.tolist() == pytest.approx([1, 2.5, 0, 1e-3])


@pytest.mark.parametrize(
    "label", ["007", "1e5", "NA", "None", "null", " spaced ", "1.0", "ä", "-1"]
)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_labels_survive_as_they_are_written(folder, label, form):
    path = folder / f"pets.{form}"
    if form == "csv":
        write(folder, f"path,label\nimgs/0.png,{label}\nimgs/1.png,other\n")
    else:
        pl.DataFrame({"path": PATHS[:2], "label": [label, "other"]}).write_parquet(path)
    assert set(open_dataset(path).class_names) == {label, "other"}


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffpath,label\nimgs/0.png,a\nimgs/1.png,b\n",
        "path,label\r\nimgs/0.png,a\r\nimgs/1.png,b\r\n",
        'path,label\n"imgs/0.png","a"\n\n"imgs/1.png","b"',
    ],
    ids=["byte order mark", "CRLF", "quotes and a blank line"],
)
def test_all_kinds_of_csv_are_read_alike(folder, text):
    dataset = open_dataset(write(folder, text))
    assert dataset.ids == ("imgs/0.png", "imgs/1.png")
    assert dataset.class_names == ("a", "b")


def test_a_parquet_manifest_gives_the_same_data_set_as_csv(folder):
    rows = {
        "path": PATHS,
        "label": [7, 8, 7, 8],
        "split": ["train", "train", "val", "test"],
        "group": ["x", None, "x", None],
        "weight": [1.0, 2.0, 3.0, 4.0],
        "nested": [[1], [2], [3], [4]],
    }
    pl.DataFrame(rows).write_parquet(folder / "pets.parquet")
    pl.DataFrame(rows).drop("nested").write_csv(folder / "pets.csv")
    first, second = open_dataset(folder / "pets.parquet"), open_dataset(folder / "pets.csv")
    assert first.ids == second.ids
    assert first.class_names == second.class_names == ("7", "8")
    assert first.labels.tolist() == second.labels.tolist()
    assert first.splits.tolist() == second.splits.tolist()
    assert first.groups == second.groups == ("x", "", "x", "")
    assert first.weights.tolist() == second.weights.tolist()
    assert first.fingerprint == second.fingerprint


def test_missing_and_broken_pictures_are_left_out_and_named_by_line(folder):
    (folder / "imgs/bad.png").write_text("no picture")
    path = write(
        folder,
        'path,label\n"imgs/\n.png",a\nimgs/0.png,a\nimgs/1.png,b\nimgs/bad.png,b\n',
    )
    dataset = open_dataset(path)
    assert dataset.ids == ("imgs/0.png", "imgs/1.png")
    skipped = [str(problem) for problem in dataset.problems if problem.action == "skipped"]
    assert skipped[0].startswith(f"{path}:2: 'imgs/\n.png': no such file")
    assert skipped[1].startswith(f"{path}:6: 'imgs/bad.png': not an image")
    with pytest.raises(DataError, match=r"2 things that cannot be used(.|\n)*:6: 'imgs/bad.png'"):
        open_dataset(path, on_bad="error")


def test_all_rows_with_mistakes_are_named_together(folder):
    path = write(
        folder,
        "path,label,split,weight\n,a,train,1\nimgs/0.png,,train,1\nimgs/1.png,a,tset,1\n"
        "imgs/2.png,a,train,-1\nimgs/3.png,a,train,heavy\nimgs/3.png,b,train,nan\n",
    )
    with pytest.raises(DataError) as caught:
        open_dataset(path)
    assert list(caught.value.problems) == [
        f"{path}:2: the path is empty.",
        f"{path}:3: the label is empty. Give every row a class.",
        f"{path}:4: 'tset' is no split. Allowed: train, val (valid, validation), test.",
        f"{path}:5: weight '-1' is not a number >= 0.",
        f"{path}:6: weight 'heavy' is not a number >= 0.",
        f"{path}:7: path 'imgs/3.png' was given before, in line 6. Remove one.",
        f"{path}:7: weight 'nan' is not a number >= 0.",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty. The first line must name the columns"),
        ("path,label\n", "has a header, but no rows"),
        ("file,label\nimgs/0.png,a\n", "no column 'path'.* file, label"),
        ("path,lable\nimgs/0.png,a\n", r"no column 'label'. Did you mean 'lable'\?"),
        ("path;label\nimgs/0.png;a\n", "separated by commas: path;label"),
        ("path,label\nimgs/0.png,a,b\n", "pets.csv:2: 3 cells for 2 columns"),
        ("path,label,label\nimgs/0.png,a,b\n", "two columns are called 'label'"),
        ('path,label\nimgs/0.png,"a\n', "pets.csv:2: not valid CSV"),
        ("path,label\nimgs/0.png,a\nimgs/1.png,a\n", "only one class, 'a'"),
        ("path,label\nnope/0.png,a\nnope/1.png,b\n", "none of its 2 pictures(.|\n)*no such file"),
        (
            "path,label,split\nimgs/0.png,a,train\nimgs/1.png,b,test\n",
            "classes that train does not have(.|\n)*test: class 'b'",
        ),
    ],
)
def test_manifests_that_cannot_be_used_are_explained(folder, text, message):
    with pytest.raises(DataError, match=message):
        open_dataset(write(folder, text))


def test_text_that_is_not_utf8_is_named_by_line(folder):
    path = folder / "pets.csv"
    path.write_bytes("path,label\nimgs/0.png,a\nimgs/1.png,caf\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"pets.csv:3: is not UTF-8"):
        open_dataset(path)


def test_a_file_that_is_no_parquet_is_refused(folder):
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        open_dataset(write(folder, "path,label\n", name="pets.parquet"))


def test_undeclared_classes_are_named_by_line_with_the_nearest(folder):
    path = write(folder, "path,label\nimgs/0.png,cat\nimgs/1.png,catt\n")
    with pytest.raises(DataError, match=r"pets.csv:3: class 'catt'. Did you mean 'cat'\?"):
        open_dataset(path, classes=("cat", "dog"))


def test_a_column_without_meaning_is_told(folder):
    path = write(folder, "path,label,spilt\nimgs/0.png,a,x\nimgs/1.png,b,x\n")
    notes = [problem.what for problem in open_dataset(path).problems]
    assert notes == ["column 'spilt' is not used. Did you mean 'split'?"]


def test_labels_are_not_needed_for_prediction(folder):
    path = write(folder, "path\nimgs/0.png\n")
    assert open_dataset(path, labelled=False, classes=("a", "b")).labels.tolist() == [-1]


CELL = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=6)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6))
def test_any_quoted_text_is_read_back_with_the_line_it_starts_on(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    path.write_bytes(("path,label\n" + "".join(f"{line}\n" for line in quoted)).encode())
    table = read_rows(path)
    assert table.rows == rows
    breaks = [
        len(f"{line}\n".replace("\r\n", "\n").replace("\r", "\n").split("\n")) - 1
        for line in quoted
    ]
    assert list(table.lines) == [2 + sum(breaks[:row]) for row in range(len(rows))]
