"""One object of a set: from its field to everything that is kept of it, written whole or not at all."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import trimesh

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import RenderConfig
from gen3d_tools.files import atomic_files
from gen3d_tools.generators.base import Generator
from gen3d_tools.geometry.formats.export import write_mesh
from gen3d_tools.geometry.formats.point_cloud import sample_points
from gen3d_tools.geometry.formats.splats import surface_splats, write_splats
from gen3d_tools.kernels.compiling.threads import steady_torch
from gen3d_tools.workflows.dataset.labels import caption_of
from gen3d_tools.workflows.dataset.layout import (
    FACTS_NAME,
    MESH_NAME,
    SPLATS_NAME,
    ObjectFiles,
)
from gen3d_tools.workflows.dataset.options import DatasetOptions
from gen3d_tools.workflows.dataset.pictures import picture_config, take_views, write_view
from gen3d_tools.workflows.dataset.scene_files import write_scene_files
from gen3d_tools.workflows.dataset.views import MILLIMETRES, place_cameras
from gen3d_tools.workflows.mesh.options import MeshOptions
from gen3d_tools.workflows.mesh.sample import make_mesh
from gen3d_tools.workflows.samples.selection import Sample, make_fields
from gen3d_tools.workflows.samples.views import ViewOptions

_HALF_DIAGONAL = 3**0.5 / 2


@dataclass(frozen=True, kw_only=True)
class ObjectTask:
    """An object to be made, in plain values: whoever has the generator can make it, in any process.

    The same task gives the same bytes.
    """

    model: str  # whatever `load_generator` takes
    base: str | None  # the model that it was tuned from, where that is neither bundled nor beside it
    sample: Sample
    psi: float
    options: DatasetOptions
    target: str  # the folder of the whole set

    def to_dict(self) -> dict[str, Any]:
        """Give the task as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ObjectTask":
        """Read what `to_dict` wrote."""
        parts = {one.name: values[one.name] for one in fields(cls)}
        return cls(
            **{**parts, "sample": Sample(**parts["sample"]), "options": DatasetOptions.from_dict(parts["options"])}
        )

    @property
    def files(self) -> ObjectFiles:
        """Where everything of the object lies in its folders."""
        return ObjectFiles(self.sample.stem, self.options)

    @property
    def outputs(self) -> list[Path]:
        """The folders that are written, all or none."""
        return self.files.folders(Path(self.target))


def make_object(
    task: ObjectTask, generator: Generator, *, overwrite: bool = False, progress: Callable[[int], None] | None = None
) -> str:
    """Make an object and write its folders.

    Args:
        task: What is to be made.
        generator: That of the task's model.
        overwrite: Whether existing folders may be replaced.
        progress: Called with the pictures done.

    Returns:
        What was made, in a line for people.

    Raises:
        Gen3DError: There is no surface, or something cannot be written.
    """
    with steady_torch():
        [field] = make_fields(generator, [task.sample], task.psi)
        return _write_object(task, field, generator, overwrite=overwrite, progress=progress)


def _write_object(
    task: ObjectTask,
    field: RadianceField,
    generator: Generator,
    *,
    overwrite: bool,
    progress: Callable[[int], None] | None,
) -> str:
    options, size = task.options, ViewOptions(size=task.options.size).side(generator)
    cameras = place_cameras(generator, task.sample, options)
    config = picture_config(generator.settings, cameras)
    with atomic_files(task.outputs, overwrite=overwrite) as folders:
        for folder in folders:
            folder.mkdir()
        line = _write_surface(folders[-1], task, field, generator, cameras, size)
        _write_views(folders, task, field, cameras, config, size, progress)
        _write_facts(folders[-1] / FACTS_NAME, task, cameras, size, depth_range(field, cameras, config))
    return line


def _write_views(
    folders: list[Path],
    task: ObjectTask,
    field: RadianceField,
    cameras: Camera,
    config: RenderConfig,
    size: int,
    progress: Callable[[int], None] | None,
) -> None:
    """Write pictures and what is known of each of their pixels."""
    files, options, ends = task.files, task.options, depth_range(field, cameras, config)
    seen = take_views(
        field,
        cameras,
        config,
        size=size,
        supersample=options.supersample,
        with_normals="normals" in options.include,
    )
    for index, view in enumerate(seen):
        if options.is_set:
            write_view(view, files.training_files(index), folders[0], ends)
        write_view(view, files.scene_files(index), folders[-1], ends)
        if progress is not None:
            progress(index + 1)


def _write_surface(
    folder: Path, task: ObjectTask, field: RadianceField, generator: Generator, cameras: Camera, size: int
) -> str:
    """Write the mesh and what is made of it, and the cameras' files, which name the points; say what there is."""
    options, mesh, cloud = task.options, None, None
    told = [f"{options.views} views of {size} x {size}"]
    if options.needs_mesh:
        shape = MeshOptions(resolution=options.resolution)
        mesh = make_mesh(field, generator.settings, shape).plain
    if mesh is not None and options.needs_points:
        cloud = sample_points(mesh, options.points)
        told.append(f"{len(cloud):,} points")
    if mesh is not None and "mesh" in options.include:
        write_mesh(folder / MESH_NAME, mesh, name=task.sample.object_name)
        told.append(f"{len(mesh.faces):,} faces")
    if mesh is not None and options.splats:
        told.append(f"{_write_splats(folder / SPLATS_NAME, field, mesh):,} splats")
    write_scene_files(folder, task.files, cameras, size, cloud)
    return ", ".join(told)


def _write_splats(path: Path, field: RadianceField, mesh: trimesh.Trimesh) -> int:
    splats = surface_splats(field, mesh)
    write_splats(path, splats)
    return len(splats)


def depth_range(field: RadianceField, cameras: Camera, config: RenderConfig) -> tuple[float, float]:
    """Give the depths between which 3DGP's levels are spread: the ends of the model's rays, or of its box."""
    if not isinstance(config.near, str) and not isinstance(config.far, str):
        return config.near, config.far
    distances, reach = cameras.position.norm(dim=-1), _HALF_DIAGONAL * field.box_side
    return max(0.0, float(distances.min()) - reach), float(distances.max()) + reach


def _write_facts(path: Path, task: ObjectTask, cameras: Camera, size: int, ends: tuple[float, float]) -> None:
    """Write what is known of the object as a whole."""
    one, options = task.sample, task.options
    facts: dict[str, Any] = {
        "name": one.stem,
        "seed": one.seed,
        "class": one.class_name or None,
        "class_index": one.class_index,
        "psi": task.psi,
        "caption": caption_of(one.class_name),
        "views": len(cameras),
        "size": size,
        "axes": "right-handed, y up, the front towards +z; one unit is taken for a metre",
    }
    if "depth" in options.include:
        facts["depth"] = {"unit": 1 / MILLIMETRES, "along": "the camera's z", "nothing": 0}
    if options.file_format == "3dgp":
        facts["depth_levels"] = {"near": ends[0], "far": ends[1]}
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
