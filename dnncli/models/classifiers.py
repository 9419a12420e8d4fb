"""Networks for classification that are trained from scratch.

Shapes: B pictures, H x W pixels, C channels. Every network takes a normalised (B, H, W, C) tensor
and returns (B, outputs) logits, and is made of Keras' own layers, so that a saved model loads
without this package.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import layers, ops  # noqa: TID253

from dnncli.errors import ModelError

# Keras' 0.99 needs thousands of updates to follow the batches; short runs have hundreds.
_BN_MOMENTUM = 0.9


@dataclass(frozen=True, kw_only=True)
class _Style:
    """How all convolutions of one network are made."""

    kernel_initializer: str
    padding: str  # same or valid
    batch_norm: bool

    def conv(self, x: Any, filters: int, size: int, *, name: str, strides: int = 1) -> Any:
        """A convolution; its bias is left to batch normalisation where that follows."""
        return layers.Conv2D(
            filters,
            size,
            strides,
            padding=self.padding,
            use_bias=not self.batch_norm,
            kernel_initializer=self.kernel_initializer,
            name=name,
        )(x)

    def norm(self, x: Any, *, name: str) -> Any:
        """Batch normalisation, if the network has it."""
        return layers.BatchNormalization(momentum=_BN_MOMENTUM, name=name)(x) if self.batch_norm else x

    def dense(self, x: Any, units: int, *, name: str) -> Any:
        """A fully connected layer."""
        return layers.Dense(
            units,
            use_bias=not self.batch_norm,
            kernel_initializer=self.kernel_initializer,
            name=name,
        )(x)


def head(x: Any, outputs: int, *, dropout: float, kernel_initializer: str) -> Any:
    """Dropout and the logits, in float32 also under mixed precision."""
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    initializer = kernel_initializer
    return layers.Dense(
        outputs, kernel_initializer=initializer, dtype="float32", name="logits"
    )(x)
