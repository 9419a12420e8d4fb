"""Bringing pixel values to the scale a network learns well on, as layers saved inside the model.

Shapes: B pictures of height H, width W and C channels. Fit on training rows only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import ConfigError, DataError
from dnncli.registry import unknown

if TYPE_CHECKING:
    import keras

METHODS = ("minmax", "minmax-signed", "zscore", "unit", "none")

# Keras divides by max(sd, 1e-7), which blows up whatever a channel that was constant in training
# shows later. Dividing by this instead gives 0.
_CONSTANT = 1e18
_TINY = 1e-12  # Keras' UnitNormalization divides by at least sqrt(1e-12)


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """One method and the numbers it was fitted to; JSON through `dataclasses.asdict`."""

    name: str
    minimum: float | None = None  # of the pixel values; minmax and minmax-signed
    maximum: float | None = None
    mean: tuple[float, ...] = ()  # (C,) zscore
    sd: tuple[float, ...] = ()  # (C,) zscore; population standard deviation, 0 if constant


def fit_normalization(
    name: str,
    batches: Iterable[NDArray],
    *,
    known_range: tuple[float, float] | None,
) -> Normalization:
    """Fit a method to the training pictures, reading them once and keeping none.

    Args:
        name: one of `METHODS`.
        batches: training pictures, each (B, H, W, C) of any real dtype; read only if needed.
        known_range: the values the pixels can take, (0, 255) for 8-bit pictures. Min-max then
            does not look at the pictures. None: minimum and maximum are taken from them.

    Raises:
        ConfigError: if the method is unknown.
        DataError: if there is no picture to fit on, or one holds NaN or infinity.
    """
    if name not in METHODS:
        raise ConfigError(unknown(name, METHODS, kind="normalisation"))
    if name == "zscore":
        mean, sd = _moments(batches)
        return Normalization(name=name, mean=mean, sd=sd)
    if name.startswith("minmax"):
        low, high = known_range if known_range is not None else _extremes(batches)
        return Normalization(name=name, minimum=float(low), maximum=float(high))
    return Normalization(name=name)


def apply(normalization: Normalization, images: NDArray) -> NDArray[np.float32]:
    """What the layers compute, in NumPy: images (B, H, W, C) -> float32 of the same shape.

    With x one pixel value, and m, s, min, max fitted on the training rows:

        minmax         (x - min) / (max - min)            0 if max = min
        minmax-signed  2 (x - min) / (max - min) - 1      0 if max = min
        zscore         (x - m_c) / s_c for channel c      0 if s_c = 0
        unit           x / ||picture||_2                  0 if the picture is all 0
    """
    values = np.asarray(images, np.float64)
    match normalization.name:
        case "minmax" | "minmax-signed":
            scale, offset = _scale_offset(normalization)
            values = (values - _low(normalization)) * scale + offset
        case "zscore":
            sd = np.asarray(normalization.sd)
            centred = values - np.asarray(normalization.mean)
            values = np.divide(centred, sd, out=np.zeros_like(centred), where=sd > 0)
        case "unit":
            squares = np.sum(values**2, axis=(1, 2, 3), keepdims=True)
            values = values / np.sqrt(np.maximum(squares, _TINY))
    return values.astype(np.float32)


def layers(normalization: Normalization) -> list["keras.Layer"]:
    """Keras' own layers that compute `apply`: the front of the network, saved with it.

    They compute in float32 whatever the precision of the run: half precision cannot count to 255
    in steps fine enough, and the squares of a picture overflow it.
    """
    from keras import layers as keras_layers

    match normalization.name:
        case "minmax" | "minmax-signed":
            scale, offset = _scale_offset(normalization)
            stack = [keras_layers.Rescaling(scale, offset=offset, dtype="float32")]
            if low := _low(normalization):
                # Subtracting first keeps the digits that x * scale - low * scale would lose.
                stack.insert(0, keras_layers.Rescaling(1.0, offset=-low, dtype="float32"))
            return stack
        case "zscore":
            deviations = [sd if sd > 0 else _CONSTANT for sd in normalization.sd]
            return [
                keras_layers.Normalization(
                    axis=-1,
                    mean=list(normalization.mean),
                    variance=[sd**2 for sd in deviations],
                    dtype="float32",
                )
            ]
        case "unit":
            return [keras_layers.UnitNormalization(axis=[1, 2, 3], dtype="float32")]
    return []


def _low(normalization: Normalization) -> float:
    if normalization.minimum is None:
        raise ValueError(f"{normalization.name} was not fitted: minimum is None.")
    return normalization.minimum


def _scale_offset(normalization: Normalization) -> tuple[float, float]:
    low, high = normalization.minimum, normalization.maximum
    if low is None or high is None:
        raise ValueError(f"{normalization.name} was not fitted: minimum or maximum is None.")
    if high <= low:
        return 0.0, 0.0
    signed = normalization.name == "minmax-signed"
    return (2.0 if signed else 1.0) / (high - low), -1.0 if signed else 0.0


def _finite(batches: Iterable[NDArray]) -> Iterable[NDArray]:
    for batch in batches:
        if not np.isfinite(batch).all():
            raise DataError(
                "A training picture holds NaN or infinite pixel values, so no normalisation can "
                "be fitted. Find it with 'dnncli data inspect' and repair or remove it."
            )
        if batch.size:
            yield batch


def _extremes(batches: Iterable[NDArray]) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for batch in _finite(batches):
        low, high = min(low, float(batch.min())), max(high, float(batch.max()))
    if low > high:
        raise DataError("No training picture to fit the normalisation on.")
    return low, high


def _moments(batches: Iterable[NDArray]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation of each channel, merged batch by batch.

    Source: Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for
    computing sample variances", eq. 2.1.
    """
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for batch in _finite(batches):
        pixels = batch.reshape(-1, batch.shape[-1]).astype(np.float64)
        centre = pixels.mean(axis=0)
        spread = ((pixels - centre) ** 2).sum(axis=0)
        total = count + len(pixels)
        difference = centre - mean
        mean = mean + difference * (len(pixels) / total)
        squares = squares + spread + difference**2 * (count * len(pixels) / total)
        count = total
    if count == 0:
        raise DataError("No training picture to fit the normalisation on.")
    sd = np.sqrt(squares / count)
    # A constant channel must not get a deviation out of rounding alone.
    sd[sd <= 1e-12 * np.abs(mean)] = 0.0
    return tuple(mean.tolist()), tuple(sd.tolist())
