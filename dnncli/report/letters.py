"""Text that a picture can show: every character has a letter form, and nothing is too long."""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

_FONT = "DejaVu Sans"  # comes with Matplotlib
_REGULAR = 400
_NO_LETTERS = ("Last Resort", "Emoji", "Color")  # fonts of placeholders and of bitmaps


def font_file() -> Path:
    """The font of all pictures."""
    from matplotlib import get_data_path

    return Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def fonts_for(texts: Iterable[str]) -> dict[str, Path]:
    """Names and files of fonts that together hold the characters of `texts`, as far as possible.

    The first is always the one that comes with Matplotlib; others are those of the machine, and
    only as many as are needed.
    """
    fonts = {_FONT: font_file()}
    missing = set(map(ord, "".join(texts))) - _characters(fonts[_FONT])
    missing = {code for code in missing if chr(code).isprintable()}
    if not missing:
        return fonts
    from matplotlib.font_manager import fontManager

    for font in sorted(fontManager.ttflist, key=lambda font: (font.name, font.fname)):
        plain = font.style == "normal" and font.weight == _REGULAR
        if not missing or not plain or any(word in font.name for word in _NO_LETTERS):
            continue
        if found := missing & _characters(Path(font.fname)):
            fonts[font.name] = Path(font.fname)
            missing -= found
    return fonts


def drawable(text: str, fonts: Iterable[Path]) -> str:
    """`text` with every character that none of the fonts holds written as its escape."""
    known = [_characters(font) for font in fonts]

    def shown(character: str) -> str:
        if character.isprintable() and any(ord(character) in some for some in known):
            return character
        return character.encode("unicode_escape", "surrogatepass").decode()

    return "".join(map(shown, text))


def shortened(text: str, limit: float, length: Callable[[str], float] = len) -> str:
    """`text` without so much of its middle that its length is at most `limit`.

    Args:
        length: of a text, in the unit of `limit`: characters, or pixels.
    """
    if length(text) <= limit:
        return text
    low, high = 0, len(text)
    while low < high:  # the most characters that fit
        kept = (low + high + 1) // 2
        low, high = (
            (kept, high) if length(_without_middle(text, kept)) <= limit else (low, kept - 1)
        )
    return _without_middle(text, low)


def _without_middle(text: str, kept: int) -> str:
    end = kept // 2
    return f"{text[: kept - end]}…{text[len(text) - end :]}"


@cache
def _characters(font: Path) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(font)).get_charmap())
