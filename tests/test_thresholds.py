"""The thresholds file: written and read without loss, refused when damaged."""

import base64
import copy
import dataclasses
import hashlib
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnncli.errors import DataError
from dnncli.thresholds import (
    Certificate,
    ClassThresholds,
    OperatingPoint,
    Source,
    Thresholds,
    as_json,
    digests,
    overlap,
    picture_digests,
    picture_overlap,
    read_thresholds,
    write_thresholds,
)


def point(threshold, *, tp, fp, positives=3, negatives=2):
    return OperatingPoint(
        threshold=threshold,
        tp=tp,
        fp=fp,
        fn=positives - tp,
        tn=negatives - fp,
        recall_interval=(0.1, 0.9),
        precision_interval=(0.2, 1.0),
    )


def entry(name, *, threshold=0.25, dtype="float64", feasible=True):
    sure = point(threshold, tp=3, fp=1) if feasible else None
    return ClassThresholds(
        positive=name,
        target_recall=0.6,
        confidence=0.75 if feasible else 0.9,
        n_positive=3,
        n_negative=2,
        dtype=dtype,
        highest=point(threshold, tp=2, fp=0),
        max_precision=point(threshold, tp=2, fp=0),
        certified=Certificate(
            feasible=feasible,
            allowed_misses=0 if feasible else None,
            needed_positives=3 if feasible else 5,
            best_certifiable_recall=0.63,
            point=sure,
        ),
        chosen="certified" if feasible else "max_precision",
        forced_flags=("007",),
    )


def thresholds(*classes, n=5):
    return Thresholds(
        per_class={one.positive: one for one in classes},
        source=Source(n=n, file="val.csv", split="val"),
        ids=digests(str(row) for row in range(n)),
        warnings=("few rows",),
        notes=("of these rows",),
    )


@pytest.fixture
def written(tmp_path):
    """A sound file as an object, and a way to write it back changed."""
    path = tmp_path / "thresholds.json"
    write_thresholds(path, thresholds(entry("P")))
    data = json.loads(path.read_text())

    def write(changed):
        path.write_text(json.dumps(changed))
        return path

    return data, write


def test_one_class_stands_at_the_top_level_and_among_the_classes():
    found = as_json(thresholds(entry("P")))
    assert found["schema"] == "dnncli.threshold/1"
    assert {key: found[key] for key in found["per_class"]["P"]} == found["per_class"]["P"]
    assert found["certified"]["feasible"] is True
    assert found["threshold"] == found["certified"]["threshold"] == 0.25
    assert found["highest"]["recall"] == 2 / 3
    assert found["highest"]["flagged"] == 2 / 5


def test_of_several_classes_the_top_level_keeps_what_is_common():
    found = as_json(thresholds(entry("P"), entry("Q", feasible=False)))
    assert found["positive"] is None
    assert found["threshold"] is None
    assert (found["target_recall"], found["confidence"]) == (0.6, 0.75)
    assert found["per_class"]["Q"]["certified"]["threshold"] is None
    assert found["per_class"]["Q"]["chosen"] == "max_precision"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    names=st.lists(st.text(min_size=1).filter(str.isprintable), min_size=1, unique=True),
    threshold=st.floats(allow_nan=False, allow_infinity=False),
    feasible=st.booleans(),
)
def test_what_is_written_is_read(tmp_path, names, threshold, feasible):
    path = tmp_path / "thresholds.json"
    given_ = thresholds(*(entry(name, threshold=threshold, feasible=feasible) for name in names))
    write_thresholds(path, given_)
    found = read_thresholds(path)
    assert dict(found.per_class) == dict(given_.per_class)
    assert found.source == given_.source
    assert (found.warnings, found.notes) == (given_.warnings, given_.notes)
    assert np.array_equal(found.ids, given_.ids)


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_a_float32_threshold_is_the_equal_double(tmp_path, value):
    path = tmp_path / "thresholds.json"
    score = np.float32(value)
    write_thresholds(path, thresholds(entry("P", threshold=float(score), dtype="float32")))
    assert np.float32(read_thresholds(path).only.threshold) == score


def test_ids_are_sorted_digests_of_their_text():
    packed = base64.b64decode(as_json(thresholds(entry("P")))["ids"])
    wanted = sorted(hashlib.blake2b(str(row).encode(), digest_size=8).digest() for row in range(5))
    assert [packed[place : place + 8] for place in range(0, 40, 8)] == wanted


def test_overlap_names_the_ids_that_chose_in_their_order():
    ids = ["new", "4", "01", "1", "é"]
    assert overlap(thresholds(entry("P")), ids) == ["4", "1"]
    assert overlap(thresholds(entry("P")), []) == []


def test_pictures_are_compared_only_where_both_sides_have_them():
    contents = [bytes([row]) * 16 for row in range(5)]
    known = dataclasses.replace(thresholds(entry("P")), pictures=np.sort(picture_digests(contents)))
    asked = picture_digests([contents[3], bytes(16), b"a" * 16])
    assert picture_overlap(known, asked).tolist() == [True, True, False]
    assert picture_overlap(known, None) is None
    assert picture_overlap(thresholds(entry("P")), asked) is None
    assert picture_digests([contents[0], b""]) is None
    assert picture_digests(None) is None


def test_overlap_sees_through_unicode_forms():
    found = Thresholds(
        per_class={"P": entry("P")}, source=Source(n=1), ids=digests(["caf\u00e9.png"])
    )
    assert overlap(found, ["cafe\u0301.png", "cafe.png"]) == ["cafe\u0301.png"]


def test_undecodable_file_names_are_digested_as_predictions_spell_them():
    assert np.array_equal(digests(["a\udcff"]), digests(["a\\udcff"]))


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("per_class", "P", "highest", "threshold"), "0.5", "a finite number"),
        (("per_class", "P", "highest", "threshold"), True, "a finite number"),
        (("per_class", "P", "highest", "threshold"), None, "Needed: a finite number"),
        (("per_class", "P", "certified", "tp"), -1, "a whole number >= 0"),
        (("per_class", "P", "certified", "tp"), 2.5, "a whole number >= 0"),
        (("per_class", "P", "certified", "feasible"), "yes", "true or false"),
        (("per_class", "P", "certified"), None, "an object"),
        (("per_class", "P", "target_recall"), 0, "a number above 0, at most 1"),
        (("per_class", "P", "confidence"), 1, "a number between 0 and 1"),
        (("per_class", "P", "chosen"), "best", "certified, max_precision, highest"),
        (("per_class", "P", "dtype"), "float16", "float32 or float64"),
        (("per_class", "P", "highest", "recall_interval"), [0.9, 0.1], "the lower first"),
        (("per_class", "P", "forced_flags"), "007", "a list of texts"),
        (("per_class", "P"), [], "Needed: an object"),
        (("per_class",), {}, "at least one class"),
        (("source", "n"), None, "a whole number >= 0"),
        (("source", "file"), 3, "text, or null"),
        (("source",), None, "an object"),
        (("ids",), "AAAA", "base64 of sorted 8-byte digests"),
        (("ids",), "not base64!", "base64 of sorted 8-byte digests"),
        (("ids",), None, "base64 of sorted 8-byte digests"),
        (("pictures",), 1, "base64 of sorted 8-byte digests, or null"),
        (("warnings",), "none", "a list of texts"),
    ],
)
def test_a_value_that_cannot_stand_there_is_named_by_its_key(written, keys, value, message):
    data, write = written
    changed = copy.deepcopy(data)
    place = changed
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(DataError) as caught:
        read_thresholds(write(changed))
    line = next(line for line in caught.value.problems if line.startswith(".".join(keys)))
    assert message in line


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("threshold",), 0.3, "threshold: 0.3, but the other keys say 0.25."),
        (("target_recall",), 0.5, "target_recall: 0.5, but the other keys say 0.6."),
        (("per_class", "P", "threshold"), 0.3, "per_class.P.threshold: 0.3"),
        (("per_class", "P", "certified", "threshold"), 0.3, "certified.threshold: 0.25"),
        (("per_class", "P", "highest", "recall"), 0.9, "per_class.P.highest.recall: 0.9"),
        (("per_class", "P", "highest", "tp"), 3, "highest: tp, fp, fn, tn do not fit 3 and 2"),
        (("per_class", "P", "n_positive"), 4, "4 + 2 is not 5 (source.n)"),
        (("per_class", "P", "positive"), "Q", "per_class.P.positive: 'Q'. Needed: 'P'."),
        (("per_class", "P", "chosen"), None, "per_class.P.chosen: null, with 3 positives"),
        (("per_class", "P", "certified", "feasible"), False, "does not fit its threshold"),
        (("source", "n"), 6, "ids: 5 ids, but source.n: 6."),
    ],
)
def test_a_number_changed_by_hand_contradicts_the_others(written, keys, value, message):
    data, write = written
    changed = copy.deepcopy(data)
    place = changed
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(DataError, match="Write it again") as caught:
        read_thresholds(write(changed))
    assert message in str(caught.value)


def test_a_double_is_no_float32_threshold(written):
    data, write = written
    for place in (data, data["per_class"]["P"]):
        place["dtype"] = "float32"
        for rule in ("highest", "max_precision", "certified"):
            place[rule]["threshold"] = 0.7
        place["threshold"] = 0.7
    with pytest.raises(DataError, match="is no float32 number"):
        read_thresholds(write(data))


def test_a_missing_key_is_named_and_an_unknown_one_is_left_alone(written):
    data, write = written
    data["comment"] = "extra"
    assert read_thresholds(write(data)).only.threshold == 0.25
    del data["per_class"]["P"]["max_precision"]["tp"]
    with pytest.raises(DataError, match=r"per_class\.P\.max_precision\.tp: is missing"):
        read_thresholds(write(data))


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    path = tmp_path / "thresholds.json"
    write_thresholds(path, thresholds(entry("P")))
    text = path.read_text().rstrip()
    for length in range(0, len(text), 97):
        path.write_text(text[:length])
        with pytest.raises(DataError, match="is not JSON, or cut short"):
            read_thresholds(path)


@pytest.mark.parametrize("text", ["[1]", "{}", '{"schema": "dnncli.eval/1"}', "3"])
def test_other_json_is_refused_by_its_schema(tmp_path, text):
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"schema: found .* Needed: 'dnncli.threshold/1'"):
        read_thresholds(path)


def test_tokens_that_are_no_json_numbers_are_refused(written):
    data, write = written
    data["per_class"]["P"]["highest"]["threshold"] = float("nan")
    with pytest.raises(DataError, match="NaN is no JSON number"):
        read_thresholds(write(data))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: no such thresholds file"):
        read_thresholds(tmp_path / "none.json")
