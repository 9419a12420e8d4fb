"""Parts of networks; importing them lets Keras load models that have our own layers."""

from dnncli.networks.blocks.attention import attend, cbam, eca, eca_kernel, se
from dnncli.networks.blocks.deformable import DeformableConv2D
from dnncli.networks.blocks.residual import identity_block, normalize, projection_block
from dnncli.networks.blocks.resize import (
    BilinearUpsampling,
    CropLike,
    PadToMultiple,
    learned_upsampling,
)

__all__ = [
    "BilinearUpsampling",
    "CropLike",
    "DeformableConv2D",
    "PadToMultiple",
    "attend",
    "cbam",
    "eca",
    "eca_kernel",
    "identity_block",
    "learned_upsampling",
    "normalize",
    "projection_block",
    "se",
]
