"""EG3D generators, whole: from the pickle to the picture, against recorded numbers."""

import dataclasses
import re
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.metrics.batches import render_rays_together
from gen3d_tools.metrics.script_grid import script_points, script_volume
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.renderer import render
from gen3d_tools.rendering.volume.outputs import RaySamples
from gen3d_tools.rendering.volume.sampling import box_limits
from tests.parity.cases import Case, Report, cut
from tests.support.official_pickles import official_bytes

DENSITY = {"atol": 1e-4, "rtol": 1e-5}
DEPTH = 2e-4


def load(case: Case, folder: Path, variant: dict) -> Generator:
    """Write the pickle of a case, or of one whose live settings were changed, and load it."""
    kwargs = case.info["init_kwargs"]
    rendering = kwargs["rendering_kwargs"] | variant.get("rendering_kwargs_update", {})
    side = variant.get("neural_rendering_resolution", case.info["neural_rendering_resolution"])
    attributes = {"": {"rendering_kwargs": rendering, "neural_rendering_resolution": side}}
    if "plane_axes" in case.info:
        attributes["renderer"] = {"plane_axes": torch.tensor(case.info["plane_axes"]).float()}
    path = folder / f"{case.path.stem}-{variant.get('name', 'main')}.pkl"
    path.write_bytes(official_bytes("eg3d", kwargs, case.params, attributes=attributes))
    return load_generator(path, device="cpu")


def check_model(case: Case, folder: Path, report: Report) -> None:
    """Check everything that a case of a whole generator holds."""
    inputs = {name[3:]: tensor for name, tensor in case.tensors.items() if name.startswith("in.")}
    generator = load(case, folder, {})
    check_round_trip(case, generator, folder, report)
    ws = generator.map(inputs["z"].float(), camera_cond=inputs.get("c_cond"))
    report.stored("ws", ws, case)
    psi, cutoff = case.info.get("truncation_psi", 1.0), case.info.get("truncation_cutoff")
    ws = generator.map(inputs["z"].float(), None, inputs.get("c_cond"), psi, cutoff)
    report.stored("ws_trunc", ws, case)
    planes = generator.planes(ws, noise_mode=case.info.get("noise_mode", "const"))
    report.stored("planes", planes, case)
    report.stored("planes_mean", planes.mean((-2, -1)), case)
    report.stored("planes_std", planes.std((-2, -1)), case)
    fields = [generator.field(one) for one in planes]
    points = inputs["points"].expand(len(ws), -1, -1)
    evaluated = [field(one) for field, one in zip(fields, points, strict=True)]
    report.stored("points_rgb", torch.stack([values for values, _ in evaluated]), case)
    report.stored("points_sigma", torch.stack([raw for _, raw in evaluated])[..., None], case, **DENSITY)
    if "shape" in case.info:
        check_shape(case, fields[0], report)
    check_view(case, generator, ws, {}, inputs["c_cam"], report)
    for variant in case.info.get("variants", []):
        camera = case.tensors[variant["c_cam"]] if "c_cam" in variant else inputs["c_cam"]
        check_view(case, load(case, folder, variant), ws, variant, camera, report)
    report.left_out(case)


def check_round_trip(case: Case, generator: Generator, folder: Path, report: Report) -> None:
    """Check that a native checkpoint holds the pickle's tensors bit for bit, all but the constant filter."""
    generator.save(folder / "native")
    again = load_generator(folder / "native", device="cpu")
    stored = again.state_dict()
    changed = [name for name, tensor in stored.items() if not torch.equal(tensor, case.params[name])]
    lost = [name for name in case.params if name not in stored and not name.endswith("resample_filter")]
    if changed or lost or again.config != generator.config or again.settings != generator.settings:
        report.failures.append(f"not the same after saving: changed {changed}, lost {lost}, or the settings")


def check_shape(case: Case, field, report: Report) -> None:
    """Check the density grid of the image script."""
    resolution, side = case.info["shape"]["shape_res"], case.info["shape"]["cube_length"]
    points = script_points(resolution, side)
    raw = field.raw_density(points)
    report.stored("shape.sample_coords", points, case)
    report.stored("shape.sigma_raw", raw, case, **DENSITY)
    report.stored("shape.volume_padded", script_volume(raw, resolution), case, **DENSITY)


def check_view(case: Case, generator: Generator, ws: Tensor, variant: dict, label: Tensor, report: Report) -> None:
    """Check one rendering: rays, steps on the way, features, pictures before and after the super-resolution."""
    prefix = f"{variant['name']}." if variant else ""
    seed = re.search(r"manual_seed\((\d+)\)", variant.get("rng", ""))
    random = torch.Generator().manual_seed(int(seed[1])) if seed else None
    noise_mode = variant.get("noise_mode", case.info.get("noise_mode", "const"))
    planes = generator.planes(ws, noise_mode=noise_mode, generator=random)
    fields = [generator.field(one) for one in planes]
    camera, side = Camera.from_eg3d_label(label), generator.config.render_resolution
    origins, directions = camera_rays(camera, side)
    report.stored(f"{prefix}ray_origins", origins[:, 0], case)
    report.stored(f"{prefix}ray_directions", directions, case)
    if not prefix:
        near, far = box_limits(origins, directions, generator.config.box_side)
        report.stored("ray_limit_near", near, case)
        report.stored("ray_limit_far", far, case)
    seen = render_rays_together(fields, origins, directions, generator=random, keep_samples=True)

    def picture(name: str) -> Tensor:
        flat = torch.stack([getattr(one, name) for one in seen])
        return rearrange(flat.reshape(*flat.shape[:2], -1), "b (y x) c -> b c y x", y=side)

    features, opacity = picture("values") * 2 - 1, picture("opacity")
    report.stored(f"{prefix}feature_image", features, case)
    report.stored(f"{prefix}image_raw_before_sr", features[:, :3], case)
    report.stored(f"{prefix}weights_sum", opacity, case)
    report.stored(f"{prefix}image_depth", picture("distance"), case, atol=DEPTH, where=opacity > 0.01)
    check_steps(case, prefix, fields, seen, report, noisy=random is not None)
    mode = generator.config.super_resolution_noise
    image, raw = generator.superresolution(features, ws[:, -1], noise_mode=mode, generator=random)
    report.stored(f"{prefix}image_raw", raw, case)
    report.stored(f"{prefix}image", image, case)
    if random is None and generator.settings.render_config.near != "box":
        check_render(case, prefix, generator, ws, camera, report)


def check_steps(case: Case, prefix: str, fields: list, seen: list, report: Report, *, noisy: bool) -> None:
    """Check samples and weights of some rays, and densities at the recorded samples.

    Not at our own: there the last digit of a ray's direction, times a density that is noise, is more than 1e-4.
    """
    recorded = case.tensors.get(f"out.{prefix}sub.depths_coarse")
    if recorded is None:
        return
    subset = case.tensors["in.ray_subset"]
    for variant in case.info.get("variants", []):
        if prefix == f"{variant['name']}.":
            first, last, *step = map(int, re.findall(r"\d+", variant["ray_subset"]))
            subset = torch.arange(first, last, *step)
    steps = {
        field.name: torch.stack([getattr(one.samples, field.name)[subset] for one in seen])
        for field in dataclasses.fields(RaySamples)
        if getattr(seen[0].samples, field.name) is not None
    }
    fine = "fine_distances" in steps
    pairs = {"depths_coarse": "coarse_distances", "depths_fine": "fine_distances", "depths_all": "distances"}
    if fine:
        pairs |= {"weights_coarse": "coarse_weights", "weights_all": "ray_weights"}
    else:
        pairs |= {"weights_coarse": "ray_weights"}
    for name, ours in pairs.items():
        if ours in steps:
            report.stored(f"{prefix}sub.{name}", steps[ours], case)
    if noisy:  # densities carry the noise of their own sample: compare what was drawn, at our own distances
        report.stored(f"{prefix}sub.sigma_coarse", steps["coarse_raw_density"], case, atol=5e-3)
        report.stored(f"{prefix}sub.sigma_all", steps["raw_density"], case, atol=5e-3)
        return
    origins = case.tensors[f"out.{prefix}ray_origins"][:, None, None]
    directions = case.tensors[f"out.{prefix}ray_directions"][:, subset, None]
    for name in ("coarse", "all"):
        distances = case.tensors.get(f"out.{prefix}sub.depths_{name}")
        if distances is not None:
            points = origins + distances[..., None] * directions
            raw = torch.stack([field.raw_density(one) for field, one in zip(fields, points, strict=True)])
            report.stored(f"{prefix}sub.sigma_{name}", raw, case, **DENSITY)


def check_render(case: Case, prefix: str, generator: Generator, ws: Tensor, camera: Camera, report: Report) -> None:
    """Check that one call gives the same: fields of latents, rendered one by one."""
    frames = [render(field, camera[index], exact=True) for index, field in enumerate(generator.fields(ws))]
    rgb = torch.stack([frame.rgb for frame in frames])
    for part in ("", "_strided", "_crop"):
        expected = case.tensors.get(f"out.{prefix}image{part}")
        if expected is not None:
            found = cut(rgb, case.info["notes"][f"{prefix}image"][part[1:]]) if part else rgb
            report.close(f"{prefix}render{part}", found, ((expected + 1) / 2).clamp(0, 1))
    raw = case.tensors[f"out.{prefix}image_raw"]
    report.close(f"{prefix}render.raw", torch.stack([frame.raw.rgb for frame in frames]), ((raw + 1) / 2).clamp(0, 1))
