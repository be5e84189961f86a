"""Mugs and donuts: `points [b, n, 3], u [b, 32] -> Solid`. u[:, :20] is shape, u[:, 20:] palette."""

import math

import torch
from jaxtyping import Float
from primitives import (
    Color,
    Coord,
    Solid,
    between,
    cone,
    disc,
    fitted,
    fold_sectors,
    inside,
    length,
    mix,
    paint,
    rectangle,
    rotate,
    smooth_max,
    torus,
    where_above,
    where_below,
)
from torch import Tensor

from varied.palette import tint

Points = Float[Tensor, "b n 3"]
Params = Float[Tensor, "b 32"]

SAUCER = 0.84  # of u[:, 12]: above it the mug stands on a saucer


def mug(points: Points, u: Params) -> Solid:
    """Wide or tall, straight, tapered or bellied; round, square or ear-shaped handle towards +x; plain or patterned."""
    radius, half = between(u, 0, 0.13, 0.27), between(u, 1, 0.12, 0.32)
    grip = between(u, 3, 0.065, 0.15)
    reach = ((radius + grip + 0.02).square() + half.square()).sqrt()
    x, y, z, scale = fitted(points, reach)
    flare, belly = between(u, 2, -0.05, 0.09), between(u, 5, -0.05, 0.06)
    cup_x = x + grip * 0.75
    radial = length(cup_x, z)
    bulge = belly * (1 - (y / half).square()).clamp_min(0)
    side = radius + flare * (y / half) + bulge
    outer = cone(radial - bulge, y, radius - flare, radius + flare, half, 0.018) * 0.93
    wall = between(u, 6, 0.034, 0.055)
    level = -half + 0.05 + between(u, 4, 0.0, 0.92) * (2 * half - 0.09)
    hollow = torch.maximum(radial - (side - wall), level - y) * 0.93
    handle = _handle((cup_x - radius, y - half * between(u, 7, -0.25, 0.25), z), u, (grip, half))
    handle = torch.maximum(handle * 0.9, side - wall * 0.6 - radial)
    glaze, second, within = tint(u, 0, 0.0), tint(u, 1, 0.12), tint(u, 2, 0.1, dark=0.3)

    def cup_color() -> Color:
        color = mix(glaze, second, inside(_pattern((cup_x, y, z), u, half)))
        light = torch.where((u[:, 31:32] > 0.45)[..., None], paint((0.97, 0.96, 0.93), u), within)
        lining = torch.maximum(radial - (side - wall) - 0.004, -(half - 0.012 - y) - 0.03)
        color = mix(color, light, inside(lining))
        drink = torch.maximum(radial - (side - wall) - 0.006, (y - level).abs() - 0.007)
        tea = torch.where((u[:, 30:31] > 0.5)[..., None], paint((0.34, 0.19, 0.1), u), light)
        return mix(color, tea, inside(drink))

    solid = Solid(scale)
    solid.add(smooth_max(outer, -hollow, 0.012), cup_color)
    solid.add(handle, lambda: torch.where((u[:, 29:30] > 0.75)[..., None], second, glaze))
    plate = disc(radial, y + half, (radius * 1.35).clamp_max(0.3), 0.02, 0.014)
    solid.add(where_above(plate, u, 12, SAUCER), lambda: glaze)
    return solid


def _handle(at: tuple[Coord, Coord, Coord], u: Params, size: tuple[Tensor, Tensor]) -> Coord:
    """A bent rod beside x = 0: circle, ear (longer) or rounded square, thick or thin, round or flat."""
    (x, y, z), (grip, half) = at, size
    stretch = torch.minimum(between(u, 8, 0.7, 1.9), 0.85 * half / grip).clamp_min(0.6)
    tube = between(u, 9, 0.021, 0.042)
    ring = (length(x, y / stretch) - grip) * stretch.clamp_max(1.0)
    square = rectangle(x, y / stretch, grip, grip, 0.4 * grip) * stretch.clamp_max(1.0)
    path = torch.lerp(ring, square, (4 * (u[:, 10:11] - 0.55)).clamp(0, 1))
    return length(path, z / between(u, 11, 0.9, 1.5)) - tube


def _pattern(at: tuple[Coord, Coord, Coord], u: Params, half: Tensor) -> Coord:
    """Painted distance of bands, upright stripes, dots, or a lower half dipped in the second colour."""
    x, y, z = at
    broad = between(u, 13, 0.025, 0.09)
    place = half * between(u, 14, -0.6, 0.6)
    bands = torch.minimum((y - place).abs() - broad, where_above((y + half * 0.75).abs() - 0.022, u, 15, 0.6))
    around = torch.atan2(z, x) * (4 / math.pi)
    stripes = (around - torch.round(around)).abs() * 0.13 - 0.032
    rows = y / 0.11
    dots = length(
        (around + 0.5 * (torch.round(rows) % 2)).remainder(1.0) * 0.15 - 0.075, (rows - torch.round(rows)) * 0.11
    )
    painted = where_below(where_above(bands, u, 16, 0.42), u, 16, 0.68)
    painted = torch.minimum(painted, where_below(where_above(stripes, u, 16, 0.68), u, 16, 0.79))
    painted = torch.minimum(painted, where_below(where_above(dots - 0.034, u, 16, 0.79), u, 16, 0.9))
    return torch.minimum(painted, where_above(y - place, u, 16, 0.9))


def donut(points: Points, u: Params) -> Solid:
    """Ring donuts, thick and thin, cakes without a hole, twisted ones; icing, drizzle and sprinkles of every colour."""
    ring, tube = between(u, 0, 0.17, 0.33), between(u, 1, 0.065, 0.135)
    x, y, z, scale = fitted(points, ring + tube + 0.03)
    squash = between(u, 3, 0.75, 1.2)
    radial, lift, around = length(x, z), y / squash, torch.atan2(z, x)
    twist = between(u, 4, -0.03, 0.022).clamp_min(0)
    turn = torch.atan2(lift, radial - ring)
    rope = twist * torch.sin(8 * around + 2 * turn)
    dough_at = (torus(radial, lift, ring, tube) - rope) * 0.85
    thick, level = between(u, 5, 0.01, 0.026), between(u, 6, -0.05, 0.05)
    wave = between(u, 7, 0.003, 0.032) * torch.sin(5 * around + 6 * u[:, 8:9])
    coat = smooth_max(torus(radial, lift, ring, tube + thick) * 0.85 - 0.85 * rope, (level + wave - y) * 0.9, 0.012)
    dough, icing, second = tint(u, 1, 0.085, span=0.16, dark=0.3, grey=0.3), tint(u, 0, 0.93), tint(u, 2, 0.15)

    def coat_color() -> Color:
        zigzag = (radial - ring - 0.75 * tube * torch.sin(9 * around)).abs() - 0.02
        color = mix(icing, second, inside(where_above(zigzag, u, 29, 0.7)))
        grain = torch.full_like(x, 1.0)
        for row, (count, offset) in enumerate(((9, 0.0), (12, 0.5), (8, 0.25))):
            out, side = fold_sectors(x, z, count, offset)
            a, b = rotate(out - ring - tube * (row - 1) * 0.6, side, 1.0 + row)
            grain = torch.minimum(grain, rectangle(a, b, 0.03, 0.015, 0.01))
        return mix(color, second, inside(where_below(grain, u, 29, 0.36)))

    bite = length(x - ring - tube * 0.6, z - 0.1) - 0.12
    solid = Solid(scale)
    keep = -where_above(bite, u, 9, 0.8)
    solid.add(smooth_max(dough_at, keep, 0.012), lambda: dough)
    solid.add(where_above(smooth_max(coat, keep, 0.012), u, 10, 0.1), coat_color)
    return solid
