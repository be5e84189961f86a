"""Hostile pickles: whatever the bytes are, reading runs nothing, opens nothing, and ends soon with one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MUTATIONS = 5200
SECONDS, KIB = 5.0, 500 * 1024

pytest.importorskip("resource", reason="memory is measured with the resource module of POSIX systems")


def observe(*arguments: object) -> dict:
    """Read hostile files in a process of their own, where an audit hook can be set."""
    command = [sys.executable, "-m", "tests.checkpoints.hostile_reading", *map(str, arguments)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert finished.returncode == 0, finished.stderr[-2000:]
    return json.loads(finished.stdout)


def check(seen: dict) -> None:
    assert seen["strange"] == []  # only CheckpointError, and its message is one printable line
    assert seen["events"] == {}  # no import, exec, compile, open, subprocess, socket ... but the file itself
    assert seen["left"] == ["hostile.pkl"]
    assert seen["slowest"][0] < SECONDS, seen["slowest"]
    assert seen["most_memory_kib"][0] < KIB, seen["most_memory_kib"]


@pytest.mark.slow
def test_thousands_of_mutations_do_nothing_and_end_in_one_line():
    seen = observe("mutations", MUTATIONS)
    check(seen)
    assert seen["files"] >= 5000
    assert len(seen["kinds"]) == 14
    assert seen["outcomes"]["refused"] > 0.7 * seen["files"]
    assert not list(ROOT.glob("gen3d-was-here"))


@pytest.mark.slow
def test_small_files_cannot_cost_much():
    seen = observe("bombs")
    check(seen)
    assert seen["outcomes"] == {"refused": seen["files"]}
