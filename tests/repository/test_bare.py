"""The tests' bare machine lacks what it says: imports fail there as they do on real ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.bare import HIDDEN

HIDE = "from tests.repository.bare import HIDDEN, refuse; refuse(HIDDEN[{0!r}])\n"
PLAIN = "import open3d"
OURS = "from gen3d_tools.system_libraries import import_open3d; print(import_open3d().__name__)"


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True)


@pytest.mark.parametrize("hidden", list(HIDDEN))
def test_a_plain_import_of_open3d_fails_on_a_bare_machine(hidden):
    done = run(HIDE.format(hidden) + PLAIN)
    assert f"ImportError: {HIDDEN[hidden][0]}: cannot open shared object file" in done.stderr


def test_ours_needs_no_libusb_of_the_system(open3d):
    done = run(HIDE.format("usb") + OURS)
    assert done.stdout == "open3d\n", done.stderr


def test_ours_names_the_packages_of_what_pip_does_not_bring():
    done = run(HIDE.format("all") + OURS)
    assert "MissingDependencyError: open3d cannot be imported: libEGL.so.1: " in done.stderr
    assert "; apt install libegl1 libgl1 libx11-6 libidn2-0 libudev1 " in done.stderr
