"""Every setting of a training run: names, defaults, limits, and how files and flags merge."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from dnncli import registry
from dnncli.errors import ConfigError
from dnncli.urls import told

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Recall = Annotated[float, Field(gt=0, le=1)]
Confidence = Annotated[float, Field(gt=0, lt=1)]

STEADY_SCHEDULES = ("constant", "plateau")  # all others end with a low rate at a known update
LARGEST_SIDE = 8192  # pixels; more could not be held in memory as one batch
Epochs = Annotated[int, Field(ge=0)]
Normalize = Literal["auto", "minmax", "minmax-signed", "zscore", "unit", "none"]
Resize = Literal["auto", "stretch", "crop", "pad", "tile"]
Cache = Literal["auto", "memory", "disk", "none"]
Overlap = Annotated[float, Field(ge=0, le=0.9)]
Annotators = Literal["majority", "at-least", "staple", "mean"]
Attention = Literal["none", "se", "eca", "cbam"]
ClassWeight = str | dict[str, NonNegative]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Monitor = Literal["auto", "f", "accuracy", "loss", "precision-at-recall"]


class Config:
    """Base of all sections: unknown settings are errors."""

    __pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


@dataclass(frozen=True, kw_only=True)
class DataConfig(Config):
    """Which pictures to read, and what the network gets to see."""

    path: str = ""  # filled in by the command line
    task: Literal["auto", "classify", "segment", "edges"] = "auto"  # auto: from the layout
    validation: str = ""  # a second data set to validate on; empty: the val split of `path`
    split: str = ""  # a split.csv to use; empty: the declared splits, else a new split
    classes: tuple[str, ...] = ()  # declared order; empty: class names sorted
    image_size: tuple[Count, Count] | None = None  # height, width; None: from the pictures, <= 128
    color: Literal["auto", "rgb", "grayscale"] = "auto"  # auto: grayscale if no picture has colour
    resize: Resize = "auto"  # to image_size; auto: stretch, with masks tile
    overlap: Overlap = 0.25  # of neighbouring tiles at prediction, share of their sides
    foreground: Fraction = 0.33  # share of training windows that show more than background
    normalize: Normalize = "auto"  # auto: minmax; ready weights bring their own
    val: Fraction = 0.15  # share of the rows that are not test
    test: Fraction = 0.15  # share of a set without declared splits
    group_by: str = ""  # "parent", a regular expression with one group, or empty
    on_bad: Literal["skip", "error"] = "skip"  # what to do about unreadable pictures
    max_pixels: Count = 178_956_970  # pictures with more pixels are not read
    annotators: Annotators | None = None  # how masks of several people become one; None: one each
    annotators_k: Count | None = None  # of at-least: so many must mark a pixel
    ignore_zone: bool = False  # pixels that annotators dispute are of no class
    cache: Cache = "auto"  # of decoded pictures: memory, disk, none; auto: as there is room
    cache_mb: Annotated[int, Field(ge=0)] = 96  # auto: kept in memory up to this size


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    """The network."""

    name: str = "auto"  # auto: cnn
    weights: str = "none"  # none, imagenet, or a file
    unfreeze: Epochs = 0  # epochs with all layers trainable, after those with a frozen backbone
    kernel_initializer: str = ""  # a Keras name; empty: he_normal
    padding: Literal["same", "valid"] = "same"  # of the convolutions
    batch_norm: bool | None = None  # after each convolution; None: as the network has it
    attention: Attention | None = None  # none, se, eca or cbam; None: as the network has it
    preset: str = ""  # a variant of the network, by name
    dropout: Fraction | None = None  # None: the network's own
    l1: NonNegative = 0.0  # adds l1 * sum |w| over kernels
    l2: NonNegative = 0.0  # adds l2 * sum w^2 over kernels
    options: dict[str, Any] = field(default_factory=dict)  # the network's own, by keyword


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Config):
    """Random changes of the training pictures."""

    policy: str = "auto"  # none, light, standard, strong, or a TOML file; auto: light


@dataclass(frozen=True, kw_only=True)
class LossConfig(Config):
    """What training minimises."""

    name: str = "auto"  # or a sum of masks' losses, a+b; auto: cross-entropy
    label_smoothing: Fraction | None = None  # e: targets become (1 - e) y + e / C; None: 0.1
    options: dict[str, Any] = field(default_factory=dict)  # the loss's own, by keyword


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Config):
    """How training minimises it."""

    name: str = "auto"  # any Keras optimizer, in lower case; auto: muon-conv for cnn, else adam
    learning_rate: Positive | None = None  # None: the optimizer's default for this tool
    momentum: Fraction | None = None  # sgd: 0.9 unless given
    schedule: str = "cosine"  # how the learning rate changes over the run
    warmup: NonNegative = 0.0  # epochs over which the rate rises from 0
    average: Fraction = 0.025  # share of the run over which weights are averaged; 0: not at all
    schedule_options: dict[str, Any] = field(default_factory=dict)  # the schedule's own, by keyword
    options: dict[str, Any] = field(default_factory=dict)  # Keras' own, by their own names
    multipliers: dict[str, NonNegative] = field(default_factory=dict)  # sgd: of the rate, by layer


@dataclass(frozen=True, kw_only=True)
class FitConfig(Config):
    """Arguments of Keras' `fit`, by their own names; `snapshots` and `time_budget` are ours."""

    batch_size: Count | Literal["full", "auto"] = "auto"  # pictures per update; auto: 16 to 64
    epochs: Epochs | None = None  # at most; None: from the data; 0: ready weights as they are
    verbose: Literal["auto", 0, 1, 2] = "auto"  # 0: silent, 1: a bar, 2: a line per epoch
    callbacks: tuple[str, ...] = ()  # import strings, "package.module:Class"
    validation_split: Fraction | None = None  # another name for data.val
    shuffle: bool = True  # a new order of the training rows each epoch
    class_weight: ClassWeight = "auto"  # none, balanced, a file, by class name; auto: by the regime
    sample_weight: bool = True  # use the data set's weight column, if it has one
    initial_epoch: Annotated[int, Field(ge=0)] = 0  # epochs that count as done
    steps_per_epoch: Count | None = None  # None: so many that every row comes once
    validation_steps: Count | None = None  # None: all validation rows
    validation_batch_size: Count | None = None  # None: batch_size, at least 128
    validation_freq: Count = 1  # epochs between validations
    time_budget: str = ""  # of the whole command, as 90s, 10m, 1.5h: epochs that fit; empty: none
    snapshots: Annotated[int, Field(ge=0)] = 0  # cosines in a row, a model kept after each; 0: none


@dataclass(frozen=True, kw_only=True)
class RegimeConfig(Config):
    """What counts as good: which score picks the best epoch, and when to stop."""

    name: Literal["balanced", "high-recall"] = "balanced"  # high-recall: `positive` is not missed
    positive: str = ""  # the class that must not be missed; thresholds.json is written for it
    recall: Recall = 0.95  # share of the positives that must be found
    confidence: Confidence = 0.95  # with which the certified threshold reaches `recall`
    beta: Positive = 1.0  # of the F score, averaged over the classes
    monitor: Monitor = "auto"  # picks the best epoch; auto: by the regime, f if balanced
    tolerance: NonNegative = 1.0  # standard errors; of epochs this near the best F, the last counts
    early_stop: Annotated[int, Field(ge=0)] | None = None  # epochs; 0: never; None: by the schedule
    saturation: Fraction = 0.0  # stop once training accuracy stays above this; 0: off
    saturation_patience: Count = 3  # epochs in a row


@dataclass(frozen=True, kw_only=True)
class RunConfig(Config):
    """The run itself."""

    out: str = ""  # the run folder; empty: runs/<data>-<model>[-2, -3 ...]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0  # every random choice follows from it
    backend: Literal["auto", "tensorflow", "jax"] = "auto"  # auto: KERAS_BACKEND, or tensorflow
    precision: Precision = "float32"  # of the layers' arithmetic; auto: as the processor has it
    deterministic: bool = False  # the same bits every time, at some cost in speed
    tensorboard: bool = True  # write logs for TensorBoard
    backup_seconds: NonNegative | None = None  # between backups; None: they cost at most 2 %


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Config):
    """All settings of `dnncli train`."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    augment: AugmentConfig = AugmentConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    fit: FitConfig = FitConfig()
    regime: RegimeConfig = RegimeConfig()
    run: RunConfig = RunConfig()


# Words of the command line and of `dnncli.train(...)` -> the setting each one stands for.
FLAGS = {
    "model": "model.name",
    "task": "data.task",
    "attention": "model.attention",
    "weights": "model.weights",
    "unfreeze": "model.unfreeze",
    "dropout": "model.dropout",
    "l1": "model.l1",
    "l2": "model.l2",
    "image_size": "data.image_size",
    "color": "data.color",
    "normalize": "data.normalize",
    "split": "data.split",
    "val": "data.val",
    "classes": "data.classes",
    "group_by": "data.group_by",
    "on_bad": "data.on_bad",
    "cache": "data.cache",
    "augment": "augment.policy",
    "optimizer": "optimizer.name",
    "lr": "optimizer.learning_rate",
    "momentum": "optimizer.momentum",
    "schedule": "optimizer.schedule",
    "loss": "loss.name",
    "batch_size": "fit.batch_size",
    "epochs": "fit.epochs",
    "time_budget": "fit.time_budget",
    "class_weight": "fit.class_weight",
    "early_stop": "regime.early_stop",
    "regime": "regime.name",
    "positive": "regime.positive",
    "recall": "regime.recall",
    "confidence": "regime.confidence",
    "beta": "regime.beta",
    "seed": "run.seed",
    "backend": "run.backend",
    "precision": "run.precision",
    "deterministic": "run.deterministic",
    "out": "run.out",
}

_ADAPTER = TypeAdapter(TrainConfig)
_SECTIONS = {entry.name: entry.type for entry in dataclasses.fields(TrainConfig)}


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of settings.

    Raises:
        ConfigError: if the file cannot be read or is no TOML; the line is named.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text. Give a TOML file.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}.") from error


def parse_setting(text: str) -> tuple[str, Any]:
    """Split `section.key=value`; the value is read as TOML, and as text where that fails."""
    key, equals, value = text.partition("=")
    if not equals or "." not in key:
        raise ConfigError(f"--set {text}: is not 'section.key=value', as in fit.epochs=20.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def merge(
    file: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    under: Mapping[str, Any] | None = None,
    source: str = "settings",
) -> TrainConfig:
    """Lay `settings` ("section.key" -> value) over the sections of `file`, and check everything.

    Args:
        file: sections.
        settings: "section.key" -> value, over the file.
        under: "section.key" -> value, under the file.
        source: for messages.

    Raises:
        ConfigError: names every wrong section, key, value and part name at once.
    """
    data: dict[str, Any] = {}
    for section, values in file.items():
        data[section] = dict(values) if isinstance(values, Mapping) else values
    for key, value in (under or {}).items():
        section, name = key.split(".")
        if isinstance(data.setdefault(section, {}), dict):
            data[section].setdefault(name, value)
    for key, value in settings.items():
        *parents, name = key.split(".")
        place = data
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{key}: '{parent}' is a setting, not a section.")
        place[name] = value
    try:
        config = _ADAPTER.validate_python(data)
    except ValidationError as error:
        raise ConfigError(f"{source}:", [_problem(entry) for entry in error.errors()]) from error
    return _check_parts(config)


def _problem(entry: Mapping[str, Any]) -> str:
    """One line for one of pydantic's errors: where, what was found, what is allowed."""
    # Alternatives of a union add their own names to the path; only settings are of interest.
    place = [str(part) for part in entry["loc"]][:2]
    where = ".".join(place)
    if entry["type"] == "unexpected_keyword_argument":
        known = known_settings(place[0]) if len(place) > 1 else list(_SECTIONS)
        hint = registry.suggest(place[-1], known) or _elsewhere(place[-1])
        kind = "setting" if len(place) > 1 else "section"
        return f"{where}: no such {kind}.{hint} Known: {', '.join(known)}."
    return f"{where}: {entry['msg']}. Got {entry['input']!r}."


def _elsewhere(name: str) -> str:
    homes = [section for section in _SECTIONS if name in known_settings(section)]
    return f" Did you mean '{homes[0]}.{name}'?" if homes else ""


def known_settings(section: str) -> list[str]:
    """The names of the settings of one section; empty if there is no such section."""
    kind = _SECTIONS.get(section)
    return [entry.name for entry in dataclasses.fields(kind)] if kind else []  # type: ignore[arg-type]


def _check_parts(config: TrainConfig) -> TrainConfig:
    """Check every name of a part, so that a typo never costs a slow import."""
    losses = registry.LOSSES | registry.MASK_LOSSES
    checks = (
        (registry.MODELS, config.model.name, "model", "auto"),
        (registry.INITIALIZERS, config.model.kernel_initializer, "kernel initializer", ""),
        *((losses, name, "loss", "auto") for name in config.loss.name.split("+")),
        (registry.OPTIMIZERS, config.optimizer.name, "optimizer", "auto"),
        (registry.SCHEDULES, config.optimizer.schedule, "schedule", ""),
    )
    problems = _annotator_problems(config.data)
    for table, name, kind, free in checks:
        if name == free:
            continue
        try:
            registry.check(table, name, kind=kind)
        except ConfigError as error:
            problems.append(str(error))
    policy = config.augment.policy
    if policy != "auto" and not policy.endswith(".toml"):
        try:
            registry.check(registry.POLICIES, policy, kind="augmentation policy")
        except ConfigError as error:
            problems.append(f"{error} A file's name ends in .toml.")
    if len(problems) == 1:
        raise ConfigError(problems[0])
    if problems:
        raise ConfigError("Settings that cannot be:", problems)
    return config


def _annotator_problems(data: DataConfig) -> list[str]:
    if (data.annotators == "at-least") != (data.annotators_k is not None):
        return ["data.annotators_k: is for annotators = 'at-least', which needs it."]
    if data.ignore_zone and data.annotators in (None, "mean"):
        return ["data.ignore_zone: is for annotators = 'majority', 'at-least' or 'staple'."]
    return []


def as_toml(config: TrainConfig) -> str:
    """The whole configuration as TOML, without unset settings (None); copies become URLs."""
    import tomli_w

    return told(tomli_w.dumps(_without_none(dataclasses.asdict(config))))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list | tuple):
        return [_without_none(entry) for entry in value]
    return value


def differences(old: TrainConfig, new: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Settings ("section.key") in which two configurations differ, with both values."""
    return {
        f"{section}.{key}": (before, getattr(getattr(new, section), key))
        for section in _SECTIONS
        for key, before in vars(getattr(old, section)).items()
        if before != getattr(getattr(new, section), key)
    }


def parse_size(text: str) -> tuple[int, int]:
    """`"96x128"` -> (96, 128) height, width in pixels; `"96"` -> (96, 96).

    Raises:
        ConfigError: if the text is not a size of at least 1x1 pixels.
    """
    parts: Sequence[str] = text.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise ConfigError(
            f"image size '{text}': write HEIGHTxWIDTH in pixels, as in 96x128, or 96."
        )
    size = int(parts[0]), int(parts[-1])
    if max(size) > LARGEST_SIDE:
        raise ConfigError(
            f"image size '{text}': at most {LARGEST_SIDE} pixels a side are possible."
        )
    return size
