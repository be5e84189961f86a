"""What holds of a camera's numbers before there is a tensor: conventions, and checks of what a config says."""

import math
from typing import Literal

from gen3d_tools.errors import InputError

POLE_MARGIN = 1e-5
"""Pitches of poses stay this far from straight above and below, in radians."""
LEVEL = math.pi / 2
YawZero = Literal["z", "x"]
LARGEST = 3e38  # about the largest float32


def check_finite(name: str, *values: float) -> None:
    """Refuse what float32 cannot hold.

    Args:
        name: What the error calls the numbers.
        *values: Numbers out of a file or of a caller.

    Raises:
        InputError: NaN, infinite, or beyond the largest float32.
    """
    for value in values:
        if not abs(value) <= LARGEST:
            found = "nan" if math.isnan(value) else f"{float(value):+g}"
            raise InputError(f"{name} must be finite, got {found}")


def check_radius(radius: float, target: tuple[float, ...]) -> None:
    """Refuse a distance from a target at which no camera can stand, and a target that is no point.

    Args:
        radius: Distance, world units.
        target: World point.

    Raises:
        InputError: The distance is not positive, a number is not finite, or the target has not three.
    """
    check_finite("radius", radius)
    if len(target) != 3:
        raise InputError(f"target must be x, y, z, got {len(target)} numbers")
    check_finite("target", *target)
    if not radius > 0:
        raise InputError(f"radius must be positive, got {radius:g}")
    check_finite("radius and target together", radius + max(map(abs, target)))


def check_fov(name: str, degrees: float) -> None:
    """Refuse a field of view that no lens has.

    Args:
        name: What the error calls it.
        degrees: Field of view.

    Raises:
        InputError: Outside 0 to 180 degrees, or so small that the focal length is not finite.
    """
    check_finite(name, degrees)
    if not 0 < degrees < 180:
        raise InputError(f"{name} must lie between 0 and 180 degrees, got {degrees:g}")
    check_finite(f"the focal length of {name} {degrees:g}", 0.5 / math.tan(math.radians(degrees) / 2))
