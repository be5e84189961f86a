"""Chairs of every kind: `points [b, n, 3], u [b, 32] -> Solid`. u[:, :20] is shape, u[:, 20:] palette."""

import torch
from jaxtyping import Float
from primitives import (
    Color,
    Coord,
    Solid,
    between,
    box,
    capsule,
    disc,
    fitted,
    fold_sectors,
    inside,
    length,
    mix,
    rectangle,
    rotate,
    smooth_max,
    where_above,
    where_below,
)
from torch import Tensor

from varied.palette import tint

Points = Float[Tensor, "b n 3"]
Params = Float[Tensor, "b 32"]

SWIVEL, SOLID_SIDES = 0.76, 0.9  # of u[:, 13]: above them a column on a star; sides down to the floor
SLATS, FRAME = 0.3, 0.72  # of u[:, 10]: below and above them upright slats, an open frame


def chair(points: Points, u: Params) -> Solid:
    """Kitchen chair, stool, armchair, office chair: a seat, what carries it, a back and arms where there are any."""
    wide, far = between(u, 0, 0.125, 0.225), between(u, 1, 0.13, 0.21)
    rise, back = between(u, 2, 0.2, 0.46), between(u, 3, -0.12, 0.52)
    rise = torch.where(u[:, 13:14] > SOLID_SIDES, rise.clamp_max(0.27), rise)
    height = rise + back.clamp_min(0)
    x, y, z, scale = fitted(points, (0.25 * height.square() + 0.9 * (wide.square() + far.square())).sqrt())
    floor = -height / 2
    seat_y = floor + rise
    plush = between(u, 7, -0.05, 0.1)
    wood, fabric = tint(u, 0, 0.07, span=0.6), tint(u, 1, 0.55)
    solid = Solid(scale)
    thick = between(u, 6, 0.018, 0.05)
    corner = 0.012 + (torch.minimum(wide, far) - 0.014) * between(u, 8, -0.6, 1.0).clamp_min(0)
    seat = _slab(x, y - seat_y + thick, z, (wide, thick, far), corner)
    solid.add(seat, lambda: wood)
    pillow = _slab(x, y - seat_y - plush / 2, z, (wide - 0.008, plush / 2 + 0.004, far - 0.008), corner)
    solid.add(pillow + 2 * (0.012 - plush).clamp_min(0), lambda: fabric)
    under = (floor, seat_y - 1.5 * thick)
    solid.add(where_below(_legs(x, y, z, u, (wide, far), under), u, 13, SWIVEL), lambda: wood)
    metal = tint(u, 2, 0.6, grey=-0.6)
    swivel = where_below(
        where_above(_star(x, y, z, under, torch.minimum(wide, far)), u, 13, SWIVEL), u, 13, SOLID_SIDES
    )
    solid.add(swivel, lambda: metal)
    _add_back(solid, (x, y - seat_y, z + far - 0.03), u, (wide, back), (wood, fabric))
    _add_arms(solid, (x, y, z), u, (wide, far), (floor, seat_y), (wood, fabric))
    return solid


def _slab(x: Coord, y: Coord, z: Coord, half: tuple[Tensor, Tensor, Tensor], corner: Tensor) -> Coord:
    """Plate whose outline has round corners."""
    outline = rectangle(x, z, half[0], half[2], corner)
    return smooth_max(outline, y.abs() - half[1], 0.015)


def _legs(x: Coord, y: Coord, z: Coord, u: Params, half: tuple[Tensor, Tensor], under: tuple[Tensor, Tensor]) -> Coord:
    """Four legs that may stand apart, and bars between them where `u` asks for them."""
    (wide, far), (floor, top) = half, under
    thick, splay = between(u, 4, 0.017, 0.04), between(u, 5, -0.04, 0.26)
    down = (top - y).clamp_min(0)
    inset = 0.85 * thick + 0.3 * between(u, 8, -0.6, 1.0).clamp_min(0) * torch.minimum(wide, far)
    out_x, out_z = x.abs() - (wide - inset) - splay * down, z.abs() - (far - inset) - splay * down
    taper = thick * (1 - between(u, 19, -0.5, 0.45).clamp_min(0) * down / (top - floor))
    square = torch.maximum(out_x.abs(), out_z.abs()) - taper
    round_ = length(out_x, out_z) - taper
    leg = torch.lerp(square, round_, (4 * (u[:, 15:16] - 0.4)).clamp(0, 1))
    leg = smooth_max(leg * 0.95, (y - (floor + top) / 2).abs() - (top - floor) / 2, 0.008)
    bar_y = y - (floor + 0.35 * (top - floor))
    spread = splay * 0.65 * (top - floor)
    bars = torch.maximum(length(out_x, bar_y) - 0.017, z.abs() - far - spread + inset)
    return torch.minimum(leg, where_above(bars, u, 14, 0.66))


def _star(x: Coord, y: Coord, z: Coord, under: tuple[Tensor, Tensor], half: Tensor) -> Coord:
    """Column on five feet."""
    floor, top = under
    column = disc(length(x, z), y - (floor + top) / 2, 0.03, (top - floor) / 2 - 0.02, 0.01)
    out, side = fold_sectors(z, x, 5)
    foot = capsule((out, y - floor - 0.04, side), (half * 1.15, -0.018 + 0 * half, 0 * half), 0.023)
    return torch.minimum(column, foot)


def _add_back(
    solid: Solid, at: tuple[Coord, Coord, Coord], u: Params, size: tuple[Tensor, Tensor], colors: tuple[Color, Color]
) -> None:
    """A back from y = 0 upwards: panel, slats or frame; straight, leaning, bent around, with a round top."""
    (x, y, z), (wide, tall), (wood, fabric) = at, size, colors
    y, z = rotate(y, z, -between(u, 17, -0.04, 0.3))
    half_x, thick = wide * between(u, 16, 0.72, 1.0), between(u, 18, 0.018, 0.042)
    bow = between(u, 9, -0.25, 1.1).clamp_min(0) * x / half_x
    z = (z - bow * x) / (1 + (2 * bow).square()).sqrt()  # bent, the distance across is shorter than along z
    half_y = (tall / 2).clamp_min(0.01)
    middle = y - half_y
    corner = 0.01 + (torch.minimum(half_x, half_y) - 0.012) * between(u, 11, -0.4, 1.0).clamp_min(0)
    outline = torch.where(
        middle > 0, rectangle(x, middle, half_x, half_y, corner), rectangle(x, middle, half_x, half_y)
    )
    gone = 2 * (0.06 - tall).clamp_min(0)
    rim = 0.045
    hole = rectangle(x, middle - 0.01, half_x - rim, half_y - rim, (corner - rim).clamp_min(0.005))
    pitch = (2 * (half_x - rim)) / 4
    slat = ((x / pitch + 0.5) - torch.round(x / pitch + 0.5)).abs() * pitch - 0.018
    open_between = torch.maximum(hole, 0.004 - slat)
    cut = torch.minimum(where_below(open_between, u, 10, SLATS), where_above(hole, u, 10, FRAME))
    plate = smooth_max(smooth_max(outline, z.abs() - thick, 0.015), -cut, 0.008) * 0.9

    def color() -> Color:
        upholstered = where_above(hole + 0.01, u, 7, 0.42)
        return mix(wood, fabric, inside(upholstered))

    solid.add(plate + gone, color)


def _add_arms(
    solid: Solid,
    at: tuple[Coord, Coord, Coord],
    u: Params,
    half: tuple[Tensor, Tensor],
    heights: tuple[Tensor, Tensor],
    colors: tuple[Color, Color],
) -> None:
    """Arm rests on posts where u[:, 12] is large, upholstered sides down to the floor where u[:, 13] is."""
    (x, y, z), (wide, far), (floor, seat), (wood, fabric) = at, half, heights, colors
    lift = 0.13
    rest = box(x.abs() - wide, y - seat - lift, z + 0.01, (0.03, 0.017, far * 0.92), 0.014)
    post = capsule((x.abs() - wide, y - seat + 0.02, z - far * 0.6), (0 * far, lift + 0 * far, 0 * far), 0.018)
    arms = torch.minimum(rest, post)
    solid.add(where_below(where_above(arms, u, 12, 0.66), u, 13, SOLID_SIDES), lambda: wood)
    side_half = (seat + lift - floor) / 2
    side = box(x.abs() - wide - 0.01, y - floor - side_half - 0.02, z, (0.04, side_half - 0.02, far), 0.03)
    base = box(x, y - (seat + floor) / 2 - 0.01, z, (wide, (seat - floor) / 2 - 0.03, far - 0.005), 0.02)
    solid.add(where_above(torch.minimum(side, base), u, 13, SOLID_SIDES), lambda: fabric)
