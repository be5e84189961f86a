"""Chair, donut, lamp and mug: `points [b, n, 3], u [b, 10] -> Solid`. u[:, :6] is shape, u[:, 6:] palette."""

import torch
from jaxtyping import Float
from primitives import (
    Color,
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
    rectangle,
    smooth_max,
    torus,
)
from torch import Tensor

Points = Float[Tensor, "b n 3"]
Params = Float[Tensor, "b 10"]


def chair(points: Points, u: Params) -> Solid:
    """A wooden chair: four square legs, a seat with a cushion, a back with an upholstered panel."""
    x, y, z = points.unbind(-1)
    width, depth = between(u, 0, 0.165, 0.205), between(u, 1, 0.165, 0.2)
    seat_y, top = between(u, 2, -0.09, 0.0), between(u, 3, 0.29, 0.36)
    leg, cushion = between(u, 4, 0.036, 0.046), between(u, 5, 0.06, 0.095)
    fabric = hsv(between(u, 6, 0.35, 0.85), between(u, 7, 0.95, 0.65), between(u, 7, 0.7, 0.95), u)
    wood = hsv(between(u, 8, 0.04, 0.1), between(u, 9, 0.8, 0.5), between(u, 9, 0.45, 0.88), u)
    floor = -0.365
    leg_half, back_half = (seat_y - floor) / 2, (top - seat_y) / 2
    upright = y - (seat_y + back_half)

    def back_color() -> Color:
        panel = rectangle(x, upright - cushion * 0.5, width - 0.05, back_half - 0.05 - cushion * 0.5, 0.02)
        return mix(wood, fabric, inside(panel))

    solid = Solid()
    solid.add(box(x, y - seat_y, z, (width, 0.04, depth), 0.015), lambda: wood)
    legs = (x.abs() - (width - leg), y - (floor + leg_half), z.abs() - (depth - leg))
    solid.add(box(*legs, (leg, leg_half, leg), 0.012), lambda: wood)
    solid.add(box(x, upright, z + (depth - 0.042), (width, back_half, 0.042), 0.02), back_color)
    pillow = (width - 0.012, cushion / 2, depth - 0.03)
    solid.add(box(x, y - seat_y - cushion / 2, z - 0.03, pillow, 0.025), lambda: fabric)
    return solid


def donut(points: Points, u: Params) -> Solid:
    """A ring of dough, its upper half under thick icing with a gently waved edge."""
    x, y, z = points.unbind(-1)
    ring, tube = between(u, 0, 0.265, 0.305), between(u, 1, 0.095, 0.12)
    squash, level = between(u, 2, 0.85, 1.15), between(u, 3, -0.03, 0.035)
    wave, thick = between(u, 4, 0.008, 0.032), between(u, 5, 0.012, 0.028)
    icing = hsv(between(u, 6, 0.72, 1.14), between(u, 7, 0.75, 0.38), between(u, 7, 0.8, 1.0), u)
    dough = hsv(between(u, 8, 0.065, 0.105), between(u, 9, 0.75, 0.5), between(u, 9, 0.6, 0.95), u)
    radial, lift = length(x, z), y / squash
    edge = level + wave * torch.sin(5 * torch.atan2(z, x)) - y
    solid = Solid()
    solid.add(torus(radial, lift, ring, tube) * 0.9, lambda: dough)
    coat = smooth_max(torus(radial, lift, ring, tube + thick) * 0.9, edge * 0.9, 0.012)
    solid.add(coat, lambda: icing)
    return solid


def lamp(points: Points, u: Params) -> Solid:
    """A table lamp: disc base, pole with a ball, a big solid shade with a light rim, glowing below."""
    x, y, z = points.unbind(-1)
    base, ball = between(u, 0, 0.14, 0.19), between(u, 1, 0.07, 0.11)
    bottom, top = between(u, 2, 0.24, 0.3), between(u, 3, 0.11, 0.18)
    half, shade_y = between(u, 4, 0.12, 0.165), between(u, 5, 0.17, 0.24)
    shade = hsv(between(u, 6, -0.12, 0.38), between(u, 7, 0.85, 0.5), between(u, 7, 0.88, 1.0), u)
    stand = hsv(between(u, 8, 0.4, 0.8), between(u, 9, 0.7, 0.45), between(u, 9, 0.4, 0.9), u)
    floor, radial = -0.415, length(x, z)

    def shade_color() -> Color:
        color = mix(shade, paint((0.97, 0.96, 0.92), u), inside(y - (shade_y - half + 0.05)))
        glow = torch.maximum(y - (shade_y - half + 0.012), radial - (bottom - 0.05))
        return mix(color, paint((1.0, 0.9, 0.5), u), inside(glow))

    solid = Solid()
    solid.add(disc(radial, y - (floor + 0.04), base, 0.04, 0.02), lambda: stand)
    pole_half = (shade_y - floor) / 2
    pole = 0.55 * stand + 0.45
    solid.add(disc(radial, y - (floor + pole_half), 0.043, pole_half), lambda: pole)
    solid.add(ellipsoid(x, y - (floor + 0.08 + ball * 0.75), z, (ball, ball, ball)), lambda: stand)
    solid.add(cone(radial, y - shade_y, bottom, top, half, 0.02), shade_color)
    return solid


def mug(points: Points, u: Params) -> Solid:
    """A thick mug with a round handle towards +x, one broad band and something to drink."""
    x, y, z = points.unbind(-1)
    radius, half = between(u, 0, 0.2, 0.25), between(u, 1, 0.215, 0.275)
    flare, handle = between(u, 2, -0.025, 0.025), between(u, 3, 0.125, 0.15)
    fill, band = between(u, 4, 0.1, 0.75), between(u, 5, 0.04, 0.085)
    glaze = hsv(between(u, 6, 0.33, 0.83), between(u, 7, 0.95, 0.6), between(u, 7, 0.68, 0.98), u)
    trim = hsv(between(u, 8, 0.0, 0.26), between(u, 9, 0.0, 0.9), between(u, 9, 1.0, 0.95), u)
    wall, tube, shift = 0.06, 0.045, 0.095
    cup_x = x + shift
    radial = length(cup_x, z)
    outer = cone(radial, y, radius - flare, radius + flare, half, 0.02)
    side = radius + flare * (y / half)
    level = -half + 0.08 + fill * (2 * half - 0.12)
    hollow = torch.maximum(radial - (side - wall), level - y) * 0.98
    stretch = 1.25
    grip = length(length(cup_x - radius - 0.01, y / stretch) - handle, z) - tube
    grip = torch.maximum(grip * 0.9, side - wall * 0.5 - radial)

    def cup_color() -> Color:
        color = mix(glaze, trim, inside(y.abs() - band))
        drink = torch.maximum(radial - (side - wall) - 0.006, (y - level).abs() - 0.006)
        return mix(color, paint((0.36, 0.2, 0.11), u), inside(drink))

    solid = Solid()
    solid.add(smooth_max(outer, -hollow, 0.012), cup_color)
    solid.add(grip, lambda: glaze)
    return solid
