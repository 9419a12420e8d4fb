"""Counts how several masks agree, and how right each is, over many pictures.

Shapes: M models, C classes, P patterns of votes, K pictures.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.agreement import agreement
from dnncli.services.ensemble.agreed import AgreementReport, agreement_report
from dnncli.voting.ballots import NO_VOTE, Ballots


class Tally:
    """Patterns of votes of many pictures, each counted once.

    Args:
        models: (M,) of all pictures together.
        n_classes: C.
    """

    def __init__(self, models: Sequence[str], n_classes: int) -> None:
        self.models = tuple(models)
        self._n_classes = n_classes
        self._columns = {name: column for column, name in enumerate(models)}
        self._places: dict[bytes, int] = {}
        self._counts: list[int] = []

    def add(self, ballots: Ballots) -> None:
        """Count the pixels of one picture; models that it lacks say nothing."""
        patterns = np.full((len(ballots.patterns), len(self.models)), NO_VOTE, np.int32)
        patterns[:, [self._columns[name] for name in ballots.models]] = ballots.patterns
        for pattern, count in zip(patterns, ballots.counts.tolist()):
            place = self._places.setdefault(pattern.tobytes(), len(self._counts))
            if place == len(self._counts):
                self._counts.append(0)
            self._counts[place] += count

    @property
    def patterns(self) -> NDArray[np.int32]:
        """(P, M) class indices or NO_VOTE."""
        rows = np.frombuffer(b"".join(self._places), np.int32)
        return rows.reshape(len(self._places), len(self.models))

    @property
    def counts(self) -> NDArray[np.int64]:
        """(P,) pixels of each pattern."""
        return np.array(self._counts, np.int64)

    def agreement(self) -> AgreementReport:
        """Of all pictures together."""
        found = agreement(self.patterns, self.counts, n_classes=self._n_classes)
        return agreement_report(found, self.models, unit="pixel")
