"""`--camera`: angles as typed, or a file that any program wrote."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.checks import one_line
from gen3d_tools.cameras.formats import load_cameras
from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.generators.base import Generator

_LABEL = 25
_MAX_BYTES = 2**20


def read_camera(text: str, generator: Generator, photos: Sequence[Path]) -> Camera:
    """Read `--camera yaw,pitch[,fov]` or `--camera FILE`.

    Args:
        text: Degrees, or a file: EG3D's 25 numbers as text or as a JSON list (one row per photo), a dataset.json, a
            nerfstudio camera path, a transforms.json or a COLMAP folder with one camera per photo.
        generator: Its default view gives distance, lens and target.
        photos: What the cameras belong to.

    Returns:
        One camera per photo, [photos].

    Raises:
        NotFoundError: It looks like a file, and there is none.
        InputError: It is neither, or holds other than one camera per photo.
    """
    angles = _angles(text)
    if angles is None:
        cameras = _from_file(Path(text))
    elif len(photos) > 1:
        raise InputError(f"--camera {one_line(text)} is one camera for {len(photos)} photos; give a file with one each")
    else:
        view = generator.settings.default_view
        yaw, pitch, *fov = angles
        if not -90 <= pitch <= 90:
            raise InputError(f"pitch is {pitch:g}; it must lie in -90..90 degrees (90 = straight from above)")
        fov_y_deg = fov[0] if fov else view.fov_y_deg
        cameras = Camera.from_spherical([yaw], pitch, view.radius, fov_y_deg=fov_y_deg, target=view.target)
    if len(cameras) != len(photos):
        raise InputError(f"{one_line(text)} holds {len(cameras)} cameras for {len(photos)} photos; give one each")
    return cameras.to(generator.device)


def _angles(text: str) -> list[float] | None:
    """Two or three numbers; None if it must be a file's name."""
    parts = [part.strip() for part in text.split(",")]
    try:
        numbers = [float(part) for part in parts] if any(parts) else []
    except ValueError:
        return None
    if len(numbers) not in (2, 3):
        raise InputError(f"camera is {one_line(text)!r}; write yaw,pitch or yaw,pitch,fov in degrees, or a file's name")
    return numbers


def _from_file(path: Path) -> Camera:
    if not path.exists():
        raise NotFoundError(f"no camera file at {path}; give a file, or yaw,pitch[,fov] in degrees")
    if path.is_dir():
        return load_cameras(path)
    if path.stat().st_size > _MAX_BYTES:
        return load_cameras(path)
    numbers = _numbers(path)
    if numbers is None:
        return load_cameras(path)
    if not numbers or len(numbers) % _LABEL:
        raise InputError(f"{path} holds {len(numbers)} numbers; a camera label has {_LABEL} (16 + 9)")
    try:
        return Camera.from_eg3d_label(torch.tensor(numbers, dtype=torch.float32).reshape(-1, _LABEL))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _numbers(path: Path) -> list[float] | None:
    """Read bare numbers, as text or as a JSON list (of lists); None if the file is something else."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text; give a camera label as text or JSON, or a camera file") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if text.lstrip().startswith("{"):
        return None
    try:
        rows = json.loads(text) if text.lstrip().startswith("[") else re.split(r"[\s,;]+", text.strip())
        flat = [one for row in rows for one in (row if isinstance(row, list) else [row])]
        return [float(one) for one in flat]
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is no camera: not {_LABEL} numbers, and not JSON of a known format") from error
