"""Model files of masks and edges whose answers are known exactly, and pictures for them."""

import numpy as np
from PIL import Image

from dnncli.config import TrainConfig, as_toml
from dnncli.data.detect import open_dataset
from dnncli.networks.files import save_model
from dnncli.rundir import RunDir

DARK, BRIGHT = 0, 255


def write_dark_model(path, *, task="segment", classes=None, values=(0, 255), void=128, **card):
    """A model for which a pixel is of the second class as surely as it is dark: p = 1 - x / 255."""
    import keras

    inputs = keras.Input((None, None, 1))
    dark = keras.layers.Rescaling(-1 / 255, offset=1.0)(inputs)
    bright = keras.layers.Rescaling(-1.0, offset=1.0)(dark)
    probs = keras.layers.Concatenate()([bright, dark])
    classes = classes or ("background", "edge" if task == "edges" else "crack")
    return write_model(
        path, inputs, probs, task=task, classes=classes, values=values, void=void, **card
    )


def write_colour_model(path, *, classes, values, void, **card):
    """A model of three classes whose shares are the colours of a pixel."""
    import keras

    inputs = keras.Input((None, None, 3))
    probs = keras.layers.Rescaling(1 / 255)(inputs)
    return write_model(
        path, inputs, probs, channels=3, classes=classes, values=values, void=void, **card
    )


def write_model(path, inputs, probs, *, task="segment", classes, values, void, **card):
    import keras

    path.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "schema": "dnncli.model/1",
        "task": task,
        "classes": list(classes),
        "channels": 1,
        "input_range": [0, 255],
        "model": "known",
        "data_fingerprint": "other",
        "window": [16, 16],
        "resize": "tile",
        "overlap": 0.25,
        "values": list(values),
        "void": void,
        "maps": 1,
    }
    save_model(keras.Model(inputs, probs), path, about | card)
    return path


def write_run(folder, data, *, task="segment", **card):
    """A finished run on `data`, all of it test rows, whose model is known."""
    dataset = open_dataset(data, task=task)
    card = {"data_fingerprint": dataset.fingerprint, "classes": dataset.class_names} | card
    write_dark_model(folder / "best.keras", task=task, **card)
    run = RunDir(folder)
    run.config.write_text(as_toml(TrainConfig()))
    rows = "".join(f"{name},,test,\n" for name in dataset.ids)
    run.split.write_text(f"id,label,split,group\n{rows}")
    run.update(state="done", data=str(data.resolve()))
    return folder


def write_pairs(folder, *, drawn="masks", **pairs):
    """Write images/NAME.png and masks/NAME.png of each (picture, mask); "a__b" is a/b."""
    for name, (picture, mask) in pairs.items():
        write_png(folder / "images" / f"{name.replace('__', '/')}.png", picture)
        if mask is not None:
            write_png(folder / drawn / f"{name.replace('__', '/')}.png", mask)
    return folder


def write_png(file, values):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(file)


def read_png(file):
    return np.asarray(Image.open(file))


def dark_square(height=20, width=30, *, top=5, left=10, side=6):
    """A bright picture with a dark square, and a mask of 0 and 255 that shows it."""
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + side, left : left + side] = 255
    return 255 - mask, mask
