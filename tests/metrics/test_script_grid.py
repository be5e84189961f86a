"""EG3D's sheared grid: recorded points, and how far it is from the regular one."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from gen3d_tools.geometry.extraction.lattice import lattice_axis
from gen3d_tools.metrics.script_grid import OUTSIDE, script_points, script_volume

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "eg3d" / "camera.safetensors")


def test_points_match_the_recorded_ones():
    torch.testing.assert_close(script_points(6, 1.6), GOLDEN["out.grid6.coords"], atol=1e-6, rtol=0)
    found = script_points(512, 1.0, GOLDEN["in.grid512.flat_index"])
    torch.testing.assert_close(found, GOLDEN["out.grid512.coords"], atol=1e-6, rtol=0)


def test_it_is_the_regular_lattice_sheared_by_less_than_a_voxel():
    n, side = 9, 2.0
    axis = torch.from_numpy(lattice_axis(n, side))
    regular = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    shift = (script_points(n, side) - regular) / (side / (n - 1))
    assert shift[:, 2].abs().max() < 1e-5
    steps = torch.arange(n) / n
    torch.testing.assert_close(shift[:n, 1], steps, atol=1e-5, rtol=0)  # y creeps up along z
    assert shift.min() > -1e-5
    assert shift.max() < 1


def test_volumes_are_mirrored_in_x_and_walled_in():
    n = 18  # int(30 * 18 / 256) = 2 layers
    volume = script_volume(torch.arange(n**3).float(), n)
    assert (volume != OUTSIDE).nonzero().amin(0).tolist() == [2, 2, 2]
    assert (volume != OUTSIDE).nonzero().amax(0).tolist() == [15, 15, 15]
    assert volume[2, 4, 5] == np.ravel_multi_index((n - 1 - 2, 4, 5), (n, n, n))
