"""EG3D's parts, one by one: mapping networks, cameras, single operations. Sizes come from tensors and notes."""

import math
import re

import torch
import torch.nn.functional as F

from gen3d_tools.cameras.distributions.eg3d import eg3d_angles, eg3d_intrinsics, eg3d_look_at, eg3d_sample_views
from gen3d_tools.cameras.paths import eg3d_video_path
from gen3d_tools.fields.triplane import PLANE_AXES, sample_planes
from gen3d_tools.generators.latents import interpolate_ws
from gen3d_tools.generators.networks.decoder import Decoder
from gen3d_tools.generators.networks.layers import (
    LRELU_GAIN,
    FullyConnected,
    low_pass_filter,
    modulated_conv2d,
    normalize_second_moment,
    upsample_image,
)
from gen3d_tools.generators.networks.stylegan2 import MappingNetwork, truncate
from gen3d_tools.metrics.script_grid import script_points
from gen3d_tools.rendering.rays import pixel_coordinates, rays_through
from gen3d_tools.rendering.volume.compositing import add_background, blend, march_rays
from gen3d_tools.rendering.volume.sampling import (
    box_limits,
    coarse_shares,
    importance_samples,
    inverse_cdf_samples,
    place_on_rays,
)
from tests.parity.cases import Case, Report, noted

NUMBER = r"(-?[\d.]+\d|\d)"
LENS = torch.eye(3)


def check_mapping(case: Case, report: Report) -> None:
    """Check mapping networks alone, with every recorded truncation."""
    renamed = {"c_dim": "label_dim", "embed_features": "embed_dim", "layer_features": "layer_dim"}
    for name, subcase in case.info["subcases"].items():
        options = {renamed.get(key, key): value for key, value in subcase["init_kwargs"].items()}
        num_ws = options.pop("num_ws")
        network = MappingNetwork(**options)
        prefix = f"{name}."
        params = {key.removeprefix(prefix): value for key, value in case.params.items() if key.startswith(prefix)}
        network.load_state_dict(params)
        w = network(case.tensors[f"in.{name}.z"], case.tensors[f"in.{name}.c"])
        for index, call in enumerate(subcase["calls"]):
            ws = truncate(w[:, None].expand(-1, num_ws, -1), network.w_avg, call["psi"], call["cutoff"])
            report.stored(f"{name}.ws_{index}", ws, case)
    report.left_out(case)


def check_parts(case: Case, report: Report) -> None:
    """Check every group of recorded outputs that is known here; others are reported as left out."""
    groups = dict.fromkeys(name.split(".")[1] for name in case.tensors if name.startswith("out."))
    for group in groups:
        check = GROUPS.get(group) or GROUPS.get(re.sub(r"\d+$", "", group))
        if check is None:
            continue
        check(group, case, report)
    report.left_out(case)


def half(case: Case, name: str) -> torch.Tensor:
    return torch.full(case.tensors[name].shape[:-1], 0.5)


def look_at(group, case, report):
    (radius,) = noted(case.info["notes"], group, rf"radius {NUMBER}")
    yaw, pitch = case.tensors["in.lookat.yaw_pitch"].float().T
    poses = eg3d_look_at(yaw[:, None], pitch[:, None], case.tensors["in.lookat.pivots"], radius)
    report.stored("lookat.cam2world", poses, case)


def random_poses(group, case, report):
    note = case.info["notes"][group]
    (seed,) = noted(case.info["notes"], group, r"manual_seed\((\d+)\)")
    radius, batch = noted(case.info["notes"], group, rf"radius {NUMBER}; batch (\d+)")
    spreads = [
        math.pi / 2 if text == "pi/2" else float(text)
        for text in re.search(r"(?:std|half-ranges) ([^/\s]+(?:/2)?) ?/ ?([\d.]+)", note).groups()
    ]
    pivot = re.search(r"pivot \(([^)]*)\)", note)
    target = [float(number) for number in pivot[1].split(",")] if pivot else (0.0, 0.0, 0.0)
    generator = torch.Generator().manual_seed(int(seed))
    angles = eg3d_angles(
        int(batch),
        spread_yaw_rad=spreads[0],
        spread_pitch_v=spreads[1],
        shape="uniform" if "half-ranges" in note else "gaussian",
        generator=generator,
    )
    report.stored(f"{group}.cam2world", eg3d_look_at(*angles, target, radius), case)


def field_of_view(group, case, report):
    report.stored("fov.intrinsics", eg3d_intrinsics(case.tensors["in.fov.degrees"]), case, atol=1e-5)


def _orbit(group, case):
    x, y, z = noted(case.info["notes"], group, rf"pivot \({NUMBER},\s*{NUMBER},\s*{NUMBER}\)")
    (radius,) = noted(case.info["notes"], group, rf"radius {NUMBER}")
    return (x, y, z), radius


def image_script(group, case, report):
    pivot, radius = _orbit(group, case)
    report.stored(f"{group}.cam2world", eg3d_sample_views(pivot, radius, LENS).cam2world, case)
    front = eg3d_look_at([math.pi / 2], math.pi / 2, pivot, radius)
    report.stored(f"{group}.conditioning_cam2world", front, case)


def video_script(group, case, report):
    pivot, radius = _orbit(group, case)
    (frames,) = noted(case.info["notes"], group, r"F=(\d+)")
    path = eg3d_video_path(int(frames), LENS, pivot=pivot, radius=radius)
    report.stored(f"{group}.cam2world", path.cam2world[case.tensors[f"in.{group}.frames"]], case)
    report.stored(f"{group}.conditioning_cam2world", eg3d_look_at([3.14 / 2], 3.14 / 2, pivot, radius), case)


def latent_film(group, case, report):
    (frames,) = noted(case.info["notes"], group, r"(\d+) frames per keyframe")
    report.stored(f"{group}.frames", interpolate_ws(case.tensors[f"in.{group}.keyframes"], int(frames)), case)


def rays(group, case, report):
    resolution = math.isqrt(case.tensors["out.rays.directions"].shape[1])
    found = rays_through(
        case.tensors["in.rays.cam2world"], case.tensors["in.rays.intrinsics"], pixel_coordinates(resolution)
    )
    for name, tensor in zip(("origins", "directions"), found, strict=True):
        report.stored(f"rays.{name}", tensor, case)


def script_grid(group, case, report):
    resolution, side = noted(case.info["notes"], group, rf"N=(\d+), cube length {NUMBER}")
    index = case.tensors.get(f"in.{group}.flat_index")
    report.stored(f"{group}.coords", script_points(int(resolution), side, index), case, atol=1e-6)


def low_pass(group, case, report):
    report.stored("filter", low_pass_filter(torch.float32, torch.device("cpu")), case)


def image_upsampling(group, case, report):
    report.stored("upsample2d.y", upsample_image(case.tensors["in.upsample2d.x"]), case)


def modulated_convolution(group, case, report):
    x, weight, styles, noise, bias = (
        case.tensors[f"in.modconv.{name}"] for name in ("x", "weight", "styles", "noise", "bias")
    )
    side = x.shape[-1]
    up = modulated_conv2d(x, weight, styles, up=2) + noise
    (clamp,) = noted(case.info["notes"], group, rf"clamp {NUMBER}")
    found = {
        "same": modulated_conv2d(x, weight, styles) + noise[:side, :side],
        "up2": up,
        "up2_unfused": up,
        "no_demod_1x1": modulated_conv2d(x, weight[:, :, 1:2, 1:2], styles, demodulate=False),
        "up2_act": (F.leaky_relu(up + bias[:, None, None], 0.2) * LRELU_GAIN).clamp(-clamp, clamp),
    }
    for name, tensor in found.items():
        report.stored(f"modconv.{name}", tensor, case)
    scale_x, scale_styles = noted(case.info["notes"], group, r"x\*(\d+) in float16, styles\*(\d+)")
    half_precision = modulated_conv2d(x * scale_x, weight, styles * scale_styles) + noise[:side, :side]
    report.stored("modconv.same_fp16", half_precision, case, atol=2e-2, rtol=2e-2)


def fully_connected(group, case, report):
    multipliers = {
        "lin": 1.0,
        "lr": noted(case.info["notes"], group, rf"lr: lr_multiplier {NUMBER}")[0],
        "dec": noted(case.info["notes"], group, rf"dec: lr_multiplier {NUMBER}")[0],
    }
    for name, multiplier in multipliers.items():
        x, weight, bias = (case.tensors[f"in.fc.{name}.{part}"] for part in ("x", "weight", "bias"))
        activation = "lrelu" if name == "lr" else "linear"
        layer = FullyConnected(weight.shape[1], weight.shape[0], activation=activation, lr_multiplier=multiplier)
        layer.load_state_dict({"weight": weight, "bias": bias})
        report.stored(f"fc.{name}.y", layer(x), case)


def normalisation(group, case, report):
    report.stored("norm2.y", normalize_second_moment(case.tensors["in.norm2.x"]), case)


def resize(group, case, report):
    for name in [name[4:] for name in case.tensors if name.startswith("out.resize.")]:
        size, antialias = map(int, re.search(r"(\d+)_aa(\d)", name).groups())
        x = case.tensors["in.resize.x"]
        y = F.interpolate(x, (size, size), mode="bilinear", align_corners=False, antialias=bool(antialias))
        report.stored(name, y, case)


def plane_lookup(group, case, report):
    planes, points = case.tensors["in.planes.planes"], case.tensors["in.planes.points"]
    (side,) = noted(case.info["notes"], group, rf"box_warp {NUMBER}")
    for name, axes in (("features", "xy-xz-zx"), ("features_fixed_axes", "xy-xz-zy")):
        found = sample_planes(planes, points, plane_axes=axes, box_side=side, align_corners=False)
        report.stored(f"planes.{name}", found, case)
    projected = points[..., PLANE_AXES["xy-xz-zx"]].movedim(-2, 1)
    report.stored("planes.projected", projected, case)


def decoder(group, case, report):
    prefix = "in.decoder."
    params = {name.removeprefix(prefix): value for name, value in case.tensors.items() if name.startswith(prefix)}
    features = params.pop("features")
    (multiplier,) = noted(case.info["notes"], group, rf"decoder_lr_mul {NUMBER}")
    hidden, outputs = len(params["net.0.bias"]), len(params["net.2.bias"])
    network = Decoder(features.shape[-1], [hidden], outputs - 1, lr_multiplier=multiplier)
    network.load_state_dict(params)
    values, raw = network(features.mean(1))
    report.stored("decoder.rgb", values, case)
    report.stored("decoder.sigma", raw[..., None], case, rtol=1e-5)


def box(group, case, report):
    (side,) = noted(case.info["notes"], "planes", rf"box_warp {NUMBER}")
    near, far = box_limits(case.tensors["in.box.origins"], case.tensors["in.box.directions"], side)
    report.stored("box.near", near, case)
    report.stored("box.far", far, case)


def stratified(group, case, report):
    notes, near, far = case.info["notes"], case.tensors["in.strat.near"], case.tensors["in.strat.far"]
    shares = coarse_shares("outward", half(case, "out.strat.auto"))
    for spacing in ("linear", "disparity"):
        start, end = noted(notes, group, rf"{spacing} {NUMBER}\.\.{NUMBER}")
        limits = (torch.full_like(near[..., 0], limit) for limit in (start, end))
        report.stored(f"strat.{spacing}", place_on_rays(shares, *limits, spacing), case)
    report.stored("strat.auto", place_on_rays(shares, near[..., 0], far[..., 0], "linear"), case)


def _middles(count, shape):
    return ((torch.arange(count) + 0.5) / count).expand(*shape, count)


def importance(group, case, report):
    distances, weights = (case.tensors[f"in.importance.{name}"][..., 0] for name in ("depths", "weights"))
    positions = _middles(case.tensors["out.importance.samples"].shape[-2], distances.shape[:-1])
    report.stored("importance.samples", importance_samples(distances, weights, positions, "smoothed"), case)


def inverse_cdf(group, case, report):
    bins, weights = case.tensors["in.pdf.bins"], case.tensors["in.pdf.weights"]
    positions = _middles(case.tensors["out.pdf.samples"].shape[-1], bins.shape[:-1])
    report.stored("pdf.samples", inverse_cdf_samples(bins[:, : weights.shape[1] + 1], weights, positions), case)


def marching(group, case, report):
    colors, raw, distances = (case.tensors[f"in.march.{name}"] for name in ("colors", "sigma", "depths"))
    raw, distances = raw[..., 0], distances[..., 0]
    marched = march_rays(raw, distances, lambda value: F.softplus(value - 1), marcher="midpoint")
    report.stored("march.weights", marched.ray_weights, case)
    for background, name in (("none", "rgb_white0"), ("white", "rgb_white1")):
        values = add_background(blend(marched.sample_weights, colors), marched.opacity, background)
        report.stored(f"march.{name}", values * 2 - 1, case)
    mean = (marched.sample_weights * distances).sum(-1) / marched.opacity
    mean = mean.nan_to_num(nan=float("inf")).clamp(distances.min(), distances.max())
    report.stored("march.depth", mean, case)


GROUPS = {
    "lookat": look_at,
    "gaussian": random_poses,
    "uniform": random_poses,
    "lookat_random": random_poses,
    "fov": field_of_view,
    "gen_samples": image_script,
    "gen_videos": video_script,
    "interp": latent_film,
    "rays": rays,
    "grid": script_grid,
    "filter": low_pass,
    "upsample2d": image_upsampling,
    "modconv": modulated_convolution,
    "fc": fully_connected,
    "norm2": normalisation,
    "resize": resize,
    "planes": plane_lookup,
    "decoder": decoder,
    "box": box,
    "strat": stratified,
    "importance": importance,
    "pdf": inverse_cdf,
    "march": marching,
}
