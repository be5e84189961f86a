"""stdout and stderr as they come: whatever they take, the work is done, and its exit code is that of the work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gen3d_tools.cli import app as command_line
from gen3d_tools.cli import info

ROOT = Path(__file__).parents[3]
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
MAIN = "from gen3d_tools.cli.app import main; main()"
COARSE = f"from gen3d_tools.kernels.rays import occupancy; occupancy.CELLS = 16; {MAIN}"
SAMPLE = "sample shapes --size 8 --seeds 0 -o a.png"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="streams are closed by a POSIX shell")


def shell(folder, line, **environment):
    """Run a line of shell; `gen3d` in it is ours."""
    main = COARSE if SAMPLE in line else MAIN
    program = f'gen3d() {{ "{sys.executable}" -c "{main}" "$@"; }}; {line}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **environment}
    return subprocess.run(["bash", "-c", program], cwd=folder, env=environment, capture_output=True, timeout=300)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_degrees_are_written_in_any_encoding(tmp_path, encoding):
    done = shell(tmp_path, "gen3d info shapes", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    degrees = " deg" if encoding == "ascii" else "°"
    assert f"pitch 22{degrees}".encode(encoding) in done.stdout


@pytest.mark.slow
def test_a_closed_stdout_is_no_failure_and_takes_no_files_place(tmp_path):
    done = shell(tmp_path, f"gen3d {SAMPLE} >&-")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"error" not in done.stderr


@pytest.mark.slow
@FULL
def test_a_full_stderr_does_not_end_the_work(tmp_path):
    done = shell(tmp_path, f"gen3d {SAMPLE} 2>/dev/full; echo $?")
    assert done.stdout.split() == [b"a.png", b"0"]


@FULL
@pytest.mark.parametrize("command", ["info shapes", "classes shapes --json", "models", "--version"])
def test_an_answer_that_cannot_be_written_is_one_line(tmp_path, command):
    done = shell(tmp_path, f"gen3d {command} >/dev/full")
    assert done.returncode == 1
    message = "stdout cannot be written (No space left on device); send it somewhere else"
    [line] = done.stderr.decode().splitlines()
    assert line == (json.dumps({"error": message, "exit_code": 1}) if "--json" in command else f"error: {message}")


@pytest.mark.slow
@FULL
def test_a_result_whose_path_cannot_be_written_is_said_to_be_whole(tmp_path):
    done = shell(tmp_path, f"gen3d {SAMPLE} -q >/dev/full")
    assert done.returncode == 1
    assert b"what was made is whole: a.png" in done.stderr
    assert (tmp_path / "a.png").exists()


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path):
    done = shell(tmp_path, "gen3d classes shapes --json | true; echo ${PIPESTATUS[0]}")
    assert (done.stdout.strip(), done.stderr) == (b"0", b"")


@pytest.mark.parametrize("error", [EOFError("cut short"), BrokenPipeError(32, "Broken pipe"), OSError(5, "broken")])
def test_no_error_of_a_command_is_called_aborted(gen3d, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(info, "run_query", fail)
    done = gen3d("info", "shapes")
    assert done.code == 1
    assert f"unexpected {type(error).__name__}: {error}" in done.error


def test_an_error_that_is_unexpected_may_show_where_it_was(gen3d, monkeypatch):
    monkeypatch.setenv("GEN3D_TRACEBACK", "1")
    monkeypatch.setattr(info, "run_query", lambda *_, **__: [].pop())
    monkeypatch.setattr(sys, "argv", ["gen3d", "info", "shapes"])
    with pytest.raises(IndexError):
        command_line.main()
