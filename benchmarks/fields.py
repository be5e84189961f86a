"""Fields as large as EG3D's and 3DGP's that look like a trained one, without published weights.

Planes and decoder are fitted to a bust: head, neck and shoulders with a fine relief of hair, thin glasses and two
detached earrings, in textured colours. The planes are fitted small, then enlarged, and get a little noise, so that
they are as uneven as trained ones. Outside the box the density is whatever the decoder makes of nothing.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.fields.choices import PlaneAxes
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.networks.decoder import Decoder
from gen3d_tools.generators.networks.epigraf.decoder import PlaneDecoder

STEEPNESS, DEEPEST, EMPTIEST = 400.0, 40.0, -25.0  # raw density per unit of depth, and where it stays


@dataclass(frozen=True, kw_only=True)
class FieldCase:
    """What a family's field is like."""

    name: str
    plane_size: int
    plane_axes: PlaneAxes
    align_corners: bool
    decoder: Callable[[], nn.Module]
    density_shift: float
    render_config: RenderConfig


EG3D = FieldCase(
    name="EG3D",
    plane_size=256,
    plane_axes="xy-xz-zx",
    align_corners=False,
    decoder=lambda: Decoder(32, [64], 32),
    density_shift=-1.0,
    render_config=RenderConfig(near=2.25, far=3.3, coarse_samples=48, fine_samples=48),
)
THREEDGP = FieldCase(
    name="3DGP",
    plane_size=512,
    plane_axes="xy-xz-yz",
    align_corners=True,
    decoder=lambda: PlaneDecoder(32, 64, 2),
    density_shift=0.0,
    render_config=RenderConfig(
        near=2.2,
        far=3.2,
        coarse_samples=64,
        fine_samples=64,
        jitter="intervals",
        marcher="classical",
        last_interval=1e10,
        background="grey",
        importance="plain",
        coarse_unit="ray",
        distance_rule="sum",
        pixel_grid="corners",
    ),
)
CASES = (EG3D, THREEDGP)


def bust(points: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Colours in 0..1 and the raw density of the object, within +-0.5; y is up, z towards the viewer."""
    x, y, z = points.unbind(-1)
    hair = 0.006 * torch.sin(70 * x) * torch.sin(70 * y) * torch.sin(70 * z) * (y > 0.12)
    head = (((x / 0.2) ** 2 + ((y - 0.08) / 0.27) ** 2 + (z / 0.22) ** 2).sqrt() - 1) * 0.2 + hair
    neck = torch.maximum((x**2 + z**2).sqrt() - 0.09, (y + 0.25).abs() - 0.2)
    shoulders = (((x / 0.42) ** 2 + ((y + 0.42) / 0.16) ** 2 + (z / 0.18) ** 2).sqrt() - 1) * 0.16
    eyes = (x.abs() - 0.08, y - 0.1, z - 0.22)
    ring = ((eyes[0] ** 2 + eyes[1] ** 2).sqrt() - 0.055, eyes[2])
    glasses = (ring[0] ** 2 + ring[1] ** 2).sqrt() - 0.008
    earrings = ((x.abs() - 0.235) ** 2 + (y + 0.02) ** 2 + z**2).sqrt() - 0.014
    parts = torch.stack([head, neck, shoulders, glasses, earrings])
    depth, part = parts.min(0)
    base = torch.tensor([[0.8, 0.6, 0.5], [0.75, 0.55, 0.45], [0.2, 0.3, 0.6], [0.1, 0.1, 0.1], [0.9, 0.8, 0.2]])
    base = torch.cat([base, torch.tensor([[0.3, 0.18, 0.1]])])
    part = torch.where((part == 0) & (y + 0.4 * z.clamp_max(0.1) > 0.16), 5, part)
    stripes = 0.12 * torch.sin(40 * x + 9 * z)[:, None] * torch.sin(35 * y)[:, None]
    colors = (base[part] + stripes).clamp(0.02, 0.98)
    return colors, (-STEEPNESS * depth).clamp(EMPTIEST, DEEPEST)


@functools.cache
def fitted_field(case: FieldCase, *, steps: int = 400, seed: int = 0) -> TriplaneField:
    """Fit planes and decoder to the bust; about 20 s on one core, less with fewer steps."""
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        decoder = case.decoder()
        planes = 0.3 * torch.randn(3, 32, 64, 64)
        for size, share in ((64, 0.6), (128, 0.4)):
            planes = _enlarged(planes, size, case.align_corners)
            planes = _fitted(planes, decoder, case, int(steps * share))
        planes = _enlarged(planes, case.plane_size, case.align_corners)
        planes = planes + 0.01 * planes.std() * torch.randn(planes.shape)
    for parameter in decoder.parameters():
        parameter.requires_grad_(False)
    return _field(planes, decoder, case)


def _field(planes: Tensor, decoder: nn.Module, case: FieldCase) -> TriplaneField:
    return TriplaneField(
        planes=planes,
        decoder=decoder,
        render_config=case.render_config,
        box_side=1.0,
        plane_axes=case.plane_axes,
        align_corners=case.align_corners,
        density_shift=case.density_shift,
    )


def _enlarged(planes: Float[Tensor, "3 c h w"], size: int, align_corners: bool) -> Float[Tensor, "3 c {size} {size}"]:
    if planes.shape[-1] == size:
        return planes
    return F.interpolate(planes, (size, size), mode="bicubic", align_corners=align_corners)


def _fitted(planes: Float[Tensor, "3 c h w"], decoder: nn.Module, case: FieldCase, steps: int) -> Tensor:
    """Fit both to points all over the box and, for the larger part, near the surface."""
    planes = planes.detach().requires_grad_()
    optimizer = torch.optim.Adam([{"params": [planes], "lr": 0.02}, {"params": decoder.parameters(), "lr": 0.01}])
    everywhere = 1.3 * (torch.rand(1 << 19, 3) - 0.5)  # rays see what lies around the box
    near = everywhere[bust(everywhere)[1].abs() < DEEPEST / 2]
    for _ in range(steps):
        points = torch.cat([some[torch.randint(len(some), (4096,))] for some in (everywhere, near)])
        colors, wanted = bust(points)
        values, raw = _field(planes, decoder, case)(points)
        seen = ((wanted > -5) & (wanted < 15)).float()[:, None]
        rough = planes.diff(dim=-1).square().mean() + planes.diff(dim=-2).square().mean()
        loss = F.smooth_l1_loss(raw, wanted) + 10 * ((values[:, :3] - colors).square() * seen).mean() + 0.05 * rough
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return planes.detach()
