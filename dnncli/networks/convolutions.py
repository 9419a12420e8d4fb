"""How the convolutions of a network are made, and the pictures they need."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import layers  # noqa: TID253

from dnncli.errors import ModelError
from dnncli.networks.blocks.momentum import BN_MOMENTUM


@dataclass(frozen=True, kw_only=True)
class Convolutions:
    """How the convolutions of one network are made."""

    kernel_initializer: str
    padding: str  # same or valid
    batch_norm: bool

    def conv(self, x: Any, filters: int, *, name: str, size: int = 3, strides: int = 1) -> Any:
        """A convolution; its bias is left to batch normalisation where that follows."""
        padding = self.padding
        if padding == "same" and strides > 1:
            # "same" would start at the second pixel of even sizes; the shortcut takes the first.
            x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
            padding = "valid"
        return layers.Conv2D(
            filters,
            size,
            strides,
            padding=padding,
            use_bias=not self.batch_norm,
            kernel_initializer=self.kernel_initializer,
            name=name,
        )(x)

    @property
    def reach(self) -> int:
        """Pixels that a convolution of size 3 needs at least."""
        return 3 if self.padding == "valid" else 1

    def norm(self, x: Any, *, name: str) -> Any:
        """Batch normalisation, if the network has it."""
        if not self.batch_norm:
            return x
        return layers.BatchNormalization(momentum=BN_MOMENTUM, name=name)(x)


def check_size(
    name: str, inputs: Any, *, steps: Sequence[tuple[int, int]], style: Convolutions
) -> None:
    """Raise ModelError if the pictures shrink to nothing on their way.

    Args:
        name: of the network.
        inputs: (B, H, W, C).
        steps: pixels that a layer needs at least, and its stride, on the longest way.
        style: of the convolutions.
    """
    least = smallest(steps)
    height, width = inputs.shape[1:3]
    if None not in (height, width) and min(height, width) < least:
        same = ", or --set model.padding=same" if style.padding == "valid" else ""
        raise ModelError(
            f"image size {height}x{width} is too small for {name} with padding '{style.padding}': "
            f"it needs at least {least}x{least}. Use --image-size {least}x{least}"
            f"{same}."
        )


def smallest(steps: Sequence[tuple[int, int]]) -> int:
    """Pixels a side that leave at least one after all steps (pixels needed, stride)."""
    least = 1
    for size, stride in reversed(steps):
        least = (least - 1) * stride + size
    return least
