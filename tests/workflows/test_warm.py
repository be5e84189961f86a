"""Compiling ahead leaves nothing to compile."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gen3d_tools.kernels.compiling.ahead import SecondProcess
from gen3d_tools.workflows import warm

PACKAGE = Path(warm.__file__).parents[1]
SCRIPT = """
from gen3d_tools.workflows import warm
print(len(warm.missing_kernels()), end=" ")
warm.warm()
print(warm.missing_kernels(), warm.kernel_folder())
"""


def test_every_kernel_that_python_calls_is_known():
    """They are those that are announced."""
    announced = set()
    for path in (PACKAGE / "kernels").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "announce":
                announced.add((".".join(path.relative_to(PACKAGE).with_suffix("").parts), ast.unparse(node.args[0])))
    assert announced == set(warm.KERNELS)
    assert {*warm.MESH_KERNELS, *warm.GRADIENT_KERNELS} <= {".".join(one) for one in warm.KERNELS}


@pytest.mark.slow
def test_after_it_every_kernel_is_on_disk(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, cwd=PACKAGE.parent
    )
    assert done.stdout.split(maxsplit=1) == [str(len(warm.KERNELS)), f"() {tmp_path}\n"], done.stderr


def test_a_demo_has_kernels_compiled_only_where_they_are_not_and_a_command_line_owns_the_process(monkeypatch):
    from gen3d_tools.kernels.compiling import ahead

    started = []
    monkeypatch.setattr(ahead, "_started", started.append)
    monkeypatch.setattr(ahead, "usable_cores", lambda: 2)
    monkeypatch.setattr(ahead, "is_on_disk", lambda *_: False)
    helper = SecondProcess()
    warm.begin(helper)
    assert started == []
    helper.wanted = True
    warm.begin(helper)
    assert started == ["gen3d_tools.workflows.warm"]
    helper.wanted = True
    monkeypatch.setattr(ahead, "is_on_disk", lambda *_: True)
    warm.begin(helper)
    assert len(started) == 1
