"""Texts of pictures: shortened, and in letters that exist."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnncli.report.canvas import shown_names
from dnncli.report.letters import drawable, font_file, fonts_for, shortened


def test_the_middle_is_left_out():
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghij", 7) == "abc…hij"
    assert shortened("abcdefghij", 6) == "abc…ij"
    assert shortened("abcdefghij", 1) == "…"


@given(text=st.text(max_size=40), limit=st.integers(1, 40))
def test_a_shortened_text_fits_and_keeps_its_ends(text, limit):
    short = shortened(text, limit)
    assert len(short) == min(len(text), limit)
    if len(text) > limit >= 3:
        assert short[0] == text[0]
        assert short[-1] == text[-1]


def test_length_may_be_measured_in_pixels():
    assert shortened("abcdefghij", 70, lambda text: 10 * len(text)) == "abc…hij"


def test_letters_that_a_font_has_are_kept():
    for text in ("T-shirt/top", "Ærø", "кошка", "γάτα", "$x^2$", "→"):
        assert drawable(text, [font_file()]) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x07", "\\x07"),
        ("bad\udcff", "bad\\udcff"),
        ("\U0010fffd", "\\U0010fffd"),
    ],
)
def test_what_no_font_has_is_written_as_its_escape(text, shown):
    assert drawable(text, fonts_for([text]).values()) == shown


def test_the_font_that_comes_along_is_always_the_first():
    assert next(iter(fonts_for(["猫"]).values())) == font_file()
    assert fonts_for(["abc", "ж"]) == {"DejaVu Sans": font_file()}


def test_long_names_that_would_look_alike_are_told_apart():
    one, two = "x" * 40 + "1" + "x" * 40, "x" * 40 + "2" + "x" * 40
    shown = shown_names([one, "short", two])
    assert shown["short"] == "short"
    assert shown[one].endswith("(class 1)")
    assert shown[two].endswith("(class 3)")


def test_a_name_that_a_legend_would_leave_out_is_not():
    assert shown_names(["_hidden"])["_hidden"] == " _hidden"
