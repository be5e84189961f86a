"""Rows about a field that is no tri-plane: VolumeGAN at its published size, random weights, beside its own formulation.

Plain grows the volume again for every pass and every chunk, modulates the layers again in every call, asks every point
for all 512 features, and sorts them along the rays. The density is fitted to a ball with a wave on it, so that there is
one surface; a lattice's plain time is that of two chunks, scaled.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from benchmarks.fields import THREEDGP
from benchmarks.measuring.rows import Effort, Row, decibels, row
from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.distributions.named import FixedCamera
from gen3d_tools.fields.volume import VolumeField, sample_volume
from gen3d_tools.generators.families.volumegan import VolumeGANConfig, VolumeGANGenerator, bounds_of, encoding_of
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.geometry.extraction.isosurface import bordered_lattice
from gen3d_tools.geometry.mesh import extract_mesh
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.renderer import render
from gen3d_tools.rendering.volume.compositing import march_rays
from gen3d_tools.rendering.volume.sampling import importance_samples
from gen3d_tools.workflows.bench.timing import measure

CHUNK_POINTS, CHUNKS = 100_000, 2  # of the published script; how many are timed
_RADIUS, _STEEPNESS, _LEVEL = 0.1, 1500.0, 10.0
_SMALL = {
    "z_dim": 16,
    "mapping_width": 16,
    "volume_resolution": 8,
    "volume_base_channels": 8,
    "volume_channels": 4,
    "point_width": 16,
    "feature_channels": 8,
    "render_resolution": 8,
    "resolution": 16,
    "channel_max": 8,
}


def rows(effort: Effort) -> Iterator[Row]:
    """Measure a picture and a surface."""
    generator = make_generator(**(_SMALL if effort.tiny else {}))
    ws = generator.latents([0])
    camera = generator.default_camera()
    with torch.no_grad():
        ours = measure(
            lambda: render(generator.fields(ws)[0], camera),
            lambda: plain_picture(generator, ws, camera),
            repeat=effort.repeat,
        )
        found, wanted = render(generator.fields(ws)[0], camera, exact=True).rgb, plain_picture(generator, ws, camera)
        side = generator.config.resolution
        yield row(f"VolumeGAN, picture of {side}^2", ours, f"{decibels(found, wanted):.0f} dB", "x 1")

        resolution = 24 if effort.tiny else 256
        points = (torch.rand(min(CHUNK_POINTS, resolution**3), 3) - 0.5) * generator.config.box_side
        [field] = generator.fields(ws)

        def theirs() -> None:
            for _ in range(CHUNKS):
                plain_query(generator, ws, points)

        note = f"plain: {CHUNKS} chunks of the lattice timed, nothing else"
        for name, ours in (("lattice", surface), ("whole mesh", mesh)):
            ours(field, 8)  # compiles
            [field] = generator.fields(ws)  # nothing is kept of the one before
            timing = measure(lambda field=field, ours=ours: ours(field, resolution), theirs, repeat=1)
            timing = timing.scaled(resolution**3 / (CHUNKS * len(points)))
            yield row(f"VolumeGAN, {name} of {resolution}^3", timing, "", "x 20", note)


def surface(field: VolumeField, resolution: int) -> None:
    """Evaluate what a mesh needs of the lattice."""
    bordered_lattice(
        field.raw_density, resolution=resolution, box_side=field.box_side, detail=field.detail, iso_level=_LEVEL
    )


def mesh(field: VolumeField, resolution: int) -> None:
    """Make all of a mesh: level, lattice, surface, cleaning, projection, normals, colours of its points."""
    extract_mesh(field, resolution=resolution)


def make_generator(**sizes: int) -> VolumeGANGenerator:
    """Build a generator of the published size, or with other sizes, whose first sample is a ball with a wave on it."""
    view = FixedCamera(radius=1.0, fov_y_deg=12.0)
    config = replace(
        THREEDGP.render_config,
        near=0.8,
        far=1.2,
        coarse_samples=12,
        fine_samples=12,
        jitter="centered",
        coarse_unit="world",
    )
    settings = ModelSettings(render_config=config, camera_distribution=view, default_view=view)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        generator = VolumeGANGenerator(VolumeGANConfig(**sizes), settings).eval().requires_grad_(False)
        # A wave counts by how slow it is: a trained density is smooth over a few voxels of the lattice.
        slow = torch.tensor(encoding_of(generator.config).frequencies).repeat_interleave(6) ** -1.5
        first = generator.nerfmlp.fg_mlps[0].weight
        first[:, -len(slow) :] *= slow[None, :, None, None]
        [field] = generator.fields(generator.latents([0]))
        points = (torch.rand(20_000, 3) - 0.5) * field.box_side
        wave = 1 + 0.1 * torch.sin(12 * points.sum(-1))
        raw = _LEVEL + _STEEPNESS * (_RADIUS * wave - points.norm(dim=-1)).clamp(-0.04, 0.04)
        hidden = F.pad(field.hidden(points), (0, 1), value=1.0).double()
        fitted = torch.linalg.lstsq(hidden, raw.double()[:, None], driver="gelsd").solution[:, 0].float()
        density = generator.nerfmlp.fg_density
        density.weight.copy_(fitted[None, :-1] / density.scale.factor(density.weight.shape[1]))
        density.bias.copy_(fitted[-1:])
    return generator


def plain_query(
    generator: VolumeGANGenerator, ws: Float[Tensor, "1 num_ws w_dim"], points: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "n channels"], Float[Tensor, " n"]]:
    """Features in the network's range and raw density of points, as the published code computes them."""
    network, config = generator.nerfmlp, generator.config
    volume = generator.volume(ws)[0]
    x = torch.cat([sample_volume(volume, points, bounds_of(config)), encoding_of(config)(points)], -1).T[None]
    for i, layer in enumerate(network.fg_mlps):
        style, weight = layer.style(ws[:, i]), layer.weight[:, :, 0]
        scale = ((weight[None, :, :, 0] * style[:, None]).square().sum(-1) + layer.eps).rsqrt()
        x = F.conv1d(x * style[..., None], weight) * scale[..., None] + layer.bias[:, None]
        x = F.leaky_relu(x, 0.2) * math.sqrt(2)
    hidden = x[0].T
    return network.fg_color(hidden), network.fg_density(hidden)[:, 0]


def plain_picture(
    generator: VolumeGANGenerator, ws: Float[Tensor, "1 num_ws w_dim"], camera: Camera
) -> Float[Tensor, "3 r r"]:
    """One picture, from the beginning: all rays at once, every feature sorted along its ray."""
    config, side = generator.settings.render_config, generator.config.render_resolution
    origins, directions = camera_rays(camera, side, "corners")
    count = config.coarse_samples
    distances = torch.linspace(float(config.near), float(config.far), count).expand(len(origins), -1)
    closing = {"marcher": "classical", "last_interval": config.last_interval}

    def along(where: Tensor) -> tuple[Tensor, Tensor]:
        points = origins[:, None] + where[..., None] * directions[:, None]
        features, raw = plain_query(generator, ws, points.reshape(-1, 3))
        return features.reshape(*where.shape, -1), raw.reshape(where.shape)

    features, raw = along(distances)
    weights = march_rays(raw, distances, F.relu, **closing).ray_weights
    positions = ((torch.arange(count) + 0.5) / count).expand(len(origins), -1)
    fine = importance_samples(distances, weights, positions, "plain")
    fine_features, fine_raw = along(fine)
    distances, order = torch.cat([distances, fine], 1).sort(1)
    raw = torch.cat([raw, fine_raw], 1).gather(1, order)
    features = torch.cat([features, fine_features], 1)
    features = features.gather(1, order[..., None].expand_as(features))
    weights = march_rays(raw, distances, F.relu, **closing).ray_weights
    blended = (weights[..., None] * features).sum(1).T.reshape(1, -1, side, side)
    image = generator.synthesis(blended, ws[:, generator.config.point_layers :])[0]
    return ((image + 1) / 2).clamp(0, 1)
