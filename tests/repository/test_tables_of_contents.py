"""Each folder of the package begins with a table of contents: every module and folder in it has a line there."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "gen3d_tools"
FOLDERS = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(PACKAGE)))
def test_a_folder_says_what_each_thing_in_it_is_for(folder):
    contents = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    first, *lines = contents.splitlines()
    assert first.endswith(".")
    entries = [line for line in lines if line.startswith("* ")]
    assert all(re.fullmatch(r"\* `[\w/]+`(, `[\w/]+`)*: .+\.", line) for line in entries), entries
    named = [name for line in entries for name in re.findall(r"`([\w/]+)`", line.split("`: ")[0] + "`")]
    modules = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    rooms = [f"{path.name}/" for path in folder.iterdir() if (path / "__init__.py").exists()]
    assert sorted(named) == sorted([*modules, *rooms])
