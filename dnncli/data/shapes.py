"""The size and the channels that a network gets to see, where nobody chose them."""

import numpy as np

from dnncli.data.dataset import ArrayImages, Dataset

LONGEST = 128  # pixels of the longer side
_SMALLEST = 8  # pixels; fewer leave nothing for a network to look at


def default_image_size(dataset: Dataset) -> tuple[int, int]:
    """Height and width in pixels: the pictures' own size, if they are alike, else the median.

    Sizes with a side above 128 are scaled down to it, keeping the aspect ratio, to multiples of 8.
    """
    if isinstance(dataset.images, ArrayImages):
        height, width = dataset.images.height_width
    else:
        height, width = np.median(dataset.images.sizes, axis=0).round().astype(int).tolist()
    longer = max(height, width)
    if longer > LONGEST:
        height, width = (round(side * LONGEST / longer / 8) * 8 for side in (height, width))
    return max(height, _SMALLEST), max(width, _SMALLEST)


def default_channels(dataset: Dataset) -> int:
    """1 if no picture has colour, else 3."""
    images = dataset.images
    if isinstance(images, ArrayImages):
        return 1 if images.channels == 1 else 3
    return 1 if images.grey.all() else 3
