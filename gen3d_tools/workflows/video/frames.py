"""The frames of a video, one at a time: a table of cells, each a sample or a way through several."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import ws_spline
from gen3d_tools.media.images import depth_picture, normal_picture
from gen3d_tools.media.sheets import tile
from gen3d_tools.rendering.renderer import Frames, normals, render_frames
from gen3d_tools.workflows.samples.selection import Sample, make_fields, make_ws
from gen3d_tools.workflows.samples.views import ViewOptions
from gen3d_tools.workflows.video.layout import VideoLayout

_PROBE_SIZE = 64  # largest side of the frames that are timed for an estimate
_PROBES = 2  # ... and their number; the faster one counts


@dataclass(frozen=True)
class FilmSettings:
    """What all frames of all videos of a run share."""

    generator: Generator
    psi: float
    kinds: Sequence[str]
    look: ViewOptions
    cameras: Camera
    """One per frame, [frames]."""
    config: RenderConfig
    once: bool = False
    """A way through several samples ends at the last one, and does not lead back."""


def film(shot: VideoLayout, scene: FilmSettings) -> Iterator[Float[Tensor, "3 height width"]]:
    """Render a video's frames, on the CPU. Nothing of a frame is kept for the next but the fields."""
    cells = [_cell(samples, scene) for samples in shot.cells]
    blanks = shot.columns * shot.rows - len(cells)
    for pictures in zip(*cells, strict=True):
        yield tile([*pictures, *repeat(torch.ones_like(pictures[0]), blanks)], shot.columns)


def estimate_seconds(shots: Sequence[VideoLayout], scene: FilmSettings) -> float:
    """Time small frames and say how long all will take, in seconds; encoding is not counted."""
    full = scene.look.side(scene.generator)
    upscaled = scene.generator.super_resolves and not scene.look.raw  # takes as long at any size
    size = full if upscaled else min(full, _PROBE_SIZE)
    probe = replace(scene, look=replace(scene.look, size=size), cameras=scene.cameras[[0] * (1 + _PROBES)])
    frames = _cell(shots[0].cells[0], probe)
    next(frames)  # the first one pays for loading and for the field
    times = []
    for _ in range(_PROBES):
        start = time.perf_counter()
        next(frames)
        times.append(time.perf_counter() - start)
    per_frame = min(times) * (full / size) ** 2
    return per_frame * len(scene.cameras) * sum(len(shot.cells) for shot in shots)


def depth_span(cameras: Camera, box_side: float) -> tuple[float, float]:
    """Give the depths of a video's brightest and darkest colour: half a box before and behind the box's middle.

    One span for all frames: a colour means the same depth from the first frame to the last.
    """
    depth = -(cameras.position * cameras.forward).sum(-1)
    return float(depth.min()) - box_side / 2, float(depth.max()) + box_side / 2


def _cell(samples: Sequence[Sample], scene: FilmSettings) -> Iterator[Float[Tensor, "3 size width"]]:
    """Render one cell: its kinds of picture side by side."""
    for field, camera, frame in _views(samples, scene):
        span = depth_span(scene.cameras, field.box_side)
        yield tile([_picture(kind, field, camera, frame, span) for kind in scene.kinds], len(scene.kinds))


def _views(samples: Sequence[Sample], scene: FilmSettings) -> Iterator[tuple[RadianceField, Camera, Frames]]:
    """Look at one sample, or at the way through several, from each camera."""
    if len(samples) == 1:
        [field] = make_fields(scene.generator, samples, scene.psi)
        for camera, frame in zip(scene.cameras, _render(field, scene.cameras, scene), strict=True):
            yield field, camera, frame
        return
    curve = ws_spline(make_ws(scene.generator, samples, scene.psi), loop=not scene.once)
    frames = len(scene.cameras)
    step = (len(samples) - 1) / max(frames - 1, 1) if scene.once else len(samples) / frames
    for index, camera in enumerate(scene.cameras):
        [field] = scene.generator.fields(curve(np.array([index * step])))
        [frame] = _render(field, camera, scene)
        yield field, camera, frame


def _render(field: RadianceField, cameras: Camera, scene: FilmSettings) -> Iterator[Frames]:
    look = scene.look
    return render_frames(
        field,
        cameras,
        resolution=look.size,
        config=scene.config,
        sampling=look.sampling,
        supersample=look.supersample,
        super_resolution=not look.raw,
    )


def _picture(
    kind: str, field: RadianceField, camera: Camera, frame: Frames, span: tuple[float, float]
) -> Float[Tensor, "3 size size"]:
    if kind == "depth":
        return depth_picture(frame.depth, frame.opacity, *span).cpu()
    if kind == "normal":
        return normal_picture(normals(field, camera, frame), frame.opacity).cpu()
    return frame.rgb.cpu()
