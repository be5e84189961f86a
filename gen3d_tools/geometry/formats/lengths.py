"""Lengths with units, as people write them, and what a file's numbers then mean."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gen3d_tools.errors import InputError

METRES = {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "in": 0.0254, "ft": 0.3048}
"""Units by name, in metres."""

LEAST_METRES = 1e-6
"""Of the longest side of what is written."""
MOST_METRES = 1e6
"""... and the most."""

_LENGTH = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def parse_length(length: str | float) -> float:
    """Read a length such as "80mm", "8 cm", "3in", "1m" or 0.08: a bare number is in metres.

    Returns:
        Metres, above 0.

    Raises:
        InputError: It is no length.
    """
    units = ", ".join(METRES)
    match = _LENGTH.fullmatch(str(length))
    if match is None or (match[2] and match[2].lower() not in METRES):
        raise InputError(
            f"scale is {str(length)[:40]!r}; it must be a length in {units}, such as 80mm, or 0.08 in metres"
        )
    metres = float(match[1]) * METRES[match[2].lower() or "m"]
    check_length(metres, str(length)[:40])
    return metres


def check_length(metres: float, shown: str) -> None:
    """Refuse a length that is beyond what any object has, and what single precision holds in any unit.

    Args:
        metres: The length.
        shown: As it was typed.

    Raises:
        InputError: It is not within `LEAST_METRES`..`MOST_METRES`.
    """
    if not LEAST_METRES <= metres <= MOST_METRES:
        limits = f"{LEAST_METRES:g} and {MOST_METRES:,.0f} metres"
        raise InputError(f"scale is {shown}; it must be the longest side, between {limits}, such as 80mm")


def check_unit(unit: str) -> None:
    """Refuse a unit that is not known.

    Raises:
        InputError: It is not one of `METRES`.
    """
    if unit not in METRES:
        raise InputError(f"unit is {unit[:20]!r}; it must be one of {', '.join(METRES)}")


@dataclass(frozen=True, kw_only=True)
class WrittenSize:
    """How large a mesh is in its file."""

    size: tuple[float, float, float]  # sides of the bounding box along the file's x, y and z, in `unit`
    volume: float  # cubic `unit`
    unit: str  # of the file's numbers; empty for a model's world units in a format that has no unit

    def __str__(self) -> str:
        """Say it in one line: `0.58 x 1.00 x 0.50 m, volume 0.0318 m³`."""
        unit = self.unit or "units"
        cubic = f" {unit}³" if self.unit else ""
        return f"{sides(self.size)} {unit}, volume {_rounded(self.volume)}{cubic}"


def sides(size: Sequence[float]) -> str:
    """Write the sides of a box so that the longest has three digits."""
    longest = max(size)
    decimals = max(0, 2 - math.floor(math.log10(longest))) if longest > 0 else 0
    return " x ".join(f"{side:,.{decimals}f}" for side in size)


def _rounded(volume: float) -> str:
    return f"{volume:,.0f}" if abs(volume) >= 1000 else f"{volume:.4g}"
