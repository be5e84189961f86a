"""EpiGRAF generators, whole: from the pickle to the picture, against recorded numbers."""

from dataclasses import replace
from pathlib import Path

import torch

from gen3d_tools.cameras.poses import Pose
from gen3d_tools.fields.backdrop import SphereBackdrop, points_beyond_sphere
from gen3d_tools.rendering.backdrops import behind
from gen3d_tools.rendering.rays import pixel_coordinates
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


def check_model(case: Case, folder: Path, report: Report) -> None:
    """Check everything that a case of a whole generator holds."""
    given = inputs(case)
    generator = load(case, folder, "epigraf")
    side = generator.image_resolution
    ws = check_latents(case, generator, report)
    report.stored("planes", generator.synthesize(ws), case)
    report.stored("planes_nonoise", generator.synthesize(ws[:1], noise_mode="none"), case)
    fields = generator.fields(ws)
    check_points(case, fields, given, report)

    view = generator.settings.default_view
    yaw, pitch, _ = given["camera_angles"].unbind(-1)

    def camera_with(fov_deg):
        return Pose.build(yaw, pitch, fov_deg=fov_deg, radius=view.radius, yaw_zero=generator.yaw_zero).camera()

    camera = camera_with(view.fov_y_deg)
    check_camera(case, camera, side, report)
    seen = seen_by(fields, camera, side, keep_samples=True)
    report.stored("z_coarse", stacked(seen, "coarse_distances"), case)
    report.stored("w_coarse", stacked(seen, "coarse_weights"), case)
    report.stored("z_fine", stacked(seen, "fine_distances"), case)
    report.stored("w_all", stacked(seen, "ray_weights"), case)
    report.stored("final_transmittance", torch.stack([one.transmittance_before_last for one in seen]), case)
    report.stored("image", images(seen), case)
    report.stored("depth", distances(seen), case, atol=DEPTH, where=opaque(seen))
    report.stored("image_fov", images(seen_by(fields, camera_with(given["fov"]), side)), case)
    report.stored("image_chunked", images(seen_by(fields, camera, side, chunk_rays=25)), case)
    report.stored("image_altres", images(seen_by(fields, camera, case.info["alt_resolution"])), case)
    if "patch_scales" in given:
        part = patches(camera, given["patch_scales"], given["patch_offsets"])
        report.stored("image_patch", images(seen_by(fields, part, side)), case)
    check_background(case, fields, camera, side, report)
    report.left_out(case)


def check_points(case, fields, given, report) -> None:
    """Check colours and raw densities at points."""
    directions = given.get("point_dirs", torch.zeros_like(given["coords"]))
    answers = [
        field(points, towards) for field, points, towards in zip(fields, given["coords"], directions, strict=True)
    ]
    expected = case.tensors["out.rgb_sigma_at_coords"]
    report.compared.add("out.rgb_sigma_at_coords")
    report.close("rgb_sigma_at_coords", torch.stack([2 * values - 1 for values, _ in answers]), expected[..., :3])
    report.close("sigma_at_coords", torch.stack([raw for _, raw in answers]), expected[..., 3], **DENSITY)
    raw = torch.stack([field.raw_density(points) for field, points in zip(fields, given["coords"], strict=True)])
    report.stored("densities_at_coords", raw, case, **DENSITY)


def check_background(case, fields, camera, side, report) -> None:
    """Check the backdrop alone, and pictures without it."""
    if fields[0].backdrop is None:
        return
    bare = [replace(field, backdrop=None) for field in fields]
    report.stored("image_ignore_bg", images(seen_by(bare, camera, side)), case)
    origins, directions = rays_of(camera, side)
    pixels = pixel_coordinates(side, "corners")
    background = fields[0].render_config.background
    alone = [
        (2 * behind(field.backdrop, background, *rays, pixels) - 1).T
        for field, *rays in zip(fields, origins, directions, strict=True)
    ]
    report.stored("image_bg_only", torch.stack(alone).reshape(len(fields), 3, side, side), case)
    if not isinstance(fields[0].backdrop, SphereBackdrop):
        return
    radii = fields[0].backdrop.inverse_radii(origins.device)
    points = torch.stack([points_beyond_sphere(*rays, radii) for rays in zip(origins, directions, strict=True)])
    report.stored("bg_points", points, case)
    report.stored("bg_inv_depth", points[..., 3], case)
    answers = [field.backdrop.network(one) for field, one in zip(fields, points, strict=True)]
    raw = torch.stack([torch.cat([2 * values - 1, raw[..., None]], -1) for values, raw in answers])
    report.stored("bg_raw", raw, case, **DENSITY)
