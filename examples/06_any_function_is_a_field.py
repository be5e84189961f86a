"""Renderer and mesher know fields, not networks: a ball with three holes, written down as a function.

A field answers points with a raw density and a colour. Here the density is signed distance (positive inside) times a
large gain, as in the bundled generator, and solids are combined by constructive geometry: the smaller of two depths
is the intersection, the smaller of one and the other's negative is the difference. The same two calls that show a
trained generator's sample render and mesh it, and since the truth is known, the mesh can be measured.

Run it with `python examples/06_any_function_is_a_field.py`; picture and mesh appear in gen3d-out/examples.
"""

from pathlib import Path

import torch
from torch import Tensor

import gen3d_tools as g3
from gen3d_tools.geometry.formats.export import write_mesh
from gen3d_tools.geometry.mesh import mesh_health
from gen3d_tools.media.images import write_image

OUT = Path("gen3d-out/examples")
GAIN = 1000.0  # density per world unit of depth: opaque at once


def depth_inside(points: Tensor) -> Tensor:
    """Depth below the surface of a ball of radius 0.8, drilled through along each axis; negative outside."""
    ball = 0.8 - points.norm(dim=-1)
    across = points[..., [[1, 2], [2, 0], [0, 1]]].norm(dim=-1)  # distance from each axis
    holes = (0.35 - across).amax(dim=-1)
    return torch.minimum(ball, -holes)


def main(size: int = 256, resolution: int = 128, out: Path = OUT) -> list[Path]:
    """Render and mesh the drilled ball."""
    field = g3.FunctionField(
        raw_density_fn=lambda points: GAIN * depth_inside(points),
        values_fn=lambda points: (points + 1) / 2,  # colour = position
        box_side=2.0,
        iso_level=1.0,
        render_config=g3.RenderConfig(near="box", far="box", background="white"),
    )
    camera = g3.Camera.from_spherical(yaw_deg=30, pitch_deg=25, radius=4, fov_y_deg=30)
    mesh = g3.extract_mesh(field, resolution=resolution)
    print(mesh_health(mesh))
    files = [out / "06_drilled_ball.png", out / "06_drilled_ball.glb"]
    write_image(files[0], g3.render(field, camera, resolution=size, supersample=2).rgb, overwrite=True)
    write_mesh(files[1], mesh, overwrite=True)
    print(*files, sep="\n")
    return files


if __name__ == "__main__":
    main()
