"""Rows about surfaces of fields as large as EG3D's and 3DGP's, planes given and from z.

Plain is how the published scripts work: three look-ups of all channels and the whole decoder at every point, in their
chunks (EG3D 1 000 000 points and the backbone again for each, 3DGP 32 768 and the backbone once). Its cost per point is
constant, so two chunks are timed and scaled; its marching cubes are not counted. Ours is everything from the planes to
the triangles. Planes of a backbone without training show nothing, so it is timed by itself and added.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator

import torch

from benchmarks.families import CASES, Case, level_of, make_field
from benchmarks.measuring.rows import Effort, Row, row
from benchmarks.measuring.timing import in_own_process, last_json, peak_bytes
from benchmarks.networks import backbone_timing
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.geometry.extraction.triplane_surface import triplane_surface
from gen3d_tools.workflows.bench.plain_rays import query
from gen3d_tools.workflows.bench.timing import Timing, measure

CHUNKS = 2  # of the plain lattice that are timed
WANTED = {"EG3D": ("x 120, 1 GB", "x 100"), "3DGP": ("x 80", "x 40")}


def rows(effort: Effort) -> Iterator[Row]:
    """Measure both families."""
    resolution = 24 if effort.tiny else 512
    for case in CASES:
        given = surface_timing(case, resolution, effort)
        note = f"plain: {CHUNKS} of {math.ceil(resolution**3 / case.chunk_points)} chunks"
        wanted, from_z = WANTED[case.name]
        _, output = in_own_process(["-m", "benchmarks.mesh", case.name, str(resolution)])
        peak = int(last_json(output)["peak_bytes"])
        name = f"{case.name} size, surface {resolution}^3"
        yield Row(
            name=f"{name}, planes given",
            ours_s=given.ours,
            plain_s=given.plain,
            ratio=given.ratio,
            peak_bytes=peak,
            wanted=wanted,
            note=note,
        )
        runs = math.ceil(resolution**3 / case.chunk_points) if case.backbone_per_chunk else 1
        planes = backbone_timing(32 if effort.tiny else case.plane_size, effort.repeat)
        yield row(f"{name}, from z", given.after(planes, plain_runs=runs), wanted=from_z, note=f"backbone x {runs}")


def surface_timing(case: Case, resolution: int, effort: Effort) -> Timing:
    """Time the way from planes to triangles beside the plain lattice, of which two chunks are done."""
    field, count = make_field(case), 1000 if effort.tiny else case.chunk_points
    level = level_of(field)
    points = (torch.rand(count, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * field.box_side
    _surface(field, 16, level)  # compiles

    @torch.no_grad()
    def theirs() -> None:
        for _ in range(CHUNKS):
            query(field, points)

    timing = measure(lambda: _surface(field, resolution, level), theirs, repeat=effort.repeat)
    return timing.scaled(resolution**3 / (CHUNKS * count))


def _surface(field: TriplaneField, resolution: int, level: float) -> None:
    if triplane_surface(field, resolution=resolution, iso_level=math.exp(level), raw_level=level) is None:
        raise RuntimeError("the kernels do not serve this field")


def main() -> None:
    """Make one surface in a process of its own, and print the most memory it held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=[case.name for case in CASES])
    parser.add_argument("resolution", type=int)
    options = parser.parse_args()
    (case,) = (case for case in CASES if case.name == options.case)
    field = make_field(case)
    _surface(field, options.resolution, level_of(field))
    sys.stdout.write(json.dumps({"peak_bytes": peak_bytes()}) + "\n")


if __name__ == "__main__":
    main()
