"""A second process compiles what follows rays, where that is of use, and nothing depends on it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gen3d_tools.kernels.compiling import ahead
from tests.kernels.conftest import KINDS, make_field

FOLDER = Path("kernels") / "__pycache__"


def python(code):
    return subprocess.Popen([sys.executable, "-c", code])


@pytest.fixture
def helper(monkeypatch):
    monkeypatch.setattr(ahead, "_started", lambda *_: python("import time; time.sleep(60)"))
    monkeypatch.setattr(ahead, "usable_cores", lambda: 2)
    helper = ahead.SecondProcess()
    yield helper
    helper.end()


@pytest.mark.parametrize(
    ("wanted", "on_disk", "cores", "begun"),
    [
        (True, False, 2, True),
        (False, False, 2, False),
        (True, True, 2, False),
        (True, False, 1, False),
    ],
)
def test_it_begins_only_where_it_is_of_use(helper, monkeypatch, wanted, on_disk, cores, begun):
    monkeypatch.setattr(ahead, "is_on_disk", lambda *_: on_disk)
    monkeypatch.setattr(ahead, "usable_cores", lambda: cores)
    helper.wanted = wanted
    helper.begin(FOLDER)
    assert (helper.process is not None) == begun


def test_it_begins_once(helper, monkeypatch):
    monkeypatch.setattr(ahead, "is_on_disk", lambda *_: False)
    helper.wanted = True
    helper.begin(FOLDER)
    first = helper.process
    helper.begin(FOLDER)
    assert helper.process is first
    helper.wanted = True  # a second command in one process
    helper.begin(FOLDER)
    assert helper.process is first


def test_it_is_ended_with_the_process_that_needs_it(helper, monkeypatch):
    at_exit = []
    monkeypatch.setattr(ahead.atexit, "register", at_exit.append)
    monkeypatch.setattr(ahead, "is_on_disk", lambda *_: False)
    helper.wanted = True
    helper.begin(FOLDER)
    process = helper.process
    (end,) = at_exit
    end()
    assert process.returncode is not None
    assert helper.process is None


@pytest.mark.parametrize("code", ["", "raise SystemExit(1)", "import os; os.abort()"])
def test_it_is_waited_for_whether_it_succeeds_or_not(helper, code):
    helper.process = process = python(code)
    helper.finish()
    assert process.returncode is not None
    assert helper.process is None


def test_it_is_not_waited_for_without_an_end(helper, monkeypatch):
    monkeypatch.setattr(ahead, "_LONGEST_WAIT", 0.1)
    helper.process = process = python("import time; time.sleep(60)")
    helper.finish()
    assert process.returncode is not None


def test_where_kernels_are_kept_in_one_place_those_beside_their_files_do_not_count(helper, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(ahead, "is_on_disk", lambda source, name, folders: asked.extend(folders))
    helper.wanted, kept = True, tmp_path / "rays_1"
    kept.mkdir()
    helper.begin(kept)
    assert asked == [kept]


def test_it_does_not_begin_any_more_once_its_work_is_wanted(helper, monkeypatch):
    monkeypatch.setattr(ahead, "is_on_disk", lambda *_: False)
    helper.wanted = True
    helper.finish()
    helper.begin(FOLDER)
    assert helper.process is None


def test_what_was_compiled_by_another_python_or_from_another_text_is_not_on_disk(tmp_path):
    source = tmp_path / "module.py"
    source.write_text("def kernel(): pass\n")
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    (tmp_path / "module.kernel-1.py20.1.nbc").touch()
    assert not ahead.is_on_disk(source, "kernel", [tmp_path])
    (tmp_path / f"module.kernel-1.{python}.1.nbc").touch()
    assert ahead.is_on_disk(source, "kernel", [tmp_path / "elsewhere", tmp_path])
    later = source.stat().st_mtime + 100
    os.utime(source, (later, later))
    assert not ahead.is_on_disk(source, "kernel", [tmp_path])


def test_the_kernel_that_it_looks_for_exists():
    from gen3d_tools.kernels.rays import guided

    [(source, name)] = ahead._RAYS_KERNELS
    assert Path(guided.__file__) == source
    assert hasattr(guided, name)


def test_a_system_that_starts_no_process_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    assert ahead._started(ahead.RAYS) is None


@torch.no_grad()
def test_what_it_compiles_serves_every_field(coarse_occupancy_grid):
    from gen3d_tools.fields.compiled import compiled_network
    from gen3d_tools.kernels.compile_ahead import compile_rays
    from gen3d_tools.kernels.rays.guided import follow_range
    from gen3d_tools.rendering.compiled.rays import march_guided
    from gen3d_tools.rendering.volume.reach import Reach

    compile_rays()
    compiled = set(follow_range.signatures)
    assert len(compiled) == 1
    for kind in KINDS.values():
        field = make_field(kind)
        ray = torch.tensor([[0.0, 0.0, -2.0]]), torch.tensor([[0.0, 0.0, 1.0]])
        ends = torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([True])
        march_guided(compiled_network(field), field.render_config, *ray, Reach(*ends, cut=False), channels=None)
    assert set(follow_range.signatures) == compiled
