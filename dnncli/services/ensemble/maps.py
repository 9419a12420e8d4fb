"""Joins what several models, or people, say about the pixels of the same pictures.

Shapes: M models, K pictures, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from dnncli.data.maps import MapKind, open_maps
from dnncli.errors import ConfigError
from dnncli.metrics.mask_result import MaskReport
from dnncli.metrics.scores import Undefined
from dnncli.metrics.thresholds import Share, exact_share
from dnncli.registry import suggest, unknown
from dnncli.results import Progress, no_progress
from dnncli.services.ensemble.agreed import AgreementReport
from dnncli.services.ensemble.folder import SCHEMA, check_out
from dnncli.services.ensemble.map_folder import write_map_folder
from dnncli.services.ensemble.map_merge import MapReport, MaskMerger, ValueMerger
from dnncli.services.ensemble.map_sets import MapSets, open_sets
from dnncli.services.ensemble.weights import parse_weights
from dnncli.voting.maps import MaskRule
from dnncli.voting.rules import Denominator, VoteOptions, VoteTie
from dnncli.voting.weights import exact_weights

MAP_METHODS = ("auto", "majority", "mean", "weighted", "k-of-m", "staple")

_WEIGHED = ("majority", "mean", "weighted")  # methods that take weights
_OF_VALUES = ("auto", "mean", "weighted")  # methods for edges and values
_WITHOUT_MASKS = {  # what options for masks must be where values are averaged
    "agree": None,
    "tie": "abstain",
    "min_votes": 1,
    "denominator": "all",
    "ignore_zone": False,
    "binary": False,
    "ignore": None,
    "classes": (),
    "positive": None,
}


@dataclass(frozen=True, kw_only=True)
class MapMember:
    """One model. NaN is "undefined"."""

    pictures: int  # that it has
    weight: float | None  # None: the method has no weights
    habits: list[list[float]] | None  # (C, C) of staple, mean over pictures; rows = its truth
    scores: MaskReport | None  # with a truth


@dataclass(frozen=True, kw_only=True)
class MapsResult:
    """What a consensus of maps came to; fields of masks are empty or None for values."""

    schema: str
    kind: MapKind
    models: tuple[str, ...]
    classes: tuple[str, ...]
    positive: str | None
    method: str
    options: dict[str, Any]
    n: int  # pictures
    pixels: int
    coverage: float  # share of the pixels that has a class, or a value
    status_counts: dict[str, int]  # pixels
    agreement: AgreementReport | None
    members: dict[str, MapMember]
    scores: MaskReport | None  # with a truth; undecided pixels are missed ones
    baselines: dict[str, MaskReport]  # "majority" and "best_single", by the mean pooled Dice
    best_single: str | None
    per_image: tuple[MapReport, ...]
    out: Path | None
    warnings: tuple[str, ...]


def consensus_maps(
    targets: Sequence[str | Path],
    *,
    method: str = "auto",
    k: int | None = None,
    weights: Sequence[str] | Mapping[str, Share] = (),
    agree: Share | None = None,
    tie: VoteTie = "abstain",
    positive: str | None = None,
    min_votes: int = 1,
    denominator: Denominator = "all",
    missing: str = "error",
    classes: Sequence[str] = (),
    binary: bool = False,
    ignore: int | None = None,
    normalize_ids: str = "none",
    ignore_zone: bool = False,
    truth: str | Path | None = None,
    betas: Sequence[float] = (1.0,),
    undefined: Undefined = "skip",
    out: str | Path | None = None,
    progress: Progress = no_progress,
) -> MapsResult:
    """Merge masks, edge maps or value maps of the same pictures into one of each.

    Masks go by majority, weighted, k-of-m or staple; 255 in the result is undecided. Edge maps
    and probabilities (grey pictures, or .npz of floats) go by mean or weighted. OUT gets `maps/`
    (`maps.npz` if all targets are .npz of values), `decisions.csv` with one line per picture,
    `agreement.json`, and the result as `consensus.json`.

    Args:
        targets: two or more folders or .npz files, one per model.
        method: one of MAP_METHODS; auto: the mean of .npz files of floats, else the majority, of
            k if that is given.
        k: of k-of-m: so many models must name a class.
        weights: by model, as for `parse_weights`.
        agree: least share of the models, in (0, 1].
        tie: what becomes of a tie: "abstain", "positive" or "class-order".
        positive: class that k-of-m and ties favour; of two classes the second, unless named.
        min_votes: fewest models that must say something about a pixel.
        denominator: agreement is a share of "all" models, or of those that "voted".
        missing: a picture that a model lacks: "error", or "no-vote".
        classes: of masks: values, or names of the values 0, 1, ...; empty: see `mask_code`.
        binary: in masks, 0 is background, 1 and 255 are foreground.
        ignore: value in masks that is no class, so no vote; None: as the masks declare.
        normalize_ids: "nfc": ids may differ in Unicode form.
        ignore_zone: pixels that models see differently become undecided.
        truth: masks of some or all of the pictures, to judge by.
        betas: of the F scores.
        undefined: what an undefined class value counts as in means.
        out: a new folder, or that of an earlier consensus of maps.
        progress: told how far it is.

    Raises:
        ConfigError, DataError: what does not fit; nothing is written then.
    """
    paths = [Path(target) for target in targets]
    given = {
        "k": k,
        "agree": None if agree is None else str(agree),
        "tie": tie,
        "min_votes": min_votes,
        "denominator": denominator,
        "missing": missing,
        "ignore_zone": ignore_zone,
    }
    kind, method = _settled(paths, method, k=k, has_weights=bool(weights))
    share = _checked(
        kind,
        method,
        given
        | {"binary": binary, "ignore": ignore, "classes": tuple(classes), "positive": positive},
        has_weights=bool(weights),
        has_truth=truth is not None,
    )
    folder = None if out is None else Path(out)
    if folder is not None:
        check_out(folder)
    sets = open_sets(
        paths,
        kind=kind,
        truth=None if truth is None else Path(truth),
        classes=classes,
        binary=binary,
        ignore=_checked_ignore(ignore),
        partial=missing == "no-vote",
        nfc=normalize_ids == "nfc",
        progress=progress,
    )
    exact = exact_weights(parse_weights(weights, sets.names), sets.names) if weights else None
    place = _positive(sets, positive, is_needed=tie == "positive")
    merger: MaskMerger | ValueMerger = ValueMerger(sets, exact)
    if kind == "mask":
        options = VoteOptions(
            agree=share, tie=tie, positive=place, min_votes=min_votes, denominator=denominator
        )
        words = {"k-of-m": "at-least", "staple": "staple"}
        rule = MaskRule(
            method=words.get(method, "majority"),  # type: ignore[arg-type]
            k=k,
            weights=exact,
            options=options,
            ignore_zone=ignore_zone,
        )
        merger = MaskMerger(sets, rule)

    def result() -> MapsResult:
        return _result(
            merger,
            method=method,
            options=given,
            weights=exact,
            positive=place,
            betas=betas,
            undefined=undefined,
            out=folder,
        )

    if folder is None:
        for _ in merger.maps(progress):
            pass
        return result()
    return write_map_folder(folder, merger, result=result, progress=progress)


def _settled(
    paths: Sequence[Path], method: str, *, k: int | None, has_weights: bool
) -> tuple[MapKind, str]:
    """What the maps are, and the method that is meant."""
    if method not in MAP_METHODS:
        raise ConfigError(f"--method: {unknown(method, MAP_METHODS, kind='method for maps')}")
    if len(paths) < 2:
        raise ConfigError(f"consensus: needs the maps of two models or more. Got {len(paths)}.")
    pictures = [path for path in paths if path.suffix != ".npz"]
    has_values = method == "mean" or (
        method in _OF_VALUES and not pictures and any(map(_floats, paths))
    )
    if has_values:
        name = "mean" if method == "auto" and not has_weights else method
        return "edge" if pictures else "value", "weighted" if name == "auto" else name
    if method == "auto":
        method = "k-of-m" if k is not None else "weighted" if has_weights else "majority"
    return "mask", method


def _floats(path: Path) -> bool:
    """Whether the first map of an .npz file holds floats."""
    maps = open_maps(path, kind="value")
    return maps.loaders[maps.ids[0]]().dtype.kind == "f"


def _checked(
    kind: MapKind,
    method: str,
    given: Mapping[str, Any],
    *,
    has_weights: bool,
    has_truth: bool,
) -> Fraction | None:
    """The exact share of agreement that is asked for.

    Raises:
        ConfigError: naming options that do not fit together.
    """
    rules = {
        "--k N: is needed by --method k-of-m.": method == "k-of-m" and given["k"] is None,
        f"--k: is for --method k-of-m, not {method}.": method != "k-of-m"
        and given["k"] is not None,
        "--agree: k-of-m has --k in its place.": method == "k-of-m" and given["agree"] is not None,
        "--weights: are needed by --method weighted.": method == "weighted" and not has_weights,
        f"--weights: are not for --method {method}.": has_weights and method not in _WEIGHED,
        "--truth: is for masks.": kind != "mask" and has_truth,
    }
    problems = [line for line, applies in rules.items() if applies]
    if kind != "mask":
        without = _WITHOUT_MASKS.items()
        named = [f"--{name.replace('_', '-')}" for name, none in without if given[name] != none]
        if named:
            problems.append(f"{', '.join(named)}: these are for masks, not for a mean of values.")
    share = None
    if given["agree"] is not None:
        try:
            share = exact_share("agree", given["agree"], one=True)
        except ValueError as error:
            problems.append(f"--agree: {error}")
    if problems:
        raise ConfigError("consensus of maps:", problems)
    return share


def _checked_ignore(ignore: int | None) -> int | None:
    if ignore is not None and ignore < 0:
        raise ConfigError(f"--ignore {ignore}: must be a number of the masks, >= 0.")
    return ignore


def _positive(sets: MapSets, positive: str | None, *, is_needed: bool) -> int | None:
    """Index of the class that is favoured."""
    if sets.classes is None:
        return None
    names = sets.classes.names
    by_value = dict(zip(map(str, sets.classes.values), names))  # 0 and 1 have names, too
    if positive not in names:
        positive = by_value.get(positive or "", positive)
    if positive is not None and positive not in names:
        raise ConfigError(
            f"--positive {positive}: no such class.{suggest(positive, names)} "
            f"Classes: {', '.join(names)}."
        )
    place = sets.classes.foreground if positive is None else names.index(positive)
    if place is None and is_needed:
        raise ConfigError(
            f"--positive CLASS: is needed by --tie positive. Classes: {', '.join(names)}."
        )
    return place


def _result(
    merger: MaskMerger | ValueMerger,
    *,
    method: str,
    options: dict[str, Any],
    weights: Sequence[Fraction] | None,
    positive: int | None,
    betas: Sequence[float],
    undefined: Undefined,
    out: Path | None,
) -> MapsResult:
    sets, masks = merger.sets, merger if isinstance(merger, MaskMerger) else None
    names = sets.classes.names if sets.classes else ()
    scores = masks.scores(betas=betas, undefined=undefined) if masks else {}
    members = {name: scores[f"={name}"] for name in sets.names} if scores else {}
    best = max(members, key=lambda name: _worth(members[name]), default=None)
    baselines = {"majority": scores["majority"], "best_single": members[best]} if best else {}
    pixels = sum(picture.pixels for picture in merger.pictures)
    covered = sum(picture.coverage * picture.pixels for picture in merger.pictures)
    habits = masks.habits if masks else None
    return MapsResult(
        schema=SCHEMA,
        kind=sets.sets[0].kind,
        models=sets.names,
        classes=names,
        positive=None if positive is None else names[positive],
        method=method,
        options=options,
        n=len(sets.ids),
        pixels=pixels,
        coverage=covered / pixels if pixels else float("nan"),
        status_counts=masks.status_counts if masks else {},
        agreement=masks.tally.agreement() if masks else None,
        members={
            name: MapMember(
                pictures=len(maps.ids),
                weight=None if weights is None else float(weights[place]),
                habits=None if habits is None else habits[place].tolist(),
                scores=members.get(name),
            )
            for place, (name, maps) in enumerate(zip(sets.names, sets.sets))
        },
        scores=scores.get(""),
        baselines=baselines,
        best_single=best,
        per_image=tuple(merger.pictures),
        out=out,
        warnings=(*sets.warnings, *(_remarks(masks, options) if masks else ())),
    )


def _worth(scores: MaskReport) -> float:
    """Mean Dice of the classes; below everything if it is undefined."""
    dice = scores.pooled.macro.dice
    return dice if dice == dice else -1.0


def _remarks(merger: MaskMerger, options: Mapping[str, Any]) -> list[str]:
    remarks = []
    if merger.classes.is_white:
        remarks.append(
            "255 is taken as the foreground (--binary). In the result that is 1, and 255 is "
            "undecided."
        )
    ties, pixels = merger.status_counts["tie"], sum(p.pixels for p in merger.pictures)
    if ties and options["tie"] == "abstain":
        remarks.append(
            f"{ties:,} of {pixels:,} pixels ({ties / pixels:.2%}) are undecided: as many models "
            "say one class as another. --tie positive marks them."
        )
    if merger.unsettled:
        remarks.append(
            f"staple did not converge on {len(merger.unsettled)} pictures "
            f"(first: {merger.unsettled[0]})."
        )
    return remarks
