"""Cars: `points [b, n, 3], u [b, 32] -> Solid`. u[:, :20] is shape, u[:, 20:] palette."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from primitives import (
    Color,
    Coord,
    Size,
    Solid,
    between,
    box,
    disc,
    fitted,
    inside,
    length,
    mix,
    paint,
    smooth_max,
    where_above,
    where_below,
)
from torch import Tensor

from varied.palette import tint

Points = Float[Tensor, "b n 3"]
Params = Float[Tensor, "b 32"]

TWO_TONE = 0.72  # of u[:, 29]: above it the roof is of the second colour
BOXY, OPEN = 0.84, 0.12  # of u[:, 14]: above it a lorry's box, below it the open bed of a pickup


def car(points: Points, u: Params) -> Solid:
    """City car, saloon, estate, sports car, van, pickup, lorry: one body, one cabin, what they carry, four wheels."""
    long, wide = between(u, 0, 0.29, 0.435), between(u, 1, 0.125, 0.185)
    deep, wheel = between(u, 2, 0.045, 0.095), between(u, 4, 0.056, 0.112)
    tall, load = between(u, 5, 0.08, 0.2), between(u, 15, 0.15, 0.27)
    lifted = between(u, 3, -0.03, 0.045)
    height = wheel + lifted + 2 * deep + torch.maximum(tall, load * (u[:, 14:15] > BOXY))
    x, y, z, scale = fitted(points, (long.square() + 0.6 * wide.square() + 0.5 * height.square()).sqrt())
    floor = -0.45 * height
    bottom = floor + wheel + lifted
    top = bottom + 2 * deep
    front, rear = long * between(u, 6, 0.0, 0.78), -long * between(u, 7, 0.3, 0.97)
    rear = torch.where(u[:, 14:15] < OPEN, torch.maximum(rear, -0.2 * long), rear)
    rear = torch.where(u[:, 14:15] > BOXY, torch.maximum(rear, front - 0.45 * long), rear)
    paintwork = tint(u, 0, 0.0)
    glass = torch.lerp(paint((0.1, 0.12, 0.16), u), paint((0.5, 0.7, 0.85), u), u[:, 31:32, None])
    second = tint(u, 1, 0.1)
    solid = Solid(scale)
    shell = _body(x, y, z, u, (wide, deep, long), (bottom, top, front, rear))
    solid.add(shell, _painted(x, y, z, u, (paintwork, second), (long, wide, bottom + deep)))
    cabin, panes = _cabin(x, y - top, z, u, (wide, tall), (front, rear))
    roof = torch.where((u[:, 29:30] > TWO_TONE)[..., None], second, paintwork)
    solid.add(cabin, lambda: mix(roof, glass, inside(panes)))
    middle = (rear - long) / 2
    cargo = box(x, y - top - load / 2 + 0.02, z - middle, (wide, load / 2 + 0.02, (long + rear) / 2), 0.015)
    solid.add(where_above(cargo, u, 14, BOXY), lambda: second)
    wing = box(x, y - top - 0.05, z + long - 0.04, (wide * 0.92, 0.018, 0.04), 0.012)
    post = box(x.abs() - wide * 0.55, y - top - 0.02, z + long - 0.04, (0.018, 0.04, 0.025), 0.008)
    solid.add(where_above(torch.minimum(wing, post), u, 16, 0.8), lambda: paintwork)
    sign = box(x, y - top - tall - 0.018, z - (front + rear) / 2, (wide * 0.45, 0.028, 0.035), 0.012)
    solid.add(where_below(where_above(sign, u, 17, 0.85), u, 14, BOXY), lambda: second)
    axle = length(y - (floor + wheel), z.abs() - long * between(u, 13, 0.52, 0.7))
    broad = between(u, 18, 0.03, 0.05)
    tyre = disc(axle, x.abs() - wide + 0.3 * broad, wheel, broad, 0.014)
    hub = tint(u, 2, 0.13, grey=-0.5)
    solid.add(tyre, lambda: mix(paint((0.11, 0.11, 0.12), u), hub, inside(axle - wheel * between(u, 19, 0.42, 0.7))))
    return solid


def _body(
    x: Coord, y: Coord, z: Coord, u: Params, half: tuple[Size, Size, Size], at: tuple[Tensor, Tensor, Tensor, Tensor]
) -> Coord:
    """Rounded box whose bonnet falls to the front and boot to the back; with an open bed where `u` asks for it."""
    wide, deep, long = half
    bottom, top, front, rear = at
    whole = box(x, y - (bottom + top) / 2, z, (wide, deep, long), between(u, 11, 0.015, 0.045))
    fall = between(u, 12, 0.0, 0.22)
    bonnet = (y - top + fall * (z - front).clamp_min(0) + 0.5 * fall * (rear - z).clamp_min(0)) * 0.95
    shell = smooth_max(whole, bonnet, 0.02)
    bed = box(x, y - top, z - (rear - long) / 2, (wide - 0.035, deep * 1.2, (long + rear) / 2 - 0.035), 0.01)
    return smooth_max(shell, -where_below(bed, u, 14, OPEN), 0.008)


def _cabin(
    x: Coord, y: Coord, z: Coord, u: Params, size: tuple[Tensor, Tensor], ends: tuple[Tensor, Tensor]
) -> tuple[Coord, Coord]:
    """Cabin above y = 0 between raked screens, and the (painted) distance to its panes."""
    (wide, tall), (front, rear) = size, ends
    rake, tail, lean = between(u, 8, 0.1, 1.0), between(u, 9, 0.02, 0.75), between(u, 10, 0.04, 0.3)
    screen = (z - front + rake * y) / (1 + rake.square()).sqrt()
    back = (rear - z + tail * y) / (1 + tail.square()).sqrt()
    side = (x.abs() - wide * 0.96 + lean * y) / (1 + lean.square()).sqrt()
    cabin = smooth_max(smooth_max(smooth_max(screen, back, 0.03), side, 0.03), y - tall, 0.03)
    cabin = smooth_max(cabin, -0.05 - y, 0.01)
    band = torch.maximum(0.012 - y, y - tall + 0.032)
    pillar = 0.016 - torch.minimum((z - 0.4 * front - 0.6 * rear).abs(), torch.minimum(-screen, -back))
    flank = side > torch.maximum(screen, back)
    return cabin, torch.maximum(band, torch.where(flank, pillar, side + 0.035))


def _painted(
    x: Coord, y: Coord, z: Coord, u: Params, colors: tuple[Color, Color], size: tuple[Tensor, Tensor, Tensor]
) -> Callable[[], Color]:
    """Lights in front and behind, a stripe along the middle or the side where the palette has one."""
    (paintwork, second), (long, wide, middle) = colors, size

    def color() -> Color:
        stripe = where_above(x.abs() - wide * 0.3, u, 30, 0.78)
        belt = where_below((y - middle).abs() - 0.022, u, 30, 0.2)
        striped = mix(paintwork, second, inside(torch.minimum(stripe, belt)))
        lamp = length(x.abs() - wide * 0.62, y - middle - 0.008) - 0.036
        light = torch.where((z > 0)[..., None], paint((1.0, 0.95, 0.75), u), paint((0.78, 0.05, 0.06), u))
        return mix(striped, light, inside(torch.maximum(lamp, long - 0.035 - z.abs())))

    return color
