"""The default network with the ingredients of speed runs, each to be switched; `speedrun:cnn`."""

from typing import Any

import keras  # noqa: TID253
import numpy as np
from keras import layers  # noqa: TID253
from numpy.typing import NDArray

_PATCHES = 5000


def cnn(
    inputs: Any,
    *,
    outputs: int,
    activation: str = "relu",
    whiten: str = "",
    dirac: bool = False,
    momentum: float = 0.9,
) -> Any:
    """dnncli's `cnn` for 28 x 28 pixels: (B, 28, 28, C) -> (B, outputs) logits.

    Args:
        inputs: pictures, normalised.
        outputs: classes.
        activation: after each normalisation; a Keras name.
        whiten: arrays (`x_train`) whose patches of 3 x 3 pixels a fixed first layer whitens, as
            airbench does (Jordan 2024, https://arxiv.org/abs/2404.00498); empty: none.
        dirac: convolutions begin as the identity on as many channels as there are.
        momentum: of batch normalisation.
    """
    x = inputs
    if whiten:
        kernel = whitening(np.load(whiten)["x_train"] / 255.0)
        fixed = layers.Conv2D(kernel.shape[-1], 3, padding="same", use_bias=False, trainable=False)
        x = fixed(x)
        fixed.set_weights([kernel])
        x = layers.Activation(activation)(x)
    for filters, strides in ((32, 2), (64, 1), (64, 2), (128, 1), (128, 2)):
        if strides > 1:
            x = layers.ZeroPadding2D(1)(x)
        padding = "valid" if strides > 1 else "same"
        start = Dirac() if dirac else "he_normal"
        x = layers.Conv2D(
            filters, 3, strides, padding=padding, use_bias=False, kernel_initializer=start
        )(x)
        x = layers.Activation(activation)(layers.BatchNormalization(momentum=momentum)(x))
    return layers.Dense(outputs)(layers.Dropout(0.2)(layers.Flatten()(x)))


class Dirac(keras.initializers.Initializer):
    """Filter i passes channel i on, as far as there are channels; the rest is he_normal."""

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """The kernel (h, w, in, out)."""
        kernel = np.array(keras.initializers.HeNormal(seed=0)(shape, dtype="float32"))
        same = min(shape[2:])
        kernel[..., :same] = 0
        kernel[shape[0] // 2, shape[1] // 2, range(same), range(same)] = 1
        return keras.ops.convert_to_tensor(kernel, dtype=dtype or "float32")


def whitening(pictures: NDArray) -> NDArray:
    """Filters (3, 3, C, 18 C) that whiten patches of 3 x 3 pixels: eigenvectors and negatives."""
    rng = np.random.default_rng(0)
    count, height, width, channels = pictures.shape
    rows, tops = rng.integers(count, size=_PATCHES), rng.integers(height - 2, size=_PATCHES)
    lefts = rng.integers(width - 2, size=_PATCHES)
    patches = np.stack(
        [pictures[row, top : top + 3, left : left + 3] for row, top, left in zip(rows, tops, lefts)]
    ).reshape(_PATCHES, -1)
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    filters = (vectors / np.sqrt(values + 5e-4)).reshape(3, 3, channels, -1)
    return np.concatenate([filters, -filters], axis=-1).astype("float32")
