"""Which rows train, validate and test: chosen, checked, written and read back.

N rows in all, C classes. A unit is a set of rows that must stay on one side of a split.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from dnncli.data.alike import equal_rows
from dnncli.data.dataset import SPLITS, Dataset, Problem
from dnncli.data.names import near
from dnncli.data.table import read_rows, split_word
from dnncli.errors import ConfigError, DataError
from dnncli.results import written

COLUMNS = ("id", "label", "split", "group")
_NO_SPLIT = "none"  # of a row that takes no part: its picture cannot be decoded
_TRAIN, _VAL, _TEST = range(3)  # positions in SPLITS


def group_names(dataset: Dataset, *, group_by: str = "") -> tuple[str, ...] | None:
    """The group of every row, or None if there are no groups; rows with an empty group are alone.

    Args:
        group_by: empty: the data set's own groups if it has any; "group": those, and an error if
            there are none; "parent": the folder of the id; else a regular expression that is
            searched in the id and whose one (...) part is the group.

    Raises:
        ConfigError: if the expression is not valid or has not exactly one group.
        DataError: if the groups asked for do not exist, or the expression does not fit an id.
    """
    if group_by in ("", "group"):
        if group_by and dataset.groups is None:
            raise DataError(
                f"{dataset.root}: has no 'group' column. Give 'parent' or a regular expression."
            )
        return dataset.groups
    if group_by == "parent":
        return tuple(str(PurePosixPath(row_id).parent) for row_id in dataset.ids)
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise ConfigError(f"group_by '{group_by}': not a regular expression: {error}.") from error
    if pattern.groups != 1:
        raise ConfigError(
            f"group_by '{group_by}': has {pattern.groups} (...) parts; exactly one is the group. "
            "Use 'parent', 'group', or an expression such as '(patient\\d+)'."
        )
    found = [pattern.search(row_id) for row_id in dataset.ids]
    missed = [name for name, match in zip(dataset.ids, found, strict=True) if match is None]
    if missed:
        raise DataError(
            f"group_by '{group_by}': does not fit {len(missed)} of {len(found)} ids:", missed
        )
    return tuple(match[1] or "" for match in found if match)


def assign_splits(
    dataset: Dataset,
    *,
    val: float,
    test: float,
    seed: int,
    group_by: str = "",
    declared_only: bool = False,
) -> tuple[NDArray[np.str_], tuple[Problem, ...]]:
    """A split for every row: stratified by label, the same every time for the same seed.

    Declared splits stay as they are. Without any, `test` and `val` are cut from all rows; with
    some but without val, val is cut from the rows that are train or undeclared; the rest of
    those is train. Rows of one group, and exact duplicates, stay on one side. Every class with
    two rows or more keeps one for training, then gets one for val, then one for test, as far as
    its groups allow.

    The result follows from the order of the rows, their labels, declared splits, groups, which
    digests are equal, and the seed: not from ids, paths or the form the data set is stored in.

    Args:
        val: share of the rows that are cut from, in [0, 1).
        test: share likewise; together they leave some rows.
        seed: of the random order in which rows are given out.
        group_by: as in `group_names`.
        declared_only: undeclared rows take no part, as those that a split file calls none.

    Returns:
        (N,) "train", "val", "test", or "" of rows that take no part; and what the user should know
        about the outcome.

    Raises:
        ConfigError: if the shares or `group_by` make no sense.
        DataError: if the groups asked for do not exist.
    """
    groups = group_names(dataset, group_by=group_by)
    declared = dataset.declared_splits
    words = ("train",) if declared_only else ("train", "")
    pool = np.flatnonzero(np.isin(dataset.splits, words))
    splits = dataset.splits.astype("<U5")
    splits[pool] = "train"
    shares = np.array([0.0, 0.0 if "val" in declared else val, 0.0 if declared else test])
    if not (0 <= val < 1 and 0 <= test < 1 and shares.sum() < 1):
        raise ConfigError(
            f"val {val} and test {test}: shares of the rows in [0, 1) that leave some for training."
        )
    if len(pool) == 0 or not shares.any():
        return splits, ()

    # Unlabelled rows (-1) are a stratum of their own, the first.
    strata = dataset.labels[pool].astype(np.int64) + 1
    unit_of = _unit_of(dataset, pool, groups)
    units = _count(unit_of, strata, strata_count=len(dataset.class_names) + 1)
    wanted = _wanted(units.rows(np.zeros(len(units.sizes), np.int64))[0], shares)
    sides = _give_out(units, wanted, np.random.default_rng(seed))
    _repair(units, sides, [split for split in (_VAL, _TEST) if shares[split]])
    splits[pool] = np.array(SPLITS)[sides[unit_of]]
    return splits, _notes(dataset, units, sides, wanted=wanted, shares=shares)


@dataclass(frozen=True)
class _Units:
    """How many rows of which stratum every unit holds: P (unit, stratum) pairs, by unit."""

    starts: NDArray[np.int64]  # (U + 1,) where the pairs of a unit begin
    owners: NDArray[np.int64]  # (P,) unit
    strata: NDArray[np.int64]  # (P,) label + 1
    counts: NDArray[np.int64]  # (P,) rows
    sizes: NDArray[np.int64]  # (U,) rows
    strata_count: int

    def of(self, unit: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Strata of one unit, and how many rows it has of each."""
        pairs = slice(self.starts[unit], self.starts[unit + 1])
        return self.strata[pairs], self.counts[pairs]

    def rows(self, sides: NDArray[np.int64]) -> NDArray[np.int64]:
        """(3, S) rows of every stratum in each of SPLITS, given the (U,) split of every unit."""
        rows = np.zeros((len(SPLITS), self.strata_count), np.int64)
        np.add.at(rows, (sides[self.owners], self.strata), self.counts)
        return rows


def _unit_of(
    dataset: Dataset, pool: NDArray[np.int64], groups: Sequence[str] | None
) -> NDArray[np.int64]:
    """(n,) number of the unit of each row of the pool, counted in order of first appearance."""
    parent: dict[int, int] = {}  # of rows that are not the first of their unit

    def find(row: int) -> int:
        while row in parent:
            above = parent[row]
            if above in parent:
                parent[row] = parent[above]
            row = above
        return row

    for keys in (groups, dataset.digests):
        if keys is None:
            continue
        for rows in equal_rows([keys[place] for place in pool.tolist()]):
            if keys[pool[rows[0]]]:  # an empty group is none
                for row in rows[1:]:
                    a, b = sorted((find(rows[0]), find(row)))
                    if a != b:
                        parent[b] = a
    roots = np.arange(len(pool))
    for row in parent:
        roots[row] = find(row)
    return np.unique(roots, return_inverse=True)[1]


def _count(unit_of: NDArray[np.int64], strata: NDArray[np.int64], *, strata_count: int) -> _Units:
    """The units as pairs, which stay small with many units and many classes."""
    pairs, counts = np.unique(unit_of * strata_count + strata, return_counts=True)
    owners, strata = np.divmod(pairs, strata_count)
    return _Units(
        starts=np.searchsorted(owners, np.arange(unit_of.max() + 2)),
        owners=owners,
        strata=strata,
        counts=counts,
        sizes=np.bincount(unit_of),
        strata_count=strata_count,
    )


def _wanted(totals: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """(3, S) rows of every stratum that each of SPLITS should get."""
    wanted = np.zeros((len(SPLITS), len(totals)), np.int64)
    for split in (_VAL, _TEST):
        if shares[split]:
            fair = np.floor(totals * shares[split] + 0.5).astype(np.int64)
            # One at least, but never the last one: training comes first, then val, then test.
            left = np.maximum(totals - 1 - wanted[_VAL], 0)
            wanted[split] = np.minimum(np.maximum(fair, 1), left)
    wanted[_TRAIN] = totals - wanted[_VAL] - wanted[_TEST]
    return wanted


def _give_out(
    units: _Units, wanted: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """(U,) split of every unit: large units first, each to where it fits best."""
    left = wanted.copy()
    sides = np.full(len(units.sizes), _TRAIN)
    order = rng.permutation(len(units.sizes))
    sizes = units.sizes[order]
    large = order[sizes > 1]
    # A row of a rare class weighs more, so that rare classes are not the ones left over.
    rarity = 1 / np.maximum(wanted.sum(axis=0), 1)
    preferred = [_TEST, _VAL, _TRAIN]  # where it fits equally well
    for unit in large[np.argsort(-units.sizes[large], kind="stable")]:
        strata, counts = units.of(unit)
        fits = np.minimum(counts, np.maximum(left[:, strata], 0)) @ rarity[strata]
        sides[unit] = side = max(preferred, key=lambda split: round(fits[split], 12))
        left[side, strata] -= counts

    single = order[sizes == 1]
    stratum_of = units.strata[units.starts[single]]
    for stratum in np.unique(stratum_of):
        mine = single[stratum_of == stratum]
        tests, vals = np.maximum(left[[_TEST, _VAL], stratum], 0)
        sides[mine[:tests]] = _TEST
        sides[mine[tests : tests + vals]] = _VAL
    return sides


def _repair(units: _Units, sides: NDArray[np.int64], cut: Iterable[int]) -> None:
    """Move units until every stratum has a row in train, then val, then test, where possible.

    Changes `sides` in place. The smallest unit that helps is moved, and only if no stratum loses
    its last row of a split that was filled before.
    """
    held = units.rows(sides)
    present = np.flatnonzero(held.sum(axis=0))
    filled: list[int] = []
    for target in (_TRAIN, *cut):
        for stratum in present[held[target, present] == 0]:
            candidates = units.owners[units.strata == stratum]
            for unit in candidates[np.argsort(units.sizes[candidates], kind="stable")]:
                strata, counts = units.of(unit)
                source = sides[unit]
                if source not in filled or (held[source, strata] > counts).all():
                    held[source, strata] -= counts
                    held[target, strata] += counts
                    sides[unit] = target
                    break
        filled.append(target)


def _notes(
    dataset: Dataset,
    units: _Units,
    sides: NDArray[np.int64],
    *,
    wanted: NDArray[np.int64],
    shares: NDArray[np.float64],
) -> tuple[Problem, ...]:
    """Classes that a split lacks, and shares that the groups did not allow."""
    held = units.rows(sides)
    names = ("(no label)", *dataset.class_names)
    whats = []
    for stratum in np.flatnonzero(held.sum(axis=0)):
        lacking = [
            name
            for split, name in enumerate(SPLITS)
            if held[split, stratum] == 0 and (split == _TRAIN or shares[split])
        ]
        if lacking:
            rows, parts = held[:, stratum].sum(), (units.strata == stratum).sum()
            count = f"{rows} row" if rows == 1 else f"{rows} rows"
            together = f" in {parts} group(s) that stay together" if parts < rows else ""
            missing = " and ".join(lacking)
            what = f"class '{names[stratum]}'" if dataset.masks is None else "the data set"
            whats.append(f"{what} has {count}{together}: none for {missing}.")
    for split in (_VAL, _TEST):
        got, fair = held[split].sum(), wanted[split].sum()
        if shares[split] and abs(got - fair) > max(1, 0.2 * fair):
            whats.append(
                f"{SPLITS[split]} has {got} of {held.sum()} rows instead of {fair}, "
                "because groups or duplicates stay together."
            )
    return tuple(Problem(path=str(dataset.root), what=what, action="noted") for what in whats)


def write_split(dataset: Dataset, path: Path, *, groups: Sequence[str] | None = None) -> None:
    """Write `id,label,split,group` of every row, whole or not at all.

    A row of no split is written as "none".

    Args:
        groups: (N,) replaces the data set's own groups.
    """
    groups = groups or dataset.groups or ("",) * len(dataset)
    names = (*dataset.class_names, "")  # UNLABELLED is -1: the last one
    labels = [names[label] for label in dataset.labels]
    splits = [split or _NO_SPLIT for split in dataset.splits.tolist()]
    columns = (dataset.ids, labels, splits, groups)
    # The csv module leaves a bare carriage return unquoted, which it then refuses to read.
    awkward = any("\r" in cell for column in columns for cell in column)
    with (
        written(path) as neighbour,
        neighbour.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(
            file,
            lineterminator="\n",
            quoting=csv.QUOTE_ALL if awkward else csv.QUOTE_MINIMAL,
        )
        writer.writerow(COLUMNS)
        writer.writerows(zip(*columns, strict=True))


def apply_split(dataset: Dataset, path: Path) -> Dataset:
    """`dataset` with the splits (and groups, if any) of a split file, bound by id.

    Raises:
        DataError: naming ids that only one of the two has, labels that differ, ids that are
            given twice, and words that are no split.
    """
    table = read_rows(path)
    columns = {name: table.column(name) for name in COLUMNS[:3]}
    groups = table.column("group") if "group" in table.names else ("",) * len(table.lines)
    place = {row_id: row for row, row_id in enumerate(columns["id"])}
    problems = _mismatches(dataset, path, columns, place)
    if len(place) < len(columns["id"]):
        problems += [
            f"{path}:{line}: id '{row_id}' is given twice."
            for row, (line, row_id) in enumerate(zip(table.lines, columns["id"], strict=True))
            if place[row_id] != row
        ]
    words = [split_word(word) for word in columns["split"]]
    problems += [
        f"{path}:{line}: '{found}' is no split. Allowed: train, val (valid, validation), test, "
        f"{_NO_SPLIT}."
        for line, found, word in zip(table.lines, columns["split"], words, strict=True)
        if not word and found != _NO_SPLIT
    ]
    if problems:
        raise DataError(f"{path}: does not fit {dataset.root}:", problems)
    rows = [place[row_id] for row_id in dataset.ids]
    return replace(
        dataset,
        splits=np.array([words[row] for row in rows], "<U5"),
        groups=tuple(groups[row] for row in rows) if any(groups) else dataset.groups,
    )


def _mismatches(
    dataset: Dataset, path: Path, columns: dict[str, tuple[str, ...]], place: dict[str, int]
) -> list[str]:
    """One line for every id that one side lacks, and for every label that differs."""
    known = set(dataset.ids)
    skipped = {problem.path for problem in dataset.problems if problem.action == "skipped"}
    lost = [row_id for row_id in place if row_id not in known]
    extra = [row_id for row_id in dataset.ids if row_id not in place]
    problems = []
    for row_id, hint in zip(lost, near(lost, extra), strict=True):
        hint = " It was skipped: it cannot be read." if row_id in skipped else hint
        problems.append(f"id '{row_id}' is not in the data set.{hint}")
    problems += [f"id '{row_id}' of the data set is missing from {path.name}." for row_id in extra]
    names = (*dataset.class_names, "")
    for row_id, label in zip(dataset.ids, dataset.labels.tolist(), strict=True):
        if row_id in place and label >= 0 and columns["label"][place[row_id]] != names[label]:
            found = columns["label"][place[row_id]]
            problems.append(
                f"id '{row_id}' is '{found}' there, but '{names[label]}' in the data set."
            )
    return problems
