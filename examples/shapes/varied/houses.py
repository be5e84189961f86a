"""Houses: `points [b, n, 3], u [b, 32] -> Solid`. u[:, :20] is shape, u[:, 20:] palette."""

from collections.abc import Callable

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
    fitted,
    inside,
    length,
    mix,
    paint,
    rectangle,
    smooth_max,
    where_above,
    where_below,
)
from torch import Tensor

from varied.palette import tint

Points = Float[Tensor, "b n 3"]
Params = Float[Tensor, "b 32"]


def house(points: Points, u: Params) -> Solid:
    """Cottage, hut, block, town house, tower: gable, hipped, lean-to or flat roof; annexe, porch, chimney, tower."""
    wide, far = between(u, 0, 0.12, 0.27), between(u, 1, 0.12, 0.27)
    tall, rise = between(u, 2, 0.16, 0.52), between(u, 3, -0.06, 0.34)
    height = tall + rise.clamp_min(0.03)
    broad = wide + torch.where(u[:, 11:12] > 0.66, 1.4 * between(u, 18, 0.07, 0.13), 0 * wide)
    x, y, z, scale = fitted(points, (0.3 * height.square() + 0.9 * (broad.square() + far.square())).sqrt())
    floor = -height / 2
    eave = floor + tall
    tiles, plaster, trim = tint(u, 0, 0.02), tint(u, 1, 0.1, dark=0.3), tint(u, 2, 0.08)
    solid = Solid(scale)
    over, _ = _roof_planes(x, y - eave, z, u, (wide, far), rise)
    body = box(x, y - floor - 0.45, z, (wide, 0.45, far), 0.008)
    solid.add(smooth_max(body, over, 0.005), _walls((x, y - floor, z), u, (wide, far, tall), (plaster, trim)))
    solid.add(_roof(x, y - eave, z, u, (wide, far), rise), lambda: tiles)
    stack_top = eave + rise.clamp_min(0) * 0.7 + 0.1
    stack = (x - wide * between(u, 5, -0.6, 0.6), y - stack_top + 0.11, z + far * between(u, 6, -0.5, 0.6))
    chimney = box(*stack, (0.036, 0.12, 0.036), 0.008)
    solid.add(
        where_above(chimney, u, 7, 0.4), lambda: mix(trim, paint((0.2, 0.2, 0.2), u), inside(stack_top - 0.035 - y))
    )
    _add_annexe(solid, (x, y - floor, z), u, (wide, far, tall), (tiles, plaster))
    post = length(x.abs() - wide * 0.6, z - far - 0.1) - 0.02
    porch_y = torch.minimum(0.2 + 0 * tall, tall * 0.75)
    porch = torch.minimum(
        box(x, y - floor - porch_y, z - far - 0.05, (wide * 0.75, 0.022, 0.085), 0.01),
        torch.maximum(post, (y - floor - porch_y / 2).abs() - porch_y / 2),
    )
    solid.add(where_above(porch, u, 12, 0.76), lambda: trim)
    return solid


def _roof_planes(
    x: Coord, y: Coord, z: Coord, u: Params, half: tuple[Tensor, Tensor], rise: Tensor
) -> tuple[Coord, Tensor]:
    """Distance above the roof, y = 0 at the eaves: gable to the front, hipped by u[:, 8], lean-to by u[:, 9]."""
    (wide, far), climb = half, rise.clamp_min(0.0)
    slope = climb / wide
    gable = (y - climb + slope * x.abs()) / (1 + slope.square()).sqrt()
    hip = between(u, 8, -0.8, 1.2).clamp(0, 1)
    end = climb / (far * hip.clamp_min(0.15))
    ends = (y - climb + end * (z.abs() - far * (1 - hip)).clamp_min(0)) / (1 + end.square()).sqrt()
    both = torch.where(hip > 0.02, torch.maximum(gable, ends), gable)
    lean = climb / (2 * wide)
    single = (y - climb / 2 + lean * x) / (1 + lean.square()).sqrt()
    return torch.where(u[:, 9:10] > 0.86, single, both), slope


def _roof(x: Coord, y: Coord, z: Coord, u: Params, half: tuple[Tensor, Tensor], rise: Tensor) -> Coord:
    """A slab on the roof's planes, overhanging; a flat roof is a slab with a raised edge."""
    over, _ = _roof_planes(x, y, z, u, half, rise)
    eaves = between(u, 4, 0.005, 0.06)
    outline = rectangle(x, z, half[0] + eaves, half[1] + eaves, 0.008)
    thick = between(u, 10, 0.018, 0.04)
    return smooth_max(smooth_max((over - thick).abs() - thick, outline, 0.008), -y - 0.09, 0.008) * 0.95


def _walls(
    at: tuple[Coord, Coord, Coord], u: Params, size: tuple[Tensor, Tensor, Tensor], colors: tuple[Color, Color]
) -> Callable[[], Color]:
    """A door in front, rows of windows on every side, a plinth or timber where the palette has them."""
    (x, y, z), (wide, far, tall), (plaster, trim) = at, size, colors

    def color() -> Color:
        storey = tall / torch.round(tall / 0.2).clamp(1, 3)
        row = y - storey * (torch.floor(y / storey) + 0.52)
        row = torch.where(y < tall, row, y - 10.0)
        pane_x, pane_y = between(u, 13, 0.024, 0.05), between(u, 14, 0.03, 0.055)
        front = z.abs() > far - 0.02
        along = torch.where(front, x, z)
        reach = torch.where(front, wide, far)
        count = between(u, 15, 0.6, 3.4).round().clamp(1, 3)
        pitch = 2 * reach / count
        column = (along / pitch + 0.5 * (count - 1) - torch.round(along / pitch + 0.5 * (count - 1))) * pitch
        wall = torch.minimum(wide - x.abs(), far - z.abs()) - 0.02
        pane = torch.maximum(rectangle(column, row, pane_x, pane_y), wall)
        frame = torch.maximum(rectangle(column, row, pane_x + 0.016, pane_y + 0.016), wall)
        door_x = x - wide * between(u, 16, -0.5, 0.5)
        door = torch.maximum(rectangle(door_x, y, 0.048, torch.minimum(0.15 + 0 * tall, tall * 0.7)), far - 0.02 - z)
        beside = rectangle(door_x, y, 0.085, 0.2)
        pane, frame = (
            torch.maximum(pane, -torch.maximum(beside, far - 0.02 - z)),
            torch.maximum(frame, -torch.maximum(beside, far - 0.02 - z)),
        )
        plinth = where_above(y - 0.06, u, 30, 0.6)
        beams = torch.minimum((y - tall + 0.03).abs() - 0.014, (along.abs() - reach + 0.02).abs() - 0.016)
        painted = mix(plaster, trim, inside(torch.minimum(plinth, where_below(beams, u, 30, 0.3))))
        painted = mix(painted, paint((0.95, 0.95, 0.93), u), inside(where_above(frame, u, 29, 0.5)))
        glass = torch.lerp(paint((0.13, 0.17, 0.25), u), paint((0.55, 0.78, 0.95), u), u[:, 31:32, None])
        return mix(mix(painted, glass, inside(pane)), trim * 0.7, inside(door))

    return color


def _add_annexe(
    solid: Solid,
    at: tuple[Coord, Coord, Coord],
    u: Params,
    size: tuple[Tensor, Tensor, Tensor],
    colors: tuple[Color, Color],
) -> None:
    """A garage beside the house, or a round tower at its corner."""
    (x, y, z), (wide, far, tall), (tiles, plaster) = at, size, colors
    low, out = tall * between(u, 17, 0.4, 0.75), between(u, 18, 0.07, 0.13)
    side = x - wide - out + 0.02
    wing = box(side, y - low / 2, z + far * 0.1, (out, low / 2, far * 0.75), 0.008)
    gate = torch.maximum(rectangle(side, y, out * 0.62, low * 0.68), far * 0.65 - 0.02 - z)
    solid.add(where_above(wing, u, 11, 0.68), lambda: mix(plaster, tiles * 0.8, inside(gate)))
    lid = box(side, y - low - 0.01, z + far * 0.1, (out + 0.015, 0.024, far * 0.75 + 0.015), 0.008)
    solid.add(where_above(lid, u, 11, 0.68), lambda: tiles)
    radial = length(x + wide * 0.85, z - far * 0.8)
    crest = tall * 1.05
    tower = where_above(disc(radial, y - crest / 2, 0.085, crest / 2), u, 19, 0.84)
    solid.add(tower, lambda: plaster)
    hat = where_above(cone(radial, y - crest - 0.07, 0.11, 0.012, 0.08, 0.008), u, 19, 0.84)
    solid.add(hat, lambda: tiles)
