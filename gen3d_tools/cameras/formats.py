"""Cameras in other programs' files: nerfstudio's three JSON files and EG3D's labels (COLMAP: `colmap.py`).

nerfstudio, Blender and instant-ngp use OpenGL camera axes (x right, y up, z backward); ours are OpenCV's.
The world is taken as it is. Lenses in these files are in pixels or degrees, ours in image sides; which of them are
pinholes: `lenses.py`.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.checks import one_line, plain_number, plain_numbers, without_scale
from gen3d_tools.cameras.colmap import check_pictures, is_colmap, read_colmap
from gen3d_tools.cameras.lenses import check_pinhole, focal_length, picture_size, transforms_lens
from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.files import atomic_path
from gen3d_tools.texts import parse_json
from gen3d_tools.wording import option

_FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))  # OpenGL camera axes <-> OpenCV ones


def load_cameras(path: str | Path, *, fov_y_deg: float | None = None) -> Camera:
    """Read the cameras of a file, [n], whatever program wrote it; the content decides, not the name.

    Known are nerfstudio's camera path ("camera_path"), `transforms.json` ("frames") and exported list of cameras
    (`ns-export cameras`), EG3D's `dataset.json` ("labels"), and COLMAP's text model (a folder with cameras.txt and
    images.txt). Matrices with a uniform scale are read without it, and a warning says so.

    Args:
        path: The file or folder.
        fov_y_deg: Vertical field of view in degrees, within (0, 180), for files that hold no lens: an exported list.

    Raises:
        NotFoundError: There is nothing at `path`.
        InputError: It is none of these, or something in it is no pinhole camera; the message says which one.
    """
    path = Path(path)
    if not path.exists():
        raise NotFoundError(f"no camera file at {path}; check the name")
    if path.is_dir() or is_colmap(path):
        return read_colmap(path)
    data = _read_json(path)
    if isinstance(data, list):
        with _in_file(path):
            return _exported_list(data, path, fov_y_deg)
    for key, reader in _READERS.items():
        if key in data:
            with _in_file(path):
                return reader(data, path)
    raise InputError(
        f"{path} holds no cameras: none of the keys {', '.join(_READERS)} is in it; give a nerfstudio camera path, "
        "a transforms.json, an EG3D dataset.json or a COLMAP text folder"
    )


def camera_path_timing(path: str | Path) -> tuple[float | None, bool]:
    """Read the pictures per second of a nerfstudio camera path, and whether it is a closed round.

    Returns:
        None where the file says neither them nor how many seconds it takes; (None, False) for the other formats
        `load_cameras` reads.

    Raises:
        InputError: A number is not positive, or the file is not JSON.
    """
    path = Path(path)
    if path.is_dir() or is_colmap(path):
        return None, False
    data = _read_json(path)
    if isinstance(data, list):
        return None, False
    key = next((key for key in ("fps", "seconds") if data.get(key) is not None), None)
    if "camera_path" not in data or key is None:
        return None, bool(data.get("is_cycle", False))
    with _in_file(path):
        given = plain_number(key, data[key])
        if given <= 0:
            raise InputError(f"{key} must be positive, got {given:g}")
        fps = given if key == "fps" else len(_entries(data, "camera_path")) / given
    return fps, bool(data.get("is_cycle", False))


def read_eg3d_labels(path: str | Path) -> tuple[list[str], Camera]:
    """Read an EG3D `dataset.json`: the image names, and the camera of each, [n].

    Raises:
        NotFoundError: There is nothing at `path`.
        InputError: It is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"no EG3D dataset.json at {path}; check the name")
    data = _read_json(path)
    with _in_file(path):
        if isinstance(data, list):
            raise InputError("it is a JSON list, an EG3D dataset.json is an object with labels")
        return _eg3d_labels(data, path)


def write_camera_path(
    path: str | Path,
    cameras: Camera,
    *,
    height: int = 512,
    fps: float = 30.0,
    closed: bool = False,
    overwrite: bool = False,
) -> None:
    """Write a nerfstudio camera path; the picture's width follows from the lens.

    Args:
        path: The JSON file to write.
        cameras: The path, [n]. The format knows centred lenses only, and one aspect for all.
        height: Picture height in pixels.
        fps: Pictures per second.
        closed: Whether the first camera follows the last.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: A lens the format cannot hold, or the file exists.
    """
    lens = _flat(cameras)
    aspect = lens[:, 4] / lens[:, 0]  # square pixels: width / height = fy / fx in image sides
    centred = (lens[:, [2, 5]] - 0.5).abs().max() < 1e-4 and lens[:, 1].abs().max() < 1e-4
    if not centred or (aspect / aspect[0] - 1).abs().max() > 1e-3:
        raise InputError("a nerfstudio camera path holds centred lenses of one aspect only; write a transforms.json")
    fovs = cameras.fov_y_deg.tolist()
    poses = [
        {"camera_to_world": matrix, "fov": fov, "aspect": aspect[0].item()}
        for matrix, fov in zip(_to_opengl(cameras).flatten(1).tolist(), fovs, strict=True)
    ]
    _write_json(
        path,
        {
            "camera_type": "perspective",
            "render_height": height,
            "render_width": round(height * aspect[0].item()),
            "camera_path": poses,
            "fps": fps,
            "seconds": len(cameras) / fps,
            "smoothness_value": 0,
            "is_cycle": closed,
        },
        overwrite=overwrite,
    )


def write_transforms(
    path: str | Path,
    cameras: Camera,
    *,
    width: int,
    height: int,
    names: Sequence[str],
    beside: Sequence[Mapping[str, str]] | None = None,
    notes: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a `transforms.json` (nerfstudio, instant-ngp).

    Args:
        path: The JSON file to write.
        cameras: The cameras, [n].
        width: Picture width in pixels.
        height: Picture height in pixels.
        names: The picture of each camera, relative to the file.
        beside: Further keys of each camera, such as `mask_path` and `depth_file_path`.
        notes: Further keys of the file, such as `ply_file_path`.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: A lens with skew, a size below 1, another number of names than cameras, or the file exists.
    """
    lens = _flat(cameras)
    if lens[:, 1].abs().max() > 1e-4:
        raise InputError("a transforms.json cannot hold skew; write EG3D labels instead")
    check_pictures(len(cameras), width, height, names)
    pixels = lens[:, [0, 4, 2, 5]].double() * torch.tensor([width, height, width, height], dtype=torch.float64)
    keys, further = ("fl_x", "fl_y", "cx", "cy"), [{}] * len(names) if beside is None else beside
    frames = [
        {"file_path": file, **more, **dict(zip(keys, numbers, strict=True)), "transform_matrix": matrix}
        for file, more, numbers, matrix in zip(
            names, further, pixels.tolist(), _to_opengl(cameras).tolist(), strict=True
        )
    ]
    content = {"camera_model": "PINHOLE", "w": width, "h": height, **(notes or {}), "frames": frames}
    _write_json(path, content, overwrite=overwrite)


def check_one_lens(cameras: Camera) -> None:
    """Refuse cameras that the files of NeRF's synthetic scenes cannot hold: one angle serves all pictures of a file.

    Raises:
        InputError: A lens is not centred, has skew or no square pixels, or the lenses differ.
    """
    lens = _flat(cameras)
    centred = (lens[:, [2, 5]] - 0.5).abs().max() < 1e-4 and lens[:, 1].abs().max() < 1e-4
    if not centred or (lens[:, [0, 4]] / lens[0, 0] - 1).abs().max() > 1e-4:
        raise InputError(
            "a transforms file of NeRF's synthetic scenes holds one centred lens for all pictures; write nerfstudio's"
        )


def write_nerf_synthetic(path: str | Path, cameras: Camera, *, names: Sequence[str], overwrite: bool = False) -> None:
    """Write a `transforms_train.json` as those of NeRF's synthetic scenes (Mildenhall et al. 2020), made by Blender.

    Args:
        path: The JSON file to write.
        cameras: The cameras, [n], all with the same centred lens.
        names: The picture of each camera, relative to the file; their suffix .png is left out there.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: See `check_one_lens`; or another number of names than cameras, or the file exists.
    """
    check_one_lens(cameras)
    check_pictures(len(cameras), 1, 1, names)
    angle = 2 * math.atan(0.5 / cameras.intrinsics[0, 0, 0].item())
    frames = [
        {"file_path": f"./{file.removesuffix('.png')}", "transform_matrix": matrix}
        for file, matrix in zip(names, _to_opengl(cameras).tolist(), strict=True)
    ]
    _write_json(path, {"camera_angle_x": angle, "frames": frames}, overwrite=overwrite)


def _camera_path(data: Mapping[str, Any], path: Path) -> Camera:
    height, width = picture_size(data, "render_height", "render_width") or (1.0, 1.0)
    matrices, lenses = [], []
    for index, pose in enumerate(_entries(data, "camera_path")):
        what = f"camera_path[{index}]"
        check_pinhole({**_lens_keys(data), **pose}, what)
        numbers = plain_numbers(f"{what}.camera_to_world", _need(pose, "camera_to_world", what), 16)
        fy = focal_length(f"{what}.fov", math.radians(plain_number(f"{what}.fov", _need(pose, "fov", what))))
        matrices.append([numbers[row : row + 4] for row in range(0, 16, 4)])
        lenses.append([fy * height / width, fy, 0.5, 0.5])
    return _from_opengl(matrices, lenses, path)


def _transforms(data: Mapping[str, Any], path: Path) -> Camera:
    matrices, lenses = [], []
    for index, frame in enumerate(_entries(data, "frames")):
        what = f"frames[{index}]"
        matrices.append(_rows(f"{what}.transform_matrix", _need(frame, "transform_matrix", what), 4))
        values = {**_lens_keys(data), **frame}
        check_pinhole(values, what)
        for angle, focal in (("camera_angle_x", "fl_x"), ("camera_angle_y", "fl_y")):
            if angle in frame and focal not in frame:
                values.pop(focal, None)  # the file's, which this frame's own lens replaces
        lenses.append(transforms_lens(values, what))
    return _from_opengl(matrices, lenses, path)


def _exported_list(data: list[Any], path: Path, fov_y_deg: float | None) -> Camera:
    """What `ns-export cameras` writes: poses of 3 rows without a lens."""
    matrices = []
    for index, entry in enumerate(_entries({"the list": data}, "the list")):
        what = f"[{index}]"
        rows = _rows(f"{what}.transform", _need(entry, "transform", what), 3)
        matrices.append([*rows, [0.0, 0.0, 0.0, 1.0]])
    if fov_y_deg is None:
        raise InputError(
            f"it holds no lens; give the vertical field of view too ({option('fov_y_deg', typed='--fov')}), "
            "or a transforms.json"
        )
    focal = focal_length("the field of view", math.radians(fov_y_deg))
    return _from_opengl(matrices, [[focal, focal, 0.5, 0.5]] * len(matrices), path)


def _rows(what: str, rows: object, count: int) -> list[list[float]]:
    if not isinstance(rows, list) or len(rows) != count:
        raise InputError(f"{what} must be {count} rows of 4 numbers, got {one_line(rows)}")
    return [plain_numbers(what, row, 4) for row in rows]


def _lens_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    """The file's own keys, without its cameras."""
    return {key: value for key, value in data.items() if key not in _READERS}


def _eg3d_labels(data: Mapping[str, Any], path: Path) -> tuple[list[str], Camera]:
    names, labels = [], []
    for index, entry in enumerate(_entries(data, "labels", of=list)):
        what = f"labels[{index}]"
        if len(entry) != 2 or not isinstance(entry[0], str):
            raise InputError(f"{what} must be an image name and 25 numbers, got {one_line(entry)}")
        names.append(entry[0])
        labels.append(plain_numbers(f"{what} ({one_line(entry[0])})", entry[1], 25))
    return names, cameras_of_labels(torch.tensor(labels, dtype=torch.float32), path)


def cameras_of_labels(labels: Float[Tensor, "n 25"], path: Path) -> Camera:
    """Cameras of EG3D's 25 numbers in a file, [n]; a uniform scale of their axes is taken out, and said."""
    matrices = without_scale(labels[:, :16].reshape(-1, 4, 4), str(path))
    return Camera.from_eg3d_label(torch.cat([matrices.flatten(1), labels[:, 16:]], dim=1))


_READERS: dict[str, Callable[[Mapping[str, Any], Path], Camera]] = {
    "camera_path": _camera_path,
    "frames": _transforms,
    "labels": lambda data, path: _eg3d_labels(data, path)[1],
}


def _entries(data: Mapping[str, Any], key: str, of: type = dict) -> list[Any]:
    entries = data.get(key)
    if not isinstance(entries, list) or not entries:
        raise InputError(f"there are no cameras in it, {key} is {one_line(entries) if key in data else 'missing'}")
    for index, entry in enumerate(entries):
        if not isinstance(entry, of):
            kind = "an object" if of is dict else "a list"
            raise InputError(f"{key}[{index}] must be {kind}, got {one_line(entry)}")
    return entries


def _need(entry: Mapping[str, Any], key: str, what: str) -> Any:
    if key not in entry:
        raise InputError(f"{what} has no {key}")
    return entry[key]


def _from_opengl(matrices: list[list[list[float]]], lenses: list[list[float]], path: Path) -> Camera:
    intrinsics = torch.eye(3).repeat(len(lenses), 1, 1)
    intrinsics[:, [0, 1, 0, 1], [0, 1, 2, 2]] = torch.tensor(lenses, dtype=torch.float32)
    return Camera(without_scale(torch.tensor(matrices, dtype=torch.float32), str(path)) @ _FLIP, intrinsics)


def _to_opengl(cameras: Camera) -> Float[Tensor, "n 4 4"]:
    return cameras.cam2world.cpu() @ _FLIP


def _flat(cameras: Camera) -> Float[Tensor, "n 9"]:
    """The intrinsics of a batch [n], row by row."""
    if len(cameras.batch_shape) != 1 or not len(cameras):
        raise InputError(f"a file holds a batch [n] of at least one camera, got {list(cameras.batch_shape)}")
    return cameras.intrinsics.cpu().flatten(1)


def _read_json(path: Path) -> dict[str, Any] | list[Any]:
    try:
        data = parse_json(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {one_line(error)}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not isinstance(data, dict | list):
        raise InputError(f"{path} holds no cameras: it must be a JSON object or list, got {one_line(data)}")
    return data


def _write_json(path: str | Path, data: Mapping[str, Any], *, overwrite: bool) -> None:
    with atomic_path(Path(path), overwrite=overwrite) as temporary:
        temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _in_file(path: Path) -> Iterator[None]:
    """Say which file an error is in."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
