"""How far models agree, all together and two by two."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from dnncli.metrics.agreement import agreement, fleiss_from_counts


def drawn(seed, *, rows=40, models=4, classes=3, missing=0.0):
    """Votes that agree half of the time, and truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    votes = np.where(
        rng.random((rows, models)) < 0.5, truth[:, None], rng.integers(0, classes, (rows, models))
    )
    return np.where(rng.random((rows, models)) < missing, -1, votes), truth


def of_rows(votes, *, classes=3, truth=None):
    by_truth = None if truth is None else np.eye(classes, dtype=np.int64)[truth]
    return agreement(votes, np.ones(len(votes), np.int64), n_classes=classes, by_truth=by_truth)


def naive_alpha(votes):
    """Krippendorff's own coincidences, value by value."""
    coincidences = {}
    for row in votes:
        given_votes = [vote for vote in row if vote >= 0]
        for i, one in enumerate(given_votes):
            for j, other in enumerate(given_votes):
                if i != j:
                    share = 1 / (len(given_votes) - 1)
                    coincidences[one, other] = coincidences.get((one, other), 0) + share
    sums = {}
    for (one, _), number in coincidences.items():
        sums[one] = sums.get(one, 0) + number
    n = sum(sums.values())
    observed = sum(number for (one, other), number in coincidences.items() if one != other)
    expected = sum(sums[a] * sums[b] for a in sums for b in sums if a != b) / (n - 1)
    return 1 - observed / expected


def test_fleiss_kappa_worked_out_by_hand():
    # Units: 3+0, 2+1, 0+3 votes. Pairs that agree: (3 + 1 + 3) / 9 = 7/9; shares 5/9 and 4/9,
    # so chance gives 41/81. kappa = (63 - 41) / (81 - 41) = 22/40
    found = fleiss_from_counts([[3, 0], [2, 1], [0, 3]])
    assert found.observed == pytest.approx(7 / 9, abs=1e-15)
    assert found.expected == pytest.approx(41 / 81, abs=1e-15)
    assert found.kappa == pytest.approx(22 / 40, abs=1e-15)
    assert found.reason is None


def test_two_models_worked_out_by_hand():
    # Rows AA, AA, AB, BB: agreement 3/4; A has 3/4 and 2/4 of the votes, so chance gives
    # 3/8 + 1/8 = 1/2. kappa = (3/4 - 1/2) / (1/2)
    found = agreement(np.array([[0, 0], [0, 1], [1, 1]]), np.array([2, 1, 1]), n_classes=2)
    pair = found.pairs[0, 1]
    assert (pair.n, pair.agreement, pair.cohen_kappa) == (4, 0.75, 0.5)
    assert found.observed == found.unanimous == 0.75
    # 8 votes, 5 of them A: alpha = 1 - (8 - 1) * 1 row * 2 pairs / (2 * 5 * 3)
    assert found.krippendorff_alpha == pytest.approx(1 - 14 / 30, abs=1e-15)
    assert pair.double_fault is pair.yule_q is None


def test_errors_of_two_models_worked_out_by_hand():
    # Both right 5, only the first 2, only the second 1, both wrong 4: Q = (20 - 2) / (20 + 2).
    patterns = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    by_truth = np.array([[5, 0], [2, 0], [1, 0], [4, 0]])
    found = agreement(patterns, by_truth.sum(axis=1), n_classes=2, by_truth=by_truth)
    assert found.pairs[0, 1].yule_q == pytest.approx(18 / 22, abs=1e-15)
    assert found.pairs[0, 1].double_fault == pytest.approx(4 / 12, abs=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_cohens_kappa_agrees_with_scikit_learn(seed):
    votes, _ = drawn(seed, missing=0.2, classes=4)
    found = of_rows(votes, classes=4)
    for (first, second), pair in found.pairs.items():
        both = (votes[:, [first, second]] >= 0).all(axis=1)
        expected = cohen_kappa_score(votes[both, first], votes[both, second])
        assert pair.cohen_kappa == pytest.approx(expected, abs=1e-12)
        assert pair.n == both.sum()
        assert pair.agreement == np.mean(votes[both, first] == votes[both, second])


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_alpha_agrees_with_its_definition(seed, missing):
    votes, _ = drawn(seed, missing=missing, models=5)
    assert of_rows(votes).krippendorff_alpha == pytest.approx(naive_alpha(votes), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_fleiss_kappa_is_that_of_the_table_of_the_complete_rows(seed):
    votes, _ = drawn(seed, missing=0.1)
    complete = votes[(votes >= 0).all(axis=1)]
    table = [[(row == place).sum() for place in range(3)] for row in complete]
    found = of_rows(votes)
    assert found.fleiss_kappa == fleiss_from_counts(table).kappa
    assert found.n_complete == len(complete) < found.n == 40
    assert found.remarks[0] == (
        f"fleiss_kappa: {40 - len(complete)} of 40 rows lack a vote and are left out"
    )


@pytest.mark.parametrize("seed", range(3))
def test_joint_errors_agree_with_their_definition(seed):
    votes, truth = drawn(seed, missing=0.2)
    found = of_rows(votes, truth=truth)
    for (first, second), pair in found.pairs.items():
        both = (votes[:, [first, second]] >= 0).all(axis=1)
        one, other = (votes[both, place] == truth[both] for place in (first, second))
        assert pair.double_fault == np.mean(~one & ~other)
        alike = (one & other).sum() * (~one & ~other).sum()
        unlike = (one & ~other).sum() * (~one & other).sum()
        assert pair.yule_q == pytest.approx((alike - unlike) / (alike + unlike), abs=1e-12)


def test_rows_of_unknown_truth_have_no_part_in_joint_errors():
    patterns, counts = np.array([[0, 0], [1, 1]]), np.array([3, 5])
    by_truth = np.array([[2, 1], [0, 0]])
    found = agreement(patterns, counts, n_classes=2, by_truth=by_truth)
    assert found.pairs[0, 1].double_fault == pytest.approx(1 / 3, abs=1e-15)
    assert found.pairs[0, 1].n == 8


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.integers(1, 5), st.floats(0, 0.9))
def test_order_and_names_change_nothing(seed, models, classes, missing):
    votes, truth = drawn(seed, models=models, classes=classes, missing=missing)
    found = of_rows(votes, classes=classes, truth=truth)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(votes)), rng.permutation(models)
    names = np.append(rng.permutation(classes), -1)  # -1 stays
    other = of_rows(names[votes[rows][:, columns]], classes=classes, truth=names[truth[rows]])
    for name in ("observed", "unanimous", "fleiss_kappa", "krippendorff_alpha"):
        assert getattr(other, name) == getattr(found, name) or np.isnan(getattr(found, name))
    for score in ("n", "agreement", "cohen_kappa", "double_fault", "yule_q"):
        turned = found.matrix(score)[np.ix_(columns, columns)]
        assert np.array_equal(other.matrix(score), turned, equal_nan=True)
    assert other.members == tuple(found.members[place] for place in columns)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.9))
def test_counted_patterns_are_repeated_rows(seed, missing):
    votes, truth = drawn(seed, missing=missing, rows=300)
    patterns, place = np.unique(votes, axis=0, return_inverse=True)
    by_truth = np.zeros((len(patterns), 3), np.int64)
    np.add.at(by_truth, (place.ravel(), truth), 1)
    counted = agreement(patterns, by_truth.sum(axis=1), n_classes=3, by_truth=by_truth)
    plain = of_rows(votes, truth=truth)
    assert repr(counted) == repr(plain)


def test_every_member_is_told_how_it_agrees_with_the_others():
    found = of_rows(np.array([[0, 0, 1], [0, 0, -1]]), classes=2)
    assert [member.n_votes for member in found.members] == [2, 2, 1]
    assert [member.agreement for member in found.members] == [2 / 3, 2 / 3, 0]
    assert found.observed == 2 / 4


def test_one_class_only_is_undefined_for_a_reason():
    found = of_rows(np.zeros((4, 3), int), truth=np.zeros(4, int))
    assert np.isnan([found.fleiss_kappa, found.krippendorff_alpha]).all()
    assert np.isnan(found.pairs[0, 1].cohen_kappa)
    assert found.observed == found.unanimous == found.pairs[0, 1].agreement == 1
    assert "only one class" in found.reasons["fleiss_kappa"]
    assert found.reasons["krippendorff_alpha"] == found.pairs[0, 1].reasons["cohen_kappa"]
    assert "too few errors" in found.pairs[0, 1].reasons["yule_q"]


def test_models_without_common_rows_are_undefined_for_a_reason():
    found = of_rows(np.array([[0, -1], [-1, 1]]))
    assert found.n_compared == found.n_complete == 0
    assert "no row has two votes" in found.reasons["krippendorff_alpha"]
    assert "every model" in found.reasons["fleiss_kappa"]
    assert "no row in common" in found.pairs[0, 1].reasons["agreement"]
    assert np.isnan([found.observed, found.unanimous, found.pairs[0, 1].agreement]).all()


@pytest.mark.parametrize("shape", [(5, 1), (0, 3)])
def test_one_model_or_no_row_is_undefined_and_no_error(shape):
    found = of_rows(np.zeros(shape, int), truth=np.zeros(shape[0], int))
    assert set(found.reasons) == {"observed", "unanimous", "fleiss_kappa", "krippendorff_alpha"}
    assert fleiss_from_counts(np.zeros((0, 3), int)).reason == "there is no row"


def test_counts_beyond_float32_stay_exact():
    counts = np.array([2**24 + 1, 3])
    found = agreement(np.array([[0, 0], [0, 1]]), counts, n_classes=2)
    assert found.pairs[0, 1].n == 2**24 + 4
    assert found.observed == (2**24 + 1) / (2**24 + 4)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="same number of votes, two or more. Got 2 to 3"):
        fleiss_from_counts([[1, 1], [2, 1]])
    with pytest.raises(ValueError, match="Got 1 to 1"):
        fleiss_from_counts([[1, 0]])
    with pytest.raises(ValueError, match="whole numbers"):
        fleiss_from_counts([[0.5, 1.5]])
    with pytest.raises(ValueError, match=r"counts \(P,\). Got \(2, 2\) and \(3,\)"):
        agreement(np.zeros((2, 2), int), np.ones(3, int), n_classes=2)
    with pytest.raises(ValueError, match="below 2. Got 2"):
        agreement(np.full((2, 2), 2), np.ones(2, int), n_classes=2)
    with pytest.raises(ValueError, match=r"= \(2, 2\). Got \(2, 3\)"):
        agreement(np.zeros((2, 2), int), np.ones(2, int), n_classes=2, by_truth=np.ones((2, 3)))
