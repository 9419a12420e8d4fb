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

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]

NORMALIZATIONS = ("auto", "minmax", "minmax-signed", "zscore", "unit", "none")


class Config:
    """Base of all sections: unknown settings are errors."""

    __pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


@dataclass(frozen=True, kw_only=True)
class DataConfig(Config):
    """Which pictures to read, and what the network gets to see."""

    path: str = ""  # filled in by the command line
    validation: str = ""  # a second data set to validate on; empty: the val split of `path`
    split: str = ""  # a split.csv to use; empty: the declared splits, else a new split
    classes: tuple[str, ...] = ()  # declared order; empty: class names sorted
    image_size: tuple[Count, Count] | None = None  # height, width; None: from the pictures, <= 128
    color: Literal["auto", "rgb", "grayscale"] = "auto"  # auto: grayscale if no picture has colour
    resize: Literal["stretch", "crop", "pad"] = "stretch"  # how a picture gets to image_size
    normalize: Literal["auto", "minmax", "minmax-signed", "zscore", "unit", "none"] = "auto"
    val: Fraction = 0.15  # share of the rows that are not test
    test: Fraction = 0.15  # share of a set without declared splits
    group_by: str = ""  # "parent", a regular expression with one group, or empty
    on_bad: Literal["skip", "error"] = "skip"
    max_pixels: Count = 178_956_970  # pictures with more pixels are not read
    cache_mb: Annotated[int, Field(ge=0)] = 96  # decoded pictures kept in memory up to this size


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    """The network."""

    name: str = "auto"  # auto: cnn
    weights: str = "none"  # none, imagenet, or a file
    unfreeze: Annotated[int, Field(ge=0)] = 0  # epochs with a frozen backbone come first, then these
    kernel_initializer: str = ""  # empty: the network's own (he_normal for ReLU networks)
    padding: Literal["same", "valid"] = "same"
    batch_norm: bool = True
    dropout: Fraction | None = None  # None: the network's own
    l1: NonNegative = 0.0  # adds l1 * sum |w| over kernels
    l2: NonNegative = 0.0  # adds l2 * sum w^2 over kernels
    options: dict[str, Any] = field(default_factory=dict)  # the network's own, by keyword


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Config):
    """Random changes of the training pictures."""

    policy: str = "light"  # none, light, standard, strong, or a TOML file


@dataclass(frozen=True, kw_only=True)
class LossConfig(Config):
    """What training minimises."""

    name: str = "auto"  # auto: cross-entropy
    label_smoothing: Fraction = 0.0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Config):
    """How training minimises it."""

    name: str = "adam"
    learning_rate: Positive | None = None  # None: the optimizer's default for this tool
    momentum: Fraction | None = None  # sgd: 0.9 unless given
    schedule: str = "cosine"
    warmup: NonNegative = 0.0  # epochs over which the rate rises from 0
    options: dict[str, Any] = field(default_factory=dict)  # Keras' own, by their own names


@dataclass(frozen=True, kw_only=True)
class FitConfig(Config):
    """Arguments of Keras' `fit`, by their own names."""

    batch_size: Count | Literal["full"] = 32  # pictures per update
    epochs: Count = 100
    verbose: Literal["auto", 0, 1, 2] = "auto"
    callbacks: tuple[str, ...] = ()  # import strings, "package.module:Class"
    validation_split: Fraction | None = None  # another name for data.val
    shuffle: bool = True
    class_weight: Literal["none", "balanced"] | dict[str, NonNegative] = "none"
    sample_weight: bool = True  # use the data set's weight column, if it has one
    initial_epoch: Annotated[int, Field(ge=0)] = 0
    steps_per_epoch: Count | None = None
    validation_steps: Count | None = None
    validation_batch_size: Count | None = None
    validation_freq: Count = 1


@dataclass(frozen=True, kw_only=True)
class RegimeConfig(Config):
    """What counts as good: which score picks the best epoch, and when to stop."""

    beta: Positive = 1.0  # the F score's beta
    monitor: Literal["auto", "loss", "accuracy", "f"] = "auto"  # auto: f if beta was given, else loss
    early_stop: Annotated[int, Field(ge=0)] = 20  # epochs without improvement; 0: never
    saturation: Fraction = 0.0  # stop once training accuracy stays above this; 0: off
    saturation_patience: Count = 3


@dataclass(frozen=True, kw_only=True)
class RunConfig(Config):
    """The run itself."""

    out: str = ""  # the run folder; empty: runs/<data>-<model>[-2, -3 ...]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    deterministic: bool = False
    tensorboard: bool = True


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
