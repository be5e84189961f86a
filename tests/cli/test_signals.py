"""SIGTERM, SIGHUP and SIGKILL at whole commands: what is finished stays, and the command goes on when repeated."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gen3d_tools.staging import remove_leftovers

ROOT = Path(__file__).parents[2]
MAIN = "from gen3d_tools.kernels.rays import occupancy as o; o.CELLS = 32; from gen3d_tools.cli.app import main; main()"
"""The command line, for tiny generators: rays through them need no fine lattice."""


def start(folder, *arguments, **options):
    """Start a command in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def wait_for(process, condition):
    """Wait until something is there, while the process lives."""
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def finished(process):
    try:
        out, err = process.communicate(timeout=float(os.environ.get("GEN3D_TEST_SECONDS", "240")))
    finally:
        process.kill()
    return process.returncode, out.splitlines(), err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_ends_a_batch_like_ctrl_c(tmp_path, tiny_folder, number, code):
    batch = start(tmp_path, "sample", tiny_folder, "--seeds", "0-3000", "--class", "ball", "--size", 8, "-o", "out")
    first = batch.stdout.readline().strip()  # paths are told as files are finished, though this is no terminal
    batch.send_signal(number)
    found, out, err = finished(batch)
    assert found == code, err
    assert "--resume" in err.splitlines()[-1]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    record = json.loads((tmp_path / "out/run.json").read_text())
    assert [first, *out] == record["outputs"]
    assert names == sorted([*record["files"], "run.json"])
    assert [f"out/{name}" for name in record["files"]] == record["outputs"]


@pytest.mark.slow
def test_a_lost_connection_does_not_end_what_was_started_with_nohup(tmp_path, tiny_folder):
    signal_was = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        batch = start(tmp_path, "sample", tiny_folder, "--seeds", "0-3", "--class", "ball", "--size", 8, "-o", "out")
    finally:
        signal.signal(signal.SIGHUP, signal_was)
    batch.stdout.readline()
    batch.send_signal(signal.SIGHUP)
    code, out, _ = finished(batch)
    assert (code, len(out)) == (0, 3)


@pytest.mark.slow
def test_a_signal_ends_an_inversion_with_its_state_kept(tmp_path, tiny_folder, tiny_generator):
    import gen3d_tools as g3
    from gen3d_tools.media.images import write_image

    (field,) = tiny_generator.fields(tiny_generator.latents([4], ["cube"]))
    write_image(tmp_path / "photo.png", g3.render(field, tiny_generator.default_camera(), resolution=16).rgb)
    command = ("invert", "photo.png", "--model", tiny_folder, "--class", "cube", "--camera", "35,22")
    command += ("--background", "none", "--steps", 2000, "-o", "result")
    work = start(tmp_path, *command)
    wait_for(work, lambda: (tmp_path / ".result.unfinished/state.safetensors").is_file())
    work.send_signal(signal.SIGTERM)
    code, _, err = finished(work)
    assert code == 143
    assert "repeat the command with --resume" in err.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".result.unfinished", "photo.png"]
    assert os.listdir(tmp_path / ".result.unfinished") == ["state.safetensors"]


def killed_again_and_again(folder, command, kills, seed=0):
    """Kill a command at random times after its first output, repeat it, and let it finish in the end."""
    draw, out = random.Random(seed), folder / "out"
    for _ in range(kills):
        batch = start(folder, *command, "--resume")
        before = len(list(out.glob("*.*"))) if out.is_dir() else 0
        wait_for(batch, lambda before=before: out.is_dir() and len(list(out.glob("*.*"))) > before)
        time.sleep(draw.uniform(0, 0.3))
        batch.kill()
        batch.communicate()
    code, paths, err = finished(start(folder, *command, "--resume"))
    assert code == 0, err
    return paths


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file() and path.name != "run.json"
    }


@pytest.mark.slow
def test_a_batch_that_is_killed_and_resumed_ends_in_the_same_files(tmp_path, tiny_folder):
    """GEN3D_SAMPLES and GEN3D_KILLS ask for more of it."""
    much = os.environ.get("GEN3D_SAMPLES", "40"), os.environ.get("GEN3D_KILLS", "4")
    command = [sys.executable, "-m", "tests.support.killed_batches", str(tiny_folder), str(tmp_path), *much]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{much[0]} files, killed at [")


@pytest.mark.slow
def test_a_command_that_is_killed_and_repeated_ends_in_the_same_files(tmp_path, tiny_folder):
    kills, samples = 2, 24
    command = ("sample", tiny_folder, "--seeds", f"0-{samples - 1}", "--class", "ball", "--size", 8, "-o", "out")
    (tmp_path / "straight").mkdir()
    code, paths, err = finished(start(tmp_path / "straight", *command))
    assert code == 0, err
    assert killed_again_and_again(tmp_path, command, kills) == paths
    assert len(paths) == samples
    assert contents(tmp_path / "out") == contents(tmp_path / "straight/out")
    assert json.loads((tmp_path / "out/run.json").read_text())["whole"] is True
    for left in (tmp_path / "out").glob(".gen3d-*"):  # by a kill between the making of a folder and its lock
        os.utime(left, (0, 0))  # nobody can tell before some time has passed that its process is dead
    remove_leftovers(tmp_path / "out")
    assert not list((tmp_path / "out").glob(".*"))
