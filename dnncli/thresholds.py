"""Thresholds of classes, and the file that carries them from the rows that chose them to others.

The file is JSON, schema `dnncli.threshold/1`: the numbers of every class under `per_class`, and
those of a single class at the top level, too. Thresholds are written in full precision.
"""

import base64
import hashlib
import itertools
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import DataError
from dnncli.metrics import thresholds as rules
from dnncli.results import plain, write_json
from dnncli.threshold_checks import (
    CERTIFICATE,
    CLASS,
    DERIVED,
    DIGEST_BYTES,
    POINT,
    SCHEMA,
    SOURCE,
    Rule,
    differences,
    find_problems,
    short,
)

_BLOCK = 1 << 16  # ids hashed at a time


@dataclass(frozen=True, kw_only=True)
class OperatingPoint(rules.Point):
    """A threshold, and what it did to the rows that chose it, with exact two-sided intervals."""

    recall_interval: tuple[float, float]
    precision_interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Certificate(rules.Certificate):
    """The threshold that holds its target on new data with the wanted confidence, or why not."""

    point: OperatingPoint | None


@dataclass(frozen=True, kw_only=True)
class ClassThresholds:
    """The thresholds of one class against the rest, by three rules."""

    positive: str
    target_recall: float
    confidence: float
    n_positive: int
    n_negative: int
    dtype: Literal["float32", "float64"]  # of the scores
    highest: OperatingPoint | None  # None if there is no positive
    max_precision: OperatingPoint | None
    certified: Certificate
    chosen: Rule | None
    forced_flags: tuple[str, ...] = ()  # ids without a score: flagged whatever the threshold

    @property
    def point(self) -> OperatingPoint | None:
        """What the chosen rule found."""
        match self.chosen:
            case "certified":
                return self.certified.point
            case "max_precision":
                return self.max_precision
            case "highest":
                return self.highest
            case _:
                return None

    @property
    def threshold(self) -> float | None:
        """The threshold of the chosen rule."""
        return None if self.point is None else self.point.threshold


@dataclass(frozen=True, kw_only=True)
class Source:
    """The rows that chose the thresholds."""

    n: int
    file: str | None = None  # name of the predictions file
    sha256: str | None = None  # of its bytes, hex
    truth: str | None = None  # name of the truth file
    split: str | None = None
    model: str | None = None  # fingerprints, where the predictions name them
    data: str | None = None


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Thresholds of one class or of several, each against the rest."""

    per_class: Mapping[str, ClassThresholds]
    source: Source
    ids: NDArray[np.uint64]  # (N,) sorted digests of the rows' ids
    pictures: NDArray[np.uint64] | None = None  # (N,) sorted digests of their contents, if known
    warnings: tuple[str, ...] = ()  # what may make the thresholds wrong
    notes: tuple[str, ...] = ()  # how they are to be understood

    @property
    def only(self) -> ClassThresholds | None:
        """The one class, or None if there are several."""
        return next(iter(self.per_class.values())) if len(self.per_class) == 1 else None


def digests(ids: Iterable[str]) -> NDArray[np.uint64]:
    """(N,) sorted 64-bit BLAKE2b digests of ids, each in Unicode form NFC."""
    return np.sort(_digests_in_order(ids))


def picture_digests(contents: Sequence[bytes] | None) -> NDArray[np.uint64] | None:
    """(N,) 64-bit digests of pictures in their order, of `Dataset.digests`; None if one is missing.

    Args:
        contents: (N,) at least 8 bytes each, equal where the pictures are equal.
    """
    if contents is None or any(len(content) < DIGEST_BYTES for content in contents):
        return None
    packed = b"".join(content[:DIGEST_BYTES] for content in contents)
    return np.frombuffer(packed, dtype=">u8").astype(np.uint64)


def overlap(thresholds: Thresholds, ids: Iterable[str]) -> list[str]:
    """Those of `ids` whose rows chose the thresholds, in their order."""
    names = list(ids)
    return [names[row] for row in np.flatnonzero(_among(_digests_in_order(names), thresholds.ids))]


def picture_overlap(
    thresholds: Thresholds, pictures: NDArray[np.uint64] | None
) -> NDArray[np.bool_] | None:
    """(N,) whether each picture chose the thresholds, whatever its id; None if that is not known.

    Args:
        pictures: (N,) of `picture_digests`.
    """
    if pictures is None or thresholds.pictures is None:
        return None
    return _among(pictures, thresholds.pictures)


def _among(found: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """(N,) whether each of `found` is one of `known`, which are sorted."""
    if len(known) == 0:
        return np.zeros(len(found), dtype=bool)
    return known[np.minimum(np.searchsorted(known, found), len(known) - 1)] == found


def as_json(thresholds: Thresholds) -> dict[str, Any]:
    """The object that the file holds and that `dnncli threshold --json` prints."""
    classes = {name: _class_json(entry) for name, entry in thresholds.per_class.items()}
    top = next(iter(classes.values()))
    if len(classes) > 1:
        shared = ("target_recall", "confidence")
        top = dict.fromkeys(top) | {key: top[key] for key in shared}
    return {
        "schema": SCHEMA,
        **top,
        "source": plain(thresholds.source),
        "per_class": classes,
        "warnings": list(thresholds.warnings),
        "notes": list(thresholds.notes),
        "ids": _packed(thresholds.ids),
        "pictures": None if thresholds.pictures is None else _packed(thresholds.pictures),
    }


def write_thresholds(path: Path, thresholds: Thresholds) -> None:
    """Write the file; it is whole or absent."""
    write_json(path, as_json(thresholds))


def read_thresholds(path: Path) -> Thresholds:
    """Read a thresholds file.

    Raises:
        DataError: if the file is missing, cut short or changed by hand, naming every wrong key.
    """
    data = _load(path)
    if problems := find_problems(data):
        raise DataError(f"{path}: is no sound thresholds file. {_REMEDY}", problems)
    classes = {name: _class(entry) for name, entry in data["per_class"].items()}
    pictures = data["pictures"]
    thresholds = Thresholds(
        per_class=classes,
        source=Source(**{key: data["source"][key] for key in SOURCE}),
        ids=_unpacked(data["ids"]),
        pictures=None if pictures is None else _unpacked(pictures),
        warnings=tuple(data["warnings"]),
        notes=tuple(data["notes"]),
    )
    # Every number that follows from others is worked out again: none can be changed alone.
    if changed := [*differences(data, as_json(thresholds))]:
        raise DataError(f"{path}: its numbers contradict each other. {_REMEDY}", changed)
    if wrong := [line for entry in classes.values() for line in _certificate_problems(entry)]:
        raise DataError(f"{path}: its certificates do not belong to its targets. {_REMEDY}", wrong)
    return thresholds


def _certificate_problems(entry: ClassThresholds) -> Iterator[str]:
    """One line for each number that does not follow from the target and the positives."""
    shares = {"recall": entry.target_recall, "confidence": entry.confidence}
    misses = rules.allowed_misses(entry.n_positive, **shares)
    needed = rules.needed_positives(**shares)
    for key, right in (("allowed_misses", misses), ("needed_positives", needed)):
        if (found := getattr(entry.certified, key)) != right:
            where = f"per_class.{entry.positive}.certified.{key}"
            yield f"{where}: found {found}. It should be {right}."


_REMEDY = "Write it again with `dnncli threshold`:"


def _packed(numbers: NDArray[np.uint64]) -> str:
    return base64.b64encode(numbers.astype(">u8").tobytes()).decode()


def _unpacked(text: str) -> NDArray[np.uint64]:
    return np.frombuffer(base64.b64decode(text), dtype=">u8").astype(np.uint64)


def _digests_in_order(ids: Iterable[str]) -> NDArray[np.uint64]:
    names = iter(ids)
    blocks = [np.empty(0, dtype=np.uint64)]
    while block := list(itertools.islice(names, _BLOCK)):
        packed = b"".join(map(_digest, block))
        blocks.append(np.frombuffer(packed, dtype=">u8").astype(np.uint64))
    return np.concatenate(blocks)


def _digest(name: str) -> bytes:
    if not name.isascii():
        # Undecodable file names are compared as predictions files spell them.
        name = unicodedata.normalize("NFC", name.encode("utf-8", "backslashreplace").decode())
    return hashlib.blake2b(name.encode(), digest_size=DIGEST_BYTES).digest()


def _class_json(entry: ClassThresholds) -> dict[str, Any]:
    certified = entry.certified
    return plain(
        {
            "positive": entry.positive,
            "target_recall": entry.target_recall,
            "confidence": entry.confidence,
            "n_positive": entry.n_positive,
            "n_negative": entry.n_negative,
            "highest": _point_json(entry.highest),
            "max_precision": _point_json(entry.max_precision),
            "certified": {
                "feasible": certified.feasible,
                "allowed_misses": certified.allowed_misses,
                **_point_json(certified.point),
                "needed_positives": certified.needed_positives,
                "best_certifiable_recall": certified.best_certifiable_recall,
            },
            "chosen": entry.chosen,
            "threshold": entry.threshold,
            "dtype": entry.dtype,
            "forced_flags": entry.forced_flags,
        }
    )


def _point_json(point: OperatingPoint | None) -> dict[str, Any]:
    return {key: None if point is None else getattr(point, key) for key in (*POINT, *DERIVED)}


def _class(entry: dict[str, Any]) -> ClassThresholds:
    certified = entry["certified"]
    return ClassThresholds(
        **{key: entry[key] for key in CLASS if key != "forced_flags"},
        forced_flags=tuple(entry["forced_flags"]),
        highest=_point(entry["highest"]),
        max_precision=_point(entry["max_precision"]),
        certified=Certificate(
            **{key: certified[key] for key in CERTIFICATE}, point=_point(certified)
        ),
    )


def _point(entry: dict[str, Any]) -> OperatingPoint | None:
    if entry["threshold"] is None:
        return None
    values = {key: entry[key] for key in POINT}
    intervals = {key: tuple(values[key]) for key in POINT if key.endswith("interval")}
    return OperatingPoint(**(values | intervals | {"threshold": float(values["threshold"])}))


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"{path}: no such thresholds file. `dnncli threshold --out` writes one.")
    try:
        data = json.loads(path.read_text("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON, or cut short ({error}). {_REMEDY[:-1]}.") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = short(data.get("schema")) if isinstance(data, dict) else "no object"
        raise DataError(f"{path}: schema: found {found}. Needed: '{SCHEMA}'. {_REMEDY[:-1]}.")
    return data


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
