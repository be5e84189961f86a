"""Compiled code on disk: whatever has become of its files, the next run compiles again, says so once, and goes on."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
import logging
import sys

from gen3d_tools.kernels.compiling.compiled import compiled

logging.basicConfig(format="%(message)s", level=logging.WARNING)


@compiled()
def tripled(number):
    return 3 * number


@compiled()
def six_times(number):
    return 2 * tripled(number)


sys.stdout.write(str(six_times(7)))
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "kernels.py").write_text(MODULE)
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": root}

    def start() -> str:
        """Its warnings; it must give the right number whatever is in the cache."""
        command = [sys.executable, str(tmp_path / "kernels.py")]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
        assert (done.returncode, done.stdout) == (0, "42"), done.stderr
        return done.stderr

    return start


def files(tmp_path, suffix):
    found = sorted((tmp_path / "cache").rglob(f"kernels.six_times*{suffix}"))
    assert len(found) == 1, found
    return found[0]


SPOILT = {
    "index cut": (".nbi", lambda data: data[:-1]),
    "index empty": (".nbi", lambda data: b""),
    "code cut": (".nbc", lambda data: data[: len(data) // 2]),
    "code foreign": (".nbc", lambda data: pickle.dumps("something else")),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", SPOILT)
def test_a_broken_file_is_thrown_away_and_made_again_with_one_line(tmp_path, run, case):
    suffix, spoil = SPOILT[case]
    assert run() == ""
    broken = files(tmp_path, suffix)
    whole = broken.read_bytes()
    broken.write_bytes(spoil(whole))
    (said,) = run().strip().splitlines()
    assert "was broken; it was thrown away and is compiled again" in said
    assert run() == ""  # the third run has all it needs
    assert files(tmp_path, suffix).stat().st_size > len(whole) // 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full disk")
def test_code_that_cannot_be_kept_is_no_error(monkeypatch, caplog):
    from numba.core.caching import FunctionCache

    from gen3d_tools.kernels.compiling.compiled import compiled

    def full(self, sig, data):
        with Path("/dev/full").open("wb") as file:
            file.write(b"x")

    monkeypatch.setattr(FunctionCache, "save_overload", full)

    @compiled()
    def halved(number):
        return number / 2

    assert halved(7) == 3.5
    assert "cannot be kept" in caplog.text
    assert "No space left" in caplog.text
