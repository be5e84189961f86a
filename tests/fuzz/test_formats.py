"""A few hundred spoilt files of every format in each run of the tests; `make fuzz SECONDS=600` reads more."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="limits are those of POSIX systems")

from tests.fuzz.__main__ import formats

ROOT = Path(__file__).parents[2]
CASES = 300


@pytest.mark.parametrize("name", sorted(formats()))
def test_spoilt_files_are_read_or_refused_in_one_line(name):
    command = [sys.executable, "-m", "tests.fuzz", "--cases", str(CASES), "--only", name]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stdout + finished.stderr[-2000:]
    assert f"{CASES} cases" in finished.stdout
