"""Measure what a generator learned of the toys: shapes against traced ones, variety, cameras, distance of pictures.

    python examples/train_from_pictures/measure.py runs/cars/latest --pictures held_out --truth truth.json

Poses and shapes are known here because the toys are our own; training knew neither. Everything is written as JSON.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "shapes"))
sys.path.insert(0, str(Path(__file__).parent))

from dataset import CLASSES
from make_pictures import FOV_DEG, RADIUS
from tracer import render

from gen3d_tools.cameras.conventions import YawZero
from gen3d_tools.cameras.poses import Pose, pose_of
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.families.epigraf_base import PlaneGenerator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.metrics.flatness import depth_histograms, non_flatness
from gen3d_tools.metrics.frechet import FeatureStatistics, feature_statistics, frechet_distance
from gen3d_tools.perception.encoder import load_encoder
from gen3d_tools.training.data.dataset import open_pictures
from gen3d_tools.training.data.features import ENCODER_MODEL
from gen3d_tools.training.recipes.sections import DataSection
from gen3d_tools.training.run import looks

YAWS, PITCH = (-0.9, -0.45, 0.0, 0.45, 0.9), 1.3  # radians; the pitch from +y
NEAR, FAR = RADIUS - 0.6, RADIUS + 0.6
SOLID = 0.5  # opacity from which a pixel belongs to the silhouette
FINE = 8  # cycles per picture from which power is detail: an eighth of a picture and finer
_FRONT = YAWS.index(0.0)
_CAMERA_SAMPLES = 1024
_BATCH = 64


class Seen:
    """Objects of one class from the views of `YAWS`, and their pictures in [0, 1] from the front."""

    def __init__(
        self,
        opacity: Float[Tensor, "views n r r"],
        distance: Float[Tensor, "views n r r"],
        pictures: Float[Tensor, "n 3 r r"],
    ) -> None:
        self.opacity, self.distance, self.pictures = opacity, distance, pictures

    @property
    def depth(self) -> Float[Tensor, "views r r"]:
        """Mean distance of what is seen, weighed by how much is there."""
        return (self.distance * self.opacity).sum(1) / self.opacity.sum(1).clamp_min(1e-6)

    @property
    def non_flatness(self) -> float:
        """3DGP's score of the front views, with what is empty at the end of the range."""
        filled = torch.where(self.opacity[_FRONT] > SOLID, self.distance[_FRONT], FAR)
        return float(non_flatness(depth_histograms(filled, NEAR, FAR))[0])

    @property
    def sameness(self) -> float:
        """Mean overlap of the front silhouettes of two objects: 1 where all are the same."""
        shapes = (self.opacity[_FRONT] > SOLID).flatten(1).float()
        both = shapes @ shapes.T
        size = shapes.sum(1)
        either = size[:, None] + size[None] - both
        pairs = ~torch.eye(len(shapes), dtype=torch.bool)
        return float((both / either.clamp_min(1))[pairs].mean())

    @property
    def colour_spread(self) -> float:
        """Standard deviation of the objects' mean colours: 0 where all have the same."""
        solid = (self.opacity[_FRONT, :, None] > SOLID).float()
        means = (self.pictures * solid).sum((2, 3)) / solid.sum((2, 3)).clamp_min(1)
        return float(means.std(0, unbiased=False).mean())

    @property
    def spectrum(self) -> list[float]:
        """Power of the brightness in octaves of spatial frequency, from 1 cycle per picture to the finest."""
        brightness = self.pictures.mean(1)
        power = torch.fft.fft2(brightness, norm="forward").abs().square().mean(0)
        frequency = torch.fft.fftfreq(power.shape[-1], d=1 / power.shape[-1])
        distance = torch.hypot(frequency[:, None], frequency[None])
        octaves = int(math.log2(power.shape[-1] / 2))
        return [float(power[(distance >= 2**low) & (distance < 2 ** (low + 1))].sum()) for low in range(octaves)]

    @property
    def detail(self) -> float:
        """Power of what is finer than `FINE` cycles per picture."""
        return sum(self.spectrum[int(math.log2(FINE)) :])


def front_of(generator: Generator) -> YawZero:
    """The axis that its objects face: the yaw of its training cameras is 0 there."""
    return generator.yaw_zero if isinstance(generator, PlaneGenerator) else "z"


@torch.no_grad()
def generated(generator: Generator, label: int | None, count: int, resolution: int) -> Seen:
    """Samples of a class."""
    seeds = list(range(count))
    fields = generator.fields(generator.latents(seeds, None if label is None else [label] * count))
    views = []
    for yaw in YAWS:
        camera = Pose.build(yaw, PITCH, fov_deg=FOV_DEG, radius=RADIUS, yaw_zero=front_of(generator)).camera()
        views.append([looks.look_at(field, camera, resolution) for field in fields])
    opacity = torch.stack([torch.cat([view.opacity for _, view in row]) for row in views])
    total = torch.stack([torch.cat([view.distance for _, view in row]) for row in views])
    return Seen(opacity, total / opacity.clamp_min(1e-6), torch.stack([picture for picture, _ in views[_FRONT]]))


def traced(label: int, count: int, resolution: int) -> Seen:
    """Toys of a class."""
    z = torch.randn(count, 10, generator=torch.Generator().manual_seed(1234))
    seen = []
    for yaw in YAWS:
        camera = Pose.build(yaw, PITCH, fov_deg=FOV_DEG, radius=RADIUS).camera()
        seen.append(render(z, label, camera.cam2world.expand(count, 4, 4), FOV_DEG, resolution))
    opacity, distance = (torch.stack([one[index][:, 0] for one in seen]) for index in (1, 2))
    return Seen(opacity, distance, seen[_FRONT][0])


def agreement(made: Seen, real: Seen) -> dict[str, Any]:
    """Overlap of the mean silhouettes and correlation of the mean depths, view by view; scores of shape and variety."""
    ours, true = made.opacity.mean(1) > SOLID, real.opacity.mean(1) > SOLID
    overlap = (ours & true).flatten(1).sum(1) / (ours | true).flatten(1).sum(1).clamp_min(1)
    correlations = []
    for view, both in enumerate(ours & true):
        pair = torch.stack([made.depth[view][both], real.depth[view][both]])
        correlations.append(float(torch.corrcoef(pair)[0, 1]) if int(both.sum()) > 2 else 0.0)
    return {
        "silhouette_overlap": [round(float(one), 3) for one in overlap],
        "depth_correlation": [round(one, 3) for one in correlations],
        "non_flatness": [round(made.non_flatness, 2), round(real.non_flatness, 2)],
        "sameness": [round(made.sameness, 3), round(real.sameness, 3)],
        "colour_spread": [round(made.colour_spread, 3), round(real.colour_spread, 3)],
        "spectrum": [[float(f"{power:.3g}") for power in seen.spectrum] for seen in (made, real)],
        "detail": [float(f"{made.detail:.3g}"), float(f"{real.detail:.3g}")],
    }


@torch.no_grad()
def camera_distances(generator: Generator, truth: Float[np.ndarray, "n 2"]) -> dict[str, float]:
    """Earth mover's distance of yaws and of pitches from the truth, radians: of the cameras used and of the prior.

    Args:
        generator: Its training cameras are the posterior where it has learned some.
        truth: Yaw and pitch of the real pictures, whose mirrored copies count too.
    """
    seeds = list(range(_CAMERA_SAMPLES))
    found = {}
    prior = generator.settings.camera_distribution
    drawn = {"posterior": generator.sample_cameras(len(seeds), seeds), "prior": prior.sample(len(seeds), seeds)}
    yaws = np.concatenate([truth[:, 0], -truth[:, 0]])
    for name, cameras in drawn.items():
        yaw, pitch, _ = pose_of(cameras, yaw_zero=front_of(generator)).angles.double().numpy().T
        for angle, ours, true in (("yaw", yaw, yaws), ("pitch", pitch, truth[:, 1])):
            found[f"{angle}_{name}"] = round(_earth_movers(ours, true), 4)
    return found


def _earth_movers(first: np.ndarray, second: np.ndarray) -> float:
    shares = (np.arange(1000) + 0.5) / 1000
    return float(np.abs(np.quantile(first, shares) - np.quantile(second, shares)).mean())


class Reference:
    """Features of held-out pictures, in two halves: their distance is the floor of what can be reached."""

    def __init__(self, pictures: Path, resolution: int) -> None:
        encoder = load_encoder(ENCODER_MODEL)
        if encoder is None:
            raise SystemExit("the bundled encoder is missing; measure in a checkout")
        self.encoder = encoder
        held = open_pictures(pictures, DataSection(resolution=resolution, mirror=False))
        order = np.random.default_rng(0).permutation(held.count)
        halves = np.array_split(order, 2)
        self.halves = [self._statistics(held.batch(half).images / 2 + 0.5) for half in halves]

    @torch.no_grad()
    def _statistics(self, images: Float[Tensor, "n 3 r r"]) -> FeatureStatistics:
        return feature_statistics(self.encoder(batch).embedding for batch in images.split(_BATCH))

    @property
    def floor(self) -> float:
        """Distance of one half from the other."""
        return frechet_distance(*self.halves)

    def distance(self, generator: Generator, samples: int, resolution: int) -> float:
        """FD-encoder of samples against the first half."""
        return looks.score(generator, self.halves[0], self.encoder, samples=samples, resolution=resolution)


def measure(
    generator: Generator,
    *,
    reference: Reference | None = None,
    truth: Float[np.ndarray, "n 2"] | None = None,
    count: int = 16,
    samples: int = 512,
    resolution: int = 64,
) -> dict[str, Any]:
    """Everything that can be said of a generator of toys.

    Args:
        generator: Its classes have the names of `examples/shapes`; without classes it makes cars.
        reference: Held-out pictures; None leaves the distance out.
        truth: Yaw and pitch of the real pictures; None leaves the cameras out.
        count: Objects of each class whose shapes are compared.
        samples: Pictures for the distance.
        resolution: Pixels along a side.
    """
    names = generator.class_names or ("car",)
    found: dict[str, Any] = {
        name: agreement(
            generated(generator, index if generator.class_names else None, count, resolution),
            traced(CLASSES.index(name), count, resolution),
        )
        for index, name in enumerate(names)
    }
    if reference is not None:
        found["fd_encoder"] = round(reference.distance(generator, samples, resolution), 4)
        found["fd_floor"] = round(reference.floor, 4)
    if truth is not None:
        found["cameras"] = camera_distances(generator, truth)
    return found


def read_truth(path: Path) -> Float[np.ndarray, "n 2"]:
    """Yaw and pitch of every picture, as `make_pictures.py --truth` writes them."""
    return np.array(list(json.loads(path.read_text(encoding="utf-8")).values()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the measurements of one model folder."""
    parser = argparse.ArgumentParser(description="Measure a generator of toys.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--pictures", type=Path, help="Held-out pictures, for FD-encoder.")
    parser.add_argument("--truth", type=Path, help="Poses of the pictures, for the cameras.")
    parser.add_argument("--count", type=int, default=16, help="Objects of each class.")
    options = parser.parse_args(arguments)
    generator = load_generator(options.model, device="cpu")
    resolution = int(getattr(generator.config, "image_resolution", 64))
    found = measure(
        generator,
        reference=None if options.pictures is None else Reference(options.pictures, resolution),
        truth=None if options.truth is None else read_truth(options.truth),
        count=options.count,
        resolution=resolution,
    )
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
