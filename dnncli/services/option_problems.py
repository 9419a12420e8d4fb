"""What can be said against options that several commands share, one line each."""

from collections.abc import Mapping, Sequence

from dnncli.metrics.scores import BETA_LIMITS
from dnncli.metrics.thresholds import Share, exact_share
from dnncli.registry import unknown

_FARTHEST = 1000  # pixels


def word_problems(words: Mapping[str, tuple[str | None, Sequence[str | None]]]) -> list[str]:
    """Options that have no such value.

    Args:
        words: option -> the word given, and those allowed; None: it may be left out.
    """
    return [
        f"--{option}: {unknown(str(word), [one for one in allowed if one], kind='value')}"
        for option, (word, allowed) in words.items()
        if word not in allowed
    ]


def not_for(what: str, given: Mapping[str, object]) -> list[str]:
    """Options that were given and would be passed over.

    Args:
        what: they are not for, as sentences call it.
        given: option -> whether it was given.
    """
    return [f"--{name}: is not for {what}." for name, is_given in given.items() if is_given]


def beta_problems(betas: Sequence[float]) -> list[str]:
    """F scores that cannot be worked out."""
    low, high = BETA_LIMITS
    return [
        f"--beta {beta}: must be greater than 0 (from {low:g} to {high:g})."
        for beta in betas
        if not low <= beta <= high
    ]


def class_problems(classes: Sequence[str]) -> list[str]:
    """Declared classes that are not all different."""
    if len(set(classes)) == len(classes):
        return []
    return ["--classes: a class is named twice."]


def confidence_problems(confidence: float) -> list[str]:
    """A confidence of intervals that is none."""
    if 0 < confidence < 1:
        return []
    return [f"--confidence {confidence:g}: must lie between 0 and 1, as in 0.95."]


def tolerance_problems(tolerance: float | None) -> list[str]:
    """A tolerance that is none."""
    if tolerance is None or 0 <= tolerance <= _FARTHEST:
        return []
    return [
        f"--tolerance {tolerance:g}: must be a share of the diagonal such as 0.0075, or from "
        f"1 to {_FARTHEST} pixels."
    ]


def share_problems(option: str, value: Share, *, one: bool = True) -> list[str]:
    """An exact share that is no number in (0, 1], or (0, 1) without `one`."""
    try:
        exact_share(option, value, one=one)
    except ValueError:
        limit, percent = "at most 1" if one else "below 1", _percent(value)
        return [
            f"--{option} {value}: must be above 0 and {limit}; {percent:g} % is written "
            f"{percent / 100:g}."
        ]
    return []


def _percent(value: Share) -> float:
    """What was probably meant; 80 for 80 % is the commonest slip."""
    try:
        percent = float(str(value).strip().removesuffix("%"))
    except ValueError:
        percent = 0.0
    return percent if 2 <= percent <= 100 else 95.0
