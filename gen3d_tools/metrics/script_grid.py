"""The grid on which the published scripts sample densities, to the letter: for comparing volumes, not for meshes.

The scripts of EG3D, EpiGRAF and 3DGP share it. They divide flat indices without flooring, so y creeps up by almost a
voxel along each row of z, and x along each slab of y and z; and they compute in float32, where indices above 2**24 are
rounded. Their volumes, and meshes made of them, are displaced accordingly by up to a voxel. `geometry.lattice` has the
regular grid.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

OUTSIDE = -1000.0
"""Raw density that EG3D's script writes into the border of a volume."""


def script_points(
    resolution: int, box_side: float, index: Int64[Tensor, " n"] | None = None
) -> Float[Tensor, "points 3"]:
    """World points of the sheared grid.

    Args:
        resolution: Points along each side.
        box_side: Side of the cube in world units.
        index: Flat indices, x slowest and z fastest; by default all.
    """
    if index is None:
        index = torch.arange(resolution**3)
    flat = index.float()
    steps = [(flat / resolution / resolution) % resolution, (flat / resolution) % resolution, index % resolution]
    return torch.stack([step.float() * (box_side / (resolution - 1)) - box_side / 2 for step in steps], dim=-1)


def script_volume(raw_density: Float[Tensor, " points"], resolution: int) -> Float[Tensor, "n n n"]:
    """Arrange densities at all `script_points` as EG3D's script stores them: [x, y, z], x reversed, without a border.

    The outer 30 of 256 layers on each side are overwritten with `OUTSIDE`.
    """
    volume = raw_density.reshape(resolution, resolution, resolution).flip(0).clone()
    pad = int(30 * resolution / 256)
    inner = volume[pad : resolution - pad, pad : resolution - pad, pad : resolution - pad].clone()
    volume.fill_(OUTSIDE)
    volume[pad : resolution - pad, pad : resolution - pad, pad : resolution - pad] = inner
    return volume


def script_crop(volume: Float[Tensor, "x y z"]) -> Float[Tensor, "cx cy cz"]:
    """Cut a volume as 3DGP's geometry script does: margins off in x, the lower half in y, the last third in z."""
    n = len(volume)
    return volume[n // 8 : n // -8, n // 2 :, : n // -3]
