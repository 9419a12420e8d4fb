"""`evaluate`: slices, comparison with another model, several labels a row, and gates."""

import numpy as np
import polars as pl
import pytest

from dnncli.errors import ConfigError, DataError
from dnncli.results import plain
from dnncli.services.evaluate import evaluate


def write(path, head, rows):
    text = "\n".join([head, *(",".join(map(str, row)) for row in rows)])
    path.write_text(text + "\n", encoding="utf-8")
    return path


@pytest.fixture
def sites(tmp_path):
    """120 labels of two classes from three sites, the third with 5 rows, and of many folders."""
    rng = np.random.default_rng(0)
    site = ["north"] * 60 + ["south"] * 55 + ["east"] * 5
    ids = [f"cam{row % 3}/day{row % 2}/{row}.png" for row in range(120)]
    truth = rng.choice(["P", "N"], 120)
    decided = np.where(rng.random(120) < 0.8, truth, rng.choice(["P", "N"], 120))
    p = write(tmp_path / "p.csv", "id,label", zip(ids, decided))
    t = write(tmp_path / "t.csv", "id,label,site", zip(ids, truth, site))
    return p, t, pl.DataFrame({"id": ids, "truth": truth, "decided": decided, "site": site})


def test_groups_have_the_scores_of_their_rows_alone(sites, tmp_path):
    p, t, table = sites
    report = evaluate(p, truth=t, positive="P", betas=(1, 2), slices=("site",))
    assert list(report.slices["site"]) == ["east", "north", "south"]
    for name, group in report.slices["site"].items():
        rows = table.filter(pl.col("site") == name)
        alone = write(tmp_path / "one.csv", "id,label", rows.select("id", "truth").rows())
        single = evaluate(p, truth=alone, positive="P", betas=(1, 2), classes=("N", "P"))
        entry = single.per_class["P"]
        assert (group.n, group.positives) == (len(rows), entry.support)
        assert (group.precision, group.recall, group.f) == (entry.precision, entry.recall, entry.f)
        assert group.intervals == entry.intervals
        assert (group.accuracy, group.accuracy_interval) == (
            single.accuracy,
            single.accuracy_interval,
        )
    assert [group.few for group in report.slices["site"].values()] == [True, False, False]


def test_folders_of_the_id_are_groups_by_their_level(sites):
    p, t, _ = sites
    report = evaluate(p, truth=t, slices=("folder", "folder:2", "folder:3"))
    assert list(report.slices["folder"]) == ["cam0", "cam1", "cam2"]
    assert {group.n for group in report.slices["folder"].values()} == {40}
    assert list(report.slices["folder:2"]) == ["day0", "day1"]
    assert list(report.slices["folder:3"]) == ["(none)"]
    assert report.slices["folder:3"]["(none)"].accuracy == report.accuracy
    assert report.slices["folder:3"]["(none)"].recall == report.averages.macro.recall
    assert report.slices["folder"]["cam0"].positives is None


def test_slices_are_written_as_a_table(sites, tmp_path):
    p, t, _ = sites
    report = evaluate(p, truth=t, positive="P", slices=("site", "folder"), out=tmp_path / "out")
    table = pl.read_csv(tmp_path / "out" / "slices.csv")
    assert table.select("slice", "value").rows() == [
        *(("site", name) for name in ("east", "north", "south")),
        *(("folder", name) for name in ("cam0", "cam1", "cam2")),
    ]
    north = report.slices["site"]["north"]
    row = table.row(1, named=True)
    assert (row["n"], row["recall"], row["f1"]) == (60, north.recall, north.f["1"])
    assert (row["recall_low"], row["recall_high"]) == tuple(north.intervals.recall)


def test_slices_that_cannot_be_are_refused(sites, tmp_path):
    p, t, _ = sites
    with pytest.raises(
        ConfigError, match=r"--slices sit: the truth has no such column. Did you mean 'site'"
    ):
        evaluate(p, truth=t, slices=("sit",))
    with pytest.raises(ConfigError, match="levels count from 1"):
        evaluate(p, truth=t, slices=("folder:0",))
    ids = [f"r{row}" for row in range(1001)]
    p = write(tmp_path / "many.csv", "id,label", ((name, "P") for name in ids))
    t = write(tmp_path / "many_t.csv", "id,label,case", ((name, "P", name) for name in ids))
    with pytest.raises(ConfigError, match="has 1,001 different values; at most 1,000"):
        evaluate(p, truth=t, slices=("case",))


def test_a_comparison_counts_the_rows_that_only_one_model_has_right(tmp_path):
    ids = [f"r{row}" for row in range(20)]
    truth = ["P"] * 10 + ["N"] * 10
    this = ["P"] * 9 + ["N"] + ["N"] * 10  # one P missed
    other = ["N"] * 4 + ["P"] * 6 + ["P"] + ["N"] * 9  # the first four P missed, one false alarm
    p = write(tmp_path / "p.csv", "id,label", zip(ids, this))
    q = write(tmp_path / "q.csv", "id,label", reversed([*zip(ids, other)]))
    t = write(tmp_path / "t.csv", "id,label", zip(ids, truth))
    found = evaluate(p, truth=t, positive="P", against=q).against
    assert (found.accuracy.value, found.accuracy.other) == (19 / 20, 15 / 20)
    assert (found.accuracy.only_this, found.accuracy.only_other) == (5, 1)
    assert found.accuracy.p_value == pytest.approx(2 * (1 + 6) / 2**6, abs=1e-12)
    low, high = found.accuracy.interval
    assert low < found.accuracy.difference < high
    assert found.accuracy.difference == pytest.approx(0.2, abs=1e-15)
    assert (found.recall.n, found.recall.only_this, found.recall.only_other) == (10, 4, 1)
    swapped = evaluate(q, truth=t, positive="P", against=p).against
    assert swapped.accuracy.difference == -found.accuracy.difference
    assert swapped.accuracy.p_value == found.accuracy.p_value
    assert evaluate(p, truth=t, against=p).against.accuracy.p_value == 1
    assert evaluate(p, truth=t, against=q).against.recall is None


def test_the_other_model_needs_every_row_and_the_same_classes(tmp_path):
    t = write(tmp_path / "t.csv", "id,label", [("a", "P"), ("b", "N")])
    q = write(tmp_path / "q.csv", "id,label", [("a", "P")])
    with pytest.raises(DataError, match=r"q.csv: no prediction for 1 of the 2 ids"):
        evaluate(t, truth=t, against=q)
    write(q, "id,P,M", [("a", 0.5, 0.5), ("b", 0.5, 0.5)])
    with pytest.raises(DataError, match="column 'M' is no class"):
        evaluate(t, truth=t, against=q)


@pytest.fixture
def several(tmp_path):
    """Scores of three classes that exclude each other in nothing, and their truth."""
    p = [("r0", 0.9, 0.7, 0.2), ("r1", 0.1, 0.5, 0.4), ("r2", 0.6, 0.3, 0.1), ("r3", 0.2, 0.1, 0.0)]
    t = [("r0", 1, 0, 1), ("r1", 0, 1, 0), ("r2", 1, 1, 0), ("r3", 0, 0, 0)]
    return write(tmp_path / "p.csv", "id,a,b,c", p), write(tmp_path / "t.csv", "id,a,b,c", t)


def test_several_labels_a_row_are_counted_class_by_class(several, tmp_path):
    p, t = several
    report = evaluate(p, truth=t, multi_label=True, positive="b", out=tmp_path / "out")
    a, b, c = (report.per_class[name] for name in "abc")
    assert (a.tp, a.fp, a.fn, a.tn) == (2, 0, 0, 2)
    assert (b.tp, b.fp, b.fn, b.tn) == (1, 1, 1, 1)
    assert (c.tp, c.fp, c.fn, c.tn) == (0, 0, 1, 3)
    assert report.subset_accuracy == 2 / 4
    assert report.hamming_loss == 3 / 12
    assert plain(report)["accuracy"] is None
    assert report.confusion is None
    # Rows: 1/2, 1, 1 and, for the row without labels, nothing: left out.
    assert report.averages.samples.recall == pytest.approx((1 / 2 + 1 + 1 / 2) / 3, abs=1e-15)
    assert report.missed == ["r2"]
    assert report.curves.of == "b"
    assert not (tmp_path / "out" / "confusion.csv").exists()
    missed = pl.read_csv(tmp_path / "out" / "missed.csv")
    assert missed["id"].to_list() == ["r2"]
    again = evaluate(
        tmp_path / "out" / "predictions.parquet",
        truth=tmp_path / "out" / "truth.csv",
        multi_label=True,
        positive="b",
    )
    assert plain(again.per_class) == plain(report.per_class)
    assert plain(again.averages) == plain(report.averages)


def test_a_threshold_holds_for_every_class_of_several(several):
    p, t = several
    report = evaluate(p, truth=t, multi_label=True, threshold=0.3)
    assert [report.per_class[name].predicted for name in "abc"] == [2, 3, 1]
    assert report.threshold == 0.3


def test_what_several_labels_cannot_do_is_said(several):
    p, t = several
    with pytest.raises(ConfigError) as caught:
        evaluate(p, truth=t, multi_label=True, nan="positive", slices=("folder",), against=p)
    assert caught.value.problems == (
        "--nan positive: is not for --multi-label yet.",
        "--slices: is not for --multi-label yet.",
        "--against: is not for --multi-label yet.",
    )


def test_gates_are_judged_and_their_betas_computed(sites):
    p, t, _ = sites
    report = evaluate(
        p, truth=t, positive="P", fail_under=("recall.P=0", "f2.P=0.999", "accuracy=0.1")
    )
    assert [gate.met for gate in report.gates] == [True, False, True]
    assert report.gates[1].value == report.per_class["P"].f["2"]
    assert list(report.per_class["P"].f) == ["1", "2"]


def test_gates_for_classes_or_scores_that_are_none_are_refused(sites):
    p, t, _ = sites
    with pytest.raises(ConfigError) as caught:
        evaluate(p, truth=t, fail_under=("recall.p=0.5", "roc_auc.P=0.5"))
    assert caught.value.problems == (
        "--fail-under recall.p: no class or average 'p'. Did you mean 'P'? "
        "Known: N, P, macro, weighted, micro.",
        "--fail-under roc_auc.P: labels have no scores, so no curves.",
    )


def test_classes_without_rows_are_named(tmp_path):
    t = write(tmp_path / "t.csv", "id,label", [("a", "P"), ("b", "N")])
    report = evaluate(t, truth=t, classes=("P", "N", "M"))
    assert report.warnings == ("Class 'M' has no row in the data: its recall is undefined.",)


def test_weighted_rows_have_no_exact_intervals_and_it_is_said(tmp_path):
    t = write(tmp_path / "t.csv", "id,label,weight", [("a", "P", 2.5), ("b", "N", 1)])
    p = write(tmp_path / "p.csv", "id,label", [("a", "P"), ("b", "P")])
    report = evaluate(p, truth=t)
    assert report.weighted
    assert report.accuracy == 2.5 / 3.5
    assert report.accuracy_interval is None
    assert report.per_class["P"].intervals is None
    assert set(report.interval_methods.values()) == {None}
    assert any("do not apply" in text for text in report.warnings)


@pytest.mark.parametrize("method", ["delta", "bootstrap"])
def test_intervals_are_wider_for_more_confidence(sites, method):
    p, t, _ = sites
    narrow, wide = (
        evaluate(p, truth=t, confidence=confidence, intervals=method).per_class["P"].intervals
        for confidence in (0.8, 0.99)
    )
    for (low, high), (lower, higher) in zip(
        (narrow.precision, narrow.recall, narrow.f["1"]), (wide.precision, wide.recall, wide.f["1"])
    ):
        assert lower < low < high < higher
