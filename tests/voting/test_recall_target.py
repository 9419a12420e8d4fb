"""The rule and threshold that reach a target recall at the least work."""

import functools
import math
from fractions import Fraction

import numpy as np
import pytest

from dnncli.metrics import thresholds
from dnncli.metrics.thresholds import target
from dnncli.voting.recall_target import choose_rule

SHIFT = 1.5  # of the positives' scores, in standard deviations


def drawn(seed, *, positives=200, negatives=800, shifts=(1.0, 2.0, 1.5)):
    rng = np.random.default_rng(seed)
    truth = np.arange(positives + negatives) < positives
    return {
        f"rule{place}": rng.normal(size=len(truth)) + shift * truth
        for place, shift in enumerate(shifts)
    }, truth


def test_a_choice_worked_out_by_hand():
    # 59 positives certify .95 at 95 % for one rule with no miss: votes >= 2 flags one negative.
    truth = np.arange(69) < 59
    votes = np.where(truth, 2, np.arange(69) % 3)
    mean = np.where(truth, 0.5, np.arange(69) / 100)  # negatives .59 to .68: all flagged
    one = choose_rule({"k-of-m": votes}, truth, recall="0.95", confidence="0.95")
    assert (one.rule, one.k, one.threshold, one.certified) == ("k-of-m", 2, 2.0, True)
    assert (one.point.tp, one.point.fp) == (59, (votes[59:] == 2).sum())
    assert one.warnings == ()
    # Two rules need .975 each: 72 positives.
    two = choose_rule({"mean": mean, "k-of-m": votes}, truth, recall="0.95", confidence="0.95")
    assert not two.certified
    assert two.candidate_confidence == 0.975
    assert two.targets.certified.needed_positives == 72
    assert two.rule == "k-of-m"
    assert two.warnings == (
        "59 positives; 0.95 at 95 % confidence for the best of 2 rules needs 72; the best that "
        "can be certified is 0.939. Chosen: highest, which promises nothing for new rows.",
    )


@pytest.mark.parametrize("confidence", ["0.95", "0.8"])
@pytest.mark.parametrize("recall", ["0.8", "0.95"])
def test_the_choice_flags_the_fewest_rows_of_all_certificates(recall, confidence):
    candidates, truth = drawn(1, shifts=(1.0, 3.0, 1.5))
    found = choose_rule(candidates, truth, recall=recall, confidence=confidence)
    each = 1 - (1 - Fraction(confidence)) / 3
    alone = {
        rule: target(truth, scores, recall=recall, confidence=each).certified.point
        for rule, scores in candidates.items()
    }
    assert found.certified
    assert found.candidate_confidence == float(each)
    assert [entry.rule for entry in found.table] == list(candidates)
    assert {entry.rule: entry.point for entry in found.table} == alone
    assert found.point.n_flagged == min(point.n_flagged for point in alone.values())
    assert found.point == alone[found.rule]
    assert found.rule == "rule1"
    assert np.count_nonzero(candidates["rule1"] >= found.threshold) == found.point.n_flagged
    assert found.k is None


def test_of_equal_work_the_first_rule_is_chosen():
    candidates, truth = drawn(0, shifts=(1.5,))
    same = {"b": candidates["rule0"], "a": candidates["rule0"]}
    assert choose_rule(same, truth, recall=0.9, confidence=0.9).rule == "b"


def true_recall(threshold):
    return 0.5 * math.erfc((threshold - SHIFT) / math.sqrt(2))


def test_the_certificate_survives_the_choice_among_many_rules(monkeypatch):
    # It depends on the number of positives alone, and is most of the time of a small draw.
    once = functools.cache(thresholds.allowed_misses)
    monkeypatch.setattr(thresholds, "allowed_misses", once)
    # Ten independent scores of equal strength: whichever is cheapest was lucky, and its recall
    # on new rows is lower than that of a rule chosen beforehand.
    n_draws, n_rules, recall = 400, 10, 0.9
    missed = careless = 0
    for seed in range(n_draws):
        candidates, truth = drawn(seed, positives=150, negatives=150, shifts=(SHIFT,) * n_rules)
        found = choose_rule(candidates, truth, recall="0.9", confidence="0.95")
        missed += true_recall(found.threshold) < recall
        alone = [
            target(truth, scores, recall="0.9", confidence="0.95").certified.point
            for scores in candidates.values()
        ]
        careless += true_recall(min(alone, key=lambda point: point.n_flagged).threshold) < recall
    noise = 3 * math.sqrt(0.05 * 0.95 / n_draws)
    assert missed / n_draws <= 0.05
    assert careless / n_draws > 0.05 + noise


def test_a_target_that_no_rule_tells_apart_is_said():
    truth = np.arange(100) < 70
    found = choose_rule({"mean": np.zeros(100)}, truth, recall=0.95, confidence=0.95)
    assert (found.k, found.certified, found.point.n_flagged) == (None, True, 100)
    assert found.warnings == (
        "mean flags every row: at recall 0.95 no candidate tells the classes apart.",
    )


def test_positives_without_a_vote_are_said_when_one_vote_is_too_few():
    truth = np.arange(100) < 80
    votes = np.where(np.arange(100) < 72, 3, 0)
    found = choose_rule({"k-of-m": votes}, truth, recall=0.95, confidence=0.95)
    assert (found.k, found.threshold, found.certified) == (0, 0.0, True)
    assert found.warnings == (
        "k-of-m flags every row: 8 of the 80 positives have no vote at all, so that 1 vote finds "
        "0.9 of them, which is too few for recall 0.95.",
    )


def test_positives_alone_do_not_tell_the_cost():
    found = choose_rule({"mean": np.linspace(0, 1, 70)}, np.ones(70), recall=0.9, confidence=0.9)
    assert found.warnings == ("no row belongs to the rest: what a threshold costs cannot be seen.",)


def test_a_recall_of_one_can_never_be_certified():
    candidates, truth = drawn(0, shifts=(3.0,))
    found = choose_rule(candidates, truth, recall=1, confidence="0.95")
    assert "200 positives; 1 at 95 % confidence needs infinitely many" in found.warnings[0]
    assert found.point.fn == 0


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="at least one rule"):
        choose_rule({}, np.ones(3), recall=0.9, confidence=0.9)
    with pytest.raises(ValueError, match="must hold a positive"):
        choose_rule({"a": np.ones(3)}, np.zeros(3), recall=0.9, confidence=0.9)
    with pytest.raises(ValueError, match="confidence must lie in"):
        choose_rule({"a": np.ones(3)}, np.ones(3), recall=0.9, confidence=1)
    with pytest.raises(ValueError, match=r"is_positive \(3,\) and scores \(2,\)"):
        choose_rule({"a": np.ones(2)}, np.ones(3), recall=0.9, confidence=0.9)
