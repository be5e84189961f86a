"""Lamps: `points [b, n, 3], u [b, 32] -> Solid`. u[:, :20] is shape, u[:, 20:] palette."""

import torch
from jaxtyping import Float
from primitives import (
    Color,
    Coord,
    Solid,
    between,
    capsule,
    cone,
    disc,
    ellipsoid,
    fitted,
    fold_sectors,
    inside,
    length,
    mix,
    paint,
    rotate,
    where_above,
    where_below,
)
from torch import Tensor

from varied.palette import tint

Points = Float[Tensor, "b n 3"]
Params = Float[Tensor, "b 32"]

DESK, HANGING = 0.22, 0.82  # of u[:, 0]: below and above them a bent arm, a cord from above


def lamp(points: Points, u: Params) -> Solid:
    """Table and standing lamps, desk lamps with a bent arm, hanging ones; cone, drum or globe for a shade."""
    height = between(u, 1, 0.42, 0.92)
    half, bottom = between(u, 8, 0.05, 0.17), between(u, 6, 0.085, 0.27)
    broad = torch.maximum(bottom, between(u, 2, 0.13, 0.19))
    x, y, z, scale = fitted(points, (0.25 * height.square() + 0.9 * broad.square()).sqrt())
    floor, ceiling = -height / 2, height / 2
    shade, stand, trim = tint(u, 0, 0.12, dark=0.25), tint(u, 1, 0.08), tint(u, 2, 0.1)
    hanging = u[:, 0:1] > HANGING
    shade_y = torch.where(hanging, floor + half, ceiling - half)
    reach = where_below(0 * x, u, 0, DESK).clamp(0, 0.2) * 5  # 0 where the lamp is a desk lamp, 1 where not
    head_x, head_y = x - 0.12 * (1 - reach), y - shade_y
    tilt = (1 - reach[:, :1]) * between(u, 12, 0.2, 1.0)
    head_x, head_y = rotate(head_x, head_y, tilt)
    solid = Solid(scale)
    radial = length(x, z)
    _add_base(solid, (x, y, z, radial), u, floor, (stand, trim))
    pole = disc(radial, y - (floor + shade_y) / 2, between(u, 3, 0.017, 0.036), (shade_y - floor) / 2)
    upright = where_below(where_above(pole, u, 0, DESK), u, 0, HANGING)
    solid.add(upright, lambda: trim)
    solid.add(where_below(_arm(x, y, z, u, floor, shade_y), u, 0, DESK), lambda: trim)
    cord = disc(radial, y - (ceiling + shade_y) / 2, 0.016, (ceiling - shade_y) / 2)
    rose = cone(radial, y - ceiling + 0.02, 0.06, 0.06, 0.02, 0.008)
    solid.add(where_above(torch.minimum(cord, rose), u, 0, HANGING), lambda: trim)
    distance, color = _shade((head_x, head_y, z), u, (bottom, half), shade)
    solid.add(distance, lambda: color)
    return solid


def _shade(at: tuple[Coord, Coord, Coord], u: Params, size: tuple[Tensor, Tensor], paper: Color) -> tuple[Coord, Color]:
    """Cone, drum or globe, glowing below, with a light or dark rim."""
    (x, y, z), (bottom, half) = at, size
    radial = length(x, z)
    top = bottom * between(u, 7, 0.2, 1.05)
    shell = cone(radial, y, bottom, top, half, 0.014)
    round_ = ellipsoid(x, y, z, (bottom * 0.85, torch.maximum(half, bottom * 0.6), bottom * 0.85)) * 0.9
    distance = torch.maximum(where_below(shell, u, 9, 0.72), -1 + 0 * shell)
    distance = torch.minimum(distance, where_above(round_, u, 9, 0.72))
    rim = torch.minimum(y + half - 0.03, half - 0.025 - y)
    rim = where_above(rim, u, 29, 0.6)
    color = mix(paper, 0.45 * paper, inside(rim))
    glow = torch.maximum(y + half - 0.012, radial - bottom + 0.035)
    return distance, mix(color, paint((1.0, 0.92, 0.6), u), inside(where_below(glow, u, 9, 0.72)))


def _add_base(
    solid: Solid, at: tuple[Coord, Coord, Coord, Coord], u: Params, floor: Tensor, colors: tuple[Color, Color]
) -> None:
    """A foot or three legs, and a body of one or two balls, or a vase."""
    (x, y, z, radial), (stand, trim) = at, colors
    base, flat = between(u, 2, 0.075, 0.19), between(u, 11, 0.02, 0.05)
    foot = cone(radial, y - floor - flat, base, base * between(u, 14, 0.55, 1.0), flat, 0.012)
    foot = torch.minimum(where_below(foot, u, 10, 0.74), where_below(foot, u, 0, DESK))
    solid.add(where_below(foot, u, 0, HANGING), lambda: stand)
    out, side = fold_sectors(z, x, 3)
    splay = torch.maximum(base, 0.13 + 0 * base)
    knee = between(u, 15, 0.2, 0.42)
    leg = capsule((out, y - floor - knee, side), (splay, 0.02 - knee, 0 * knee), 0.02)
    tripod = where_above(where_above(leg, u, 10, 0.74), u, 0, DESK)
    solid.add(where_below(tripod, u, 0, HANGING), lambda: stand)
    ball = between(u, 5, 0.05, 0.13)
    lift = floor + 2 * flat + 0.9 * ball
    balls = length(x, y - lift, z) - ball
    second = length(x, y - lift - 1.45 * ball, z) - 0.72 * ball
    balls = torch.minimum(balls, where_above(second, u, 16, 0.5))
    vase_half = ball * between(u, 17, 1.0, 1.7)
    vase = ellipsoid(x, y - floor - flat - vase_half, z, (ball, vase_half * 1.05, ball)) * 0.9
    body = torch.minimum(where_below(where_above(balls, u, 4, 0.36), u, 4, 0.66), where_above(vase, u, 4, 0.66))
    standing = where_below(where_below(where_above(body, u, 0, DESK), u, 0, HANGING), u, 10, 0.74)
    band = where_above((y - lift).abs() - 0.025, u, 30, 0.6)
    solid.add(standing, lambda: mix(stand, trim, inside(band)))


def _arm(x: Coord, y: Coord, z: Coord, u: Params, floor: Tensor, top: Tensor) -> Coord:
    """Two rods from the foot to the shade, bent backwards at an elbow."""
    elbow_x, elbow_y = -between(u, 13, 0.04, 0.17), floor + (top - floor) * between(u, 18, 0.45, 0.75)
    lower = capsule((x, y - floor - 0.03, z), (elbow_x, elbow_y - floor - 0.03, 0 * top), 0.02)
    upper = capsule((x - elbow_x, y - elbow_y, z), (0.12 - elbow_x, top - elbow_y, 0 * top), 0.02)
    return torch.minimum(lower, upper)
