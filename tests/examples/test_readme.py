"""The lines of Python that README begins with."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.slow
def test_the_first_lines_run_twice_and_leave_a_picture_and_a_mesh(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"```python\n(import gen3d_tools.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in code.splitlines() if line and not line.startswith("import")]) <= 5
    small = code.replace("128", "24").replace("orbit(60", "orbit(2")
    assert small != code
    for _ in range(2):  # as cells of a notebook are
        exec(compile(small, "README.md", "exec"), {})
    assert {path.name for path in tmp_path.iterdir()} == {"mug.png", "mug.glb"}
