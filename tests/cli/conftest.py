"""Runs `gen3d` as a user does: arguments in; exit code, stdout and stderr out."""

import functools
import json
import sys
from dataclasses import dataclass

import pytest
import typer.main
from typer.main import get_command

from gen3d_tools.cli.app import app, main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def paths(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> dict:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one error line; fails if there is a traceback or more than one line."""
        assert "Traceback" not in self.err
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


@pytest.fixture(autouse=True, scope="module")
def _small(few_pixels):
    """Commands are tested with the tiny generator."""


@functools.cache
def command_line():
    """The parser of all commands, which a process builds once; that takes longer than most of what is refused."""
    return get_command(app)


@pytest.fixture
def gen3d(tmp_path, monkeypatch, capsys):
    """Call the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(typer.main, "get_command", lambda _: command_line())

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["gen3d", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        return Outcome(int(stopped.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def leftovers(tmp_path):
    """Everything in the working folder, to prove that a failed command left nothing."""

    def find() -> list[str]:
        return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))

    return find
