"""The options of `consensus`: what can be said against them before a file is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from dnncli.data.align import NormalizeIds
from dnncli.data.scores import Scores
from dnncli.errors import ConfigError
from dnncli.metrics.scores import Undefined
from dnncli.metrics.thresholds import Share, exact_share
from dnncli.services.option_problems import (
    beta_problems,
    class_problems,
    share_problems,
    word_problems,
)
from dnncli.voting.rules import Denominator, VoteTie
from dnncli.voting.weights import Weight

Method = Literal[
    "auto", "majority", "mean", "geometric", "weighted", "k-of-m", "dawid-skene", "selection",
    "staple",
]  # fmt: skip
METHODS: tuple[Method, ...] = get_args(Method)
WeightBy = Literal["log-odds", "f-beta", "confidence"]
WEIGHT_BY: tuple[WeightBy, ...] = get_args(WeightBy)  # the default comes first
Missing = Literal["error", "no-vote"]
MISSING: tuple[Missing, ...] = get_args(Missing)
NAN = ("error", "positive")
FORMATS = ("auto", "csv", "parquet")
ROUNDS = 50  # of greedy selection, unless others are asked for

_WEIGHED = ("auto", "majority", "mean", "geometric", "weighted")  # methods that take weights
_CHOSEN = ("auto", "k-of-m", "mean", "geometric", "weighted")  # that can be fitted to a recall
_LEARNED = ("weighted", "selection")  # methods that learn from --weights-from


@dataclass(frozen=True, kw_only=True)
class ConsensusOptions:
    """Options of `consensus` after they were checked."""

    classes: tuple[str, ...]
    method: Method
    agree: Fraction | None
    k: int | None
    weights: tuple[str, ...] | Mapping[str, Weight]  # as they were given
    weights_from: str | None  # truth file, or a split of the data set
    weight_by: WeightBy | None  # None: not asked for
    tie: VoteTie
    positive: str | None
    min_votes: int
    denominator: Denominator
    nan: Literal["error", "positive"]
    missing: Missing
    normalize_ids: NormalizeIds
    truth: Path | None
    target_recall: Share | None
    truth_val: str | None  # truth file, or a split of the data set
    confidence: Share
    betas: tuple[float, ...]
    undefined: Undefined
    rounds: int
    scores: Scores
    format: Literal["auto", "csv", "parquet"]  # of the decisions
    split: str | None  # of a truth file's column, or of the data set

    @property
    def certainty(self) -> Fraction:
        """The confidence, exactly as it was written."""
        return Fraction(str(self.confidence))

    @property
    def by(self) -> WeightBy:
        """What weights are learned from."""
        return self.weight_by or WEIGHT_BY[0]


def checked(
    words: Mapping[str, tuple[str | None, Sequence[str | None]]],
    *,
    agree: Share | None,
    confidence: Share,
    **given: object,
) -> ConsensusOptions:
    """The options, if each by itself makes sense and they fit together.

    Args:
        words: option -> the word given, and those allowed.
        agree: least share of agreement, in (0, 1].
        confidence: of certificate and intervals, in (0, 1).
        given: all other fields of ConsensusOptions.

    Raises:
        ConfigError: naming everything that does not.
    """
    problems = [*word_problems(words), *share_problems("confidence", confidence, one=False)]
    exact = None
    if agree is not None:
        unfit = share_problems("agree", agree)
        exact = None if unfit else exact_share("agree", agree)
        problems += unfit
    fields = {option.replace("-", "_"): word for option, (word, _) in words.items()}
    options = ConsensusOptions(agree=exact, confidence=confidence, **fields, **given)  # type: ignore[arg-type]
    problems += [*_numbers(options), *_unfit(options)]
    if problems:
        raise ConfigError("consensus:", problems)
    return options


def _numbers(options: ConsensusOptions) -> list[str]:
    problems = [*beta_problems(options.betas), *class_problems(options.classes)]
    if options.target_recall is not None:
        problems += share_problems("target-recall", options.target_recall)
    for name, value in (("min-votes", options.min_votes), ("rounds", options.rounds)):
        if value < 1:
            problems.append(f"--{name} {value}: must be at least 1.")
    if options.k is not None and options.k < 1:
        problems.append(f"--k {options.k}: must be at least 1: that many models must agree.")
    return problems


def _unfit(options: ConsensusOptions) -> list[str]:
    """Options that make no sense together."""
    method, learned = options.method, options.weights_from is not None
    rules = {
        "--positive CLASS: is needed by --nan positive.": options.nan == "positive"
        and options.positive is None,
        "--positive CLASS: is needed by --target-recall.": options.target_recall is not None
        and options.positive is None,
        "--truth-val: is for --target-recall, which it chooses the rule for.": options.truth_val
        is not None
        and options.target_recall is None,
        "--k N: is needed by --method k-of-m.": method == "k-of-m"
        and options.k is None
        and options.target_recall is None,
        f"--k: is for --method k-of-m, not {method}.": options.k is not None
        and method not in ("auto", "k-of-m"),
        "--weights and --weights-from: give one of them.": bool(options.weights) and learned,
        f"--weights: is not for --method {method}.": bool(options.weights)
        and method not in _WEIGHED,
        f"--weights-from: is for --method weighted or selection, not {method}.": learned
        and method not in ("auto", *_LEARNED),
        f"--method {method}: needs --weights-from TRUTH: labels of rows that choose the weights"
        f"{', or --weights NAME=W,...' if method == 'weighted' else ''}.": method in _LEARNED
        and not learned
        and not options.weights
        and options.weight_by != "confidence",
        f"--weight-by {options.weight_by}: needs --weights-from TRUTH.": options.weight_by
        in ("log-odds", "f-beta")
        and not learned,
        "--weight-by confidence: is learned from no truth. Leave out --weights-from.": learned
        and options.weight_by == "confidence",
        "--weight-by: is for --method weighted.": options.weight_by is not None
        and method not in ("auto", "weighted"),
        "--rounds: is for --method selection.": options.rounds != ROUNDS and method != "selection",
        f"--target-recall: is for --method {', '.join(_CHOSEN[1:])}, not {method}.": (
            options.target_recall is not None and method not in _CHOSEN
        ),
        "--target-recall: chooses the rule itself. Leave out --agree, --k, --tie and "
        "--min-votes.": options.target_recall is not None
        and (
            options.agree is not None
            or options.k is not None
            or options.tie != "abstain"
            or options.min_votes > 1
        ),
    }
    return [line for line, applies in rules.items() if applies]
