"""StyleNeRF generators, whole: from the pickle to the picture, against recorded numbers."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.checkpoints.official import read_official
from gen3d_tools.fields.backdrop import points_beyond_sphere
from gen3d_tools.generators.families.stylenerf import AXES, StyleNerfGenerator, frozen_background
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.rendering.backdrops import behind
from gen3d_tools.rendering.ray_rendering import trace_rays
from gen3d_tools.rendering.rays import camera_rays, pixel_coordinates, rays_through, upper_left
from gen3d_tools.rendering.renderer import render
from gen3d_tools.rendering.volume.compositing import absorb
from tests.parity.cases import Case, Report
from tests.support.official_pickles import official_bytes, persistent

DENSITY = {"atol": 1e-4, "rtol": 1e-5}
FINE = 2e-3  # a flat stretch of the cumulative weights multiplies rounding; samples there carry no weight
TO_OURS = torch.tensor([[0.0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
OPENGL = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))


def load(case: Case, folder: Path, alpha: float | None = None) -> StyleNerfGenerator:
    """Write the pickle of a case, or of one at another stage of its growth, and load it."""
    kwargs = case.info["init_kwargs"]
    params = case.params
    if alpha is not None:
        params = params | {"synthesis.alpha": torch.tensor(float(alpha))}
    given = kwargs["synthesis_kwargs"]
    live = {
        name: persistent(class_name, dict(given.get(table) or {}), "stylenerf")
        for name, class_name, table in (("C", "CameraRay", "camera_kwargs"), ("V", "VolumeRenderer", "renderer_kwargs"))
    }
    path = folder / f"{case.path.stem}-{alpha}.pkl"
    names = {"synthesis": "NeRFSynthesisNetwork", "synthesis.fg_nerf": "NeRFBlock", "synthesis.bg_nerf": "NeRFBlock"}
    path.write_bytes(official_bytes("stylenerf", kwargs, params, attributes={"synthesis": live}, class_names=names))
    return load_generator(path, device="cpu")


def camera_of(cam2world: Tensor, inverse_intrinsics: Tensor) -> Camera:
    """Our camera of StyleNeRF's matrices."""
    lens = torch.eye(3).repeat(len(cam2world), 1, 1)
    focal = 0.5 / inverse_intrinsics[:, 0, 0]
    lens[:, 0, 0], lens[:, 1, 1], lens[:, :2, 2] = focal, focal, 0.5
    return Camera(TO_OURS @ cam2world @ OPENGL, lens)


def in_theirs(points: Tensor) -> Tensor:
    """Points or directions in StyleNeRF's axes; what follows three coordinates stays."""
    return torch.cat([points[..., list(AXES)], points[..., 3:]], -1)


def in_ours(points: Tensor) -> Tensor:
    return torch.stack([points[..., 1], points[..., 2], points[..., 0]], -1)


def with_latents(generator: StyleNerfGenerator, ws: Tensor, z_bg: Tensor | None) -> Tensor:
    """Append the background's own latent to the styles."""
    own = ws.new_zeros(len(ws), generator.own_rows, ws.shape[-1])
    if z_bg is not None and generator.own_rows:
        own.view(len(ws), -1)[:, : z_bg.shape[1]] = z_bg
    return torch.cat([ws, own], 1)


def check_model(case: Case, folder: Path, report: Report) -> None:
    """Check everything that a case of a whole generator holds."""
    given = {name[3:]: tensor for name, tensor in case.tensors.items() if name.startswith("in.")}
    generator = load(case, folder)
    check_round_trip(generator, folder, report)
    styles = sum(generator.style_rows)
    info = case.info

    def mapped(psi: float, cutoff: int | None = None) -> Tensor:
        return generator.map(given["z"], given.get("c"), None, psi, cutoff)[:, :styles]

    report.stored("ws", mapped(1.0), case, atol=1e-5)
    report.stored("ws_trunc", mapped(info["truncation_psi"], info["truncation_cutoff"]), case, atol=1e-5)
    report.stored("ws_psi", mapped(0.5), case, atol=1e-5)
    fields = generator.fields(with_latents(generator, given["ws"], given.get("z_bg")))
    camera = camera_of(given["cam2world"], given["camera_inverse_intrinsics"])
    check_points(case, generator, fields, given, report)
    check_rays(case, generator, fields, camera, given, report)
    check_upsampler(case, fields, camera, report)
    check_paths(case, fields, camera, given, report)
    for name, options in info["variants"].items():
        grown = load(case, folder, options["alpha"]) if "alpha" in options else generator
        check_variant(case, grown, name, options, given, camera, report)
    report.left_out(case)


def check_round_trip(generator: StyleNerfGenerator, folder: Path, report: Report) -> None:
    """Check that a native checkpoint holds the same."""
    generator.save(folder / "native")
    again = load_generator(folder / "native", device="cpu")
    before, after = generator.state_dict(), again.state_dict()
    same = before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    if not same or again.config != generator.config or again.settings != generator.settings:
        report.failures.append("not the same after saving")


def check_points(case, generator, fields, given, report) -> None:
    """Check values, densities and final colours at points, and the density grid."""
    points = in_ours(given["points"])
    answers = [field(one) for field, one in zip(fields, points, strict=True)]
    values = torch.stack([one for one, _ in answers])
    gain = generator.config.density_gain
    report.stored("point_features", 2 * values - 1, case)
    report.stored("point_sigma_raw", torch.stack([raw for _, raw in answers]) / gain, case, **DENSITY)
    density = torch.stack([field.density(one) for field, one in zip(fields, points, strict=True)])
    report.stored("point_density", density / gain, case, **DENSITY)
    if "out.point_rgb" in case.tensors:
        rgb = torch.stack([field.point_colors(one) for field, one in zip(fields, values, strict=True)])
        report.stored("point_rgb", 2 * rgb - 1, case)
    half, count = case.info["grid_half_side"], case.tensors["out.grid.sigma_raw"].shape[0]
    report.close("box_side", torch.tensor(fields[0].box_side / 2), torch.tensor(half), atol=1e-6)
    axis = torch.linspace(-half, half, count)
    grid = in_ours(torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1))
    report.stored("grid.sigma_raw", fields[0].raw_density(grid) / gain, case, **DENSITY)


def rays_of(field, camera, side: int):
    """Rays of the small picture."""
    share = 1.0 if field.super_resolution is None else field.super_resolution.grid_share
    grid = field.render_config.pixel_grid
    origins, directions = camera_rays(upper_left(camera, share), side, grid)
    return SimpleNamespace(origins=origins, directions=directions, pixels=share * pixel_coordinates(side, grid))


def follow(field, rays, index: int, config=None, **options):
    """Render all values along one picture's rays, to the letter."""
    one = (rays.origins[index], rays.directions[index])
    return trace_rays(field, *one, config, pixels=rays.pixels, **options)


def check_rays(case, generator, fields, camera, given, report) -> None:
    """Check rays, samples and weights on the way, and what the rays see."""
    config, side = generator.settings.render_config, generator.config.render_resolution
    rays = rays_of(fields[0], camera, side)
    longer = 1 / (rays.directions * camera.forward[:, None]).sum(-1, keepdim=True)
    report.stored("ray_origin", in_theirs(rays.origins)[:, 0], case, atol=1e-5)
    report.stored("ray_vector", in_theirs(rays.directions * longer), case, atol=1e-5)
    seen = [follow(field, rays, index, keep_samples=True) for index, field in enumerate(fields)]
    subset = given["ray_subset"]
    found = {name: [getattr(one.samples, name) for one in seen] for name in vars(seen[0].samples)}
    steps = {name: torch.stack(rows)[:, subset] for name, rows in found.items() if rows[0] is not None}
    units = generator.config.density_gain if generator.config.density_gain != 1 else None

    def shares(distances: Tensor) -> Tensor:
        return (distances / longer[:, subset] - config.near) / (config.far - config.near)

    def depths(distances: Tensor) -> Tensor:
        return distances / longer[:, subset] if units is None else shares(distances)

    def densities(raw: Tensor) -> Tensor:
        return fields[0].activate(raw) / generator.config.density_gain

    largest = float(case.tensors["out.sub.sigma_coarse"].max())
    report.stored("sub.depth_coarse", depths(steps["coarse_distances"]), case, atol=1e-5)
    report.stored("sub.sigma_coarse", densities(steps["coarse_raw_density"]), case, atol=1e-4 + 1e-5 * largest)
    weights = steps["coarse_weights"] if config.fine_samples else steps["ray_weights"]
    report.stored("sub.weights_coarse", weights, case)
    if config.fine_samples:
        report.stored("sub.u_fine", shares(steps["fine_distances"]), case, atol=FINE)
        report.stored("sub.depth_all", depths(steps["distances"]), case, atol=FINE)
        largest = float(case.tensors["out.sub.sigma_all"].max())
        report.stored("sub.sigma_all", densities(steps["raw_density"]), case, atol=3e-3 * largest)
        report.stored("sub.weights_all", steps["ray_weights"], case)
    before_last = torch.stack([one.transmittance_before_last for one in seen])
    report.stored("sub.final_transmittance", before_last, case)
    if fields[0].backdrop is not None:
        check_background(case, fields, rays, subset, report)
    pictures = torch.stack([one.values.T for one in seen]).unflatten(-1, (side, side)) * 2 - 1
    report.stored("image_nerf", pictures[:, :3], case)
    report.stored("feature_image", pictures[:, 3:], case)


def check_background(case, fields, rays, subset, report) -> None:
    """Check points, densities and weights of the background's layers."""
    found = []
    for index, field in enumerate(fields):
        backdrop = field.backdrop
        radii = backdrop.inverse_radii(rays.origins.device)
        points = points_beyond_sphere(rays.origins[index, subset], rays.directions[index, subset], radii)
        layers = backdrop(rays.origins[index, subset], rays.directions[index, subset], None)
        weights = absorb(layers.density, layers.lengths.expand_as(layers.density))[0]
        found.append((in_theirs(points), field.activate(backdrop.network(points)[1]), weights))
    points, density, weights = (torch.stack(part) for part in zip(*found, strict=True))
    report.stored("sub.bg_points", points, case)
    report.stored("sub.bg_sigma", density, case, **DENSITY)
    report.stored("sub.bg_weights", weights, case)


def check_upsampler(case, fields, camera, report) -> None:
    """Check every block, the picture, and that one call gives the same."""
    upsampler = fields[0].super_resolution
    expected = torch.cat([case.tensors["out.image_nerf"], case.tensors["out.feature_image"]], 1)
    steps = []
    for field, one in zip(fields, expected, strict=True):
        sr = field.super_resolution
        steps.append(sr.stack(one[None, 3:], one[None, :3], sr.ws))
    for index, resolution in enumerate(upsampler.stack.resolutions):
        report.stored(f"b{resolution}.x", torch.cat([one[index][0] for one in steps]), case)
        report.stored(f"b{resolution}.img", torch.cat([one[index][1] for one in steps]), case)
    report.stored("image", 2 * pictures_of(fields, camera) - 1, case)
    frames = [render(field, camera[index], exact=True) for index, field in enumerate(fields)]
    shown = torch.stack([frame.rgb for frame in frames])
    report.close("render", shown, ((case.tensors["out.image"] + 1) / 2).clamp(0, 1))
    raw = torch.stack([frame.raw.rgb for frame in frames])
    report.close("render.raw", raw, ((case.tensors["out.image_nerf"] + 1) / 2).clamp(0, 1))


def pictures_of(fields, camera, config=None, noise_mode="const") -> Tensor:
    """Final pictures, not clamped."""
    made = []
    for index, field in enumerate(fields):
        sr = field.super_resolution
        side = fields[0].render_config and (sr.render_resolution if sr else None)
        rays = rays_of(field, camera, side)
        values = follow(field, rays, index, config).values.T.unflatten(-1, (side, side))
        made.append(replace(sr, noise_mode=noise_mode)(values)[0])
    return torch.stack(made)


def check_paths(case, fields, camera, given, report) -> None:
    """Check the colours of single points, blended along rays through arbitrary pixels."""
    if "out.path_rgb" not in case.tensors:
        return
    found = []
    for index, field in enumerate(fields):
        pixels = given["path_pixels"][index] * torch.tensor([0.5, -0.5]) + 0.5
        origins, directions = rays_through(camera.cam2world[index], camera.intrinsics[index], pixels)
        found.append(trace_rays(field.with_point_colors(), origins, directions, pixels=pixels).values)
    report.stored("path_rgb", 2 * torch.stack(found) - 1, case)


def check_variant(case, generator, name, options, given, camera, report) -> None:
    """Check one variant of the picture."""
    fields = generator.fields(with_latents(generator, given["ws"], given.get("z_bg")))
    config = generator.settings.render_config
    option = str(options.get("render_option", ""))
    if f"out.{name}.cam2world" in case.tensors:
        matrices = (case.tensors[f"out.{name}.{part}"] for part in ("cam2world", "camera_inverse_intrinsics"))
        report.compared |= {f"out.{name}.cam2world", f"out.{name}.camera_inverse_intrinsics"}
        camera = camera_of(*matrices)
    if "theta" in options:
        camera = rolled(camera, options["theta"])
    if option.startswith("steps:"):
        count = int(option.removeprefix("steps:"))
        config = replace(config, coarse_samples=count, fine_samples=count)
    if options.get("disable_hierarchical"):
        config = replace(config, fine_samples=0)
    if options.get("not_render_background"):
        fields = [replace(field, backdrop=None) for field in fields]
        config = replace(config, background="last")
    if option == "freeze_bg":
        fields = [frozen_background(field, demo_camera(generator)) for field in fields]
    atol = max(1e-4, 3 * case.info["observed_spread_variants_max_abs"][name])
    if option.startswith("early"):
        found = EARLY[option](fields, camera, config, generator.config.render_resolution)
        report.stored(f"{name}.image", found, case, atol=max(atol, 1e-3) if option == "early,gradient" else atol)
    elif fields[0].super_resolution is None:
        side = generator.config.start_resolution
        rays = rays_of(fields[0], camera, side)
        seen = [follow(field, rays, index, config).values[:, :3].T for index, field in enumerate(fields)]
        report.stored(f"{name}.image", 2 * torch.stack(seen).unflatten(-1, (side, side)) - 1, case, atol=atol)
    elif options.get("only_render_background"):
        report.stored(f"{name}.image", 2 * backgrounds(fields, camera) - 1, case, atol=atol)
    else:
        pictures = pictures_of(fields, camera, config, noise_mode=options.get("noise_mode", "const"))
        report.stored(f"{name}.image", 2 * pictures - 1, case, atol=atol)


def rolled(camera: Camera, angle: float) -> Camera:
    """Turn the picture: pixel (x, y) shows what was at (x cos - y sin, x sin + y cos), y upwards."""
    turn = torch.eye(4)
    turn[0, 0], turn[0, 1], turn[1, 0], turn[1, 1] = (
        math.cos(angle),
        math.sin(angle),
        -math.sin(angle),
        math.cos(angle),
    )
    return Camera(camera.cam2world @ turn, camera.intrinsics)


def demo_camera(generator: StyleNerfGenerator) -> Camera:
    view = generator.settings.default_view
    pitch = -math.degrees(0.2)
    return Camera.from_spherical(0.0, pitch, view.radius, fov_y_deg=view.fov_y_deg)


def backgrounds(fields, camera) -> Tensor:
    """Pictures of the backgrounds alone."""
    made = []
    for index, field in enumerate(fields):
        sr = field.super_resolution
        rays = rays_of(field, camera, sr.render_resolution)
        seen = behind(field.backdrop, "grey", rays.origins[index], rays.directions[index], rays.pixels)
        made.append(sr(seen.T.unflatten(-1, (sr.render_resolution,) * 2))[0])
    return torch.stack(made)


def positions(fields, camera, config, side: int) -> Tensor:
    """Where the light is stopped on average, in StyleNeRF's axes."""
    found = []
    for index, field in enumerate(fields):
        rays = rays_of(field, camera, side)
        seen = follow(field, rays, index, config)
        points = rays.origins[index] + seen.distance[:, None] * rays.directions[index]
        found.append(in_theirs(points).T.unflatten(-1, (side, side)))
    return torch.stack(found)


def position_normals(fields, camera, config, side: int) -> Tensor:
    """Normals of the surface that the positions form."""
    where = positions(fields, camera, config, side)
    along_rows = where[:, :, :-2, 1:-1] - where[:, :, 2:, 1:-1]
    along_columns = where[:, :, 1:-1, 2:] - where[:, :, 1:-1, :-2]
    unit = [one / (one.norm(dim=1, keepdim=True) + 1e-8) for one in (along_rows, along_columns)]
    crossed = torch.linalg.cross(*unit, dim=1)
    return crossed / (crossed.norm(dim=1, keepdim=True) + 1e-8)


def gradients(fields, camera, config, side: int) -> Tensor:
    """Blended gradients of the raw density, pointing outwards."""
    found = []
    for index, field in enumerate(fields):
        rays = rays_of(field, camera, side)
        steps = follow(field, rays, index, config, keep_samples=True).samples
        points = rays.origins[index][:, None] + steps.distances[..., None] * rays.directions[index][:, None]
        with torch.enable_grad():
            points.requires_grad_()
            (slope,) = torch.autograd.grad(field.raw_density(points).sum(), points)
        blended = (steps.ray_weights[..., None] * slope).sum(1)
        found.append(-F.normalize(in_theirs(blended), dim=-1).T.unflatten(-1, (side, side)))
    return torch.stack(found)


EARLY = {"early": positions, "early,normal": position_normals, "early,gradient": gradients}
"""What a render option that stops early shows."""


def check_snapshot(case: Case, report: Report) -> None:
    """Check an official snapshot end to end: its tensors by name, its settings, its pictures."""
    generator = load_generator(case.path.with_name("tiny_snapshot.pkl"), device="cpu")
    given = {name[3:]: tensor for name, tensor in case.tensors.items() if name.startswith("in.")}
    stored = read_official(case.path.with_name("tiny_snapshot.pkl")).tensors
    if list(stored) != case.info["state_dict_keys"]:
        report.failures.append("the snapshot's tensors have other names, or another order")
    total = sum(tensor.double().sum() for tensor in stored.values())
    report.close("state_sum", total, torch.tensor(case.info["state_sum"], dtype=torch.float64), atol=1e-3)
    ws = generator.map(given["z"], given["c"], None, case.info["truncation_psi"], case.info["truncation_cutoff"])
    report.stored("ws", ws, case, atol=1e-5)
    fields = generator.fields(ws)
    camera = camera_of(given["cam2world"], given["camera_inverse_intrinsics"])
    side = generator.config.render_resolution
    rays = rays_of(fields[0], camera, side)
    seen = torch.stack([follow(field, rays, index).values.T for index, field in enumerate(fields)])
    seen = 2 * seen.unflatten(-1, (side, side)) - 1
    report.stored("image_nerf", seen[:, :3], case)
    report.stored("feature_image", seen[:, 3:], case)
    report.stored("image", 2 * pictures_of(fields, camera) - 1, case)
    answers = [field(in_ours(points)) for field, points in zip(fields, given["points"], strict=True)]
    report.stored("point_features", torch.stack([2 * values - 1 for values, _ in answers]), case)
    report.stored("point_sigma_raw", torch.stack([raw for _, raw in answers]), case, **DENSITY)
    report.left_out(case)
