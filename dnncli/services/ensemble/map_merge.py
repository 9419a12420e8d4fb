"""Merges the maps of each picture in turn, and keeps count of what they say.

Shapes: M models, K pictures, H and W in pixels, C classes.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import NO_CLASS
from dnncli.metrics.mask_result import MaskReport
from dnncli.metrics.masks import PixelPairs, index_pairs, mask_counts, mask_report
from dnncli.metrics.scores import Undefined
from dnncli.results import Progress
from dnncli.services.ensemble.map_sets import MapSets
from dnncli.services.ensemble.map_tally import Tally
from dnncli.voting.maps import MaskConsensus, MaskRule, mask_consensus, mean_map

_MAJORITY = MaskRule()


@dataclass(frozen=True, kw_only=True)
class MapReport:
    """One picture. Shares are of its pixels; NaN is "undefined"."""

    id: str
    pixels: int
    coverage: float  # share that has a class, or a value
    agreement: float | None  # mean share of the models for the class in front; of masks
    spread: float | None  # mean standard deviation of the values around their mean
    status_counts: dict[str, int]  # pixels; of masks


class MaskMerger:
    """Merges masks, and compares them with the truth where it is known.

    Args:
        sets: of masks.
        rule: how they are merged.
    """

    def __init__(self, sets: MapSets, rule: MaskRule) -> None:
        if sets.classes is None:
            raise ValueError("sets must be of masks.")
        self.sets, self.rule, self.classes = sets, rule, sets.classes
        self.tally = Tally(sets.names, len(sets.classes.names))
        self.pictures: list[MapReport] = []
        self.unsettled: list[str] = []  # ids of pictures on which staple did not converge
        self._judged: list[str] = []
        self._pairs: list[PixelPairs] = []
        self._majority: list[PixelPairs] = []
        self._members: list[list[PixelPairs]] = [[] for _ in sets.names]
        self._habits: list[NDArray[np.float64]] = []

    def maps(self, progress: Progress) -> Iterator[tuple[str, NDArray]]:
        """Id and merged mask of each picture, in the values that are written."""
        for done, map_id in enumerate(self.sets.ids, start=1):
            masks = self.sets.masks(map_id)
            found = self._merged(masks, self.rule)
            self._keep(map_id, masks, found)
            yield map_id, self.classes.stored(found.mask)
            progress("Merging masks", done, len(self.sets.ids))

    def _merged(self, masks: Sequence[NDArray[np.uint8]], rule: MaskRule) -> MaskConsensus:
        names = self.sets.names
        return mask_consensus(masks, models=names, class_names=self.classes.names, rule=rule)

    def _keep(self, map_id: str, masks: Sequence[NDArray[np.uint8]], found: MaskConsensus) -> None:
        self.tally.add(found.ballots)
        decided = int((found.mask != NO_CLASS).sum())
        self.pictures.append(
            MapReport(
                id=map_id,
                pixels=found.mask.size,
                coverage=decided / found.mask.size,
                agreement=found.agreement,
                spread=None,
                status_counts=found.status_counts,
            )
        )
        if found.learned is not None:
            self._habits.append(found.learned.confusion)
            if not found.learned.converged:
                self.unsettled.append(map_id)
        truth = self.sets.true_mask(map_id)
        if truth is None:
            return
        self._judged.append(map_id)
        self._pairs.append(index_pairs(truth, found.mask))
        if self.rule != _MAJORITY:
            found = self._merged(masks, _MAJORITY)
        self._majority.append(index_pairs(truth, found.mask))
        for pairs, mask in zip(self._members, masks):
            pairs.append(index_pairs(truth, mask))

    @property
    def status_counts(self) -> dict[str, int]:
        """Pixels of each status, over all pictures."""
        total: Counter[str] = Counter()
        for picture in self.pictures:
            total.update(picture.status_counts)
        return dict(total)

    @property
    def habits(self) -> NDArray[np.float64] | None:
        """(M, C, C) share of votes, rows = truth as staple has it: the mean over the pictures.

        NaN where a class is in no picture; None of other methods.
        """
        if not self._habits:
            return None
        habits = np.array(self._habits)
        known = ~np.isnan(habits)
        number = known.sum(axis=0)
        sums = np.where(known, habits, 0).sum(axis=0)
        return np.where(number > 0, sums / np.maximum(number, 1), np.nan)

    def scores(self, *, betas: Sequence[float], undefined: Undefined) -> dict[str, MaskReport]:
        """Scores of the consensus (""), the majority ("majority") and each member ("=NAME").

        Nothing without a truth. Only the consensus has scores by picture.
        """
        if not self._judged:
            return {}

        def report(pairs: Sequence[PixelPairs]) -> MaskReport:
            return mask_report(
                mask_counts(pairs, values=self.classes.judged),
                ids=self._judged,
                classes=[self.classes.names[place] for place in self.classes.judged],
                betas=betas,
                undefined=undefined,
            )

        others = {"majority": self._majority}
        others |= {f"={name}": pairs for name, pairs in zip(self.sets.names, self._members)}
        return {"": report(self._pairs)} | {
            name: replace(report(pairs), per_image=()) for name, pairs in others.items()
        }


class ValueMerger:
    """Averages edge maps, probabilities or other values.

    Args:
        sets: of edge or value maps.
        weights: (M,) of the models; None: all 1.
    """

    def __init__(self, sets: MapSets, weights: Sequence[Fraction] | None) -> None:
        self.sets, self.weights = sets, weights
        self.pictures: list[MapReport] = []

    def maps(self, progress: Progress) -> Iterator[tuple[str, NDArray]]:
        """Id and mean (H, W) of each picture."""
        for done, map_id in enumerate(self.sets.ids, start=1):
            found = mean_map(self.sets.values(map_id), weights=self.weights)
            known = np.isfinite(found.mean)
            self.pictures.append(
                MapReport(
                    id=map_id,
                    pixels=known.size,
                    coverage=float(known.mean()),
                    agreement=None,
                    spread=float(found.spread.mean()),
                    status_counts={},
                )
            )
            yield map_id, found.mean
            progress("Averaging maps", done, len(self.sets.ids))
