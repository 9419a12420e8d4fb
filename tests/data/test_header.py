"""What the bytes of a picture say, without decoding."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dnncli.data.dataset import Route
from dnncli.data.decode import decode_pillow
from dnncli.data.header import look, sniff


def picture(height=9, width=14, *, mode="RGB", seed=0):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).convert(mode)


def encoded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def rotated(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize(
    ("mode", "form", "options", "grey"),
    [
        ("RGB", "JPEG", {}, False),
        ("RGB", "JPEG", {"progressive": True}, False),
        ("L", "JPEG", {}, True),
        ("RGB", "PNG", {}, False),
        ("L", "PNG", {}, True),
    ],
)
def test_common_pictures_go_through_tensorflow(mode, form, options, grey):
    seen = look(encoded(picture(mode=mode), form, **options))
    assert (seen.format, seen.route, seen.problem) == (form, Route.TENSORFLOW, "")
    assert (seen.height, seen.width, seen.grey) == (9, 14, grey)


@pytest.mark.parametrize(
    ("mode", "form", "grey"),
    [
        ("CMYK", "JPEG", False),
        ("RGBA", "PNG", False),
        ("LA", "PNG", True),
        ("P", "PNG", False),
        ("1", "PNG", True),
        ("I;16", "PNG", True),
        ("RGB", "BMP", False),
        ("L", "GIF", True),
        ("RGB", "WEBP", False),
        ("RGB", "AVIF", False),
        ("RGB", "JPEG2000", False),
        ("RGB", "PPM", False),
        ("L", "PPM", True),
        ("F", "TIFF", True),
        ("LAB", "TIFF", False),
        ("RGB", "TIFF", False),
    ],
)
def test_uncommon_pictures_go_through_pillow(mode, form, grey):
    image = picture(mode="L").convert(mode) if mode in ("I;16", "F") else picture(mode=mode)
    seen = look(encoded(image, form))
    assert (seen.route, seen.problem) == (Route.PILLOW, "")
    assert (seen.height, seen.width, seen.grey) == (9, 14, grey)


def test_a_palette_without_colour_is_grey():
    assert look(encoded(picture(mode="L").convert("P"), "PNG")).grey


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_the_upright_one(form, orientation):
    data = encoded(picture(16, 32), form, exif=rotated(orientation))
    seen = look(data)
    assert (seen.height, seen.width) == ((32, 16) if orientation >= 5 else (16, 32))
    assert decode_pillow(data, channels=3).shape == (seen.height, seen.width, 3)
    if form in ("JPEG", "PNG"):
        assert seen.route == (Route.TENSORFLOW if orientation == 1 else Route.PILLOW)


def test_orientation_in_xmp_is_found():
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    data = encoded(picture(16, 32), "JPEG", xmp=xmp)
    seen = look(data)
    assert (seen.height, seen.width, seen.route) == (32, 16, Route.PILLOW)
    assert decode_pillow(data, channels=3).shape == (32, 16, 3)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    form=st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"]),
    mode=st.sampled_from(["L", "RGB"]),
)
def test_header_and_pixels_agree_about_size_and_colour(height, width, form, mode):
    data = encoded(picture(height, width, mode=mode), form)
    seen = look(data)
    assert not seen.problem
    pixels = decode_pillow(data, channels=3)
    assert pixels.shape == (seen.height, seen.width, 3)
    if seen.grey:
        assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_cut_file_is_found_wherever_it_is_cut(form, share):
    data = encoded(picture(60, 80), form)
    assert not look(data).problem
    assert look(data[: int(len(data) * share)]).problem


@given(data=st.binary(max_size=300))
def test_any_bytes_get_an_answer(data):
    assert look(data).problem


@given(
    form=st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"]),
    where=st.floats(0, 0.999),
    value=st.integers(0, 255),
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_any_damage_gets_an_answer(form, where, value):
    data = bytearray(encoded(picture(20, 20), form))
    data[int(where * len(data))] = value
    seen = look(bytes(data), max_pixels=10**6)
    assert seen.problem or seen.height * seen.width > 0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (b"<html><body>404 Not Found</body></html>", "HTML"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'<?xml version="1.0"?><svg/>', "SVG"),
        (b"not an image", "text"),
        (b"\x00\x01\x02\xff", "not an image"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(20), "HEIC"),
        (bytes(128) + b"DICM" + bytes(20), "DICOM"),
    ],
)
def test_what_is_no_picture_is_named(data, words):
    assert sniff(data) == ""
    assert words in look(data).problem


def test_png_with_a_wrong_checksum_is_damaged():
    data = encoded(picture(), "PNG")
    middle = data.index(b"IDAT") + 8
    broken = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    assert look(broken).problem == "damaged: wrong checksum in its 'IDAT' chunk."


def test_bytes_after_the_end_do_no_harm():
    for form in ("JPEG", "PNG", "GIF"):
        assert not look(encoded(picture(), form) + bytes(5000)).problem


def test_a_thumbnail_does_not_hide_that_the_picture_is_cut():
    thumbnail = encoded(picture(8, 8), "JPEG")
    data = encoded(picture(60, 80), "JPEG")
    app1 = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = data[:2] + app1 + data[2:]
    assert not look(whole).problem
    assert "truncated" in look(whole[: len(whole) // 2]).problem


def test_too_many_pixels_are_refused_by_the_header():
    header = struct.pack(">IIBBBBB", 30000, 30000, 1, 0, 0, 0, 0)
    idat = chunk(b"IDAT", zlib.compress(b""))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + idat + chunk(b"IEND", b"")
    assert "30000 x 30000 pixels: more than the limit of 178,956,970" in look(data).problem
    assert "more than the limit of 100" in look(encoded(picture(), "JPEG"), max_pixels=100).problem


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_frames_beyond_the_first_are_noted(form):
    frames = [picture(seed=seed) for seed in range(4)]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    seen = look(data)
    assert seen.note.startswith("only the first of its 4 frames")
    assert seen.route is Route.PILLOW


def test_how_floats_are_read_is_noted():
    assert "0..1 becomes 0..255" in look(encoded(picture(mode="F"), "TIFF")).note
