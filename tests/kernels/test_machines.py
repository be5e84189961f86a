"""What happens on machines where kernels cannot be compiled, or cannot be kept: each in a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

PICTURE = """
import json
import numpy as np
from gen3d_tools.kernels.meshes.raster import rasterize
seen = rasterize(np.array([[[2.0, 2.0, 1.0], [28.0, 4.0, 1.0], [10.0, 29.0, 1.0]]]), 32)
print(json.dumps({"face": seen.face.tolist(), "shares": seen.shares.tolist()}))
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


def run(script) -> Made:
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return Made(json.loads(done.stdout.splitlines()[-1]), done.stderr.strip().splitlines())


@pytest.mark.slow
def test_where_no_folder_can_be_written_kernels_are_compiled_in_memory():
    made = run(NO_FOLDER + PICTURE)
    assert made.results == run(PICTURE).results
    assert 0 in np.array(made.results["face"])
    assert len(made.said) == 1
    assert "name one in NUMBA_CACHE_DIR" in made.said[0]
