"""Signed distance primitives, masks and colours from which the classes are built.

Every coordinate and every distance is `[b, n]`: b shapes, n points each. A size is a number or `[b, 1]`,
one value per shape. Distances are negative inside; where a formula is not exact its gradient norm near the
surface stays between about .6 and 1.4 (tracing steps shorter, training divides by the norm). Colours are
`[b, 1 or n, 3]` in [0, 1].
The formulas are the well-known exact ones (Hart 1996; Quilez, "Distance functions").
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Coord = Float[Tensor, "b n"]
Size = float | Float[Tensor, "b 1"]
Color = Float[Tensor, "b _ 3"]  # one colour per shape or one per point

EDGE = 0.005  # half the width over which a painted edge blends, world units
REACH = 0.462  # from the origin, world units
FADING = 2.0  # world units a part shrinks by per unit of the parameter that takes it away


class Solid:
    """Union of coloured parts. Colours are functions, so asking for distances alone never computes them."""

    def __init__(self, scale: Size = 1.0) -> None:
        """Begin with nothing; `scale` is what the coordinates were multiplied by (see `fitted`)."""
        self._scale = scale
        self._parts: list[tuple[Coord, Callable[[], Color]]] = []

    def add(self, distance: Coord, color: Callable[[], Color]) -> None:
        """Add a part; where parts overlap, the deeper one gives the colour."""
        self._parts.append((distance / self._scale, color))

    def distance(self) -> Coord:
        """Signed distance of the union."""
        total = self._parts[0][0]
        for distance, _ in self._parts[1:]:
            total = torch.minimum(total, distance)
        return total

    def color(self) -> Float[Tensor, "b n 3"]:
        """Albedo of the part that is nearest to (or deepest around) each point."""
        nearest, painter = self._parts[0]
        color = painter().expand(*nearest.shape, 3)
        for distance, painter in self._parts[1:]:
            color = torch.where((distance < nearest)[..., None], painter(), color)
            nearest = torch.minimum(nearest, distance)
        return color


def between(u: Float[Tensor, "b k"], index: int, low: float, high: float) -> Float[Tensor, "b 1"]:
    """Map one latent parameter from (0, 1) to (low, high)."""
    return low + (high - low) * u[:, index : index + 1]


def warm_hue(u: Float[Tensor, "b k"], index: int, span: float) -> Float[Tensor, "b 1"]:
    """Hue that is red at u = .5 and reaches further towards yellow and green than towards magenta."""
    t = u[:, index : index + 1] - 0.5
    return span * (t + 0.8 * t.square())


# --- distances -----------------------------------------------------------------------------------


def length(*components: Coord) -> Coord:
    """Euclidean length of a vector given by its components."""
    total = components[0].square()
    for component in components[1:]:
        total = total + component.square()
    return (total + 1e-12).sqrt()


def _rounded_corner(excess: tuple[Coord, ...], rounding: Size) -> Coord:
    """Distance to a corner region whose faces are at `excess = -rounding`."""
    largest = excess[0]
    for component in excess[1:]:
        largest = torch.maximum(largest, component)
    return length(*(component.clamp_min(0) for component in excess)) + largest.clamp_max(0) - rounding


def box(x: Coord, y: Coord, z: Coord, half: tuple[Size, Size, Size], rounding: Size = 0.0) -> Coord:
    """Box around the origin with half sides `half`, edges rounded inside these sides."""
    excess = tuple(c.abs() - (h - rounding) for c, h in zip((x, y, z), half, strict=True))
    return _rounded_corner(excess, rounding)


def rectangle(a: Coord, b: Coord, half_a: Size, half_b: Size, rounding: Size = 0.0) -> Coord:
    """Rectangle in two coordinates; revolve it by passing a radius, extrude it by ignoring the third."""
    return _rounded_corner((a.abs() - (half_a - rounding), b.abs() - (half_b - rounding)), rounding)


def disc(radius: Coord, height: Coord, half_radius: Size, half_height: Size, rounding: Size = 0.0) -> Coord:
    """Cylinder given the distance from its axis and the coordinate along it."""
    return rectangle(radius, height, half_radius, half_height, rounding)


def tapered_box(
    x: Coord, y: Coord, z: Coord, half: tuple[Size, Size, Size], slope: tuple[float, float], rounding: float = 0.0
) -> Coord:
    """Box whose x and z sides lean inwards by `slope` per unit of y; `half` holds at y = 0."""
    lean_x, lean_z = (1 / math.sqrt(1 + s * s) for s in slope)
    excess = (
        (x.abs() - (half[0] - slope[0] * y)) * lean_x + rounding,
        y.abs() - (half[1] - rounding),
        (z.abs() - (half[2] - slope[1] * y)) * lean_z + rounding,
    )
    return _rounded_corner(excess, rounding)


def cone(radius: Coord, y: Coord, bottom: Size, top: Size, half: Size, rounding: float = 0.0) -> Coord:
    """Capped cone about the y axis: radius `bottom` at y = -half, `top` at y = half."""
    bottom, top, half = bottom - rounding, top - rounding, half - rounding
    rim = torch.where(y < 0, bottom, top)
    cap_a, cap_b = radius - torch.minimum(radius, rim), y.abs() - half
    run, rise = top - bottom, 2 * half
    t = (((top - radius) * run + (half - y) * rise) / (run * run + rise * rise)).clamp(0, 1)
    side_a, side_b = radius - top + run * t, y - half + rise * t
    squared = torch.minimum(cap_a.square() + cap_b.square(), side_a.square() + side_b.square())
    inside = (side_a < 0) & (cap_b < 0)
    return torch.where(inside, -1.0, 1.0) * (squared + 1e-12).sqrt() - rounding


def ellipsoid(x: Coord, y: Coord, z: Coord, radii: tuple[Size, Size, Size]) -> Coord:
    """Ellipsoid, to first order exact at the surface."""
    scaled = [c / r for c, r in zip((x, y, z), radii, strict=True)]
    value = length(*scaled)
    gradient = length(*(c / r for c, r in zip(scaled, radii, strict=True)))
    return value * (value - 1) / gradient.clamp_min(1e-4)


def torus(radius: Coord, y: Coord, ring: Size, tube: Size) -> Coord:
    """Torus about the y axis."""
    return length(radius - ring, y) - tube


def smooth_min(a: Coord, b: Coord, width: float) -> Coord:
    """Union whose crease is filled over `width` (quadratic polynomial)."""
    h = (0.5 + 0.5 * (b - a) / width).clamp(0, 1)
    return b + (a - b) * h - width * h * (1 - h)


def smooth_max(a: Coord, b: Coord, width: float) -> Coord:
    """Intersection whose edge is rounded over `width`."""
    return -smooth_min(-a, -b, width)


def rotate(a: Coord, b: Coord, angle: Size) -> tuple[Coord, Coord]:
    """Turn the (a, b) plane by `angle` radians."""
    angle = torch.as_tensor(angle, dtype=a.dtype, device=a.device)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return a * cos - b * sin, a * sin + b * cos


def capsule(offset: tuple[Coord, ...], axis: tuple[Size, ...], radius: Size) -> Coord:
    """Rod with round ends from the origin of `offset` to `axis`."""
    along = sum(o * a for o, a in zip(offset, axis, strict=True)) / sum(a * a for a in axis)
    t = along.clamp(0, 1)
    return length(*(o - a * t for o, a in zip(offset, axis, strict=True))) - radius


def fitted(points: Float[Tensor, "b n 3"], reach: Size) -> tuple[Coord, Coord, Coord, Size]:
    """Coordinates in which a thing reaching `reach` from the origin fits the ball every camera sees whole.

    Returns x, y and z, and what they were multiplied by (1 where the thing is small enough): give that to `Solid`.
    """
    scale = (torch.as_tensor(reach, dtype=points.dtype, device=points.device) / REACH).clamp_min(1)
    x, y, z = points.unbind(-1)
    return x * scale, y * scale, z * scale, scale


def where_above(distance: Coord, u: Float[Tensor, "b k"], index: int, threshold: float) -> Coord:
    """Keep a part where one latent parameter is above `threshold`; it shrinks away just below."""
    return distance + FADING * (threshold - u[:, index : index + 1]).clamp_min(0)


def where_below(distance: Coord, u: Float[Tensor, "b k"], index: int, threshold: float) -> Coord:
    """Keep a part where one latent parameter is below `threshold`; it shrinks away just above."""
    return distance + FADING * (u[:, index : index + 1] - threshold).clamp_min(0)


def fold_sectors(x: Coord, z: Coord, count: int, offset: float = 0.0) -> tuple[Coord, Coord]:
    """Fold the plane into one of `count` equal sectors around the +x axis (offset in sectors)."""
    sector = 2 * math.pi / count
    turn = torch.atan2(z, x) / sector + offset
    angle = (turn - torch.round(turn)) * sector
    radius = length(x, z)
    return radius * torch.cos(angle), radius * torch.sin(angle)


# --- colours -------------------------------------------------------------------------------------


def inside(distance: Coord) -> Coord:
    """Mask: 1 where a (painted) distance is negative, 0 where positive, blending over `EDGE` each side."""
    return (0.5 - distance / (2 * EDGE)).clamp(0, 1)


def mix(under: Color, over: Color, mask: Coord) -> Float[Tensor, "b n 3"]:
    """Paint `over` on `under` where `mask` is 1."""
    return under + (over - under) * mask[..., None]


def hsv(hue: Size, saturation: Size, value: Size, like: Tensor) -> Float[Tensor, "b 1 3"]:
    """Colour from hue (in turns, any real), saturation and value; `like` gives batch, device and dtype."""
    hue, saturation, value = (torch.zeros_like(like[:, :1]) + component for component in (hue, saturation, value))
    corner = (like.new_tensor([5.0, 3.0, 1.0]) + hue * 6) % 6
    color = value - value * saturation * torch.minimum(corner, 4 - corner).clamp(0, 1)
    return color[:, None]


def paint(rgb: tuple[float, float, float], like: Tensor) -> Float[Tensor, "b 1 3"]:
    """The same colour for every shape of the batch."""
    return like.new_tensor(rgb).expand(like.shape[0], 1, 3)
