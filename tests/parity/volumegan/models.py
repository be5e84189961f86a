"""VolumeGAN generators, whole: from the snapshot to the picture, against recorded numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.poses import Pose
from gen3d_tools.fields.volume import VolumeField, sample_volume
from gen3d_tools.generators.families.volumegan import VolumeGANGenerator
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.official.volumegan import from_arguments
from gen3d_tools.metrics.script_grid import script_points
from gen3d_tools.rendering.ray_rendering import trace_rays
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.renderer import render
from gen3d_tools.rendering.volume.outputs import RayOutputs
from tests.parity.cases import Case, Report
from tests.parity.volumegan.draws import drawn_angles, draws_of_rays
from tests.support.official_archives import archive_bytes, snapshot

EXACT, VALUES, DENSITY, DENSITY_ALONG = {"atol": 1e-5}, {"atol": 5e-5}, {"atol": 1e-3}, {"atol": 5e-2}
WEIGHTS, FINE = {"atol": 5e-4}, {"atol": 1e-3}
TRUNCATED = {"atol": 2e-4}
OPENGL = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))


def load(case: Case, folder: Path) -> VolumeGANGenerator:
    """Write the snapshot of a case and load it."""
    path = folder / f"{case.path.stem}.pth"
    path.write_bytes(archive_bytes(snapshot(case.info["init_kwargs"], case.params)))
    return load_generator(path, device="cpu")


@contextmanager
def overridden(generator: VolumeGANGenerator, case: Case, overrides: dict) -> Iterator[None]:
    """Render with other settings of sampling and cameras for a while, as the overrides of a call do there."""
    kwargs, usual = case.info["init_kwargs"], generator.settings
    unknown = set(overrides) - {*kwargs["ps_cfg"], "camera_dist", "perturb_mode"}
    assert not unknown, f"no check applies {', '.join(sorted(unknown))}"
    _, generator.settings = from_arguments({**kwargs, "ps_cfg": {**kwargs["ps_cfg"], **overrides}})
    yield
    generator.settings = usual


def camera_at(generator: VolumeGANGenerator, yaw: Tensor, pitch: Tensor) -> Camera:
    view = generator.settings.default_view
    return Pose.build(yaw, pitch, fov_deg=view.fov_y_deg, radius=view.radius, yaw_zero="x").camera()


def check_model(case: Case, folder: Path, report: Report) -> None:
    """Check everything that a case of a whole generator holds."""
    generator = load(case, folder)
    given = {name[3:]: tensor.float() for name, tensor in case.tensors.items() if name.startswith("in.")}
    check_round_trip(case, generator, folder, report)
    truncated = check_latents(case, generator, given, report)
    with overridden(generator, case, case.info["v_rng"]["ps_kwargs"]):
        check_random(case, generator, given, truncated, report)
    with overridden(generator, case, case.info["ps_overrides"]):
        check_scenes(case, generator, given, truncated, report)
    report.left_out(case)


def check_scenes(case: Case, generator: VolumeGANGenerator, given: dict, truncated: Tensor, report: Report) -> None:
    """Check fields, rays and pictures of the recorded latents."""
    ws = given["ws"]
    fields = generator.fields(ws)
    report.stored("volume", torch.stack([field.volume for field in fields]), case, **VALUES)
    check_points(case, fields, given, report)
    camera = camera_at(generator, given["yaw"], given["pitch"])
    check_rays(case, generator, fields, camera, given, report)
    check_pictures(case, generator, fields, ws, camera, report)
    again = [render(field, camera[i], exact=True) for i, field in enumerate(generator.fields(truncated))]
    expected = ((case.tensors["out.image_trunc"] + 1) / 2).clamp(0, 1)
    report.compared.add("out.image_trunc")
    report.close("image_trunc", torch.stack([frame.rgb for frame in again]), expected, **TRUNCATED)
    if "grid" in case.info:
        n, side = case.info["grid"]["n"], case.info["grid"]["len"]
        points = script_points(n, side)
        report.stored("grid.coords", points, case, **EXACT)
        [field] = generator.fields(case.tensors["out.ws"][:1])
        report.stored("grid.sigma", field.raw_density(points).reshape(n, n, n), case, **DENSITY)


def check_round_trip(case: Case, generator: VolumeGANGenerator, folder: Path, report: Report) -> None:
    """Check that a native checkpoint holds the snapshot's tensors bit for bit, all but its constants."""
    generator.save(folder / "native")
    again = load_generator(folder / "native", device="cpu")
    stored = again.state_dict()
    changed = [name for name, tensor in stored.items() if not torch.equal(tensor, case.params[name])]
    lost = [name for name in case.params if name not in stored and not name.endswith(("filter", "lod"))]
    if changed or lost or again.config != generator.config or again.settings != generator.settings:
        report.failures.append(f"not the same after saving: changed {changed}, lost {lost}, or the settings")


def check_latents(case: Case, generator: VolumeGANGenerator, given: dict, report: Report) -> Tensor:
    ws = generator.map(given["z"], given.get("label"))
    w = ws[:, 0] if generator.config.shared_w else ws.flatten(1)
    report.stored("w", w, case, **EXACT)
    report.stored("ws", ws, case, **EXACT)
    psi, rows = case.info["trunc_psi"], case.info["trunc_layers"]
    truncated = generator.map(given["z"], given.get("label"), None, psi, rows or 0)  # None is off there
    report.stored("ws_trunc", truncated, case, **EXACT)
    return truncated


def check_points(case: Case, fields: list[VolumeField], given: dict, report: Report) -> None:
    points = given["points"]
    looked_up = [sample_volume(field.volume, one, field.bounds) for field, one in zip(fields, points, strict=True)]
    report.stored("points_feature", torch.stack(looked_up), case, **VALUES)
    report.stored("points_encoding", torch.stack([fields[0].encoding(one) for one in points]), case, **EXACT)
    answers = [field(one) for field, one in zip(fields, points, strict=True)]
    first = fields[0].super_resolution.first_feature
    report.stored("points_values", torch.stack([values[:, first:] * 2 - 1 for values, _ in answers]), case, **VALUES)
    raw = torch.stack([field.raw_density(one) for field, one in zip(fields, points, strict=True)])
    report.stored("points_sigma", raw, case, **DENSITY)
    report.close("points_sigma of the values", torch.stack([raw for _, raw in answers]), raw)


def check_rays(case: Case, generator: VolumeGANGenerator, fields, camera: Camera, given: dict, report: Report) -> None:
    """Check cameras and rays, and the steps along some of them."""
    side = generator.config.render_resolution
    report.stored("cam_pos", camera.position, case, **EXACT)
    report.stored("cam2world_opengl", camera.cam2world @ OPENGL, case, **EXACT)
    origins, directions = camera_rays(camera, side, "corners")
    report.stored("ray_directions", directions, case, **EXACT)
    seen = [trace_rays(field, o, d, keep_samples=True) for field, o, d in zip(fields, origins, directions, strict=True)]
    subset = given["ray_subset"].long() if "ray_subset" in given else torch.arange(side**2)

    def steps(name: str) -> Tensor:
        return torch.stack([getattr(one.samples, name)[subset] for one in seen])

    report.stored("distances_coarse", steps("coarse_distances"), case, **EXACT)
    report.stored("sigma_coarse", steps("coarse_raw_density"), case, **DENSITY)
    report.stored("weights_coarse", steps("coarse_weights"), case, atol=1e-4)
    report.stored("distances_fine", steps("fine_distances"), case, **FINE)
    report.stored("distances_all", steps("distances"), case, **FINE)
    report.stored("sigma_all", steps("raw_density"), case, **DENSITY_ALONG)
    report.stored("weights_all", steps("ray_weights"), case, **WEIGHTS)
    report.stored("feature_map", feature_maps(fields, seen, side), case)
    report.stored("distance", torch.stack([one.distance.reshape(1, side, side) for one in seen]), case)


def feature_maps(fields: list[VolumeField], seen: list[RayOutputs], side: int) -> Tensor:
    """Blended features in the network's range."""
    first = fields[0].super_resolution.first_feature
    return torch.stack([(one.values[:, first:] * 2 - 1).T.reshape(-1, side, side) for one in seen])


def check_pictures(case: Case, generator: VolumeGANGenerator, fields, ws: Tensor, camera: Camera, report) -> None:
    """Check pictures as users get them, and the 2-D network alone on the recorded features."""
    frames = [render(field, camera[i], exact=True) for i, field in enumerate(fields)]
    expected = case.tensors["out.image"]
    report.close("render", torch.stack([one.rgb for one in frames]), ((expected + 1) / 2).clamp(0, 1))
    features, rows = case.tensors["out.feature_map"], ws[:, generator.config.point_layers :]
    network = generator.synthesis
    report.stored("image", network(features, rows), case, atol=2e-5)
    report.stored("image_noise_none", network(features, rows, noise_mode="none"), case, atol=2e-5)
    random = torch.Generator().manual_seed(77)
    drawn = network(features, rows, noise_mode="random", generator=random)
    report.stored("image_noise_random_seed77", drawn, case, atol=2e-5)
    for level in case.info["lods"]:
        network.level = level
        report.stored(f"image_lod{level}", network(features, rows), case, atol=2e-5)
    network.level = generator.config.level


def check_random(case: Case, generator: VolumeGANGenerator, given: dict, ws: Tensor, report: Report) -> None:
    """Check a whole forward call with real random numbers: camera, jitter, importance, noise."""
    told, camera_table = case.info["v_rng"], {**case.info["init_kwargs"]["ps_cfg"], **case.info["v_rng"]["ps_kwargs"]}
    stream = torch.Generator().manual_seed(told["seed"])
    yaw, pitch = drawn_angles(camera_table, len(ws), stream)
    report.stored("v_rng.yaw", yaw, case, **EXACT)
    report.stored("v_rng.pitch", pitch, case, **EXACT)
    side, count = generator.config.render_resolution, generator.settings.render_config.coarse_samples
    jitter, positions = draws_of_rays(len(ws), side, count, stream)
    origins, directions = camera_rays(camera_at(generator, yaw, pitch), side, "corners")
    fields = generator.fields(ws)
    seen = [
        trace_rays(field, o, d, numbers={"coarse_offsets": u, "fine_positions": p})
        for field, o, d, u, p in zip(fields, origins, directions, jitter, positions, strict=True)
    ]
    features, rows = feature_maps(fields, seen, side), ws[:, generator.config.point_layers :]
    image = generator.synthesis(features, rows, noise_mode=told["noise_mode"], generator=stream)
    report.stored("v_rng.image", image, case, **TRUNCATED)


def check_official(case: Case, folder: Path, report: Report) -> None:
    """Check the file beside a case that only holds what it gives: a snapshot of the published save routine."""
    path = case.path.with_name(case.path.stem.removesuffix("_expected") + ".pth")
    generator = load_generator(path, device="cpu")
    given = {name[3:]: tensor for name, tensor in case.tensors.items() if name.startswith("in.")}
    ws = generator.map(given["z"], given.get("label"))
    report.stored("ws", ws, case, **EXACT)
    truncated = generator.map(given["z"], given.get("label"), None, 0.7, 8)
    report.stored("ws_trunc", truncated, case, **EXACT)
    fields = generator.fields(ws)
    raw = torch.stack([field.raw_density(one) for field, one in zip(fields, given["points"], strict=True)])
    report.stored("points_sigma", raw, case, **DENSITY)
    camera, side = camera_at(generator, given["yaw"], given["pitch"]), generator.config.render_resolution
    rays = zip(*camera_rays(camera, side, "corners"), strict=True)
    seen = [trace_rays(field, *one) for field, one in zip(fields, rays, strict=True)]
    report.stored("feature_map", feature_maps(fields, seen, side), case)
    for name, latents, tolerance in (("image", ws, {}), ("image_trunc", truncated, TRUNCATED)):
        frames = [render(field, camera[i], exact=True) for i, field in enumerate(generator.fields(latents))]
        expected = ((case.tensors[f"out.{name}"] + 1) / 2).clamp(0, 1)
        report.compared.add(f"out.{name}")
        report.close(name, torch.stack([one.rgb for one in frames]), expected, **tolerance)
    report.left_out(case)
