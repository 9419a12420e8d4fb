"""Sound files of every kind that is read, ways to damage them, and what reads them."""

import io
import json
import signal
import struct
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dnncli.errors import DnncliError

SECONDS = 2.0  # longer is a hang
PIECES = (
    *(b"", b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80", b"\n", b"\r\n", b","),
    *(b'"', b"'", b"\t", b";", b"NaN", b"nan", b"inf", b"-1", b"1e999", b"99999999999999999999"),
    *(b"null", b"true", b"{}", b"[]", b"[[", b"{", b"]", b"=", b"[a.b]", b"\xed\xa0\x80", b"\xc3"),
    *(b"id", b"label", b"path", b"0", b"1", b"0.5", b"../../x", b"/", b"\\u0000", b'"\\ud800"'),
)
VALUES = (
    *(None, True, 0, -1, 10**30, 1.5, float("nan"), "", "x", "\0", "../x", "a:b", [], [[]], {}),
    *([None], {"x": None}, ["a", 1], "9" * 50),
)


@dataclass(frozen=True)
class Reader:
    """What reads a kind of file."""

    file: str  # name that the damaged bytes get
    samples: tuple[bytes, ...]
    read: Callable[[Path], object]


def damaged(data: bytes, edits: list[tuple[int, int, int]]) -> bytes:
    """`data` after some edits (what, where, with): cut, change, insert, repeat, replace a value."""
    for what, where, how in edits:
        place = where % (len(data) + 1)
        piece = PIECES[how % len(PIECES)]
        match what % 7:
            case 0:
                data = data[:place]
            case 1:
                data = data[:place] + bytes([how % 256]) + data[place + 1 :]
            case 2:
                data = data[:place] + piece + data[place:]
            case 3:
                data = data[:place] + piece + data[place + max(len(piece), 1) :]
            case 4:
                data = data[:place] + data[max(0, place - how % 64) :]
            case 5:
                data = data[:place] + struct.pack("<I", how * 65_537) + data[place + 4 :]
            case _:
                data = _other_value(data, where, how)
    return data


def _other_value(data: bytes, where: int, how: int) -> bytes:
    """JSON with one value replaced or one key removed; other data as it is."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return data
    places: list[tuple] = [(None, None)]
    waiting = [tree] if isinstance(tree, dict | list) else []
    while waiting:
        entry = waiting.pop()
        keys = list(entry) if isinstance(entry, dict) else list(range(len(entry)))
        places += [(entry, key) for key in keys]
        waiting += [entry[key] for key in keys if isinstance(entry[key], dict | list)]
    holder, key = places[where % len(places)]
    if holder is None:
        tree = VALUES[how % len(VALUES)]
    elif how % 5 == 0:
        del holder[key]
    else:
        holder[key] = VALUES[how % len(VALUES)]
    return json.dumps(tree).encode()


def trouble(reader: Reader, folder: Path, data: bytes) -> str:
    """What reading damaged bytes did that it must not do; empty if it answered or refused."""
    path = folder / reader.file
    path.write_bytes(data)

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 10 * SECONDS)
    began = time.monotonic()
    try:
        reader.read(path)
    except (DnncliError, OSError) as error:
        if isinstance(error, TimeoutError):
            return "hangs"
        str(error).encode("utf-8", "backslashreplace")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    took = time.monotonic() - began
    return f"takes {took:.1f} s" if took > 10 * SECONDS else ""


def _npz(*, packed: bool = False, **arrays: object) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def _picture(kind: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def _card() -> bytes:
    buffer = io.BytesIO()
    card = {"task": "classify", "classes": ["a", "b"], "image_size": [8, 8]}
    layers = [{"class_name": "Dense", "module": "keras.layers", "config": {"units": 2}}]
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("config.json", json.dumps({"config": {"dnncli": card, "layers": layers}}))
        file.writestr("metadata.json", "{}")
    return buffer.getvalue()


def _parquet(frame: object) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def readers(root: Path) -> dict[str, Reader]:
    """Name -> reader; `root` gets what the files point to."""
    import polars as pl

    from dnncli import config, rundir
    from dnncli.augmentation.policies import load_policy
    from dnncli.data.decode import decode_pillow
    from dnncli.data.detect import open_dataset
    from dnncli.data.header import look
    from dnncli.data.labels import read_class_names
    from dnncli.data.maps import open_maps
    from dnncli.data.predictions import read_predictions, read_truth
    from dnncli.data.record_writer import write_records
    from dnncli.data.split import apply_split
    from dnncli.networks.files import read_card
    from dnncli.thresholds import read_thresholds
    from dnncli.training import backup

    for name in ("a", "b"):
        (root / "pictures" / name).mkdir(parents=True)
        for row in range(2):
            (root / "pictures" / name / f"{row}.png").write_bytes(_picture("PNG"))
    dataset = open_dataset(root / "pictures")
    (root / "records").mkdir()
    pictures = root / "pictures"
    write_records(
        dataset,
        root / "records",
        name="d",
        shards=1,
        picture=lambda row: (pictures / dataset.ids[row]).read_bytes(),
    )
    record = next((root / "records").glob("*tfrecord*"))
    probs = pl.DataFrame({"id": ["x", "y"], "a": [0.25, 1.0], "b": [0.75, 0.0]})
    labels = pl.DataFrame({"id": ["x", "y"], "label": ["a", "b"], "weight": [1.0, 2.0]})
    rows = "".join(f"pictures/{c}/{n}.png,{c},train\n" for c in "ab" for n in range(2))
    manifest = f"path,label,split\n{rows}".encode()
    split = "".join(f"{c}/{n}.png,{c},train,\n" for c in "ab" for n in range(2))
    maps = {"ids": np.array(["m", "n"]), "maps": np.zeros((2, 4, 5), np.uint8)}
    ids = np.array(["x", "y"])

    def policy(path: Path) -> object:
        return load_policy(path)

    def settings(path: Path) -> object:
        return config.merge(config.read_toml(path), {}, source=str(path))

    def picture(path: Path) -> object:
        data = path.read_bytes()
        return look(data, max_pixels=10**6).problem or decode_pillow(data, channels=3)

    def run(path: Path) -> object:
        return rundir.RunDir(path.parent).trained_on()

    toml = b'[data]\nval = 0.2\nimage_size = [8, 8]\n[model]\nname = "cnn"\n[fit]\nepochs = 3\n'
    steps = (
        b'[[step]]\nname = "flip"\nmode = "horizontal"\n[[step]]\nname = "rotation"\nfactor = 0.1\n'
    )
    Image.init()
    formats = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000", "QOI")
    known = [kind for kind in formats if kind in Image.SAVE]
    images = [_picture(kind) for kind in known] + [_picture("PNG", "P"), _picture("TIFF", "F")]
    return {
        "predictions csv": Reader(
            "p.csv", (probs.write_csv().encode(), labels.write_csv().encode()), read_predictions
        ),
        "truth csv": Reader("t.csv", (labels.write_csv().encode(),), read_truth),
        "predictions parquet": Reader(
            "p.parquet", (_parquet(probs), _parquet(labels)), read_predictions
        ),
        "predictions npz": Reader(
            "p.npz",
            (
                _npz(ids=ids, labels=np.array(["a", "b"])),
                _npz(packed=True, ids=ids, probs=np.eye(2), class_names=np.array(["a", "b"])),
            ),
            read_predictions,
        ),
        "manifest csv": Reader("m.csv", (manifest,), open_dataset),
        "manifest parquet": Reader("m.parquet", (_parquet(pl.read_csv(manifest)),), open_dataset),
        "split csv": Reader(
            "s.csv",
            (f"id,label,split,group\n{split}".encode(),),
            lambda path: apply_split(dataset, path),
        ),
        "tfrecord": Reader("d.tfrecord", (record.read_bytes(),), open_dataset),
        "arrays npz": Reader(
            "d.npz",
            (
                _npz(x=np.zeros((4, 5, 6), np.uint8), y=np.array([0, 1, 0, 1])),
                _npz(packed=True, x_train=np.ones((4, 5, 6, 3)), y_train=np.array(list("abab"))),
            ),
            open_dataset,
        ),
        "maps npz": Reader(
            "m.npz", (_npz(**maps), _npz(packed=True, m=np.ones((3, 3)))), open_maps
        ),
        "settings toml": Reader("c.toml", (toml,), settings),
        "policy toml": Reader("a.toml", (steps,), policy),
        "pictures": Reader("i.png", tuple(images), picture),
        "run.json": Reader(
            "run.json", (b'{"state": "done", "data": "x", "result": {"epochs": 1}}',), run
        ),
        "seeds.json": Reader(
            "seeds.json", (b'{"seeds": [1, 2]}',), lambda path: rundir.lacking_seeds(path.parent)
        ),
        "thresholds.json": Reader("thresholds.json", (_thresholds(root),), read_thresholds),
        "class names": Reader("labels.txt", (b"0: a\n1: b\n", b"a\nb\n"), read_class_names),
        "keras": Reader("m.keras", (_card(),), read_card),
        "backup npz": Reader("state.npz", (_backup(root),), backup.load),
    }


def _thresholds(root: Path) -> bytes:
    from dnncli.services.threshold import threshold

    rows = [("x", 0.9, "a"), ("y", 0.8, "a"), ("z", 0.2, "b"), ("w", 0.85, "b")]
    (root / "p.csv").write_text("id,a,b\n" + "".join(f"{i},{p},{1 - p}\n" for i, p, _ in rows))
    (root / "t.csv").write_text("id,label\n" + "".join(f"{i},{c}\n" for i, _, c in rows))
    out = root / "thresholds.json"
    threshold(root / "p.csv", truth=root / "t.csv", positive="a", recall=0.5, out=out)
    return out.read_bytes()


def _backup(root: Path) -> bytes:
    from dnncli.training import backup

    path = root / "backup.npz"
    ones = [np.ones((2, 2))]
    backup.save(path, backup.TrainState(), variables=ones, optimizer=ones, best=ones)
    return path.read_bytes()
