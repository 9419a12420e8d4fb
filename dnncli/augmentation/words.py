"""The words of Keras' old ImageDataGenerator, said as steps of a policy."""

import math
from collections.abc import Mapping
from typing import Any

from dnncli.augmentation.steps import FILL_MODES, Step, is_number
from dnncli.registry import suggest

# Word -> its default. A word at its default adds no step.
WORDS: dict[str, Any] = {
    "rotation_range": 0,
    "width_shift_range": 0.0,
    "height_shift_range": 0.0,
    "shear_range": 0.0,
    "zoom_range": 0.0,
    "channel_shift_range": 0.0,
    "horizontal_flip": False,
    "vertical_flip": False,
    "brightness_range": None,
    "fill_mode": "nearest",
    "cval": 0.0,
    "interpolation_order": 1,
}

# What the old generator did besides augmenting, and where that is said now.
ELSEWHERE = {
    "rescale": "use 'dnncli train --normalize minmax'.",
    "featurewise_center": "use 'dnncli train --normalize zscore'.",
    "featurewise_std_normalization": "use 'dnncli train --normalize zscore'.",
    "samplewise_center": "use 'dnncli train --normalize unit' or zscore.",
    "samplewise_std_normalization": "use 'dnncli train --normalize unit' or zscore.",
    "zca_whitening": "there is no ZCA whitening; use 'dnncli train --normalize zscore'.",
    "zca_epsilon": "there is no ZCA whitening; use 'dnncli train --normalize zscore'.",
    "preprocessing_function": "write a policy in Python and name it 'package.module:policy'.",
    "validation_split": "use 'dnncli train --set data.val=0.2'.",
    "data_format": "pictures are (height, width, channels) everywhere.",
    "dtype": "pictures are float32 everywhere.",
}


def problems(words: Mapping[str, Any]) -> list[str]:
    """What is wrong with a table of old words, a line each; empty if nothing is."""
    lines = []
    for word, value in words.items():
        if word in ELSEWHERE:
            lines.append(f"{word}: not part of a policy; {ELSEWHERE[word]}")
        elif word not in WORDS:
            lines.append(f"no such word '{word}'.{suggest(word, WORDS)} Known: {', '.join(WORDS)}.")
        elif expected := _expected(word, value):
            lines.append(f"{word}: should be {expected}. Got {value!r}.")
    return lines


def steps(words: Mapping[str, Any]) -> tuple[Step, ...]:
    """The steps that do what the words meant, in the generator's order.

    Rotation, shift, shear and zoom are one warp; then channel shift, flips, brightness.
    """
    get = {**WORDS, **words}
    fill = {
        "fill_mode": get["fill_mode"],
        "fill_value": get["cval"],
        "interpolation": "bilinear" if get["interpolation_order"] else "nearest",
    }
    found: list[Step] = []
    if get["rotation_range"]:
        found.append(Step("rotation", {"factor": get["rotation_range"] / 360, **fill}))
    found += _shifts(get, fill)
    if get["shear_range"]:
        x_factor = math.sin(math.radians(get["shear_range"]))
        found.append(Step("shear", {"x_factor": x_factor, **fill}))
    if zoom := get["zoom_range"]:
        low, high = (1 - zoom, 1 + zoom) if is_number(zoom) else zoom
        # Two factors: the generator drew height and width apart from each other.
        span = (low - 1, high - 1)
        found.append(Step("zoom", {"height_factor": span, "width_factor": span, **fill}))
    if get["channel_shift_range"]:
        found.append(Step("brightness", {"factor": get["channel_shift_range"] / 255}))
    flips = {(True, False): "horizontal", (False, True): "vertical", (True, True): "both"}
    if mode := flips.get((get["horizontal_flip"], get["vertical_flip"])):
        found.append(Step("flip", {"mode": mode}))
    if get["brightness_range"] is not None:
        found.append(Step("gain", {"factor": tuple(get["brightness_range"])}))
    return tuple(found)


def _shifts(get: Mapping[str, Any], fill: Mapping[str, Any]) -> list[Step]:
    """Below 1: a share of the side. From 1: pixels, whole ones if the number is whole.

    A whole number n means every whole shift strictly between -n and n.
    """
    sides = {"height": get["height_shift_range"], "width": get["width_shift_range"]}
    shares = {f"{side}_factor": value for side, value in sides.items() if 0 < value < 1}
    whole = {side: value for side, value in sides.items() if value >= 1 and isinstance(value, int)}
    pixels = {
        f"{side}_pixels": value
        for side, value in sides.items()
        if value >= 1 and not isinstance(value, int)
    }
    found = []
    if shares:
        found.append(Step("translation", {**shares, **fill}))
    if whole:
        padding = (whole.get("height", 1) - 1, whole.get("width", 1) - 1)
        only = {key: fill[key] for key in ("fill_mode", "fill_value")}
        found.append(Step("crop", {"padding": padding, **only}))
    if pixels:
        found.append(Step("shift", {**pixels, **fill}))
    return found


def _expected(word: str, value: Any) -> str:
    """What is allowed for `word`; empty if `value` is."""
    match word:
        case "horizontal_flip" | "vertical_flip":
            return "" if isinstance(value, bool) else "true or false"
        case "fill_mode":
            return "" if value in FILL_MODES else f"one of {', '.join(FILL_MODES)}"
        case "interpolation_order":
            return "" if value in (0, 1) else "0 (nearest) or 1 (bilinear)"
        case "cval":
            return "" if is_number(value) else "a number"
        case "zoom_range":
            return "" if _is_zoom(value) else "a number from 0 to 0.99, or [low, high] up to 2"
        case "brightness_range":
            fits = _is_range(value) and value[0] >= 0
            return "" if fits or value is None else "[low, high], factors of at least 0"
    highest = {"rotation_range": 360, "shear_range": 90, "channel_shift_range": 255}
    limit = highest.get(word, math.inf)
    if is_number(value) and 0 <= value <= limit:
        return ""
    return "a number of at least 0" if limit == math.inf else f"a number from 0 to {limit}"


def _is_zoom(value: Any) -> bool:
    if is_number(value):
        return 0 <= value <= 0.99
    return _is_range(value) and value[0] >= 0.01 and value[1] <= 2


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(map(is_number, value))
        and value[0] <= value[1]
    )
