"""One picture of a data set at a time, without TensorFlow: its encoded bytes, or its pixels."""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import ArrayImages, FileImages, Images
from dnncli.errors import DataError


def encoded(images: Images, row: int) -> bytes:
    """The picture of one row as a file: as it is stored, or as PNG if it is an array.

    Raises:
        DataError: if an array is not 8-bit, which no file here could hold unchanged.
    """
    if isinstance(images, FileImages):
        return Path(images.path(row)).read_bytes()
    if isinstance(images, ArrayImages):
        return to_png(pixels(images, row, channels=images.channels))
    with Path(images.files[images.file[row]]).open("rb") as file:
        file.seek(int(images.offsets[row]))
        return file.read(int(images.lengths[row]))


def pixels(images: Images, row: int, *, channels: int) -> NDArray:
    """(H, W, C) pixels of one row, as training sees them before they are sized.

    Args:
        channels: 1 or 3. Arrays keep their own channels and dtype.

    Raises:
        DataError: if the picture cannot be decoded.
    """
    if isinstance(images, ArrayImages):
        picture = images.arrays[images.array[row]][images.rows[row]]
        return np.asarray(picture).reshape(*images.height_width, images.channels)
    from dnncli.data.decode import decode_pillow

    return decode_pillow(encoded(images, row), channels=channels)


def to_png(picture: NDArray) -> bytes:
    """An (H, W, 1 or 3) uint8 picture as a PNG file.

    Raises:
        DataError: if it is not 8-bit.
    """
    from PIL import Image

    if picture.dtype != np.uint8:
        raise DataError(
            f"Pixels are {picture.dtype}: picture files hold 8-bit values. Convert to numpy, or "
            "scale the array to 0..255 and save it as uint8."
        )
    file = BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(file, "PNG")
    return file.getvalue()
