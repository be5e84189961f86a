"""Numbers of EpiGRAF's and 3DGP's scripts: seeds, classes, grids, trajectories, cameras, flatness.

Sizes come from the tensors' names and shapes, parameters of trajectories from the case's notes.
"""

import re
from types import SimpleNamespace

import torch

from gen3d_tools.cameras import trajectories
from gen3d_tools.cameras.conventions import LEVEL
from gen3d_tools.cameras.poses import Pose
from gen3d_tools.cameras.trajectories import EPIGRAF
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.families.epigraf import EpigrafGenerator
from gen3d_tools.generators.latents import latent_z
from gen3d_tools.metrics.flatness import depth_histograms, non_flatness
from gen3d_tools.metrics.script_grid import script_crop, script_points
from tests.parity.cases import Case, Report
from tests.parity.planes.models import OPENGL
from tests.parity.planes.training_parts import check_training_parts

NUMBERS = ("angles", "fov", "radius", "look_at")
NUMBER = r"-?\d*\.?\d+"


def check_seeds(case: Case, report: Report) -> None:
    """Check the latents of seeds, and the classes that they draw."""
    seeds, tensors = case.info["seeds"], case.tensors
    report.stored("z_from_seeds", latent_z(seeds, tensors["out.z_from_seeds"].shape[1]), case)
    classes = tensors["out.c_from_seeds"].shape[1]
    drawn = Generator.class_indices(SimpleNamespace(class_names=[str(i) for i in range(classes)]), seeds)
    report.stored("c_from_seeds", torch.nn.functional.one_hot(torch.tensor(drawn), classes), case)


def check_grids(case: Case, report: Report) -> None:
    """Check the points of the geometry scripts, and which of them 3DGP's keeps."""
    for name, tensor in case.tensors.items():
        if match := re.fullmatch(r"out\.(voxel_coords_R(\d+))", name):
            report.stored(match[1], script_points(int(match[2]), -2 * tensor.min().item()), case)
        elif match := re.fullmatch(r"out\.(crop_R(\d+)_indices)", name):
            side = int(match[2])
            report.stored(match[1], script_crop(torch.arange(side**3).float().reshape(side, side, side)), case)


def check_epigraf(case: Case, report: Report) -> None:
    """Check everything that EpiGRAF's scripts compute."""
    check_seeds(case, report)
    check_grids(case, report)
    yaw, pitch, _ = case.tensors["in.camera_angles"].unbind(-1)
    for name in (name for name in case.tensors if name.startswith("out.c2w_radius")):
        radius = float(name.removeprefix("out.c2w_radius"))
        camera = Pose.build(yaw, pitch, fov_deg=12.0, radius=radius, yaw_zero=EpigrafGenerator.yaw_zero).camera()
        report.stored(name.removeprefix("out."), camera.cam2world @ OPENGL, case)
    for name, note in case.info["trajectories"].items():
        (fov,) = noted(note, "base fov", 1) or (12.0,)
        frames = len(case.tensors[f"out.traj_{name}_angles"])
        around = Pose.build(0.0, fov_deg=fov, yaw_zero=EpigrafGenerator.yaw_zero)
        made = next(path for kind, path in EPIGRAF.items() if name.startswith(kind))(frames, around)
        if numbers := noted(note, "yaw", 1) and [noted(note, key, 1)[0] for key in ("yaw", "pitch", "fov")]:
            made = trajectories.front_circle(frames, around, yaw=numbers[0], pitch=numbers[1], fov_deg=numbers[2])
        elif yaws := noted(note, "yaws"):
            made = trajectories.points(frames, around, yaws=yaws, pitch=noted(note, "pitch", 1)[0] - LEVEL)
        report.stored(f"traj_{name}_angles", made.angles, case)
        report.stored(f"traj_{name}_fov", made.fov_deg, case)
    check_training_parts(case, report)
    report.left_out(case)


def check_threedgp(case: Case, report: Report) -> None:
    """Check everything that 3DGP's scripts compute."""
    check_seeds(case, report)
    check_grids(case, report)
    pose = pose_named(case, "cams")
    camera = pose.camera()
    report.stored("cams_origin_xyz", camera.position, case)
    report.stored("cams_look_at_xyz", pose.target, case)
    report.stored("cams_c2w", camera.cam2world @ OPENGL, case)
    around = pose_named(case, "canonical")
    for name, note in case.info["trajectories"].items():
        frames = len(case.tensors[f"out.traj_{name}_angles"]) // len(around)
        made = threedgp_trajectory(name, note, frames, around).parameters.reshape(-1, 8)
        flat = Pose.from_parameters(made)
        for key, found in zip(NUMBERS, (flat.angles, flat.fov_deg, flat.radius, flat.look_at), strict=True):
            report.stored(f"traj_{name}_{key}", found, case)
    bounds = case.info["nfs"]
    counts = depth_histograms(case.tensors["in.nfs_depth"], bounds["min_depth"], bounds["max_depth"], bounds["bins"])
    score, entropy = non_flatness(counts)
    shares = case.tensors["out.nfs_hist"].sum(1, keepdim=True) / counts.sum(1, keepdim=True)
    report.stored("nfs_hist", counts * shares, case)
    report.stored("nfs_entropy", entropy, case)
    report.stored("nfs_score", score[None], case)
    check_training_parts(case, report)
    report.left_out(case)


def threedgp_trajectory(name: str, note: str, frames: int, around: Pose) -> Pose:
    """Make the trajectory that a note describes."""
    if name.startswith("front_circle"):
        yaw, pitch, fov = (noted(note, key, 1)[0] for key in ("yaw", "pitch", "fov"))
        return trajectories.front_circle(frames, around, yaw=yaw, pitch=pitch, fov_deg=fov)
    if name.startswith("points"):
        return trajectories.points(frames, around, yaws=noted(note, "yaw_offsets"))
    if name.startswith("point"):
        yaw, pitch, fov = (noted(note, f"{key}_offset", 1)[0] for key in ("yaw", "pitch", "fov"))
        return trajectories.point(frames, around, yaw=yaw, pitch=pitch, fov_deg=fov)
    pitch = (noted(note, "pitch") * 2)[:2]
    yaw = noted(note, "yaw") or (-1.57, 1.57)
    return trajectories.line(frames, around, yaw=tuple(yaw), pitch=tuple(pitch), fov_deg=(*noted(note, "fov"), None)[0])


def noted(note: str, key: str, count: int | None = None) -> list[float]:
    """Numbers behind a word, separated by commas or dots: "yaws 0,-.3,.3" or "pitch 1.2..1.57"."""
    match = re.search(rf"\b{key} ({NUMBER}(?:(?:,|\.\.){NUMBER})*)", note)
    numbers = [float(text) for text in re.split(r"\.\.|,", match[1])] if match else []
    return numbers if count is None else numbers[:count]


def pose_named(case: Case, prefix: str) -> Pose:
    angles, fov, radius, look_at = (case.tensors[f"in.{prefix}_{name}"] for name in NUMBERS)
    return Pose(angles=angles, fov_deg=fov, radius=radius, look_at=look_at)
