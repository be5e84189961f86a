"""What files say is printed as one short printable line, whatever it is."""

import pytest

from gen3d_tools.errors import CheckpointError, Gen3DError
from gen3d_tools.printable import MESSAGE_LENGTH, listed, printable, quoted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mug", "mug"),
        ("große Tasse 😀", "große Tasse 😀"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("half \ud800", r"half \ud800"),
        ("\u2028", r"\u2028"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped_and_all_else_stays(text, shown):
    assert printable(text) == shown
    assert printable(printable(text)) == shown  # nothing is escaped twice


@pytest.mark.parametrize("character", ["a", "\x1b", "\U000e0001"])
def test_long_texts_lose_their_middle(character):
    shown = printable(character * 100_000, 40)
    assert len(shown) == 40
    assert "…" in shown
    assert shown.isprintable()


def test_values_are_written_without_what_they_hold():
    assert quoted("a\nb") == r"'a\nb'"
    assert (quoted(3), quoted(2.5), quoted(None), quoted(True)) == ("3", "2.5", "None", "True")
    assert quoted(-(10**5000)) == "a whole number of 16610 bits"
    assert quoted({"a": [1]}) == "a table of 1"
    twice = ["x"]
    for _ in range(100):
        twice = [twice, twice]  # written out, it has 2**100 parts
    assert quoted(twice) == "a list of 2"
    assert listed(["a", "b\x07", "c", "d", "e"]) == r"a, b\x07, c and 2 more"
    assert listed([]) == "nothing"


def test_every_error_of_ours_is_one_printable_line_of_limited_length():
    message = str(CheckpointError("first\n   second \x1b[2J" + "x" * 789_000 + " try this"))
    assert message.isprintable()
    assert message.startswith(r"first second \x1b[2Jxx")
    assert message.endswith("x try this")
    assert len(message) == MESSAGE_LENGTH
    assert str(Gen3DError("as it is")) == "as it is"
