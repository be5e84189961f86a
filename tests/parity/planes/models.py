"""What the checks of EpiGRAF and 3DGP share: loading, rays, patches, pictures."""

from pathlib import Path

import torch
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.generators.families.epigraf_base import PlaneGenerator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.rendering.ray_rendering import trace_rays
from gen3d_tools.rendering.rays import camera_rays, pixel_coordinates
from gen3d_tools.rendering.volume.outputs import RayOutputs
from tests.parity.cases import Case, Report
from tests.support.official_pickles import official_bytes

DENSITY = {"atol": 1e-4, "rtol": 1e-5}
DEPTH = 2e-4
OPENGL = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
KWARGS = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "channel_base", "channel_max")


def load(case: Case, folder: Path, family: str) -> PlaneGenerator:
    """Write the pickle of a case and load it."""
    made = case.info["constructor"]
    kwargs = {name: made[name] for name in KWARGS if name in made}
    attributes = {"synthesis.tri_plane_decoder.b4.conv1": {"conv_clamp": made["conv_clamp"]}}
    path = folder / f"{case.path.stem}.pkl"
    params = {name[7:]: tensor for name, tensor in case.tensors.items() if name.startswith("params.")}
    exact = {name: tensor if tensor.dtype == torch.float64 else tensor.float() for name, tensor in params.items()}
    path.write_bytes(official_bytes(family, kwargs, exact, attributes=attributes, config=case.info["cfg"]))
    return load_generator(path, device="cpu")


def inputs(case: Case) -> dict[str, Tensor]:
    return {name[3:]: tensor.float() for name, tensor in case.tensors.items() if name.startswith("in.")}


def check_latents(case: Case, generator: PlaneGenerator, report: Report) -> Tensor:
    """Check the mapping network with every recorded truncation."""
    given = inputs(case)
    arguments = (given["z"], given.get("c"), given.get("camera_angles_cond"))
    ws = generator.map_angles(*arguments)
    report.stored("ws", ws, case)
    report.stored("ws_psi0.7", generator.map_angles(*arguments, 0.7), case)
    report.stored("ws_psi0.5_cut3", generator.map_angles(*arguments, 0.5, 3), case)
    report.stored("ws_mean_camera", generator.map_angles(*arguments[:2]), case)
    return ws


def check_camera(case: Case, camera: Camera, side: int, report: Report) -> None:
    """Check poses and rays."""
    report.stored("c2w", camera.cam2world @ OPENGL, case)
    origins, directions = rays_of(camera, side)
    report.stored("ray_o", origins, case)
    report.stored("ray_d", directions, case)


def rays_of(camera: Camera, side: int) -> tuple[Tensor, Tensor]:
    return camera_rays(camera, side, "corners")


def patches(camera: Camera, scales: Tensor, offsets: Tensor) -> Camera:
    """Cut a patch out of each picture by its lens; offsets are measured from the lower left corner."""
    lens = camera.intrinsics.clone()
    size = scales[:, :, None]
    left = torch.stack([offsets[:, 0], 1 - offsets[:, 1] - scales[:, 1]], -1)
    lens[:, :2, :2] /= size
    lens[:, :2, 2] = (lens[:, :2, 2] - left) / scales
    return Camera(camera.cam2world, lens)


def seen_by(fields, camera: Camera, side: int, *, config=None, **options) -> list[RayOutputs]:
    """Render each field from its camera, to the letter."""
    pixels = pixel_coordinates(side, "corners")
    origins, directions = camera_rays(camera, side, "corners")
    return [
        trace_rays(field, one_origins, one_directions, config, pixels=pixels, **options)
        for field, one_origins, one_directions in zip(fields, origins, directions, strict=True)
    ]


def images(seen: list[RayOutputs]) -> Tensor:
    """Pictures in the network's range, [-1, 1] and not clamped."""
    side = round(len(seen[0].values) ** 0.5)
    return torch.stack([2 * one.values.T.reshape(3, side, side) - 1 for one in seen])


def distances(seen: list[RayOutputs]) -> Tensor:
    side = round(len(seen[0].values) ** 0.5)
    return torch.stack([one.distance.reshape(1, side, side) for one in seen])


def stacked(seen: list[RayOutputs], name: str) -> Tensor:
    return torch.stack([getattr(one.samples, name) for one in seen])


def opaque(seen: list[RayOutputs]) -> Tensor:
    """Where a depth means anything."""
    side = round(len(seen[0].values) ** 0.5)
    return torch.stack([one.opacity.reshape(1, side, side) > 0.01 for one in seen])
