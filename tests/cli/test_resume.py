"""Batches go on where they stopped: the same files in the end, and none of those that are whole is made again."""

import json
from pathlib import Path

import pytest

from gen3d_tools.errors import Gen3DError
from gen3d_tools.workflows import sample as sample_module
from gen3d_tools.workflows.mesh import batch as mesh_batch
from gen3d_tools.workflows.mesh import preview as mesh_preview
from gen3d_tools.workflows.mesh import sample as mesh_job
from gen3d_tools.workflows.video import frames as film_module

SMALL = ("--size", 8)
TEXTURED = ("--resolution", 16, "--color-from", "points", "--texture", 64)
COMMANDS = {
    "sample": ("--class", "all", "--seeds", "0-2", "--show", "rgb,depth", *SMALL),
    "video": ("--class", "all", "--seeds", "0-1", "--seconds", 0.2, "--fps", 10, *SMALL),
    "frames": ("--class", "all", "--seeds", "0-1", "--seconds", 0.2, "--fps", 10, "--format", "frames", *SMALL),
    "mesh": ("--class", "all", "--seeds", "0-1", *TEXTURED, "--format", "obj,ply", "--points", 50),
}
WORK = {
    "sample": (sample_module, "picture"),
    "video": (film_module, "_picture"),
    "frames": (film_module, "_picture"),
    "mesh": (mesh_job, "make_mesh"),
}


def files(folder):
    """Every file with its contents and inode, but for records."""
    found = sorted(path for path in Path(folder).rglob("*") if path.is_file() and not path.name.startswith("run"))
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_ino) for path in found}


def bytes_of(folder):
    return {name: content for name, (content, _) in files(folder).items()}


@pytest.fixture(autouse=True)
def small_portraits(monkeypatch):
    for module in (mesh_preview, mesh_batch):
        monkeypatch.setattr(module, "STRIP_SIZE", 16)


@pytest.fixture
def run(gen3d, tiny_folder):
    def call(job, out, *options):
        command = "video" if job == "frames" else job
        return gen3d(command, tiny_folder, *COMMANDS[job], "-o", out, "-q", *options)

    return call


def counting(monkeypatch, job, stop_at=None, error=KeyboardInterrupt):
    """Count the pieces of work that are done, and be interrupted in one of them."""
    module, name = WORK[job]
    real, calls = getattr(module, name), []

    def work(*arguments, **options):
        calls.append(1)
        if len(calls) == stop_at:
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, work)
    return calls


@pytest.mark.slow
@pytest.mark.parametrize(("job", "stop_at"), [("sample", 6), ("video", 5), ("frames", 6), ("mesh", 3)])
def test_an_interrupted_batch_goes_on_to_the_same_bytes(run, monkeypatch, job, stop_at):
    with monkeypatch.context() as patch:
        whole_work = counting(patch, job)
        assert run(job, "straight").code == 0
    with monkeypatch.context() as patch:
        counting(patch, job, stop_at)
        assert run(job, "out").code == 130
    kept = {name: found for name, found in files("out").items() if not name.startswith(".")}
    assert 0 < len(kept) < len(files("straight"))
    assert json.loads(Path("out/run.json").read_text())["whole"] is False
    with monkeypatch.context() as patch:
        rest = counting(patch, job)
        again = run(job, "out", "--resume")
    assert again.code == 0, again.err
    assert again.paths == [path.replace("straight", "out") for path in run(job, "straight", "--resume").paths]
    assert bytes_of("out") == bytes_of("straight")
    assert 0 < len(rest) < len(whole_work)
    assert kept.items() <= files("out").items()
    records = [json.loads(path.read_text()) for path in Path("out").glob("run*.json")]
    assert [record["whole"] for record in records] == [True]
    assert set(records[0]["files"]) == set(bytes_of("out"))


@pytest.mark.slow
@pytest.mark.parametrize("job", COMMANDS)
def test_nothing_is_made_again_where_all_is_whole(run, monkeypatch, job):
    assert run(job, "out").code == 0
    before = files("out")
    calls = counting(monkeypatch, job)
    assert run(job, "out", "--resume").code == 0
    assert calls == []
    assert files("out") == before


@pytest.mark.slow
@pytest.mark.parametrize("job", COMMANDS)
def test_what_is_missing_or_cut_short_is_made_again(run, job):
    assert run(job, "straight").code == 0
    assert run(job, "out").code == 0
    first, *_, last = sorted(Path(name) for name in files("out") if not name.startswith("meshes"))
    Path("out", first).unlink()
    Path("out", last).write_bytes(Path("out", last).read_bytes()[:-1])
    refused = run(job, "out", "--resume")
    assert refused.code == 2
    assert "no record proves" in refused.error
    assert run(job, "out", "--resume", "--overwrite").code == 0
    assert bytes_of("out") == bytes_of("straight")


@pytest.mark.slow
def test_without_a_word_existing_outputs_are_counted_and_the_ways_out_named(run, monkeypatch):
    with monkeypatch.context() as patch:
        counting(patch, "sample", 6)
        run("sample", "out")
    refused = run("sample", "out")
    assert refused.code == 2
    assert "5 of 12 outputs exist already in out (ball-0000-rgb.png, " in refused.error
    assert "--resume makes the rest, --overwrite makes all again" in refused.error
    assert run("sample", "out", "--overwrite").code == 0


@pytest.mark.slow
def test_outputs_of_other_work_are_never_taken_for_the_runs_own(run, gen3d, tiny_folder):
    assert run("sample", "out").code == 0
    before = files("out")
    other = run("sample", "out", "--resume", "--psi", 0.5)
    assert other.code == 2
    assert "were made with different psi" in other.error
    grid = ("sample", tiny_folder, "--class", "all", "--grid", "-o", "sheet", "-q", *SMALL)
    assert gen3d(*grid, "--seeds", "0-1").code == 0
    assert "different seeds" in gen3d(*grid, "--seeds", "0-2", "--resume").error
    assert files("out") == before


@pytest.mark.slow
def test_more_samples_may_be_asked_for(run, monkeypatch):
    assert run("sample", "out").code == 0
    calls = counting(monkeypatch, "sample")
    assert run("sample", "out", "--resume", "--seeds", "0-3").code == 0
    assert len(calls) == 2 * 2  # one more seed of two classes, in two kinds


def test_the_last_folder_is_resumed_where_none_is_named(gen3d, tiny_folder, monkeypatch):
    command = ("sample", tiny_folder, "--class", "all", "-q", *SMALL)
    assert gen3d(*command, "--resume").code == 3
    assert gen3d(*command).code == 0
    with monkeypatch.context() as patch:
        counting(patch, "sample", 2)
        assert gen3d(*command).code == 130
    done = gen3d(*command, "--resume")
    assert done.paths == [f"gen3d-out/sample-tiny-all-seeds-0-2/{name}-0000.png" for name in ("ball", "cube")]


@pytest.mark.slow
def test_a_failed_sample_is_tried_again_and_the_sheet_with_it(run, monkeypatch):
    assert run("mesh", "straight").code == 0
    with monkeypatch.context() as patch:
        counting(patch, "mesh", 2, Gen3DError("cubes roll badly"))
        assert run("mesh", "out").code == 7
    with monkeypatch.context() as patch:
        calls = counting(patch, "mesh")
        assert run("mesh", "out", "--resume").code == 0
    assert len(calls) == 1
    assert bytes_of("out") == bytes_of("straight")


def test_a_dry_run_says_the_same_and_changes_nothing(run, monkeypatch):
    with monkeypatch.context() as patch:
        counting(patch, "sample", 6)
        run("sample", "out")
    before = {str(path): path.read_bytes() for path in Path("out").iterdir()}
    assert run("sample", "out", "--dry-run").code == 2
    assert run("sample", "out", "--resume", "--dry-run").code == 0
    assert {str(path): path.read_bytes() for path in Path("out").iterdir()} == before
