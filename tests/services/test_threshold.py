"""Choosing thresholds: what each rule finds, what it costs, and what it must say."""

import functools
import math
from fractions import Fraction

import numpy as np
import polars as pl
import pytest

import dnncli
from dnncli.errors import ConfigError, DataError
from dnncli.predictions import Predictions
from dnncli.services.threshold import choose, threshold
from dnncli.thresholds import read_thresholds

SCORES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
LABELS = "PPNPNPNN"


def scored(scores, *, name="P", dtype=np.float64):
    column = np.asarray(scores, dtype)[:, None]
    ids = pl.Series([f"r{row}" for row in range(len(column))], dtype=pl.String)
    return Predictions(ids=ids, class_names=(name,), kind="score", probs=column)


def truth(labels):
    return np.array([0 if label == "P" else 1 for label in labels])


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Write predictions (id,<columns>) and truth (id,label[,...]) of rows r0, r1 ..."""
    monkeypatch.chdir(tmp_path)

    def write(columns, labels, **more):
        ids = [f"r{row}" for row in range(len(labels))]
        pl.DataFrame({"id": ids} | columns).write_csv("p.csv")
        pl.DataFrame({"id": ids, "label": list(labels)} | more).write_csv("t.csv")

    return write


def test_rules_by_hand():
    # 3 of 4 positives are needed. Down to 0.6: 3 of them, 1 other. Down to 0.4: all, 2 others.
    found = choose(scored(SCORES), truth(LABELS), recall=0.75, confidence=0.6).only
    assert (found.n_positive, found.n_negative) == (4, 4)
    assert found.highest.threshold == found.max_precision.threshold == 0.6
    assert (found.highest.recall, found.highest.precision) == (0.75, 0.75)
    assert (found.highest.n_flagged, found.highest.flagged) == (4, 0.5)
    # 0.75^4 = 0.316 <= 1 - 0.6: no miss is allowed, so the lowest positive score is certified.
    assert found.certified.allowed_misses == 0
    assert found.certified.point.threshold == found.threshold == 0.4
    assert found.certified.point.fp == 2
    assert found.chosen == "certified"


def test_the_cost_has_exact_intervals():
    # Clopper-Pearson for n of n successes: lower end (alpha / 2)^(1 / n).
    found = choose(scored(SCORES), truth(LABELS), recall=1, confidence="0.9").only.highest
    low, high = found.recall_interval
    assert (low, high) == (pytest.approx(0.05 ** (1 / 4), abs=1e-12), 1.0)
    assert found.precision_interval[0] < found.precision < found.precision_interval[1]


def test_a_refusal_is_a_full_answer():
    labels = "P" * 120 + "N" * 30
    found = choose(scored(np.linspace(0, 1, 150)), truth(labels), recall="0.99")
    refused = found.only.certified
    assert (refused.feasible, refused.allowed_misses, refused.point) == (False, None, None)
    assert refused.needed_positives == 299
    assert refused.best_certifiable_recall == pytest.approx(0.05 ** (1 / 120), abs=1e-12)
    assert found.only.chosen == "max_precision"
    assert found.warnings[0].startswith(
        "120 positives; 0.99 at 95 % confidence needs 299; the best that can be certified is 0.975."
    )


def test_recall_one_is_certified_by_no_number_of_positives():
    found = choose(scored(SCORES), truth(LABELS), recall=1)
    assert found.only.certified.needed_positives is None
    assert "1 at 95 % confidence needs infinitely many" in found.warnings[0]
    assert found.only.highest.recall == 1


def test_a_certificate_that_is_asked_for_and_refused_is_an_error():
    with pytest.raises(DataError, match=r"4 positives; 0\.95 at 95 % confidence needs 59"):
        choose(scored(SCORES), truth(LABELS), recall=0.95, rule="certified")


@pytest.mark.parametrize("rule", ["highest", "max_precision"])
def test_a_rule_can_be_forced(rule):
    found = choose(scored(SCORES), truth(LABELS), recall=0.5, confidence=0.5, rule=rule)
    assert found.only.certified.feasible
    assert found.only.chosen == rule
    assert found.only.point == getattr(found.only, rule)
    assert any("about half of such thresholds miss it" in note for note in found.notes)


def test_the_target_is_taken_as_written():
    # Nine of ten, and not a binary number a little above 0.9, which would need ten of ten.
    scores = np.arange(10, 0, -1) / 10
    for recall in (0.9, "0.9", "9/10", Fraction(9, 10)):
        assert choose(scored(scores), truth("P" * 10), recall=recall).only.highest.fn == 1


def test_float32_scores_keep_the_equal_double(tmp_path):
    scores = np.array([0.7, 0.9, 0.1], np.float32)
    found = choose(scored(scores, dtype=np.float32), truth("PPN"), recall=1).only
    assert found.dtype == "float32"
    assert found.threshold == float(np.float32(0.7)) != 0.7


def test_each_class_against_the_rest_has_its_own_threshold():
    probs = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]])
    table = Predictions(
        ids=pl.Series(list("abcd")), class_names=("x", "y", "z"), kind="probability", probs=probs
    )
    found = choose(table, np.array([0, 1, 1, 2]), recall=1)
    assert {name: entry.threshold for name, entry in found.per_class.items()} == {
        "x": 0.6,
        "y": 0.4,
        "z": 0.4,
    }
    alone = choose(table, np.array([0, 1, 1, 2]), recall=1, positive="y")
    assert dict(alone.per_class) == {"y": found.per_class["y"]}
    with pytest.raises(ConfigError, match=r"Unknown class 'Y'. Did you mean 'y'"):
        choose(table, np.array([0, 1, 1, 2]), recall=1, positive="Y")


def test_rows_with_several_classes_are_judged_class_by_class():
    probs = np.array([[0.9, 0.8], [0.4, 0.6], [0.1, 0.2]])
    table = Predictions(
        ids=pl.Series(list("abc")),
        class_names=("x", "y"),
        kind="score",
        probs=probs,
        multi_label=True,
    )
    members = np.array([[True, True], [False, True], [False, False]])
    found = choose(table, members, recall=1)
    assert [entry.threshold for entry in found.per_class.values()] == [0.9, 0.6]


def test_a_class_without_rows_has_no_threshold_and_says_so():
    probs = np.array([[0.6, 0.4], [0.7, 0.3]])
    table = Predictions(
        ids=pl.Series(["a", "b"]), class_names=("x", "y"), kind="probability", probs=probs
    )
    found = choose(table, np.array([0, 0]), recall=0.5)
    assert found.per_class["y"].threshold is None
    assert found.per_class["y"].chosen is None
    assert "'y': no row of the truth belongs to it: no threshold." in found.warnings
    assert any("'x': no row belongs to the rest" in line for line in found.warnings)
    with pytest.raises(DataError, match="no row of the truth is 'y'"):
        choose(table, np.array([0, 0]), recall=0.5, positive="y")


def test_the_same_refusal_of_several_classes_is_one_line():
    probs = np.full((14, 7), 1 / 7)
    names = tuple("abcdefg")
    table = Predictions(
        ids=pl.Series(map(str, range(14))), class_names=names, kind="probability", probs=probs
    )
    found = choose(table, np.arange(14) % 7, recall=0.9)
    refusals = [line for line in found.warnings if "needs 29" in line]
    assert len(refusals) == 1
    assert refusals[0].startswith("'a', 'b', 'c', 'd', 'e' and 2 more: 2 positives; 0.9 at 95 %")


def test_one_row_is_enough_for_an_answer():
    found = choose(scored([0.3]), truth("P"), recall=0.95)
    assert found.only.threshold == 0.3
    assert found.only.point.recall_interval == (pytest.approx(0.025), 1.0)


def test_flagging_every_row_is_called_by_its_name():
    # An inverted classifier: the positives have the lowest scores.
    found = choose(scored([0.9, 0.8, 0.2, 0.1]), truth("NNPP"), recall=1)
    assert found.only.point.flagged == 1
    assert any("max_precision flags every row" in line for line in found.warnings)


def test_a_missing_score_is_an_error_that_names_the_row():
    with pytest.raises(DataError, match=r"--nan positive:\n  id 'r1', class 'P'"):
        choose(scored([0.9, np.nan, 0.1]), truth("PPN"), recall=1)


@pytest.mark.parametrize("label", ["P", "N"])
def test_rows_without_a_score_are_flagged_at_every_threshold(label):
    found = choose(scored([0.9, np.nan, 0.5, 0.1]), truth(f"P{label}PN"), recall=1, nan="positive")
    entry = found.only
    assert entry.forced_flags == ("r1",)
    assert entry.threshold == 0.5
    assert (entry.point.tp, entry.point.fp) == ((3, 0) if label == "P" else (2, 1))
    assert "1 rows without a score are always flagged: 'r1'." in found.warnings


def test_scores_that_are_all_missing_cannot_choose():
    with pytest.raises(DataError, match="No row has a score"):
        choose(scored([np.nan, np.nan]), truth("PN"), recall=1, nan="positive")


def test_row_order_and_rising_transforms_change_no_count():
    rng = np.random.default_rng(0)
    labels = truth(["P" if one else "N" for one in rng.random(200) < 0.4])
    scores = np.round(rng.random(200), 2)
    wanted = choose(scored(scores), labels, recall=0.8).only

    def counts(entry):
        points = (entry.highest, entry.max_precision, entry.certified.point)
        return [(one.tp, one.fp, one.fn, one.tn) for one in points]

    order = rng.permutation(200)
    assert counts(choose(scored(scores[order]), labels[order], recall=0.8).only) == counts(wanted)
    for transform in (lambda s: 2 * s + 1, lambda s: s**3, np.exp, lambda s: s - 7):
        assert counts(choose(scored(transform(scores)), labels, recall=0.8).only) == counts(wanted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recall": 0}, "--recall 0: must be above 0 and at most 1"),
        ({"recall": "1.2"}, "--recall 1.2: must be above 0 and at most 1; 95 % is written 0.95."),
        ({"recall": "nan"}, "--recall nan: must be above 0"),
        ({"recall": "1/0"}, "--recall 1/0: must be above 0"),
        ({"recall": 0.9, "confidence": 1}, "--confidence 1: must be above 0 and below 1"),
        ({"recall": 0.9, "rule": "best"}, "--rule: Unknown value 'best'. Known: auto, certified"),
        ({"recall": 0.9, "nan": "drop"}, "--nan: Unknown value 'drop'. Known: error, positive."),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError) as caught:
        choose(scored(SCORES), truth(LABELS), **options)
    assert message in str(caught.value)


def test_labels_are_no_scores(files):
    files({"label": list("PN")}, "PN")
    with pytest.raises(DataError, match="holds labels, and a threshold needs scores"):
        threshold("p.csv", truth="t.csv", recall=0.9)


def test_a_file_gives_the_thresholds_of_its_numbers(files, tmp_path):
    files({"P": SCORES}, LABELS)
    found = threshold("p.csv", truth="t.csv", recall=0.75, confidence=0.6, out="thresholds.json")
    assert found.only == choose(scored(SCORES), truth(LABELS), recall=0.75, confidence=0.6).only
    assert (found.source.file, found.source.truth, found.source.n) == ("p.csv", "t.csv", 8)
    assert len(found.source.sha256) == 64
    read = read_thresholds(tmp_path / "thresholds.json")
    assert (read.only, read.source) == (found.only, found.source)
    assert dnncli.threshold is threshold


def test_a_score_column_may_hold_any_finite_numbers(files):
    files({"P": [-3.2, -1.0, 0.0, 0.4, 2.5, 17.0]}, "NPNPPP")
    found = threshold("p.csv", truth="t.csv", recall="0.75").only
    assert found.highest.threshold == 0.4
    assert found.positive == "P"


def test_the_positive_class_must_have_scores(files):
    files({"P": [0.1, 0.9]}, "NP")
    with pytest.raises(ConfigError, match="has no scores of 'N'. Scored: P."):
        threshold("p.csv", truth="t.csv", recall=0.9, positive="N")
    with pytest.raises(ConfigError, match="Unknown class 'X'. Known: P."):
        threshold("p.csv", truth="t.csv", recall=0.9, positive="X")


def test_a_column_that_is_no_class_of_the_truth_is_named(files):
    files({"score": [0.1, 0.9]}, "NP")
    with pytest.raises(DataError, match="its only column 'score' is no class of the truth"):
        threshold("p.csv", truth="t.csv", recall=0.9)


def test_two_columns_bind_by_name_and_positive_picks_one(files):
    files({"N": [0.2, 0.6, 0.9], "P": [0.8, 0.4, 0.1]}, "PPN")
    both = threshold("p.csv", truth="t.csv", recall=1)
    assert {name: entry.threshold for name, entry in both.per_class.items()} == {"N": 0.9, "P": 0.4}
    one = threshold("p.csv", truth="t.csv", recall=1, positive="P", classes=("P", "N"))
    assert one.only == both.per_class["P"]


def test_weights_are_not_used_and_it_says_so(files):
    files({"P": SCORES}, LABELS, weight=[5.0] * 8)
    found = threshold("p.csv", truth="t.csv", recall=0.75)
    assert found.only.n_positive == 4
    assert any("weights of the truth are not used" in line for line in found.warnings)


def test_the_test_split_never_chooses(files):
    files({"P": [0.1, 0.9, 0.2, 0.8]}, "NPNP", split=["val", "val", "test", "test"])
    for split in (None, "test"):
        with pytest.raises(DataError, match="'test', which never chooses a threshold"):
            threshold("p.csv", truth="t.csv", recall=0.9, split=split)
    found = threshold("p.csv", truth="t.csv", recall=0.9, split="val")
    assert (found.source.n, found.source.split) == (2, "val")


@pytest.mark.parametrize(
    ("split", "words"),
    [("train", "fitted the model"), ("all", "fitted the model"), ("val", "chose the epoch")],
)
def test_rows_that_made_the_model_are_called_so(files, split, words):
    from dnncli.data.predictions import write_predictions

    files({"P": SCORES}, LABELS)
    metadata = {"split": split, "model": "m1", "data": "d1", "model_data": "d1"}
    table = scored(SCORES)
    table = Predictions(
        ids=table.ids, class_names=("P",), kind="score", probs=table.probs, metadata=metadata
    )
    write_predictions(table, "p.parquet")
    found = threshold("p.parquet", truth="t.csv", recall=0.9)
    assert any(words in line for line in found.warnings)
    assert (found.source.model, found.source.data, found.source.split) == ("m1", "d1", split)


def test_only_an_earlier_thresholds_file_is_replaced(files, tmp_path):
    files({"P": SCORES}, LABELS)
    for _ in range(2):
        threshold("p.csv", truth="t.csv", recall=0.9, out="thresholds.json")
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(ConfigError, match="exists and is no thresholds file"):
        threshold("p.csv", truth="t.csv", recall=0.9, out="metrics.json")
    with pytest.raises(ConfigError, match=r"thresholds are written as \.json"):
        threshold("p.csv", truth="t.csv", recall=0.9, out="thresholds.toml")


def true_recall(threshold, *, step):
    """P(score >= threshold) of a standard normal score that was rounded to multiples of step."""
    return 0.5 * math.erfc((threshold - step / 2) / math.sqrt(2))


@pytest.mark.parametrize(("positives", "recall"), [(60, "0.95"), (100, "0.9"), (300, "0.99")])
@pytest.mark.parametrize("step", [0.0, 0.1])
def test_certificates_fail_no_more_often_than_they_say(positives, recall, step, monkeypatch):
    from dnncli.metrics import thresholds as rules

    # It depends on the number of positives alone, and would be most of the time.
    monkeypatch.setattr(rules, "allowed_misses", functools.cache(rules.allowed_misses))
    rng = np.random.default_rng(positives)
    draws, failed, empirical = 1000, 0, 0
    member = np.ones(positives, bool)
    for _ in range(draws):
        scores = rng.normal(size=positives)
        if step:
            scores = np.round(scores / step) * step
        found = rules.target(member, scores, recall=recall, confidence="0.95")
        failed += true_recall(found.certified.point.threshold, step=step) < float(recall)
        empirical += true_recall(found.highest.threshold, step=step) < float(recall)
    # Three standard deviations of a share of 0.05.
    assert failed / draws <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)
    assert empirical / draws > 0.25
