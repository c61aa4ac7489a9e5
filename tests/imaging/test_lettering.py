import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facemix.imaging.lettering import font, printable, shortened, wrapped

BOX = bytes(font(20).getmask("\uffff"))  # what the font draws for a character that it lacks


@pytest.mark.parametrize("text", ["50 %", "A, B and Z (0-9)", "face_a.jpg", "it’s “one”…", "±3.0 · 20°"])
def test_what_the_font_has_stays(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Jürgen Müßig.jpg", "Jurgen Mussig.jpg"),
        ("Ægir–Łukasz × 2", "AEgir-Lukasz x 2"),
        ("e\u0301te\u0301", "ete"),
        ("a\tb\n c\u00a0d", "a b c d"),
        ("日本", "??"),
        ("a\0b\ud800", "a?b?"),
        ("", ""),
    ],
)
def test_what_the_font_lacks_is_replaced(text, plain):
    assert printable(text) == plain


@settings(max_examples=100)
@given(st.text(max_size=60))
def test_no_text_has_a_box(text):
    assert all(bytes(font(20).getmask(one)) != BOX for one in printable(text))


@settings(max_examples=100)
@given(st.text(max_size=60), st.integers(11, 40), st.integers(0, 300))
def test_a_shortened_text_fits_and_says_that_it_is_shortened(text, size, room):
    found = shortened(text, size, room)
    assert font(size).getlength(found) <= room
    assert found == printable(text) or found == "" or found.endswith("…")


def test_as_much_is_kept_as_fits():
    found = shortened("abcdefghijklmnop", 20, 100)
    assert found.endswith("…")
    longer = "abcdefghijklmnop"[: len(found)] + "…"
    assert font(20).getlength(longer) > 100


def test_a_text_without_an_end_is_bounded():
    assert len(printable("x" * 1_000_000)) < 1000


@settings(max_examples=100)
@given(st.text("abc ü", max_size=120), st.integers(20, 300), st.integers(1, 4))
def test_wrapped_lines_fit(text, room, lines):
    found = wrapped(text, 16, room, lines)
    assert len(found) <= lines
    assert all(font(16).getlength(line) <= room for line in found)


def test_wrapping_keeps_every_word_in_order():
    text = "one two three four five six seven eight nine ten"
    assert " ".join(wrapped(text, 16, 150, 20)) == text
    assert len(wrapped(text, 16, 150, 20)) > 1


def test_what_has_no_room_on_the_last_line_is_cut():
    found = wrapped("one two three four five six seven eight nine ten", 16, 150, 2)
    assert len(found) == 2
    assert found[0].startswith("one two")
    assert found[1].endswith("…")
