"""Surfaces of fields as large as EG3D's and 3DGP's, planes given: `python -m benchmarks.mesh --resolution 512`.

No published weights are needed: planes are smooth random functions with a little noise, decoders are random, and the
level has 6 % of the box inside. Plain is how the published scripts work: three look-ups of all channels and the whole
decoder at every point, in their chunks (EG3D 1 000 000 points, 3DGP 32 768). Its cost per point is constant, so a few
chunks are timed and scaled; its marching cubes are not counted. Ours is everything from the planes to the triangles.
Times are of the processor, all threads together.
"""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from benchmarks.timing import peak_bytes
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import PlaneAxes, TriplaneField
from gen3d_tools.generators.decoder import Decoder
from gen3d_tools.generators.plane_decoder import PlaneDecoder
from gen3d_tools.geometry.lattice import sample_lattice
from gen3d_tools.geometry.triplane_surface import triplane_surface
from gen3d_tools.workflows.plain import CHUNK_POINTS, query

INSIDE = 0.06  # share of the box


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a family's field is like."""

    name: str
    plane_size: int
    plane_axes: PlaneAxes
    align_corners: bool
    chunk_points: int
    decoder: Callable[[], torch.nn.Module]


CASES = (
    Case(
        name="EG3D",
        plane_size=256,
        plane_axes="xy-xz-zx",
        align_corners=False,
        chunk_points=CHUNK_POINTS,
        decoder=lambda: Decoder(32, [64], 32),
    ),
    Case(
        name="3DGP",
        plane_size=512,
        plane_axes="xy-xz-yz",
        align_corners=True,
        chunk_points=1 << 15,
        decoder=lambda: PlaneDecoder(32, 64, 2),
    ),
)


def make_field(case: Case, seed: int = 0) -> TriplaneField:
    """Random planes, smooth over a twelfth of the box, and a random decoder."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        size = (case.plane_size, case.plane_size)
        planes = F.interpolate(torch.randn(3, 32, 12, 12), size=size, mode="bicubic", align_corners=True)
        planes = planes + 0.005 * torch.randn(planes.shape)
        decoder = case.decoder()
    return TriplaneField(
        planes=planes,
        decoder=decoder,
        render_config=RenderConfig(near="box", far="box"),
        box_side=1.0,
        plane_axes=case.plane_axes,
        align_corners=case.align_corners,
    )


def plain_seconds(field: TriplaneField, case: Case, resolution: int, chunks: int) -> float:
    """Processor seconds of the plain lattice, from a few chunks."""
    points = (torch.rand(case.chunk_points, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * field.box_side
    with torch.no_grad():
        times = [_seconds(lambda: query(field, points)) for _ in range(chunks + 1)][1:]
    return median(times) * resolution**3 / case.chunk_points


def our_seconds(field: TriplaneField, resolution: int, level: float) -> float:
    """Processor seconds from the planes to the triangles."""

    def surface() -> None:
        if triplane_surface(field, resolution=resolution, iso_level=math.exp(level), raw_level=level) is None:
            raise RuntimeError("the kernels do not serve this field")

    return _seconds(surface)


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Measure both families and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    table = Table(title=f"surface at {options.resolution}^3, processor time", title_justify="left")
    for heading in ("field", "plain", "here", "ratio", "peak so far"):
        table.add_column(heading)
    for case in CASES:
        field = make_field(case)
        values = sample_lattice(field.raw_density, resolution=48, box_side=field.box_side)
        level = float(np.quantile(values, 1 - INSIDE))
        our_seconds(field, 16, level)  # compiles
        rounds = [
            (plain_seconds(field, case, options.resolution, 2), our_seconds(field, options.resolution, level))
            for _ in range(options.repeat)
        ]
        plain, ours = (median(column) for column in zip(*rounds, strict=True))
        ratio = median(one / other for one, other in rounds)
        table.add_row(case.name, f"{plain:.3g} s", f"{ours:.3g} s", f"x {ratio:.0f}", f"{peak_bytes() / 1e9:.2f} GB")
    Console().print(table)


if __name__ == "__main__":
    main()
