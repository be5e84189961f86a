"""What a model does not allow of `gen3d invert`, whichever photo it is asked about."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import class_index
from gen3d_tools.generators.reconstructors.triposr import TripoSR
from gen3d_tools.inversion.api import find_helpers
from gen3d_tools.inversion.pti import check_settings
from gen3d_tools.wording import option
from gen3d_tools.workflows.invert.photo_cameras import read_camera
from gen3d_tools.workflows.reconstruct import check_request

if TYPE_CHECKING:
    from gen3d_tools.workflows.invert.run import InversionRequest


def check_model(generator: Generator | TripoSR, request: "InversionRequest") -> None:
    """Refuse options that are not for this kind of model.

    Raises:
        InputError: Refining of what is tuned in any case; or see `check_request`.
    """
    about, work = request.about, request.work
    if isinstance(generator, TripoSR):
        wanted = {name: getattr(about, name) for name in ("class_name", "camera", "align")}
        wanted |= {name: getattr(work, name) for name in ("space", "tune", "conditioning", "features")}
        unfit = {name: value is not None for name, value in wanted.items()} | {"resume": request.resume}
        check_request(request.photos, unfit, steps=work.steps, refine=request.refine)
    elif request.refine:
        raise InputError(f"{option('refine', True)} is for models without latents; this one is tuned in any case")


def check_options(generator: Generator, request: "InversionRequest", photos: Sequence[Path]) -> None:
    """Refuse options that no photo could be rebuilt with, before any work.

    Args:
        generator: The model.
        request: What is asked for.
        photos: An object each.

    Raises:
        Gen3DError: Unknown class, camera or features, or settings that the model does not allow.
    """
    about, work = request.about, request.work
    if about.class_name is not None:
        class_index(about.class_name, generator.class_names)
    camera = None
    if about.camera is not None:
        camera = _first_camera(about.camera, generator, photos)
    elif about.align is not None:
        camera = generator.default_camera().flatten()  # stands for that of the crop, which is not cut yet
    check_settings(generator, work.settings(), camera)
    if work.features is not None:
        find_helpers(generator, work.features)


def _first_camera(text: str, generator: Generator, photos: Sequence[Path]) -> Camera:
    """Read the camera of the first photo that has one: labels may lack others, which are listed as failed."""
    first: Gen3DError | None = None
    for photo in photos:
        try:
            return read_camera(text, generator, [photo])
        except Gen3DError as error:
            first = first or error
    assert first is not None
    raise first
