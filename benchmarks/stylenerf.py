"""Rows about StyleNeRF at its published size (FFHQ 256), with random weights, beside the published formulation.

Plain modulates weights per sample in grouped convolutions over all points, follows rays with every output of the field
at every sample, and enlarges before it mixes, as the published code does.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.measuring.rows import Effort, Row, row
from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.distributions.named import FixedCamera
from gen3d_tools.cameras.distributions.stylenerf import stylenerf_camera
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.configs import StyleNerfConfig
from gen3d_tools.generators.families.stylenerf import StyleNerfGenerator
from gen3d_tools.generators.networks.layers import LRELU_GAIN, LRELU_SLOPE
from gen3d_tools.generators.networks.stylenerf.field import FieldNetwork
from gen3d_tools.generators.networks.stylenerf.upsampler import UpsampleBlock, UpsampleLayer
from gen3d_tools.generators.settings import ModelSettings
from gen3d_tools.rendering.backdrops import behind
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.renderer import render
from gen3d_tools.rendering.volume.sampling import inverse_cdf_samples
from gen3d_tools.workflows.bench.timing import measure

_POINTS = 1 << 15
"""Points of a density query; the published mesh helper asks for so many at a time."""


def rows(effort: Effort) -> Iterator[Row]:
    """Measure pictures, densities, and both with a fresh latent."""
    generator = build(tiny=effort.tiny)
    ws = generator.latents([0], truncation_psi=0.7)
    camera = stylenerf_camera(0.2, math.pi / 2 - 0.1)
    yardstick = Plain(generator, ws)
    side = generator.image_resolution

    def ours() -> Tensor:
        (field,) = generator.fields(ws)
        return render(field, camera, exact=True).rgb

    def theirs() -> Tensor:
        return ((yardstick.picture(camera) + 1) / 2).clamp(0, 1)

    with torch.no_grad():
        difference = float((ours() - theirs()).abs().max())  # of colours 0..1
        timing = measure(ours, theirs, repeat=effort.repeat)
        yield row(f"StyleNeRF, latent to a picture of {side}^2", timing, f"{difference:.1e}", "x 1")
        yield from _densities(generator, ws, yardstick, effort)


def _densities(generator: StyleNerfGenerator, ws: Tensor, yardstick: "Plain", effort: Effort) -> Iterator[Row]:
    (field,) = generator.fields(ws)
    points = (torch.rand(1024 if effort.tiny else _POINTS, 3) - 0.5) * field.box_side
    difference = (field.raw_density(points) - yardstick.query(points)[1]).abs().max()
    timing = measure(lambda: field.raw_density(points), lambda: yardstick.query(points), repeat=effort.repeat)
    yield row(f"StyleNeRF, density at {len(points)} points", timing, f"{float(difference):.1e}", "x 1")


def build(*, tiny: bool = False) -> StyleNerfGenerator:
    """Build a generator of the published FFHQ layout with random weights, the high octaves damped as by training."""
    small = {"w_dim": 32, "z_dim": 32, "mapping_width": 32, "embed_dim": 32, "image_resolution": 32}
    small |= {"render_resolution": 8, "start_resolution": 8, "channel_max": 32, "feature_channels": 24}
    small |= {"background_latent": 8}
    config = StyleNerfConfig(**small) if tiny else StyleNerfConfig()
    view = FixedCamera(radius=1.0, fov_y_deg=12.0)
    settings = ModelSettings(
        render_config=RenderConfig(
            near=0.88,
            far=1.12,
            coarse_samples=14,
            fine_samples=14,
            jitter="ends",
            marcher="classical",
            background="grey",
            importance="bare",
            distance_rule="sum",
            limits_along="axis",
        ),
        camera_distribution=view,
        default_view=view,
        iso_level=30.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = StyleNerfGenerator(config, settings)
    with torch.no_grad():
        for network in (generator.foreground, generator.background):
            assert isinstance(network, FieldNetwork)
            octaves, width = config.foreground_octaves, network.fc_in.weight.shape[1]
            axes = width // (2 * octaves)
            fade = 2.0 ** -(torch.arange(2 * octaves * axes) // (2 * axes))
            fade = torch.cat([fade, torch.ones(width - len(fade))])
            network.fc_in.weight.mul_(fade.view(1, -1, *[1] * (network.fc_in.weight.ndim - 2)))
        generator.foreground.sigma_out.weight.mul_(20)
    return generator.eval().requires_grad_(False)


@dataclass(frozen=True)
class Plain:
    """One sample of a generator, evaluated as the published code does."""

    generator: StyleNerfGenerator
    ws: Tensor  # [1, num_ws, w_dim]

    @property
    def _styles(self) -> tuple[Tensor, ...]:
        generator = self.generator
        return torch.split(self.ws[0], [*generator.style_rows, generator.own_rows])

    def query(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Values and raw density of the foreground at points in our axes."""
        return _field(self.generator.foreground, points[:, [2, 0, 1]], self._styles[1], None)

    def picture(self, camera: Camera) -> Tensor:
        """The picture, in [-1, 1] and not clamped."""
        config, side = self.generator.settings.render_config, self.generator.config.render_resolution
        origins, directions = camera_rays(camera, side)
        vectors = directions / (directions @ camera.forward)[:, None]
        shares = torch.linspace(0, 1, config.coarse_samples).expand(len(vectors), -1)
        values, raw = self._along(origins, vectors, shares)
        weights, _ = self._march(raw, shares, vectors)
        middles = (shares[:, 1:] + shares[:, :-1]) / 2
        fine = inverse_cdf_samples(middles, weights[:, 1:-1], shares.contiguous())
        more_values, more_raw = self._along(origins, vectors, fine)
        shares, order = torch.cat([shares, fine], 1).sort(1)
        raw = torch.cat([raw, more_raw], 1).gather(1, order)
        values = torch.cat([values, more_values], 1).gather(1, order[..., None].expand(-1, -1, values.shape[-1]))
        weights, left = self._march(raw, shares, vectors)
        blended = (weights[..., None] * values).sum(1) + left[:, None] * self._background(origins, directions)
        picture = blended.T.unflatten(1, (side, side))[None]
        return self._enlarged(picture[:, 3:], picture[:, :3])[0]

    def _along(self, origins: Tensor, vectors: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        config = self.generator.settings.render_config
        depth = config.far * shares + config.near * (1 - shares)
        points = origins[:, None] + depth[..., None] * vectors[:, None]
        values, raw = self.query(points.reshape(-1, 3))
        return values.unflatten(0, depth.shape), raw.unflatten(0, depth.shape)

    def _march(self, raw: Tensor, shares: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        lengths = shares.diff(dim=1) * self.generator.config.box_side * vectors.norm(dim=-1, keepdim=True)
        alpha = 1 - torch.exp(-raw.clamp_min(0) * F.pad(lengths, (0, 1)))
        light = F.pad(1 - alpha + 1e-10, (1, 0), value=1.0).cumprod(1)
        return alpha * light[:, :-1], light[:, -2]

    def _background(self, origins: Tensor, directions: Tensor) -> Tensor:
        """Small beside the rest (a twelfth of the points, half as wide): taken from the field."""
        (field,) = self.generator.fields(self.ws)
        assert field.backdrop is not None
        return 2 * behind(field.backdrop, "grey", origins, directions) - 1

    def _enlarged(self, x: Tensor, image: Tensor) -> Tensor:
        start, rows = 0, self._styles[3]
        for block in self.generator.upsampler.blocks():
            x, image = _block(block, x, image, rows[start : start + 3])
            start += block.num_convs
        return image


def _modulated(x: Tensor, weight: Tensor, styles: Tensor, *, demodulate: bool = True) -> Tensor:
    """Modulate the weights of each sample, and convolve all samples as one with groups."""
    kernels = weight[None] * styles[:, None, :, None, None]
    if demodulate:
        kernels = kernels * (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    size, (_, channels, height, width) = len(x), x.shape
    grouped = x.reshape(1, size * channels, height, width)
    made = F.conv2d(grouped, kernels.flatten(0, 1), groups=size, padding=weight.shape[-1] // 2)
    return made.reshape(size, -1, *made.shape[-2:])


def _field(network: FieldNetwork, points: Tensor, ws: Tensor, latent: Tensor | None) -> tuple[Tensor, Tensor]:
    """All outputs of a styled field at points [n, axes]."""
    waves = []
    for octave in range(10):
        waves += [torch.sin(2.0**octave * math.pi * points), torch.cos(2.0**octave * math.pi * points)]
    x = torch.cat(waves, -1).T[None, :, :, None]
    for layer, w in zip([network.fc_in, *network.blocks], ws, strict=False):
        made = _modulated(x, layer.weight, layer.affine(w[None])) + layer.bias[:, None, None]
        x = F.leaky_relu(made, LRELU_SLOPE) * LRELU_GAIN
    raw, features = (
        _modulated(x, head.weight, head.affine(w[None]) / math.sqrt(x.shape[1]), demodulate=False)
        + head.bias[:, None, None]
        for head, w in ((network.sigma_out, ws[-2]), (network.feat_out, ws[-1]))
    )
    color = network.to_rgb
    assert color is not None
    rgb = F.conv2d(features, color.weight / math.sqrt(features.shape[1]), color.bias)
    return torch.cat([rgb, features], 1)[0, :, :, 0].T, raw[0, 0, :, 0]


def _block(block: UpsampleBlock, x: Tensor, image: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    x = _layer(block.conv0, x, rows[0])
    x = _layer(block.conv1, x, rows[1])
    styles = block.torgb.affine(rows[2][None]) / math.sqrt(x.shape[1])
    update = _modulated(x, block.torgb.weight, styles, demodulate=False) + block.torgb.bias[:, None, None]
    zeros = torch.zeros(*image.shape[:2], 2 * image.shape[2], 2 * image.shape[3])
    zeros[:, :, ::2, ::2] = image
    return x, _filtered(zeros, 4.0) + update.clamp(-256, 256)


def _layer(layer: UpsampleLayer, x: Tensor, w: Tensor) -> Tensor:
    x = _modulated(x * layer.w_avg.rsqrt(), layer.weight, layer.affine(w[None]))
    if layer.adapter is not None:
        padded = F.pad(x, (1, 1, 1, 1))
        left, right, above, below = (
            padded[:, :, 1:-1, :-2],
            padded[:, :, 1:-1, 2:],
            padded[:, :, :-2, 1:-1],
            padded[:, :, 2:, 1:-1],
        )
        quarters = [(left + above) / 2, (above + right) / 2, (left + below) / 2, (below + right) / 2]
        beside = F.pixel_shuffle(torch.stack(quarters, 2).flatten(1, 2), 2)
        here = F.interpolate(x, scale_factor=2, mode="nearest")
        mixed = _adapter(layer.adapter[0], torch.cat([here, beside], 1))
        x = here + _adapter(layer.adapter[1], F.leaky_relu(mixed, LRELU_SLOPE) * LRELU_GAIN)
        x = _filtered(x, 1.0)
    x = F.leaky_relu(x + layer.bias[:, None, None], LRELU_SLOPE) * LRELU_GAIN
    return x.clamp(-256, 256)


def _adapter(layer: nn.Module, x: Tensor) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    assert isinstance(layer.bias, Tensor)
    return F.conv2d(x, weight / math.sqrt(weight.shape[1]), layer.bias)


def _filtered(x: Tensor, gain: float) -> Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = (torch.outer(taps, taps) / 64 * gain).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(x, (2, 1, 2, 1)), kernel, groups=x.shape[1])
