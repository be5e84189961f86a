"""What happens on machines where kernels cannot be compiled, or cannot be kept: each in a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

WORK = """
import json, sys
import gen3d_tools as g3
generator = g3.load_generator(sys.argv[1], device="cpu")
(field,) = generator.fields(generator.latents([3], ["cube"]))
mesh = g3.extract_mesh(field, resolution=16, iso_level=1.0, keep=0)
picture = g3.render(field, generator.default_camera(), resolution=16).rgb
print(json.dumps({"faces": len(mesh.faces), "volume": mesh.volume, "mean": picture.mean().item()}))
"""
NO_NUMBA = "import sys; sys.modules['numba'] = None\n"
NO_FOLDER = """
from numba.core import caching
def refuse(self): raise PermissionError(13, "read-only")
caching._CacheLocator.ensure_cache_path = refuse
"""


@dataclass(frozen=True)
class Made:
    results: dict
    said: list[str]


def run(before, folder) -> Made:
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", before + WORK, str(folder)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return Made(json.loads(done.stdout.splitlines()[-1]), done.stderr.strip().splitlines())


@pytest.fixture(scope="module")
def usual(tiny_folder):
    return run("", tiny_folder).results


@pytest.mark.slow
def test_without_numba_mesh_and_picture_come_out_with_one_warning(tiny_folder, usual):
    made = run(NO_NUMBA, tiny_folder)
    assert made.results["faces"] == usual["faces"]
    assert made.results["volume"] == pytest.approx(usual["volume"], rel=0.05)
    assert made.results["mean"] == pytest.approx(usual["mean"], abs=0.02)
    assert len(made.said) == 1
    assert "numba is not installed" in made.said[0]


@pytest.mark.slow
def test_where_no_folder_can_be_written_kernels_are_compiled_in_memory(tiny_folder, usual):
    made = run(NO_FOLDER, tiny_folder)
    assert made.results == usual
    assert made.said
    assert all("name one in NUMBA_CACHE_DIR" in line for line in made.said)
