"""Boats and rockets: `points [b, n, 3], u [b, 32] -> Solid`. u[:, :20] is shape, u[:, 20:] palette."""

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
    fitted,
    fold_sectors,
    inside,
    length,
    mix,
    paint,
    rotate,
    smooth_max,
    where_above,
    where_below,
)
from torch import Tensor

from varied.palette import tint

Points = Float[Tensor, "b n 3"]
Params = Float[Tensor, "b 32"]

SAILS = 0.2  # of u[:, 0]: below it a boat without mast and sails


def rocket(points: Points, u: Params) -> Solid:
    """Slender or stout, round or pointed nose, three or four fins or legs, boosters, portholes and bands."""
    radius, half = between(u, 0, 0.075, 0.17), between(u, 1, 0.3, 0.45)
    span = between(u, 2, 0.03, 0.15)
    x, y, z, scale = fitted(points, (half.square() + 0.75 * (radius + span).square()).sqrt())
    accent, shell, third = tint(u, 0, 0.0), tint(u, 1, 0.6, dark=0.25, grey=-0.6), tint(u, 2, 0.58)
    radial = length(x, z)
    tail = -half * between(u, 3, 0.6, 0.9)
    egg = ellipsoid(x, y + 0.1 * half, z, (radius, half * 1.05, radius)) * 0.9
    nose_y = half * between(u, 4, 0.2, 0.62)
    bullet = torch.where(
        y > nose_y, cone(radial, y - (nose_y + half) / 2, radius, 0.012, (half - nose_y) / 2, 0.01), radial - radius
    )
    hull = smooth_max(torch.lerp(egg, bullet * 0.85, (3 * (u[:, 5:6] - 0.4)).clamp(0, 1)), tail - y, 0.015)

    def hull_color() -> Color:
        tip = nose_y - y
        bands = torch.minimum(tip, where_above((y - tail - 0.14).abs() - between(u, 6, 0.02, 0.05), u, 29, 0.3))
        color = mix(shell, accent, inside(bands))
        check = torch.sin(2 * torch.atan2(z, x)) * (y - tail - 0.22)
        color = mix(
            color, third, inside(where_above(torch.maximum(-check, (y - tail - 0.22).abs() - 0.08), u, 30, 0.78))
        )
        window, pane_y = between(u, 7, 0.03, 0.07), y - nose_y + 0.12
        second = where_above(length(x, pane_y + 0.16) - window, u, 8, 0.6)
        pane = torch.maximum(torch.minimum(length(x, pane_y) - window, second), -z)
        rim = torch.maximum(torch.minimum(length(x, pane_y) - window, second) - 0.024, -z)
        color = mix(color, accent * 0.7, inside(rim))
        return mix(color, paint((0.5, 0.8, 0.95), u), inside(pane))

    solid = Solid(scale)
    solid.add(hull, hull_color)
    solid.add(_fins((x, y, z), u, (radius, span, tail)), lambda: accent)
    nozzle = cone(radial, y - tail + 0.03, radius * 0.72, radius * 0.5, 0.05, 0.012)
    solid.add(nozzle, lambda: paint((0.24, 0.25, 0.28), u))
    out, side = fold_sectors(x, z, 2)
    tank = length(out - radius - 0.045, side)
    booster = disc(tank, y - tail - 0.16, 0.05, 0.17, 0.03)
    cap = where_above(y * 0 + 0.24 - (y - tail), u, 31, 0.3)
    solid.add(where_above(booster, u, 9, 0.74), lambda: mix(third, accent, inside(cap)))
    return solid


def _fins(at: tuple[Coord, Coord, Coord], u: Params, size: tuple[Tensor, Tensor, Tensor]) -> Coord:
    """Three or four fins, swept, upright or reaching below the tail."""
    (x, y, z), (radius, span, tail) = at, size
    three = torch.stack(fold_sectors(z, x, 3))
    four = torch.stack(fold_sectors(z, x, 4))
    out, side = torch.where(u[:, 10:11] > 0.55, four, three).unbind(0)
    sweep, top = between(u, 11, 0.3, 1.6), tail + between(u, 12, 0.12, 0.34)
    upper = (y - top + sweep * (out - radius)) / (1 + sweep.square()).sqrt()
    drop = between(u, 13, -0.06, 0.07)
    lower = tail - drop * ((out - radius) / span).clamp(0, 1) - y
    fin = smooth_max(smooth_max(out - radius - span, upper, 0.02), lower * 0.85, 0.015)
    return smooth_max(fin, side.abs() - 0.02, 0.01)


def sailboat(points: Points, u: Params) -> Solid:
    """Dinghies, yachts with one or two sails, rowing boats, motor boats with a cabin, steamers with a funnel."""
    long, wide = between(u, 1, 0.26, 0.43), between(u, 2, 0.085, 0.17)
    deep, top = between(u, 3, 0.075, 0.18), between(u, 4, 0.42, 0.78)
    sailing = u[:, 0:1] > SAILS
    height = deep + torch.where(sailing, top, torch.full_like(top, 0.26))
    x, y, z, scale = fitted(points, torch.maximum((0.3 * height.square() + 0.55 * long.square()).sqrt(), long * 1.08))
    deck = -height / 2 + deep
    y = y - deck  # the deck is at y = 0
    hull_paint, second, canvas = tint(u, 0, 0.6), tint(u, 1, 0.0), tint(u, 2, 0.12, dark=0.35, grey=-0.7)
    wood = paint((0.72, 0.5, 0.28), u)
    hull, wall = _hull((x, y, z), u, (long, wide, deep))

    def hull_color() -> Color:
        stripe = where_above((y + deep * between(u, 5, 0.05, 0.5)).abs() - 0.02, u, 29, 0.4)
        color = mix(hull_paint, second, inside(stripe))
        floor = torch.maximum(-0.02 - y, wall + 0.022)
        return mix(color, wood, inside(floor))

    solid = Solid(scale)
    solid.add(hull, hull_color)
    mast_z = long * between(u, 6, -0.1, 0.3)
    angle = between(u, 7, -0.75, -0.1)
    foot = 0.5 * deep  # below the deck: an open boat's mast stands on its floor
    mast = disc(length(x, z - mast_z), y - (top - foot) / 2, 0.02, (top + foot) / 2, 0.01)
    solid.add(where_above(mast, u, 0, SAILS), lambda: wood * 0.75)
    across, along = rotate(x, z - mast_z, angle)
    boom = 0.07 + 0 * top
    main = _sail(-along, y, across, between(u, 8, 0.5, 0.85) * (long + mast_z).clamp_max(0.36), boom, top)
    lines = where_above((y - boom - 0.3 * (top - boom)).abs() - 0.04, u, 30, 0.5)
    solid.add(where_above(main, u, 0, SAILS), lambda: mix(canvas, second, inside(lines)))
    jib = _sail(z - mast_z, y, x, between(u, 9, 0.55, 0.95) * (long - mast_z), boom, top * between(u, 10, 0.6, 0.92))
    cloth = torch.where((u[:, 31:32] > 0.66)[..., None], second, canvas)
    solid.add(where_above(where_above(jib, u, 0, SAILS), u, 11, 0.3), lambda: cloth)
    _add_deckhouse(solid, (x, y, z), u, (long, wide), (second, canvas))
    return solid


def _hull(at: tuple[Coord, Coord, Coord], u: Params, size: tuple[Tensor, Tensor, Tensor]) -> tuple[Coord, Coord]:
    """Pointed bow at +z, round or cut-off stern; open (a rowing boat) below u[:, 12] = .3. Also the rail's outline."""
    (x, y, z), (long, wide, deep) = at, size
    stern = between(u, 13, 0.25, 1.0)
    half = torch.where(z > 0, long, long * (0.45 + 0.55 * stern))
    rail = length(x / wide, z / half)
    wall = rail * (rail - 1) / length(x / wide.square(), z / half.square()).clamp_min(1e-4)
    keel = ellipsoid(x, y, z, (wide, deep, long))
    outside = torch.where(y < 0, torch.maximum(keel, wall), wall)
    sheer = 0.035 + between(u, 14, 0.0, 0.5) * (z / long).square() * 0.12
    hull = smooth_max(smooth_max(outside * 0.9, y - sheer, 0.015), -z - long * (0.62 + 0.38 * stern), 0.015)
    hollow = torch.maximum(wall + 0.034, -0.45 * deep - y)
    return smooth_max(hull, -where_below(hollow, u, 12, 0.3), 0.012), wall


def _sail(out: Coord, y: Coord, across: Coord, width: Tensor, bottom: Tensor, top: Tensor) -> Coord:
    """Right triangle with its upright edge at out = 0, `width` wide at the bottom and .044 thick."""
    rise = top - bottom
    slant = (out * rise + (y - bottom) * width - width * rise) / (rise.square() + width.square()).sqrt()
    flat = smooth_max(smooth_max(slant, bottom - y, 0.03), -out - 0.015, 0.015)
    return smooth_max(flat, across.abs() - 0.022, 0.012)


def _add_deckhouse(
    solid: Solid, at: tuple[Coord, Coord, Coord], u: Params, size: tuple[Tensor, Tensor], colors: tuple[Color, Color]
) -> None:
    """A cabin with windows and a funnel, on boats without sails and on some with."""
    (x, y, z), (long, wide), (second, white) = at, size, colors
    tall, far = between(u, 15, 0.05, 0.11), long * between(u, 16, 0.2, 0.42)
    center = z + long * between(u, 17, -0.1, 0.25)
    house = box(x, y - tall, center, (wide * 0.62, tall, far), 0.02)
    panes = torch.maximum((y - tall * 1.25).abs() - 0.025, -(((z / 0.09) - torch.round(z / 0.09)).abs() * 0.09 - 0.012))
    glass = paint((0.2, 0.3, 0.42), u)
    wanted = torch.minimum(where_above(house, u, 18, 0.62), where_below(house, u, 0, SAILS))
    solid.add(torch.maximum(wanted, where_above(0 * house - 1, u, 12, 0.3)), lambda: mix(white, glass, inside(panes)))
    funnel = disc(length(x, center), y - 2 * tall - 0.06, 0.045, 0.09, 0.012)
    black = inside(2 * tall + 0.1 - y)
    steam = where_above(where_below(funnel, u, 0, SAILS), u, 19, 0.45)
    solid.add(
        torch.maximum(steam, where_above(0 * house - 1, u, 12, 0.3)),
        lambda: mix(second, paint((0.1, 0.1, 0.1), u), black),
    )
