"""StyleNeRF's scripts and single operations, against recorded numbers."""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.distributions.stylenerf import CameraRanges, stylenerf_camera
from gen3d_tools.cameras.paths import PATHS
from gen3d_tools.fields.backdrop import points_beyond_sphere
from gen3d_tools.fields.mlp import FrequencyEncoding
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.generators.latents import free_latents
from gen3d_tools.generators.networks.layers import upsample_image
from gen3d_tools.generators.networks.stylenerf.enlarging import blur
from gen3d_tools.generators.networks.stylenerf.upsampler import LayerStyle, UpsampleLayer
from gen3d_tools.rendering.rays import camera_rays, pixel_coordinates
from gen3d_tools.rendering.volume.compositing import march_rays
from gen3d_tools.rendering.volume.sampling import coarse_samples, inverse_cdf_samples
from tests.parity.cases import Case, Report
from tests.parity.stylenerf.models import OPENGL, TO_OURS, in_ours, in_theirs

FFHQ = CameraRanges()
UNIFORM = replace(FFHQ, gaussian=False, radius=(0.9, 1.3))
NOT_ANGULAR = replace(FFHQ, gaussian=False, angular=False, u=(0.1, 0.4), v=(0.2, 0.45))
EXACT = 1e-5
# Not in any published model, and refused by name: depths and points that are warped.
REFUSED = ("depth.LogWarp", "warp.InverseWarp", "warp.LogWarp", "warp.None")


def check_parts(case: Case, report: Report) -> None:
    """Check everything that the scripts' case holds."""
    check_cameras(case, report)
    check_trajectories(case, report)
    check_pixels(case, report)
    check_sampling(case, report)
    check_layers(case, report)
    report.compared |= {f"out.{name}" for name in REFUSED}
    report.left_out(case)


def theirs(camera: Camera) -> Tensor:
    """Camera-to-world matrices in StyleNeRF's axes."""
    return TO_OURS.T @ camera.cam2world @ OPENGL


def inverse_intrinsics(camera: Camera) -> Tensor:
    focal = 2 * camera.intrinsics[..., 0, 0]
    return torch.diag_embed(torch.stack([1 / focal, 1 / focal, torch.ones_like(focal), torch.ones_like(focal)], -1))


def check_cameras(case: Case, report: Report) -> None:
    """Check chosen and drawn cameras."""
    given = case.tensors
    for name, ranges in (("gaussian", FFHQ), ("uniform", UNIFORM), ("nonangular", NOT_ANGULAR)):
        ranges = replace(ranges, radius=(1.0, 1.0)) if name == "gaussian" else ranges
        count = len(given[f"out.sample.{name}.mode"])
        camera, shares = ranges.draw(count, np.random.RandomState(5), torch.Generator().manual_seed(5))
        report.stored(f"sample.{name}.cam2world", theirs(camera), case, atol=EXACT)
        report.stored(f"sample.{name}.mode", shares, case, atol=EXACT)
    report.stored("inverse_intrinsics_fov12", inverse_intrinsics(stylenerf_camera([0.0], 1.0)), case, atol=EXACT)
    modes = given["in.linear_modes"]
    for name, ranges in (("ffhq", FFHQ), ("uniform", UNIFORM), ("nonangular", NOT_ANGULAR)):
        report.stored(f"linear.{name}", theirs(ranges.linear(modes)), case, atol=EXACT)
    scaled = torch.cat([modes, torch.full_like(modes[:, :1], 1.2)], 1)
    report.stored("linear.radius_scale_1.2", theirs(UNIFORM.linear(scaled)), case, atol=EXACT)
    numbers = given["in.tensor_modes"]
    report.stored("tensor.gaussian", theirs(FFHQ.standard(numbers)), case, atol=EXACT)
    report.stored("tensor.force_uniform", theirs(FFHQ.standard(numbers, uniform=True)), case, atol=EXACT)
    pitch, yaw, fov = given["in.demo.pitch_yaw_fov"].T
    demo = stylenerf_camera(0.5 * yaw, math.pi / 2 + 0.3 * pitch, fov_deg=fov)
    report.stored("demo.cam2world", theirs(demo), case, atol=EXACT)
    report.stored("demo.inverse_intrinsics", inverse_intrinsics(demo), case, atol=EXACT)


def check_trajectories(case: Case, report: Report) -> None:
    """Check the scripts' films, which are paths by name."""
    start = stylenerf_camera(0.2, 1.4)
    chosen = case.tensors["in.rotation3.frames"].long()
    report.stored(
        "rotation3.cam2world", theirs(PATHS["stylenerf_rotation_camera3"](36, start))[chosen], case, atol=EXACT
    )
    report.stored("rotation_camera.cam2world", theirs(PATHS["stylenerf_rotation_camera"](8, start)), case, atol=EXACT)


def check_pixels(case: Case, report: Report) -> None:
    """Check pixel grids, y upwards, and rays."""

    def grid(side: int, kind: str = "centers", share: float = 1.0) -> Tensor:
        return (share * pixel_coordinates(side, kind) * 2 - 1) * torch.tensor([1.0, -1.0])

    report.stored("pixels.centre8", grid(8)[None], case, atol=EXACT)
    report.stored("pixels.corner8of32", grid(8, "corners", 7 * 32 / (8 * 31))[None], case, atol=EXACT)
    report.stored("pixels.corner16of32", grid(16, "corners", 15 * 32 / (16 * 31))[None], case, atol=EXACT)
    x, y = grid(4).T
    cos, sin = math.cos(0.3), math.sin(0.3)
    report.stored("pixels.roll", torch.stack([x * cos - y * sin, x * sin + y * cos], -1)[None], case, atol=EXACT)
    pitch, yaw, fov = case.tensors["in.demo.pitch_yaw_fov"][1:2].T  # the camera that the rays were recorded with
    camera = stylenerf_camera(0.5 * yaw, math.pi / 2 + 0.3 * pitch, fov_deg=fov)
    origins, directions = camera_rays(camera, 8)
    longer = 1 / (directions * camera.forward[:, None]).sum(-1, keepdim=True)
    report.stored("rays.origin", in_theirs(origins)[:, 0], case, atol=EXACT)
    report.stored("rays.vector", in_theirs(directions * longer), case, atol=EXACT)


def check_sampling(case: Case, report: Report) -> None:
    """Check encodings, the sphere, importance samples, blending."""
    given = case.tensors
    points = given["in.posenc"]
    report.stored("posenc4", FrequencyEncoding((0, 1, 2), 4)(points), case, atol=EXACT)
    report.stored("posenc2_pos", FrequencyEncoding((0, 1, 2), 2, append_points=True)(points), case, atol=EXACT)
    towards = torch.nn.functional.normalize(given["in.invsphere.direction"], dim=-1)
    beyond = points_beyond_sphere(in_ours(given["in.invsphere.origin"]), in_ours(towards), given["in.invsphere.depth"])
    report.stored("invsphere.points", in_theirs(beyond).transpose(0, 1), case, atol=EXACT)
    positions = torch.linspace(0, 1, 12).expand(4, -1)
    report.stored("pdf.det12", inverse_cdf_samples(given["in.pdf.bins"], given["in.pdf.weights"], positions), case)
    for name, spacing in (("None", "linear"), ("InverseWarp", "disparity")):
        config = RenderConfig(near=0.5, far=6.0, spacing=spacing, jitter="ends", coarse_samples=5, fine_samples=0)
        placed, _ = coarse_samples(config, torch.zeros(1, 5), torch.tensor([0.5]), torch.tensor([6.0]))
        report.stored(f"depth.{name}", placed[0], case, atol=EXACT)
    lengths = given["in.composite.ray"].norm(dim=-1, keepdim=True)
    for name, closed in (("open", False), ("closed", True)):
        marched = march_rays(
            given["in.composite.sigma"],
            given["in.composite.depth"] * lengths,
            torch.relu,
            marcher="classical",
            last_takes_rest=closed,
        )
        report.stored(f"composite.{name}.weights", marched.sample_weights, case, atol=EXACT)
        report.stored(f"composite.{name}.transmittance", marched.transmittance_before_last, case, atol=EXACT)
    own = torch.randn  # the recorded draw is of a batch of three; one of a batch of one is checked by its own tests
    random = torch.Generator().manual_seed(9)
    drawn = [own(3, 6, generator=random) * 0.65 for _ in range(4)]
    report.stored("latent_codes.shape_bg", drawn[1], case, atol=EXACT)
    report.stored("latent_codes.app_bg", drawn[3], case, atol=EXACT)
    report.close("free_latents", free_latents(9, 0, 6, temperature=0.65)[1], _batch_of_one(9, 6))


def _batch_of_one(seed: int, size: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(1, size, generator=random) for _ in range(2)][1][0] * 0.65


def check_layers(case: Case, report: Report) -> None:
    """Check the low-pass filter and every way of enlarging."""
    given = case.tensors
    report.stored("fir.same", blur(given["in.fir.x"]), case, atol=EXACT)
    report.stored("fir.up2", upsample_image(given["in.fir.x"]), case, atol=EXACT)
    for name in (name.removeprefix("in.").removesuffix(".weight") for name in given):
        if not name.startswith("layer.") or f"out.{name}" not in given:
            continue
        _, mode, kernel = name.split(".")
        style = LayerStyle(
            w_dim=6, kernel_size=int(kernel[1:]), mode=mode, use_noise=True, conv_clamp=None, normalised=True
        )
        layer = UpsampleLayer(4, 8, style, resolution=10, up=2)
        prefix = f"in.{name}."
        state = {key.removeprefix(prefix): value.float() for key, value in given.items() if key.startswith(prefix)}
        layer.load_state_dict({key: value for key, value in state.items() if "resample_filter" not in key})
        x, w = given["in.layer.x"], given["in.layer.w"][0]
        report.stored(name, layer(x, w), case, atol=EXACT)
        report.stored(f"{name}.skip_up", layer(x, w, per_point=True), case, atol=EXACT)
