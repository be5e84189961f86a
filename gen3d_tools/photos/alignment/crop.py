"""The square of a photo that a preset cuts out. Places are continuous: the first pixel reaches from 0 to 1."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.photos.alignment.head import HeadFit
from gen3d_tools.photos.alignment.landmarks import Landmarks

SIZE = 512
"""Pixels of every crop."""

_HEAD_PIXELS = 300  # pixels per unit of the head in the enlarged photo (published: rescale factor 300)
_WINDOW, _MIDDLE = 1024, 700  # pixels around the head's origin, and of those the ones that are kept
_LARGEST_SCALE = 64.0  # an enlargement beyond this has no picture left in it
_BLACK = (0, 0, 0)


@dataclass(frozen=True, eq=False)
class Crop:
    """A square in a photo, perhaps turned, and its pixels."""

    picture: Image.Image
    """`SIZE` pixels each way; black beyond the photo's edges."""

    origin: Float[Tensor, " 2"]
    """Upper left corner in the photo."""

    axes: Float[Tensor, "2 2"]
    """Rows: the upper side and the left side of the square, as seen in the photo."""

    def inside(self, points: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
        """Give where pixels of the photo are in the crop, in sides of it: 0.5, 0.5 is its middle."""
        places: Tensor = torch.linalg.solve(self.axes.T, (points.to(self.axes) + 0.5 - self.origin).T).T
        return places


def eg3d_crop(photo: Image.Image, head: HeadFit) -> Crop:
    """Cut out EG3D's FFHQ crop: the photo enlarged to 300 pixels per head unit, 1024 around the head, its middle 700.

    The published script enlarges the whole photo; here only the window is, with the same pixels.

    Args:
        photo: RGB.
        head: Where the head is.

    Raises:
        InputError: The face is so small that the photo would have to be enlarged beyond measure.
    """
    width, height = photo.size
    scale = _HEAD_PIXELS / head.scale
    if scale > _LARGEST_SCALE:
        raise InputError(
            f"the face is {head.scale * 2 * 0.62:.0f} pixels wide, too small for a crop of {SIZE}; give a larger photo"
        )
    large = (int(width * scale), int(height * scale))
    left = int(large[0] / 2 - _WINDOW / 2 + (head.x - width / 2) * scale)
    top = int(large[1] / 2 - _WINDOW / 2 + (height / 2 - head.y) * scale)
    window = _enlarged(photo, large, left, top)
    margin = (_WINDOW - _MIDDLE) // 2
    middle = window.crop((margin, margin, margin + _MIDDLE, margin + _MIDDLE))
    steps = torch.tensor([width / large[0], height / large[1]], dtype=torch.float64)  # photo pixels per pixel
    origin = torch.tensor([left + margin, top + margin], dtype=torch.float64) * steps
    return Crop(middle.resize((SIZE, SIZE), Image.Resampling.LANCZOS), origin, torch.diag(steps * _MIDDLE))


def _enlarged(photo: Image.Image, large: tuple[int, int], left: int, top: int) -> Image.Image:
    """Cut a window out of the photo resized (bicubic) to `large`, without making the rest of it."""
    window = Image.new("RGB", (_WINDOW, _WINDOW), _BLACK)
    first = (max(0, left), max(0, top))
    last = (min(large[0], left + _WINDOW), min(large[1], top + _WINDOW))
    if first[0] >= last[0] or first[1] >= last[1]:
        return window
    steps = (photo.width / large[0], photo.height / large[1])
    box = (first[0] * steps[0], first[1] * steps[1], last[0] * steps[0], last[1] * steps[1])
    box = (box[0], box[1], min(box[2], float(photo.width)), min(box[3], float(photo.height)))
    part = photo.resize((last[0] - first[0], last[1] - first[1]), Image.Resampling.BICUBIC, box=box)
    window.paste(part, (first[0] - left, first[1] - top))
    return window


def ffhq_crop(photo: Image.Image, landmarks: Landmarks) -> Crop:
    """Cut out the square of the FFHQ recipe, which levels the head (Karras et al. 2019, appendix C).

    Args:
        photo: RGB.
        landmarks: Eye and mouth middles stand for those of the recipe's 68 points.
    """
    eyes, down = landmarks.eyes.double(), (landmarks.mouth_middle - landmarks.eye_middle).double()
    across = eyes - down.flip(0) * torch.tensor([-1.0, 1.0], dtype=torch.float64)
    across = across / across.norm() * max(2.0 * float(eyes.norm()), 1.8 * float(down.norm()))
    along = across.flip(0) * torch.tensor([-1.0, 1.0], dtype=torch.float64)
    middle = landmarks.eye_middle.double() + 0.1 * down + 0.5
    origin, axes = middle - across - along, torch.stack([2 * across, 2 * along])
    return Crop(_sampled(photo, origin, axes), origin, axes)


def _sampled(photo: Image.Image, origin: Tensor, axes: Tensor) -> Image.Image:
    """Sample a turned square of the photo, at twice the size first so that nothing flickers."""
    shrink = max(1, math.floor(float(axes[0].norm()) / (2 * SIZE)))
    if shrink > 1:
        photo = photo.reduce(shrink)
    side = 2 * SIZE
    (a, d), (b, e) = (axes / shrink / side).tolist()
    c, f = (origin / shrink).tolist()
    turned = photo.transform(
        (side, side), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BICUBIC, fillcolor=_BLACK
    )
    return turned.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def levelled(photo: Image.Image, landmarks: Landmarks) -> tuple[Image.Image, Landmarks]:
    """Turn a photo about its middle until the eyes are level; it grows so that nothing is lost."""
    angle = landmarks.roll_deg
    turned = photo.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=_BLACK)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    rotation = torch.tensor([[cos, sin], [-sin, cos]], dtype=torch.float64)
    before, after = (torch.tensor(one.size, dtype=torch.float64) / 2 for one in (photo, turned))
    points = (landmarks.points.double() + 0.5 - before) @ rotation.T + after - 0.5
    return turned, Landmarks(points.float())
