"""Which lenses of other programs are pinholes: those without distortion, or with all its coefficients 0.

Anything else is refused by name: read as a pinhole, its pictures and its poses would not fit together.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gen3d_tools.cameras.checks import one_line, plain_number
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
        InputError: Another type or model of camera, or a distortion that is not 0.
    """
    if not _is_one_of(values.get("camera_type"), _PINHOLE_TYPES):
        raise InputError(f"{what}: camera_type is {one_line(values['camera_type'])}, {_CURE}")
    if not _is_one_of(values.get("camera_model"), COLMAP_LENSES):
        raise InputError(f"{what}: camera_model is {one_line(values['camera_model'])}, {_CURE}")
    for key in _OTHER_LENS:
        if values.get(key):
            raise InputError(f"{what}: {key} is {one_line(values[key])}, {_CURE}")
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


def _is_one_of(value: object, names: Mapping[str, object] | set[str]) -> bool:
    """Whether it is not said, or is one of the names in capitals or small letters."""
    return value is None or (isinstance(value, str) and (value in names or value.lower() in names))


def _named(key: str, values: Sequence[Any]) -> dict[str, Any]:
    return {f"{key}[{index}]": value for index, value in enumerate(values)}
