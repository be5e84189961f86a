"""Several processes do together what one does alone."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gen3d_tools.training import processes
from gen3d_tools.training.processes import Processes, own_device, tells
from tests.training.tiny import changes, write_pictures

ROOT = Path(__file__).parents[2]


def gradients(tmp_path, processes):
    pictures = tmp_path / "pictures"
    if not pictures.exists():
        write_pictures(pictures)
    out = tmp_path / f"{processes}.safetensors"
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    script = ROOT / "tests" / "training" / "two_processes.py"
    subprocess.run([*start, str(script), str(pictures), str(out)], check=True, cwd=ROOT, env=environment)
    return load_file(out)


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(tmp_path):
    alone, together = (gradients(tmp_path, count) for count in (1, 2))
    assert alone.keys() == together.keys()
    assert len(alone) > 30
    for name, gradient in alone.items():
        largest = float(gradient.abs().max())
        assert float((gradient - together[name]).abs().max()) <= 1e-5 * max(largest, 1.0), name


SIGNS = """
import sys
from pathlib import Path
from types import SimpleNamespace
import torch
from gen3d_tools.training.augmentation.augment import Augmentation
from gen3d_tools.training.processes import Processes
from gen3d_tools.training.recipes.sections import AugmentationSection
from gen3d_tools.training.run.trainer import Trainer
from gen3d_tools.training.step import Gathered

processes, section = Processes.join(torch.device("cpu")), AugmentationSection(enabled=True, every=4)
trainer = SimpleNamespace(
    processes=processes,
    augmentation=Augmentation(section),
    recipe=SimpleNamespace(augmentation=section),
    iteration=1,
    _signs=[],
)
gathered = Gathered()
gathered.add({"signs/real": torch.tensor([1.0, 1.0 - 2 * processes.rank])})
Trainer._adapt(trainer, gathered)
(Path(sys.argv[1]) / str(processes.rank)).write_text(str(trainer._signs))
processes.leave()
"""


@pytest.mark.slow
def test_a_snapshot_of_one_process_has_the_signs_of_all(tmp_path):
    """Otherwise a resumed run would adapt its augmentation to what the first process saw."""
    (tmp_path / "script.py").write_text(SIGNS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, tmp_path / "script.py", tmp_path], check=True, cwd=ROOT, env=environment)
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["[0.5]", "[0.5]"]


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert own_device(torch.device("cuda")) == torch.device("cuda")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert own_device(torch.device("cuda")) == torch.device("cuda", 3)
    assert chosen == [torch.device("cuda", 3)]
    for asked in (torch.device("cuda", 1), torch.device("cpu")):  # as they were named
        assert own_device(asked) == asked
    assert len(chosen) == 1


@pytest.mark.slow
def test_the_last_snapshot_is_whole_before_any_process_leaves_and_one_tells_of_it(tmp_path):
    """One that left earlier, or with an error, would end the others: the only snapshot would be lost."""
    pictures, out = write_pictures(tmp_path / "pictures"), tmp_path / "run"
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--no-python"]
    told = [word for change in changes("3dgp", "run.snapshot_kimg=9", "run.kimg=0.016") for word in ("--set", change)]
    gen3d = str(Path(sys.executable).parent / "gen3d")
    command = [sys.executable, *words, gen3d, "train", str(pictures), "-o", str(out), "--recipe", "3dgp", "--small"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--resolution", "16", *told], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(out / "latest")]
    assert (out / "latest" / "config.json").is_file()
    assert done.stderr.count("Next:") == 1


@pytest.mark.parametrize(("device", "precision"), [("cpu", torch.float64), ("meta", torch.float32)])
def test_numbers_are_averaged_where_the_group_speaks(device, precision, monkeypatch):
    """nccl takes tensors of the GPU alone, and no double precision is made there."""
    sent = []
    monkeypatch.setattr(processes.dist, "all_reduce", lambda one: sent.append((one.device.type, one.dtype)))
    with suppress(RuntimeError):  # a tensor of the device "meta" has no number
        assert Processes(0, 2, torch.device(device)).average_number(4.0) == 2.0
    assert sent == [(device, precision)]


@pytest.mark.parametrize(
    ("rank", "count", "expected"), [(None, None, True), ("1", None, True), ("0", "2", True), ("1", "2", False)]
)
def test_one_of_several_tells(rank, count, expected, monkeypatch):
    for name, value in (("RANK", rank), ("WORLD_SIZE", count)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert tells() is expected
