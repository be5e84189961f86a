"""Trees and mushrooms: `points [b, n, 3], u [b, 32] -> Solid`. u[:, :20] is shape, u[:, 20:] palette."""

import math
from functools import partial

import torch
from jaxtyping import Float
from primitives import (
    Color,
    Coord,
    Size,
    Solid,
    between,
    cone,
    disc,
    ellipsoid,
    fitted,
    fold_sectors,
    hsv,
    inside,
    length,
    mix,
    paint,
    smooth_max,
    smooth_min,
    where_above,
    where_below,
)
from torch import Tensor

from varied.palette import tint

Points = Float[Tensor, "b n 3"]
Params = Float[Tensor, "b 32"]

LEAFY, PALM = 0.42, 0.84  # of u[:, 0]: below the first a conifer, above it a round crown, above the second a palm


def tree(points: Points, u: Params) -> Solid:
    """Firs of two to five tiers, poplars and other crowns of leaves, umbrella pines, palms; green, autumn or snow."""
    height, wide = between(u, 1, 0.62, 0.93), between(u, 2, 0.13, 0.34)
    x, y, z, scale = fitted(points, (0.25 * height.square() + 0.35 * wide.square()).sqrt())
    floor, top = -height / 2, height / 2
    trunk = between(u, 3, 0.026, 0.07)
    foliage = floor + height * between(u, 4, 0.1, 0.4)
    leaf_hue = 0.3 + 0.16 * (u[:, 20:21] - 0.5) - 0.24 * (2 * u[:, 29:30] - 1.4).clamp_min(0) / 0.6
    pure, bright = between(u, 21, 0.25, 1.0), between(u, 22, 0.25, 0.9)
    bark = hsv(between(u, 23, 0.03, 0.11), between(u, 24, 0.15, 0.75), between(u, 25, 0.2, 0.75), u)
    radial = length(x, z)
    solid = Solid(scale)
    trunk_top = torch.where(u[:, 0:1] > PALM, top - 0.12, (foliage + top) / 2 - 0.02)
    lean = where_above(0 * x, u, 0, PALM).lt(1e-6).to(x) * between(u, 5, -0.2, 0.2)
    bent = x - lean * ((y - floor) / height).clamp(0, 1).square()
    girth = trunk * (1.25 - 0.5 * ((y - floor) / height).clamp(0, 1))
    stem = smooth_max(
        (length(bent, z) - girth) * 0.95, (y - (floor + trunk_top) / 2).abs() - (trunk_top - floor) / 2, 0.01
    )
    solid.add(stem, lambda: bark)
    for part, shade in _tiers((x, y, z, radial), u, (wide, foliage, top)):
        solid.add(where_below(part, u, 0, LEAFY), partial(_foliage, (x, y, z), u, leaf_hue, pure, bright, shade))
    crown = _crown((x, y, z), u, (wide, foliage, top))
    leaves = partial(_foliage, (x, y, z), u, leaf_hue, pure, bright, 0.55 + (y - foliage) / (top - foliage) * 0.5)
    solid.add(where_below(where_above(crown, u, 0, LEAFY), u, 0, PALM), leaves)
    out, side = fold_sectors(x - lean, z, 7)
    reach = 0.7 * wide + 0.12
    arch = y - top + 0.12 - 0.6 * out + 1.3 * out.square() / reach
    arch = arch.abs() / (1 + (2.6 * out / reach - 0.6).square()).sqrt()
    frond = smooth_max(smooth_max(arch - 0.024, out - reach, 0.02), side.abs() - 0.05, 0.02) * 0.9
    solid.add(where_above(frond, u, 0, PALM), partial(_foliage, (x, y, z), u, leaf_hue, pure, bright, 0.8))
    return solid


def _foliage(
    at: tuple[Coord, Coord, Coord], u: Params, hue: Tensor, pure: Tensor, bright: Tensor, shade: Size
) -> Color:
    """Leaves: one green from dark below to light above, fruits where u[:, 30] is large, snow where u[:, 31] is."""
    x, y, z = at
    level = torch.as_tensor(shade, dtype=y.dtype, device=y.device) + 0 * y
    ones = torch.zeros_like(y)
    flat = ones.reshape(-1, 1)
    color = hsv(
        (hue + ones).reshape(-1, 1), (pure + ones).reshape(-1, 1), (bright * level).clamp(0, 1).reshape(-1, 1), flat
    )
    leaves = color.reshape(*y.shape, 3)
    cell = 0.15
    grid = [c / cell - torch.round(c / cell) for c in (x, y, z)]
    fruit = length(*(c * cell for c in grid)) - 0.036
    leaves = mix(leaves, tint(u, 2, 0.0, grey=0.4, dark=0.4), inside(where_above(fruit, u, 30, 0.74)))
    tier = (y / 0.17).remainder(1.0)
    return mix(leaves, paint((0.96, 0.97, 1.0), u), inside(where_above(0.07 * (0.62 - tier), u, 31, 0.85)))


def _tiers(
    at: tuple[Coord, Coord, Coord, Coord], u: Params, size: tuple[Tensor, Tensor, Tensor]
) -> list[tuple[Coord, Size]]:
    """Two to five rounded cones, each smaller and lighter than the one below."""
    (x, y, _, radial), (wide, foliage, top) = at, size
    count = between(u, 6, 1.6, 5.4)
    shrink, waist = between(u, 7, 0.68, 0.9), between(u, 8, 0.3, 0.7)
    step = (top - foliage) / count.clamp(2, 5)
    parts: list[tuple[Coord, Size]] = []
    for tier in range(5):
        missing = 2 * (tier + 1 - count.clamp_min(2)).clamp_min(0) * 0.12
        last = (tier + 1 >= count.clamp(2, 5)).to(x)
        radius = wide * shrink**tier
        half = step * (0.62 - 0.12 * last)
        tip = radius * waist * (1 - 0.75 * last)
        parts.append(
            (cone(radial, y - (foliage + step * tier + half), radius, tip, half, 0.03) + missing, 0.75 + 0.09 * tier)
        )
    return parts


def _crown(at: tuple[Coord, Coord, Coord], u: Params, size: tuple[Tensor, Tensor, Tensor]) -> Coord:
    """Ball, egg, poplar or umbrella, with lumps around it."""
    (x, y, z), (wide, foliage, top) = at, size
    half = (top - foliage) / 2
    flat = between(u, 9, 0.35, 1.0)
    center = top - half * flat
    crown = ellipsoid(x, y - center, z, (wide, half * flat, wide)) * 0.9
    lumps = between(u, 10, -0.08, 0.3).clamp_min(0) * wide
    ball = wide * 0.55
    for lift, count, offset in ((-0.3, 4, 0.0), (0.35, 3, 0.5)):
        out, side = fold_sectors(x, z, count, offset)
        reach = wide * 0.5 + lumps
        lump = length(out - reach, y - center - lift * half * flat, side) - torch.minimum(ball, half * flat * 0.75)
        crown = smooth_min(crown, lump + 2 * (0.02 - lumps).clamp_min(0), 0.03)
    return crown


def mushroom(points: Points, u: Params) -> Solid:
    """Toadstools, button mushrooms, tall thin ones, bells and funnels; spots, a ring, a smaller one beside it."""
    cap, dome = between(u, 0, 0.16, 0.38), between(u, 1, 0.09, 0.36)
    stem, rise = between(u, 2, 0.035, 0.13), between(u, 3, 0.18, 0.55)
    height = dome + rise
    broad = torch.where(u[:, 5:6] > 0.76, 1.5 * cap + 0.04, cap)
    x, y, z, scale = fitted(points, (0.25 * height.square() + 0.75 * broad.square()).sqrt())
    floor = -height / 2
    skin, flesh = tint(u, 0, 0.02), tint(u, 1, 0.1, span=0.3, dark=0.45)
    solid = Solid(scale)
    main = (x, y, z)
    _add_mushroom(solid, main, u, (cap, dome, stem, floor, floor + rise), (skin, flesh), None)
    small = between(u, 4, 0.35, 0.6)
    beside = ((x - cap * 0.55 - 0.06), y, z - cap * 0.55 - 0.04)
    parts = (cap * small * 0.8, dome * small, stem * 0.7 + 0.01, floor, floor + rise * small * 0.9)
    _add_mushroom(solid, beside, u, parts, (skin, flesh), 0.78)
    return solid


def _add_mushroom(
    solid: Solid,
    at: tuple[Coord, Coord, Coord],
    u: Params,
    size: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    colors: tuple[Color, Color],
    only_above: float | None,
) -> None:
    """One stem with one cap; `only_above`: where u[:, 5] is above this."""
    (x, y, z), (cap, dome, stem, floor, cap_y), (skin, flesh) = at, size, colors
    radial, rise = length(x, z), y - cap_y
    down = ((cap_y - y) / (cap_y - floor)).clamp(0, 1)
    girth = stem * (1 + between(u, 6, -0.25, 0.9) * down.square())
    stalk = smooth_max((radial - girth) * 0.92, torch.maximum(floor - y, y - cap_y - 0.4 * dome), 0.03)
    under = dome * between(u, 7, 0.06, 0.4)
    round_ = torch.where(rise > 0, ellipsoid(x, rise, z, (cap, dome, cap)), ellipsoid(x, rise, z, (cap, under, cap)))
    bell = cone(radial, rise - dome / 2, cap, cap * 0.12, dome / 2, 0.02)
    lid = torch.lerp(round_, bell, (3 * (u[:, 8:9] - 0.6)).clamp(0, 0.8)) * 0.85
    ring = disc(radial, y - (floor + 0.62 * (cap_y - floor)), stem + 0.035, 0.02, 0.012)
    skirt = where_above(ring, u, 9, 0.66)

    def cap_color() -> Color:
        spot = between(u, 10, 0.03, 0.075) * (cap / 0.3)
        spots = length(radial, rise - dome) - spot * 1.2
        for elevation, offset in ((0.82, 0.0), (0.27, 0.5)):
            out, around = fold_sectors(x, z, 5, offset)
            center, lift = cap * math.cos(elevation), dome * math.sin(elevation)
            spots = torch.minimum(spots, length(out - center, around, rise - lift) - spot)
        color = mix(skin, tint(u, 2, 0.12, grey=-0.8, dark=0.3), inside(where_above(spots, u, 29, 0.36)))
        rim = where_above((rise - 0.28 * dome).abs() - 0.03, u, 30, 0.8)
        return mix(mix(color, flesh, inside(rim)), flesh * 0.92, inside(rise + 0.01))

    parts = ((stalk, lambda: flesh), (lid, cap_color), (skirt, lambda: flesh))
    for distance, color in parts:
        solid.add(distance if only_above is None else where_above(distance, u, 5, only_above), color)
