"""Where the cameras of a set stand."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.distributions.named import FixedCamera
from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import latent_z
from gen3d_tools.generators.settings import TrustedViews
from gen3d_tools.wording import option
from gen3d_tools.workflows.dataset.options import DEFAULT_PITCH, DatasetOptions
from gen3d_tools.workflows.samples.selection import Sample
from gen3d_tools.workflows.samples.views import ViewOptions
from gen3d_tools.workflows.video.camera_path import plan_motion

_STREAM = 0x736574  # a word of the seed of a set's cameras, "set"
_GOLDEN = (math.sqrt(5) - 1) / 2
MILLIMETRES = 1000.0
"""Of a world unit, which counts as a metre."""
_LARGEST_DEPTH = 65535 / MILLIMETRES  # of a 16-bit picture in millimetres


@dataclass(frozen=True)
class Band:
    """Part of a sphere, in degrees."""

    yaw: tuple[float, float]
    pitch: tuple[float, float]


def place_cameras(generator: Generator, one: Sample, options: DatasetOptions) -> Camera:
    """Give the cameras that look at a sample, [views], on the CPU; its seed and class alone decide.

    Raises:
        InputError: There is no such path, its file has another number of cameras, or they do not see the object.
    """
    if options.cameras == "path":
        cameras = _along(generator, options)
    elif options.cameras == "model":
        cameras = _drawn(generator, one, options.views)
    else:
        view = generator.default_view
        cameras = spread(options.views, view, _band(generator, options), _random(one), options.fov)
    return cameras.to("cpu")


def spread(views: int, view: FixedCamera, band: Band, random: np.random.RandomState, fov: float | None) -> Camera:
    """Spread cameras evenly over a band of the sphere around the object: a Fibonacci lattice, turned at random.

    From one camera to the next the height rises by equal steps, so that equal areas have equally many, and the yaw
    turns by the golden section of the band, so that cameras that are neighbours in height stand far apart.

    Args:
        views: How many.
        view: The model's own, which gives radius, lens and target.
        band: Where they may stand.
        random: Turns the lattice and moves it by a part of a step, so that objects are seen from different places.
        fov: Vertical field of view in degrees, instead of the view's.
    """
    turn, lift = random.random_sample(2)
    index = np.arange(views)
    low, high = (math.sin(math.radians(angle)) for angle in band.pitch)
    height = low + (high - low) * (index + lift) / views
    yaw = band.yaw[0] + (band.yaw[1] - band.yaw[0]) * ((turn + _GOLDEN * index) % 1.0)
    return Camera.from_spherical(
        yaw,
        np.degrees(np.arcsin(height.clip(-1, 1))),
        view.radius,
        fov_y_deg=view.fov_y_deg if fov is None else fov,
        target=view.target,
    )


def check_depths(cameras: Camera, options: DatasetOptions) -> None:
    """Refuse cameras from which a depth might not fit into 16 bits of millimetres.

    Raises:
        InputError: One is too far away.
    """
    farthest = 2 * float(cameras.position.norm(dim=-1).max())  # the object is within the cameras' sphere
    if "depth" in options.include and farthest > _LARGEST_DEPTH:
        raise InputError(
            f"depths of up to {farthest:.0f} world units are expected, 16 bits hold {_LARGEST_DEPTH:.1f} in "
            f"millimetres; leave depth out: {option('include', 'depth-float,normals,masks,points,mesh')}"
        )


def _band(generator: Generator, options: DatasetOptions) -> Band:
    """Give the part of the sphere that is asked for, or that the model is trusted in."""
    trusted: TrustedViews = generator.settings.trusted_views
    yaw = (trusted.yaw_min_deg, trusted.yaw_max_deg)
    if options.pitch_range is not None:
        return Band(yaw, options.pitch_range)
    low, high = trusted.pitch_min_deg, trusted.pitch_max_deg
    return Band(yaw, (min(max(low, DEFAULT_PITCH[0]), high), max(min(high, DEFAULT_PITCH[1]), low)))


def _along(generator: Generator, options: DatasetOptions) -> Camera:
    """Place the cameras along a path, or take those of a file."""
    motion = plan_motion(options.path, seconds=None, fps=None, fov=options.fov)
    if motion.keyframes is not None and len(motion.keyframes) != options.views:
        raise InputError(
            f"{options.path} holds {len(motion.keyframes)} cameras, {options.views} views are asked for; add "
            f"{option('views', len(motion.keyframes))}"
        )
    counted = type(motion)(motion.name, options.views, motion.fps, motion.keyframes, motion.loop)
    return counted.cameras(generator, ViewOptions(fov=options.fov))


def _drawn(generator: Generator, one: Sample, views: int) -> Camera:
    """Draw cameras from the model's own distribution, learned ones for this very sample."""
    seeds = [int(seed) for seed in _random(one).randint(0, 2**32, views, dtype=np.uint32)]
    z = latent_z([one.seed or 0], generator.config.z_dim).expand(views, -1)
    classes = None if one.class_index is None else [one.class_index] * views
    return generator.sample_cameras(views, seeds, torch.as_tensor(z), classes)


def _random(one: Sample) -> np.random.RandomState:
    """Random numbers of a sample; latents have others."""
    words = (0 if one.seed is None else one.seed, 0 if one.class_index is None else one.class_index + 1, _STREAM)
    return np.random.RandomState(list(words))
