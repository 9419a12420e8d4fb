"""Says in words what can be promised about a target recall."""

import math
from fractions import Fraction

from dnncli.metrics.thresholds import Certificate, Share


def share_text(share: Share) -> str:
    """A share as a person writes it: 0.95, 1."""
    return repr(float(Fraction(str(share)))).removesuffix(".0")


def refusal_sentence(
    found: Certificate, *, n_positive: int, recall: Share, confidence: Share, among: str = ""
) -> str:
    """Why a target cannot be certified, what it needs, and what can be.

    Args:
        found: a certificate that is not feasible.
        n_positive: positives that were at hand.
        recall: the target.
        confidence: that was asked for.
        among: what else makes it harder, such as " for the best of 3 rules".
    """
    needs = f"{found.needed_positives:,}" if found.needed_positives else "infinitely many"
    best = math.floor(found.best_certifiable_recall * 1000) / 1000  # never more than is true
    sure = share_text(100 * Fraction(str(confidence)))
    return (
        f"{n_positive:,} positives; {share_text(recall)} at {sure} % confidence{among} needs "
        f"{needs}; the best that can be certified is {best:.3f}"
    )
