"""COLMAP's text model: a folder with cameras.txt (lenses), images.txt (poses) and points3D.txt.

A pose there is world-to-camera, a quaternion w x y z and a translation; the camera axes are OpenCV's like
ours. Lenses are in pixels, with (0, 0) the picture's corner.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.checks import one_line, plain_numbers
from gen3d_tools.cameras.lenses import COLMAP_LENSES, check_undistorted
from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.files import atomic_path
from gen3d_tools.ownership import MARK
from gen3d_tools.texts import decoded

_SAME_LENS = 1e-6  # difference, as a share of the picture's side, that single precision makes
_GREY = 128
_MARKED = f" ({MARK})"


def check_pictures(cameras: int, width: int, height: int, names: Sequence[str]) -> None:
    """Refuse sizes and names that are not those of pictures.

    Raises:
        InputError: A size is below 1, a name is empty, not printable or there twice, or the numbers differ.
    """
    if min(width, height) < 1:
        raise InputError(f"need the pictures' width and height in pixels, got {width} x {height}")
    if len(names) != cameras:
        raise InputError(f"need one name per camera, got {len(names)} names for {cameras} cameras")
    if len(set(names)) < len(names) or not all(name.strip() and name.isprintable() for name in names):
        raise InputError("each camera needs a picture of its own, named in one line")


def is_colmap(path: Path) -> bool:
    """Whether `path` is one of the text files of a model."""
    return path.name in ("cameras.txt", "images.txt")


def model_files(path: Path) -> tuple[Path, Path]:
    """Name what is read of a model: its lenses and its poses.

    Args:
        path: The model's folder, or one of its text files.
    """
    folder = path if path.is_dir() else path.parent
    return folder / "cameras.txt", folder / "images.txt"


def write_colmap(
    folder: str | Path,
    cameras: Camera,
    *,
    width: int,
    height: int,
    names: Sequence[str],
    points: Float[np.ndarray, "points 3"] | None = None,
    colors: UInt8[np.ndarray, "points 3"] | None = None,
    overwrite: bool = False,
) -> None:
    """Write cameras as a COLMAP text model; pictures through one lens share one camera.

    Args:
        folder: The folder to make.
        cameras: The cameras, [n].
        width: Picture width in pixels.
        height: Picture height in pixels.
        names: The picture of each camera, relative to the folder of pictures.
        points: Points of the scene, world units; they have no tracks, as nothing was matched.
        colors: Their colours; grey by default.
        overwrite: Whether an existing folder may be replaced.

    Raises:
        InputError: A lens with skew, a size below 1, another number of names than cameras, or the folder exists.
    """
    if len(cameras.batch_shape) != 1 or not len(cameras):
        raise InputError(f"a file holds a batch [n] of at least one camera, got {list(cameras.batch_shape)}")
    check_pictures(len(cameras), width, height, names)
    lens = cameras.intrinsics.cpu().double().numpy()
    if np.abs(lens[:, 0, 1]).max() > 1e-4:
        raise InputError("COLMAP's PINHOLE cannot hold skew; write EG3D labels instead")
    pixels = lens[:, [0, 1, 0, 1], [0, 1, 2, 2]] * [width, height, width, height]
    cam2world = cameras.cam2world.cpu().double().numpy()
    from scipy.spatial.transform import Rotation  # takes as long to import as a picture to render

    world2cam = Rotation.from_matrix(cam2world[:, :3, :3]).inv()
    quaternions = np.roll(world2cam.as_quat(canonical=True), 1, axis=1)  # scipy's are x y z w
    translations = -world2cam.apply(cam2world[:, :3, 3])
    lens_lines = ["# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]" + _MARKED]
    image_lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME" + _MARKED]
    image_lines += ["# POINTS2D[] as (X, Y, POINT3D_ID)"]
    same = np.ptp(pixels, axis=0).max() < _SAME_LENS * max(width, height)
    for index, file in enumerate(names):
        lens_id = 1 if same else index + 1
        if lens_id > index:
            lens_lines.append(f"{lens_id} PINHOLE {width} {height} {_numbers(pixels[index])}")
        pose = _numbers([*quaternions[index], *translations[index]])
        image_lines += [f"{index + 1} {pose} {lens_id} {file}", ""]
    with atomic_path(Path(folder), overwrite=overwrite) as temporary:
        temporary.mkdir()
        (temporary / "cameras.txt").write_text("\n".join(lens_lines) + "\n", encoding="utf-8")
        (temporary / "images.txt").write_text("\n".join(image_lines) + "\n", encoding="utf-8")
        (temporary / "points3D.txt").write_text(_point_lines(points, colors), encoding="utf-8")


def _point_lines(points: Float[np.ndarray, "points 3"] | None, colors: UInt8[np.ndarray, "points 3"] | None) -> str:
    """The text of points3D.txt."""
    places = np.empty((0, 3)) if points is None else points
    shades = np.full(places.shape, _GREY, np.uint8) if colors is None else colors
    lines = [
        f"{index} {x:.7g} {y:.7g} {z:.7g} {red} {green} {blue} 0"
        for index, ((x, y, z), (red, green, blue)) in enumerate(zip(places, shades, strict=True), start=1)
    ]
    return "\n".join(["# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[]" + _MARKED, *lines]) + "\n"


def read_colmap(path: str | Path) -> Camera:
    """Read a COLMAP text model, [n], in the order of its image ids.

    Args:
        path: The model's folder, or one of its text files.

    Raises:
        NotFoundError: The folder or one of the two files is not there.
        InputError: A line that is no lens, no pose or no list of points, an id that is there twice, or a lens with
            distortion.
    """
    lens_file, pose_file = model_files(Path(path))
    lenses: dict[str, np.ndarray] = {}
    for line, where in _lines(lens_file):
        if line:
            camera, lens = _lens(line, where)
            _check_new("camera", camera, lenses, where)
            lenses[camera] = lens
    poses: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    lines = _lines(pose_file)
    for line, where in lines:
        if not line:
            continue
        words = line.split(maxsplit=9)
        if len(words) != 10 or words[8] not in lenses:
            raise InputError(f"{where}: must be id, 4 + 3 numbers, a camera id and a name, got {one_line(line)!r}")
        image = _integer(words[0], where)
        _check_new("image", image, poses, where)
        poses[image] = _pose(words[1:8], where), lenses[words[8]]
        _check_points(image, *next(lines, ("", "")))
    if not poses:
        raise InputError(f"{pose_file} holds no cameras")
    cam2world, intrinsics = zip(*(poses[image] for image in sorted(poses)), strict=True)
    try:
        return Camera(torch.from_numpy(np.stack(cam2world)), torch.from_numpy(np.stack(intrinsics)))
    except InputError as error:
        raise InputError(f"{pose_file.parent}: {error}") from error


def _check_new(what: str, number: int | str, known: Mapping[Any, object], where: str) -> None:
    if number in known:
        raise InputError(f"{where}: the {what} id {number} is there twice; give each {what} its own")


def _check_points(image: int, line: str, where: str) -> None:
    """Refuse a second line of an image that holds no 2D points: editors leave empty ones out."""
    words = line.split()
    if not words:
        return
    try:
        fine = len(words) % 3 == 0 and all(math.isfinite(float(word)) for word in (*words[:3], *words[-3:]))
    except ValueError:
        fine = False
    if not fine:
        raise InputError(
            f"{where}: must be the 2D points of image {image}, x y id each, or an empty line, got {one_line(line)!r}; "
            "every image takes two lines"
        )


def _lens(line: str, where: str) -> tuple[str, np.ndarray]:
    """The camera id and its intrinsics in image sides."""
    words = line.split()
    model = words[1] if len(words) > 1 else "nothing"
    if model not in COLMAP_LENSES:
        raise InputError(
            f"{where}: lens model {one_line(model)} is not known, {', '.join(COLMAP_LENSES)} without distortion are; "
            "undistort the pictures"
        )
    names = COLMAP_LENSES[model]
    values = _floats(words[2:], len(names) + 2, where)
    width, height = values[:2]
    if min(width, height) <= 0:
        raise InputError(f"{where}: width and height must be positive, got {width:g} and {height:g}")
    lens = dict(zip(names, values[2:], strict=True))
    check_undistorted({name: value for name, value in lens.items() if name[0] in "kp"}, where)
    fx, fy = (lens["f"], lens["f"]) if "f" in lens else (lens["fx"], lens["fy"])
    cx, cy = lens["cx"], lens["cy"]
    return words[0], np.array([[fx / width, 0, cx / width], [0, fy / height, cy / height], [0, 0, 1]])


def _pose(words: list[str], where: str) -> np.ndarray:
    """cam2world from the quaternion and translation of world2cam."""
    values = _floats(words, 7, where)
    w, x, y, z = values[:4]
    if math.hypot(w, x, y, z) < 1e-6:
        raise InputError(f"{where}: the quaternion has no length")
    cam2world = np.eye(4)
    from scipy.spatial.transform import Rotation

    world2cam = Rotation.from_quat([x, y, z, w])
    cam2world[:3, :3] = world2cam.inv().as_matrix()
    cam2world[:3, 3] = -world2cam.inv().apply(values[4:])
    return cam2world


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Stripped lines without comments, each with its place for messages."""
    try:
        text = decoded(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        hint = "a binary model becomes text by colmap model_converter --output_type TXT"
        raise NotFoundError(f"no COLMAP {path.name} in {path.parent}; {hint}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as text: {one_line(error)}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith("#"):
            yield line.strip(), f"{path}, line {number}"


def _floats(words: Sequence[str], count: int, where: str) -> list[float]:
    try:
        return plain_numbers(f"{where}: the line", [float(word) for word in words], count)
    except ValueError as error:
        raise (error if isinstance(error, InputError) else InputError(f"{where}: {one_line(error)}")) from error


def _integer(word: str, where: str) -> int:
    if not word.isdecimal() or len(word) > 18:
        raise InputError(f"{where}: the image id must be a whole number, got {one_line(word)!r}")
    return int(word)


def _numbers(values: Sequence[float] | np.ndarray) -> str:
    return " ".join(repr(float(value)) for value in values)
