"""Drawn pictures that a small network can learn in seconds."""

import struct
import zlib

import numpy as np
from PIL import Image

CLASSES = ("across", "down", "dots")


def pattern(kind, rng, *, size=12):
    """A noisy (size, size) grey picture of stripes across, stripes down, or dots."""
    rows, columns = np.indices((size, size)) + rng.integers(0, 4, size=(2, 1, 1))
    value = {
        "across": rows % 4 < 2,
        "down": columns % 4 < 2,
        "dots": (rows % 4 < 2) & (columns % 4 < 2),
    }
    noisy = value[kind] * 160 + rng.integers(0, 60, size=(size, size))
    return noisy.astype(np.uint8)


def write_patterns(root, *, splits, seed=0, size=12):
    """Class folders of patterns; `splits` maps a folder ("" for none) to pictures per class."""
    rng = np.random.default_rng(seed)
    for split, count in splits.items():
        for kind in CLASSES:
            folder = root / split / kind
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                Image.fromarray(pattern(kind, rng, size=size)).save(folder / f"{number:03}.png")
    return root


def write_hollow_png(path, *, size=12):
    """A PNG of sound structure whose pixels only decoding shows to be bad."""

    def chunk(kind, body):
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0))
    data = header + chunk(b"IDAT", b"not zlib") + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
