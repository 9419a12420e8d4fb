"""`dnncli threshold`: the threshold that reaches a target recall, and what it costs."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.align import NORMALIZE_IDS, align
from dnncli.data.pairs import read_scored, read_truth_of
from dnncli.errors import ConfigError, DataError
from dnncli.metrics.thresholds import Share
from dnncli.predictions import Predictions
from dnncli.registry import unknown
from dnncli.services.option_problems import word_problems
from dnncli.services.places import takes_urls
from dnncli.services.threshold_choice import choose, option_problems
from dnncli.threshold_checks import SCHEMA
from dnncli.thresholds import Source, Thresholds, write_thresholds


@takes_urls
def threshold(
    predictions: str | Path,
    *,
    truth: str | Path,
    recall: Share,
    confidence: Share = "0.95",
    positive: str | None = None,
    rule: str = "auto",
    classes: Sequence[str] = (),
    split: str | None = None,
    nan: str = "error",
    normalize_ids: str = "none",
    multi_label: bool = False,
    out: str | Path | None = None,
) -> Thresholds:
    """Choose the threshold of a class, or of each class against the rest, for a target recall.

    Args:
        predictions: file with probabilities, or with one column of scores of any range.
        truth: file with the true labels of the same rows.
        recall: target in (0, 1], taken as written: "0.95" and "19/20" are exact.
        confidence: in (0, 1), of the certificate and of the intervals.
        positive: the class; None: every class that has scores.
        rule: whose threshold is to be used; "auto": certified, or max_precision where the rows do
            not suffice for a certificate.
        classes: declared class order; empty: from the file, else the names sorted.
        split: of the truth file's `split` column.
        nan: rows without a score: "error", or "positive" to flag them whatever the threshold.
        normalize_ids: "nfc" takes ids for equal that differ only in Unicode form.
        multi_label: every class is a question of its own.
        out: the file to write; None: nothing is written.

    Raises:
        ConfigError, DataError: what is wrong, and what to do.
    """
    problems = option_problems(recall, confidence, rule=rule, nan=nan)
    problems += word_problems({"normalize-ids": (normalize_ids, NORMALIZE_IDS)})
    if out is not None:
        problems += _out_problems(Path(out))
    if problems:
        raise ConfigError("threshold:", problems)
    target, labels = Path(predictions), Path(truth)
    found, known = _read(
        target, labels, classes=classes, split=split, nan=nan, multi_label=multi_label
    )
    _check_split(found, known, target, labels, split=split)
    scored = found.class_names
    if positive is not None and positive not in scored:
        raise ConfigError(f"--positive: {_no_scores(positive, scored, known.class_names, target)}")
    found, known = align(
        found,
        known,
        names=(str(target), str(labels)),
        normalize_ids=normalize_ids,  # type: ignore[arg-type]
    )
    metadata = found.metadata
    chosen_split = split or metadata.get("split")
    source = Source(
        n=len(found),
        file=target.name,
        sha256=_sha256(target),
        truth=labels.name,
        split=chosen_split,
        model=metadata.get("model"),
        data=metadata.get("data"),
    )
    thresholds = choose(
        found,
        _is_member(found, known),
        recall=recall,
        confidence=confidence,
        positive=positive,
        rule=rule,
        nan=nan,
        source=source,
        warnings=(
            *found.warnings,
            *known.warnings,
            *_weight_warning(known),
            *_split_warning(metadata, chosen_split),
        ),
    )
    if out is not None:
        write_thresholds(Path(out), thresholds)
    return thresholds


def _out_problems(path: Path) -> list[str]:
    """What forbids to write there; an earlier thresholds file may be replaced."""
    if path.suffix != ".json":
        return [f"--out {path}: thresholds are written as .json."]
    if path.is_dir() or (path.exists() and SCHEMA.encode() not in _begin(path)):
        return [f"--out {path}: exists and is no thresholds file. Give another name."]
    return []


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(200)


def _read(
    target: Path,
    truth: Path,
    *,
    classes: Sequence[str],
    split: str | None,
    nan: str,
    multi_label: bool,
) -> tuple[Predictions, Predictions]:
    """Both files as they are: rows not yet aligned, classes in one order if there are several."""
    predictions = read_scored(
        target,
        truth,
        command="threshold",
        classes=classes,
        split=split,
        nan="keep" if nan == "positive" else "error",
        multi_label=multi_label,
        scores="any",
    )
    if predictions.kind == "label":
        raise DataError(
            f"{target}: holds labels, and a threshold needs scores. Write one column of numbers "
            "per class (id,<class>,<class>...), as `dnncli predict` does."
        )
    return predictions, read_truth_of(predictions, truth, target, classes=classes, split=split)


def _no_scores(positive: str, scored: Sequence[str], known: Sequence[str], target: Path) -> str:
    if positive in known:
        return f"{target} has no scores of '{positive}'. Scored: {', '.join(scored)}."
    return unknown(positive, scored, kind="class")


def _is_member(predictions: Predictions, truth: Predictions) -> NDArray:
    """The truth as `choose` takes it."""
    if truth.members is not None:
        return truth.members
    if truth.labels is None:
        raise ValueError("truth must hold labels or members.")
    if len(predictions.class_names) > 1:
        return truth.labels
    # Class names of the truth are not those of the one column: find the column's class by name.
    names = truth.class_names
    scored = names.index(predictions.class_names[0]) if predictions.class_names[0] in names else -1
    return np.where(truth.labels == scored, 0, 1)


def _check_split(
    predictions: Predictions, truth: Predictions, target: Path, labels: Path, *, split: str | None
) -> None:
    """Refuse to let rows of a test split choose."""
    found = split or predictions.metadata.get("split")
    named = truth.metadata.get("splits", ()) if split is None else ()
    if found == "test" or "test" in named:
        where = f"{labels}: some rows" if found != "test" else f"{target}: these rows"
        raise DataError(
            f"{where} belong to the split 'test', which never chooses a threshold: nothing would "
            "be left to judge it by. Use rows of the validation split: `dnncli predict RUN --split "
            "val`, or --split val if the truth has a column 'split'."
        )


def _split_warning(metadata: dict[str, Any], split: str | None) -> list[str]:
    own = metadata.get("data") is not None and metadata["data"] == metadata.get("model_data")
    if split == "train" or (own and split == "all"):
        return [
            f"Rows of the split '{split}' fitted the model: their scores are better than those of "
            "new rows, and no certificate holds. Use rows of the split 'val'."
        ]
    if own and split == "val":
        return [
            "The split 'val' chose the epoch of this model, too: scores may be slightly better "
            "than on new rows."
        ]
    return []


def _weight_warning(truth: Predictions) -> list[str]:
    if truth.weights is None:
        return []
    return ["The weights of the truth are not used: a certificate counts rows, one each."]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
