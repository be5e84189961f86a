"""What happens on machines where kernels cannot be compiled, or cannot be kept: each in a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

FIELD = """
import json, sys
import gen3d_tools as g3
from gen3d_tools.geometry.extraction.triplane_surface import triplane_surface
generator = g3.load_generator(sys.argv[1], device="cpu")
(field,) = generator.fields(generator.latents([3], ["cube"]))
"""
SURFACE = """
vertices, faces = triplane_surface(field, resolution=16, iso_level=1.0, raw_level=1.5)
print(json.dumps({"faces": faces.tolist(), "vertices": vertices.tolist()}))
"""
NO_FOLDER = """
from numba.core import caching
def refuse(self): raise PermissionError(13, "read-only")
caching._CacheLocator.ensure_cache_path = refuse
"""


@dataclass(frozen=True)
class Made:
    results: dict
    said: list[str]


def run(script, folder) -> Made:
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return Made(json.loads(done.stdout.splitlines()[-1]), done.stderr.strip().splitlines())


@pytest.mark.slow
def test_where_no_folder_can_be_written_kernels_are_compiled_in_memory(tiny_folder):
    made = run(NO_FOLDER + FIELD + SURFACE, tiny_folder)
    assert made.results == run(FIELD + SURFACE, tiny_folder).results
    assert made.results["faces"]
    assert len(made.said) == 1
    assert "name one in NUMBA_CACHE_DIR" in made.said[0]
