"""What each kind of published face generator expects of a photo."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.media.images import from_uint8
from gen3d_tools.photos.alignment.crop import Crop, eg3d_crop, ffhq_crop, levelled
from gen3d_tools.photos.alignment.head import fit_head
from gen3d_tools.photos.alignment.landmarks import SMALL_FACE, Landmarks
from gen3d_tools.photos.alignment.pose import FOCAL, RADIUS, fit_camera, roll_deg
from gen3d_tools.wording import option

PresetName = Literal["eg3d-ffhq", "panohead", "square"]
"""EG3D's FFHQ crop with its label; the FFHQ crop with PanoHead's label (margins 0); the FFHQ crop alone."""

TILTED_DEG = 5.0  # roll from which on levelling is worth a word

_SAME_FOCAL, _SAME_RADIUS = 0.02, 0.02  # relative: whether a model's own cameras are those of the labels


def check_preset(name: str) -> PresetName:
    """Read `--preset` of `gen3d align`.

    Raises:
        InputError: There is no such preset.
    """
    for known in get_args(PresetName):
        if name.strip().lower() == known:
            found: PresetName = known
            return found
    known = ", ".join(get_args(PresetName))
    raise InputError(f"there is no preset {name[:40]!r}; choose from {known} for faces, or object for objects")


def preset_for(camera: Camera) -> PresetName:
    """Choose the preset for a model by its default camera: one as in EG3D's labels, or any other.

    Args:
        camera: A single camera.
    """
    focal, radius = float(camera.intrinsics[1, 1]), float(camera.position.norm())
    labelled = abs(focal / FOCAL - 1) < _SAME_FOCAL and abs(radius / RADIUS - 1) < _SAME_RADIUS
    return "eg3d-ffhq" if labelled else "square"


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """A face as a generator expects it."""

    picture: Float[Tensor, "3 n n"]
    """In [0, 1]."""

    camera: Camera | None
    """A single camera in EG3D's world; None where the generator has no camera per photo."""

    points: Float[Tensor, "5 2"]
    """The landmarks in the picture, in sides of it."""

    roll_deg: float
    """How far the head is still turned clockwise in the picture."""

    notes: tuple[str, ...]
    """What a person should know, one line each."""


def align_face(
    rgb: Float[Tensor, "3 h w"], landmarks: Landmarks, preset: PresetName = "eg3d-ffhq", *, level: bool = False
) -> AlignedFace:
    """Cut a face out of a photo, and find the camera that goes with the crop.

    Args:
        rgb: The photo, in [0, 1].
        landmarks: Five points in its pixels.
        preset: What kind of generator it is for.
        level: Turn the photo first until the eyes are level. The published EG3D crops keep a head's tilt, and so does
            the label; the FFHQ crops are always level.

    Raises:
        InputError: The points are those of no face, or the face is far too small.
    """
    photo = Image.fromarray((rgb.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8))
    notes = []
    if landmarks.face_width < SMALL_FACE:
        notes.append(
            f"the face is only about {landmarks.face_width:.0f} pixels wide ({SMALL_FACE} or more are good); expect a "
            "blurred crop"
        )
    if level:
        photo, landmarks = levelled(photo, landmarks)
    crop = _crop(photo, landmarks, preset)
    points = crop.inside(landmarks.points)
    camera = None if preset == "square" else fit_camera(points, aim_at_origin=preset == "panohead")
    turned = landmarks.roll_deg if preset == "eg3d-ffhq" else 0.0
    turned = turned if camera is None else roll_deg(camera)
    if preset == "eg3d-ffhq" and abs(turned) > TILTED_DEG:
        turn_away = option("level", True)
        notes.append(f"the head is tilted by {turned:.0f}°, in the crop and in the label; {turn_away} levels it")
    picture = from_uint8(np.asarray(crop.picture))
    return AlignedFace(picture, camera, points.float(), turned, tuple(notes))


def _crop(photo: Image.Image, landmarks: Landmarks, preset: PresetName) -> Crop:
    if preset == "eg3d-ffhq":
        return eg3d_crop(photo, fit_head(landmarks, photo.height))
    return ffhq_crop(photo, landmarks)


def mirrored_label(label: Float[Tensor, " 25"]) -> Float[Tensor, " 25"]:
    """Give the label of the mirrored picture: entries 01, 02, 10, 20 and 03 of the matrix change their signs."""
    signs = torch.ones(25)
    signs[[1, 2, 4, 8, 3]] = -1
    return label * signs.to(label)
