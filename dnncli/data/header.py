"""What the bytes of an encoded picture say about it, without decoding its pixels.

The content decides, never the file's name. Broken files are found by their structure: markers,
chunk checksums and lengths.
"""

import importlib
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dnncli.data.dataset import Route

MAX_PIXELS = 178_956_970  # the limit that Pillow takes for a decompression bomb
HEAD = 256  # bytes from which `sniff` tells what a file is

# What Pillow raises for bytes that it cannot read; RuntimeError comes from its AVIF decoder.
PILLOW_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError),
    *(struct.error, zlib.error, ArithmeticError, RuntimeError, MemoryError),
)

# One plugin class each: `Image.open` would also start Ghostscript or read a text as a picture.
_PLUGINS = {
    "JPEG": "JpegImagePlugin:JpegImageFile",
    "PNG": "PngImagePlugin:PngImageFile",
    "GIF": "GifImagePlugin:GifImageFile",
    "BMP": "BmpImagePlugin:BmpImageFile",
    "TIFF": "TiffImagePlugin:TiffImageFile",
    "WebP": "WebPImagePlugin:WebPImageFile",
    "AVIF": "AvifImagePlugin:AvifImageFile",
    "JPEG 2000": "Jpeg2KImagePlugin:Jpeg2KImageFile",
    "PPM": "PpmImagePlugin:PpmImageFile",
    "QOI": "QoiImagePlugin:QoiImageFile",
}
FORMATS = tuple(_PLUGINS)

_MAGIC = (
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL), "BMP"),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), "TIFF"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "WebP"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "AVIF"),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"P[1-6][\s#]"), "PPM"),
    (re.compile(rb"qoif"), "QOI"),
)

# Files that are met in picture folders, and what their owner should know.
_OTHERS = (
    (re.compile(rb".{4}ftyp(hei|hev|mif|msf)", re.DOTALL), "HEIC is not supported; save as JPEG."),
    (re.compile(rb".{128}DICM", re.DOTALL), "DICOM is not supported; save as 16-bit PNG."),
    (re.compile(rb"8BPS"), "Photoshop files are not supported; save as PNG."),
    (re.compile(rb"%PDF"), "not an image but a PDF document."),
    (re.compile(rb"version https://git-lfs"), "a Git LFS pointer, not the image; `git lfs pull`."),
    (re.compile(rb"\s*<([!?]|html|svg|head|body)", re.IGNORECASE), "not an image but HTML or SVG."),
    (re.compile(rb"[\t\n\r\x20-\x7e]+\Z"), "not an image but text."),
)

GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")

# An EXIF orientation (tag 0x0112, either byte order) that is not plainly 1, or an XMP one.
_MAYBE_ROTATED = re.compile(
    rb"\x12\x01(?!\x03\0\x01\0\0\0\x01\0)[\x01-\x0c]\0"
    rb"|\x01\x12(?!\0\x03\0\0\0\x01\0\x01)\0[\x01-\x0c]"
    rb"|tiff:Orientation"
)

_PNG_CHUNK = struct.Struct(">I4s")  # how many bytes its body has, and its kind
_PNG_CHECKSUM = struct.Struct(">I")
_PNG_TEXT = (b"iTXt", b"tEXt", b"zTXt")

_SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap height and width


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known of an encoded picture from its header."""

    format: str = ""  # one of FORMATS, or empty
    route: Route = Route.PILLOW
    height: int = 0  # pixels, upright: after the EXIF orientation
    width: int = 0
    grey: bool = False  # the picture holds no colour
    note: str = ""  # how it is read, where that is a choice
    problem: str = ""  # why it cannot be read; empty if it can


class _UnreadableError(Exception):
    """The bytes are damaged; the text says how."""


def look(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Look:
    """Judge an encoded picture by its structure.

    Args:
        data: the whole file.
        max_pixels: pictures with more pixels are refused, before anything is decoded.
    """
    form = sniff(data)
    if not form:
        return Look(problem=what_else(data))
    try:
        match form:
            case "JPEG":
                return _jpeg(data, max_pixels)
            case "PNG":
                return _png(data, max_pixels)
            case "GIF":
                return _gif(data, max_pixels)
            case "WebP" if len(data) < 8 + int.from_bytes(data[4:8], "little"):
                raise _UnreadableError("truncated: shorter than its header says.")
        return _by_pillow(data, form, max_pixels)
    except _UnreadableError as error:
        return Look(format=form, problem=str(error))


def sniff(data: bytes) -> str:
    """The format of an encoded picture by its first bytes, or an empty string."""
    return next((form for magic, form in _MAGIC if magic.match(data)), "")


def what_else(data: bytes) -> str:
    """Why bytes that `sniff` does not know are not a picture that can be read."""
    if not data:
        return "empty file (0 bytes)."
    head = data[:HEAD]
    return next((what for magic, what in _OTHERS if magic.match(head)), "not an image.")


def opened(data: bytes, form: str) -> Any:
    """A Pillow image whose pixels are not decoded yet.

    Raises:
        any of PILLOW_ERRORS.
    """
    from io import BytesIO

    module, _, name = _PLUGINS[form].partition(":")
    plugin = getattr(importlib.import_module(f"PIL.{module}"), name)
    return plugin(BytesIO(data))


def orientation(image: Any) -> int:
    """EXIF (or XMP) orientation of a Pillow image, 1 to 8; 1, upright, if there is none."""
    try:
        value = image.getexif().get(0x0112, 1)
    except PILLOW_ERRORS:  # a picture with damaged metadata is still a picture
        return 1
    return value if value in range(1, 9) else 1


def _check_pixels(height: int, width: int, max_pixels: int) -> None:
    if height < 1 or width < 1:
        raise _UnreadableError(f"damaged: {width} x {height} pixels.")
    if height * width > max_pixels:
        raise _UnreadableError(
            f"{width} x {height} pixels: more than the limit of {max_pixels:,} (max_pixels)."
        )


def _jpeg(data: bytes, max_pixels: int) -> Look:
    """Walk the segments up to the picture data, then look for the end of it."""
    frame, maybe_rotated, scan = None, False, 0
    for marker, start, end in _segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and end - start >= 6:
            frame = (marker, *struct.unpack_from(">BHHB", data, start))
        elif marker == 0xE1:
            maybe_rotated |= _MAYBE_ROTATED.search(data, start, end) is not None
        scan = end
    if frame is None:
        raise _UnreadableError("damaged: no frame header.")
    process, bits, height, width, components = frame
    _check_pixels(height, width, max_pixels)
    # Inside picture data 0xFF is always followed by 0 or a restart marker.
    finish = data.find(b"\xff\xd9", scan)
    if finish < 0:
        raise _UnreadableError("truncated: the end of its picture data is missing.")
    if finish == scan:
        raise _UnreadableError("damaged: no picture data.")
    plain = process in (0xC0, 0xC1, 0xC2) and bits == 8 and components in (1, 3)
    if maybe_rotated or not plain:
        return _by_pillow(data, "JPEG", max_pixels)
    return Look(
        format="JPEG", route=Route.TENSORFLOW, height=height, width=width, grey=components == 1
    )


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start and end of the body) of the JPEG segments up to the first start of scan."""
    at, marker = 2, 0
    while marker != 0xDA:
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            raise _UnreadableError("truncated: ends before its picture data.")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker <= 1 or 0xD0 <= marker <= 0xD8:  # nothing follows
            at += 2
        else:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            if marker == 0xD9 or end < at + 4:
                raise _UnreadableError("damaged: no picture data.")
            if end > len(data):
                raise _UnreadableError("truncated: ends before its picture data.")
            yield marker, at + 4, end
            at = end


def _png(data: bytes, max_pixels: int) -> Look:
    """Walk the chunks to the last, checking every checksum."""
    view, at, kind = memoryview(data), 8, b""
    chunks: dict[bytes, memoryview] = {}
    maybe_rotated = False
    while kind != b"IEND":
        if at + 12 > len(data):
            raise _UnreadableError("truncated: ends before its last chunk.")
        length, kind = _PNG_CHUNK.unpack_from(data, at)
        end = at + 12 + length
        if end > len(data):
            raise _UnreadableError("truncated: ends before its last chunk.")
        if zlib.crc32(view[at + 4 : end - 4]) != _PNG_CHECKSUM.unpack_from(data, end - 4)[0]:
            raise _UnreadableError(
                f"damaged: wrong checksum in its {kind.decode('latin-1')!r} chunk."
            )
        body = view[at + 8 : end - 4]
        chunks.setdefault(kind, body)
        # Text may be compressed, so its keyword is all there is to go by.
        if kind == b"eXIf":
            maybe_rotated |= _MAYBE_ROTATED.search(body) is not None
        elif kind in _PNG_TEXT:
            maybe_rotated |= bytes(body[:11]) in (b"XML:com.ado", b"Raw profile")
        at = end
    if len(chunks.get(b"IHDR", b"")) != 13 or b"IDAT" not in chunks:
        raise _UnreadableError("damaged: no header or no picture data.")
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    _check_pixels(height, width, max_pixels)
    special = (b"tRNS", b"acTL")
    plain = bits == 8 and colour in (0, 2) and not interlaced
    if maybe_rotated or not plain or any(name in chunks for name in special):
        return _by_pillow(data, "PNG", max_pixels)
    return Look(format="PNG", route=Route.TENSORFLOW, height=height, width=width, grey=colour == 0)


def _gif(data: bytes, max_pixels: int) -> Look:
    """Walk the blocks: the first frame must be whole; the others are only counted."""
    if len(data) < 13:
        raise _UnreadableError("truncated: ends inside its header.")
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    _check_pixels(height, width, max_pixels)
    at, frames = 13 + _colours(flags), 0
    while at < len(data) and data[at] in (0x21, 0x2C):
        if data[at] == 0x2C:
            if at + 11 > len(data):
                break
            blocks = at + 11 + _colours(data[at + 9])
            is_frame = True
        else:
            blocks, is_frame = at + 2, False
        while blocks < len(data) and data[blocks]:
            blocks += 1 + data[blocks]
        if blocks >= len(data):
            break
        frames += is_frame
        at = blocks + 1
    if not frames:
        raise _UnreadableError("truncated: its first frame is not whole.")
    note = f"only the first of its {frames} frames is used." if frames > 1 else ""
    return replace(_by_pillow(data, "GIF", max_pixels), note=note)


def _colours(flags: int) -> int:
    """Bytes of a GIF colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _by_pillow(data: bytes, form: str, max_pixels: int) -> Look:
    """Let Pillow read the header; the pixels too where nothing else shows that a file is whole."""
    try:
        image = opened(data, form)
        width, height = image.size
        _check_pixels(height, width, max_pixels)
        if image.mode not in GREY_MODES + _COLOUR_MODES:
            raise _UnreadableError(f"{form} of mode {image.mode} is not supported.")
        frames = 1 if form == "GIF" else getattr(image, "n_frames", 1)
        mode = image.mode
        is_grey = mode in GREY_MODES or (mode == "P" and _is_grey(image.palette))
        # A TIFF is turned upright by Pillow itself, and its size is the upright one already.
        turned = 1 if form == "TIFF" and 0x0112 in image.tag_v2 else orientation(image)
        if not _is_whole(image, form, len(data)):
            image.load()
    except PILLOW_ERRORS as error:
        raise _UnreadableError(f"damaged {form}: {error or type(error).__name__}.") from error
    if turned in _SIDEWAYS:
        height, width = width, height
    return Look(format=form, height=height, width=width, grey=is_grey, note=_note(mode, frames))


def _is_whole(image: Any, form: str, length: int) -> bool:
    """Whether the header alone shows that all pixel data is there."""
    if form in ("JPEG", "PNG", "GIF", "WebP"):
        return True  # their structure was checked before
    if form == "TIFF":
        tags = image.tag_v2
        starts = tags.get(273, tags.get(324))  # strips, or tiles
        sizes = tags.get(279, tags.get(325))
        if starts and sizes and len(starts) == len(sizes) and all(sizes):
            return all(start + size <= length for start, size in zip(starts, sizes))
    return False


def _is_grey(palette: Any) -> bool:
    """Whether all colours of a Pillow palette are grey; False where that is not plain to see."""
    order, raw = palette.getdata()
    if order not in ("RGB", "BGR", "RGBA", "BGRX", "RGBX"):
        return False
    step = len(order)
    return raw[::step] == raw[1::step] == raw[2::step]


def _note(mode: str, frames: int) -> str:
    notes = []
    if frames > 1:
        notes.append(f"only the first of its {frames} frames or pages is used.")
    if mode == "F":
        notes.append("float values: 0..1 becomes 0..255, 0..255 stays, else min-max.")
    if mode == "I":
        notes.append("32-bit values: 0..255 stays, 0..65535 becomes 0..255, else min-max.")
    return " ".join(notes)
