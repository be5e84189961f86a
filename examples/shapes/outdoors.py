"""House, mushroom and tree: `points [b, n, 3], u [b, 10] -> Solid`. u[:, :6] is shape, u[:, 6:] palette."""

import math
from functools import partial

import torch
from jaxtyping import Float
from primitives import (
    Color,
    Coord,
    Solid,
    between,
    box,
    cone,
    disc,
    ellipsoid,
    fold_sectors,
    hsv,
    inside,
    length,
    mix,
    paint,
    rectangle,
    smooth_max,
    warm_hue,
)
from torch import Tensor

Points = Float[Tensor, "b n 3"]
Params = Float[Tensor, "b 10"]


def house(points: Points, u: Params) -> Solid:
    """A cottage: gable to the front, thick roof, chimney, door, big windows on every side."""
    x, y, z = points.unbind(-1)
    width, depth = between(u, 0, 0.21, 0.255), between(u, 1, 0.19, 0.235)
    height, rise = between(u, 2, 0.23, 0.3), between(u, 3, 0.18, 0.25)
    eaves, chimney = between(u, 4, 0.03, 0.06), between(u, 5, 0.02, 0.08)
    tiles = hsv(warm_hue(u, 6, 0.5), between(u, 7, 0.95, 0.65), between(u, 7, 0.62, 0.92), u)
    plaster = hsv(between(u, 8, 0.05, 0.2), between(u, 9, 0.5, 0.1), between(u, 9, 0.85, 0.98), u)
    floor = -0.305
    wall_top = floor + height
    slope = (rise.square() + width.square()).sqrt()
    across = ((y - wall_top) * width + (x.abs() - width) * rise) / slope  # normal to the roof plane
    along = ((x.abs() - width) * width - (y - wall_top) * rise) / slope  # down the roof, 0 at the eaves

    def wall_color() -> Color:
        front, back, flank = depth - 0.02 - z, z + depth - 0.02, width - 0.02 - x.abs()
        door = rectangle(x + width * 0.42, y - floor, 0.055, 0.17)
        pane_y = y - (floor + 0.135)
        pane = torch.maximum(rectangle(x - width * 0.42, pane_y, 0.05, 0.05), front)
        pane = torch.minimum(pane, torch.maximum(length(x, y - wall_top - rise * 0.2) - 0.045, front))
        pane = torch.minimum(pane, torch.maximum(rectangle(x.abs() - width * 0.45, pane_y, 0.05, 0.05), back))
        pane = torch.minimum(pane, torch.maximum(rectangle(z.abs() - depth * 0.45, pane_y, 0.05, 0.05), flank))
        color = mix(plaster, paint((0.36, 0.66, 0.92), u), inside(pane))
        return mix(color, paint((0.5, 0.28, 0.13), u), inside(torch.maximum(door, front)))

    body = torch.maximum(box(x, y - (floor + 0.3), z, (width, 0.3, depth), 0.01), across)
    chimney_x, chimney_top = width * 0.5, wall_top + rise * 0.5 + 0.11 + chimney
    solid = Solid()
    solid.add(body, wall_color)
    solid.add(_roof(across, along, z, slope, depth, eaves), lambda: tiles)
    stack = (x - chimney_x, y - (chimney_top - 0.1), z + depth * 0.4)
    solid.add(box(*stack, (0.048, 0.1, 0.048), 0.01), lambda: paint((0.66, 0.42, 0.34), u))
    return solid


def _roof(across: Coord, along: Coord, z: Coord, slope: Tensor, depth: Tensor, eaves: Tensor) -> Coord:
    """One slab .075 thick lying on each half of the gable, overhanging by `eaves`."""
    half = slope / 2 + eaves
    return box(across - 0.02, along + slope / 2, z, (0.0375, half, depth + eaves), 0.012)


def mushroom(points: Points, u: Params) -> Solid:
    """A toadstool: bulging stem, domed cap with a few big spots, pale underside."""
    x, y, z = points.unbind(-1)
    stem, foot = between(u, 0, 0.085, 0.12), between(u, 1, 1.1, 1.5)
    cap, dome = between(u, 2, 0.29, 0.38), between(u, 3, 0.24, 0.33)
    cap_y, spot = between(u, 4, -0.06, 0.06), between(u, 5, 0.055, 0.08)
    skin = hsv(warm_hue(u, 6, 0.3), between(u, 7, 0.98, 0.75), between(u, 7, 0.72, 0.98), u)
    flesh = hsv(between(u, 8, 0.06, 0.16), between(u, 9, 0.4, 0.08), between(u, 9, 0.85, 0.98), u)
    floor, radial, rise = -0.4, length(x, z), y - cap_y
    down = ((cap_y - y) / (cap_y - floor)).clamp(0, 1)
    girth = stem * (1 + (foot - 1) * down.square())
    stalk = smooth_max((radial - girth) * 0.95, torch.maximum(floor - y, y - cap_y - 0.05), 0.04)
    lid = torch.where(rise > 0, ellipsoid(x, rise, z, (cap, dome, cap)), ellipsoid(x, rise, z, (cap, dome * 0.3, cap)))

    def cap_color() -> Color:
        spots = length(radial, rise - dome) - spot * 1.2
        for elevation, offset in ((0.82, 0.0), (0.27, 0.5)):
            out, around = fold_sectors(x, z, 5, offset)
            center, lift = cap * math.cos(elevation), dome * math.sin(elevation)
            spots = torch.minimum(spots, length(out - center, around, rise - lift) - spot)
        color = mix(skin, paint((0.98, 0.97, 0.93), u), inside(spots))
        return mix(color, flesh * 0.93, inside(rise + 0.01))

    solid = Solid()
    solid.add(stalk, lambda: flesh)
    solid.add(lid * 0.9, cap_color)
    return solid


def tree(points: Points, u: Params) -> Solid:
    """A fir in three rounded tiers on a trunk, each tier lighter than the one below."""
    x, y, z = points.unbind(-1)
    wide, shrink = between(u, 0, 0.25, 0.33), between(u, 1, 0.7, 0.84)
    trunk, foliage_y = between(u, 2, 0.055, 0.085), between(u, 3, -0.3, -0.2)
    waist, top = between(u, 4, 0.4, 0.62), between(u, 5, 0.36, 0.45)
    hue = between(u, 6, 0.24, 0.44)
    bark = hsv(between(u, 8, 0.03, 0.1), between(u, 8, 0.75, 0.6), between(u, 8, 0.38, 0.68), u)
    floor, radial = -0.435, length(x, z)
    solid = Solid()
    trunk_half = (foliage_y - floor) / 2 + 0.04
    solid.add(disc(radial, y - (floor + trunk_half), trunk, trunk_half, 0.01), lambda: bark)
    step = (top - foliage_y) / 3
    for tier in range(3):
        radius = wide * shrink**tier
        half = step * (0.5 if tier == 2 else 0.62)
        tip = radius * waist * (0.5 if tier == 2 else 1.0)
        part = cone(radial, y - (foliage_y + step * tier + half), radius, tip, half, 0.04)
        value = between(u, 7, 0.45, 0.75) + between(u, 9, 0.02, 0.13) * tier
        solid.add(part, partial(hsv, hue - 0.02 * tier, between(u, 7, 0.9, 0.68), value, u))
    return solid
