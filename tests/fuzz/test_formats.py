"""A hundred spoilt files of every format in each run of the tests; `make fuzz SECONDS=600` reads more."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="limits are those of POSIX systems")

from tests.fuzz.__main__ import formats

ROOT = Path(__file__).parents[2]
CASES = 100


@pytest.fixture(scope="module")
def reports() -> dict:
    """What became of the first cases of every format, read by one process: importing takes longer than most of them."""
    command = [sys.executable, "-m", "tests.fuzz", "--cases", str(CASES), "--json"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert finished.returncode in (0, 1), finished.stderr[-2000:]  # 1: something was not clean
    return json.loads(finished.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(formats()))
def test_spoilt_files_are_read_or_refused_in_one_line(reports, name):
    again = f"again: python -m tests.fuzz --cases 1 --only {name} --first NUMBER"
    assert reports[name]["unclean"] == [], again
    assert reports[name]["cases"] == CASES
