"""How large an object is in a generator's own pictures, and a photo's object brought to that size."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.compiled import raw_density_of
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.generators.base import Generator
from gen3d_tools.photos.background import Cutout

_PICTURES = 8
_LATTICE = 40  # points along each side of the box: enough to measure silhouettes
_SMALLEST = 64  # pixels each way: smaller photos are enlarged to that, so that structure can be compared
_FULL = 0.9  # of width and height: from there on a generator fills its pictures
_SLACK = 0.15  # picture sides beyond the few sizes that were measured; .06 takes 3 % of the toys for misframed


@dataclass(frozen=True)
class Framing:
    """Where objects are in a generator's pictures; all lengths in picture sides."""

    extent: float  # longer side of a silhouette's box, on average
    smallest: float
    largest: float
    centre: tuple[float, float]  # of the box, x and y from the upper left corner, on average
    shift: float  # farthest that a box's centre was from there

    @property
    def is_full(self) -> bool:
        """The generator fills its pictures: there is no object to frame, as in pictures of faces."""
        return self.smallest >= 1


FULL = Framing(extent=1, smallest=1, largest=1, centre=(0.5, 0.5), shift=0)


@torch.no_grad()
def measure_framing(generator: Generator, class_index: int | None = None) -> Framing:
    """Measure silhouettes of a few samples, from cameras as in training.

    Args:
        generator: The generator.
        class_index: Only this class; None takes what the seeds draw.
    """
    if generator.settings.render_config.background == "last":
        return FULL
    seeds = list(range(_PICTURES))
    classes = None if class_index is None else [class_index] * len(seeds)
    cameras = generator.sample_cameras(len(seeds), seeds, classes=classes)
    boxes = []
    for index, seed in enumerate(seeds):
        field = generator.fields(generator.latents([seed], None if classes is None else [classes[index]]))[0]
        if field.backdrop is not None:
            return FULL
        box = _seen_box(field, cameras[index], generator.settings.iso_level)
        if box is None:
            continue
        if min(box[2] - box[0], box[3] - box[1]) > _FULL:
            return FULL
        boxes.append(box)
    if not boxes:
        return FULL
    left, top, right, bottom = torch.tensor(boxes).unbind(1)
    extent = torch.maximum(right - left, bottom - top)
    x, y = (left + right) / 2, (top + bottom) / 2
    shift = torch.maximum((x - x.mean()).abs(), (y - y.mean()).abs()).max()
    return Framing(
        extent=float(extent.mean()),
        smallest=float(extent.min()),
        largest=float(extent.max()),
        centre=(float(x.mean()), float(y.mean())),
        shift=float(shift),
    )


def _seen_box(field: RadianceField, camera: Camera, level: float) -> tuple[float, float, float, float] | None:
    """Project the lattice points inside an object: left, top, right and bottom in the picture; None without any."""
    axis = (torch.arange(_LATTICE, device=field.device) + 0.5) / _LATTICE - 0.5
    points = torch.cartesian_prod(axis, axis, axis) * field.box_side
    inside = points[field.activate(raw_density_of(field)(points)) > level]
    rotation, position = camera.cam2world[:3, :3], camera.position
    seen = (inside - position) @ rotation
    seen = seen[seen[:, 2] > 0]
    if not len(seen):
        return None
    places = (seen / seen[:, 2:]) @ camera.intrinsics.T
    half = 0.5 * field.box_side / _LATTICE * camera.intrinsics[1, 1] / seen[:, 2].mean()
    low, high = (places[:, :2].amin(dim=0) - half).clamp(0, 1), (places[:, :2].amax(dim=0) + half).clamp(0, 1)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def silhouette_box(mask: Float[Tensor, "1 h w"]) -> tuple[float, float, float, float]:
    """Give left, top, right and bottom of what is more than half covered, as shares of width and height."""
    inside = mask[0] > 0.5
    rows, columns = inside.any(dim=1).nonzero().flatten(), inside.any(dim=0).nonzero().flatten()
    height, width = inside.shape
    return (
        float(columns[0]) / width,
        float(rows[0]) / height,
        float(columns[-1] + 1) / width,
        float(rows[-1] + 1) / height,
    )


def fits(cutout: Cutout, framing: Framing) -> bool:
    """Tell whether a photo is square already, with an object of a size and at a place as in the generator's own."""
    height, width = cutout.mask.shape[-2:]
    if height != width:
        return False
    left, top, right, bottom = silhouette_box(cutout.mask)
    extent = max(right - left, bottom - top)
    x, y = (left + right) / 2 - framing.centre[0], (top + bottom) / 2 - framing.centre[1]
    sized = framing.smallest - _SLACK <= extent <= framing.largest + _SLACK
    return sized and max(abs(x), abs(y)) <= framing.shift + _SLACK


@dataclass(frozen=True)
class Window:
    """A square cut out of a picture, which may reach beyond the edges; whole pixels."""

    left: int
    top: int
    right: int
    bottom: int
    side: float  # of what was asked for, pixels

    @staticmethod
    def around(left: float, top: float, side: float) -> "Window":
        """The smallest one that holds a square."""
        return Window(math.floor(left), math.floor(top), math.ceil(left + side), math.ceil(top + side), side)

    def in_image_sides(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, top, right and bottom in sides of a picture of that size, (0, 0) its upper left corner."""
        return self.left / width, self.top / height, self.right / width, self.bottom / height


def framed_window(cutout: Cutout, framing: Framing) -> Window:
    """The window in which an object is as large as the generator's are on average, and where they are."""
    height, width = cutout.mask.shape[-2:]
    left, top, right, bottom = silhouette_box(cutout.mask)
    left, right, top, bottom = left * width, right * width, top * height, bottom * height
    side = max(right - left, bottom - top) / framing.extent
    x = (left + right) / 2 - framing.centre[0] * side
    y = (top + bottom) / 2 - framing.centre[1] * side
    return Window.around(x, y, side)


def square_window(cutout: Cutout) -> Window:
    """The largest square in the middle."""
    height, width = cutout.mask.shape[-2:]
    side = min(height, width)
    return Window.around((width - side) / 2, (height - side) / 2, side)


def cropped(cutout: Cutout, window: Window, size: int) -> tuple[Float[Tensor, "3 n n"], Float[Tensor, "1 n n"]]:
    """Resample a window of a picture and of its mask.

    What the photo does not have is not made up: a window smaller than `size` keeps its pixels, down to `_SMALLEST`.

    Returns:
        Picture and mask, `size` pixels each way or as many as the photo has; white and empty beyond the photo's edges.
    """
    size = min(size, max(round(window.side), _SMALLEST))
    height, width = cutout.mask.shape[-2:]
    rows, columns = slice(max(0, window.top), window.bottom), slice(max(0, window.left), window.right)
    beyond = [
        (max(0, -window.left), max(0, window.right - width)),
        (max(0, -window.top), max(0, window.bottom - height)),
    ]
    rgb, mask = cutout.rgb[:, rows, columns], cutout.mask[:, rows, columns]
    return _resampled(rgb, beyond, size, 1.0), _resampled(mask, beyond, size, 0.0)


def _resampled(
    picture: Float[Tensor, "c _ _"], beyond: list[tuple[int, int]], size: int, value: float
) -> Float[Tensor, "c {size} {size}"]:
    """Fill what lies beyond the edges and resample, side by side: long photos stay as thin as they are."""
    (left, right), (top, bottom) = beyond
    height, width = picture.shape[-2:]
    sides = [((left, right, 0, 0), (height, size)), ((0, 0, top, bottom), (size, size))]
    if height * (left + width + right) > (top + height + bottom) * width:  # the other way takes less memory
        sides = [((0, 0, top, bottom), (size, width)), ((left, right, 0, 0), (size, size))]
    for pads, shape in sides:
        picture = torch.nn.functional.pad(picture, pads, value=value)
        picture = torch.nn.functional.interpolate(picture[None], shape, mode="bilinear", antialias=True)[0]
    return picture.clamp(0, 1)
