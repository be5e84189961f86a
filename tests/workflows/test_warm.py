"""Compiling ahead leaves nothing to compile."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from gen3d_tools.workflows import warm

PACKAGE = Path(warm.__file__).parents[1]
SCRIPT = """
from gen3d_tools.workflows import warm
warm.warm()
print([name for name, kernel in warm.kernels() if not kernel.signatures], warm.missing_kernels())
"""


def test_every_kernel_that_python_calls_is_known():
    """They are those that are announced."""
    announced = set()
    for path in (PACKAGE / "kernels").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "announce":
                announced.add((".".join(path.relative_to(PACKAGE).with_suffix("").parts), ast.unparse(node.args[0])))
    assert announced == set(warm.KERNELS)
    assert {kernel for job in warm.AHEAD.values() for kernel in job} <= {".".join(one) for one in warm.KERNELS}


@pytest.mark.slow
def test_every_kernel_is_used_by_it_and_on_disk_afterwards():
    """In a process of its own, where nothing else has used one. It compiles them for the tests that follow."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert done.stdout == "[] ()\n", done.stderr


def test_in_an_empty_folder_every_kernel_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(warm, "_folder", lambda kernel: tmp_path)
    assert warm.missing_kernels() == tuple(".".join(kernel) for kernel in warm.KERNELS)


def test_a_demo_has_kernels_compiled_only_where_they_are_not_and_a_command_line_owns_the_process(monkeypatch):
    from gen3d_tools.kernels.compiling import ahead

    started = []
    monkeypatch.setattr(ahead, "_started", lambda *command: started.append(command))
    monkeypatch.setattr(ahead, "usable_cores", lambda: 2)
    monkeypatch.setattr(ahead, "is_on_disk", lambda *_: False)
    warm.Compilers(wanted=False).begin()
    assert started == []
    compilers = warm.Compilers(wanted=True)
    compilers.begin()
    compilers.begin()
    assert started == [("gen3d_tools.workflows.warm", job) for job in ("meshes", "gradients")]
    monkeypatch.setattr(ahead, "is_on_disk", lambda *_: True)
    warm.Compilers(wanted=True).begin()
    assert len(started) == 2


def test_a_demo_goes_on_when_a_compiling_process_has_failed(monkeypatch):
    compilers = warm.Compilers(wanted=True)
    for process in compilers.processes.values():
        process.process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    for job in warm.AHEAD:
        compilers.finish(job)
    assert all(process.process is None for process in compilers.processes.values())
