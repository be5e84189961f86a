"""What a person looks at while a run goes on: the same samples again and again, cameras, a distance."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.distributions.named import FixedCamera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.families.threedgp import ThreeDGPGenerator
from gen3d_tools.media.images import depth_picture, write_image
from gen3d_tools.media.sheets import tile
from gen3d_tools.metrics.frechet import FeatureStatistics, feature_statistics, frechet_distance
from gen3d_tools.perception.encoder import PhotoEncoder, load_encoder
from gen3d_tools.rendering.differentiable import View, render_differentiable
from gen3d_tools.rendering.rays import pixel_coordinates
from gen3d_tools.training.data.dataset import PictureSet
from gen3d_tools.training.data.features import ENCODER_MODEL
from gen3d_tools.training.draws import Draws

SHEETS = "sheets"
SEEDS = range(6)
_TURNS_DEG = (-40.0, 0.0, 40.0)
_CAMERAS = 512
_SCORE_KEY = 7_000_003
_BATCH = 64
_REAL_PICTURES = 2048
_SHEET = re.compile(r"[0-9]{9}\.png")


def sheet_path(folder: Path, images: int) -> Path:
    """Where the sheet after so many pictures lies."""
    return folder / SHEETS / f"{images:09d}.png"


def sheets_in(folder: Path) -> list[Path]:
    """The sheets of a run, oldest first; whatever else lies beside them is not looked at."""
    return sorted(path for path in (folder / SHEETS).glob("*.png") if is_sheet(path.name))


def is_sheet(name: str) -> bool:
    """Whether a file is called as `sheet_path` calls one."""
    return _SHEET.fullmatch(name) is not None


def views_of(generator: Generator) -> list[Camera]:
    """The default view, and as far to either side as it is trusted."""
    view, trusted = generator.settings.default_view, generator.settings.trusted_views
    reach = min(max(_TURNS_DEG), max((trusted.yaw_max_deg - trusted.yaw_min_deg) / 2 * 0.8, 1.0))
    turned: list[FixedCamera] = [
        replace(view, yaw_deg=view.yaw_deg + turn / max(_TURNS_DEG) * reach) for turn in _TURNS_DEG
    ]
    return [one.mean().to(generator.device) for one in turned]


@torch.no_grad()
def look_at(
    field: RadianceField, camera: Camera, resolution: int, *, fineness: int = 4
) -> tuple[Float[Tensor, "3 r r"], View]:
    """A picture in [0, 1] and what its rays saw.

    By the renderer that training uses: for it a field that is still a cloud costs no more than another.

    Args:
        field: What to look at.
        camera: From where.
        resolution: Pixels along a side.
        fineness: Times the coarse samples of training, where those are all: they were jittered there, and few that
            are not make terraces of a surface.
    """
    upscaler = field.super_resolution
    side = resolution if upscaler is None else upscaler.render_resolution
    pixels = pixel_coordinates(side, field.render_config.pixel_grid, device=field.device)
    config = field.render_config
    if not config.fine_samples:
        config = replace(config, coarse_samples=fineness * config.coarse_samples)
    view = render_differentiable(field, camera, pixels, config=config, threshold=0.0)
    picture = view.rgb if upscaler is None else upscaler(view.values)[0]
    return picture.clamp(0, 1), view


@torch.no_grad()
def draw_sheet(generator: Generator, resolution: int) -> Float[Tensor, "3 height width"]:
    """Three views and the depth of a few samples, always the same seeds; with classes one class after the other."""
    names = generator.class_names
    classes = [index % len(names) for index in SEEDS] if names else None
    cameras = views_of(generator)
    cells: list[Tensor] = []
    for field in generator.fields(generator.latents(list(SEEDS), classes)):
        seen = [look_at(field, camera, resolution) for camera in cameras]
        cells += [picture for picture, _ in seen]
        middle = seen[1][1]
        depth = middle.distance / middle.opacity.clamp_min(1e-3)
        cells.append(depth_picture(depth, middle.opacity))
    columns = 2 * (len(cameras) + 1)
    return tile(cells, columns)


def write_sheet(generator: Generator, folder: Path, images: int, resolution: int) -> Path:
    """Draw the sheet and keep it."""
    path = sheet_path(folder, images)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, draw_sheet(generator, resolution), overwrite=True)
    return path


@torch.no_grad()
def camera_histograms(generator: Generator, seed: int) -> dict[str, Any]:
    """Yaw and pitch of random training cameras, degrees, before and after the camera generator.

    Returns:
        For each angle the ends of the bins, and how many cameras fall in each, of the prior and of the posterior.
    """
    prior = generator.settings.camera_distribution
    if not isinstance(generator, ThreeDGPGenerator) or generator.synthesis.camera_adaptor is None:
        return {}
    seeds = [seed + index for index in range(_CAMERAS)]
    before, after = prior.sample(len(seeds), seeds), generator.sample_cameras(len(seeds), seeds)
    found = {}
    for name, index in (("yaw", 0), ("pitch", 1)):
        pair = [np.asarray(camera.spherical()[index].cpu(), dtype=np.float64) for camera in (before, after)]
        edges = np.histogram_bin_edges(np.concatenate(pair), 24)
        counts = [np.histogram(one, edges)[0].tolist() for one in pair]
        found[name] = {"edges": edges.round(2).tolist(), "prior": counts[0], "posterior": counts[1]}
    return found


def real_statistics(pictures: PictureSet) -> tuple[PhotoEncoder, FeatureStatistics] | None:
    """Features of real pictures, for the distance; None where the bundled encoder is missing."""
    encoder = load_encoder(ENCODER_MODEL)
    if encoder is None:
        return None
    count = min(pictures.count, _REAL_PICTURES)
    starts = range(0, count, _BATCH)
    with torch.no_grad():
        read = (pictures.images(start, min(start + _BATCH, count)) for start in starts)
        return encoder, feature_statistics(encoder(batch).embedding for batch in read)


def score(
    generator: Generator,
    real: FeatureStatistics,
    encoder: PhotoEncoder,
    *,
    samples: int,
    resolution: int,
    seed: int = 0,
) -> float:
    """FD-encoder of random samples from training cameras against real pictures."""
    made = (encoder(batch).embedding for batch in _pictures(generator, samples, resolution, seed))
    return frechet_distance(real, feature_statistics(made))


def _pictures(generator: Generator, samples: int, resolution: int, seed: int) -> Iterator[Float[Tensor, "b 3 n n"]]:
    draws = Draws(seed, _SCORE_KEY)
    seeds = [int(one) for one in draws.numbers.randint(2**31, size=samples)]
    for start in range(0, samples, _BATCH):
        chosen = seeds[start : start + _BATCH]
        cameras = generator.sample_cameras(len(chosen), chosen)
        with torch.no_grad():
            fields = generator.fields(generator.latents(chosen))
        pictures = [look_at(field, cameras[index], resolution, fineness=2)[0] for index, field in enumerate(fields)]
        yield torch.stack(pictures).cpu()
