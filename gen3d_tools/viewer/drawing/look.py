"""What of an object is shown, and how: a rendered window becomes pixels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import UInt8

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.fields.render_config import Background, RenderConfig
from gen3d_tools.generators.settings import ModelSettings, config_for
from gen3d_tools.media.images import depth_picture, normal_picture, to_uint8
from gen3d_tools.rendering.ray_rendering import Sampling
from gen3d_tools.rendering.strips import WindowPicture, enlarged_in_strips, window_in_strips, window_normals
from gen3d_tools.workflows.video.frames import depth_span

Kind = Literal["colour", "depth", "normals", "opacity"]
Behind = Literal["model's own", "white", "grey", "black"]

KINDS: tuple[Kind, ...] = get_args(Kind)
BACKGROUNDS: tuple[Behind, ...] = get_args(Behind)
SIZES = (256, 384, 512, 768, 1024)
"""Sides of sharp pictures that are offered, pixels."""

BESIDE = 246
"""Brightness beside a square picture in a window that is none."""

_CONFIGS: dict[Behind, Background] = {"white": "white", "grey": "grey", "black": "none"}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is shown."""

    kind: Kind = "colour"
    background: Behind = "model's own"
    exact: bool = False  # sharp pictures by the family's own samples
    raw: bool = False  # without the model's super-resolution
    size: int | None = None  # shorter side of a sharp picture, pixels; None = the window's, as far as time allows

    def checked(self) -> "Look":
        """Refuse what there is not.

        Raises:
            InputError: An unknown kind, background or size.
        """
        if self.kind not in KINDS or self.background not in BACKGROUNDS:
            raise InputError(f"there is no picture of {self.kind!r} on {self.background!r}")
        if self.size is not None and self.size not in SIZES:
            raise InputError(f"size is {self.size}; choose one of {', '.join(map(str, SIZES))}")
        return self

    def config(self, settings: ModelSettings, camera: Camera) -> RenderConfig:
        """Give the render settings under which the object is whole, on the background."""
        config = settings.render_config if self.exact else config_for(camera, settings)
        if self.background == "model's own":
            return config
        return replace(config, background=_CONFIGS[self.background], last_in_coarse_pass=False)

    @property
    def sampling(self) -> Sampling:
        """What the renderer is told of a sharp picture."""
        return "published" if self.exact else "default"


def is_square(field: RadianceField) -> bool:
    """Whether a field is seen in squares only: a network enlarges them, or a picture stands behind it."""
    return field.super_resolution is not None or field.backdrop is not None


def window_size(side: int, aspect: float) -> tuple[int, int]:
    """Give width and height of a picture in a window's shape, pixels.

    Both are even or both odd, so that the middle square's pixels are those of a square picture.

    Args:
        side: Shorter side, pixels.
        aspect: Width over height.
    """
    longer = round(side * max(aspect, 1 / aspect))
    longer += (longer - side) % 2
    return (longer, side) if aspect >= 1 else (side, longer)


def strips(
    field: RadianceField, camera: Camera, look: Look, settings: ModelSettings, side: int, aspect: float, *, sharp: bool
) -> Iterator[WindowPicture | None]:
    """Choose how a picture is made, and begin it.

    Args:
        field: The object.
        camera: Of the window's middle square.
        look: What is to be shown.
        settings: Of the model.
        side: Shorter side, pixels.
        aspect: Width over height of the window.
        sharp: Nothing moves: the family's own samples where they are asked for, and its super-resolution.
    """
    config = look.config(settings, camera) if sharp else replace(look, exact=False).config(settings, camera)
    sampling = look.sampling if sharp else "default"
    if sharp and field.super_resolution is not None and not look.raw and look.kind != "normals":
        return enlarged_in_strips(field, camera, look.size, config=config, sampling=sampling)
    width, height = (side, side) if is_square(field) else window_size(side, aspect)
    return window_in_strips(field, camera, width, height, config=config, sampling=sampling)


def pixels_of(
    field: RadianceField,
    picture: WindowPicture,
    camera: Camera,
    look: Look,
    aspect: float,
    span: tuple[float, float] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Turn a picture into pixels of the window's shape.

    Args:
        field: The object.
        picture: What was rendered.
        camera: From where.
        look: What is to be shown.
        aspect: Width over height of the window; a square picture gets grey sides.
        span: Depths of the brightest and the darkest colour; None = half a box before and behind the box's middle.
    """
    if look.kind == "depth":
        ends = span or depth_span(camera.flatten(), field.box_side)
        shown = depth_picture(picture.depth, picture.opacity, *ends)
    elif look.kind == "normals":
        shown = normal_picture(window_normals(field, picture), picture.opacity)
    elif look.kind == "opacity":
        shown = picture.opacity.clamp(0, 1).expand(3, -1, -1)
    else:
        shown = picture.rgb
    pixels = to_uint8(shown)
    return _beside(pixels, aspect) if is_square(field) else pixels


def _beside(pixels: UInt8[np.ndarray, "side side 3"], aspect: float) -> UInt8[np.ndarray, "h w 3"]:
    """Put a square picture into the middle of a window."""
    side = len(pixels)
    width, height = window_size(side, aspect)
    window = np.full((height, width, 3), BESIDE, np.uint8)
    top, left = (height - side) // 2, (width - side) // 2
    window[top : top + side, left : left + side] = pixels
    return window
