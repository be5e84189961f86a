"""What a picture is made of, traced once and lit anew every time it is used (`makers.py`).

Layers are colour without light, normals, coverage, ambient occlusion, what two lights see, and the shadow on
the ground. They are averaged over the rays of a pixel and kept as bytes, some 0.8 kB per 8 x 8 pixels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from dataset import Kind, albedo, gradient, parameters, signed_distance, solid
from jaxtyping import Bool, Float, UInt8
from primitives import Solid, rotate
from torch import Tensor
from torch.nn import functional as F
from tracer import camera_rays, first, trace

LIGHTS = 2
SHADOW_STEPS, SHADOW_START, SHADOW_REACH = 14, 0.02, 0.8  # of the way to a light; world units
OCCLUSION_STEPS = (0.03, 0.08, 0.16)  # along the normal, world units
GROUND_FADE = 0.75  # from the foot of the object, world units: there the shadow ends

Points = Float[Tensor, "b n 3"]
Values = Float[Tensor, "b n"]


@dataclass(frozen=True)
class Layers:
    """Layers of b pictures of n x n pixels, and the lights and views they belong to."""

    albedo: UInt8[Tensor, "b 3 n n"]
    normal: UInt8[Tensor, "b 3 n n"]  # world axes; 0 to 255 is -1 to 1; where nothing is: 128
    alpha: UInt8[Tensor, "b 1 n n"]
    occlusion: UInt8[Tensor, "b 1 n n"]  # 255: open
    lit: UInt8[Tensor, "b 2 n n"]  # 255: the light is seen whole
    ground: UInt8[Tensor, "b 2 n n"]  # the same for the ground below the object; 255 where there is none
    lights: Float[Tensor, "b 2 3"]  # unit vectors towards the lights
    view: Float[Tensor, "b 3"]  # unit vector towards the camera

    def __getitem__(self, rows: Tensor | slice) -> "Layers":
        return Layers(*(getattr(self, field.name)[rows] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.albedo)


class _Bent:
    """A solid seen through bent coordinates: same colours, distances made safe by `factor`."""

    def __init__(self, inner: Solid, factor: Tensor) -> None:
        self._inner, self._factor = inner, factor

    def distance(self) -> Values:
        return self._inner.distance() * self._factor

    def color(self) -> Points:
        return self._inner.color()


def bent(kind: Kind, count: int, generator: torch.Generator, strength: float = 1.0) -> Callable[..., _Bent]:
    """Stretch, taper and twist the shapes of a kind beyond what their latents reach.

    Args:
        kind: What to bend.
        count: How many shapes a batch has; each is bent its own way.
        generator: Source of randomness.
        strength: 0 leaves the shapes as they are.
    """
    draw = (torch.rand(5, count, 1, generator=generator) * 2 - 1) * strength
    sides = (draw[:3] * math.log(1.22)).exp()
    sides = sides / sides.amax(dim=0).clamp_min(1.0)  # it may only get smaller: it has to fit
    taper, twist = draw[3] * 0.35, draw[4] * 0.25
    factor = sides.amin(dim=0) * 0.85

    def build(points: Points, u: Float[Tensor, "b k"]) -> _Bent:
        x, y, z = (c / s for c, s in zip(points.unbind(-1), sides, strict=True))
        narrow = 1 + (taper * (y + 0.47)).clamp_min(0) + (-taper * (0.47 - y)).clamp_min(0)
        x, z = rotate(x * narrow, z * narrow, twist * y)
        return _Bent(solid(torch.stack([x, y, z], dim=-1), u, kind), factor / narrow.amax(dim=1, keepdim=True))

    return build


@torch.no_grad()
def trace_layers(
    z: Float[Tensor, "b k"],
    kind: Kind,
    cam2world: Float[Tensor, "b 4 4"],
    fov_y_deg: Float[Tensor, " b"],
    resolution: int,
    generator: torch.Generator,
    supersample: int = 2,
    *,
    textured: bool = True,
) -> Layers:
    """Trace shapes of one kind, each under two lights of its own.

    Args:
        z: Latents.
        kind: What all of them are.
        cam2world: Camera to world, OpenCV axes.
        fov_y_deg: Vertical field of view of each picture, degrees.
        resolution: Side of the pictures in pixels.
        generator: Source of lights, their softness and textures.
        supersample: Rays per pixel along each side.
        textured: Give some of them grain, blotches or veins.
    """
    u, side = parameters(z), resolution * supersample
    origins, directions = camera_rays(cam2world.to(z), fov_y_deg, side)
    distance, hit = trace(origins, directions, u, kind)
    points = origins + distance[..., None] * directions
    lights = draw_lights(len(z), generator)
    hardness = 3.0 * 14.0 ** torch.rand(len(z), LIGHTS, generator=generator)
    layers = torch.zeros(*hit.shape, 3 + 3 + 1 + 1 + LIGHTS)
    ground = _ground(points, origins, directions, hit, u, kind, lights, hardness, every=supersample)
    rays = first(hit)
    place = points.gather(1, rays[..., None].expand(-1, -1, 3))
    normals = F.normalize(gradient(place, u, kind), dim=-1)
    color = albedo(place, u, kind)
    color = _textured(color, place, generator) if textured else color
    seen = [_visible(place + 0.012 * normals, u, kind, lights[:, k], hardness[:, k]) for k in range(LIGHTS)]
    found = torch.cat([color, normals, torch.ones_like(color[..., :1])], dim=-1)
    found = torch.cat([found, _occlusion(place, normals, u, kind)[..., None], torch.stack(seen, dim=-1)], dim=-1)
    found = found * hit.gather(1, rays)[..., None]
    layers = layers.scatter(1, rays[..., None].expand_as(found), found)
    image = F.avg_pool2d(layers.transpose(1, 2).reshape(len(z), -1, side, side), supersample)
    alpha = image[:, 6:7]
    inside = image / alpha.clamp_min(1e-6)
    byte = lambda x: (x * 255).round().clamp(0, 255).to(torch.uint8)  # noqa: E731
    return Layers(
        albedo=byte(inside[:, :3]),
        normal=byte(F.normalize(image[:, 3:6], dim=1) / 2 + 0.5),
        alpha=byte(alpha),
        occlusion=byte(inside[:, 7:8]),
        lit=byte(inside[:, 8 : 8 + LIGHTS]),
        ground=byte(ground),
        lights=lights,
        view=F.normalize(cam2world[:, :3, 3].to(z), dim=-1),
    )


def draw_lights(count: int, generator: torch.Generator) -> Float[Tensor, "b 2 3"]:
    """Unit vectors towards lights: anywhere above the ground, now and then level with it."""
    direction = torch.randn(count, LIGHTS, 3, generator=generator)
    direction[..., 1] = direction[..., 1].abs() * 1.2 + 0.05
    return F.normalize(direction, dim=-1)


def _visible(place: Points, u: Tensor, kind: Kind, light: Tensor, hardness: Tensor) -> Values:
    """Share of a soft light seen from points: the narrowest gap on the way, as an angle (Quilez, soft shadows)."""
    share = torch.ones_like(place[..., 0])
    travelled = torch.full_like(share, SHADOW_START)
    for _ in range(SHADOW_STEPS):
        gap = signed_distance(place + travelled[..., None] * light[:, None], u, kind)
        share = torch.minimum(share, (0.5 + 0.5 * hardness[:, None] * gap / travelled).clamp(0, 1))
        travelled = travelled + gap.clamp(0.02, 0.12)
    return share * share * (3 - 2 * share)


def _occlusion(place: Points, normals: Points, u: Tensor, kind: Kind) -> Values:
    """How open the surroundings of surface points are, 0 to 1."""
    open_ = torch.ones_like(place[..., 0])
    for reach in OCCLUSION_STEPS:
        gap = signed_distance(place + reach * normals, u, kind)
        open_ = torch.minimum(open_, 0.25 + 0.75 * (gap / reach).clamp(0, 1))
    return open_


def _ground(
    points: Points,
    origins: Float[Tensor, "b 1 3"],
    directions: Points,
    hit: Bool[Tensor, "b n"],
    u: Tensor,
    kind: Kind,
    lights: Tensor,
    hardness: Tensor,
    *,
    every: int,
) -> Float[Tensor, "b 2 m m"]:
    """Share of each light on the ground the object stands on; 1 where a ray does not meet it.

    Shadows are soft: one of `every` rays along each side is enough.
    """
    floor = torch.where(hit, points[..., 1], torch.inf).amin(dim=1, keepdim=True)
    floor = torch.where(floor.isfinite(), floor, -0.45)
    side = math.isqrt(hit.shape[1])
    chosen = torch.arange(side**2).reshape(side, side)[every // 2 :: every, every // 2 :: every].flatten()
    directions, hit = directions[:, chosen], hit[:, chosen]
    down = directions[..., 1].clamp_max(-1e-3)
    place = origins + ((floor - origins[..., 1]) / down)[..., None] * directions
    far = place[..., 0::2].norm(dim=-1) / GROUND_FADE
    shown = ~hit & (directions[..., 1] < -1e-3) & (far < 1)
    rays = first(shown)
    spot = place.gather(1, rays[..., None].expand(-1, -1, 3))
    weight = (shown * (1 - far.clamp(0, 1).square())).gather(1, rays)
    result = torch.ones(*hit.shape, LIGHTS)
    contact = (0.35 + signed_distance(spot, u, kind) / 0.12).clamp(0, 1)
    for k in range(LIGHTS):
        share = _visible(spot, u, kind, lights[:, k], hardness[:, k]) * contact
        result[..., k] = result[..., k].scatter(1, rays, 1 - (1 - share) * weight)
    return result.transpose(1, 2).unflatten(2, (side // every, side // every))


def _textured(color: Points, place: Points, generator: torch.Generator) -> Points:
    """Grain, blotches or veins on some shapes: waves in space whose sum changes the brightness."""
    batch = len(color)
    strength = 0.35 * torch.rand(batch, 1, generator=generator) ** 2
    strength = strength * (torch.rand(batch, 1, generator=generator) < 0.45)
    waves = torch.zeros_like(place[..., 0])
    for octave in range(3):
        direction = torch.randn(batch, 1, 3, generator=generator) * 12.0 * 1.8**octave
        phase = 6.3 * torch.rand(batch, 1, generator=generator)
        waves = waves + torch.sin((place * direction).sum(-1) + phase + 1.5 * waves) / (octave + 1)
    return (color * (1 + strength * waves)[..., None]).clamp(0, 1)
