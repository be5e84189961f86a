"""Rows about pictures of fields as large as EG3D's and 3DGP's, planes given and from z, and an orbit of the model's.

Plain is how the published scripts work: all rays of a picture at once, three look-ups of all channels and the whole
decoder at every sample of a coarse and a fine pass, all colours sorted along the ray, and for every frame of a film the
backbone again. Of a film plain makes two frames, and its time is scaled. Ours is
`sampling="published"` (the same samples) and the default (samples of its own), from planes and kernels that are
ready; a film's time holds their preparation.

The fields are fitted to a bust, see `fields.py`. "differ" of the same samples is against plain; that of the default
gives both, ours then plain's, against 512 + 512 samples.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

import gen3d_tools as g3
from benchmarks.fields import CASES, EG3D, FieldCase, fitted_field
from benchmarks.measuring.rows import Effort, Row, decibels, row
from benchmarks.networks import backbone_timing
from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.paths import orbit
from gen3d_tools.fields.compiled import compiled_network
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.fields.triplane import PLANE_AXES, TriplaneField
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.volume.compositing import MarchedRays, add_background, blend, march_rays
from gen3d_tools.rendering.volume.sampling import coarse_samples, importance_samples
from gen3d_tools.workflows.bench.timing import measure

CAMERA = Camera.from_spherical(20.0, 10.0, 2.7, fov_y_deg=24.0)
FILM, PLAIN_FRAMES = 60, 2  # frames of a film, and how many of them plain makes


@torch.no_grad()
def rows(effort: Effort) -> Iterator[Row]:
    """Measure both families, a film, and the orbit of the model."""
    size = 16 if effort.tiny else 128
    for case in CASES:
        yield from _pictures(case, size, effort)
    yield _film(size, effort)
    yield _orbit(effort)


def _field_of(case: FieldCase, effort: Effort) -> TriplaneField:
    return fitted_field(case, steps=10 if effort.tiny else 400)


def _pictures(case: FieldCase, size: int, effort: Effort) -> Iterator[Row]:
    field, results = _field_of(case, effort), {}
    samples = f"{field.render_config.coarse_samples}+{field.render_config.fine_samples}"
    name = f"{case.name} size, picture {size}^2, {samples}"
    g3.render(field, CAMERA, resolution=8)  # prepares and compiles
    g3.render(field, CAMERA, resolution=8, sampling="published")

    def ours(**options: bool | str) -> None:
        results["ours"] = g3.render(field, CAMERA, resolution=size, **options).rgb  # type: ignore[arg-type]

    def theirs() -> None:
        results["plain"] = picture(field, CAMERA, size)

    timing = measure(partial(ours, sampling="published"), theirs, repeat=effort.repeat)
    wanted = "x 20, 70 dB" if case is EG3D else "x 10, 70 dB"
    yield row(f"{name}, same samples", timing, f"{decibels(results['ours'], results['plain']):.1f} dB", wanted)
    timing = measure(ours, theirs, repeat=effort.repeat)
    many = replace(field.render_config, coarse_samples=512, fine_samples=512)
    truth = g3.render(field, CAMERA, resolution=size, config=many, sampling="published").rgb
    agreement = " | ".join(f"{decibels(results[who], truth):.1f}" for who in ("ours", "plain"))
    yield row(f"{name}, default", timing, f"{agreement} dB", "x 20, plain's dB")


def _film(size: int, effort: Effort) -> Row:
    field, frames = _field_of(EG3D, effort), 4 if effort.tiny else FILM
    cameras = orbit(frames, CAMERA)

    def ours() -> None:
        fresh = replace(field)  # nothing is prepared for it
        for _ in g3.render_frames(fresh, cameras, resolution=size):
            pass

    def theirs() -> None:
        for index in range(PLAIN_FRAMES):
            picture(field, cameras[index], size)

    timing = measure(ours, theirs, repeat=1).scaled(frames / PLAIN_FRAMES)
    planes = backbone_timing(32 if effort.tiny else EG3D.plane_size, effort.repeat)
    note = f"plain: {PLAIN_FRAMES} of {frames} frames"
    return row(
        f"EG3D size, film {frames} x {size}^2, from z", timing.after(planes, plain_runs=frames), "", "x 25", note
    )


def _orbit(effort: Effort) -> Row:
    generator = g3.load_generator(effort.model, device="cpu")
    size, frames = (16, 2) if effort.tiny else (256, FILM)
    cameras = orbit(frames, generator.default_camera())
    (field,) = generator.fields(generator.latents([0], truncation_psi=0.7))
    _ = compiled_network(field).occupancy  # kernels are loaded

    def ours() -> None:
        for _ in g3.render_frames(replace(field), cameras, resolution=size):
            pass

    return row(f"{effort.model}, orbit {frames} x {size}^2", measure(ours, repeat=1), wanted="2.4 s, 2 cores")


def picture(field: TriplaneField, camera: Camera, resolution: int) -> Float[Tensor, "3 n n"]:
    """One picture by the settings' own scheme, all rays at once and everything at every sample."""
    config = field.render_config
    origins, directions = camera_rays(camera, resolution, config.pixel_grid)
    near, far = (origins.new_full(origins.shape[:1], float(limit)) for limit in (config.near, config.far))
    distances, metric = coarse_samples(config, origins.new_full((len(origins), config.coarse_samples), 0.5), near, far)
    values, raw = _along(field, origins, directions, distances)
    weights = _march(field, config, raw, metric).ray_weights
    steps = (torch.arange(config.fine_samples) + 0.5) / config.fine_samples
    fine = importance_samples(distances, weights, steps.expand(len(origins), -1), config.importance)
    fine_values, fine_raw = _along(field, origins, directions, fine)
    distances, order = torch.cat([distances, fine], 1).sort(1)
    raw = torch.cat([raw, fine_raw], 1).gather(1, order)
    values = torch.cat([values, fine_values], 1)
    values = values.gather(1, order[..., None].expand(-1, -1, values.shape[-1]))
    marched = _march(field, config, raw, distances)
    seen = add_background(blend(marched.sample_weights, values), marched.opacity, config.background)
    return seen[:, :3].clamp(0, 1).T.reshape(3, resolution, resolution)


def _along(
    field: TriplaneField,
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    distances: Float[Tensor, "rays k"],
) -> tuple[Float[Tensor, "rays k channels"], Float[Tensor, "rays k"]]:
    """Query every sample of every ray in one go: three look-ups of all channels, then the whole decoder."""
    points = (origins[:, None] + distances[..., None] * directions[:, None]).reshape(-1, 3) * (2 / field.box_side)
    grid = torch.stack([points[:, axes] for axes in PLANE_AXES[field.plane_axes]])[:, None]
    features = torch.nn.functional.grid_sample(field.planes, grid, align_corners=field.align_corners)
    values, raw = field.decoder(features[:, :, 0].permute(0, 2, 1).mean(0))
    return values.reshape(*distances.shape, -1), raw.reshape(distances.shape)


def _march(field: RadianceField, config: RenderConfig, raw: Tensor, distances: Tensor) -> MarchedRays:
    return march_rays(raw, distances, field.activate, marcher=config.marcher, last_interval=config.last_interval)
