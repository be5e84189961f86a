"""The pages in docs/ name files and identifiers that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


NAMES = {
    page.stem: set(re.findall(r"`((?:[a-z_]+/)+[a-z_0-9]+\.py)`", page.read_text(encoding="utf-8")))
    for page in sorted((ROOT / "docs").glob("*.md"))
}


@pytest.mark.parametrize("page", [page for page, names in NAMES.items() if names])
def test_files_that_a_page_names_are_there(page):
    for name in NAMES[page]:
        assert (ROOT / name).is_file() or (ROOT / "gen3d_tools" / name).is_file(), name


def test_the_page_for_new_families_names_files():
    assert NAMES["add-a-family"]
