"""Where samples lie on rays through a tri-plane field, on CPUs (numba): given ones first, then where light is stopped.

Behind the sample where a ray's light is gone nothing is evaluated: raw densities there are `_UNSEEN`, which stops no
light. Should finer samples show that light passes after all, what was left out is evaluated. Rays are worked on in
blocks of `BLOCK` that begin at multiples of it, so that results do not depend on how many threads there are.
"""

from functools import partial

import numpy as np
from jaxtyping import Float

from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import compiled, f32
from gen3d_tools.kernels.compiling.threads import share_out
from gen3d_tools.kernels.network.evaluate import WIDTH
from gen3d_tools.kernels.rays.absorption import Light, absorb, thickness_of
from gen3d_tools.kernels.rays.published_sampling import place_fine
from gen3d_tools.kernels.rays.trainable_network import BATCH, TrainableNetwork, outside, place, raw_densities

BLOCK = 64  # rays
_NOTHING = f32(-1e6)  # raw density beyond the box of a bounded field
_UNSEEN = f32(-2e6)  # ... and where the light was gone before
_BLACK_LIGHT = f32(1e-7)  # light behind which nothing is evaluated: it is lost among roundings
_BLACK = f32(-np.log(1e-7))  # optical thickness that leaves no more
_WAVE = 8  # samples of a ray between two looks at its light


def place_samples(
    net: TrainableNetwork,
    light: Light,
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
    coarse: Float[np.ndarray, "n coarse"],
    positions: Float[np.ndarray, "rounds _ fine"],
    *,
    threads: int = 1,
) -> tuple[Float[np.ndarray, "n samples"], Float[np.ndarray, "n samples"]]:
    """Add rounds of fine samples, each placed where the samples so far stop the light.

    Args:
        net: The field.
        light: How it stops light.
        origins: Ray origins, world units; contiguous float32, like all arrays here.
        directions: Unit vectors.
        coarse: Distances of the first samples, ascending.
        positions: Numbers in [0, 1) that place the fine samples of each round; one row per ray, or one for all.
        threads: At most; more than numba has are not used.

    Returns:
        Distances of all samples, ascending, and the raw densities there.
    """
    samples = coarse.shape[1] + positions.shape[0] * positions.shape[2]
    distances = np.empty((len(origins), samples), np.float32)
    raw = np.empty_like(distances)
    announce(_place_range)
    work = partial(_place_range, net, light, origins, directions, coarse, positions, distances, raw)
    share_out(work, len(origins), threads=threads, least=BLOCK)
    return distances, raw


@compiled(forceinline=True)
def _note(net, o, d, at, r, k, workspace, raw, found):  # type: ignore[no-untyped-def]
    """Note where a sample lies, to be asked for, or that nothing is there; gives how many are noted now."""
    points, places = workspace[0], workspace[1]
    place(o, d, at, points[found])
    if outside(net, points[found]):
        raw[r, k] = _NOTHING
        return found
    places[found, 0], places[found, 1] = r, k
    return found + 1


@compiled(forceinline=True)
def _ask(net, workspace, found, raw):  # type: ignore[no-untyped-def]
    """Evaluate the samples that are noted; `raw` receives their raw densities: [rays, samples]."""
    points, places, seen, network_room = workspace[:4]
    raw_densities(net, points, found, seen, network_room)
    for i in range(found):
        raw[places[i, 0], places[i, 1]] = seen[i]


@compiled(forceinline=True)
def _merge(at, raw, count, fine, fine_raw, new_at, new_raw):  # type: ignore[no-untyped-def]
    """Sort samples and fine samples, both ascending, into one list."""
    i = j = 0
    for k in range(count + len(fine)):
        if j == len(fine) or (i < count and at[i] <= fine[j]):
            new_at[k], new_raw[k] = at[i], raw[i]
            i += 1
        else:
            new_at[k], new_raw[k] = fine[j], fine_raw[j]
            j += 1
    for k in range(count + len(fine)):
        at[k], raw[k] = new_at[k], new_raw[k]


@compiled(no_cpython_wrapper=True)
def _network_room(net):  # type: ignore[no-untyped-def]
    """What `raw_densities` works in."""
    return (
        np.zeros((BATCH, net.texels.shape[1]), np.float32),
        np.zeros((BATCH, WIDTH), np.float32),
        np.zeros((BATCH, WIDTH), np.float32),
    )


@compiled(no_cpython_wrapper=True)
def _see_first(net, light, origins, directions, at, raw, rays, workspace):  # type: ignore[no-untyped-def]
    """Evaluate the first samples of a block of rays, from the front until each ray's light is gone.

    Neighbouring rays take each step together: they read the same texels.
    """
    alive, thick = workspace[4], workspace[5]
    count, live = at.shape[1], rays
    for r in range(rays):
        alive[r], thick[r] = r, f32(0)
    for first in range(0, count, _WAVE):
        end, found = min(first + _WAVE, count), 0
        for k in range(first, end):
            for i in range(live):
                r = alive[i]
                found = _note(net, origins[r], directions[r], at[r, k], r, k, workspace, raw, found)
        _ask(net, workspace, found, raw)
        left = 0
        for i in range(live):
            r = alive[i]
            for k in range(max(first - 1, 0), end - 1):
                thick[r] += thickness_of(light, raw[r], at[r], k, count)
            if thick[r] < _BLACK:
                alive[left] = r
                left += 1
            else:
                for k in range(end, count):
                    raw[r, k] = _UNSEEN
        live = left


@compiled(no_cpython_wrapper=True)
def _see_lit(net, light, o, d, at, raw, r, count, workspace, ways):  # type: ignore[no-untyped-def]
    """Evaluate what was left out behind a surface, where samples have shown that light passes after all."""
    lights, stops, shares = ways[0], ways[1], ways[2]
    n, _, _ = absorb(light, raw[r], at, count, False, lights, stops, shares)
    lit = 0
    for k in range(count):
        if raw[r, k] == _UNSEEN and lights[min(k, n)] > _BLACK_LIGHT:
            lit = 1
    if lit == 0:
        return
    found = 0
    for k in range(count):
        if raw[r, k] == _UNSEEN:
            found = _note(net, o, d, at[k], r, k, workspace, raw, found)
    _ask(net, workspace, found, raw)


@compiled()
def _place_range(net, light, origins, directions, coarse, positions, distances, raw, start, stop):  # type: ignore[no-untyped-def]
    """Compiled part of `place_samples`, for the rays from `start` to `stop`."""
    rounds, fine, samples = positions.shape[0], positions.shape[2], distances.shape[1]
    most = max(BLOCK * max(_WAVE, fine), samples) + BATCH
    noted = np.zeros((most, 3), np.float32), np.empty((most, 2), np.int64), np.empty(most, np.float32)
    workspace = (*noted, _network_room(net), np.empty(BLOCK, np.int64), np.empty(BLOCK, np.float32))
    ways, more = np.empty((3, samples + 1), np.float32), np.empty((3, samples + 1), np.float32)
    placed, fresh = np.empty((BLOCK, fine), np.float32), np.empty((BLOCK, fine), np.float32)
    for block in range(start, stop, BLOCK):
        rays, count = min(BLOCK, stop - block), coarse.shape[1]
        o, d = origins[block : block + rays], directions[block : block + rays]
        at, answers = distances[block : block + rays], raw[block : block + rays]
        for r in range(rays):
            for k in range(count):
                at[r, k] = coarse[block + r, k]
        _see_first(net, light, o, d, at[:, :count], answers, rays, workspace)
        for one in range(rounds):
            for r in range(rays):
                n, left, _ = absorb(light, answers[r], at[r], count, False, ways[0], ways[1], ways[2])
                for k in range(n):
                    ways[1, k] *= ways[0, k]
                if light.last_takes_rest and light.last_in_coarse_pass:
                    ways[1, n - 1] += left
                row = block + r if positions.shape[1] > 1 else 0
                place_fine(light, at[r], ways[1], n, positions[one, row], more[2], placed[r])
            found = 0
            for k in range(fine):
                for r in range(rays):
                    found = _note(net, o[r], d[r], placed[r, k], r, k, workspace, fresh, found)
            _ask(net, workspace, found, fresh)
            for r in range(rays):
                _merge(at[r], answers[r], count, placed[r], fresh[r], more[0], more[1])
            count += fine
            for r in range(rays):
                _see_lit(net, light, o[r], d[r], at[r], answers, r, count, workspace, ways)
