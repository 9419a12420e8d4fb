"""What may stand in a thresholds file, key by key."""

import base64
import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args

import numpy as np

SCHEMA = "dnncli.threshold/1"

Rule = Literal["certified", "max_precision", "highest"]
RULES: tuple[Rule, ...] = get_args(Rule)

DIGEST_BYTES = 8  # of an id; two of 10 million ids share a digest with probability 3e-6

Check = tuple[Callable[[Any], bool], str]  # of a value, and what is allowed


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_share(value: Any) -> bool:
    return _is_finite(value) and 0 <= value <= 1


def _is_interval(value: Any) -> bool:
    is_pair = isinstance(value, list) and len(value) == 2
    return is_pair and all(map(_is_share, value)) and value[0] <= value[1]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_digests(value: Any) -> bool:
    try:
        packed = base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        return False
    numbers = np.frombuffer(packed[: len(packed) // 8 * 8], dtype=">u8")
    return len(packed) % DIGEST_BYTES == 0 and bool((numbers[:-1] <= numbers[1:]).all())


def _or_null(check: Check) -> Check:
    return (lambda value: value is None or check[0](value)), f"{check[1]}, or null"


_COUNT: Check = (_is_count, "a whole number >= 0")
_TEXT: Check = (_is_text, "text")
_TEXTS: Check = (_is_texts, "a list of texts")
_TARGET: Check = (lambda value: _is_share(value) and value > 0, "a number above 0, at most 1")
_SHARE: Check = (_is_share, "a number from 0 to 1")
_PAIR: Check = (_is_interval, "two numbers in [0, 1], the lower first")
_DIGESTS: Check = (_is_digests, "base64 of sorted 8-byte digests")
_OBJECT: Check = (lambda value: isinstance(value, dict), "an object")

POINT: dict[str, Check] = {
    "threshold": (_is_finite, "a finite number"),
    **dict.fromkeys(("tp", "fp", "fn", "tn"), _COUNT),
    **dict.fromkeys(("recall_interval", "precision_interval"), _PAIR),
}
DERIVED = ("recall", "precision", "flagged", "n_flagged")
CERTIFICATE: dict[str, Check] = {
    "feasible": (lambda value: isinstance(value, bool), "true or false"),
    "allowed_misses": _or_null(_COUNT),
    "needed_positives": _or_null(_COUNT),
    "best_certifiable_recall": _SHARE,
}
CLASS: dict[str, Check] = {
    "positive": _TEXT,
    "target_recall": _TARGET,
    "confidence": (lambda value: _is_share(value) and 0 < value < 1, "a number between 0 and 1"),
    "n_positive": _COUNT,
    "n_negative": _COUNT,
    "chosen": _or_null((lambda value: value in RULES, f"one of {', '.join(RULES)}")),
    "dtype": (lambda value: value in ("float32", "float64"), "float32 or float64"),
    "forced_flags": _TEXTS,
}
SOURCE: dict[str, Check] = {"n": _COUNT} | dict.fromkeys(
    ("file", "sha256", "truth", "split", "model", "data"), _or_null(_TEXT)
)
_TOP: dict[str, Check] = {
    "source": _OBJECT,
    "per_class": (lambda value: isinstance(value, dict) and len(value) > 0, "at least one class"),
    "warnings": _TEXTS,
    "notes": _TEXTS,
    "ids": _DIGESTS,
    "pictures": _or_null(_DIGESTS),
}


def short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wrong(entry: Mapping[str, Any], checks: Mapping[str, Check], where: str = "") -> Iterator[str]:
    for key, (is_right, allowed) in checks.items():
        if key not in entry:
            yield f"{where}{key}: is missing. Needed: {allowed}."
        elif not is_right(entry[key]):
            yield f"{where}{key}: {short(entry[key])}. Needed: {allowed}."


def find_problems(data: Mapping[str, Any]) -> list[str]:
    """One line for each key that is missing or holds what cannot stand there.

    If every key may stand there by itself: one line for each contradiction between them.
    """
    problems = [*_wrong(data, _TOP)]
    if isinstance(data.get("source"), dict):
        problems += _wrong(data["source"], SOURCE, "source.")
    classes = data.get("per_class")
    for name, entry in classes.items() if isinstance(classes, dict) else ():
        if isinstance(entry, dict):
            problems += _wrong_class(entry, f"per_class.{name}.")
        else:
            problems.append(f"per_class.{name}: {short(entry)}. Needed: an object.")
    return problems or [*_contradictions(data)]


def _wrong_class(entry: dict[str, Any], where: str) -> Iterator[str]:
    yield from _wrong(entry, CLASS | dict.fromkeys(RULES, _OBJECT), where)
    for rule in RULES:
        if isinstance(point := entry.get(rule), dict):
            checks = CERTIFICATE if rule == "certified" else {}
            # A rule that found no threshold has null for every number of its rows.
            if "threshold" not in point or point["threshold"] is not None:
                checks = checks | POINT
            yield from _wrong(point, checks, f"{where}{rule}.")


def _contradictions(data: Mapping[str, Any]) -> Iterator[str]:
    n = data["source"]["n"]
    for key in ("ids", "pictures"):
        listed = len(base64.b64decode(data[key] or "")) // DIGEST_BYTES
        if data[key] is not None and listed != n:
            yield f"{key}: {listed} {key}, but source.n: {n}."
    for name, entry in data["per_class"].items():
        where = f"per_class.{name}."
        positives, negatives = entry["n_positive"], entry["n_negative"]
        if entry["positive"] != name:
            yield f"{where}positive: '{entry['positive']}'. Needed: '{name}'."
        if positives + negatives != n:
            yield f"{where}n_positive, n_negative: {positives} + {negatives} is not {n} (source.n)."
        if (entry["chosen"] is None) != (positives == 0):
            yield f"{where}chosen: {short(entry['chosen'])}, with {positives} positives."
        if entry["certified"]["feasible"] != (entry["certified"]["threshold"] is not None):
            yield f"{where}certified.feasible: does not fit its threshold."
        for rule in RULES:
            found = entry[rule]["threshold"] is not None
            if found and not _fits(entry[rule], positives, negatives):
                yield f"{where}{rule}: tp, fp, fn, tn do not fit {positives} and {negatives} rows."
            if found and entry["dtype"] == "float32" and not _is_float32(entry[rule]["threshold"]):
                yield f"{where}{rule}.threshold: is no float32 number, but dtype is float32."
            if not found and (rule == entry["chosen"] or (rule != "certified" and positives > 0)):
                yield f"{where}{rule}.threshold: null. Needed: a finite number."


def _fits(point: Mapping[str, Any], positives: int, negatives: int) -> bool:
    rows = (point["tp"] + point["fn"], point["fp"] + point["tn"])
    return rows == (positives, negatives) and positives > 0 and point["tp"] + point["fp"] > 0


def _is_float32(value: float) -> bool:
    with np.errstate(over="ignore"):
        return float(np.float32(value)) == value


def differences(
    written: dict[str, Any], rebuilt: Mapping[str, Any], where: str = ""
) -> Iterator[str]:
    """One line for each key whose value is not what the other keys make it."""
    for key, value in rebuilt.items():
        found = written.get(key)
        if isinstance(value, dict) and isinstance(found, dict):
            yield from differences(found, value, f"{where}{key}.")
        elif found != value:
            yield f"{where}{key}: {short(found)}, but the other keys say {short(value)}."
