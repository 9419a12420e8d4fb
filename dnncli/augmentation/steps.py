"""The random changes a policy can name, and what each of their options may be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dnncli.errors import ConfigError
from dnncli.registry import suggest, unknown

Check = Callable[[Any], str]  # a value -> what is allowed instead; empty if it is right

FILL_MODES = ("reflect", "nearest", "constant", "wrap")


@dataclass(frozen=True)
class Step:
    """One random change: a name of `STEPS` or `KERAS`, and its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def is_number(value: Any) -> bool:
    """A finite int or float; True and False are neither."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < float("inf")  # false for NaN too
    )


def _number(low: float, high: float = float("inf"), *, whole: bool = False) -> Check:
    kind = "a whole number" if whole else "a number"
    limits = f" of at least {low:g}" if high == float("inf") else f" from {low:g} to {high:g}"

    def check(value: Any) -> str:
        fits = is_number(value) and low <= value <= high and (not whole or isinstance(value, int))
        return "" if fits else kind + (limits if low > -float("inf") else "")

    return check


def _span(low: float, high: float, *, whole: bool = False) -> Check:
    """One number, or a pair [smallest, largest]."""
    single = _number(low, high, whole=whole)

    def check(value: Any) -> str:
        pair = list(value) if isinstance(value, list | tuple) else [value]
        fits = len(pair) in (1, 2) and not any(single(entry) for entry in pair)
        in_order = fits and pair == sorted(pair)
        return "" if in_order else f"{single(None)}, or two of them as [smallest, largest]"

    return check


def _pair(low: float, *, whole: bool = False) -> Check:
    """One number for both axes, or [height, width]."""
    single = _number(low, whole=whole)

    def check(value: Any) -> str:
        pair = list(value) if isinstance(value, list | tuple) else [value]
        fits = len(pair) in (1, 2) and not any(single(entry) for entry in pair)
        return "" if fits else f"{single(None)}, or two of them as [height, width]"

    return check


def _choice(*names: str) -> Check:
    return lambda value: "" if value in names else f"one of {', '.join(names)}"


def _or(name: str, check: Check) -> Check:
    return lambda value: "" if value == name else check(value) and f"{check(value)}, or '{name}'"


def _any(_: Any) -> str:
    return ""


_FILL = {"fill_mode": _choice(*FILL_MODES), "fill_value": _number(-float("inf"))}
_WARP = {**_FILL, "interpolation": _choice("bilinear", "nearest")}
_RATE = {"rate": _number(0, 1)}

# Step -> its options and their limits. The words are those of the Keras layer behind the step.
STEPS: dict[str, dict[str, Check]] = {
    "flip": {"mode": _choice("horizontal", "vertical", "both")},
    "rotation": {"factor": _span(-1, 1), **_WARP},
    "translation": {"height_factor": _span(-1, 1), "width_factor": _span(-1, 1), **_WARP},
    "shift": {"height_pixels": _number(0), "width_pixels": _number(0), **_WARP},
    "crop": {"padding": _pair(0, whole=True), **_FILL},
    "zoom": {"height_factor": _span(-0.99, 1), "width_factor": _span(-0.99, 1), **_WARP},
    "shear": {"x_factor": _span(0, 1), "y_factor": _span(0, 1), **_WARP},
    "brightness": {"factor": _span(-1, 1)},
    "gain": {"factor": _span(0, 100)},
    "contrast": {"factor": _span(0, 1)},
    "erasing": {
        "factor": _number(0, 1),
        "scale": _span(0, 1),
        "fill_value": _or("noise", _number(-float("inf"))),
    },
    "mixup": {"alpha": _number(0, 100), **_RATE},
    "cutmix": {"factor": _number(0, 100), **_RATE},
}
REQUIRED = {
    "rotation": "factor",
    "crop": "padding",
    "zoom": "height_factor",
    "brightness": "factor",
    "gain": "factor",
    "contrast": "factor",
}
MIXING = ("mixup", "cutmix")  # these change labels too
NO_MASKS = (*MIXING, "RandomPerspective", "RandAugment")  # where pixels go is known to Keras alone

# Further layers of keras.layers, by their own names; Keras checks the values of their options.
KERAS: dict[str, dict[str, Check]] = {
    name: dict.fromkeys(options.split(), _any)
    for name, options in {
        "RandomHue": "factor",
        "RandomSaturation": "factor",
        "RandomGrayscale": "factor",
        "RandomColorDegeneration": "factor",
        "RandomSharpness": "factor",
        "RandomPosterization": "factor",
        "RandomInvert": "factor",
        "RandomGaussianBlur": "factor kernel_size sigma",
        "RandomPerspective": "factor scale interpolation fill_value",
        "RandomColorJitter": "brightness_factor contrast_factor saturation_factor hue_factor",
        "RandAugment": "num_ops factor interpolation",
    }.items()
}
COLOUR = (
    *("RandomHue", "RandomSaturation", "RandomGrayscale", "RandomColorDegeneration"),
    *("RandomColorJitter", "RandAugment"),
)

# Keras' names of what the steps above do.
_ALIASES = {
    f"random{name}": name
    for name in (
        *("flip", "rotation", "translation", "zoom", "shear"),
        *("brightness", "contrast", "erasing"),
    )
}
_REFUSED = {
    "randomcrop": "Keras' RandomCrop cuts a whole batch at one place. Use 'crop' with padding.",
    "augmix": "Keras' AugMix draws its operations once, when the graph is built, from Python's "
    "own generator: always the same ones, and --seed does not repeat them. Use 'RandAugment'.",
}


def known() -> tuple[str, ...]:
    """Every name a step can have."""
    return (*STEPS, *KERAS)


def problems(name: str, options: Mapping[str, Any]) -> list[str]:
    """What is wrong with one step, a line each; empty if nothing is."""
    if name.lower() in _REFUSED:
        return [_REFUSED[name.lower()]]
    found = resolve(name)
    if found is None:
        return [unknown(name, known(), kind="step")]
    allowed = STEPS.get(found) or KERAS[found]
    lines = []
    for option, value in options.items():
        if option not in allowed:
            names = ", ".join(allowed)
            hint = suggest(option, allowed)
            lines.append(f"{name}: no such option '{option}'.{hint} Known: {names}.")
        elif expected := allowed[option](value):
            lines.append(f"{name}.{option}: should be {expected}. Got {value!r}.")
    if (option := REQUIRED.get(found, "")) and option not in options:
        lines.append(f"{name}: '{option}' is missing. It should be {allowed[option](None)}.")
    return lines


def resolve(name: str) -> str | None:
    """The step `name` means, whatever its case and whether it is ours or Keras' name for it."""
    folded = {entry.lower(): entry for entry in known()}
    return folded.get(_ALIASES.get(name.lower(), name.lower()))


def step(name: str, **options: Any) -> Step:
    """A checked step.

    Raises:
        ConfigError: if the name, an option or a value is wrong; all of them together.
    """
    if lines := problems(name, options):
        raise ConfigError(f"step '{name}':", lines)
    return Step(str(resolve(name)), options)
