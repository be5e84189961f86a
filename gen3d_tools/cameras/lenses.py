"""Lenses of other programs: which are pinholes (without distortion, or with all its coefficients 0), and their numbers.

Anything else is refused by name: read as a pinhole, its pictures and its poses would not fit together.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gen3d_tools.cameras.checks import one_line, plain_number, plain_numbers
from gen3d_tools.errors import InputError

COLMAP_LENSES = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
    "FULL_OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
}
"""The parameters of COLMAP's lens models that are pinholes when all that distorts is 0."""

_PINHOLE_TYPES = {"perspective", "pinhole"}
_DISTORTION = re.compile(r"k[1-6]?|p[12]|s[1-4]|distortion_params|ftheta_p\d")
_OTHER_LENS = ("is_fisheye", "fisheye", "equirectangular", "latlong", "orthographic")
_CURE = "only pinholes are known; undistort the pictures"


def check_pinhole(values: Mapping[str, Any], what: str) -> None:
    """Refuse the lens that a table of nerfstudio or instant-ngp describes unless it is a pinhole.

    Args:
        values: The keys of a frame, with those of the file beneath.
        what: Names the frame in errors.

    Raises:
        InputError: Another type or model of camera, a distortion that is not 0, or a shutter that rolls.
    """
    if not _is_one_of(values.get("camera_type"), _PINHOLE_TYPES):
        raise InputError(f"{what}: camera_type is {one_line(values['camera_type'])}, {_CURE}")
    if not _is_one_of(values.get("camera_model"), COLMAP_LENSES):
        raise InputError(f"{what}: camera_model is {one_line(values['camera_model'])}, {_CURE}")
    for key in _OTHER_LENS:
        if values.get(key):
            raise InputError(f"{what}: {key} is {one_line(values[key])}, {_CURE}")
    if any(plain_numbers(f"{what}: rolling_shutter", values.get("rolling_shutter") or [0.0] * 4, 4)):
        raise InputError(
            f"{what}: the pictures' rows are of different moments (rolling_shutter); only still ones are known"
        )
    for key in values:
        if _DISTORTION.fullmatch(key):
            value = values[key]
            check_undistorted(dict.fromkeys([key], value) if not isinstance(value, list) else _named(key, value), what)


def check_undistorted(coefficients: Mapping[str, Any], what: str) -> None:
    """Refuse a distortion that is not 0; None is none.

    Raises:
        InputError: The message names the coefficient.
    """
    for name, value in coefficients.items():
        if value is not None and plain_number(f"{what}: {name}", value) != 0:
            raise InputError(f"{what}: the lens is distorted, {name} is {value:g}; {_CURE}")


def transforms_lens(values: Mapping[str, Any], what: str) -> list[float]:
    """Give fx, fy, cx, cy in image sides, each from pixels (`fl_x`, ...) or, the focal lengths, from an angle.

    Args:
        values: The keys of a frame of a `transforms.json`, with those of the file beneath.
        what: Names the frame in errors.

    Raises:
        InputError: There is no focal length, pixels of a picture whose size is missing, or a number out of its range.
    """
    size = picture_size(values, "h", "w")
    in_pixels = next((key for key in ("fl_x", "fl_y", "cx", "cy") if values.get(key) is not None), None)
    if in_pixels is not None and size is None:
        raise InputError(f"{what}: {in_pixels} is in pixels, but the picture's size w and h is missing")
    height, width = size or (1.0, 1.0)

    def sides(key: str, of: float) -> float | None:
        return None if values.get(key) is None else plain_number(f"{what}: {key}", values[key]) / of

    def angle(key: str) -> float | None:
        return (
            None
            if values.get(key) is None
            else focal_length(f"{what}: {key}", plain_number(f"{what}: {key}", values[key]))
        )

    fx, fy = (
        _first(sides("fl_x", width), angle("camera_angle_x")),
        _first(sides("fl_y", height), angle("camera_angle_y")),
    )
    if fx is None:
        raise InputError(f"{what}: the field of view is missing; need camera_angle_x, or fl_x with w and h")
    cx, cy = sides("cx", width), sides("cy", height)
    return [fx, fx * width / height if fy is None else fy, 0.5 if cx is None else cx, 0.5 if cy is None else cy]


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def picture_size(values: Mapping[str, Any], height: str, width: str) -> tuple[float, float] | None:
    """Height and width in pixels if the file names both.

    Args:
        values: The keys of a file, or of a frame with those of the file beneath.
        height: The key of the height.
        width: The key of the width.

    Raises:
        InputError: One is not positive.
    """
    if height not in values or width not in values:
        return None
    size = plain_number(height, values[height]), plain_number(width, values[width])
    if min(size) <= 0:
        raise InputError(f"{height} and {width} must be positive, got {size[0]:g} and {size[1]:g}")
    return size


def focal_length(what: str, angle_rad: float) -> float:
    """Give the focal length in image sides of a field of view.

    Args:
        what: Names the angle in errors.
        angle_rad: From one side of the picture to the other, radians.

    Raises:
        InputError: No lens sees so much.
    """
    if not 0 < angle_rad < math.pi:
        raise InputError(f"{what} must lie between 0 and 180 degrees, got {math.degrees(angle_rad):g}")
    return 0.5 / math.tan(angle_rad / 2)


def _is_one_of(value: object, names: Mapping[str, object] | set[str]) -> bool:
    """Whether it is not said, or is one of the names in capitals or small letters."""
    return value is None or (isinstance(value, str) and (value in names or value.lower() in names))


def _named(key: str, values: Sequence[Any]) -> dict[str, Any]:
    return {f"{key}[{index}]": value for index, value in enumerate(values)}
