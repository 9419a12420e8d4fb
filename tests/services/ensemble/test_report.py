"""What a report says about the truth that it was judged by, and what stands beside it."""

import csv

import pytest

import dnncli


def write(path, head, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


@pytest.fixture
def files(tmp_path):
    votes = {"a": "PPN", "b": "PNN"}
    return [
        write(tmp_path / f"{name}.csv", ("id", "label"), zip("xyz", labels))
        for name, labels in votes.items()
    ]


def truth_of(tmp_path, rows, head=("id", "label")):
    return write(tmp_path / "truth.csv", head, rows)


def test_rows_without_truth_are_named(files, tmp_path):
    truth = truth_of(tmp_path, [("z", "N"), ("x", "P")])
    (note,) = dnncli.consensus(files, truth=truth).notes
    assert note.endswith(
        "truth.csv: says nothing about 1 of 3 rows, such as 'y': they are decided, but not judged."
    )


def test_truth_of_all_rows_needs_no_note(files, tmp_path):
    assert dnncli.consensus(files, truth=truth_of(tmp_path, zip("zyx", "NNP"))).notes == ()


def test_weights_of_rows_are_said_to_count_in_the_scores_alone(files, tmp_path):
    rows = [("x", "P", 1), ("y", "N", 1), ("z", "P", 8)]
    truth = truth_of(tmp_path, rows, ("id", "label", "weight"))
    report = dnncli.consensus(files, truth=truth)
    assert report.scores.accuracy == pytest.approx(1 / 9)
    assert report.consensus.accuracy == pytest.approx(1 / 3)
    assert any(
        line.endswith(
            "truth.csv: the weights of rows count in `scores` alone; everything else counts every "
            "row once."
        )
        for line in report.warnings
    )


@pytest.mark.parametrize(("tie", "right"), [("abstain", 2), ("positive", 3), ("class-order", 2)])
def test_the_majority_beside_the_consensus_breaks_ties_as_it_does(files, tmp_path, tie, right):
    truth = truth_of(tmp_path, zip("xyz", "PPN"))
    report = dnncli.consensus(files, truth=truth, tie=tie, positive="P")
    assert report.baselines.majority.right_rows == right
    assert report.baselines.majority == report.consensus


def test_tied_probabilities_were_predicted_too(tmp_path):
    rows = {"a": [("x", 0.5, 0.5), ("y", 0.9, 0.1)], "b": [("x", 0.5, 0.5), ("y", "", "")]}
    files = [write(tmp_path / f"{name}.csv", ("id", "N", "P"), of) for name, of in rows.items()]
    report = dnncli.consensus(files, truth=truth_of(tmp_path, [("x", "N"), ("y", "N")]))
    assert report.predictions_per_row == 3 / 2
    assert any("It costs 1.5 predictions a row" in line for line in report.warnings)
