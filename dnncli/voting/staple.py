"""Masks of several annotators weighed by how good each of them turns out to be.

Shapes: M masks of one picture, H and W in pixels, P patterns of votes, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dnncli.voting.ballots import Ballots, encode
from dnncli.voting.dawid_skene import DawidSkene, dawid_skene
from dnncli.voting.rules import NO_DECISION


@dataclass(frozen=True, kw_only=True)
class Staple:
    """One mask as probabilities, and the quality of the masks that it was made of."""

    probability: NDArray[np.float64]  # (H, W) of the foreground, in [0, 1]
    sensitivity: NDArray[np.float64]  # (M,) share of foreground that is marked; NaN without any
    specificity: NDArray[np.float64]  # (M,) share of background that is not; NaN without any
    iterations: int
    converged: bool

    @property
    def decision(self) -> NDArray[np.int8]:
        """(H, W) 1 above one half, 0 below; NO_DECISION at one half, to nine decimals."""
        probability = self.probability.round(9)
        return np.where(probability == 0.5, NO_DECISION, probability > 0.5).astype(np.int8)


def staple(masks: Sequence[NDArray]) -> Staple:
    """Probability of the foreground in each pixel, and each annotator's quality.

    Sensitivities and specificities are those under which the masks are likeliest, if pixels are
    independent of each other; the share of foreground is kept at the mean of all masks. Annotators
    who mark at random raise that share, and more becomes foreground: `dawid_skene` estimates it.

    The result is where SimpleITK's STAPLE goes, which stops a little before (differences about
    1e-6; up to 1e-3 for masks that are little more than noise, where the way is long). If all masks
    are empty the picture is background and no sensitivity can be known (SimpleITK: NaN everywhere);
    all full, the other way round.

    Args:
        masks: M arrays (H, W): bool, or 1 for foreground, 0 for background and NO_VOTE where the
            annotator says nothing. Where no annotator does, the probability is the mean share.

    Raises:
        ValueError: if there is no mask, shapes differ or values are others.

    Source: Warfield, Zou, Wells 2004, "Simultaneous Truth and Performance Level Estimation",
    https://doi.org/10.1109/TMI.2004.828354
    """
    shapes = sorted({np.shape(mask) for mask in masks})
    if len(shapes) != 1 or len(shapes[0]) != 2:
        raise ValueError(f"masks must be M >= 1 arrays of one shape (H, W). Got {shapes}.")
    kinds = {np.asarray(mask).dtype.kind for mask in masks}
    if not kinds <= set("biu"):
        raise ValueError("masks must hold bool or integers: probabilities need a threshold first.")
    votes = [np.asarray(mask).astype(np.int16).ravel() for mask in masks]
    names = [str(number) for number in range(len(masks))]
    ballots = encode(votes, names, ["background", "foreground"])
    found = staple_votes(ballots)
    return Staple(
        probability=found.posteriors[:, 1][ballots.index].reshape(shapes[0]),
        sensitivity=found.confusion[:, 1, 1],
        specificity=found.confusion[:, 0, 0],
        iterations=found.iterations,
        converged=found.converged,
    )


def staple_votes(ballots: Ballots) -> DawidSkene:
    """`staple` for any number of classes and for pixels that are counted as patterns.

    The same as `dawid_skene`, except that class shares are kept at those of the votes.

    Args:
        ballots: pixels as rows, annotators as models.

    Returns:
        Confusion matrices with rows of NaN for classes that nobody marked anywhere.

    Source: see `staple`.
    """
    found = dawid_skene(ballots, prior="votes")
    marked = np.isin(np.arange(len(found.prior)), ballots.patterns[ballots.counts > 0])
    return replace(found, confusion=np.where(marked[:, None], found.confusion, np.nan))
