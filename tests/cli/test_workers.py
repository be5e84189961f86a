"""`--workers`: what one process makes, made by several."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def gen3d_process(folder, *arguments):
    """Call the command line as a program of its own: workers are processes that start where it did."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from gen3d_tools.cli.app import main; main()"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


def contents(folder):
    """Every file; of the record what does not tell of the time."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    record = json.loads(found.pop("run.json"))
    return found, {key: value for key, value in record.items() if key not in ("seconds", "finished")}


def same_with_workers(tmp_path, *arguments):
    """Run a command with one worker and with two, and compare; gives the files, and what the second run printed."""
    kept = []
    for workers in (1, 2):
        (tmp_path / f"{workers}").mkdir()
        done = gen3d_process(tmp_path / f"{workers}", *arguments, "-o", "out/", "--workers", workers)
        assert done.returncode == 0, done.stderr
        kept.append(contents(tmp_path / f"{workers}" / "out"))
    assert kept[0] == kept[1]
    return kept[1][0], done


@pytest.mark.slow
def test_pictures_are_those_of_one_process_to_the_byte(tmp_path):
    files, done = same_with_workers(tmp_path, "sample", "shapes", "--seeds", "0-3", "--size", 24, "--show", "rgb,depth")
    assert len(files) == 4 * 2 + 1
    assert sorted(done.stdout.split()) == sorted(f"out/{name}" for name in files if name != "manifest.jsonl")


@pytest.mark.slow
def test_meshes_their_table_and_their_sheet_are_those_of_one_process(tmp_path):
    options = ("--resolution", 24, "--color-from", "points", "--format", "ply,obj", "--points", 50)
    files, done = same_with_workers(tmp_path, "mesh", "shapes", "--seeds", "0-2", *options)
    assert {"meshes.png", "manifest.jsonl", "mug-0000.ply", "mug-0000.obj", "mug-0000-points.ply"} <= set(files)
    assert [name in done.stderr for name in ("sample", "mug 0", "mug 1", "sailboat 2")] == [True] * 4


@pytest.mark.slow
@pytest.mark.parametrize("form", ["mp4", "frames"])
def test_videos_are_those_of_one_process_to_the_byte(tmp_path, form):
    options = ("--seconds", 0.2, "--fps", 10, "--size", 16, "--format", form)
    files, _ = same_with_workers(tmp_path, "video", "shapes", "--seeds", "0-2", *options)
    assert len(files) == 1 + 3 * (2 if form == "frames" else 1)


def test_workers_are_counted_before_any_work(gen3d):
    assert "workers is 0; it must lie in 1..1024" in gen3d("sample", "shapes", "--workers", 0).error
    assert "each has one" in gen3d("sample", "shapes", "--workers", 1, "--device", "cuda:0,1").error
    assert "devices are 'cpu,cpu'" in gen3d("sample", "shapes", "--device", "cpu,cpu").error


def test_a_sheet_is_made_by_one_process(gen3d):
    outcome = gen3d("sample", "shapes", "--seeds", "0-3", "--grid", "--workers", 2)
    assert outcome.code == 2
    assert "leave --workers out" in outcome.error
