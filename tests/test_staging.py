"""What is left of writers that are killed, and who clears it away."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gen3d_tools import staging
from gen3d_tools.files import atomic_path
from gen3d_tools.staging import Staging, remove_leftovers

ROOT = Path(__file__).parents[1]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed(how: str, folder: Path, *arguments: str) -> int:
    """Run writers that are killed; says how many deaths there were."""
    command = [sys.executable, "-m", "tests.support.killed_writers", how, str(folder), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[0])


def test_death_at_any_step_leaves_all_old_or_all_new_and_no_name_empty(tmp_path):
    """Of one file, of several, of a folder, of both: each step of the system is once the last."""
    assert killed("every", tmp_path) > 100


@pytest.mark.slow
def test_death_at_any_time_leaves_all_old_or_all_new(tmp_path):
    assert killed("random", tmp_path, os.environ.get("GEN3D_KILL_SECONDS", "2")) > 5


def abandoned(parent: Path) -> Path:
    """A staging folder whose process has died."""
    left = Staging(parent)
    (left.new / "x.png").write_text("half")
    left._lock.close()
    return left.folder


def test_leftovers_are_removed_by_the_next_that_writes_there(tmp_path):
    abandoned(tmp_path)
    staging._visited.discard(tmp_path)
    with atomic_path(tmp_path / "y.png") as temporary:
        temporary.touch()
    assert names_in(tmp_path) == ["y.png"]


def test_what_a_living_process_works_on_stays(tmp_path):
    at_work = Staging(tmp_path)
    remove_leftovers(tmp_path)
    assert at_work.new.is_dir()
    at_work.close()
    assert names_in(tmp_path) == []


def test_nothing_of_another_name_and_no_link_is_removed(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    for name in (".gen3d-1234567", ".gen3d-12345678x", ".gen3d-ABCDEF12", ".git", ".x.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lock").touch()
    (tmp_path / ".gen3d-00000000").symlink_to(precious)
    (precious / "lock").touch()
    before = names_in(tmp_path)
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == before
    assert names_in(precious) == ["lock"]


def test_a_folder_of_our_name_without_a_lock_goes_only_when_it_is_old_and_empty(tmp_path):
    for name in ("00000001", "00000002", "00000003"):
        (tmp_path / f".gen3d-{name}").mkdir()
    (tmp_path / ".gen3d-00000003/thesis.tex").touch()
    for name in ("00000002", "00000003"):
        os.utime(tmp_path / f".gen3d-{name}", (time.time() - 3600,) * 2)
    remove_leftovers(tmp_path)
    assert names_in(tmp_path) == [".gen3d-00000001", ".gen3d-00000003"]


@pytest.mark.parametrize("changed", ["x.obj", "x.mtl"])
def test_what_somebody_has_changed_since_is_not_touched_by_a_late_repair(tmp_path, changed):
    """The process died with one of two names given; then a person worked on a file; then the next run came."""
    for name in ("x.obj", "x.mtl"):
        (tmp_path / name).write_text("old")
    left = Staging(tmp_path)
    for name in ("x.obj", "x.mtl"):
        (left.new / name).write_text("new")
    steps = [
        {"name": name, "before": staging._identity(tmp_path / name), "after": staging._identity(left.new / name)}
        for name in ("x.mtl", "x.obj")
    ]
    staging._write_journal(left.folder, "forward", steps)
    staging._advance(left.folder, "x.mtl")
    left._lock.close()
    (tmp_path / changed).write_text("a person's work")
    remove_leftovers(tmp_path)
    assert (tmp_path / changed).read_text() == "a person's work"
    assert names_in(tmp_path) == ["x.mtl", "x.obj"]


@pytest.mark.parametrize(
    "journal",
    [
        "{",
        "[]",
        '{"direction": "forward", "steps": [{"name": "../x.png", "before": null, "after": null}]}',
        '{"direction": "forward", "steps": [{"name": "x.png"}]}',
        '{"direction": "forward", "steps": 3}',
        "[" * 100_000,
    ],
)
def test_a_journal_that_is_none_moves_nothing(tmp_path, journal):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "x.png").write_text("precious")
    (inner / "x.png").write_text("precious")
    left = abandoned(inner)
    (left / "journal").write_text(journal)
    remove_leftovers(inner)
    assert names_in(inner) == ["x.png"]
    assert (tmp_path / "x.png").read_text() == (inner / "x.png").read_text() == "precious"
