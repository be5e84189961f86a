"""How dense a tri-plane field is along rays, and how much light that stops: all that silhouettes need (numba).

No lattice is evaluated. Bounds over tiles of the box say where a ray may meet something, and only there the network is
asked, in even steps; then once more around the densest sample.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import compiled, f32, fast_exp, fast_exp_below_0, softplus
from gen3d_tools.kernels.compiling.threads import in_order, share_out
from gen3d_tools.kernels.lattice.bounds import bound_tiles, summaries
from gen3d_tools.kernels.lattice.tables import lattice_of
from gen3d_tools.kernels.network.evaluate import WIDTH, Network, hidden, raw_density
from gen3d_tools.kernels.network.numbers import EXP_DENSITY, RELU_DENSITY, TriplaneNumbers
from gen3d_tools.kernels.rays.ray_marching import mean_density

_BLOCK = 64  # rays per task at least
_TILE = 4  # cells along the sides of the tiles that are bounded
_STEPS = 256  # along a side of the box
_DARK = f32(2)  # optical thickness beyond which every other step will do: only the largest density is still open
_FINE = 9  # samples within a step before and after the densest one


class Tiles(NamedTuple):
    """Where the raw density may be above a threshold."""

    possible: np.ndarray  # [tiles, tiles, tiles] bool, along x, y and z
    per_unit: np.float32  # tile = int(world coordinate * per_unit + start)
    start: np.float32
    threshold: np.float32  # raw density that stands for all that is below


class Light(NamedTuple):
    """How density stops light."""

    density: int  # activation of raw + shift, see `DENSITY_ACTIVATIONS`
    shift: np.float32
    closing: np.float32  # length of the interval behind the ray's end, 0 = none
    step: np.float32  # longest distance of samples


def light_of(box_side: float, *, density: int, shift: float, closing: float) -> Light:
    """Fill in how finely rays are looked at."""
    return Light(density, f32(shift), f32(closing), f32(box_side / _STEPS))


def possible_tiles(numbers: TriplaneNumbers, threshold: float, *, threads: int = 1) -> Tiles:
    """Bound the raw density over tiles of the box.

    The bounds hold at the points of a lattice over the box, about as many as there are texels; between them too where
    these are the texels (`align_corners`).
    """
    size = numbers.texels.shape[1]
    lattice = lattice_of(numbers, size if numbers.align_corners else size + 1)
    tiles = lattice.size // _TILE + 1  # the first one begins a point before the box, see `summarize`
    xy, xz, yz = summaries(lattice, _TILE, tiles)
    low, high = np.empty((tiles,) * 3, np.float32), np.empty((tiles,) * 3, np.float32)
    everywhere = np.ones((tiles, tiles), np.bool_)

    def bound(slab: int) -> None:
        bound_tiles(lattice, xy[slab], xz[slab], yz, everywhere, low[slab], high[slab])

    for _ in in_order(bound, range(tiles), threads):
        pass
    per_unit = (lattice.size - 1) / numbers.box_side / _TILE
    start = per_unit * numbers.box_side / 2 + 1 / _TILE
    return Tiles(high > threshold, f32(per_unit), f32(start), f32(threshold))


def look_through(
    net: Network,
    tiles: Tiles,
    light: Light,
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
    limits: Float[np.ndarray, "n 2"],
    *,
    threads: int = 1,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Find the largest raw density on each ray, and its optical thickness.

    Args:
        net: The field.
        tiles: Of the same field.
        light: How it stops light.
        origins: Contiguous float32, like all arrays here.
        directions: Unit vectors.
        limits: Where each ray starts and ends, both within the box.
        threads: At most; more than numba has are not used. The result does not depend on it.

    Returns:
        The largest raw densities, the tiles' threshold where nothing is met, and the thicknesses.
    """
    highest, thickness = np.empty(len(limits), np.float32), np.empty(len(limits), np.float32)
    announce(_look_through)
    work = partial(_look_through, net, tiles, light, origins, directions, limits, highest, thickness)
    share_out(work, len(limits), threads=threads, least=_BLOCK)
    return highest, thickness


@compiled(forceinline=True)
def _raw_at(net, tiles, o, d, t, anyway, u, other):  # type: ignore[no-untyped-def]
    """Raw density at a distance; the threshold where nothing is possible, unless it is asked for anyway."""
    x, y, z = o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2]
    last = len(tiles.possible) - 1
    i = min(max(int(x * tiles.per_unit + tiles.start), 0), last)
    j = min(max(int(y * tiles.per_unit + tiles.start), 0), last)
    k = min(max(int(z * tiles.per_unit + tiles.start), 0), last)
    raw = tiles.threshold
    if anyway or tiles.possible[i, j, k]:
        hidden(net, x, y, z, u, other)
        raw = raw_density(net, u)
    return raw


@compiled(forceinline=True)
def _density(light, raw):  # type: ignore[no-untyped-def]
    """Activate a raw density, accurately however small it is: a last interval can be very long."""
    a = raw + light.shift
    if light.density == RELU_DENSITY:
        return max(a, f32(0))
    if light.density == EXP_DENSITY:
        return fast_exp(a)
    return softplus(a) if a > f32(-8) else fast_exp_below_0(a)


@compiled(forceinline=True)
def _follow(net, tiles, light, o, d, near, far, u, other):  # type: ignore[no-untyped-def]
    """Look through one ray: its largest raw density and its thickness."""
    steps = max(1, int(np.ceil((far - near) / light.step)))
    step = (far - near) / f32(steps)
    total, before, peak, peak_at = f32(0), tiles.threshold, tiles.threshold, f32(-1)
    for k in range(steps + 1 + _FINE):  # one loop, so that the network is compiled in once
        fine = k > steps
        if fine and peak_at < 0:
            break
        if total > _DARK and k % 2 and k < steps:
            continue
        t = near + f32(k) * step
        if fine:
            t = peak_at + (f32(2 * (k - steps) - 1) / f32(_FINE) - f32(1)) * step
        raw = _raw_at(net, tiles, o, d, min(max(t, near), far), k == steps and light.closing > 0, u, other)
        if not fine:
            if k > 0 and max(before, raw) > tiles.threshold:
                total += step * mean_density(before + light.shift, raw + light.shift, light.density)
            if k == steps and light.closing > 0:
                total += light.closing * _density(light, raw)
            if raw > peak:
                peak_at = t
            before = raw
        peak = max(peak, raw)
    return peak, total


@compiled()
def _look_through(net, tiles, light, origins, directions, limits, highest, thickness, first, end):  # type: ignore[no-untyped-def]
    """Compiled part of `look_through`, for the rays from `first` to `end`."""
    u, other = np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32)
    for ray in range(first, end):
        near, far = limits[ray, 0], limits[ray, 1]
        highest[ray], thickness[ray] = _follow(net, tiles, light, origins[ray], directions[ray], near, far, u, other)
