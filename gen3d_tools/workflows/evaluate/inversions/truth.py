"""What is known of the objects of photos, read from `truth.json` in their folder; everything in it may be left out.

    {"000.png": {"class": "car", "yaw_deg": 31.5, "pitch_deg": 12.0,
                 "views": {"-30": "views/000-30.png", "180": "views/000+180.png"},
                 "around": {"picture": "around/000.png", "step_deg": 2.0},
                 "mesh": "meshes/000.ply"}}

`views` are further pictures of the object, by the degrees that the camera was turned around the vertical axis from
where it took the photo (towards growing yaw). `around` is one strip of square pictures side by side, the first from the
photo's own camera and each a step further: by it a direction is right if the object looks from there as in the photo.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import trimesh
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.checkpoints.configs.strict_json import parse_json
from gen3d_tools.errors import CheckpointError, InputError
from gen3d_tools.geometry.formats.export import read_mesh
from gen3d_tools.media.images import read_image
from gen3d_tools.metrics.meshes.solids import POINTS, volume_iou
from gen3d_tools.printable import printable

FILE = "truth.json"
TOLERANCE_DEG = 10.0
SAME_DEG = 2.0
"""A turn that is hardly seen: what changes a picture less looks the same."""

_KEYS = {"class", "yaw_deg", "pitch_deg", "views", "around", "mesh"}


@runtime_checkable
class Truth(Protocol):
    """What is known of the object of a photo."""

    @property
    def class_name(self) -> str | None:
        """Its class."""

    @property
    def yaw_deg(self) -> float | None:
        """Yaw of the photo's camera."""

    @property
    def pitch_deg(self) -> float | None:
        """Pitch of the photo's camera."""

    @property
    def turns(self) -> Sequence[float]:
        """Turns of the camera, degrees, from which there are pictures."""

    def picture(self, size: int, turn_deg: float = 0.0) -> Float[Tensor, "3 {size} {size}"]:
        """The object from a turned camera."""

    def direction_right(self, yaw_deg: float) -> bool | None:
        """Whether a yaw is right, modulo the object's symmetry; None where nothing is known."""

    def volume_iou(self, mesh: trimesh.Trimesh) -> float | None:
        """Overlap with the true solid; None where there is none."""


def wrapped_gap(yaw_deg: float, true_deg: float) -> float:
    """Degrees from one direction to another, within -180..180."""
    return (yaw_deg - true_deg + 180) % 360 - 180


@dataclass(frozen=True, eq=False, kw_only=True)
class FolderTruth:
    """An entry of `truth.json`."""

    folder: Path
    class_name: str | None = None
    yaw_deg: float | None = None
    pitch_deg: float | None = None
    views: dict[float, Path] = field(default_factory=dict)
    around: Path | None = None
    step_deg: float = 0.0
    mesh: Path | None = None

    @property
    def turns(self) -> Sequence[float]:
        """The turns of the further views."""
        return list(self.views)

    def picture(self, size: int, turn_deg: float = 0.0) -> Float[Tensor, "3 {size} {size}"]:
        """Read a further view.

        Raises:
            InputError: It has another size than the photo.
        """
        path = self.views[turn_deg]
        image = read_image(path)
        if tuple(image.shape[1:]) != (size, size):
            found = f"{image.shape[2]} x {image.shape[1]}"
            raise InputError(f"{path} is {found}, its photo {size} x {size}; further views need the photo's size")
        return image

    def direction_right(self, yaw_deg: float) -> bool | None:
        """Within 10 degrees, or where the object looks as much like the photo as from 2 degrees beside it."""
        if self.yaw_deg is None:
            return None
        gap = wrapped_gap(yaw_deg, self.yaw_deg)
        if abs(gap) <= TOLERANCE_DEG:
            return True
        if self.around is None:
            return False
        strip = read_image(self.around)
        side = strip.shape[1]
        count = strip.shape[2] // side

        def error(turn: float) -> float:
            index = round(turn / self.step_deg) % count
            seen = strip[:, :, index * side : (index + 1) * side]
            return float((seen - strip[:, :, :side]).square().mean())

        return error(gap) <= max(error(-SAME_DEG), error(SAME_DEG))

    def volume_iou(self, mesh: trimesh.Trimesh) -> float | None:
        """Overlap with the true mesh."""
        return None if self.mesh is None else volume_iou(mesh, read_mesh(self.mesh), points=POINTS)


def read_truth(folder: Path, names: Sequence[str]) -> dict[str, FolderTruth]:
    """Read what is known of each photo, by its name; empty entries without a `truth.json`.

    Raises:
        InputError: The file says something that is not understood, or names a file that is not there.
    """
    path = folder / FILE
    if not path.is_file():
        return {name: FolderTruth(folder=folder) for name in names}
    try:
        table = parse_json(path.read_bytes(), str(path))
    except CheckpointError as error:
        raise InputError(str(error)) from error
    if not isinstance(table, dict):
        raise InputError(f"{path} must hold a table from the names of photos to what is known of them")
    if missing := sorted(set(table) - set(names)):
        raise InputError(f"{path} speaks of {printable(missing[0])}, which is no photo in {folder}")
    return {name: _entry(folder, name, table.get(name, {}), path) for name in names}


def _entry(folder: Path, name: str, values: Any, path: Path) -> FolderTruth:
    where = f"{path}: {printable(name)}"
    if not isinstance(values, dict) or set(values) - _KEYS:
        raise InputError(f"{where} must be a table with the keys {', '.join(sorted(_KEYS))}")
    views, around = values.get("views", {}), values.get("around")
    try:
        found = FolderTruth(
            folder=folder,
            class_name=values.get("class"),
            yaw_deg=None if values.get("yaw_deg") is None else float(values["yaw_deg"]),
            pitch_deg=None if values.get("pitch_deg") is None else float(values["pitch_deg"]),
            views={float(turn): folder / str(view) for turn, view in views.items()},
            around=None if around is None else folder / str(around["picture"]),
            step_deg=0.0 if around is None else float(around["step_deg"]),
            mesh=None if values.get("mesh") is None else folder / str(values["mesh"]),
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{where} has a value that cannot be meant ({error})") from error
    numbers = [one for one in (found.yaw_deg, found.pitch_deg, found.step_deg, *found.views) if one is not None]
    if not np.isfinite(numbers).all() or (around is not None and not 0 < found.step_deg <= 180):
        raise InputError(f"{where} has an angle that is none")
    for file in (*found.views.values(), found.around, found.mesh):
        if file is not None and not file.is_file():
            raise InputError(f"{where} names {file}, which is not there")
    return found


def write_truth(folder: Path, entries: dict[str, dict[str, Any]]) -> Path:
    """Write `truth.json` beside photos."""
    path = folder / FILE
    path.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    return path
