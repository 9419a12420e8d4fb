"""Rows are joined by id and classes by name."""

import unicodedata

import numpy as np
import pytest

from dnncli.data.align import align
from dnncli.data.ids import as_ids
from dnncli.errors import DataError
from dnncli.predictions import Predictions

NFC = unicodedata.normalize("NFC", "café.png")
NFD = unicodedata.normalize("NFD", "café.png")


def labels(ids, names, *, classes=None):
    classes = tuple(classes or sorted(set(names)))
    codes = np.array([classes.index(name) for name in names], np.int32)
    return Predictions(ids=as_ids(ids), class_names=classes, kind="label", labels=codes)


def named(table):
    return dict(zip(table.ids, (table.class_names[label] for label in table.labels)))


def test_rows_are_joined_by_id_in_the_order_of_the_truth():
    probs = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    predictions = Predictions(
        ids=as_ids("cab"), class_names=("N", "P"), kind="probability", probs=probs
    )
    found, truth = align(predictions, labels("abc", "NPP"))
    assert found.ids.to_list() == truth.ids.to_list() == ["a", "b", "c"]
    assert (found.probs == probs[[1, 2, 0]]).all()


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_rows_gives_the_same_pairs(seed):
    rng = np.random.default_rng(seed)
    ids = [f"{index}.png" for index in range(50)]
    names = rng.choice(list("ABC"), 50)
    order = rng.permutation(50)
    shuffled = labels([ids[row] for row in order], names[order])
    found, truth = align(shuffled, labels(ids, names))
    assert found.ids.equals(truth.ids)
    assert (found.labels == truth.labels).all()


def test_classes_that_only_one_side_has_are_joined_by_name():
    found, truth = align(labels("ab", "XZ"), labels("ab", "YZ"))
    assert found.class_names == truth.class_names == ("X", "Y", "Z")
    assert named(found) == {"a": "X", "b": "Z"}
    assert named(truth) == {"a": "Y", "b": "Z"}


def test_further_predictions_are_left_out_and_named():
    found, _ = align(labels(["a", "b", "zz"], "PNP"), labels("ab", "PN"), names=("m1", "truth"))
    assert found.ids.to_list() == ["a", "b"]
    assert found.warnings == ("m1: 1 of 3 ids are not in truth and are not counted: 'zz'.",)


@pytest.mark.parametrize(
    ("wanted", "there", "hint"),
    [
        ("IMG_1.JPG", "img_1.jpg", "There is 'img_1.jpg', which differs only in letter case."),
        (NFC, NFD, "differs only in Unicode form (NFC or NFD)."),
        ("1.png", "cat/1.png", "There is 'cat/1.png', which differs only in its folder."),
        ("cat/1.png", "1.jpg", "There is '1.jpg', which differs only in folder or suffix."),
        ("a", " a", "There is ' a', which differs only in spaces around it."),
        ("image_17", "imagee_17", "Did you mean 'imagee_17'?"),
        ("a", "zzzz", "id 'a'."),
    ],
)
def test_a_row_without_prediction_is_named_with_the_nearest_id(wanted, there, hint):
    with pytest.raises(
        DataError, match=r"m.csv: no prediction for 1 of the 2 ids in t.csv"
    ) as caught:
        align(labels([there, "b"], "PN"), labels([wanted, "b"], "PN"), names=("m.csv", "t.csv"))
    assert caught.value.problems[0].startswith(f"id '{wanted}'.")
    assert caught.value.problems[0].endswith(hint)


def test_unicode_forms_are_equal_only_if_asked_for():
    with pytest.raises(DataError, match="--normalize-ids nfc makes NFC and NFD equal"):
        align(labels([NFD], "P"), labels([NFC], "P"))
    found, truth = align(labels([NFD], "P"), labels([NFC], "P"), normalize_ids="nfc")
    assert found.ids.to_list() == truth.ids.to_list() == [NFC]
    with pytest.raises(DataError, match=f"two ids become one. Rename one of them:\n  id '{NFC}'"):
        align(labels([NFD, NFC], "PN"), labels([NFC], "P"), normalize_ids="nfc")


def test_class_names_in_two_unicode_forms_are_refused():
    with pytest.raises(DataError, match="differ only in Unicode form"):
        align(labels("a", [NFD]), labels("a", [NFC]))


def test_the_splits_of_the_truth_are_offered_when_rows_are_missing():
    truth = labels("ab", "PN")
    truth.metadata["splits"] = ["test", "train"]
    with pytest.raises(DataError, match=r"--split keeps one of the truth's splits \(test, train\)"):
        align(labels("a", "P"), truth)
