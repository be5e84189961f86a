"""TripoSR, whole and in parts: from the photo to the mesh, against recorded numbers.

Recorded points, rays and meshes stand in the published axes (z up, seen from +x); `OURS` and `THEIRS` turn them.
"""

import math
from dataclasses import replace
from pathlib import Path

import mcubes
import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.generators.official.triposr import config_of, read_sections, settings_of
from gen3d_tools.generators.reconstructors.image_tokens import normalised, resampled_positions
from gen3d_tools.generators.reconstructors.picture import encoder_picture, on_grey, squared
from gen3d_tools.generators.reconstructors.triplane_tokens import PlaneUpsampler
from gen3d_tools.generators.reconstructors.triposr import TripoSR
from gen3d_tools.geometry.extraction.isosurface import isosurface
from gen3d_tools.rendering.ray_rendering import trace_rays
from gen3d_tools.rendering.rays import rays_through
from gen3d_tools.rendering.volume.sampling import tight_limits
from tests.parity.cases import Case, Report

OURS, THEIRS = [1, 2, 0], [2, 0, 1]
"""Which of their coordinates are ours, x, y and z; and the other way round."""

EXACT, TOKENS, RAW, COLOR, RAYS, PICTURE = 1e-6, 1e-4, 5e-4, 5e-5, 1e-5, 1e-4


def load(case: Case) -> TripoSR:
    """Build the network of a case. Its encoder's sizes are recorded beside the config."""
    vit, sections = case.info["vit_config"], read_sections(case.info["config"])
    image = {
        "patch_size": vit["patch_size"],
        "trained_patches": vit["image_size"] // vit["patch_size"],
        "image_width": vit["hidden_size"],
        "image_layers": vit["num_hidden_layers"],
        "image_heads": vit["num_attention_heads"],
        "image_hidden": vit["intermediate_size"],
    }
    config, samples = config_of(sections, image)
    network = TripoSR(config, settings_of(config, samples))
    network.load_tensors(case.params, str(case.path))
    return network.eval().requires_grad_(False)


def check_model(case: Case, folder: Path, report: Report) -> None:
    """Check everything that a case of a whole network holds."""
    network = load(case)
    network.save(folder / "model")  # and what is read again is what is checked
    network = load_generator(folder / "model", device="cpu")
    pictures = check_picture(case, network, report)
    check_network(case, network, pictures, report)
    made = [network.reconstruct(picture) for picture in pictures]
    fields = [one.fields(one.no_latents())[0] for one in made]
    check_points(case, fields, report)
    for name, views in case.info["cameras"].items():
        check_pictures(case, fields, name, views, report)
    check_mesh(case, fields[0], report)
    report.left_out(case)


def check_picture(case: Case, network: TripoSR, report: Report) -> Tensor:
    """Check the way from photos to the encoder's pictures."""
    pictures, index = [], 0
    while f"in.rgba{index}" in case.tensors:
        square = squared(case.tensors[f"in.rgba{index}"].numpy(), case.info["foreground_ratio"])
        report.stored(f"foreground{index}", torch.from_numpy(square), case, atol=0.5)
        grey = on_grey(square)
        report.stored(f"composited{index}", torch.from_numpy(grey), case, atol=0.5)
        pictures.append(encoder_picture(grey, network.config.image_resolution))
        index += 1
    found = torch.stack(pictures)
    report.stored("image", found, case, atol=EXACT)
    return found


def check_network(case: Case, network: TripoSR, pictures: Tensor, report: Report) -> None:
    """Check tokens and planes."""
    report.stored("vit_embeddings", network.image_tokenizer.model.embeddings(normalised(pictures)), case, atol=2e-4)
    seen = network.image_tokenizer(pictures)
    report.stored("image_tokens", seen, case, atol=2e-5)
    start, backbone = network.tokenizer(len(pictures)), network.backbone
    first = backbone.transformer_blocks[0](backbone.proj_in(backbone.norm(start).mT), seen)
    report.stored("block0", first, case, atol=TOKENS)
    report.stored("triplane_tokens", network.triplane_tokens(seen), case, atol=TOKENS)
    report.stored("planes", network.planes(pictures), case, atol=TOKENS)


def check_points(case: Case, fields: list[TriplaneField], report: Report) -> None:
    """Check the field at points, outside the box too, where the published decoder goes on."""
    points = case.tensors["in.points"][:, OURS]
    outputs = torch.stack([_outputs(field, points) for field in fields])
    asked = [replace(field, outside="decode")(points) for field in fields]
    raw, colors = torch.stack([raw for _, raw in asked]), torch.stack([color for color, _ in asked])
    length = _length(fields[0])
    report.stored("points.density", raw[..., None], case, atol=RAW)
    report.stored("points.features", outputs[..., 1:], case, atol=RAW)
    density = torch.stack([field.activate(one) for field, one in zip(fields, raw, strict=True)])
    report.stored("points.density_act", density[..., None] * length, case, atol=5e-4, rtol=5e-4)
    report.stored("points.color", colors, case, atol=COLOR)


def _outputs(field: TriplaneField, points: Tensor) -> Tensor:
    """What the decoder says at points, before any activation."""
    x = field.features(points)
    for index, (weight, bias) in enumerate(field.decoder.tensors()):
        x = torch.nn.functional.linear(x if index == 0 else field.decoder.decoder.layers[1](x), weight, bias)
    return x


def _length(field: TriplaneField) -> float:
    """What our densities are multiplied by to be the published ones."""
    length = field.render_config.ray_length
    assert length is not None
    return length


def orbit(views: dict) -> Camera:
    """The cameras of the published script: azimuth 0 looks from the front."""
    azimuths = torch.arange(views["n_views"]) * (360.0 / views["n_views"])
    camera = Camera.from_spherical(
        azimuths, views["elevation_deg"], views["camera_distance"], fov_y_deg=views["fovy_deg"]
    )
    lens = camera.intrinsics.clone()
    lens[..., 0, 0] *= views["height"] / views["width"]
    return Camera(camera.cam2world, lens)


def rays_of(views: dict) -> tuple[Tensor, Tensor]:
    """Origins and directions [views, pixels, 3], in our axes."""
    height, width = views["height"], views["width"]
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    camera = orbit(views)
    return rays_through(camera.cam2world, camera.intrinsics, torch.stack([x, y], -1).reshape(-1, 2))


def check_cameras(case: Case, name: str, views: dict, report: Report) -> tuple[Tensor, Tensor]:
    """Check origins and directions of a set of cameras."""
    origins, directions = rays_of(views)
    report.stored(f"{name}.origins", origins[:, 0, THEIRS], case, atol=RAYS)
    shape = views["n_views"], views["height"], views["width"], 3
    report.stored(f"{name}.directions", directions[..., THEIRS].reshape(shape), case, atol=RAYS)
    return origins, directions


def check_pictures(case: Case, fields: list[TriplaneField], name: str, views: dict, report: Report) -> None:
    """Check pictures of every scene from a set of cameras, and how far their rays reach."""
    origins, directions = check_cameras(case, name, views, report)
    config = fields[0].render_config
    flat = origins.reshape(-1, 3), directions.reshape(-1, 3)
    near, far, hit = tight_limits(*flat, config.box_share * fields[0].box_side)
    hit &= far - near > 0.01
    report.stored(f"{name}.hit", hit, case, atol=0.5)
    report.stored(f"{name}.near", torch.where(hit, near, 0), case, atol=RAYS)
    report.stored(f"{name}.far", torch.where(hit, far, 0), case, atol=RAYS)
    seen = torch.stack([trace_rays(field, *flat).values for field in fields])
    report.stored(f"{name}.images", seen, case, atol=PICTURE)


def check_mesh(case: Case, field: TriplaneField, report: Report) -> None:
    """Check densities on the lattice, and the surface where they cross the level."""
    asked, length = case.info["marching_cubes"], _length(field)
    size, half = asked["resolution"], field.box_side / 2
    axis = torch.linspace(-half, half, size)
    lattice = torch.cartesian_prod(axis, axis, axis).clamp(-half, half)  # in their order of indices

    grid = (field.density(lattice[:, OURS]) * length).reshape(size, size, size)
    report.stored("grid.density", grid, case, atol=1e-3, rtol=1e-3)
    report.compared |= {f"out.mesh.{name}" for name in ("vertices", "faces", "vertices_upright")}
    report.compared.add("out.grid.points_first_last")
    ends = torch.cat([lattice[:4], lattice[-4:]])
    report.close("grid.points", ends, case.tensors["out.grid.points_first_last"], atol=EXACT)
    cells, _ = mcubes.marching_cubes(grid.double().numpy(), asked["threshold"])
    found = torch.from_numpy(cells * (field.box_side / (size - 1)) - half).float()
    theirs = case.tensors["out.mesh.vertices"]
    for way, one, other in (("theirs to ours", theirs, found), ("ours to theirs", found, theirs)):
        distances = _nearest(one, other)
        report.close(f"mesh.vertices, {way}", distances, torch.zeros_like(distances), atol=1e-4)
    upright = torch.stack([-theirs[:, 1], theirs[:, 2], -theirs[:, 0]], -1)
    report.close("mesh.vertices_upright", upright, case.tensors["out.mesh.vertices_upright"], atol=EXACT)
    colors = field(theirs[:, OURS].clamp(-half, half))[0]
    rgba = torch.cat([(colors * 255).round(), torch.full_like(colors[:, :1], 255)], -1)
    report.stored("mesh.vertex_rgba", rgba, case, atol=1.0)


def _nearest(points: Tensor, others: Tensor) -> Tensor:
    """Distance of each point to the nearest of others."""
    return torch.from_numpy(np.asarray(cKDTree(others.numpy()).query(points.numpy())[0])).float()


def check_parts(case: Case, report: Report) -> None:
    """Check single steps."""
    tensors, info = case.tensors, case.info["info"]
    for name in (name for name in info if name.startswith("rgba")):
        square = squared(tensors[f"in.{name}"].numpy(), info[name]["foreground_ratio"])
        index = name.removeprefix("rgba")
        report.stored(f"foreground{index}", torch.from_numpy(square), case, atol=0.5)
        report.stored(f"composited{index}", torch.from_numpy(on_grey(square)), case, atol=0.5)
    for name in (name for name in tensors if name.startswith("out.convert")):
        source = "in.convert_float" if "float" in name else "in.convert"
        found = encoder_picture(tensors[source].numpy(), tensors[name].shape[0])
        report.stored(name.removeprefix("out."), found.permute(1, 2, 0), case, atol=EXACT)
    for name in (name for name in tensors if name.startswith("out.positions")):
        patches = math.isqrt(tensors[name].shape[0] - 1)
        source = next(one for one in tensors if one.startswith("in.positions"))
        found = resampled_positions(tensors[source][None], patches)[0]
        report.stored(name.removeprefix("out."), found, case, atol=2e-5)
    for name in (name for name in info if name.startswith("cameras")):
        check_cameras(case, name, info[name], report)
    check_box(case, report)
    check_ellipsoid(case, report)
    check_upsampling(case, report)
    report.left_out(case)


def check_box(case: Case, report: Report) -> None:
    """Check where rays meet the box of the published radius."""
    origins, directions = (case.tensors[f"in.box.{name}"][:, OURS] for name in ("origins", "directions"))
    near, far, hit = tight_limits(origins, directions, 2 * 0.87 * 0.999)
    hit &= far - near > 0.01
    report.stored("box.hit", hit, case, atol=0.5)
    hits = case.tensors["out.box.hit"]
    for name, found in (("near", near), ("far", far)):
        report.compared.add(f"out.box.{name}")
        report.close(f"box.{name}", found[hits], case.tensors[f"out.box.{name}"][hits], atol=RAYS)


def check_ellipsoid(case: Case, report: Report) -> None:
    """Check a mesh's axes and winding on a lattice of densities: [x, y, z], in 0..1."""
    density, level = case.tensors["in.field.density"], case.info["info"]["field"]["threshold"]
    size = density.shape[0]

    def look_up(points: Tensor) -> Tensor:
        i, j, k = ((points + 0.5) * (size - 1)).round().long().unbind(-1)
        return density[i, j, k]

    vertices, faces = isosurface(look_up, resolution=size, box_side=1.0, iso_level=level)
    found, theirs = torch.from_numpy(vertices + 0.5).float(), case.tensors["out.field.vertices"]
    report.compared |= {"out.field.vertices", "out.field.faces"}
    for way, distances in (("theirs to ours", _nearest(theirs, found)), ("ours to theirs", _nearest(found, theirs))):
        report.close(f"field.vertices, {way}", distances, torch.zeros_like(distances), atol=1e-4)
    volumes = [_volume(found, torch.from_numpy(faces)), _volume(theirs, case.tensors["out.field.faces"].long())]
    report.close("field.volume", volumes[0], volumes[1], atol=1e-5)


def _volume(vertices: Tensor, faces: Tensor) -> Tensor:
    """Signed volume, positive where faces are counter-clockwise from outside."""
    a, b, c = vertices[faces].double().unbind(1)
    return (a * torch.linalg.cross(b, c)).sum() / 6


def check_upsampling(case: Case, report: Report) -> None:
    """Check the transposed convolution on each plane."""
    weight, bias, planes = (case.tensors[f"in.upsample.{name}"] for name in ("weight", "bias", "planes"))
    upsampler = PlaneUpsampler.__new__(PlaneUpsampler)
    torch.nn.Module.__init__(upsampler)
    upsampler.upsample = torch.nn.ConvTranspose2d(*weight.shape[:2], 2, 2)
    upsampler.upsample.load_state_dict({"weight": weight, "bias": bias})
    report.stored("upsample", upsampler(planes), case, atol=EXACT)
