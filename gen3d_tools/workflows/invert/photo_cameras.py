"""`--camera`: angles as typed, or a file that any program wrote."""

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.checks import one_line, plain_number
from gen3d_tools.cameras.formats import cameras_of_labels, load_cameras, read_eg3d_labels
from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.generators.base import Generator
from gen3d_tools.photos.photo import Photo, known_cameras
from gen3d_tools.printable import listed
from gen3d_tools.texts import decoded, parse_json

_LABEL = 25
_MAX_BYTES = 2**20
_MAX_LABELS_BYTES = 2**26


def read_known(text: str, generator: Generator, photos: Sequence[Path], prepared: Sequence[Photo]) -> Camera:
    """Read `--camera` for photos as they are compared.

    Angles are those of the generator's own framing, to which the photos were brought; a file is about the pictures that
    it was made with, before they were cropped.

    Args:
        text: See `read_camera`.
        generator: See `read_camera`.
        photos: See `read_camera`.
        prepared: The same photos.

    Returns:
        One camera per photo, [photos].

    Raises:
        NotFoundError: See `read_camera`.
        InputError: See `read_camera`.
    """
    cameras = read_camera(text, generator, photos)
    return known_cameras(cameras, prepared) if _angles(text) is None else cameras


def read_camera(text: str, generator: Generator, photos: Sequence[Path]) -> Camera:
    """Read `--camera yaw,pitch[,fov]` or `--camera FILE`.

    Args:
        text: Degrees, or a file: EG3D's 25 numbers as text or as a JSON list (one row per photo), a dataset.json, a
            nerfstudio camera path, a transforms.json, an exported list or a COLMAP folder with one camera per photo.
        generator: Its default view gives distance, lens and target where the text does not.
        photos: What the cameras belong to.

    Returns:
        One camera per photo, [photos].

    Raises:
        NotFoundError: It looks like a file, and there is none.
        InputError: It is neither, holds other than one camera per photo, or labels of other photos.
    """
    angles = _angles(text)
    if angles is None:
        cameras = read_camera_file(Path(text), generator.settings.default_view.fov_y_deg)
        names = _label_names(Path(text))
        cameras = _of_photos(cameras, names, photos, text) if names else cameras
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


def _label_names(path: Path) -> list[str]:
    """Give the pictures that the labels of a dataset.json belong to; empty for every other file."""
    if path.is_dir() or path.stat().st_size > _MAX_LABELS_BYTES:
        return []
    try:
        content = parse_json(path.read_bytes())
    except (ValueError, OSError):
        return []
    return read_eg3d_labels(path)[0] if isinstance(content, dict) and "labels" in content else []


def _of_photos(cameras: Camera, names: Sequence[str], photos: Sequence[Path], text: str) -> Camera:
    """Pick the label of each photo by its name.

    Raises:
        InputError: The file has no label for one of them, or several of which none is the nearest.
    """
    missing = [photo.name for photo in photos if all(Path(name).name != photo.name for name in names)]
    if missing:
        raise InputError(
            f"{one_line(text)} has no label for {missing[0]}; its labels belong to {listed(names)}; give the file that "
            "was made with this photo, or 25 numbers alone"
        )
    folder = Path(text).absolute().parent
    return cameras[torch.tensor([_label_of(photo, names, folder, text) for photo in photos])]


def _label_of(photo: Path, names: Sequence[str], folder: Path, text: str) -> int:
    """Find the label of a photo: of objects in folders of their own, every one has a 000.png.

    Raises:
        InputError: Labels of other folders are as near.
    """
    path = photo.absolute()
    near = {index: _shared_ends(path, Path(name)) for index, name in enumerate(names) if Path(name).name == photo.name}
    exact = [index for index in near if folder / names[index] == path]
    found = exact or [index for index, shared in near.items() if shared == max(near.values())]
    if len(found) > 1:
        raise InputError(
            f"{one_line(text)} has {len(found)} labels for {photo.name}: {listed([names[index] for index in found])}; "
            "name the photo in the folder that the file describes, or give 25 numbers alone"
        )
    return found[0]


def _shared_ends(path: Path, other: Path) -> int:
    """Count the last parts that two paths have in common."""
    pairs = zip(reversed(path.parts), reversed(other.parts), strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


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


def read_camera_file(path: Path, fov_y_deg: float) -> Camera:
    """Read cameras from a file of any kind, [n]: bare labels too, as text or JSON.

    Args:
        path: The file or folder.
        fov_y_deg: Vertical field of view in degrees where the file holds no lens.

    Raises:
        NotFoundError: There is no such file.
        InputError: It holds no cameras.
    """
    if not path.exists():
        raise NotFoundError(f"no camera file at {path}; give a file, or yaw,pitch[,fov] in degrees")
    if path.is_dir() or path.stat().st_size > _MAX_BYTES:
        return load_cameras(path, fov_y_deg=fov_y_deg)
    numbers = _numbers(path)
    if numbers is None:
        return load_cameras(path, fov_y_deg=fov_y_deg)
    if not numbers or len(numbers) % _LABEL:
        raise InputError(f"{path} holds {len(numbers)} numbers; a camera label has {_LABEL} (16 + 9)")
    try:
        return cameras_of_labels(torch.tensor(numbers, dtype=torch.float32).reshape(-1, _LABEL), path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _numbers(path: Path) -> list[float] | None:
    """Read bare numbers, as text or as a JSON list (of lists); None if the file is something else."""
    try:
        data = path.read_bytes()
        text = decoded(data).strip()
    except ValueError as error:
        raise InputError(f"{path} is no camera label ({error}); give one as text or JSON, or a camera file") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if text.startswith("{"):
        return None
    try:
        if not text.startswith("["):
            return [float(word) for word in re.split(r"[\s,;]+", text)]
        rows = parse_json(data)
        flat = [one for row in rows for one in (row if isinstance(row, list) else [row])]
        if any(isinstance(one, dict) for one in flat):
            return None
        return [plain_number(str(path), one) for one in flat]
    except ValueError as error:
        raise InputError(f"{path} is no camera: not {_LABEL} numbers, and not JSON of a known format") from error
