"""Commands import what they use: most of the time that a small job takes is start-up."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = "import sys; sys.argv = ['gen3d', *sys.argv[1:]]\nfrom gen3d_tools.cli.app import main\n"
REPORT = "import atexit\natexit.register(lambda: print(*sys.modules, sep='\\n', file=open('modules.txt', 'w')))\nmain()"
COMPILER = {"sympy", "torch._dynamo", "torch._inductor", "torch.distributed.fsdp"}
HEAVY = {"torch", "numba", "scipy", "trimesh", "PIL", "einops", "jaxtyping", "huggingface_hub", "imageio_ffmpeg"}


def modules_after(folder: Path, *arguments: object) -> set[str]:
    """The modules that a fresh process has imported when a command is done."""
    command = [sys.executable, "-c", RUN + REPORT, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set((folder / "modules.txt").read_text().split())


@pytest.mark.parametrize("command", [("--help",), ("--version",), ("sample", "--help"), ("mesh", "--help")])
def test_help_needs_neither_numbers_nor_weights(tmp_path, command):
    assert modules_after(tmp_path, *command) & {*HEAVY, "numpy"} == set()


@pytest.mark.parametrize(
    "command", [("info", "shapes"), ("info", "shapes", "--json"), ("classes", "shapes"), ("models",)]
)
def test_a_model_is_described_without_torch(tmp_path, command):
    assert modules_after(tmp_path, *command) & HEAVY == set()


@pytest.mark.slow
def test_a_picture_needs_no_compiler_of_torch_no_meshes_and_no_films(tmp_path, tiny_folder):
    imported = modules_after(tmp_path, "sample", tiny_folder, "--seeds", "0", "--size", "16", "-o", "a.png")
    unwanted = {"trimesh", "scipy.interpolate", "scipy.ndimage", "scipy.optimize", "scipy.sparse", "scipy.spatial"}
    unwanted |= {"huggingface_hub", "imageio_ffmpeg", "mcubes", "open3d", "xatlas", "manifold3d", "fast_simplification"}
    assert imported & (COMPILER | unwanted) == set()


@pytest.mark.slow
def test_a_mesh_needs_no_compiler_of_torch_and_nothing_for_textures(tmp_path, tiny_folder):
    options = ("--seeds", "0", "--resolution", "16", "--keep-background", "--color-from", "points", "-o", "a.ply")
    imported = modules_after(tmp_path, "mesh", tiny_folder, *options)
    unwanted = {"scipy.interpolate", "huggingface_hub", "imageio_ffmpeg", "open3d", "xatlas"}
    assert imported & (COMPILER | unwanted) == set()


@pytest.mark.slow
def test_an_inversion_needs_no_compiler_of_torch_and_nothing_for_faces(tmp_path, tiny_folder):
    photo = tmp_path / "photo.png"
    modules_after(tmp_path, "sample", tiny_folder, "--seeds", "0", "--size", "32", "-o", photo)
    options = ("--steps", "2", "--class", "0", "--background", "none", "-o", "result")
    imported = modules_after(tmp_path, "invert", photo, "--model", tiny_folder, *options)
    unwanted = {"scipy.interpolate", "scipy.optimize", "huggingface_hub", "imageio_ffmpeg", "open3d", "xatlas"}
    assert imported & (COMPILER | unwanted) == set()
