"""Camera files of every kind that `load_cameras` reads."""

import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.formats import camera_path_timing, load_cameras, write_camera_path
from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.workflows.invert.photo_cameras import read_camera_file
from tests.fuzz.harness import Files, Format, only
from tests.support.camera_sets import write_colmap, write_transforms


def _written(write: Callable[[Path], object]) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "out")
        return {path.name: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def _cameras() -> Camera:
    return Camera.from_spherical([0.0, 40.0, 90.0], 20.0, 2.0, fov_y_deg=[20.0, 30.0, 40.0])


def _one_file(write: Callable[[Path], object]) -> Callable[[], list[Files]]:
    return lambda: [{"cameras.json": data} for data in _written(write).values()]


def _labels() -> list[Files]:
    labels = [[f"{index}.png", label] for index, label in enumerate(_cameras().to_eg3d_label().tolist())]
    return [{"dataset.json": json.dumps({"labels": labels}).encode()}]


def _exported_list() -> list[Files]:
    [files] = _one_file(lambda path: write_transforms(path, _cameras()))()
    frames = json.loads(files["cameras.json"])["frames"]
    listed = [{"file_path": frame["file_path"], "transform": frame["transform_matrix"][:3]} for frame in frames]
    return [{"list.json": json.dumps(listed).encode()}]


def _numbers_as_typed() -> list[Files]:
    label = _cameras()[0].to_eg3d_label().tolist()
    return [{"label.txt": " ".join(map(str, label)).encode()}, {"label.json": json.dumps(label).encode()}]


def _read(folder: Path) -> object:
    camera_path_timing(only(folder))
    return load_cameras(only(folder), fov_y_deg=30)


def _colmap() -> list[Files]:
    return [_written(lambda folder: write_colmap(folder, _cameras()))]


def _without(chance: random.Random, files: Files) -> Files:
    """Leave a file out."""
    del files[chance.choice(sorted(files))]
    return files


def _exchanged(chance: random.Random, files: Files) -> Files:
    """Give a file the contents of another."""
    files[chance.choice(sorted(files))] = chance.choice([files[name] for name in sorted(files)])
    return files


def _format(name: str, corpus: Callable[[], list[Files]]) -> Format:
    return Format(name=name, corpus=corpus, read=_read, refusals=(InputError,))


FORMATS = [
    _format("camera-path", _one_file(lambda path: write_camera_path(path, _cameras()))),
    _format("transforms", _one_file(lambda path: write_transforms(path, _cameras()))),
    _format("camera-list", _exported_list),
    _format("eg3d-labels", _labels),
    Format(
        name="camera-label",
        corpus=_numbers_as_typed,
        read=lambda folder: read_camera_file(only(folder), 30.0),
        refusals=(InputError,),
    ),
    Format(
        name="colmap",
        corpus=_colmap,
        read=load_cameras,
        whole_case=(_without, _exchanged),
        refusals=(InputError, NotFoundError),
    ),
]
