"""A forked child can go on with torch after its parent has used its threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys
import torch
import gen3d_tools as g3

torch.set_num_threads(4)
field = g3.FunctionField(raw_density_fn=lambda p: 1 - p.square().sum(-1), box_side=2.0, bounded=True, iso_level=0.5)
camera = g3.Camera.from_spherical(30.0, 20.0, 3.0, fov_y_deg=40.0)


def picture():
    a = torch.rand(600, 600, generator=torch.Generator().manual_seed(0))
    return float((a @ a).sum()) + float(g3.render(field, camera, resolution=64).rgb.sum())


here = picture()
child = os.fork()
if child == 0:
    signal.alarm(60)
    same = abs(picture() - here) < 1e-3 * abs(here)
    os._exit(0 if same and torch.get_num_threads() == 1 else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_renders_after_its_parent_has_rendered():
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
