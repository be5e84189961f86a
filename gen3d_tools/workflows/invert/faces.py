"""`gen3d invert --align`: faces are cut out as the model was trained on them, and their cameras are where it starts."""

from collections.abc import Sequence
from pathlib import Path

from gen3d_tools.cameras.camera import Camera, stack_cameras
from gen3d_tools.generators.base import Generator
from gen3d_tools.media.photos import OpenedPhoto
from gen3d_tools.photos.alignment.presets import preset_for
from gen3d_tools.photos.background import check_separation
from gen3d_tools.photos.photo import Photo, known_cameras, prepare_photo
from gen3d_tools.workflows.align import FaceFinder, FaceOptions
from gen3d_tools.workflows.running.reporting import Reporter


def load_faces(
    photos: Sequence[Path], options: FaceOptions, background: str, generator: Generator, reporter: Reporter
) -> tuple[list[Photo], Camera | None]:
    """Cut the face out of every photo, and say what was done.

    Args:
        photos: Picture files.
        options: Which face of each.
        background: What is done about the background of the crops; "auto" leaves it.
        generator: Its default camera says which preset its pictures were made by.
        reporter: Takes messages.

    Returns:
        The crops, and one camera per photo, [photos], from which stage one goes on; None for a model whose cameras are
        not those of EG3D's labels.

    Raises:
        Gen3DError: See `FaceFinder.find`.
    """
    finder = FaceFinder(options, preset_for(generator.default_camera()))
    separation = check_separation("none" if background == "auto" else background)
    prepared, cameras = [], []
    for photo in photos:
        face = finder.find(photo)
        opened = OpenedPhoto(face.aligned.picture, None, face.notes)
        prepared.append(prepare_photo(opened, photo, generator, background=separation))
        cameras += [] if face.aligned.camera is None else [face.aligned.camera.to(generator.device)]
        for line in prepared[-1].warnings:
            reporter.say(line)
    return prepared, known_cameras(stack_cameras(cameras), prepared) if cameras else None
