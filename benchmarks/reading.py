"""Reading and decoding: pictures a second that reach training, beside the usual ways.

    python benchmarks/reading.py jpeg [--rounds 3] [--pictures 2048]
    python benchmarks/reading.py tfrecord [--rounds 3] [--pictures 8192]

jpeg: 500 x 375 photographs (made of those in PHOTOS, cut and enlarged) to float batches of 64 at
224 px, flipped, rotated by up to 10 degrees and made brighter or darker. Rivals: image_dataset_
from_directory with Keras' layers for that, and the decoder alone. tfrecord: 28 x 28 PNGs in one
file to batches; rival: a bare TFRecordDataset with decoding.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import turns

_SIZE, _BATCH = (224, 224), 64
_POLICY = """[[step]]
name = "flip"
mode = "horizontal"
[[step]]
name = "rotation"
factor = 0.0278
[[step]]
name = "brightness"
factor = 0.1
"""


def main() -> None:
    """Print the table, or be one of the contenders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("jpeg", "tfrecord"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--photos", type=Path, help="folder of photographs to make them of")
    parser.add_argument("--turn", nargs=2, metavar=("NAME", "DATA"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.turn:
        print(json.dumps(_TURNS[asked.turn[0]](asked.turn[1])))
        return
    with tempfile.TemporaryDirectory() as folder:
        if asked.kind == "jpeg":
            names = ("decoder alone", "image_dataset_from_directory + layers", "dnncli")
            _photographs(Path(folder), asked.photos, asked.pictures or 2048)
            data = folder
        else:
            names = ("TFRecordDataset + decode", "dnncli, TFRecord")
            data = str(_records(Path(folder), asked.pictures or 8192))
        script = [sys.executable, __file__, asked.kind, "--turn"]
        took = turns.alternate(
            {name: partial(turns.run, [*script, name, data]) for name in names},
            rounds=asked.rounds,
        )
    first = took[names[1 if asked.kind == "jpeg" else 0]]
    rows = [
        [name, *(cell for when in ("first", "later") for cell in _pair(found, first, when))]
        for name, found in took.items()
    ]
    head = ("", "first epoch, pictures/s", "ratio", "later epochs, pictures/s", "ratio")
    turns.report(f"reading {asked.kind}".replace(" ", "_"), head, rows)


def _pair(found: dict[str, float], first: dict[str, float], when: str) -> tuple[float, float]:
    return found[when], found[when] / first[when]


def _photographs(folder: Path, photos: Path, count: int) -> None:
    """Write `count` JPEGs of 500 x 375 in two classes."""
    from PIL import Image

    rng = np.random.default_rng(0)
    found = sorted(path for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    for index in range(count):
        with Image.open(found[index % len(found)]) as photo:
            width, height = photo.size
            left, top = rng.integers(width // 4), rng.integers(height // 4)
            box = (left, top, left + width * 3 // 4, top + height * 3 // 4)
            cut = photo.convert("RGB").resize(
                (500, 375), box=box, resample=Image.Resampling.LANCZOS
            )
        path = folder / "train" / f"class{index % 2}" / f"{index:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cut.save(path, quality=90)


def _records(folder: Path, count: int) -> Path:
    """Write a TFRecord data set of 28 x 28 PNGs, by `dnncli convert`."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8)
    np.savez(folder / "data.npz", x_train=images, y_train=np.arange(count) % 10)
    out = folder / "records"
    dnncli = [sys.executable, "-m", "dnncli", "data", "convert"]
    turns.run([*dnncli, str(folder / "data.npz"), str(out), "--to", "tfrecord"])
    return out


def _rates(count: int, one_epoch: Callable[[], None], first: float = 0.0) -> dict[str, float]:
    """Pictures a second of the first epoch, `first` seconds before it included, and of two more."""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        one_epoch()
        seconds.append(time.perf_counter() - began)
    return {"first": count / (seconds[0] + first), "later": 2 * count / sum(seconds[1:])}


def _decoder(data: str) -> dict[str, float]:
    from concurrent.futures import ThreadPoolExecutor

    import simplejpeg

    files = [path.read_bytes() for path in sorted(Path(data).rglob("*.jpg"))]

    def epoch() -> None:
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(simplejpeg.decode_jpeg, files):
                pass

    return _rates(len(files), epoch)


def _keras(data: str) -> dict[str, float]:
    import keras
    import tensorflow as tf

    began = time.perf_counter()
    batches = keras.utils.image_dataset_from_directory(
        f"{data}/train", image_size=_SIZE, batch_size=_BATCH, verbose=False
    )
    layers = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(0.0278),
            keras.layers.RandomBrightness(0.1),
            keras.layers.Rescaling(1 / 255),
        ]
    )
    count = len(batches.file_paths)
    batches = batches.map(lambda x, y: (layers(x, training=True), y), tf.data.AUTOTUNE)
    batches = batches.prefetch(tf.data.AUTOTUNE)
    ready = time.perf_counter() - began
    return _rates(count, lambda: [None for _ in batches] and None, ready)


def _dnncli(data: str) -> dict[str, float]:
    """Decoding into the cache and one augmented pass; then passes."""
    from dnncli.augmentation.apply import build
    from dnncli.augmentation.policies import load_policy
    from dnncli.data import pipeline
    from dnncli.data.detect import open_dataset

    began = time.perf_counter()
    dataset = open_dataset(Path(data))
    rows = np.arange(len(dataset))
    is_small = dataset.images.routes is not None and "records" in data
    size, channels = ((28, 28), 1) if is_small else (_SIZE, 3)
    form = pipeline.ImageFormat(height_width=size, channels=channels)
    loader = pipeline.Loader(dataset=dataset, image_format=form, workers=2)
    cached = np.empty((len(rows), *form.shape), np.uint8)
    pipeline.decode_once(loader, rows, into=cached)
    if is_small:  # what decodes a record is compared, not what augments
        once = time.perf_counter() - began

        def again() -> None:
            pipeline.decode_once(loader, rows, into=cached)

        found = _rates(len(rows), again)
        return {"first": len(rows) / once, "later": found["later"]}
    from dataclasses import replace

    loader = replace(loader, cached=cached, cached_rows=rows)
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder, "policy.toml")
        policy.write_text(_POLICY, encoding="utf-8")
        augment = build(
            load_policy(policy), height_width=size, channels=channels, value_range=(0, 255)
        )
    targets = pipeline.Targets(labels=dataset.labels, n_classes=len(dataset.class_names))
    steps = -(-len(rows) // _BATCH)
    source = iter(
        pipeline.shuffled(loader, rows, batch_size=_BATCH, targets=targets, seed=0, augment=augment)
    )
    ready = time.perf_counter() - began

    def epoch() -> None:
        for _ in range(steps):
            next(source)

    return _rates(len(rows), epoch, ready)


def _bare_records(data: str) -> dict[str, float]:
    import tensorflow as tf

    began = time.perf_counter()
    files = sorted(str(path) for path in Path(data).rglob("*.tfrecord*"))
    parsed = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}

    def decode(record):
        return tf.io.decode_png(tf.io.parse_single_example(record, parsed)["image/encoded"], 1)

    batches = tf.data.TFRecordDataset(files).map(decode, 2).batch(_BATCH).prefetch(2)
    count = sum(1 for _ in tf.data.TFRecordDataset(files))
    ready = time.perf_counter() - began
    return _rates(count, lambda: [None for _ in batches] and None, ready)


_TURNS = {
    "decoder alone": _decoder,
    "image_dataset_from_directory + layers": _keras,
    "dnncli": _dnncli,
    "TFRecordDataset + decode": _bare_records,
    "dnncli, TFRecord": _dnncli,
}

if __name__ == "__main__":
    main()
