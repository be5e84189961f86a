"""The cameras and points of one object, in the files of each form.

All forms but COLMAP's have OpenGL's camera axes; the world is ours in every one, y up, and a unit is a metre.
"""

from pathlib import Path
from typing import Any

import numpy as np

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.colmap import write_colmap
from gen3d_tools.cameras.formats import check_one_lens, write_nerf_synthetic, write_transforms
from gen3d_tools.cameras.poses import check_upright
from gen3d_tools.errors import InputError
from gen3d_tools.geometry.formats.point_cloud import PointCloud, write_points
from gen3d_tools.workflows.dataset.layout import (
    POINTS_NAME,
    SPARSE,
    SPLITS,
    TRANSFORMS_NAME,
    ObjectFiles,
    named,
    split_of,
)
from gen3d_tools.workflows.dataset.options import DatasetOptions
from gen3d_tools.workflows.dataset.views import MILLIMETRES

_NERFSTUDIO_KEYS = {"masks": "mask_path", "depth": "depth_file_path"}


def check_lenses(cameras: Camera, options: DatasetOptions) -> None:
    """Refuse, before any work, cameras that the form cannot hold.

    Raises:
        InputError: They differ from picture to picture, in the form of NeRF's synthetic scenes; or are rolled, in
            that of 3DGP.
    """
    if options.file_format == "blender":
        check_one_lens(cameras)
    if options.file_format == "3dgp":
        try:
            check_upright(cameras)
        except InputError as error:
            raise InputError(
                f"{error}, which is all that labels of 3dgp hold; choose another format, such as eg3d"
            ) from error


def write_scene_files(folder: Path, files: ObjectFiles, cameras: Camera, size: int, cloud: PointCloud | None) -> None:
    """Write the cameras of an object, and its points.

    Args:
        folder: Of the scene, or of what a set keeps beside its pictures.
        files: Says the form and the names.
        cameras: One for each picture, [views].
        size: Side of the pictures in pixels.
        cloud: Points of the surface; None if there are none to be written.
    """
    form = files.options.file_format
    if cloud is not None:
        write_points(folder / POINTS_NAME, cloud)
    if form == "colmap":
        _write_colmap(folder, files, cameras, size, cloud)
    elif form == "blender":
        for split in SPLITS:
            rows = [index for index in range(len(cameras)) if split_of(index, len(cameras)) == split]
            names = [files.picture(index).as_posix() for index in rows]
            write_nerf_synthetic(folder / f"transforms_{split}.json", cameras[rows], names=names)
    else:
        _write_nerfstudio(folder, files, cameras, size, has_points=cloud is not None)


def _write_nerfstudio(folder: Path, files: ObjectFiles, cameras: Camera, size: int, *, has_points: bool) -> None:
    beside = named([files.scene_files(index) for index in range(len(cameras))], _NERFSTUDIO_KEYS)
    notes: dict[str, Any] = {"depth_unit_scale_factor": 1 / MILLIMETRES} if "depth" in files.options.include else {}
    if has_points:
        notes["ply_file_path"] = POINTS_NAME
    names = files.picture_names()
    path = folder / TRANSFORMS_NAME
    write_transforms(path, cameras, width=size, height=size, names=names, beside=beside, notes=notes)


def _write_colmap(folder: Path, files: ObjectFiles, cameras: Camera, size: int, cloud: PointCloud | None) -> None:
    names = [files.picture(index).name for index in range(len(cameras))]
    points = None if cloud is None else np.asarray(cloud.points)
    colors = None if cloud is None else cloud.colors
    model = folder / SPARSE
    write_colmap(model, cameras, width=size, height=size, names=names, points=points, colors=colors)
    if cloud is not None:  # with normals, where Gaussian splatting looks before it converts points3D
        write_points(model / "points3D.ply", cloud)
