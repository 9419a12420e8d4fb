"""Randomly changed copies of training pictures together with their masks.

Shapes: H height and W width in pixels, C channels.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.augmentation.offline import copy_seed, decoded, drawn_values
from dnncli.augmentation.policies import Policy
from dnncli.data.dataset import Dataset
from dnncli.data.mask_writer import GROUP_COLUMNS
from dnncli.data.windows import Pair

COLUMNS = (*GROUP_COLUMNS, "policy", "seed", "parameters")

MaskCopy = Callable[[int, int], tuple[NDArray[np.uint8], NDArray[np.uint8], dict[str, Any]]]


def mask_copier(dataset: Dataset, policy: Policy, *, seed: int) -> MaskCopy:
    """The function (row, copy number) -> pixels (H, W, C), mask (H, W), what was drawn.

    Pictures keep their own size; grey ones stay grey.

    Raises:
        ConfigError: if masks cannot follow a step of the policy.
    """
    import tensorflow as tf

    from dnncli.augmentation.apply import recorded_joint

    masks = dataset.masks
    if masks is None:
        raise ValueError(f"{dataset.root}: this data set has no masks.")

    @cache
    def traced(channels: int) -> Any:
        run = recorded_joint(policy, height_width=None, channels=channels, value_range=(0.0, 255.0))
        shapes = [
            tf.TensorSpec((1, None, None, channels), tf.float32),
            tf.TensorSpec((1, None, None), tf.uint8),
            tf.TensorSpec((2,), tf.int32),
        ]
        return tf.function(run, input_signature=shapes, autograph=False)

    @lru_cache(maxsize=1)  # a picture is decoded once for all of its copies
    def source(row: int) -> Pair:
        return decoded(dataset, row), masks.read(row)

    def copy(row: int, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], dict[str, Any]]:
        picture, mask = source(row)
        key = np.array(copy_seed(seed, dataset.ids[row], number), np.int32)
        run = traced(picture.shape[2])
        images, moved, record = run(picture[np.newaxis].astype(np.float32), mask[np.newaxis], key)
        pixels = np.clip(np.rint(images[0]), 0, 255).astype(np.uint8)
        return pixels, moved[0].numpy(), drawn_values(record)

    return copy
