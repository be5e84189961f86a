"""Texts of other programs: what Windows writes is read or named, what nobody can mean is refused."""

import pytest

from gen3d_tools.texts import decoded, parse_json


def test_the_mark_that_windows_puts_before_a_text_is_no_part_of_it():
    assert decoded("ä mug\n".encode("utf-8-sig")) == decoded("ä mug\n".encode()) == "ä mug\n"
    assert parse_json('{"fov": 3}'.encode("utf-8-sig")) == {"fov": 3}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(encoding):
    with pytest.raises(ValueError, match=rf"{encoding[:6].upper()} text.*save it as UTF-8"):
        decoded('{"fov": 3}'.encode(encoding))


def test_what_is_no_text_at_all_says_where():
    with pytest.raises(ValueError, match="byte 2 is not UTF-8"):
        decoded(b"ab\xff")


def test_a_key_that_is_there_twice_is_not_chosen_from():
    with pytest.raises(ValueError, match="the key 'fov' is there twice"):
        parse_json(b'[{"fov": 3, "fps": 1, "fov": 4}]')
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(b"[" * 100_000)
