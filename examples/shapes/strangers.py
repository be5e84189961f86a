"""Things the generator does not know: the other side of the encoder's "familiar or not".

Solid ones are random assemblies of primitives, traced like the toys. Flat ones are drawn: noise, plain colours,
gradients, doodles, heaps of shapes, and toys that were cut up and put together wrongly.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from primitives import Solid, between, box, cone, disc, ellipsoid, hsv, length, rotate, torus
from torch import Tensor
from torch.nn import functional as F

Points = Float[Tensor, "b n 3"]
Params = Float[Tensor, "b k"]
Drawer = Callable[[Tensor, torch.Generator], Tensor]


def assembly(generator: torch.Generator) -> Callable[[Points, Params], Solid]:
    """Invent a kind of object: two to six primitives at random places, turned anyhow.

    Args:
        generator: Source of randomness; it decides everything but what a latent varies.

    Returns:
        A function like those of the classes; a latent changes sizes and colours.
    """

    def number(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    count = int(torch.randint(2, 7, (), generator=generator))
    spread = number(0.05, 0.3)
    parts = [
        {
            "what": int(torch.randint(5, (), generator=generator)),
            "center": [number(-spread, spread) for _ in range(3)],
            "turn": number(0, math.pi),
            "tilt": number(0, math.pi) if number(0, 1) < 0.5 else 0.0,
            "sizes": [number(0.03, 0.2) for _ in range(3)],
            "hue": number(0, 1),
            "value": number(0.25, 1),
            "saturation": number(0, 1),
        }
        for _ in range(count)
    ]

    def build(points: Points, u: Params) -> Solid:
        solid = Solid()
        for index, part in enumerate(parts):
            solid.add(_part_distance(points, u, part, index), lambda part=part: _part_color(u, part))
        return solid

    return build


def _part_distance(points: Points, u: Params, part: dict, index: int) -> Tensor:
    x, y, z = (points[..., k] - part["center"][k] for k in range(3))
    x, z = rotate(x, z, part["turn"])
    y, z = rotate(y, z, part["tilt"])
    a, b, c = (size * between(u, (index + k) % 6, 0.7, 1.3) for k, size in enumerate(part["sizes"]))
    match part["what"]:
        case 0:
            return box(x, y, z, (a, b, c), 0.01)
        case 1:
            return 0.8 * ellipsoid(x, y, z, (a, b, c))
        case 2:
            return disc(length(x, z), y, a, b, 0.01)
        case 3:
            return torus(length(x, z), y, a, 0.25 * a + 0.01)
        case _:
            return cone(length(x, z), y, a, 0.3 * c, b)


def _part_color(u: Params, part: dict) -> Tensor:
    hue = part["hue"] + between(u, 6, -0.3, 0.3)
    return hsv(hue, part["saturation"], part["value"], u)


def snowman(points: Points, u: Params) -> Solid:
    """Two balls of snow and a carrot: a kind nobody trains on."""
    x, y, z = points.unbind(-1)
    body, head, nose = between(u, 0, 0.2, 0.26), between(u, 1, 0.13, 0.17), between(u, 2, 0.04, 0.09)
    snow = hsv(0.58, between(u, 6, 0.02, 0.15), 0.97, u)
    carrot = hsv(between(u, 7, 0.05, 0.1), 0.9, 0.95, u)
    neck = body - 0.16
    solid = Solid()
    solid.add(length(x, y + 0.16, z) - body, lambda: snow)
    solid.add(length(x, y - neck - head * 0.8, z) - head, lambda: snow)
    solid.add(ellipsoid(x, y - neck - head * 0.8, z - head, (0.04, 0.04, nose)), lambda: carrot)
    return solid


def table(points: Points, u: Params) -> Solid:
    """A table on four legs: a kind nobody trains on, and near to a chair."""
    x, y, z = points.unbind(-1)
    wide, deep, tall = between(u, 0, 0.2, 0.33), between(u, 1, 0.15, 0.25), between(u, 2, 0.15, 0.28)
    wood = hsv(between(u, 6, 0.02, 0.14), between(u, 7, 0.3, 0.8), between(u, 8, 0.4, 0.9), u)
    solid = Solid()
    solid.add(box(x, y - tall + 0.03, z, (wide, 0.03, deep), 0.01), lambda: wood)
    solid.add(box(x.abs() - wide + 0.04, y, z.abs() - deep + 0.04, (0.03, tall, 0.03), 0.01), lambda: wood)
    return solid


def _noise(toy: Tensor, generator: torch.Generator) -> Tensor:
    """Coloured noise with detail at random scales."""
    side = toy.shape[-1]
    total = torch.full_like(toy, 0.5)
    for level in range(int(torch.randint(1, 6, (), generator=generator)), 7):
        cells = torch.randn(1, 3, min(side, 2**level), min(side, 2**level), generator=generator)
        strength = 0.3 * float(torch.rand((), generator=generator))
        total = total + strength * F.interpolate(cells, size=(side, side), mode="bilinear", align_corners=False)[0]
    return total.clamp(0, 1)


def _plain(toy: Tensor, generator: torch.Generator) -> Tensor:
    """One colour, now and then pure white or black."""
    color = (torch.rand(3, 1, 1, generator=generator) * 1.4 - 0.2).clamp(0, 1)
    return color.expand_as(toy)


def _gradient(toy: Tensor, generator: torch.Generator) -> Tensor:
    """Two colours, one fading into the other."""
    side = toy.shape[-1]
    first, second = torch.rand(2, 3, 1, 1, generator=generator)
    angle = float(torch.rand((), generator=generator)) * 2 * math.pi
    steps = torch.linspace(-0.7, 0.7, side)
    ramp = (0.5 + math.cos(angle) * steps[None, :] + math.sin(angle) * steps[:, None]).clamp(0, 1)
    return first + (second - first) * ramp


def _doodle(toy: Tensor, generator: torch.Generator) -> Tensor:
    """Lines, rings and blobs on white."""
    side = toy.shape[-1]
    grid = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    image = torch.ones_like(toy)
    filled = bool(torch.rand((), generator=generator) < 0.5)
    for _ in range(int(torch.randint(2, 9, (), generator=generator))):
        cx, cy, a, b, angle = torch.rand(5, generator=generator).tolist()
        rx, ry = rotate(x - 0.2 - 0.6 * cx, y - 0.2 - 0.6 * cy, math.pi * angle)
        radius = torch.sqrt((rx / (0.05 + 0.25 * a)) ** 2 + (ry / (0.02 + 0.25 * b)) ** 2)
        mask = radius < 1 if filled else (radius - 1).abs() < 0.15
        image = torch.where(mask, torch.rand(3, 1, 1, generator=generator) * (1.0 if filled else 0.5), image)
    return image


def _collage(toy: Tensor, generator: torch.Generator) -> Tensor:
    """The toy's four quarters in another order, some of them mirrored."""
    half = toy.shape[-1] // 2
    quarters = [toy[:, i : i + half, j : j + half] for i in (0, half) for j in (0, half)]
    order = torch.randperm(4, generator=generator).tolist()
    if order == sorted(order):
        order.reverse()
    a, b, c, d = (quarters[k].flip(-1) if torch.rand((), generator=generator) < 0.3 else quarters[k] for k in order)
    return torch.cat([torch.cat([a, b], dim=-1), torch.cat([c, d], dim=-1)], dim=-2)


def _upside_down(toy: Tensor, generator: torch.Generator) -> Tensor:
    """The toy on its head or on its side."""
    return toy.rot90(int(torch.randint(1, 4, (), generator=generator)), (-2, -1))


def _negative(toy: Tensor, generator: torch.Generator) -> Tensor:
    """The toy in inverted colours."""
    return 1 - toy


def _leaves(toy: Tensor, generator: torch.Generator) -> Tensor:
    """Textured shapes over one another, with the statistics of photographs (Lee, Mumford and Huang, 2001)."""
    side = toy.shape[-1]
    grid = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    image = _gradient(toy, generator)
    palette = torch.rand(3, 3, 1, 1, generator=generator)
    for size in torch.linspace(0.7, 0.04, int(torch.randint(12, 60, (), generator=generator))).tolist():
        cx, cy, a, b, angle, corner, pick, grain = torch.rand(8, generator=generator).tolist()
        rx, ry = rotate(x - cx, y - cy, math.pi * angle)
        rx, ry = rx.abs() / (size * (0.2 + a)), ry.abs() / (size * (0.2 + b))
        inside = torch.maximum(rx, ry) < 0.5 if corner < 0.4 else rx**2 + ry**2 < 0.25
        tint = 0.3 * torch.randn(3, 1, 1, generator=generator)
        rough = 0.3 * grain * torch.randn(1, side, side, generator=generator)
        image = torch.where(inside, palette[int(3 * pick)] + tint + rough, image)
    return image.clamp(0, 1)


FLAT = (_noise, _plain, _gradient, _doodle, _collage, _upside_down, _negative, _leaves)
"""Every kind of flat stranger; all take a toy's picture [3, n, n] and a source of randomness."""


def drawn(
    toys: Float[Tensor, "b 3 n n"], generator: torch.Generator, kinds: Sequence[Drawer] = FLAT
) -> Float[Tensor, "b 3 n n"]:
    """Draw as many flat strangers as there are toys; some kinds are made from the toys."""
    choice = torch.randint(len(kinds), (len(toys),), generator=generator)
    return torch.stack([kinds[int(c)](toy, generator) for c, toy in zip(choice, toys, strict=True)])
