"""Numbers of VolumeGAN's script and of the parts it is made of; sizes come from the tensors' names and shapes."""

import re

import mcubes
import numpy as np
import torch

from gen3d_tools.cameras.poses import Pose
from gen3d_tools.cameras.trajectories import VOLUMEGAN
from gen3d_tools.fields.density import activate_density
from gen3d_tools.fields.volume import PositionalEncoding, sample_volume
from gen3d_tools.generators.families.volumegan import VolumeGANGenerator
from gen3d_tools.generators.families.volumegan_seeds import script_latents
from gen3d_tools.generators.official.volumegan import DENSITIES, from_arguments
from gen3d_tools.media.images import to_uint8
from gen3d_tools.metrics.script_grid import script_points
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.volume.compositing import add_background, blend, march_rays
from gen3d_tools.rendering.volume.sampling import coarse_shares, inverse_cdf_samples, place_on_rays
from tests.parity.cases import Case, Report
from tests.parity.volumegan.draws import drawn_angles, python_coin

EXACT = {"atol": 1e-5}
OPENGL = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
JITTERS = {"None": "centered", "none": "grid", "mid": "intervals"}
FACE = {"horizontal_mean": np.pi / 2, "horizontal_stddev": 0.3, "vertical_mean": np.pi / 2, "vertical_stddev": 0.155}
SPHERE = {"horizontal_mean": 0.0, "horizontal_stddev": np.pi, "vertical_mean": np.pi / 2, "vertical_stddev": np.pi / 2}


def check_script(case: Case, report: Report) -> None:
    """Check everything that the script computes."""
    check_cameras(case, report)
    check_rays(case, report)
    check_compositing(case, report)
    check_sampling(case, report)
    check_points(case, report)
    check_paths(case, report)
    check_meshes(case, report)
    check_seeds(case, report)
    levels = case.tensors["in.uint8.values"]
    picture = ((levels + 1) / 2)[None, None].expand(3, 1, -1)
    report.stored("uint8.values", torch.from_numpy(to_uint8(picture)[0, :, 0].copy()), case)
    report.left_out(case)


def check_cameras(case: Case, report: Report) -> None:
    """Check angles from the published draws, and positions."""
    for name in sorted({key.split(".")[2] for key in case.tensors if key.startswith("out.cam.")}):
        kind, *rest = name.split("_seed")
        seed, coin = (8, python_coin(1)) if rest else (5, python_coin(5))
        table, radius = FACE, 1.0
        if kind == "sphere":
            kind, seed, table, radius, coin = "spherical_uniform", 6, SPHERE, 1.3, python_coin(6)
        count = len(case.tensors[f"out.cam.{name}.yaw"])
        stream = torch.Generator().manual_seed(seed)
        yaw, pitch = drawn_angles({"camera_dist": kind, **table}, count, stream, coin)
        report.stored(f"cam.{name}.yaw", yaw, case, **EXACT)
        report.stored(f"cam.{name}.pitch", pitch, case, **EXACT)
        if f"out.cam.{name}.position" in case.tensors:
            camera = Pose.build(yaw, pitch, fov_deg=12.0, radius=radius, yaw_zero="x").camera()
            report.stored(f"cam.{name}.position", camera.position, case, **EXACT)
    yaw, pitch = case.tensors["in.pose.yaw_pitch"].unbind(-1)
    camera = Pose.build(yaw, pitch, fov_deg=12.0, radius=case.tensors["out.pose.position"].norm(dim=-1), yaw_zero="x")
    camera = camera.camera()
    report.stored("pose.position", camera.position, case, **EXACT)
    report.stored("pose.cam2world_opencv", camera.cam2world, case, **EXACT)
    report.stored("pose.cam2world_opengl", camera.cam2world @ OPENGL, case, **EXACT)


def check_rays(case: Case, report: Report) -> None:
    """Check directions, distances and points of whole pictures."""
    yaw, pitch = case.tensors["in.pose.yaw_pitch"].unbind(-1)
    flip = torch.tensor([1.0, -1.0, -1.0])
    for name in sorted({key.split(".")[2] for key in case.tensors if key.startswith("out.rays.")}):
        side, fov = map(int, re.fullmatch(r"res(\d+)_fov(\d+)", name).groups())
        radius = case.tensors["out.pose.position"].norm(dim=-1)
        camera = Pose.build(yaw, pitch, fov_deg=float(fov), radius=radius, yaw_zero="x").camera()
        origins, directions = camera_rays(camera, side, "corners")
        rays_cam = (directions[0] @ camera[0].cam2world[:3, :3]) * flip
        shares = coarse_shares("centered", torch.full((side**2, 3), 0.5))
        distances = place_on_rays(shares, torch.full((side**2,), 0.8), torch.full((side**2,), 1.2), "linear")
        report.stored(f"rays.{name}.directions_cam", rays_cam, case, **EXACT)
        report.stored(f"rays.{name}.directions_world", directions, case, **EXACT)
        report.stored(f"rays.{name}.distances", distances, case, **EXACT)
        report.stored(f"rays.{name}.points_cam", rays_cam[:, None] * distances[..., None], case, **EXACT)
        points = origins[:, :, None] + directions[:, :, None] * distances[..., None]
        report.stored(f"rays.{name}.points_world", points, case, **EXACT)


def check_compositing(case: Case, report: Report) -> None:
    """Check all variants of blending, those that no setting here asks for too."""
    distances, raw, values = (case.tensors[f"in.render.{name}"] for name in ("distances", "sigma", "values"))
    for name, variant in case.info["render_variants"].items():
        activation, shift = DENSITIES[variant["clamp_mode"]]
        end, last = variant.get("max_depth"), variant.get("last_back", False)
        along = distances
        if variant.get("render_mode") == "no_dist":
            along, end = torch.arange(float(distances.shape[-1])).expand_as(distances), float(distances.shape[-1])
        marched = march_rays(
            raw,
            along,
            lambda found, a=activation, s=shift: activate_density(found, a, s),
            marcher="classical",
            last_interval=None if end else 1e10,
            last_interval_end=end,
            last_takes_rest=last,
        )
        blended = blend(marched.sample_weights, values)
        if variant.get("white_back"):
            blended = add_background(blended, marched.opacity, "white")
        if variant.get("fill_mode") == "weight":
            blended = marched.opacity[:, None].expand_as(blended)
        report.stored(f"render.{name}.weights", marched.sample_weights, case, **EXACT)
        report.stored(f"render.{name}.values", blended, case, **EXACT)
        report.stored(f"render.{name}.distance", (marched.sample_weights * distances).sum(-1), case, **EXACT)


def check_sampling(case: Case, report: Report) -> None:
    """Check jitter and importance samples."""
    u = case.tensors["in.jitter.u"]
    camera = Pose.build(np.pi / 2, fov_deg=12.0, yaw_zero="x").camera()
    directions = camera_rays(camera, 2, "corners")[1] @ camera.cam2world[:3, :3] * torch.tensor([1.0, -1.0, -1.0])
    for name, jitter in JITTERS.items():
        near, far = torch.full((len(u),), 0.8), torch.full((len(u),), 1.2)
        distances = place_on_rays(coarse_shares(jitter, u), near, far, "linear")
        report.stored(f"jitter.{name}.distances", distances, case, **EXACT)
        report.stored(f"jitter.{name}.points_cam", directions[:, None] * distances[..., None], case, **EXACT)
    bins, weights, positions = (case.tensors[f"in.pdf.{name}"] for name in ("bins", "weights", "u"))
    report.stored("pdf.samples", inverse_cdf_samples(bins, weights, positions), case, **EXACT)
    even = torch.linspace(0, 1, positions.shape[1]).expand_as(positions)
    report.stored("pdf.samples_det", inverse_cdf_samples(bins, weights, even), case, **EXACT)


def check_points(case: Case, report: Report) -> None:
    """Check lookup and encoding."""
    volumes, points = case.tensors["in.lookup.volume"], case.tensors["in.lookup.points"]
    low, high = case.tensors["in.lookup.bounds"].tolist()
    found = [sample_volume(*one, (tuple(low), tuple(high))).T for one in zip(volumes, points, strict=True)]
    report.stored("lookup.features", torch.stack(found), case, **EXACT)
    for name in (key.removeprefix("out.") for key in case.tensors if key.startswith("out.encoding.")):
        largest, count = map(int, re.search(r"max(\d+)_n(\d+)", name).groups())
        encoding = PositionalEncoding.spaced(count, largest)
        if ".freqs" in name:
            report.stored(name, torch.tensor(encoding.frequencies), case, **EXACT)
        else:
            report.stored(name, encoding(case.tensors["in.encoding.points"]), case, **EXACT)


def check_paths(case: Case, report: Report) -> None:
    """Check the angles of the script's two trajectories."""
    for name, trajectory in VOLUMEGAN.items():
        frames = len(case.tensors[f"out.trajectory.{name}.pitch_yaw"])
        made = trajectory(frames, Pose.build(np.pi / 2, fov_deg=12.0, yaw_zero="x"))
        report.stored(f"trajectory.{name}.pitch_yaw", made.angles[:, [1, 0]], case, **EXACT)


def check_meshes(case: Case, report: Report) -> None:
    """Check the script's grids, and marching cubes on one of them."""
    report.stored("grid6.coords", script_points(6, 0.3), case, **EXACT)
    report.stored("grid256.coords", script_points(256, 0.3, case.tensors["in.grid256.flat_index"]), case, **EXACT)
    density = case.tensors["in.mesh.density"].numpy()
    vertices, faces = mcubes.marching_cubes(density, 10.0)
    vertices = vertices * (0.3 / (len(density) - 1)) - 0.15
    report.stored("mesh.vertices", torch.from_numpy(vertices), case, **EXACT)
    report.stored("mesh.faces", torch.from_numpy(faces.astype(np.int64)), case)


def check_seeds(case: Case, report: Report) -> None:
    """Check the script's latents of seeds, which depend on the sizes of the network."""
    for key in (key for key in case.tensors if key.startswith("out.script_z.")):
        _, _, sizes, seed = key.split(".")
        kwargs = case.info["full_init_kwargs"]
        if sizes != "ffhq":
            kwargs = Case(case.family, case.path.parent / f"{sizes}.json").info["init_kwargs"]
        described = from_arguments(kwargs)
        with torch.device("meta"):
            generator = VolumeGANGenerator(*described)
        made = script_latents(generator, int(seed.removeprefix("seed")), len(case.tensors[key]))
        report.stored(key.removeprefix("out."), made, case, **EXACT)
