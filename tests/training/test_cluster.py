"""`gen3d train --ray`: what is lost costs a snapshot's interval, and the run ends as one that lost nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gen3d_tools.batch.pieces import Failure
from gen3d_tools.errors import Gen3DError, InputError, MissingDependencyError, PlaceError
from gen3d_tools.training.run.folder import run_folder
from gen3d_tools.workflows import train_on_cluster as cluster
from gen3d_tools.workflows.train import TrainOptions
from gen3d_tools.workflows.train_on_cluster import train_on_cluster
from tests.training.tiny import changes, write_pictures

ROOT = Path(__file__).parents[2]
needs_ray_train = pytest.mark.skipif(
    find_spec("ray") is None or find_spec("pandas") is None, reason='needs Ray Train: pip install -e ".[cluster]"'
)
KIMG = 0.4
SNAPSHOT = 0.08
OPTIONS = TrainOptions(
    recipe="epigraf",
    small=True,
    resolution=16,
    changes=changes("epigraf", f"run.kimg={KIMG}", f"run.snapshot_kimg={SNAPSHOT}"),
    device="cpu",
)
SCRIPT = """
import sys
from pathlib import Path
from tests.training.test_cluster import OPTIONS
from gen3d_tools.workflows.train_on_cluster import train_on_cluster
run = train_on_cluster(sys.argv[1], sys.argv[2], OPTIONS, ray="local", workers=2)
print(*run.outputs)
"""


def worker_processes():
    """The processes that Ray Train has begun for a run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if b"RayTrainWorker" in name:
            found.append(int(folder.name))
    return sorted(found)


@needs_ray_train
@pytest.mark.slow
def test_a_killed_worker_costs_at_most_a_snapshot_interval(tmp_path):
    pictures = write_pictures(tmp_path / "pictures")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, pictures]
    subprocess.run([*command, tmp_path / "quiet"], env=environment, capture_output=True, check=True)
    before = set(worker_processes())
    work = subprocess.Popen(
        [*command, tmp_path / "spread"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    state, log = tmp_path / "spread/state.safetensors", tmp_path / "spread/log.jsonl"
    while not state.exists():
        assert work.poll() is None, work.communicate()
        time.sleep(0.05)
    starts = next(tmp_path.glob(".spread.*")) / "starts.jsonl"
    victim = next(one for one in worker_processes() if one not in before)
    reached = json.loads(log.read_text().splitlines()[-1])["kimg"]
    os.kill(victim, signal.SIGKILL)
    while len(starts.read_text().splitlines()) < 2:
        assert work.poll() is None, work.communicate()
        time.sleep(0.05)
    again = json.loads(starts.read_text().splitlines()[1])["images"] / 1000
    assert reached - SNAPSHOT <= again < KIMG
    out, err = work.communicate(timeout=300)
    assert work.returncode == 0, err
    assert out.split() == [str(tmp_path / "spread/latest")]
    quiet, spread = (load_file(tmp_path / name / "latest/model.safetensors") for name in ("quiet", "spread"))
    assert quiet.keys() == spread.keys()
    assert all(torch.equal(tensor, spread[name]) for name, tensor in quiet.items())
    assert not list(tmp_path.glob(".spread.*"))


def test_a_run_that_cannot_be_spread_is_refused_before_any_work(tmp_path, monkeypatch):
    pictures = write_pictures(tmp_path / "pictures")
    monkeypatch.setattr("gen3d_tools.batch.ray_engine.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="Ray is not installed"):
        train_on_cluster(pictures, tmp_path / "run", OPTIONS)
    monkeypatch.undo()
    monkeypatch.setattr("gen3d_tools.batch.options.check_ray", lambda address: None)
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(
        MissingDependencyError, match=r'Ray Train is not installed; try: pip install "gen3d-tools\[cluster\]"'
    ):
        train_on_cluster(pictures, tmp_path / "run", OPTIONS)
    monkeypatch.setattr(cluster, "find_spec", lambda name: name)
    with pytest.raises(InputError, match="minutes is -5, it must be more than 0"):
        train_on_cluster(pictures, tmp_path / "run", replace(OPTIONS, minutes=-5))
    with pytest.raises(InputError, match="2 rounds of 4 pictures cannot be shared by 3 processes"):
        train_on_cluster(pictures, tmp_path / "run", OPTIONS, workers=3)
    assert not list(tmp_path.glob("*run*"))


def test_a_folder_in_which_another_run_is_writing_is_refused_before_any_cluster_is_asked(tmp_path):
    with run_folder(tmp_path / "run", False, tmp_path / "pictures"):
        for resume in (False, True):
            with pytest.raises(InputError, match="a training run is writing in"):
                train_on_cluster(tmp_path / "pictures", tmp_path / "run", replace(OPTIONS, resume=resume))


class _Task:
    """As much of a task as is looked at."""

    def __init__(self, folder):
        self.folder = self.notes = folder


def test_what_a_process_says_ends_the_run_and_lost_ones_do_in_the_end(tmp_path):
    seen = []
    reporter = cluster.Reporter()
    cluster._look(_Task(tmp_path), seen.append, reporter)
    (tmp_path / "log.jsonl").write_text('{"kimg": 0.5, "pictures_per_second": 3}\n{"kimg": 0.7, "pict')
    starts = tmp_path / "starts.jsonl"
    starts.write_text('{"images": 0}\n' + '{"images": 80}\n' * cluster.TRIES)
    cluster._look(_Task(tmp_path), seen.append, reporter)
    assert seen == [500]
    starts.write_text(starts.read_text() + '{"images": 80}\n')
    with pytest.raises(Gen3DError, match="processes were lost 3 times after 80 pictures"):
        cluster._look(_Task(tmp_path), seen.append, reporter)
    failure = Failure.of(PlaceError("the disk is full"))
    (tmp_path / "failure.json").write_text(json.dumps(asdict(failure)))
    with pytest.raises(PlaceError, match="the disk is full"):
        cluster._look(_Task(tmp_path), seen.append, reporter)


@pytest.mark.parametrize(
    ("resources", "device", "asked", "found"),
    [
        ({"CPU": 2.0}, "auto", None, (False, 2)),
        ({"CPU": 3.0}, "cpu", None, (False, 2)),  # two rounds of four pictures
        ({"CPU": 16.0, "GPU": 1.0}, "auto", None, (True, 1)),
        ({"CPU": 16.0, "GPU": 1.0}, "cpu", 2, (False, 2)),
        ({"CPU": 1.0}, "auto", 2, "has room for 1 of 2 processes; ask for fewer"),
        ({"CPU": 4.0}, "cuda", None, "has no GPU; leave device out"),
    ],
)
def test_there_are_as_many_processes_as_have_a_place_and_a_share(monkeypatch, resources, device, asked, found):
    class Ray:
        cluster_resources = staticmethod(lambda: resources)

    monkeypatch.setattr(cluster, "import_module", lambda name: Ray)
    recipe = OPTIONS.load()
    if isinstance(found, str):
        with pytest.raises(InputError, match=found):
            cluster._places("local", device, asked, recipe)
    else:
        assert cluster._places("local", device, asked, recipe) == found
