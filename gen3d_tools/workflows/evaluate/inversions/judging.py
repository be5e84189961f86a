"""One inversion against what is known of the photo's object."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.geometry.mesh import extract_mesh
from gen3d_tools.inversion.results.result import InversionResult
from gen3d_tools.metrics.pictures import psnr, ssim
from gen3d_tools.perception.perceptual import PerceptualDistance
from gen3d_tools.perception.prediction import Prediction
from gen3d_tools.rendering.renderer import render
from gen3d_tools.workflows.evaluate.inversions.truth import Truth, wrapped_gap

MESH_RESOLUTION = 128
SHOWN = 2
"""Further views that are kept for people."""


def judge_encoder(truth: Truth, answer: Prediction, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Compare the encoder's answer to one photo with what is known."""
    yaw, pitch = float(answer.yaw_deg), float(answer.pitch_deg)
    row: dict[str, Any] = {
        "class": class_names[int(answer.class_index)],
        "yaw_right": truth.direction_right(yaw),
        "familiarity": float(answer.familiarity),
    }
    if truth.yaw_deg is not None:
        modes = [abs(wrapped_gap(float(mode), truth.yaw_deg)) for mode in answer.yaw_modes(3)[0][0]]
        row["yaw_error"] = abs(wrapped_gap(yaw, truth.yaw_deg))
        row["one_of_3_within_10"] = min(modes) <= 10
    if truth.pitch_deg is not None:
        row["pitch_error"] = abs(pitch - truth.pitch_deg)
    return row


def turned(camera: Camera, degrees: float) -> Camera:
    """Carry a camera around the object's vertical axis."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = torch.tensor([[cos, 0, sin, 0], [0, 1, 0, 0], [-sin, 0, cos, 0], [0, 0, 0, 1]])
    return Camera(turn.to(camera.cam2world) @ camera.cam2world, camera.intrinsics)


@torch.no_grad()
def judge_inversion(
    truth: Truth, photo: Float[Tensor, "3 n n"], result: InversionResult, distance: PerceptualDistance | None = None
) -> tuple[dict[str, Any], list[Tensor]]:
    """Compare what an inversion found with the photo and with what is known of its object.

    Args:
        truth: What is known.
        photo: As it was given, in [0, 1].
        result: What was found.
        distance: LPIPS, if there is a network for it.

    Returns:
        Plain numbers (after stage one, `..._one`, and stage two, `..._two`), and pictures for people: the photo, both
        stages, and pairs of true and rebuilt views.
    """
    size, turns = photo.shape[-1], list(truth.turns)
    true = [truth.picture(size, turn) for turn in turns]
    cameras = [result.photos[0].uncropped(turned(result.camera, turn)) for turn in (0.0, *turns)]
    views = {
        stage: [render(field, camera, resolution=size, supersample=2).rgb.cpu() for camera in cameras]
        for stage, field in (("one", result.pivot_field), ("two", result.field))
    }
    prepared = F.interpolate(result.photos[0].rgb[None].cpu(), (size, size), mode="area")[0]
    row: dict[str, Any] = {"class": result.class_name}
    row |= _camera_errors(truth, result)
    for stage, seen in views.items():
        row[f"input_{stage}"] = psnr(seen[0], photo)
        row[f"ssim_{stage}"] = float(ssim(seen[0][None], photo[None]))
        if distance is not None:
            row[f"lpips_{stage}"] = float(distance(seen[0][None], photo[None]))
        if turns:
            novel = [psnr(view, one) for view, one in zip(seen[1:], true, strict=True)]
            row[f"novel_{stage}"] = float(np.mean(novel))
            row[f"novel_{stage}_by_turn"] = dict(zip(map(str, turns), novel, strict=True))
    if turns:
        row["improved"] = row["novel_two"] > row["novel_one"]
    mesh = extract_mesh(result.field, resolution=MESH_RESOLUTION, colors=False)
    row["mesh_iou"] = truth.volume_iou(mesh)
    row |= {
        "prepared_change": float((prepared - photo).abs().mean()),
        "fit": result.fit,
        "warnings": list(result.warnings),
    }
    pictures = [photo, views["one"][0], views["two"][0]]
    for index in shown_views(turns):
        pictures += [true[index], views["two"][1 + index]]
    return row, pictures


def shown_views(turns: list[float]) -> list[int]:
    """Which further views people see: a small turn, and the farthest."""
    order = sorted(range(len(turns)), key=lambda index: abs(turns[index]))
    return order if len(order) <= SHOWN else [order[0], order[-1]]


def _camera_errors(truth: Truth, result: InversionResult) -> dict[str, Any]:
    yaw, pitch, _ = map(float, result.camera.spherical())
    row: dict[str, Any] = {"yaw_right": truth.direction_right(yaw)}
    if truth.yaw_deg is not None:
        row["yaw_error"] = abs(wrapped_gap(yaw, truth.yaw_deg))
    if truth.pitch_deg is not None:
        row["pitch_error"] = abs(pitch - truth.pitch_deg)
    return row
