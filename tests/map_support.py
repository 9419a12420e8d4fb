"""Small masks and maps in files."""

import numpy as np
from PIL import Image


def write_pictures(folder, **pictures):
    """Write one grey PNG per keyword; "train__a" is the id train/a."""
    for name, values in pictures.items():
        file = folder / f"{name.replace('__', '/')}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array(values, np.uint8)).save(file)
    return folder


def read_picture(file):
    return np.asarray(Image.open(file)).tolist()
