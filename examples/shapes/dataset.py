"""Ten classes of procedural toys with known latents: distance, baked colour, training points.

World: y up, objects face +z, inside the cube of side 1 around the origin (and inside the ball of radius .469
that a camera at 2.7 with a 20 degree view sees whole). A latent z is ten Gaussian numbers: six of shape, four
of palette. The generator's mapping network divides z by its root mean square, so the parameters do too;
otherwise |z| would be something the network cannot know.
"""

import math
from collections.abc import Callable

import torch
from classes import SHAPES
from jaxtyping import Float
from primitives import Solid
from torch import Tensor

CLASSES: tuple[str, ...] = tuple(SHAPES)
Z_DIM = 10
BOX_SIDE = 1.0

LIGHT = (0.312, 0.763, 0.566)  # unit vector towards the light, fixed in the world
NORMAL_STEP = 0.003
OCCLUSION_REACH = 0.07
GRADIENT_RANGE = (0.4, 1.6)
UNIFORM_SHARE = 0.15  # of the training points; the rest lies near the surface
SHELL_SHARE, SHELL = 0.03, 1 / 64  # of the training points, within one texel of the box's faces
POOL = 12  # candidates per training point
BAND, INNER_BAND = 0.045, 0.022  # |distance| that counts as near, and as very near, the surface
JITTER = 0.02

Points = Float[Tensor, "b n 3"]
Params = Float[Tensor, "b k"]
Kind = int | Callable[[Points, Params], Solid]
"""What to draw: the index of a class, or a function like those of the classes."""


@torch.no_grad()
def parameters(z: Float[Tensor, "b k"]) -> Params:
    """Latents to parameters in (0, 1): u = Phi(z / rms(z)). z = 0 gives .5, the typical toy of its class."""
    normalized = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
    return 0.5 * (1 + torch.erf(normalized / math.sqrt(2)))


def solid(points: Points, u: Params, kind: Kind) -> Solid:
    """The shapes of one kind around their points, one per latent."""
    return SHAPES[CLASSES[kind]](points, u) if isinstance(kind, int) else kind(points, u)


@torch.no_grad()
def signed_distance(points: Points, u: Params, kind: Kind) -> Float[Tensor, "b n"]:
    """Signed distance in world units, negative inside; away from the surface a lower bound of its size."""
    return solid(points, u, kind).distance()


@torch.no_grad()
def albedo(points: Points, u: Params, kind: Kind) -> Float[Tensor, "b n 3"]:
    """Unlit colour in [0, 1] of the part nearest to each point."""
    return solid(points, u, kind).color().clamp(0, 1)


@torch.no_grad()
def gradient(points: Points, u: Params, kind: Kind) -> Float[Tensor, "b n 3"]:
    """Gradient of the signed distance by finite differences over a tetrahedron."""
    batch, count, _ = points.shape
    corners = points.new_tensor([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])
    taps = points[:, None] + NORMAL_STEP * corners[None, :, None]
    distance = signed_distance(taps.reshape(batch, 4 * count, 3), u, kind)
    return torch.einsum("bkn,kd->bnd", distance.view(batch, 4, count), corners) / (4 * NORMAL_STEP)


@torch.no_grad()
def shaded_color(points: Points, normals: Points, u: Params, kind: Kind) -> Float[Tensor, "b n 3"]:
    """Colour of surface points under a light that stands still in the world.

    The shading does not depend on the camera, so one radiance per point explains every picture. It is ambient
    light, stronger from above, plus a half-Lambert term, times one tap of ambient occlusion along the normal.

    Args:
        points: Points on (or very near) the surface.
        normals: Outward unit normals there.
        u: Parameters of the shapes.
        kind: What all of them are.

    Returns:
        RGB in [0, 1].
    """
    facing = normals @ normals.new_tensor(LIGHT)
    reach = signed_distance(points + OCCLUSION_REACH * normals, u, kind) / OCCLUSION_REACH
    light = 0.77 + 0.06 * normals[..., 1] + 0.24 * facing
    return (albedo(points, u, kind) * (light * (0.7 + 0.3 * reach.clamp(0, 1)))[..., None]).clamp(0, 1)


@torch.no_grad()
def sample_training_points(
    z: Float[Tensor, "b k"], kind: Kind, *, points: int, generator: torch.Generator | None
) -> tuple[Points, Float[Tensor, "b n"], Points]:
    """Draw points where they teach most: 15 % anywhere in the box, the rest near the surface.

    Args:
        z: Latents, one shape each.
        kind: What all of them are.
        points: How many points per shape.
        generator: Source of randomness on the device of z; None uses torch's own.

    Returns:
        Points in the box, signed distances divided by their own gradient norm (so that they are distances to
        first order even where the construction is not exact), and the shaded colour of the surface point
        below each of them.
    """
    u = parameters(z)
    places = _draw_places(u, kind, points, generator)
    distance = signed_distance(places, u, kind)
    slope = gradient(places, u, kind)
    norm = slope.norm(dim=-1)
    distance = distance / norm.clamp(*GRADIENT_RANGE)
    normals = slope / norm.clamp_min(1e-6)[..., None]
    rgb = shaded_color(places - distance[..., None] * normals, normals, u, kind)
    return places, distance, rgb


def _draw_places(u: Params, kind: Kind, count: int, generator: torch.Generator | None) -> Points:
    """Uniform points followed by near ones: half from a pool of candidates, half those moved a little.

    Some of the uniform ones go to the faces of the box, where lookups fade to zero features: a network that
    never sees that thin shell is free to put something there.
    """
    batch, device = u.shape[0], u.device
    uniform = round(UNIFORM_SHARE * count)
    near = (count - uniform + 1) // 2
    candidates = torch.rand(batch, POOL * near + uniform, 3, generator=generator, device=device) - 0.5
    candidates = candidates * BOX_SIDE
    shell = round(SHELL_SHARE * count)
    candidates[:, :shell] = _pushed_to_faces(candidates[:, :shell])
    pool = candidates[:, uniform:]
    size = signed_distance(pool, u, kind).abs()
    lottery = torch.rand(size.shape, generator=generator, device=device)
    chosen = (lottery + (size < BAND) + 0.35 * (size < INNER_BAND)).topk(near, dim=1).indices
    seeds = pool.gather(1, chosen[..., None].expand(-1, -1, 3))
    moved = seeds + JITTER * torch.randn(seeds.shape, generator=generator, device=device)
    places = torch.cat([candidates[:, :uniform], seeds, moved.clamp(-BOX_SIDE / 2, BOX_SIDE / 2)], dim=1)
    return places[:, :count]


def _pushed_to_faces(points: Points) -> Points:
    """Move each point along its largest coordinate into the outer shell of the box."""
    size, axis = points.abs().max(dim=-1, keepdim=True)
    depth = BOX_SIDE / 2 - SHELL + SHELL * (size * 2 / BOX_SIDE) ** 3  # size^3 is uniform: so is the depth
    return points.scatter(-1, axis, depth * points.gather(-1, axis).sign())
