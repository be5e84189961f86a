"""Car, rocket and sailboat: `points [b, n, 3], u [b, 10] -> Solid`. u[:, :6] is shape, u[:, 6:] palette."""

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
    hsv,
    inside,
    length,
    mix,
    paint,
    rotate,
    smooth_max,
    tapered_box,
    warm_hue,
)
from torch import Tensor

Points = Float[Tensor, "b n 3"]
Params = Float[Tensor, "b 10"]

SAIL_ANGLE = -0.5  # radians; the boom is swung out, so that from every side one of the sails is broad


def car(points: Points, u: Params) -> Solid:
    """A wooden-toy car: rounded body, tapered cabin with a band of glass, four wheels with hubs."""
    x, y, z = points.unbind(-1)
    length_half, width = between(u, 0, 0.35, 0.405), between(u, 1, 0.15, 0.18)
    height, cabin_height = between(u, 2, 0.075, 0.095), between(u, 3, 0.13, 0.175)
    cabin_z, wheel = between(u, 4, -0.08, 0.03), between(u, 5, 0.09, 0.115)
    body_y, cabin_half = -0.035, length_half * 0.55
    top = body_y + height
    paintwork = hsv(warm_hue(u, 6, 0.5), between(u, 7, 0.98, 0.68), between(u, 7, 0.78, 0.98), u)
    glass = hsv(0.57, between(u, 8, 0.65, 0.35), between(u, 8, 0.18, 0.62), u)
    hub = hsv(0.13, between(u, 9, -0.3, 0.7).clamp_min(0), 0.93, u)

    def body_color() -> Color:
        lamp = length(x.abs() - width * 0.58, y - body_y - 0.005) - 0.045
        light = torch.where((z > 0)[..., None], paint((1.0, 0.92, 0.5), u), paint((0.75, 0.06, 0.08), u))
        return mix(paintwork, light, inside(torch.maximum(lamp, length_half - 0.03 - z.abs())))

    def cabin_color() -> Color:
        band = torch.maximum(top + 0.015 - y, y - (top + cabin_height - 0.04))
        panes = torch.minimum(x.abs() - width * 0.6, (z - cabin_z).abs() - cabin_half * 0.6)
        return mix(paintwork, glass, inside(torch.maximum(band, panes)))

    solid = Solid()
    solid.add(box(x, y - body_y, z, (width, height, length_half), 0.03), body_color)
    cabin = (width * 0.95, cabin_height, cabin_half)
    solid.add(tapered_box(x, y - top, z - cabin_z, cabin, (0.12, 0.45), 0.03), cabin_color)
    axle_y = y - (body_y - height + 0.02)
    rim = length(axle_y, z.abs() - length_half * 0.62)
    wheels = disc(rim, x.abs() - width, wheel, 0.042, 0.015)
    solid.add(wheels, lambda: mix(paint((0.13, 0.13, 0.15), u), hub, inside(rim - wheel * 0.55)))
    return solid


def rocket(points: Points, u: Params) -> Solid:
    """A round rocket with a coloured nose and band, a porthole, four fins and a nozzle."""
    x, y, z = points.unbind(-1)
    radius, half = between(u, 0, 0.125, 0.165), between(u, 1, 0.41, 0.465)
    span, fin_top = between(u, 2, 0.085, 0.125), between(u, 3, -0.18, -0.06)
    nose, window = between(u, 4, 0.16, 0.26), between(u, 5, 0.055, 0.075)
    accent = hsv(warm_hue(u, 6, 0.5), between(u, 7, 0.98, 0.7), between(u, 7, 0.74, 0.98), u)
    shell = hsv(between(u, 8, 0.35, 0.8), between(u, 9, 0.0, 0.24), between(u, 9, 0.95, 0.85), u)
    center_y, tail_y = -0.03, -0.34
    radial = length(x, z)
    hull = smooth_max(ellipsoid(x, y - center_y, z, (radius, half, radius)) * 0.95, tail_y - y, 0.02)

    def hull_color() -> Color:
        pane_y = y - 0.05
        color = mix(shell, accent, inside(torch.minimum(nose - y, (y + 0.17).abs() - 0.035)))
        front = -z
        porthole = torch.maximum(length(x, pane_y) - window, front)
        color = mix(color, accent * 0.75, inside(torch.maximum(length(x, pane_y) - window - 0.035, front)))
        return mix(color, paint((0.5, 0.82, 0.97), u), inside(porthole))

    out, side = torch.maximum(x.abs(), z.abs()), torch.minimum(x.abs(), z.abs())
    upper = (y - fin_top + 1.1 * (out - radius)) * 0.67
    fin = smooth_max(smooth_max(out - radius - span, upper, 0.03), -0.365 - y, 0.03)
    solid = Solid()
    solid.add(hull, hull_color)
    solid.add(smooth_max(fin, side - 0.034, 0.015), lambda: accent)
    solid.add(cone(radial, y + 0.365, 0.105, 0.075, 0.06, 0.015), lambda: paint((0.27, 0.28, 0.32), u))
    return solid


def _sail(out: Coord, y: Coord, across: Coord, width: Tensor, bottom: Tensor, top: Tensor) -> Coord:
    """Right triangle with its upright edge at out = 0, `width` wide at the bottom and .066 thick."""
    rise = top - bottom
    slant = (out * rise + (y - bottom) * width - width * rise) / (rise.square() + width.square()).sqrt()
    flat = smooth_max(smooth_max(slant, bottom - y, 0.03), -out - 0.02, 0.02)
    return smooth_max(flat, across.abs() - 0.033, 0.02)


def sailboat(points: Points, u: Params) -> Solid:
    """A chunky hull with a wooden deck, a thick mast, a striped mainsail and a jib."""
    x, y, z = points.unbind(-1)
    long, wide = between(u, 0, 0.33, 0.39), between(u, 1, 0.125, 0.165)
    deep, top = between(u, 2, 0.14, 0.19), between(u, 3, 0.32, 0.385)
    main, jib = between(u, 4, 0.25, 0.32), between(u, 5, 0.2, 0.27)
    deck_y, mast_z = -0.19, 0.02
    hull_paint = hsv(between(u, 6, 0.35, 0.85), between(u, 7, 0.95, 0.7), between(u, 7, 0.68, 0.95), u)
    stripe = hsv(between(u, 8, -0.2, 0.2), 0.85, 0.9, u)
    canvas = hsv(0.13, between(u, 9, 0.0, 0.24), between(u, 9, 0.97, 0.95), u)
    wood = paint((0.80, 0.58, 0.34), u)

    keel = ellipsoid(x, y - deck_y, z, (wide, deep, long))
    rail = length(x / wide, z / long)
    wall = rail * (rail - 1) / length(x / wide.square(), z / long.square()).clamp_min(1e-4)
    hull = smooth_max(torch.where(y < deck_y, keel, wall) * 0.95, y - (deck_y + 0.045), 0.02)

    def hull_color() -> Color:
        color = mix(hull_paint, paint((0.96, 0.95, 0.92), u), inside((deck_y + 0.005) - y))
        deck = torch.maximum(deck_y + 0.035 - y, wall + 0.03)
        return mix(color, wood, inside(deck))

    across, along = rotate(x, z - mast_z, SAIL_ANGLE)
    boom = deck_y + 0.12 + torch.zeros_like(top)
    band = (y - (boom + 0.3 * (top - boom))).abs() - 0.045
    solid = Solid()
    solid.add(hull, hull_color)
    mast_half = (top + 0.015 - deck_y) / 2
    solid.add(disc(length(x, z - mast_z), y - deck_y - mast_half, 0.036, mast_half, 0.015), lambda: wood * 0.75)
    solid.add(_sail(-along, y, across, main, boom, top + 0.06), lambda: mix(canvas, stripe, inside(band)))
    solid.add(_sail(z - mast_z, y, x, jib, boom, top - 0.03), lambda: canvas)
    return solid
