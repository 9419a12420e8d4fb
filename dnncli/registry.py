"""Names one can type, and where the code behind each name lives.

One table per kind: name -> "module:object". Nothing is imported until a part is asked for, so a
typo is answered in milliseconds. A user's own part is an import string, `my_lab.losses:boundary`.
"""

import difflib
import importlib
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dnncli.errors import ConfigError

# The default comes first.
CLASSIFIERS = {
    "cnn": "dnncli.networks.classifiers:cnn",
    "mlp": "dnncli.networks.classifiers:mlp",
    "resnet20": "dnncli.networks.resnets:resnet20",
    "resnet32": "dnncli.networks.resnets:resnet32",
    "resnet56": "dnncli.networks.resnets:resnet56",
    "wrn-16-4": "dnncli.networks.resnets:wrn_16_4",
    "wrn-28-10": "dnncli.networks.resnets:wrn_28_10",
    "wrn-40-4": "dnncli.networks.resnets:wrn_40_4",
}

# Networks that say something of every pixel, for the tasks segment and edges.
DENSE = {
    "unet": "dnncli.networks.unet:unet",
    "u-carfnet": "dnncli.networks.ucarfnet:ucarfnet",
    "hed": "dnncli.networks.hed:hed",
}

# Every network of keras.applications in Keras 3.15, by its own name in lower case.
APPLICATIONS = {
    name.lower(): f"keras.applications:{name}"
    for name in (
        *("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"),
        *("DenseNet121", "DenseNet169", "DenseNet201"),
        *(f"EfficientNetB{size}" for size in range(8)),
        *(f"EfficientNetV2B{size}" for size in range(4)),
        *("EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L"),
        *("InceptionResNetV2", "InceptionV3"),
        *("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large"),
        *("NASNetLarge", "NASNetMobile"),
        *("ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2"),
        *("VGG16", "VGG19", "Xception"),
    )
}

# Further networks that can start from ready weights.
TRUNKS = {"efficientnetlite0": "dnncli.networks.efficientnet_lite:efficientnet_lite0"}
BACKBONES = APPLICATIONS | TRUNKS

MODELS = CLASSIFIERS | DENSE | BACKBONES

ATTENTION = ("none", "se", "eca", "cbam")
NORMALIZATIONS = ("auto", "minmax", "minmax-signed", "zscore", "unit", "none")

INITIALIZERS = {
    name: f"keras.initializers:{name.title().replace('_', '')}"
    for name in (
        *("he_normal", "he_uniform", "glorot_normal", "glorot_uniform"),
        *("lecun_normal", "lecun_uniform", "orthogonal", "variance_scaling"),
        *("random_normal", "random_uniform", "truncated_normal"),
    )
}

LOSSES = {
    "cross-entropy": "dnncli.losses:cross_entropy",
    "binary-cross-entropy": "dnncli.losses:binary_cross_entropy",
    "focal": "dnncli.losses:focal",
    "binary-focal": "dnncli.losses:binary_focal",
}

# Losses of masks; "dice+cross-entropy" is the sum of two.
MASK_LOSSES = {
    "cross-entropy": "dnncli.mask_terms:cross_entropy",
    "balanced-cross-entropy": "dnncli.mask_terms:balanced_cross_entropy",
    "focal": "dnncli.mask_terms:focal",
    "dice": "dnncli.mask_terms:dice",
    "generalized-dice": "dnncli.mask_terms:generalized_dice",
    "tversky": "dnncli.mask_terms:tversky",
}

OPTIMIZERS = {
    name.lower(): f"keras.optimizers:{name}"
    for name in (
        *("Adam", "SGD", "RMSprop", "Adagrad", "Adadelta", "Ftrl"),
        *("AdamW", "Adamax", "Nadam", "Lamb", "Lion", "Adafactor", "Muon", "ScheduleFreeAdamW"),
    )
} | {"muon-conv": "dnncli.muon:ConvMuon"}

SCHEDULES = {
    "constant": "dnncli.optimizers:constant",
    "cosine": "dnncli.optimizers:cosine",
    "triangular": "dnncli.optimizers:triangular",
    "exponential": "dnncli.optimizers:exponential",
    "step": "dnncli.optimizers:step",
    "polynomial": "dnncli.optimizers:polynomial",
    "plateau": "dnncli.optimizers:plateau",
}

POLICIES = {
    name: f"dnncli.augmentation.policies:{name.upper()}"
    for name in ("none", "light", "standard", "strong")
}


_LISTED = 20  # names in a message; a thousand classes are no help


def suggest(name: str, known: Iterable[str]) -> str:
    """`" Did you mean 'x'?"` for the nearest known name, or an empty string."""
    known = list(known)
    folded = {entry.lower(): entry for entry in known}
    name = name.lower()

    def likeness(entry: str) -> tuple[float, int]:
        # People err late in a word: of equally near names, the longest common beginning wins.
        ratio = difflib.SequenceMatcher(None, entry, name).ratio()
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(entry, name))
        return ratio, len(list(same))

    near = difflib.get_close_matches(name, folded, n=5, cutoff=0.6)
    return f" Did you mean '{folded[max(near, key=likeness)]}'?" if near else ""


def unknown(name: str, known: Iterable[str], *, kind: str) -> str:
    """One line for an unknown name: what was found, the nearest name, what is allowed."""
    known = list(known)
    names = ", ".join(known[:_LISTED])
    if len(known) > _LISTED:
        names += f", ... ({len(known)} in all; `dnncli models` lists parts)"
    return f"Unknown {kind} '{name}'.{suggest(name, known)} Known: {names}."


def check(table: Mapping[str, str], name: str, *, kind: str) -> str:
    """Return `name` as the table spells it; imports nothing.

    Raises:
        ConfigError: if it is neither in `table` (case does not matter) nor an import string.
    """
    if name.lower() in table:
        return name.lower()
    module, _, attribute = name.partition(":")
    if attribute.isidentifier() and all(part.isidentifier() for part in module.split(".")):
        return name
    raise ConfigError(f"{unknown(name, table, kind=kind)[:-1]}; or 'package.module:name'.")


def find(table: Mapping[str, str], name: str, *, kind: str) -> Any:
    """Import and return the object behind `name`.

    Raises:
        ConfigError: if the name is unknown, or its module or attribute does not exist.
    """
    name = check(table, name, kind=kind)
    module, _, attribute = table.get(name, name).partition(":")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{kind} '{name}': no module named '{error.name}'.") from error
    try:
        return getattr(loaded, attribute)
    except AttributeError as error:
        hint = suggest(attribute, dir(loaded))
        raise ConfigError(f"{kind} '{name}': '{module}' has no '{attribute}'.{hint}") from error


def check_options(
    function: Callable, options: Mapping[str, Any], *, where: str, without: Iterable[str] = ()
) -> None:
    """Raise ConfigError naming every option that `function` does not take, or not of such a kind.

    Parameters in `without` are not the user's to choose here.
    """
    if not callable(function):
        raise ConfigError(f"{where}: {function!r} is no function or class. Name one.")
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    named = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    allowed = [name for name in named if name not in without]
    wrong = [name for name in options if name not in allowed]
    if wrong:
        known = f" Known: {', '.join(allowed) or 'none'}."
        lines = [f"no such option '{name}'.{suggest(name, allowed)}{known}" for name in wrong]
        raise ConfigError(f"{where}:", lines)
    lines = [
        f"'{p.name}' must be {_PLAIN[p.annotation][0]}. Got {options[p.name]!r}."
        for p in parameters
        if p.name in options and not _fits(options[p.name], p.annotation)
    ]
    if lines:
        raise ConfigError(f"{where}:", lines)


# Annotations that can be checked by themselves: in words, and the types of their values.
_PLAIN: dict[Any, tuple[str, tuple[type, ...]]] = {
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    bool: ("true or false", (bool,)),
    str: ("a word", (str,)),
}


def _fits(value: Any, annotation: Any) -> bool:
    """Whether `value` is of the annotated kind, as far as that is a plain one."""
    if annotation not in _PLAIN:
        return True
    if isinstance(value, bool):
        return annotation is bool
    return isinstance(value, _PLAIN[annotation][1])
