"""Rows about an object of TripoSR's published size (10 layers of 64 units), beside point queries in torch.

Planes and decoder are fitted to a bust, so that there is one surface: planes of noise would have some everywhere. Plain
asks the decoder at every point of the lattice, as the published code does; a share of the points is timed, and scaled.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F

from benchmarks.fields import bust
from benchmarks.measuring.rows import Effort, Row, row
from gen3d_tools.generators.official.triposr import settings_of
from gen3d_tools.generators.reconstructor_configs import TripoSRConfig
from gen3d_tools.generators.reconstructors.reconstruction import Reconstruction
from gen3d_tools.geometry.extraction.isosurface import raw_iso_level
from gen3d_tools.geometry.extraction.triplane_surface import triplane_surface
from gen3d_tools.workflows.bench.timing import measure

SHARE = 1 / 128  # of the lattice's points that plain is timed on
_STEEPNESS, _RANGE = 60.0, 12.0


def rows(effort: Effort) -> Iterator[Row]:
    """Measure a surface."""
    resolution, steps = (32, 2) if effort.tiny else (256, 300)
    made = fitted_object(steps)
    [field] = made.fields(made.no_latents())
    half = field.box_side / 2
    asked = (torch.rand(math.ceil(SHARE * resolution**3), 3, generator=torch.Generator().manual_seed(0)) * 2 - 1) * half
    raw = raw_iso_level(field.iso_level, field.density_activation, field.density_shift)
    if effort.tiny:
        raw = float(field.raw_density(asked).median())
    level = float(field.activate(torch.tensor(raw)))

    with torch.no_grad():
        triplane_surface(field, resolution=32, iso_level=level, raw_level=raw)  # compiled, and laid out
        surface = measure(
            lambda: triplane_surface(field, resolution=resolution, iso_level=level, raw_level=raw),
            lambda: [field.raw_density(piece) for piece in asked.split(8192)],
            repeat=effort.repeat,
        )
    note = f"plain scaled from 1/{round(1 / SHARE)} of the points"
    yield row(f"TripoSR-size surface {resolution}^3", surface.scaled(1 / SHARE), "", "x 50", note)


def fitted_object(steps: int) -> Reconstruction:
    """Fit an object of the published size to the bust; about 15 s on one core."""
    config = TripoSRConfig()
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(0)
        made = Reconstruction(config.of_an_object(), settings_of(config, 128))
        made.planes.data = 0.3 * torch.randn_like(made.planes)
        optimizer = torch.optim.Adam(
            [{"params": [made.planes], "lr": 0.03}, {"params": made.decoder.parameters(), "lr": 0.002}]
        )
        middle = math.log(25) - config.density_bias
        everywhere = torch.rand(1 << 17, 3) - 0.5
        for _ in range(steps):
            points = everywhere[torch.randint(len(everywhere), (3000,))]
            colors, depth = bust(points)
            wanted = middle + (depth * (_STEEPNESS / 400)).clamp(-_RANGE, _RANGE)
            values, raw = made.fields(made.no_latents())[0](points * config.box_side)
            loss = F.l1_loss(raw, wanted) + F.l1_loss(values, colors)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return made.requires_grad_(False)
