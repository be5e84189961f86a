"""3DGP generators, whole: from the pickle to the picture, against recorded numbers."""

from dataclasses import replace
from pathlib import Path

import torch

from gen3d_tools.cameras.poses import Pose
from gen3d_tools.generators.families.threedgp import ThreeDGPGenerator, script_video_config
from gen3d_tools.metrics.batches import render_rays_cut
from gen3d_tools.rendering.volume.sampling import box_limits, repaired_limits
from tests.parity.cases import Case, Report
from tests.parity.planes.models import (
    DENSITY,
    DEPTH,
    check_camera,
    check_latents,
    distances,
    images,
    inputs,
    load,
    opaque,
    patches,
    rays_of,
    seen_by,
    stacked,
)

NUMBERS = ("angles", "fov", "radius", "look_at")


def pose_named(tensors, prefix: str) -> Pose:
    angles, fov, radius, look_at = (tensors[f"{prefix}_{name}"] for name in NUMBERS)
    return Pose(angles=angles, fov_deg=fov, radius=radius, look_at=look_at)


def check_model(case: Case, folder: Path, report: Report) -> None:
    """Check everything that a case of a whole generator holds."""
    given = inputs(case)
    generator = load(case, folder, "threedgp")
    side = generator.image_resolution
    ws = check_latents(case, generator, report)
    report.stored("planes", generator.synthesize(ws), case)
    report.stored("planes_nonoise", generator.synthesize(ws[:1], noise_mode="none"), case)
    fields = generator.fields(ws)
    check_points(case, fields, given, report)
    if generator.synthesis.camera_adaptor is not None:
        check_camera_generator(case, generator, given, report)

    camera = pose_named(given, "cam").camera()
    check_camera(case, camera, side, report)
    seen = seen_by(fields, camera, side, keep_samples=True)
    check_samples(case, fields, seen, rays_of(camera, side), report)
    report.stored("image", images(seen), case)
    report.stored("depth", distances(seen), case, atol=DEPTH, where=opaque(seen))
    if generator.synthesis.depth_adaptor is not None:
        adapted = generator.adapt_depth(distances(seen))
        report.stored("depth_adapted", adapted, case)
        report.stored("image_concat_depth", torch.cat([images(seen), adapted], 1), case)
    report.stored("image_chunked", images(seen_by(fields, camera, side, chunk_rays=9)), case)
    report.stored("image_altres", images(seen_by(fields, camera, case.info["alt_resolution"])), case)
    if "patch_scales" in given:
        part = patches(camera, given["patch_scales"], given["patch_offsets"])
        report.stored("image_patch", images(seen_by(fields, part, side)), case)
    check_options(case, fields, camera, side, report)
    report.left_out(case)


def check_points(case, fields, given, report) -> None:
    """Check colours and raw densities at points."""
    answers = [field(points) for field, points in zip(fields, given["coords"], strict=True)]
    values = torch.stack([values for values, _ in answers])
    raw = torch.stack([raw for _, raw in answers])
    report.stored("rgb_at_coords", values if fields[0].render_config.marcher == "midpoint" else 2 * values - 1, case)
    report.stored("sigma_at_coords", raw, case, **DENSITY)
    report.stored("densities_at_coords", raw, case, **DENSITY)


def check_camera_generator(case: Case, generator: ThreeDGPGenerator, given, report: Report) -> None:
    """Check the camera generator step by step."""
    adaptor = generator.synthesis.camera_adaptor
    prior, z, onehot = pose_named(given, "ca_prior"), given["ca_z"], given.get("ca_c")
    normalized = adaptor.normalize(prior.parameters)
    raw = adaptor.adapt(normalized, z, onehot)
    posterior = generator.posterior_poses(prior, z, onehot)
    for stage, found in (("norm", normalized), ("raw", raw), ("post", posterior.parameters)):
        pose = Pose.from_parameters(found)
        for name, numbers in zip(NUMBERS, (pose.angles, pose.fov_deg, pose.radius, pose.look_at), strict=True):
            report.stored(f"ca_{stage}_{name}", numbers, case)
    report.stored("ca_post_mean", posterior.mean().parameters, case)


def check_samples(case, fields, seen, rays, report) -> None:
    """Check where rays meet the box, where their samples lie, and what these weigh."""
    origins, directions = rays
    config, box_side = fields[0].render_config, fields[0].box_side
    near, far = box_limits(origins, directions, box_side)
    report.stored("box_near", near, case)
    report.stored("box_far", far, case)
    if config.near == "box":
        limits = [repaired_limits(*pair, config.missed_rays) for pair in zip(near, far, strict=True)]
        near, far = (torch.stack(ends) for ends in zip(*limits, strict=True))
    else:
        near, far = torch.full_like(near, config.near), torch.full_like(far, config.far)

    def shares(name):
        return (stacked(seen, name) - near[..., None]) / (far - near)[..., None]

    report.stored("s_coarse", shares("coarse_distances"), case)
    report.stored("s_fine", shares("fine_distances"), case)
    report.stored("w_coarse", stacked(seen, "coarse_weights"), case)
    report.stored("t_all", stacked(seen, "distances"), case)
    report.stored("w_all", stacked(seen, "ray_weights"), case)
    report.stored("final_transmittance", torch.stack([one.transmittance for one in seen]), case)


def check_options(case, fields, camera, side, report) -> None:
    """Check the renderer's options: thin densities cut off, another density bias, the video script's rays."""
    if "out.depth_cutq" in case.tensors:
        cut = render_rays_cut(fields, *rays_of(camera, side), cut_quantile=0.5)
        report.stored("image_cutq", images(cut), case)
        report.stored("depth_cutq", distances(cut), case, atol=DEPTH, where=opaque(cut))
    if "out.image_density_bias" in case.tensors:
        biased = [replace(field, density_shift=-1.0) for field in fields]
        report.stored("image_density_bias", images(seen_by(biased, camera, side)), case)
    if "out.image_far_steps2" in case.tensors:
        config = script_video_config(fields[0].render_config)
        far = seen_by(fields, camera, side, config=config)
        report.stored("image_far_steps2", images(far), case)
        report.stored("depth_far_steps2", distances(far), case, atol=DEPTH, where=opaque(far))
