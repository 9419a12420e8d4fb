"""`dnncli consensus`: what several models, or people, say together about the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from dnncli import trust
from dnncli.data.align import NORMALIZE_IDS
from dnncli.data.dataset import SPLITS
from dnncli.data.frames import SUFFIXES
from dnncli.data.scores import SCORES
from dnncli.errors import ConfigError, DataError
from dnncli.metrics.scores import UNDEFINED
from dnncli.metrics.thresholds import Share
from dnncli.results import Progress, no_progress
from dnncli.services.ensemble import options as words
from dnncli.services.ensemble.folder import check_out, decisions_suffix, write_folder
from dnncli.services.ensemble.inputs import Source, read_inputs
from dnncli.services.ensemble.options import ConsensusOptions, checked
from dnncli.services.ensemble.recall import reach
from dnncli.services.ensemble.report import compared, report
from dnncli.services.ensemble.result import ConsensusReport
from dnncli.services.ensemble.rule import early_pooling, method_of, ruled, weigh
from dnncli.services.ensemble.values import ValuesReport, average_values
from dnncli.services.option_problems import not_for
from dnncli.services.places import takes_urls
from dnncli.services.rows import ALL
from dnncli.voting.rules import DENOMINATORS, VOTE_TIES

if TYPE_CHECKING:
    from dnncli.services.ensemble.maps import MapsResult
    from dnncli.services.ensemble.members import PredictedMembers


@trust.scoped
@takes_urls
def consensus(
    targets: Sequence[str | Path],
    *,
    data: str | Path | None = None,
    split: str | None = None,
    tta: int = 0,
    batch_size: int = 128,
    on_bad: str = "skip",
    method: str = "auto",
    agree: Share | None = None,
    k: int | None = None,
    weights: Sequence[str] | Mapping[str, Share] = (),
    weights_from: str | Path | None = None,
    weight_by: str | None = None,
    rounds: int = words.ROUNDS,
    tie: str = "abstain",
    positive: str | None = None,
    min_votes: int = 1,
    denominator: str = "all",
    target_recall: Share | None = None,
    truth_val: str | Path | None = None,
    truth: str | Path | None = None,
    betas: Sequence[float] = (1.0,),
    undefined: str = "skip",
    confidence: Share = "0.95",
    classes: Sequence[str] = (),
    missing: str = "error",
    nan: str = "error",
    normalize_ids: str = "none",
    scores: str = "unit",
    binary: bool = False,
    ignore: int | None = None,
    ignore_zone: bool = False,
    out: str | Path | None = None,
    decisions: str = "auto",
    allow_code: bool = False,  # noqa: ARG001 - `scoped` reads it
    progress: Progress = no_progress,
) -> "ConsensusReport | MapsResult | ValuesReport":
    """Join what several models say about the same rows, and abstain where they differ.

    Predictions files never start TensorFlow, and nothing is written without `out`.

    Args:
        targets: predictions files, all of labels or all of probabilities; runs and .keras files,
            which predict `data`; or masks and maps, in folders or .npz files.
        data: the data set that runs predict; None: the one that they were trained on.
        split: rows of one split of the truth file, or of the data set.
        tta: further views of every picture, each a member; for runs.
        batch_size: pictures predicted at a time.
        on_bad: unreadable pictures: "skip" or "error".
        method: the rule; "auto": majority of labels, mean of probabilities.
        agree: least share of agreement that decides, in (0, 1], exact and inclusive.
        k: votes that are enough, for "k-of-m".
        weights: of the models, as `NAME=W` texts or by name.
        weights_from: truth of the rows that teach the weights, or a split of the data set.
        weight_by: "log-odds", "f-beta", or "confidence", which needs no truth.
        rounds: of greedy selection.
        tie: what a tie is decided for.
        positive: the class that must not be missed.
        min_votes: models that must have voted.
        denominator: agreement is a share of "all" models or of those that "voted".
        target_recall: choose the rule that reaches this recall at the least work.
        truth_val: truth of the rows that choose it, or a split of the data set.
        truth: of the rows that the decisions are judged on.
        betas: of the F scores.
        undefined: what a class value 0/0 counts as in averages.
        confidence: of intervals and certificate, in (0, 1).
        classes: declared class order.
        missing: a row that a model's file lacks: "error", or "no-vote".
        nan: scores that are NaN: "error", or certain of the "positive" class.
        normalize_ids: "nfc" takes ids for equal that differ only in Unicode form.
        scores: "any": files of one column of any numbers, which are averaged.
        binary: masks hold 0 for the background, 1 or 255 for the foreground.
        ignore: number in masks that is no class.
        ignore_zone: of masks: pixels that they do not agree on become undecided.
        out: folder for decisions, review queue, tables and pictures.
        decisions: "csv" or "parquet"; "auto": CSV if all files are.
        allow_code: let model files run code of their own.

    Raises:
        ConfigError, DataError, ModelError: what is wrong, and what to do; nothing is written.
    """
    options = checked(
        {
            "method": (method, words.METHODS),
            "tie": (tie, VOTE_TIES),
            "denominator": (denominator, DENOMINATORS),
            "missing": (missing, words.MISSING),
            "nan": (nan, words.NAN),
            "normalize-ids": (normalize_ids, NORMALIZE_IDS),
            "undefined": (undefined, UNDEFINED),
            "format": (decisions, words.FORMATS),
            "scores": (scores, SCORES),
            "weight-by": (weight_by, (None, *words.WEIGHT_BY)),
        },
        agree=agree,
        confidence=confidence,
        classes=tuple(classes),
        k=k,
        weights=weights if isinstance(weights, Mapping) else tuple(weights),
        weights_from=None if weights_from is None else str(weights_from),
        positive=positive,
        min_votes=min_votes,
        truth=None if truth is None else Path(truth),
        target_recall=target_recall,
        truth_val=None if truth_val is None else str(truth_val),
        betas=tuple(betas),
        rounds=rounds,
        split=split,
    )
    folder = None if out is None else Path(out)
    if folder is not None:
        check_out(folder)
    paths = tuple(Path(target) for target in targets)
    if lost := [f"{path}: no such file or folder." for path in paths if not path.exists()]:
        raise DataError("consensus:", lost)
    if _are_models(paths):
        if truth is not None:
            raise ConfigError("--truth: is for predictions files; runs are judged on --data.")
        from dnncli.services.ensemble.map_targets import are_of_pixels, of_runs

        if are_of_pixels(paths):
            return of_runs(
                paths,
                options,
                given={"tta": tta != 0, "binary": binary, "ignore": ignore is not None},
                ignore_zone=ignore_zone,
                folder=folder,
                predicting={"data": data, "batch_size": batch_size, "on_bad": on_bad},
                progress=progress,
            )
        _check_tie(options)
        found = _predicted(
            paths,
            options,
            data=data,
            tta=tta,
            batch_size=batch_size,
            on_bad=on_bad,
            progress=progress,
        )
    else:
        _check_files(options, data, tta)
        if _are_maps(paths):
            from dnncli.services.ensemble.map_targets import of_maps

            return of_maps(
                paths,
                options,
                binary=binary,
                ignore=ignore,
                ignore_zone=ignore_zone,
                folder=folder,
                progress=progress,
            )
        _check_tie(options)
        if scores == "any":
            return average_values(paths, options, folder=folder, progress=progress)
        found = Found(files=paths)
    _check_kind(binary=binary, ignore=ignore, ignore_zone=ignore_zone, scores=scores)
    inputs = read_inputs(
        found.files,
        options,
        names=found.names,
        given=found.sources,
        pooling=partial(early_pooling, options),
        progress=progress,
    )
    kind = inputs.votes.members.kind
    chosen = method_of(options, kind=kind)
    weighing = weigh(inputs, options, chosen)
    if options.target_recall is None:
        decided, target = ruled(inputs, options, chosen, weighing, progress=progress), None
    else:
        decided, target = reach(inputs, options, chosen, weighing, progress=progress)
    both = compared(inputs, options, decided)
    result = report(
        inputs, options, decided, both, target=target, notes=found.notes, progress=progress
    )
    if folder is None:
        return result
    result = replace(result, out=folder)
    write_folder(
        folder,
        result,
        inputs,
        options,
        decided,
        both,
        suffix=decisions_suffix(found.files, options.format),
        progress=progress,
    )
    return result


@dataclass(frozen=True, kw_only=True)
class Found:
    """Predictions files, and what is known beside them."""

    files: tuple[Path, ...]
    names: tuple[str, ...] | None = None  # None: the stems of the files
    sources: Mapping[str, Source] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _check_tie(options: ConsensusOptions) -> None:
    """Refuse to favour a class that is not named; masks of two classes have one by themselves."""
    if options.tie == "positive" and options.positive is None:
        raise ConfigError("consensus:", ["--positive CLASS: is needed by --tie positive."])


def _check_kind(*, binary: bool, ignore: int | None, ignore_zone: bool, scores: str) -> None:
    given = {
        "binary": binary,
        "ignore": ignore is not None,
        "ignore-zone": ignore_zone,
        "scores any": scores == "any",
    }
    if problems := not_for("these files", given):
        raise ConfigError("consensus:", problems)


def _are_models(paths: Sequence[Path]) -> bool:
    """Whether the targets are runs or .keras files."""
    if all(path.is_file() and path.suffix in SUFFIXES for path in paths):
        return False  # without what opens data sets, which takes time to load
    from dnncli.services.ensemble.members import are_models

    return are_models(paths)


def _are_maps(paths: Sequence[Path]) -> bool:
    """Whether the targets are masks or maps.

    Raises:
        ConfigError: if only some are.
    """
    if all(path.is_file() and path.suffix in (".csv", ".parquet") for path in paths):
        return False  # without what reads pictures, which takes time to load
    from dnncli.data.maps import is_maps

    found = [is_maps(path) for path in paths]
    if any(found) and not all(found):
        raise ConfigError(
            f"{paths[found.index(True)]} holds masks or maps, but {paths[found.index(False)]} does "
            "not: give one kind."
        )
    return all(found)


def _check_files(options: ConsensusOptions, data: str | Path | None, tta: int) -> None:
    problems = [
        f"--{name}: is for runs and .keras files; these are predictions files."
        for name, given in (("data", data is not None), ("tta", tta != 0))
        if given
    ]
    if options.split is not None and options.truth is None:
        problems.append("--split: picks rows of --truth, which is not given.")
    if problems:
        raise ConfigError("consensus:", problems)


def _predicted(
    targets: Sequence[Path],
    options: ConsensusOptions,
    *,
    data: str | Path | None,
    tta: int,
    batch_size: int,
    on_bad: str,
    progress: Progress,
) -> Found:
    """What runs say about the rows to decide, and about the splits that teach or choose."""
    from dnncli.data.detect import open_dataset
    from dnncli.services.ensemble.members import predicted

    opener = cache(open_dataset)  # several splits are mostly of one data set

    def of(split: str | None, data: str | Path | None) -> "PredictedMembers":
        return predicted(
            targets,
            data,
            split=split,
            tta=tta,
            batch_size=batch_size,
            on_bad=on_bad,
            opener=opener,
            progress=progress,
        )

    found = of(options.split, data)
    sources = {}
    if found.truth is not None:
        sources["judging"] = Source(name=f"split '{found.split}'", truth=found.truth)
    asked = {"teaching": options.weights_from, "choosing": options.truth_val}
    if options.target_recall is not None and options.truth_val is None:
        asked["choosing"] = "val"
    for role, split in asked.items():
        if split in SPLITS:
            # New pictures have no validation rows; those of the runs teach about them.
            theirs = of(split, data if split in found.splits else None)
            if theirs.truth is None:
                raise ConfigError(f"the split '{split}' has rows without a label.")
            # Rows that are decided, too, are told apart from others: they cannot judge.
            among = split in found.splits and found.split in (split, ALL)
            files = () if among else theirs.files
            sources[role] = Source(name=f"split '{split}'", truth=theirs.truth, files=files)
    return Found(files=found.files, names=found.names, sources=sources, notes=found.notes)
