"""Where a run may live is told before any work, and what it did not write there stays."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gen3d_tools.errors import InputError, NotFoundError, PlaceError
from gen3d_tools.training.run.folder import LATEST, run_folder
from gen3d_tools.training.run.lock import LOCK_NAME
from gen3d_tools.training.run.looks import sheet_path, sheets_in
from gen3d_tools.workflows.train import TrainOptions, train

PICTURES = Path("pictures")
HOLDER = """
import sys, time
from pathlib import Path
from gen3d_tools.training.run.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def check_folder(folder, resume, pictures):
    with run_folder(folder, resume, pictures):
        pass


def begun(folder):
    """What a run leaves that ended before its first snapshot."""
    sheet = sheet_path(folder, 16)
    sheet.parent.mkdir(parents=True)
    sheet.write_bytes(b"")
    (folder / "log.jsonl").write_text('{"iteration": 1, "kimg": 0.016}\n{"iterat')
    (folder / "index.html").write_text("")
    (folder / ".gen3d-01234567").mkdir()  # where an output was being made, long ago
    os.utime(folder / ".gen3d-01234567", (0, 0))
    return folder


def test_a_run_that_ended_before_its_first_snapshot_starts_again_in_its_folder(tmp_path):
    folder = begun(tmp_path / "run")
    check_folder(folder, False, PICTURES)
    with pytest.raises(InputError, match="ended before its first snapshot; start it without --resume"):
        check_folder(folder, True, PICTURES)


@pytest.mark.parametrize("name", ["notes.txt", "sheets/best.png", "sheets/20240131.png"])
def test_what_a_run_did_not_write_keeps_its_folder(name, tmp_path):
    folder = begun(tmp_path / "run")
    (folder / name).write_bytes(b"")
    with pytest.raises(InputError, match="is not empty"):
        check_folder(folder, False, PICTURES)


def test_a_log_of_another_program_keeps_its_folder(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(InputError, match="is not empty"):
        check_folder(tmp_path, False, PICTURES)


def test_sheets_are_what_the_run_names_so(tmp_path):
    folder = begun(tmp_path)
    for name in ("best.png", "20240131.png", "0000000160.png"):
        (folder / "sheets" / name).write_bytes(b"")
    assert sheets_in(folder) == [sheet_path(folder, 16)]


def test_a_file_that_snapshots_would_stumble_over_is_told_before_they_do(tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"")
    check_folder(tmp_path, True, PICTURES)  # killed before its first model
    (tmp_path / LATEST).mkdir()
    (tmp_path / LATEST / "config.json").write_text(json.dumps({"format": "gen3d-tools"}))
    (tmp_path / LATEST / "model.safetensors").write_bytes(b"")
    check_folder(tmp_path, True, PICTURES)
    (tmp_path / LATEST / "mine.txt").write_text("kept")
    with pytest.raises(InputError, match=r"holds what no run wrote \(mine\.txt\).*move that elsewhere"):
        check_folder(tmp_path, True, PICTURES)


def test_a_run_does_not_live_among_its_pictures(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    for resume in (False, True):
        with pytest.raises(InputError, match="lies in the folder of the pictures"):
            check_folder(tmp_path / "link" / "runs" / "first", resume, tmp_path)
    check_folder(tmp_path / "run", False, tmp_path / "pictures")
    assert [path.name for path in tmp_path.iterdir()] == ["link"]  # looking leaves nothing


def test_places_that_take_no_files_are_told_before_any_work(tmp_path):
    (tmp_path / "0.png").write_bytes(b"")
    with pytest.raises(PlaceError, match=r"0\.png is not a writable folder"):
        check_folder(tmp_path / "0.png" / "run", False, PICTURES)
    with pytest.raises(InputError, match="is no folder, which a run needs"):
        check_folder(tmp_path / "0.png", False, PICTURES)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no file system here takes no files from anyone")
def test_permissions_alone_do_not_tell_of_a_place():
    with pytest.raises(PlaceError, match="cannot write /proc/run: /proc"):
        check_folder(Path("/proc/run"), False, PICTURES)


def test_a_run_that_goes_on_begins_with_no_other(tmp_path):
    with pytest.raises(
        InputError, match=r"resume=True goes on with .* start begins with others; leave one of them out"
    ):
        train(PICTURES, tmp_path, TrainOptions(resume=True, start="runs/other"))


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_in_which_a_run_is_writing_is_that_runs_alone(tmp_path, resume):
    folder = tmp_path / "new" / "run"
    with run_folder(folder, False, PICTURES):
        begun(folder)
        before = sorted(folder.rglob("*"))
        with pytest.raises(
            InputError, match=rf"is writing in {folder} \(process {os.getpid()} on .*\); wait, stop it, or choose"
        ):
            train(PICTURES, folder, TrainOptions(resume=resume))
        assert sorted(folder.rglob("*")) == before
    assert not (folder / LOCK_NAME).exists()
    check_folder(folder, False, PICTURES)


def test_a_run_that_failed_before_it_wrote_anything_leaves_nothing(tmp_path):
    with pytest.raises(NotFoundError, match="missing"):
        train(tmp_path / "missing", tmp_path / "new" / "run", TrainOptions(small=True, device="cpu"))
    assert not list(tmp_path.iterdir())


def test_of_several_processes_one_keeps_others_out(tmp_path, monkeypatch):
    with run_folder(tmp_path / "run", False, PICTURES):
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
        check_folder(tmp_path / "run", False, PICTURES)
        assert (tmp_path / "run" / LOCK_NAME).exists()


@pytest.mark.slow
def test_the_folder_of_a_killed_run_is_free_at_once(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "run"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=f"process {holder.pid} on"):
            check_folder(tmp_path / "run", False, PICTURES)
        holder.send_signal(signal.SIGKILL)
    assert (tmp_path / "run" / LOCK_NAME).exists()
    check_folder(tmp_path / "run", False, PICTURES)
    assert not (tmp_path / "run" / LOCK_NAME).exists()
