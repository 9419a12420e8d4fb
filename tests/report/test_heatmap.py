"""Which models say the same: their order, their table and their picture."""

from itertools import pairwise

import numpy as np
import pytest
from consensus_support import ballots_of, drawn_votes, words
from hypothesis import given, settings
from hypothesis import strategies as st

from dnncli.metrics.agreement import agreement
from dnncli.report.heatmap import pair_table, pairwise_plot, similarity_order


def blocks(groups):
    """Similarity 0.9 within a group of models, 0.5 between groups."""
    groups = np.array(groups)
    return np.where(groups[:, None] == groups, 0.9, 0.5)


def test_alike_models_stand_together():
    groups = [0, 1, 0, 2, 1, 0]
    order = similarity_order(blocks(groups), "abcdef")
    assert sorted(order) == list(range(6))
    assert len([1 for a, b in pairwise(order) if groups[a] != groups[b]]) == 2


def test_where_two_groups_meet_their_most_alike_ends_do():
    # a-b and c-d are pairs; of all pairs across, a and d are the most alike
    close = np.array(
        [[1, 0.9, 0.1, 0.6], [0.9, 1, 0.1, 0.1], [0.1, 0.1, 1, 0.8], [0.6, 0.1, 0.8, 1]]
    )
    assert similarity_order(close, "abcd") == [1, 0, 3, 2]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 25))
def test_the_order_of_the_models_given_does_not_matter(seed, models):
    rng = np.random.default_rng(seed)
    table = rng.random((models, models)).round(1)  # with ties
    table = np.triu(table, 1) + np.triu(table, 1).T
    table[table < 0.1] = np.nan
    names = [f"model {index:02}" for index in range(models)]
    shuffled = rng.permutation(models)
    one = [names[place] for place in similarity_order(table, names)]
    other = similarity_order(table[np.ix_(shuffled, shuffled)], [names[i] for i in shuffled])
    assert [names[shuffled[place]] for place in other] == one


def test_the_table_has_one_line_for_each_pair():
    votes = np.array([[0, 0, 1, 1], [0, 0, 1, 0], [0, -1, 0, 0]])
    ballots = ballots_of(votes)
    truth = np.array([0, 0, 1, 1])
    found = agreement(ballots.patterns, ballots.counts, n_classes=3)
    table = pair_table(found, ballots.models)
    assert table.columns == ["first", "second", "n", "agreement", "cohen_kappa"]
    assert table.select("first", "second", "n", "agreement").rows() == [
        ("m00", "m01", 4, 0.75),
        ("m00", "m02", 3, 1 / 3),
        ("m01", "m02", 3, 2 / 3),
    ]
    known = agreement(
        ballots.patterns, ballots.counts, n_classes=3, by_truth=ballots.by_truth(truth)
    )
    assert pair_table(known, ballots.models).columns[5:] == ["double_fault", "yule_q"]


@pytest.mark.parametrize("models", [2, 12, 13, 61])
def test_any_number_of_models_can_be_drawn(models, tmp_path):
    ballots = ballots_of(drawn_votes(0, models=models)[0])
    found = agreement(ballots.patterns, ballots.counts, n_classes=3)
    pairwise_plot(tmp_path / "p.png", found.matrix("agreement"), ballots.models, n=200)
    said = words(tmp_path / "p.png")
    assert said[:2] == [f"How often two of {models} models say the same", "(n = 200)"]
    assert (f"The 12 most alike of {models * (models - 1) // 2:,} pairs" in said) == (models > 12)


def test_the_most_alike_pair_is_listed_first(tmp_path):
    names = [f"net {index}" for index in range(14)]
    table = np.full((14, 14), 0.5)
    table[3, 9] = table[9, 3] = 0.987
    table[2, 5] = table[5, 2] = np.nan
    pairwise_plot(tmp_path / "p.png", table, names, n=7, accuracy={"net 3": 0.9})
    said = words(tmp_path / "p.png")
    assert said[1] == "(n = 7; behind each name its accuracy)"
    assert said[2] == "The 12 most alike of 90 pairs"
    assert said[3].startswith("0.9870  net ")
    assert {*said[3][8:].split(", ")} == {"net 3", "net 9"}


def test_models_that_share_no_row_or_always_agree_can_be_drawn(tmp_path):
    for name, value in (("never", np.nan), ("always", 1.0), ("nowhere", 0.0)):
        pairwise_plot(tmp_path / f"{name}.png", np.full((2, 2), value), ["$a$", "_b"], n=1)
        assert words(tmp_path / f"{name}.png")
