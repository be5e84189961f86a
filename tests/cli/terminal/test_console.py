"""What is told while a command works."""

import io
import json
import sys
from pathlib import Path

import pytest

from gen3d_tools.cli.terminal import console
from gen3d_tools.cli.terminal.console import ConsoleReporter
from gen3d_tools.cli.terminal.streams import prepare_streams
from gen3d_tools.workflows.running.reporting import PieceEvent
from gen3d_tools.workflows.running.runs import Run


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_of_progress_every_ten_seconds(clock, capsys):
    with ConsoleReporter().progress("rendering", 100) as done:
        for second in range(1, 101):
            clock[0] = float(second)
            done(second)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "rendering: 10 of 100, 0:00:10, 0:01:30 left"
    assert lines[-1] == "rendering: 90 of 100, 0:01:30, 0:00:10 left"
    assert len(lines) == 9


def test_it_says_what_the_work_is_about_at_the_moment(clock, capsys):
    reporter = ConsoleReporter()
    with reporter.progress("inverting", 4) as done:
        reporter.describe("tuning 3/9, loss 0.1")
        clock[0] = 11.0
        done(1)
    assert capsys.readouterr().err == "tuning 3/9, loss 0.1: 1 of 4, 0:00:11, 0:00:33 left\n"


def event(**changes):
    return PieceEvent(**{"piece": "mug 3", "done": 4, "of": 9, "failed": 0, "tries": 1, "seconds": 0.5} | changes)


def test_pieces_have_a_rate_and_failures_are_counted_and_told(clock, capsys):
    reporter = ConsoleReporter()
    with reporter.progress("rendering", 9) as done:
        clock[0] = 2.0
        reporter.piece(event())
        reporter.piece(event(done=5, failed=1, tries=3, error="no surface"))
        clock[0] = 11.0
        done(5)
    told = capsys.readouterr().err.splitlines()
    assert told == ["mug 3 failed 3 times: no surface", "rendering, 2.5/s, 1 failed: 5 of 9, 0:00:11, 0:00:09 left"]


def test_programs_get_a_line_of_json_for_each_piece(clock, capsys):
    ConsoleReporter(quiet=True, as_json=True).piece(event())
    expected = {"piece": "mug 3", "done": 4, "of": 9, "failed": 0, "tries": 1, "seconds": 0.5, "error": None}
    assert json.loads(capsys.readouterr().err) == expected


def test_quiet_is_quiet(clock, capsys):
    with ConsoleReporter(quiet=True).progress("rendering", 100) as done:
        clock[0] = 60.0
        done(1)
    assert capsys.readouterr() == ("", "")


def test_a_path_is_in_the_log_as_soon_as_its_file_is_finished(monkeypatch, tmp_path):
    (tmp_path / "a.png").touch()
    log = io.TextIOWrapper(io.BufferedWriter(raw := io.BytesIO()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", log)
    ConsoleReporter().made(tmp_path / "a.png", "a picture")
    assert raw.getvalue().decode() == f"{tmp_path / 'a.png'}\n"


def test_a_path_that_the_log_has_no_letters_for_is_written_in_its_bytes(monkeypatch):
    log = io.TextIOWrapper(raw := io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", log)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    prepare_streams()
    ConsoleReporter(quiet=True).made(Path("a.png"))
    ConsoleReporter(quiet=True).made(Path("größe.png"))
    assert raw.getvalue() == "a.png\ngröße.png\n".encode()


def test_nobody_reading_the_paths_does_not_stop_the_work(monkeypatch, tmp_path):
    """As in `gen3d sample ... | head -1`; `test_streams.py` tries it, and a closed stdout, from a shell."""

    class Broken(io.StringIO):
        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Broken())
    reporter = ConsoleReporter(quiet=True)
    for _ in range(2):
        reporter.made(tmp_path)


def test_further_commands_stand_on_lines_of_their_own_and_a_line_break_in_a_name_does_not(capsys):
    run = Run("demo", "shapes", {}).finish(
        next_command="open 'a\nb' in a browser, then try", further_commands=["one", "two"]
    )
    console.print_run(run, as_json=False, quiet=False)
    first, *others = capsys.readouterr().err.splitlines()
    assert first.endswith(r"Next: open 'a\nb' in a browser, then try")
    assert others == ["  one", "  two"]
