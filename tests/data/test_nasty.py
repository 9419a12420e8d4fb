"""Files that break readers: each one is used, or left out and named.

The fixture draws the most important ones. A larger collection of real ones is tested, one row per
file, where the environment variable DNNCLI_NASTY names its folder (manifest.json, nasty.tar.gz).
"""

import io
import json
import os
import shutil
import struct
import tarfile
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dnncli.data.dataset import Route
from dnncli.data.decode import decode, decode_pillow
from dnncli.data.folder import read_folder
from dnncli.data.health import health, pixel_duplicates
from dnncli.errors import DataError


def photo(seed, height=40, width=40):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = np.sin(x / (3 + seed % 5)) * 60 + np.cos(y / 4) * 50 + 120
    noisy = waves[..., None] + rng.normal(0, 15, (height, width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def encoded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def jpeg(seed, **options):
    return encoded(photo(seed), "JPEG", quality=88, **options)


def png_of(header, rows):
    def chunk(kind, body):
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    body = chunk(b"IHDR", struct.pack(">IIBBBBB", *header)) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def with_alpha():
    image = photo(30).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def upright_red_corner():
    """Stored sideways with EXIF orientation 6: upright it is 40 high, 60 wide, red top left."""
    image = Image.new("RGB", (60, 40), (40, 160, 40))
    image.paste((220, 30, 30), (0, 0, 15, 10))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = image.transpose(Image.Transpose.ROTATE_90)
    return encoded(stored, "JPEG", exif=exif, quality=95)


RAMP = np.linspace(0, 65535, 40 * 40).reshape(40, 40).astype(np.uint16)
LONG = "x" * 240

USED = {
    "trailing.jpg": jpeg(1) + bytes(5000),
    "really_png.jpg": encoded(photo(2), "PNG"),
    "really_gif.jpg": encoded(photo(3).convert("P"), "GIF"),
    "no_extension": jpeg(4),
    "UPPER.JPG": jpeg(5),
    "Mixed.Jpeg": jpeg(6),
    "cmyk.jpg": encoded(photo(7).convert("CMYK"), "JPEG"),
    "grey16.png": encoded(Image.fromarray(RAMP), "PNG"),
    "rgb16.png": png_of(
        (2, 1, 16, 2, 0, 0, 0), b"\0" + struct.pack(">6H", *range(0, 60000, 10000))
    ),
    "palette_alpha.png": encoded(with_alpha().quantize(64), "PNG"),
    "rgba.png": encoded(with_alpha(), "PNG"),
    "grey_alpha.png": encoded(with_alpha().convert("LA"), "PNG"),
    "grey.jpg": encoded(photo(8).convert("L"), "JPEG"),
    "one_bit.png": encoded(photo(9).convert("1"), "PNG"),
    "float.tif": encoded(photo(10).convert("L").convert("F").point(lambda v: v / 255), "TIFF"),
    "lab.tif": encoded(photo(11).convert("LAB"), "TIFF"),
    "animated.gif": encoded(photo(12), "GIF", save_all=True, append_images=[photo(13)]),
    "photo.webp": encoded(photo(14), "WEBP"),
    "photo.bmp": encoded(photo(15), "BMP"),
    "photo.tif": encoded(photo(16), "TIFF", compression="tiff_lzw"),
    "pages.tiff": encoded(photo(17), "TIFF", save_all=True, append_images=[photo(18)]),
    "progressive.jpg": jpeg(19, progressive=True),
    "exif_rotated.jpg": upright_red_corner(),
    "tiny.png": encoded(photo(20, 1, 1), "PNG"),
    "wide.png": encoded(photo(21, 3, 4000), "PNG"),
    "with space.jpg": jpeg(22),
    "näme-猫-🐱.jpg": jpeg(23),
    unicodedata.normalize("NFD", "é.jpg"): jpeg(24),
    "-rf.jpg": jpeg(25),
    'comma,quote".jpg': jpeg(26),
    "[glob]*.jpg": jpeg(27),
    "line\nbreak.jpg": jpeg(28),
    f"{LONG}.jpg": jpeg(29),
    "2021/june/nested.jpg": jpeg(31),
}

SKIPPED = {
    "truncated.jpg": (jpeg(40)[:600], "truncated"),
    "header_only.jpg": (jpeg(41)[:200], "truncated"),
    "zero_bytes.jpg": (b"", "0 bytes"),
    "text.jpg": (b"<html><body>404 Not Found</body></html>\n", "HTML"),
    "drawing.png": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
    "bad_crc.png": (encoded(photo(42), "PNG")[:-40] + bytes(40), "truncated|damaged"),
    "bomb.png": (png_of((30000, 30000, 1, 0, 0, 0, 0), b""), "more than the limit"),
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """train/{cat,dog} and test/{cat,dog} with all of the above in train/cat."""
    root = tmp_path_factory.mktemp("drawn")
    files = {f"train/cat/{name}": data for name, data in USED.items()}
    files |= {f"train/cat/{name}": data for name, (data, _) in SKIPPED.items()}
    files |= {f"train/dog/{seed}.jpg": jpeg(seed) for seed in range(50, 54)}
    files |= {f"test/dog/{seed}.jpg": jpeg(seed) for seed in range(54, 56)}
    files |= {
        "test/cat/leak.jpg": jpeg(25),  # is train/cat/-rf.jpg
        "test/dog/wrong_label.jpg": jpeg(26),  # is train/cat/comma,quote".jpg
        "test/cat/saved_anew.png": encoded(Image.open(io.BytesIO(jpeg(50))), "PNG"),
        "train/cat/._0.jpg": b"\0\5\x16\7",
        "train/.DS_Store": b"\0",
        "train/only_broken/a.jpg": b"not an image",
    }
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "train/cat/2021/loop").symlink_to("..")
    (root / "train/cat/dangling.jpg").symlink_to("gone.jpg")
    (root / "train/empty").mkdir()
    return root


@pytest.fixture(scope="module")
def dataset(drawn):
    return read_folder(drawn)


@pytest.mark.parametrize("name", USED)
def test_a_readable_file_is_used_and_decodes_to_its_size(dataset, name):
    row = dataset.ids.index(f"train/cat/{name}")
    images = dataset.images
    data = Path(images.path(row)).read_bytes()
    pixels = decode_pillow(data, channels=3)
    assert pixels.shape == (*images.sizes[row], 3)
    assert pixels.std() > 0 or name == "tiny.png"
    if images.grey[row]:
        assert (pixels == pixels[..., :1]).all()
    if images.routes[row] == Route.TENSORFLOW:
        np.testing.assert_array_equal(decode(data, Route.TENSORFLOW, channels=3), pixels)


@pytest.mark.parametrize("name", SKIPPED)
def test_an_unreadable_file_is_left_out_and_named_with_the_reason(dataset, name):
    import re

    path = f"train/cat/{name}"
    assert path not in dataset.ids
    (problem,) = [p for p in dataset.problems if p.path == path]
    assert problem.action == "skipped"
    assert re.search(SKIPPED[name][1], problem.what)


def test_nothing_else_is_in_the_data_set(dataset):
    assert len(dataset) == len(USED) + 4 + 2 + 3
    assert dataset.class_names == ("cat", "dog")
    paths = {p.path: p.action for p in dataset.problems}
    assert paths["train/cat/dangling.jpg"] == "skipped"
    assert paths["train/cat/2021/loop"] == "ignored"
    assert paths["train/empty"] == paths["train/only_broken"] == "ignored"
    assert paths["train/cat/animated.gif"] == paths["train/cat/float.tif"] == "noted"


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("grey16.png", 126.5, 128.5), ("float.tif", 100, 140), ("one_bit.png", 60, 200)],
)
def test_the_mean_is_neither_black_nor_white(dataset, name, low, high):
    data = Path(dataset.images.path(dataset.ids.index(f"train/cat/{name}"))).read_bytes()
    assert low <= decode_pillow(data, channels=1).mean() <= high


def test_the_rotated_picture_stands_upright(dataset):
    row = dataset.ids.index("train/cat/exif_rotated.jpg")
    assert dataset.images.sizes[row].tolist() == [40, 60]
    pixels = decode_pillow(Path(dataset.images.path(row)).read_bytes(), channels=3)
    np.testing.assert_allclose(pixels[2, 3], [220, 30, 30], atol=12)
    np.testing.assert_allclose(pixels[35, 50], [40, 160, 40], atol=12)


def test_leaks_and_conflicts_are_found(dataset):
    report = health(dataset)
    wrong = ('train/cat/comma,quote".jpg', "test/dog/wrong_label.jpg")
    assert report.leaks == (("train/cat/-rf.jpg", "test/cat/leak.jpg"), wrong)
    assert report.leaked == {"test": 2}
    assert report.conflicts == (wrong,)
    by_pixels = health(pixel_duplicates(dataset).dataset)
    assert ("train/dog/50.jpg", "test/cat/saved_anew.png") in by_pixels.leaks


def test_a_class_only_test_has_stops_with_its_name(drawn, tmp_path):
    shutil.copytree(drawn, tmp_path / "more", symlinks=True)
    (tmp_path / "more/test/bird").mkdir()
    (tmp_path / "more/test/bird/0.jpg").write_bytes(jpeg(60))
    with pytest.raises(DataError, match="test/bird: 1 of class 'bird'"):
        read_folder(tmp_path / "more")


NASTY = Path(os.environ.get("DNNCLI_NASTY", Path(__file__).parents[2].parent / "shared/data/nasty"))
MANIFEST = NASTY / "manifest.json"
FILES = json.loads(MANIFEST.read_text("utf-8"))["files"] if MANIFEST.is_file() else []
needs_nasty = pytest.mark.skipif(not FILES, reason="DNNCLI_NASTY names no nasty collection")


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nasty")
    with tarfile.open(NASTY / "nasty.tar.gz") as archive:
        archive.extractall(folder, filter="fully_trusted")
    (train,) = folder.glob("**/train")
    return train.parent


@pytest.fixture(scope="module")
def opened(nasty):
    """The collection without its error: the ids used, and the paths named in problems."""
    kept = nasty.parent / "kept"
    shutil.copytree(nasty, kept, symlinks=True)
    shutil.rmtree(kept / "test/dog_unseen")
    return read_folder(kept)


@needs_nasty
@pytest.mark.parametrize("file", FILES, ids=lambda file: ascii(file["path"]))
def test_a_nasty_file_gives_what_the_manifest_says(nasty, opened, file):
    path = file["path"]
    named = {problem.path for problem in opened.problems if problem.action != "noted"}
    match file["action"]:
        case "use":
            assert path in opened.ids
        case "skip_warn":
            assert path not in opened.ids
            assert path in named
        case "ignore":
            assert path not in opened.ids
        case "use_warn" if (nasty / path).is_file():
            assert (path in opened.ids) != (path in named)
        case "use_warn":  # a folder, a name that is not UTF-8, or a class that test lacks
            told = " ".join(map(str, opened.problems))
            assert path.split("/")[-1] in told or "test: no picture of class" in told
        case "error":
            with pytest.raises(DataError, match="test/dog_unseen: 3 of class 'dog_unseen'"):
                read_folder(nasty)


@needs_nasty
def test_the_nasty_collection_decodes(opened):
    decoded = pixel_duplicates(opened)
    assert decoded.unreadable == ()
    report = health(decoded.dataset)
    assert ("train/coffee/ok_02.jpg", "test/coffee/reencoded.png") in report.leaks
    assert opened.class_names == ("0", "10", "2", "Cat", "cat", "coffee", "rocket", "singleton")
