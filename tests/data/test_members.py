"""Several models' files are joined by id and class name; whatever does not fit is named."""

import itertools
import unicodedata

import numpy as np
import polars as pl
import pytest

from dnncli.data import frames
from dnncli.data.ids import MISSING, as_ids
from dnncli.data.members import open_members
from dnncli.data.predictions import write_predictions
from dnncli.errors import DataError
from dnncli.predictions import Predictions


def write(folder, **texts):
    """One CSV file per model; lines are separated by spaces."""
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text.replace(" ", "\n") + "\n", encoding="utf-8")
    return [folder / f"{name}.csv" for name in texts]


def named_votes(members):
    """{model: {id: class or None}}"""
    names = (*members.class_names, None)
    return {
        model: dict(zip(members.ids, (names[vote] for vote in votes)))
        for model, votes in zip(members.names, members.votes())
    }


def named_probs(members):
    """{model: {id: {class: probability}}}"""
    return {
        members.names[index]: {
            name: dict(zip(members.class_names, row.tolist()))
            for name, row in zip(members.ids, probs)
        }
        for index, probs in members.probs()
    }


def error_of(paths, **options):
    """What `open_members`, or else `probs`, says."""
    with pytest.raises(DataError) as caught:
        list(open_members(paths, **options).probs())
    return str(caught.value).replace(f"{paths[0].parent}/", "")


def test_votes_are_joined_by_id_and_class(tmp_path):
    paths = write(tmp_path, m1="id,label a,P b,N c,P", m2="label,id,model N,c,x O,a,x P,b,x")
    members = open_members(paths)
    assert (members.names, members.kind, members.class_names) == (
        ("m1", "m2"),
        "label",
        ("N", "O", "P"),
    )
    assert named_votes(members) == {
        "m1": {"a": "P", "b": "N", "c": "P"},
        "m2": {"a": "O", "b": "P", "c": "N"},
    }
    assert members.warnings == ()


def test_probabilities_are_joined_by_id_and_class(tmp_path):
    paths = write(tmp_path, m1="id,cat,dog a,1,0 b,.25,.75", m2="id,dog,cat b,.5,.5 a,.1,.9")
    members = open_members(paths)
    assert (members.kind, members.class_names) == ("probability", ("cat", "dog"))
    assert named_probs(members) == {
        "m1": {"a": {"cat": 1, "dog": 0}, "b": {"cat": 0.25, "dog": 0.75}},
        "m2": {"a": {"cat": 0.9, "dog": 0.1}, "b": {"cat": 0.5, "dog": 0.5}},
    }


@pytest.mark.parametrize("kind", ["label", "probability"])
@pytest.mark.parametrize("missing", ["error", "no-vote"])
def test_the_order_of_files_and_rows_changes_nothing(tmp_path, kind, missing):
    rng = np.random.default_rng(3)
    ids = np.array([f"{index}.png" for index in range(30)])
    paths = []
    for place in range(3):
        # With "no-vote", the last of the shuffled rows are missing in each file.
        rows = rng.permutation(30)[: 30 - 4 * (missing == "no-vote")]
        probs = rng.dirichlet(np.ones(3), 30)[rows]
        table = Predictions(
            ids=as_ids(ids[rows]),
            class_names=("A", "B", "C"),
            kind=kind,
            labels=probs.argmax(axis=1).astype(np.int32) if kind == "label" else None,
            probs=probs if kind == "probability" else None,
        )
        paths.append(tmp_path / f"m{place}.parquet")
        write_predictions(table, paths[-1])
    results = []
    for order in itertools.permutations(paths):
        members = open_members(order, missing=missing)
        found = members.votes() if kind == "label" else [probs for _, probs in members.probs()]
        results.append((members.ids.to_list(), members.names, np.array(found)))
    for ids_found, names, found in results:
        assert ids_found == results[0][0]
        assert names == ("m0", "m1", "m2")
        assert np.array_equal(found, results[0][2], equal_nan=True)
    n_said = np.isfinite(found).sum() // 3 if kind == "probability" else (found >= 0).sum()
    assert n_said == 3 * (26 if missing == "no-vote" else 30)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_files_read_in_batches_are_read_whole(tmp_path, monkeypatch, size):
    monkeypatch.setattr(frames, "_BATCH", size)
    # The second has the same rows, and a class that only its last has; the third other rows there.
    paths = write(
        tmp_path,
        m1="id,label a,P b,N c,P d,P",
        m2="id,label a,Q b, c,P d,A",
        m3="id,label a,P b,N d,N c,Q",
        m4="id,label a,P b,N c,P",
    )
    members = open_members(paths, missing="no-vote")
    assert members.class_names == ("A", "N", "P", "Q")
    assert named_votes(members) == {
        "m1": {"a": "P", "b": "N", "c": "P", "d": "P"},
        "m2": {"a": "Q", "b": None, "c": "P", "d": "A"},
        "m3": {"a": "P", "b": "N", "c": "Q", "d": "N"},
        "m4": {"a": "P", "b": "N", "c": "P", "d": None},
    }


def test_an_empty_label_is_no_vote(tmp_path):
    members = open_members(write(tmp_path, m1="id,label a,P b,", m2="id,label a,P b,N"))
    assert named_votes(members) == {"m1": {"a": "P", "b": None}, "m2": {"a": "P", "b": "N"}}


def test_a_row_of_empty_cells_is_no_vote(tmp_path):
    paths = write(tmp_path, m1="id,cat,dog a,, b,.5,.5", m2="id,cat,dog b,.5,.5 a,1,0")
    table = pl.DataFrame({"id": ["a", "b"], "cat": [None, 0.5], "dog": [None, 0.5]})
    table.write_parquet(tmp_path / "m3.parquet")
    single = table.cast({"cat": pl.Float32, "dog": pl.Float32})
    single.write_parquet(tmp_path / "m4.parquet")
    members = open_members([*paths, tmp_path / "m3.parquet", tmp_path / "m4.parquet"])
    for index, probs in members.probs():
        assert np.isnan(probs[0]).all() == (index != 1)
        assert probs[1].tolist() == [0.5, 0.5]
    assert members.warnings == ()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("nan,nan", "m1.csv: scores that are no number. Predict them again, or say with --nan "),
        (",1", "m1.csv: cells that are not numbers."),
        ("1,1.5", "m1.csv: scores outside [0, 1]. Convert logits by a softmax"),
        ("inf,0", "m1.csv: scores outside [0, 1]."),
        (".9,.7", "m1.csv: rows of probabilities must sum to 1 within 0.01."),
        ("x,1", "m1.csv: cells that are not numbers."),
    ],
)
def test_rows_that_are_no_probabilities_are_named(tmp_path, row, message):
    paths = write(tmp_path, m1=f"id,A,B a,{row} b,, c,1,0", m2="id,A,B b,1,0 a,1,0 c,1,0")
    text = error_of(paths)
    assert text.startswith(message)
    assert "id 'a'" in text
    assert "id 'b'" not in text


def test_a_row_with_nan_can_be_made_certain_of_the_positive_class(tmp_path):
    paths = write(tmp_path, m1="id,A,B a,nan,1 b,, c,1,0", m2="id,A,B a,1,0 b,1,0 c,1,0")
    members = open_members(paths, nan="keep", positive="A")
    _, probs = next(members.probs())
    assert np.array_equal(probs, [[1, 0], [np.nan, np.nan], [1, 0]], equal_nan=True)
    _, probs = next(open_members(paths, nan="keep").probs())
    assert np.isnan(probs[:2]).all()
    assert error_of(paths, nan="keep", positive="a").startswith("There is no class 'a'. Did you")


def test_a_single_score_column_is_one_of_two_classes(tmp_path):
    paths = write(tmp_path, m1="id,dog a,.25 b,", m2="id,dog a,1 b,0")
    members = open_members(paths)
    assert members.class_names == ("dog", "not dog")
    _, probs = next(members.probs())
    assert np.array_equal(probs, [[0.25, 0.75], [np.nan, np.nan]], equal_nan=True)
    (third,) = write(tmp_path, m3="id,cat,dog a,.5,.5 b,.5,.5")
    members = open_members([*paths, third])
    assert members.class_names == ("cat", "dog")
    assert next(members.probs())[1][0].tolist() == [0.75, 0.25]
    assert open_members(paths, classes=("ok", "dog")).class_names == ("ok", "dog")


def test_the_score_of_one_of_three_classes_is_refused(tmp_path):
    paths = write(tmp_path, m1="id,A,B,C a,1,0,0", m2="id,A a,1")
    text = error_of(paths)
    assert "The classes are A, B, C; these files score only one of them:\n  m2.csv: 'A'" in text


def test_any_finite_numbers_stay_one_column(tmp_path):
    paths = write(tmp_path, m1="id,depth a,-7 b,", m2="id,depth b,2 a,30")
    members = open_members(paths, scores="any")
    assert (members.kind, members.class_names) == ("score", ("depth",))
    found = np.array([probs for _, probs in members.probs()])
    assert np.array_equal(found, [[[-7], [np.nan]], [[30], [2]]], equal_nan=True)


def test_missing_ids_are_named_with_their_nearest(tmp_path):
    ids = " ".join(f"{index}.png,P" for index in range(7))
    text = error_of(write(tmp_path, m1=f"id,label {ids} IMG.JPG,N", m2="id,label img.jpg,N"))
    assert "m2.csv: no row for 8 of the 8 ids in m1.csv." in text
    assert "--missing no-vote" in text
    assert "id '4.png'" in text
    assert "id '5.png'" not in text
    assert "... and 3 more." in text
    assert "m1.csv: no row for 1 of the 1 ids in m2.csv." in text
    assert "There is 'IMG.JPG', which differs only in letter case." in text


def test_unicode_forms_of_ids_are_told_apart_unless_asked(tmp_path):
    forms = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    paths = write(tmp_path, **{f"m{i}": f"id,label {name},P b,N" for i, name in enumerate(forms)})
    assert "--normalize-ids nfc" in error_of(paths)
    assert named_votes(open_members(paths, normalize_ids="nfc")) == {
        "m0": {forms[0]: "P", "b": "N"},
        "m1": {forms[0]: "P", "b": "N"},
    }


def test_missing_rows_can_be_no_votes(tmp_path):
    paths = write(tmp_path, m1="id,label a,P b,N", m2="id,label c,P b,P", m3="id,label a,N b,N")
    members = open_members(paths, missing="no-vote")
    assert named_votes(members) == {
        "m1": {"a": "P", "b": "N", "c": None},
        "m2": {"a": None, "b": "P", "c": "P"},
        "m3": {"a": "N", "b": "N", "c": None},
    }
    assert members.warnings == tuple(
        f"{path}: has no row for 1 of 3 ids: no vote of '{path.stem}'." for path in paths
    )
    others = write(tmp_path, m1="id,label a,P", m2="id,label b,P")
    assert "m2.csv: has no id of m1.csv." in error_of(others, missing="no-vote")


def test_files_of_different_kinds_are_refused(tmp_path):
    text = error_of(write(tmp_path, m1="id,label a,P", m2="id,N,P a,.5,.5"))
    assert text.startswith("Hard labels are counted, probabilities averaged: give files of one")
    assert "\n  m1.csv: hard labels\n  m2.csv: scores of N, P" in text


def test_classes_that_differ_are_named(tmp_path):
    paths = write(
        tmp_path, m1="id,A,cat a,1,0", m2="id,A,catt a,1,0", m3="id,A,cat a,1,0", m4="id,A,B,cat a"
    )
    assert error_of(paths).endswith(
        "have A, cat:\n  m2.csv: class 'catt' is not there. Did you mean 'cat'?\n"
        "  m2.csv: has no class 'cat'. Did you mean 'catt'?\n  m4.csv: class 'B' is not there."
    )
    paths = write(tmp_path, m1="id,label a,P b,N", m2="id,label a,N b,Q")
    with pytest.raises(DataError, match=r"m2.csv: classes that are not declared:\n  id 'b'"):
        open_members(paths, classes=("P", "N"))


def test_labels_must_be_of_the_classes_that_a_file_declares(tmp_path):
    table = Predictions(
        ids=as_ids("ab"),
        class_names=("P", "N"),
        kind="label",
        labels=np.array([0, 1], np.int32),
    )
    declared = tmp_path / "m1.parquet"
    write_predictions(table, declared)
    (good, wrong) = write(tmp_path, m2="id,label b,P a,P", m3="id,label a,P b,Positive")
    assert open_members([declared, good]).class_names == ("P", "N")
    text = error_of([declared, good, wrong])
    assert "m3.csv: class 'Positive' is not there." in text


def test_classes_that_differ_only_in_form_are_refused(tmp_path):
    paths = write(tmp_path, m1="id,label a,Cat", m2="id,label a,cat")
    assert "m2.csv: class 'cat'; m1.csv has 'Cat'." in error_of(paths)
    assert open_members(paths, classes=("cat", "Cat")).votes()[0].tolist() == [1]


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    paths = write(
        tmp_path,
        m1="x,y a,b",
        m2="id,label a,P",
        m3="id,label a,P a,N",
        m4="id,P,N a,1,0",
    )
    text = error_of([*paths, tmp_path / "m5.csv"])
    assert text.startswith("4 things are wrong with the 5 files:")
    assert "m1.csv: there is no column 'id'." in text
    assert "m3.csv: ids that occur more than once." in text
    assert "m4.csv: scores of N, P" in text
    assert "m5.csv: no such file." in text


def test_wrong_numbers_of_all_files_are_said_at_once(tmp_path):
    good, bad = "id,A,B a,1,0", "id,A,B a,7,0"
    members = open_members(write(tmp_path, m1=good, m2=bad, m3=good, m4=bad))
    seen = []
    with pytest.raises(DataError, match=r"(?s)2 things.*m2.csv: scores.*m4.csv: scores"):
        for index, _ in members.probs():
            seen.append(index)
    assert seen == [0]


def test_rows_divided_by_their_sum_are_told_once(tmp_path):
    members = open_members(write(tmp_path, m1="id,A,B a,.5,.501", m2="id,A,B a,1,0"))
    for _ in range(2):
        _, probs = next(members.probs())
        assert probs.sum() == pytest.approx(1, abs=1e-15)
    assert len(members.warnings) == 1
    assert "were divided by their sum" in members.warnings[0]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"m1": "id,label a, b,"}, "no model voted: every label is empty"),
        ({"m1": "id,label"}, "holds no rows"),
        ({"m1": "id,label a,P", "m2": "id,label"}, "m2.csv: no row for 1 of the 1 ids|no rows"),
    ],
)
def test_files_that_say_nothing_are_refused(tmp_path, texts, message):
    with pytest.raises(DataError, match=message):
        open_members(write(tmp_path, **texts))


def test_multi_label_files_are_refused(tmp_path):
    table = Predictions(
        ids=as_ids("a"),
        class_names=("A", "B"),
        kind="score",
        probs=np.ones((1, 2)),
        multi_label=True,
    )
    write_predictions(table, tmp_path / "m.parquet")
    assert "m.parquet: is multi-label" in error_of([tmp_path / "m.parquet"])


def test_models_of_one_name_are_refused(tmp_path):
    (tmp_path / "b").mkdir()
    paths = write(tmp_path, m="id,label a,P") + write(tmp_path / "b", m="id,label a,P")
    with pytest.raises(
        DataError, match=r"some are called the same.*\n  'm': .*b/m.csv and .*m.csv"
    ):
        open_members(paths)
    assert open_members(paths, names=("y", "x")).paths == (paths[1], paths[0])
    with pytest.raises(ValueError, match=r"names must be of 2 >= 1 paths. Got 1."):
        open_members(paths, names=["x"])


@pytest.mark.parametrize("text", ["id,label a,P b,N c,Q", "id,N,P,Q a,0,1,0 b,1,0,0 c,0,0,1"])
def test_rows_can_be_found_and_taken(tmp_path, text):
    order = text.split()
    other = " ".join([order[0], order[3], order[1], order[2]])
    members = open_members(write(tmp_path, m1=text, m2=other))
    assert members.rows_of(as_ids("cxa")).tolist() == [2, MISSING, 0]
    assert members.rows_of(members.ids).tolist() == [0, 1, 2]
    taken = members.take(np.array([2, 0])).take(np.array([1, 0, 1]))
    assert taken.ids.to_list() == ["a", "c", "a"]
    if members.kind == "label":
        found = [[members.class_names[vote] for vote in votes] for votes in taken.votes()]
    else:
        found = [[members.class_names[i] for i in p.argmax(axis=1)] for _, p in taken.probs()]
    assert found == [["P", "Q", "P"]] * 2


def test_labels_that_no_file_may_hold_are_named_once_for_each_file(tmp_path):
    paths = write(tmp_path, m1="id,label a,A b,B", m2="id,label a,B b,A")
    text = error_of(paths, classes=("A",))
    assert text.startswith("2 things are wrong with the 2 files:")
    assert text.count("classes that are not declared") == 2


def test_numbers_as_labels_are_read_as_text(tmp_path):
    for name, labels in {"m1": [0.5, 2.0], "m2": [2.0, 0.5]}.items():
        frame = pl.DataFrame({"id": ["a", "b"], "label": labels})
        frame.write_parquet(tmp_path / f"{name}.parquet")
    members = open_members([tmp_path / "m1.parquet", tmp_path / "m2.parquet"])
    assert members.class_names == ("0.5", "2.0")
    assert [votes.tolist() for votes in members.votes()] == [[0, 1], [1, 0]]


def test_scores_of_different_single_classes_need_both_to_be_declared(tmp_path):
    paths = write(tmp_path, m1="id,A a,.75", m2="id,B a,.5")
    assert error_of(paths).endswith("m1.csv: 'A'\n  m2.csv: 'B'")
    members = open_members(paths, classes=("A", "B"))
    assert [probs.tolist() for _, probs in members.probs()] == [[[0.75, 0.25]], [[0.5, 0.5]]]
