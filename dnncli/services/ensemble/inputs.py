"""What `consensus` joins: the votes of all models, and the rows whose class is known.

Shapes: N rows, V rows with known truth, M models, C classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.member_classes import check_forms
from dnncli.data.members import Members, open_members
from dnncli.errors import ConfigError, DataError
from dnncli.metrics.counts import decide
from dnncli.predictions import Predictions, recoded
from dnncli.registry import unknown
from dnncli.results import Progress
from dnncli.services.ensemble.options import ConsensusOptions
from dnncli.services.ensemble.truths import read_known, rows_known
from dnncli.voting.ballots import Ballots, encode
from dnncli.voting.pooling import Pool, Pooled, PoolHow


@dataclass(frozen=True, kw_only=True)
class Source:
    """Rows with known truth, as they were found."""

    name: str  # for messages
    truth: Predictions
    files: tuple[Path, ...] = ()  # what the models said about them; none: part of the other rows


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """How probabilities are summed."""

    how: PoolHow
    weights: tuple[Fraction, ...] | None  # (M,); None: all alike


@dataclass(frozen=True, kw_only=True)
class Votes:
    """What M models said about some rows."""

    members: Members
    ballots: Ballots  # of probabilities: the class with the highest one
    tied: tuple[int, ...]  # (M,) rows whose highest probability belongs to several classes
    pooled: tuple[Pooling, Pooled] | None = None  # probabilities that were summed while read

    def take(self, rows: NDArray[np.int64]) -> "Votes":
        """The same models' votes on only some rows."""
        if len(rows) == len(self.ballots) and (rows[:-1] < rows[1:]).all():
            return self  # all of them, in order
        return replace(
            self,
            members=self.members.take(rows),
            ballots=self.ballots.take(rows),
            pooled=None,
        )


@dataclass(frozen=True, kw_only=True)
class Known:
    """Rows whose class is known, and what the models said about them."""

    name: str
    votes: Votes  # (V,)
    truth: Predictions  # (V,) in the same order; its classes are those of the models
    rows: NDArray[np.int64] | None  # (V,) among the rows that are decided; None: others

    @property
    def labels(self) -> NDArray[np.int32]:
        """(V,) class indices."""
        if self.truth.labels is None:
            raise ValueError("truth must hold labels.")
        return self.truth.labels


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """N rows to decide."""

    votes: Votes
    positive: int | None
    judging: Known | None  # rows that the decisions are scored on
    teaching: Known | None  # rows that the weights are learned from
    choosing: Known | None  # rows that choose the rule for a target recall

    @property
    def class_names(self) -> tuple[str, ...]:
        """(C,) of votes, probabilities and truth."""
        return self.votes.ballots.class_names


def read_inputs(
    files: Sequence[Path],
    options: ConsensusOptions,
    *,
    names: Sequence[str] | None,
    given: Mapping[str, Source],
    pooling: Callable[[Members], Pooling | None],
    progress: Progress,
) -> Inputs:
    """Open the models' files and join everything by id and class name.

    Args:
        files: predictions files.
        options: of the command.
        names: of the models; None: the stems of the files.
        given: rows with known truth by "judging", "teaching" or "choosing"; the others are read
            from the files that the options name.
        pooling: how to sum the probabilities while they are read; None: later.
        progress: told about reading.

    Raises:
        ConfigError, DataError: what does not fit, before anything is computed.
    """
    try:
        members = _open(files, options, names=names, progress=progress)
    except DataError as error:  # what is wrong with the truth should not take a second attempt
        raise _with_truths(error, options) from error
    sources = _sources(options, members, given=given)
    class_names = _classes(members, options, list(sources.values()))
    positive = _positive(options, class_names)
    _check_numbers(options, n_models=len(members.names))
    bound = {
        role: replace(source, truth=source.truth.with_classes(class_names))
        for role, source in sources.items()
    }
    rows = {
        role: rows_known(source.truth, members.ids, name=source.name)
        for role, source in bound.items()
        if not source.files
    }
    votes = _votes(members, class_names, pooling=pooling(members), progress=progress)
    known = {}
    for role, source in bound.items():
        if source.files:
            theirs = _open(source.files, options, names=names, progress=progress)
            place = rows_known(source.truth, theirs.ids, name=source.name)
            part = _votes(theirs, class_names, progress=progress).take(place)
            known[role] = Known(name=source.name, votes=part, truth=source.truth, rows=None)
        else:
            known[role] = Known(
                name=source.name,
                votes=votes.take(rows[role]),
                truth=source.truth,
                rows=rows[role],
            )
    return Inputs(
        votes=votes,
        positive=positive,
        judging=known.get("judging"),
        teaching=known.get("teaching"),
        choosing=known.get("choosing"),
    )


def _open(
    files: Sequence[Path],
    options: ConsensusOptions,
    *,
    names: Sequence[str] | None,
    progress: Progress,
) -> Members:
    is_kept = options.nan == "positive"
    return open_members(
        files,
        classes=options.classes,
        nan="keep" if is_kept else "error",
        positive=options.positive if is_kept else None,
        missing=options.missing,
        normalize_ids=options.normalize_ids,
        names=names,
        progress=progress,
    )


def _with_truths(error: DataError, options: ConsensusOptions) -> DataError:
    """The error, and what is wrong with the truth files by themselves."""
    lines = [str(error)]
    for path in dict.fromkeys((options.truth, options.weights_from, options.truth_val)):
        try:
            if path is not None:
                read_known(Path(path), classes=options.classes, split=None, normalize_ids="none")
        except DataError as other:
            lines.append(str(other))
    return error if len(lines) == 1 else DataError("consensus: files cannot be used:", lines)


def _sources(
    options: ConsensusOptions, members: Members, *, given: Mapping[str, Source]
) -> dict[str, Source]:
    """What is given, and what the truth files hold that the options name."""
    paths = {
        "judging": options.truth,
        "teaching": options.weights_from,
        "choosing": options.truth_val,
    }
    classes = options.classes or (members.class_names if members.kind != "label" else ())
    read = {
        role: Source(
            name=str(path),
            truth=read_known(
                Path(path),
                classes=classes,
                split=options.split if role == "judging" else None,
                normalize_ids=options.normalize_ids,
            ),
        )
        for role, path in paths.items()
        if path is not None and role not in given
    }
    return {**given, **read}


def _classes(
    members: Members, options: ConsensusOptions, sources: Sequence[Source]
) -> tuple[str, ...]:
    """Declared classes and those of probabilities stand; labels may differ from file to file.

    Raises:
        DataError: if a class of the truth is one of the models' in another form.
    """
    if options.classes or members.kind != "label":
        return members.class_names
    found = set(members.class_names).union(*(source.truth.class_names for source in sources))
    if found == set(members.class_names):
        return members.class_names
    truths = [(source.name, source.truth.class_names) for source in sources]
    check_forms([("a model", members.class_names), *truths])
    return tuple(sorted(found))


def _positive(options: ConsensusOptions, class_names: Sequence[str]) -> int | None:
    if options.positive is None:
        return None
    if options.positive not in class_names:
        raise ConfigError(f"--positive: {unknown(options.positive, class_names, kind='class')}")
    return list(class_names).index(options.positive)


def _check_numbers(options: ConsensusOptions, *, n_models: int) -> None:
    problems = [
        f"--{name} {value}: there are only {n_models} models."
        for name, value in (("min-votes", options.min_votes), ("k", options.k))
        if value is not None and value > n_models
    ]
    if problems:
        raise ConfigError("consensus:", problems)


def _votes(
    members: Members,
    class_names: tuple[str, ...],
    *,
    pooling: Pooling | None = None,
    progress: Progress,
) -> Votes:
    """Class indices into `class_names` for every row and model."""
    if members.kind == "label":
        found = [recoded(column, members.class_names, class_names) for column in members.votes()]
        ballots = encode(found, members.names, class_names)
        return Votes(members=members, ballots=ballots, tied=(0,) * len(found))
    return _read_probs(members, class_names, pooling, progress=progress)


def _read_probs(
    members: Members,
    class_names: tuple[str, ...],
    pooling: Pooling | None,
    *,
    progress: Progress,
) -> Votes:
    """Votes and sums of probabilities, in one pass over the files."""
    found: list[NDArray[np.integer]] = []
    tied: list[int] = []
    pool = None if pooling is None else Pool(len(members), len(class_names), how=pooling.how)
    weights = None if pooling is None else pooling.weights
    for place, probs in members.probs(progress=progress):
        decisions, ties = decide(probs)
        found.append(decisions)
        tied.append(int(ties.sum()))
        if pool is not None:
            pool.add(probs, weight=1 if weights is None else weights[place])
        del probs  # before the next one is read
    pooled = None
    if pool is not None and pooling is not None:
        pooled = (pooling, pool.result())
    return Votes(
        members=members,
        ballots=encode(found, members.names, class_names),
        tied=tuple(tied),
        pooled=pooled,
    )
