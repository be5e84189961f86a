"""Fields as large as those of the published families, without published weights.

Planes are smooth random functions with a little noise, decoders are random, and at the level that `level_of` finds
`INSIDE` of the box is inside. Their surfaces cross about 100 000 cells of a 256^3 lattice, as that of a bust does.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from gen3d_tools.fields.choices import PlaneAxes
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.networks.decoder import Decoder
from gen3d_tools.generators.networks.epigraf.decoder import PlaneDecoder
from gen3d_tools.geometry.extraction.lattice import sample_lattice

INSIDE = 0.06  # share of the box
_NODES = 4  # random numbers along each side of a plane, between which it is smooth


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a family's field is like."""

    name: str
    plane_size: int
    plane_axes: PlaneAxes
    align_corners: bool
    chunk_points: int  # of the published mesh script
    backbone_per_chunk: bool  # it runs the backbone again for each of them
    decoder: Callable[[], torch.nn.Module]


EG3D = Case(
    name="EG3D",
    plane_size=256,
    plane_axes="xy-xz-zx",
    align_corners=False,
    chunk_points=1_000_000,
    backbone_per_chunk=True,
    decoder=lambda: Decoder(32, [64], 32),
)
THREEDGP = Case(
    name="3DGP",
    plane_size=512,
    plane_axes="xy-xz-yz",
    align_corners=True,
    chunk_points=1 << 15,
    backbone_per_chunk=False,
    decoder=lambda: PlaneDecoder(32, 64, 2),
)
CASES = (EG3D, THREEDGP)


def make_field(case: Case, seed: int = 0) -> TriplaneField:
    """Random planes, smooth over a quarter of the box, and a random decoder."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        size = (case.plane_size, case.plane_size)
        planes = F.interpolate(torch.randn(3, 32, _NODES, _NODES), size=size, mode="bicubic", align_corners=True)
        planes = planes + 0.005 * torch.randn(planes.shape)
        decoder = case.decoder()
    return TriplaneField(
        planes=planes,
        decoder=decoder.requires_grad_(False),
        render_config=RenderConfig(near="box", far="box"),
        box_side=1.0,
        plane_axes=case.plane_axes,
        align_corners=case.align_corners,
    )


def level_of(field: TriplaneField) -> float:
    """Raw density that `INSIDE` of the box exceeds."""
    values = sample_lattice(field.raw_density, resolution=48, box_side=field.box_side)
    return float(np.quantile(values, 1 - INSIDE))
