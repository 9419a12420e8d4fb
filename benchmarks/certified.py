"""How often a threshold chosen for a target recall misses it on new data, by rule.

Positive and negative scores are drawn from known distributions, so that the true recall of every
threshold is known. A draw misses if that recall is below the target. `exact` is the share that
certified thresholds miss by the binomial law if no scores are tied; ties make it smaller.
Run it with:

    python benchmarks/certified.py [DRAWS]
"""

import functools
import math
import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics import thresholds
from dnncli.metrics.special import binomial_cdf
from dnncli.metrics.thresholds import Targets, target

POSITIVES = (60, 100, 300, 1000)
RECALLS = ("0.9", "0.95", "0.99")
DIGITS = (None, 2, 1)  # decimals that scores are rounded to; None: no ties
CONFIDENCE = "0.95"
NEGATIVES_PER_POSITIVE = 2
SHIFT = 2.0  # of the positives' logits, in standard deviations


@dataclass(frozen=True, kw_only=True)
class Misses:
    """Of all draws for one number of positives, one target and one kind of scores."""

    draws: int
    certified: int | None  # draws whose true recall is below the target; None: refused
    highest: int
    max_precision: int


def draw(
    rng: np.random.Generator, positives: int, *, digits: int | None
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Truth and scores in (0, 1): the logistic function of normal logits."""
    truth = np.arange(positives * (1 + NEGATIVES_PER_POSITIVE)) < positives
    scores = 1 / (1 + np.exp(-rng.normal(size=len(truth)) - SHIFT * truth))
    return truth, scores if digits is None else np.round(scores, digits)


def true_recall(threshold: float, *, digits: int | None) -> float:
    """P(score >= threshold) of a positive."""
    if digits is not None:  # a rounded score reaches it from half a step below
        threshold -= 0.5 * 10.0**-digits
    if not 0 < threshold < 1:
        return 1.0 if threshold <= 0 else 0.0
    logit = math.log(threshold / (1 - threshold))
    return 0.5 * math.erfc((logit - SHIFT) / math.sqrt(2))


def simulate(positives: int, *, draws: int, digits: int | None, seed: int) -> dict[str, Misses]:
    """Misses by target recall; the same draws serve every target."""
    rng = np.random.default_rng([seed, positives, digits or 0])
    found: dict[str, list[Targets]] = {recall: [] for recall in RECALLS}
    for _ in range(draws):
        truth, scores = draw(rng, positives, digits=digits)
        for recall in RECALLS:
            found[recall].append(target(truth, scores, recall=recall, confidence=CONFIDENCE))

    def missed(recall: str, rule: str) -> int:
        points = (
            entry.certified.point if rule == "certified" else getattr(entry, rule)
            for entry in found[recall]
        )
        return sum(
            true_recall(point.threshold, digits=digits) < float(recall)
            for point in points
            if point is not None
        )

    return {
        recall: Misses(
            draws=draws,
            certified=missed(recall, "certified") if entries[0].certified.feasible else None,
            highest=missed(recall, "highest"),
            max_precision=missed(recall, "max_precision"),
        )
        for recall, entries in found.items()
    }


def main() -> None:
    # It depends on the number of positives alone, and is most of the time of a small draw.
    thresholds.allowed_misses = functools.cache(thresholds.allowed_misses)
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    doubt = 1 - float(CONFIDENCE)
    noise = 3 * math.sqrt(doubt * (1 - doubt) / draws)
    print(f"{draws:,} draws each; allowed: {doubt:.3f}, with noise {doubt + noise:.4f}\n")
    print("| positives | target | scores | exact | certified | highest | max_precision |")
    print("|---|---|---|---|---|---|---|")
    start, worst = time.perf_counter(), 0.0
    for positives in POSITIVES:
        for digits in DIGITS:
            kind = "continuous" if digits is None else f"{digits} digits"
            for recall, found in simulate(positives, draws=draws, digits=digits, seed=0).items():
                exact, share = "", "refused"
                if found.certified is not None:
                    misses = thresholds.allowed_misses(
                        positives, recall=recall, confidence=CONFIDENCE
                    )
                    exact = f"{float(binomial_cdf(misses, positives, 1 - float(recall))):.4f}"
                    worst = max(worst, found.certified / draws)
                    share = f"{found.certified / draws:.4f}"
                others = f"{found.highest / draws:.4f} | {found.max_precision / draws:.4f}"
                cells = (positives, recall, kind, exact, share, others)
                print(f"| {' | '.join(map(str, cells))} |", flush=True)
    print(f"\nworst certified share: {worst:.4f}; {time.perf_counter() - start:.0f} s")
    if worst > doubt + noise:
        raise SystemExit("a certificate does not hold")


if __name__ == "__main__":
    main()
