"""How often the true recall of a rule chosen among several misses its target.

Every rule is a normal score, positives shifted, so that the true recall of every threshold is
known. `together` shares the doubt among the rules, as `choose_rule` does; `alone` certifies each
rule as if it were the only one and takes the cheapest. Run it with:

    python benchmarks/chosen_rule.py [DRAWS]
"""

import functools
import math
import sys

import numpy as np

from dnncli.metrics import thresholds
from dnncli.metrics.thresholds import Point, target
from dnncli.voting.recall_target import choose_rule

CONFIDENCE = "0.95"
SHIFT = 1.5  # of the positives' scores, in standard deviations


def draw(
    rng: np.random.Generator, positives: int, *, rules: int, correlation: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Scores by rule, and truth: as many negatives as positives."""
    truth = np.arange(2 * positives) < positives
    own = rng.normal(size=(rules, len(truth))) * math.sqrt(1 - correlation)
    scores = own + rng.normal(size=len(truth)) * math.sqrt(correlation) + SHIFT * truth
    return {str(rule): row for rule, row in enumerate(scores)}, truth


def cheapest_alone(candidates: dict[str, np.ndarray], truth: np.ndarray, *, recall: str) -> Point:
    """The fewest rows flagged by certificates that know nothing of each other."""
    points = [
        target(truth, scores, recall=recall, confidence=CONFIDENCE).certified.point
        for scores in candidates.values()
    ]
    return min((point for point in points if point is not None), key=lambda one: one.n_flagged)


def misses(threshold: float, recall: str) -> bool:
    """Whether P(score >= threshold) of a positive is below the target."""
    return 0.5 * math.erfc((threshold - SHIFT) / math.sqrt(2)) < float(recall)


def main() -> None:
    # It depends on the number of positives alone, and is most of the time of a small draw.
    thresholds.allowed_misses = functools.cache(thresholds.allowed_misses)
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(f"{draws:,} draws each; allowed: {1 - float(CONFIDENCE):.3f}\n")
    print("| positives | target | rules | correlation | together | alone | flagged | alone |")
    print("|---|---|---|---|---|---|---|---|")
    worst = 0.0
    for positives, recall in ((150, "0.9"), (300, "0.95")):
        for rules in (2, 4, 10):
            for correlation in (0.0, 0.8):
                rng = np.random.default_rng([positives, rules, int(10 * correlation)])
                sums = np.zeros(4)
                for _ in range(draws):
                    candidates, truth = draw(rng, positives, rules=rules, correlation=correlation)
                    found = choose_rule(candidates, truth, recall=recall, confidence=CONFIDENCE)
                    alone = cheapest_alone(candidates, truth, recall=recall)
                    sums += (
                        misses(found.threshold, recall),
                        misses(alone.threshold, recall),
                        found.point.flagged,
                        alone.flagged,
                    )
                worst = max(worst, sums[0] / draws)
                shares = " | ".join(f"{share:.4f}" for share in sums / draws)
                print(
                    f"| {positives} | {recall} | {rules} | {correlation} | {shares} |", flush=True
                )
    if worst > 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws):
        raise SystemExit("a certificate does not hold")


if __name__ == "__main__":
    main()
