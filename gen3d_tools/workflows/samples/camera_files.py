"""Pictures of one object with the cameras that took them: sets for nerfstudio, COLMAP and what reads their files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.colmap import write_colmap
from gen3d_tools.cameras.formats import write_transforms
from gen3d_tools.errors import InputError
from gen3d_tools.wording import option

_FILES: dict[str, Path] = {"nerfstudio": Path("transforms.json"), "colmap": Path("sparse", "0")}
_WRITERS: dict[str, Callable[..., None]] = {"nerfstudio": write_transforms, "colmap": write_colmap}


@dataclass(frozen=True)
class CameraFile:
    """Where the cameras of a set of pictures go, and in which form."""

    path: Path
    """`transforms.json`, or the folder `sparse/0` of COLMAP's text model, beside the pictures."""
    format: str

    @property
    def line(self) -> str:
        """What it is, for people."""
        return f"the pictures' cameras for {self.format}"

    def write(self, cameras: Camera, pictures: Sequence[Path], size: int, folder: Path, *, overwrite: bool) -> None:
        """Write the cameras.

        Args:
            cameras: One for each picture, [n].
            pictures: Their files.
            size: Side of the pictures in pixels.
            folder: What names in the file are relative to.
            overwrite: Replace what stands there.

        Raises:
            Gen3DError: It cannot be written.
        """
        names = [picture.relative_to(folder).as_posix() for picture in pictures]
        _WRITERS[self.format](self.path, cameras, width=size, height=size, names=names, overwrite=overwrite)


def check_cameras_out(text: str | None, kinds: Sequence[str], file: Path | None) -> str | None:
    """Read `--cameras-out nerfstudio`, and refuse it where no set of pictures is made.

    Args:
        text: As typed; None if no cameras are wanted.
        kinds: What is shown.
        file: The one output file, if one is named.

    Returns:
        The name of the format.

    Raises:
        InputError: The format is unknown, there are no colours, or all goes into one file.
    """
    if text is None:
        return None
    name = text.strip().lower()
    if name not in _FILES:
        raise InputError(f"cameras are written for {' or '.join(_FILES)}, not {text[:40]!r}")
    if "rgb" not in kinds:
        raise InputError(f"cameras belong to pictures of colours; add rgb: {option('show', ','.join(['rgb', *kinds]))}")
    if file is not None:
        raise InputError(
            f"pictures and their cameras are several files, and {file.name} is one; name a folder, such as {file.stem}/"
        )
    return name


def plan_camera_file(name: str | None, target: Path, samples: int) -> CameraFile | None:
    """Name the cameras' file.

    Args:
        name: Of the format; None if no cameras are wanted.
        target: The folder of the pictures.
        samples: How many samples there are.

    Raises:
        InputError: There are several: pictures of several objects are no set.
    """
    if name is None:
        return None
    if samples > 1:
        raise InputError(f"a set of cameras shows one object, {samples} are named; choose one class and one seed")
    return CameraFile(target / _FILES[name], name)
