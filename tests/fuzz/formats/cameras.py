"""Camera files of every kind that `load_cameras` reads."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.colmap import write_colmap
from gen3d_tools.cameras.formats import camera_path_timing, load_cameras, write_camera_path, write_transforms
from gen3d_tools.errors import InputError, NotFoundError
from tests.fuzz.harness import Files, Format, only


def _written(write: Callable[[Path], object]) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "out")
        return {path.name: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def _cameras() -> Camera:
    return Camera.from_spherical([0.0, 40.0, 90.0], 20.0, 2.0, fov_y_deg=[20.0, 30.0, 40.0])


def _one_file(write: Callable[[Path], object]) -> Callable[[], list[Files]]:
    return lambda: [{"cameras.json": data} for data in _written(write).values()]


def _read(folder: Path) -> object:
    camera_path_timing(only(folder))
    return load_cameras(only(folder))


def _colmap() -> list[Files]:
    return [_written(lambda folder: write_colmap(folder, _cameras()))]


FORMATS = [
    Format(
        name="camera-path",
        corpus=_one_file(lambda path: write_camera_path(path, _cameras())),
        read=_read,
        refusals=(InputError,),
    ),
    Format(
        name="transforms",
        corpus=_one_file(lambda path: write_transforms(path, _cameras())),
        read=_read,
        refusals=(InputError,),
    ),
    Format(name="colmap", corpus=_colmap, read=load_cameras, refusals=(InputError, NotFoundError)),
]
