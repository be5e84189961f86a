"""Pictures of one object with the cameras that took them: sets for nerfstudio, COLMAP and what reads their files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.colmap import write_colmap
from gen3d_tools.cameras.formats import write_transforms
from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.rendering.rays import through_middles
from gen3d_tools.wording import option
from gen3d_tools.workflows.samples.selection import Sample, make_fields
from gen3d_tools.workflows.samples.views import ViewOptions

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
            cameras: One for each picture, [n]; see `cameras_of_pixels`.
            pictures: Their files.
            size: Side of the pictures in pixels.
            folder: What names in the file are relative to.
            overwrite: Replace what stands there.

        Raises:
            Gen3DError: It cannot be written.
        """
        names = [picture.relative_to(folder).as_posix() for picture in pictures]
        _WRITERS[self.format](self.path, cameras, width=size, height=size, names=names, overwrite=overwrite)


def cameras_of_pixels(cameras: Camera, generator: Generator, sample: Sample, psi: float, look: ViewOptions) -> Camera:
    """Give the cameras of pictures as other programs take them: each pixel is seen through its middle.

    Args:
        cameras: What the pictures were rendered with, [n].
        generator: Of the pictures; the families differ in where their rays lie.
        sample: What they show.
        psi: Its truncation.
        look: How they were taken.
    """
    grid, rays = generator.settings.render_config.pixel_grid, look.side(generator)
    if grid == "corners" and generator.super_resolves and not look.raw:
        [field] = make_fields(generator, [sample], psi)
        upscaler = field.super_resolution
        assert upscaler is not None, "the generator super-resolves"
        rays = upscaler.render_resolution if upscaler.grid_share == 1 else upscaler.resolution
    return through_middles(cameras, rays, grid)


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
