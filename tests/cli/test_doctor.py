"""`gen3d doctor`: a sound machine, and machines that each lack one thing."""

import errno
import importlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gen3d_tools.workflows.doctor import run as workflow

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def sound(monkeypatch, tiny_folder):
    """A machine where all is well, whatever this one lacks; gives the folder of its bundled model."""
    from gen3d_tools.generators import source

    monkeypatch.setattr(source, "bundled_models", lambda: {"shapes": tiny_folder})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**12, 0, 10**12))
    monkeypatch.setattr(shutil, "which", lambda name, **options: None)
    return tiny_folder


@pytest.fixture
def importing(monkeypatch):
    """Make the import of one module raise."""
    real = importlib.import_module

    def fail(module: str, error: Exception) -> None:
        def pretend(name, *rest):
            if name == module:
                raise error
            return real(name, *rest)

        monkeypatch.setattr(importlib, "import_module", pretend)

    return fail


@pytest.fixture
def lines(gen3d):
    """Run `gen3d doctor --json`: its exit code and its checks by name."""

    def run():
        result = gen3d("doctor", "--json")
        report = result.json
        assert report["exit_code"] == result.code
        assert result.err == ""
        for check in report["checks"]:
            assert check["fix"] or check["status"] == "ok", check
        return result.code, {check["name"]: check for check in report["checks"]}

    return run


def test_a_sound_machine_is_0(sound, lines):
    code, checks = lines()
    assert code == 0
    assert {check["status"] for check in checks.values()} <= {"ok", "optional", "warning"}
    needed = ["python", "gen3d-tools", "packages", "device", "open3d", "ffmpeg", "model shapes", "hub cache"]
    assert {*needed, "this folder", "temporary folder"} <= set(checks)


def test_every_needed_package_is_imported(sound, lines):
    _, checks = lines()
    needed = [name for name in PROJECT["dependencies"] if not name.startswith(("open3d", "libusb"))]
    for requirement in needed:
        name = requirement.partition(">=")[0].lower().replace("_", "-")
        assert f"{name} " in checks["packages"]["found"]
    assert len(checks["packages"]["found"].split(", ")) == len(needed)


def test_every_extra_is_looked_for():
    for_contributors = {"dev", "docs"}  # no command needs them
    extras = set(PROJECT["optional-dependencies"]) - for_contributors
    lines = [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    assert set(workflow.PURPOSES) == {re.split("[>=[]", line)[0] for line in lines}


def test_the_table_is_for_people(sound, gen3d, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(workflow, "PURPOSES", {"mrcfile": "volumes"})
    real = workflow.version
    monkeypatch.setattr(workflow, "version", lambda name: real("none-of-this-name" if name == "mrcfile" else name))
    result = gen3d("doctor")
    assert result.code == 0
    assert "optional  mrcfile" in result.out
    assert 'fix: pip install "gen3d-tools[mrc]"' in result.out  # the bracket is no markup
    assert "Next: gen3d demo" in result.err


def test_warm_compiles_ahead_and_without_it_nothing_is_compiled(sound, gen3d, lines, monkeypatch):
    from gen3d_tools.workflows import warm

    called = []
    monkeypatch.setattr(warm, "warm", lambda: called.append(True))
    monkeypatch.setattr(warm, "missing_kernels", lambda: ("kernels.rays.scheme",))
    _, checks = lines()
    assert not called
    assert checks["compiled code"]["found"].startswith(f"{len(warm.KERNELS) - 1} of {len(warm.KERNELS)} parts in ")
    assert gen3d("doctor", "--warm", "--json").code == 0
    assert called


def test_a_place_for_compiled_code_is_asked_for_where_there_is_none(sound, lines, monkeypatch):
    from gen3d_tools.workflows import warm

    monkeypatch.setattr(warm, "kernel_folder", lambda: None)
    code, checks = lines()
    assert code == 0
    assert checks["compiled code"]["status"] == "warning"
    assert "NUMBA_CACHE_DIR" in checks["compiled code"]["fix"]


def test_a_missing_package_is_5(sound, importing, lines):
    importing("mcubes", ModuleNotFoundError("No module named 'mcubes'", name="mcubes"))
    code, checks = lines()
    assert code == 5
    assert checks["pymcubes"]["status"] == "missing"
    assert checks["pymcubes"]["fix"].startswith('pip install "pymcubes>=')
    assert "pymcubes" not in checks["packages"]["found"]


def test_a_package_that_lacks_a_library_names_it(sound, importing, lines):
    importing("numba", ImportError("libgomp.so.1: cannot open shared object file: No such file or directory"))
    code, checks = lines()
    assert code == 5
    assert checks["numba"]["fix"].startswith("apt install libgomp1")


def test_an_old_package_is_5(sound, lines, monkeypatch):
    real = workflow.version
    monkeypatch.setattr(workflow, "version", lambda name: "0.3.9" if name == "safetensors" else real(name))
    code, checks = lines()
    assert code == 5
    assert checks["safetensors"]["found"] == "0.3.9, older than 0.4.5"


@pytest.mark.parametrize("kind", [ImportError, OSError])  # Python's loader, and ctypes
def test_open3d_without_libgl_is_a_warning_with_the_package(sound, importing, lines, kind, monkeypatch):
    monkeypatch.delitem(sys.modules, "open3d", raising=False)
    importing("open3d", kind("libGL.so.1: cannot open shared object file: No such file or directory"))
    code, checks = lines()
    assert code == 0
    assert checks["open3d"]["status"] == "warning"
    assert "libGL.so.1" in checks["open3d"]["found"]
    assert "libgl1" in checks["open3d"]["fix"]


def test_open3d_not_installed_is_a_warning(sound, importing, lines):
    importing("open3d", ModuleNotFoundError("No module named 'open3d'", name="open3d"))
    code, checks = lines()
    assert code == 0
    assert "pip install open3d" in checks["open3d"]["fix"]


def test_no_ffmpeg_is_5(sound, lines, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    code, checks = lines()
    assert code == 5
    assert checks["ffmpeg"]["status"] == "missing"
    assert checks["ffmpeg"]["fix"] == "unset IMAGEIO_FFMPEG_EXE, which names the program to use"
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE")
    import imageio_ffmpeg

    def none():
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", none)
    _, checks = lines()
    assert "imageio-ffmpeg" in checks["ffmpeg"]["fix"]


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_an_ffmpeg_without_h264_is_5(sound, lines, monkeypatch, tmp_path):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'ffmpeg version 4.2 Copyright (c) nobody'; echo ' V..... libvpx-vp9 VP9'\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    code, checks = lines()
    assert code == 5
    assert checks["ffmpeg"]["found"] == "4.2 lacks libx264, so no .mp4"


def test_an_ffmpeg_that_hangs_is_not_waited_for(sound, lines, monkeypatch):
    def hang(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    code, checks = lines()
    assert code == 5
    assert "timed out" in checks["ffmpeg"]["found"]


def test_a_full_disk_is_1(sound, lines, monkeypatch):
    def full(**options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    code, checks = lines()
    assert code == 1
    for place in ("this folder", "temporary folder"):
        assert checks[place]["found"] == "the disk is full"
        assert "free some space" in checks[place]["fix"]


def test_a_nearly_full_disk_is_1(sound, lines, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**12, 10**12, 10**7))
    code, checks = lines()
    assert code == 1
    assert "0.0 GB free" in checks["this folder"]["found"]
    assert "200 MB" in checks["this folder"]["fix"]


def test_a_folder_that_takes_no_files_is_1(sound, lines, monkeypatch):
    real = tempfile.TemporaryFile

    def refuse(dir):
        if dir == Path.cwd():
            raise OSError(errno.EROFS, "Read-only file system")
        return real(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    code, checks = lines()
    assert code == 1
    assert checks["this folder"]["found"] == "takes no files: Read-only file system"
    assert checks["temporary folder"]["status"] == "ok"


def test_no_weights_is_1(sound, lines, monkeypatch):
    from gen3d_tools.generators import source

    monkeypatch.setattr(source, "bundled_models", dict)
    code, checks = lines()
    assert code == 1
    assert "no model 'shapes'" in checks["model shapes"]["found"]
    assert "--force-reinstall gen3d-tools" in checks["model shapes"]["fix"]


def test_weights_cut_short_are_1(sound, lines, monkeypatch, tmp_path):
    from gen3d_tools.generators import source

    broken = shutil.copytree(sound, tmp_path / "broken")
    tensors = broken / "model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:1000])
    monkeypatch.setattr(source, "bundled_models", lambda: {"shapes": broken})
    code, checks = lines()
    assert code == 1
    assert "corrupt or cut short" in checks["model shapes"]["found"]


def test_a_picture_that_is_not_finite_is_1(sound, lines, monkeypatch, tmp_path):
    from gen3d_tools.generators import source

    wild = shutil.copytree(sound, tmp_path / "wild")
    tensors = {name: np.full_like(tensor, 1e38) for name, tensor in load_file(wild / "model.safetensors").items()}
    save_file(tensors, wild / "model.safetensors")
    monkeypatch.setattr(source, "bundled_models", lambda: {"shapes": wild})
    code, checks = lines()
    assert code == 1
    assert "NaN" in checks["model shapes"]["found"]


def test_a_driver_that_fails_is_told_in_one_line(sound, lines, monkeypatch):
    from gen3d_tools.rendering import renderer

    def fail(*arguments, **options):
        raise RuntimeError("CUDA error: no kernel image is available\nCompile with `TORCH_USE_CUDA_DSA`")

    monkeypatch.setattr(renderer, "render", fail)
    code, checks = lines()
    assert code == 1
    assert "no kernel image" in checks["model shapes"]["found"]
    assert "\n" not in checks["model shapes"]["found"]


def test_a_gpu_that_torch_does_not_reach_is_a_warning(sound, lines, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name, **options: "/usr/bin/nvidia-smi")
    code, checks = lines()
    assert code == 0
    assert checks["device"]["status"] == "warning"


def test_a_broken_torch_does_not_break_the_doctor(sound, importing, lines, monkeypatch):
    importing("torch", OSError("libtorch_cpu.so: cannot open shared object file: No such file or directory"))
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "gen3d_tools.generators.loading")
    code, checks = lines()
    assert code == 5
    assert checks["torch"]["status"] == "missing"
    assert checks["model shapes"]["fix"] == "mend the packages above first"
    assert "device" not in checks


def test_the_verdict_counts_what_needs_a_fix(sound, gen3d, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**12, 10**12, 10**7))
    result = gen3d("doctor")
    assert result.code == 5
    assert "3 lines need a fix" in result.err
    assert "fix: unset IMAGEIO_FFMPEG_EXE" in result.out
