"""All pictures of a consensus beside the numbers that they show."""

from fractions import Fraction

import polars as pl
from consensus_support import ballots_of, drawn_votes, right_of, words

from dnncli.metrics.agreement import agreement
from dnncli.report.consensus import write_consensus_pictures
from dnncli.voting.coverage import coverage_table, k_table
from dnncli.voting.rules import VoteOptions, majority


def test_every_picture_stands_beside_its_table(tmp_path):
    votes, truth = drawn_votes(0)
    ballots = ballots_of(votes)
    decisions = majority(ballots, options=VoteOptions(agree=Fraction(1, 2)))
    right, by_truth = right_of(ballots, truth, decisions), ballots.by_truth(truth)
    levels = coverage_table(
        decisions, ballots.counts, right=right, positives=by_truth[:, 1], positive=1, n_models=4
    )
    seen = []
    written = write_consensus_pictures(
        tmp_path, decisions=decisions, rows=ballots.counts, models=ballots.models,
        agreement=agreement(ballots.patterns, ballots.counts, n_classes=3, by_truth=by_truth),
        levels=levels, k_levels=k_table(ballots, 1, by_truth), right=right, agree=Fraction(1, 2),
        k=2, positive="c1", accuracy={"m00": 0.5},
        progress=lambda _, done, total: seen.append((done, total)),
    )  # fmt: skip
    names = {f"{name}.{kind}" for name in ("agreement", "pairwise", "coverage", "k")
             for kind in ("csv", "png")}  # fmt: skip
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()} == names
    assert seen == [(0, 8), (2, 8), (4, 8), (6, 8), (8, 8)]
    assert pl.read_csv(tmp_path / "agreement.csv")["rows"].sum() == 200
    assert len(pl.read_csv(tmp_path / "pairwise.csv")) == 6
    assert len(pl.read_csv(tmp_path / "coverage.csv")) == len(levels)
    assert any("agreement asked for: 0.5" in line for line in words(tmp_path / "agreement.png"))


def test_one_model_without_truth_has_its_agreement_only(tmp_path):
    ballots = ballots_of(drawn_votes(0, models=1)[0])
    decisions = majority(ballots, options=VoteOptions())
    found = agreement(ballots.patterns, ballots.counts, n_classes=3)
    written = write_consensus_pictures(
        tmp_path, decisions=decisions, rows=ballots.counts, models=ballots.models, agreement=found
    )
    assert [path.name for path in written] == ["agreement.csv", "agreement.png"]


def test_a_level_of_probability_is_no_line_among_shares_of_models(tmp_path):
    ballots = ballots_of(drawn_votes(0)[0])
    decisions = majority(ballots, options=VoteOptions())
    write_consensus_pictures(
        tmp_path, decisions=decisions, rows=ballots.counts, models=ballots.models,
        agree=Fraction(1, 2), agree_is_of_models=False,
    )  # fmt: skip
    assert not any("asked for" in line for line in words(tmp_path / "agreement.png"))
