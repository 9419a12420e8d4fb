"""Small masks and maps in files."""

import json

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


def write_squares(root, *, folder="masks", n=8, size=(24, 20), empty=False):
    """White squares on grey noise; every picture has one, at another place."""
    rng = np.random.default_rng(0)
    for split, count in (("train", n), ("test", 2)):
        for row in range(count):
            mask = np.zeros(size, np.uint8)
            if not empty:
                top, left = rng.integers(0, size[0] - 8), rng.integers(0, size[1] - 8)
                mask[top : top + 8, left : left + 8] = 255
            picture = np.where(mask, 230, rng.integers(0, 90, size)).astype(np.uint8)
            for name, pixels in (("images", picture), (folder, mask)):
                file = root / split / name / f"{row}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(file)
    return root


def write_masked_split(folder):
    """Two training pictures and a test picture with masks of 0 and 255; returns the folder."""
    write_pictures(folder / "train" / "images", a=[[9, 8]], sub__b=[[7], [6]])
    write_pictures(folder / "train" / "masks", a=[[0, 255]], sub__b=[[0], [0]])
    write_pictures(folder / "test" / "images", c=[[5, 5, 5]])
    write_pictures(folder / "test" / "masks", c=[[255, 0, 255]])
    return folder


def declare(folder, classes, **more):
    """Write the `classes.json` of a folder."""
    (folder / "classes.json").write_text(json.dumps({"classes": classes, **more}))
