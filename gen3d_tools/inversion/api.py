"""`invert`: a photo's path in, a tuned generator out; everything it needs is found on the way."""

from collections.abc import Sequence
from pathlib import Path

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.latents import class_index
from gen3d_tools.inversion import pti
from gen3d_tools.inversion.progress import Progress
from gen3d_tools.inversion.results.result import InversionResult
from gen3d_tools.inversion.settings import InversionSettings
from gen3d_tools.perception.encoder import PhotoEncoder, load_encoder
from gen3d_tools.perception.perceptual import PerceptualDistance, choose_distance
from gen3d_tools.photos.background import Separation
from gen3d_tools.photos.framing import measure_framing
from gen3d_tools.photos.photo import Photo, check_separated, known_cameras, load_photo


def invert(
    generator: Generator,
    photo: str | Path | Photo,
    *,
    views: Sequence[str | Path | Photo] = (),
    mask: str | Path | None = None,
    background: Separation | Path = "auto",
    object_number: int | None = None,
    camera: Camera | None = None,
    refine_camera: bool = False,
    class_name: str | int | None = None,
    settings: InversionSettings | str = "balanced",
    features: str | Path | None = None,
    progress: Progress | None = None,
) -> InversionResult:
    """Rebuild the object of a photo in 3D.

    Args:
        generator: From `load_generator`; stays as it is, the result holds a tuned copy.
        photo: A picture file, or a `Photo` that is prepared already.
        views: Further photos of the same object; they share the latent.
        mask: A picture file, white where the object of `photo` is.
        background: How to find the object otherwise: "auto", "alpha", "border", "rembg", "none", or a network's .onnx
            file.
        object_number: Which of several objects in a photo, 1 = the largest; None = the largest, which is noted.
        camera: If it is known: one for a single photo, [photos] for several. Of the pictures as they are opened, see
            `Photo.known_camera`; that of a result sees the prepared square, `Photo.uncropped` gives the picture's.
        refine_camera: Take `camera` for a start only, and let stage one move it on.
        class_name: Name or index, if it is known.
        settings: Or the name of a preset: "fast", "balanced", "best".
        features: Perceptual distance: "encoder", "lpips-vgg", "lpips-alex", "none" or a TorchScript file; None takes
            the best one at hand.
        progress: Called after every step.

    Returns:
        `.ws`, `.camera`, `.generator`, `.metrics`, and `.save(folder)`.

    Raises:
        Gen3DError: A photo cannot be used, or an argument does not fit; see the tree in `gen3d_tools.errors`.
    """
    label = None if class_name is None else class_index(class_name, generator.class_names)
    framing = None if isinstance(photo, Photo) and not views else measure_framing(generator, label)
    photos = []
    for index, one in enumerate([photo, *views]):
        own_mask = mask if index == 0 else None
        prepared = load_photo(
            one, generator, mask=own_mask, background=background, framing=framing, object_number=object_number
        )
        photos.append(prepared)
    check_separated(photos)
    encoder, distance = find_helpers(generator, features)
    return pti.invert(
        generator,
        photos[0],
        views=photos[1:],
        camera=None if camera is None else known_cameras(camera, photos),
        refine_camera=refine_camera,
        class_name=label,
        settings=settings,
        encoder=encoder,
        distance=distance,
        progress=progress,
    )


def find_helpers(
    generator: Generator, features: str | Path | None = None
) -> tuple[PhotoEncoder | None, PerceptualDistance | None]:
    """Find the encoder that belongs to a generator, and the perceptual distance to use with it.

    Raises:
        Gen3DError: A distance was asked for that cannot run.
    """
    encoder = load_encoder(generator.source) if generator.source else None
    if encoder is not None:
        encoder = encoder.to(generator.device)
    return encoder, choose_distance(features, encoder, device=generator.device)
