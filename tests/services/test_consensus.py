"""Several models become one, from files to decisions, and say what that is worth."""

import csv
import json
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dnncli
from dnncli.errors import ConfigError, DataError

VOTES = {
    "a": "PPNNP",
    "b": "PPNPN",
    "c": "PNNNN",
}
TRUTH = "PPNPP"


def write_labels(path, labels, *, ids=None, column="label"):
    names = ids or [f"i{place}" for place in range(len(labels))]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", column), *zip(names, labels)])
    return path


def write_probs(path, probs, *, classes=("N", "P"), ids=None):
    names = ids or [f"i{place}" for place in range(len(probs))]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", *classes), *((i, *p) for i, p in zip(names, probs))])
    return path


@pytest.fixture
def files(tmp_path):
    return [write_labels(tmp_path / f"{name}.csv", votes) for name, votes in VOTES.items()]


@pytest.fixture
def truth(tmp_path):
    return write_labels(tmp_path / "truth.csv", TRUTH)


def decided(folder):
    with (folder / "decisions.csv").open(newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_the_majority_decides(files, truth, tmp_path):
    report = dnncli.consensus(files, truth=truth, positive="P", out=tmp_path / "o")
    rows = decided(tmp_path / "o")
    assert [row["decision"] for row in rows.values()] == ["P", "P", "N", "N", "N"]
    assert {row["status"] for row in rows.values()} == {"decided"}
    assert rows["i1"]["agreement_all"] == str(2 / 3)
    assert (rows["i1"]["N"], rows["i1"]["P"]) == ("1", "2")
    assert report.method == "majority"
    assert report.coverage == 1
    assert report.consensus.accuracy == 3 / 5
    assert report.scores.per_class["P"].tp == 2
    assert report.baselines.best_single.name == "a"
    assert report.members["a"].accuracy == 4 / 5
    assert report.members["c"].recall == 1 / 4


def test_that_a_majority_misses_positives_is_said(files, truth):
    report = dnncli.consensus(files, truth=truth, positive="P")
    assert any("majority lowers the recall of 'P'" in line for line in report.warnings)
    # one vote is enough: i0, i1, i3 and i4 are flagged, which are all positives
    assert report.k_table[0].recall == 1
    assert any("--method k-of-m --k 1" in line for line in report.warnings)
    flagged = dnncli.consensus(files, truth=truth, positive="P", k=1)
    assert flagged.method == "k-of-m"
    assert flagged.consensus.recall == 1


def test_rows_below_the_agreement_go_to_the_review_queue(files, truth, tmp_path):
    report = dnncli.consensus(files, truth=truth, positive="P", agree="0.8", out=tmp_path / "o")
    assert report.status_counts["below_threshold"] == 3
    assert report.coverage == 2 / 5
    assert any("80 % of 3 models means all 3" in line for line in report.warnings)
    with (tmp_path / "o" / "review.csv").open(newline="") as file:
        queue = [row["id"] for row in csv.DictReader(file)]
    assert queue == ["i1", "i3", "i4"]  # two votes for P, then one each


def test_the_coverage_table_counts_what_is_left_to_people_in_three_ways(files, truth):
    report = dnncli.consensus(files, truth=truth, positive="P")
    unanimous = report.coverage_table[-1]
    # i0 and i2 are unanimous and right; of four positives, i0 is decided
    assert (unanimous.agree, unanimous.needed, unanimous.coverage) == (1, "3 of 3", 2 / 5)
    assert (unanimous.review, unanimous.review_rows) == (3 / 5, 3)
    assert unanimous.accuracy_decided == 1
    assert unanimous.recall_excluding == 1
    assert unanimous.recall_missed == 1 / 4
    assert unanimous.recall_caught == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_order_of_the_files_changes_nothing(files, truth, tmp_path, order):
    report = dnncli.consensus([files[place] for place in order], truth=truth, positive="P")
    assert report == dnncli.consensus(files, truth=truth, positive="P")


@settings(
    deadline=None, max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 10**6))
def test_the_order_of_rows_and_class_columns_changes_nothing(tmp_path, seed):
    rng = np.random.default_rng(seed)
    ids = [f"i{place}" for place in range(12)]
    probs = [rng.dirichlet([1, 1, 1], 12).round(3) for _ in range(3)]
    probs = [one / one.sum(axis=1, keepdims=True) for one in probs]
    plain = [
        write_probs(tmp_path / f"{name}.csv", one, classes="xyz", ids=ids)
        for name, one in zip("abc", probs)
    ]
    first = dnncli.consensus(plain, out=tmp_path / "o")
    before = decided(tmp_path / "o")
    for name, one in zip("abc", probs):
        rows, columns = rng.permutation(12), rng.permutation(3)
        write_probs(
            tmp_path / f"{name}.csv",
            one[rows][:, columns],
            classes=["xyz"[column] for column in columns],
            ids=[ids[row] for row in rows],
        )
    second = dnncli.consensus(plain, out=tmp_path / "o")
    after = decided(tmp_path / "o")
    assert {name: (row["decision"], row["status"]) for name, row in before.items()} == {
        name: (row["decision"], row["status"]) for name, row in after.items()
    }
    assert first.agreement.fleiss_kappa == second.agreement.fleiss_kappa
    for name, row in before.items():
        for column in ("x", "y", "z", "entropy", "mutual_information"):
            assert float(row[column]) == pytest.approx(float(after[name][column]), abs=1e-12)


def test_a_copy_of_a_model_with_half_the_weight_each_changes_nothing(files, tmp_path):
    one = dnncli.consensus(files, weights={"a": 1, "b": 2, "c": "0.5"}, out=tmp_path / "o")
    before = decided(tmp_path / "o")
    copy = tmp_path / "copy.csv"
    copy.write_bytes(files[1].read_bytes())
    two = dnncli.consensus([*files, copy], weights=["a=1,b=1", "copy=1,c=.5"], out=tmp_path / "o")
    after = decided(tmp_path / "o")
    same = ("decision", "status", "agreement_all", "agreement_voted", "entropy", "N", "P")
    assert all(before[name][word] == after[name][word] for name in before for word in same)
    assert (one.method, one.weighed_by, two.weights["copy"]) == ("weighted", "given", 1)


def test_a_copy_of_a_model_is_named(files, tmp_path):
    copy = tmp_path / "copy.csv"
    copy.write_bytes(files[1].read_bytes())
    report = dnncli.consensus([*files, copy])
    assert report.duplicates == [("b", "copy", 1.0)]
    assert any("near duplicates" in line and "'b' and 'copy'" in line for line in report.warnings)


def test_probabilities_are_averaged_and_may_outvote_the_majority(tmp_path):
    files = [
        write_probs(tmp_path / f"{name}.csv", [(1 - p, p)])
        for name, p in (("a", 0.99), ("b", 0.45), ("c", 0.45))
    ]
    mean = dnncli.consensus(files, out=tmp_path / "o")
    row = decided(tmp_path / "o")["i0"]
    assert (mean.method, row["decision"]) == ("mean", "P")
    assert float(row["P"]) == pytest.approx((0.99 + 0.45 + 0.45) / 3, abs=1e-15)
    assert float(row["agreement_all"]) == pytest.approx(1 / 3)
    assert dnncli.consensus(files, method="majority").decided == {"N": 1, "P": 0}


def test_an_empty_cell_is_no_vote(tmp_path):
    files = [
        write_labels(tmp_path / "a.csv", ["P", "", ""]),
        write_labels(tmp_path / "b.csv", ["P", "N", ""]),
    ]
    report = dnncli.consensus(files, out=tmp_path / "o")
    rows = decided(tmp_path / "o")
    assert [row["status"] for row in rows.values()] == ["decided", "decided", "no_votes"]
    assert rows["i1"]["agreement_all"] == "0.5"
    assert rows["i1"]["agreement_voted"] == "1.0"
    assert report.status_counts["no_votes"] == 1
    few = dnncli.consensus(files, min_votes=2)
    assert few.status_counts["too_few_votes"] == 1


def test_weights_are_learned_from_other_rows_than_those_that_judge(tmp_path):
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 600)
    files = []
    for name, accuracy in (("good", 0.95), ("bad1", 0.5), ("bad2", 0.5)):
        votes = np.where(rng.random(600) < accuracy, true, rng.integers(0, 3, 600))
        files.append(write_labels(tmp_path / f"{name}.csv", ["xyz"[vote] for vote in votes]))
    names = ["xyz"[label] for label in true]
    ids = [f"i{place}" for place in range(600)]
    val = write_labels(tmp_path / "val.csv", names[:300], ids=ids[:300])
    test = write_labels(tmp_path / "test.csv", names[300:], ids=ids[300:])
    report = dnncli.consensus(files, weights_from=val, truth=test)
    right = sum(
        vote == label for vote, label in zip(pl.read_csv(files[0])["label"][:300], names[:300])
    )
    accuracy = (right + 1) / 302
    assert report.method == "weighted"
    assert report.weights["good"] == pytest.approx(np.log(2 * accuracy / (1 - accuracy)), abs=1e-11)
    assert report.chosen_by == {"weights": str(val)}
    assert report.consensus.accuracy == report.members["good"].accuracy  # it outweighs both
    assert not any("no test" in line for line in report.warnings)
    same = dnncli.consensus(files, weights_from=val, truth=val)
    assert any("300 of the 300 rows" in line and "no test" in line for line in same.warnings)
    picked = dnncli.consensus(files, method="selection", weights_from=val, truth=test)
    assert sum(picked.weights.values()) == pytest.approx(1)
    assert picked.selection.sequence[0] == picked.selection.best_single == "good"
    by_f = dnncli.consensus(files, weights_from=val, weight_by="f-beta")
    assert 0 < by_f.weights["bad1"] < by_f.weights["good"] < 1


def positives(rng, n, *, names, tmp_path):
    """Three scorers of a rare class, and the truth of all rows and of the first half."""
    true = rng.random(n) < 0.2
    files = []
    for name in names:
        score = np.clip(0.3 + 0.35 * true + rng.normal(0, 0.15, n), 0, 1)
        files.append(write_probs(tmp_path / f"{name}.csv", np.stack([1 - score, score], 1)))
    ids = [f"i{place}" for place in range(n)]
    words = np.where(true, "P", "N").tolist()
    val = write_labels(tmp_path / "val.csv", words[: n // 2], ids=ids[: n // 2])
    test = write_labels(tmp_path / "test.csv", words[n // 2 :], ids=ids[n // 2 :])
    return files, val, test


def test_a_rule_is_chosen_for_a_target_recall(tmp_path):
    files, val, test = positives(np.random.default_rng(3), 2000, names="abc", tmp_path=tmp_path)
    report = dnncli.consensus(
        files, target_recall="0.9", positive="P", truth_val=val, truth=test, out=tmp_path / "o"
    )
    choice = report.target
    assert {entry.rule for entry in choice.table} == {"k-of-m", "mean"}
    assert choice.certified
    assert choice.rule == "mean"  # of noisy scores the mean tells the classes apart best
    assert report.consensus.recall >= 0.9
    assert report.chosen_by == {"rule": str(val)}
    for row in decided(tmp_path / "o").values():
        assert (row["decision"] == "P") == (float(row["P"]) >= choice.threshold)
    assert report.scores.per_class["P"].recall == report.consensus.recall


def test_labels_get_a_number_of_votes_for_a_target_recall(files, truth):
    report = dnncli.consensus(files, target_recall="0.75", positive="P", truth_val=truth)
    assert report.target.rule == report.method == "k-of-m"
    assert not report.target.certified  # of four positives
    assert report.target.k == 1
    assert any("4 positives" in line for line in report.warnings)


def test_an_infeasible_target_says_how_many_positives_it_needs(tmp_path):
    files, val, _ = positives(np.random.default_rng(4), 200, names="ab", tmp_path=tmp_path)
    report = dnncli.consensus(files, target_recall="0.99", positive="P", truth_val=val)
    assert any("0.99 at 95 % confidence" in line for line in report.warnings)


def test_numbers_of_any_unit_are_averaged(tmp_path):
    files = [
        write_labels(tmp_path / "a.csv", [10, 20], column="kg"),
        write_labels(tmp_path / "b.csv", [14, ""], column="kg"),
    ]
    truth = write_labels(tmp_path / "t.csv", [13, 20], column="kg")
    report = dnncli.consensus(
        files, scores="any", weights={"a": 1, "b": 3}, truth=truth, out=tmp_path / "o"
    )
    rows = decided(tmp_path / "o")
    assert (rows["i0"]["kg"], rows["i1"]["kg"]) == ("13.0", "20.0")
    # around 13: sqrt((1 * 9 + 3 * 1) / 4)
    assert float(rows["i0"]["spread"]) == pytest.approx(np.sqrt(3))
    assert report.errors.root_mean_square == 0
    assert report.members["a"].errors.mean_absolute == 1.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agree": "80"}, "--agree 80: must be above 0 and at most 1; 80 % is written 0.8."),
        ({"agree": 0}, "--agree 0: must be above 0"),
        ({"agree": "0.8x"}, "95 % is written 0.95"),
        ({"method": "majorty"}, "Did you mean 'majority'?"),
        ({"tie": "positive"}, "--positive CLASS: is needed by --tie positive"),
        ({"positive": "p"}, "Unknown class 'p'"),
        ({"method": "mean"}, "needs probabilities, and the files hold labels. Use majority"),
        ({"method": "staple"}, "is for masks"),
        ({"method": "weighted"}, "needs --weights-from TRUTH"),
        ({"weights": ["a=1,b=2"]}, "c: has no weight"),
        ({"weights": ["a=1,b=2,c=3,d=1"]}, "d: there is no such model"),
        ({"weights": ["a=1,b=-2,c=1"]}, "b: the weight must be a number >= 0"),
        ({"weights": ["a=0,b=0,c=0"]}, "all are 0"),
        ({"weights": ["a=1,a=2,b=1,c=1"]}, "'a' is weighed twice"),
        ({"weights": ["a"]}, "is not NAME=W"),
        ({"method": "k-of-m"}, "--k N: is needed"),
        ({"k": 4}, "there are only 3 models"),
        ({"min_votes": 4}, "there are only 3 models"),
        ({"min_votes": 0}, "must be at least 1"),
        ({"denominator": "some"}, "--denominator"),
        ({"target_recall": "0.9", "positive": "P"}, "needs --truth-val"),
        ({"target_recall": "95", "positive": "P"}, "at most 1; 95 % is written 0.95."),
        ({"truth_val": "x.csv"}, "is for --target-recall"),
        ({"weight_by": "confidence"}, "needs probabilities"),
        ({"rounds": 5}, "--rounds: is for --method selection"),
        ({"scores": "any", "min_votes": 2}, "--min-votes: is not for --scores any"),
        ({"scores": "any", "denominator": "voted"}, "--denominator: is not for --scores any"),
        ({"data": "pictures"}, "is for runs and .keras files"),
        ({"tta": -1}, "--tta: is for runs and .keras files"),
        ({"split": "test"}, "--split: picks rows of --truth, which is not given"),
        ({"decisions": "xlsx"}, "--format"),
        ({"betas": [0.0]}, "--beta 0.0"),
        ({"ignore_zone": True}, "--ignore-zone: is not for these files"),
    ],
)
def test_options_that_make_no_sense_are_refused(files, tmp_path, options, message):
    with pytest.raises(ConfigError) as error:
        dnncli.consensus(files, **options, out=tmp_path / "o")
    assert message in str(error.value)
    assert not (tmp_path / "o").exists()


def test_several_mistakes_are_told_at_once(files):
    with pytest.raises(ConfigError) as error:
        dnncli.consensus(files, agree=2, min_votes=0, method="x")
    assert len(error.value.problems) == 3


def test_truth_of_other_ids_is_refused(files, tmp_path):
    other = write_labels(tmp_path / "other.csv", "PN", ids=["I0", "j1"])
    with pytest.raises(DataError) as error:
        dnncli.consensus(files, truth=other, out=tmp_path / "o")
    assert "truth for other ids: 2 of its 2" in str(error.value)
    assert "There is 'i0', which differs only in letter case" in str(error.value)
    assert not (tmp_path / "o").exists()


def test_a_truth_that_writes_classes_in_another_form_is_refused(files, tmp_path):
    other = write_labels(tmp_path / "other.csv", ["P", "p", "N", "P", "P"])
    with pytest.raises(DataError, match=r"other\.csv: class 'p'; a model has 'P'\. There is 'P',"):
        dnncli.consensus(files, truth=other)
    unseen = write_labels(tmp_path / "unseen.csv", ["P", "Q", "N", "P", "P"])
    assert dnncli.consensus(files, truth=unseen).classes == ("N", "P", "Q")


def test_what_is_wrong_with_the_truth_is_told_together_with_the_models(files, tmp_path):
    files[0].write_text("id,label\n")
    empty = tmp_path / "empty.csv"
    empty.write_text("id,label\n")
    with pytest.raises(DataError) as error:
        dnncli.consensus(files, truth=empty)
    assert "a.csv: holds no rows" in str(error.value)
    assert "empty.csv: holds no rows" in str(error.value)


def test_rows_that_taught_the_weights_cannot_certify_a_recall(tmp_path):
    files, val, _ = positives(np.random.default_rng(5), 400, names="ab", tmp_path=tmp_path)
    with pytest.raises(ConfigError, match="taught the weights"):
        dnncli.consensus(files, target_recall="0.9", positive="P", truth_val=val, weights_from=val)


def test_a_folder_of_something_else_is_not_replaced(files, tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "photo.txt").write_text("mine")
    with pytest.raises(ConfigError, match="exists and is no consensus"):
        dnncli.consensus(files, out=tmp_path / "o")
    assert (tmp_path / "o" / "photo.txt").read_text() == "mine"


def test_a_place_that_cannot_be_a_folder_is_refused(files, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for place, message in {"a.csv/o": "a.csv is a file", "link": "is no consensus"}.items():
        with pytest.raises(ConfigError, match=message):
            dnncli.consensus(files, out=tmp_path / place)


def test_an_earlier_consensus_is_replaced(files, tmp_path):
    dnncli.consensus(files, out=tmp_path / "o")
    dnncli.consensus(files, agree=1, out=tmp_path / "o")
    assert json.loads((tmp_path / "o" / "consensus.json").read_text())["options"]["agree"] == 1


def test_the_folder_holds_what_the_documentation_names(files, truth, tmp_path):
    report = dnncli.consensus(files, truth=truth, positive="P", out=tmp_path / "o")
    found = {path.name for path in (tmp_path / "o").iterdir()}
    assert found == {
        *("decisions.csv", "review.csv", "agreement.json", "consensus.json"),
        *("agreement.csv", "agreement.png", "pairwise.csv", "pairwise.png"),
        *("coverage.csv", "coverage.png", "k.csv", "k.png"),
    }
    saved = json.loads((tmp_path / "o" / "consensus.json").read_text())
    assert saved["schema"] == "dnncli.consensus/1"
    assert saved["agreement"]["pairwise"]["a|b"]["agreement"] == 3 / 5
    assert saved["coverage"] == report.coverage


def test_decisions_are_parquet_unless_all_files_are_csv(files, tmp_path):
    frame = pl.read_csv(files[2])
    files[2].unlink()
    parquet = tmp_path / "c.parquet"
    frame.write_parquet(parquet)
    dnncli.consensus([files[0], files[1], parquet], out=tmp_path / "o")
    assert (tmp_path / "o" / "decisions.parquet").exists()
    dnncli.consensus([files[0], files[1], parquet], out=tmp_path / "o", decisions="csv")
    assert len(decided(tmp_path / "o")) == 5


def test_decisions_can_be_evaluated_as_predictions(files, truth, tmp_path):
    report = dnncli.consensus(files, truth=truth, agree=1, out=tmp_path / "o")
    scores = dnncli.evaluate(tmp_path / "o" / "decisions.csv", truth=truth)
    assert scores.undecided == 3
    assert scores.accuracy == report.consensus.accuracy


def test_raising_the_agreement_never_decides_more(files):
    shares = [Fraction(1, 10), Fraction(1, 3), "0.34", "2/3", "0.667", 1]
    coverages = [dnncli.consensus(files, agree=share).coverage for share in shares]
    assert coverages == sorted(coverages, reverse=True)
    assert coverages[3] > coverages[4]  # two of three reach 2/3, not 0.667


def test_one_class_everywhere_leaves_chance_corrected_agreement_undefined(tmp_path):
    files = [write_labels(tmp_path / f"{name}.csv", "PPP") for name in "ab"]
    report = dnncli.consensus(files)
    assert np.isnan(report.agreement.fleiss_kappa)
    assert "only one class" in report.agreement.reasons["fleiss_kappa"]
    assert report.agreement.observed == 1


def test_ties_everywhere_are_no_decision_and_no_crash(tmp_path):
    files = [write_labels(tmp_path / "a.csv", "PN"), write_labels(tmp_path / "b.csv", "NP")]
    truth = write_labels(tmp_path / "t.csv", "PN")
    report = dnncli.consensus(files, truth=truth, positive="P", out=tmp_path / "o")
    assert (report.coverage, report.coverage_table, report.scores.n) == (0, [], 0)
    assert np.isnan(report.scores.accuracy)
    broken = dnncli.consensus(files, truth=truth, positive="P", tie="positive")
    assert broken.status_counts["tie_broken"] == 2
    assert broken.consensus.accuracy == 1 / 2


def test_truth_ids_that_nfc_makes_equal_are_named(tmp_path):
    composed, apart = "caf\u00e9", "cafe\u0301"
    files = [write_labels(tmp_path / f"{name}.csv", "PN", ids=[composed, "b"]) for name in "ab"]
    truth = write_labels(tmp_path / "truth.csv", "PNP", ids=[composed, "b", apart])
    with pytest.raises(DataError, match="truth.csv: in Unicode form NFC, two ids become one"):
        dnncli.consensus(files, truth=truth, normalize_ids="nfc")


def test_numbers_are_judged_by_truth_in_another_unicode_form(tmp_path):
    for name, unicode_id in (("a", "caf\u00e9"), ("b", "caf\u00e9"), ("truth", "cafe\u0301")):
        write_probs(tmp_path / f"{name}.csv", [[2.0]], classes=["height"], ids=[unicode_id])
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    report = dnncli.consensus(
        files, truth=tmp_path / "truth.csv", scores="any", normalize_ids="nfc"
    )
    assert report.errors.n == 1


def test_what_is_no_predictions_file_is_named(files, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    np.savez(tmp_path / "wide.npz", ids=np.array(["i0"]), p=np.ones((1, 1)), class_names=["P"])
    (tmp_path / "torn.npz").write_bytes(b"PK")
    for name, message in {
        "notes.txt": r"notes\.txt: is no predictions or truth file",
        "": r"Known suffixes: \.csv, \.parquet, \.npz\. It is a folder: give the files in it",
        "wide.npz": "wide.npz: has the arrays ids, p, class_names. Needed: ids, and labels, or",
        "torn.npz": "torn.npz: cannot be read as NPZ: it is no ZIP archive",
    }.items():
        with pytest.raises(DataError, match=message):
            dnncli.consensus([files[0], tmp_path / name])


def test_tied_means_everywhere_are_no_decision_and_no_crash(tmp_path):
    files = [write_probs(tmp_path / f"{name}.csv", [(0.5, 0.5)] * 2) for name in "ab"]
    truth = write_labels(tmp_path / "t.csv", "PN")
    report = dnncli.consensus(files, truth=truth, positive="P", out=tmp_path / "o")
    assert (report.status_counts["tie"], report.scores.n) == (2, 0)
    assert report.scores.curves.roc_auc == 1 / 2
