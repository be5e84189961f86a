"""Rays through a tri-plane field on CPUs (numba): a lattice says where the light stops, the network what it sees there.

Each ray is walked through the lattice of `occupancy.py` in steps of half a cell, leaping over empty space, until no
light is left. The network is then asked at a few distances, evenly spread in the light stopped. Its raw densities
correct those of the lattice (linearly between them along the ray), and its colours are blended by the corrected
weights. So a picture converges with the network's answers, not with the lattice's, and every ray is by itself: no
random numbers, and the same result on any number of threads.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gen3d_tools.kernels.compiling.ahead import second_process
from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import compiled, f32, fast_exp, fast_exp_below_0, softplus
from gen3d_tools.kernels.compiling.threads import share_out
from gen3d_tools.kernels.network.evaluate import WIDTH, Network, dot, hidden, hidden_of_four, raw_density
from gen3d_tools.kernels.network.numbers import EXP_DENSITY, RELU_DENSITY
from gen3d_tools.kernels.rays.occupancy import OccupancyGrid
from gen3d_tools.kernels.rays.ray_marching import (
    DARK,
    SLACK,
    guess,
    in_cells,
    mean_density,
    set_off,
    skip_together,
    walk,
)

_PER_CELL = 1.6  # samples of the network per cell of the lattice over which light is stopped
_SHARP = 4  # cells over which a thin haze at most may stop its light to count as a surface that is touched
_TRUST = 2  # cells beyond the outermost samples over which their correction fades
_BLACK = f32(-np.log(1e-6))  # optical thickness beyond which no light is given to samples
_PACK = 64  # rays that skip together


class Shading(NamedTuple):
    """How light is stopped and colours are made."""

    head: np.ndarray  # [channels, H] rows of the last layer
    head_bias: np.ndarray  # [channels]
    sigmoid: bool  # value = sigmoid(output) * gain + offset, or output * gain + offset
    gain: np.float32
    offset: np.float32
    density: int  # activation of raw + shift, see `DENSITY_ACTIVATIONS`
    shift: np.float32
    closing: np.float32  # length of the interval behind the ray's end, 0 = none
    last_takes_rest: bool  # all light left is stopped at the ray's end
    most_samples: int  # of the network, per ray


def march_rays(
    net: Network,
    grid: OccupancyGrid,
    shading: Shading,
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
    limits: Float[np.ndarray, "n 3"],
    *,
    threads: int = 1,
) -> Float[np.ndarray, "n outputs"]:
    """Follow rays; those that end where they start see nothing.

    Args:
        net: The field.
        grid: Of the same field.
        shading: How light is stopped and colours are made.
        origins: Contiguous float32, like all arrays here.
        directions: Unit vectors.
        limits: Ascending: where the ray starts, where there is nothing any more, and where it ends.
        threads: At most; more than numba has are not used.

    Returns:
        Blended values without background, the sum of weight and distance, the light stopped, the light left, and the
        light that reaches the closing interval.
    """
    out = np.empty((len(limits), len(shading.head) + 4), np.float32)
    longest = f32((limits[:, 1] - limits[:, 0]).max(initial=0))
    second_process.finish()
    announce(follow_range)
    work = partial(follow_range, net, grid, shading, origins, directions, limits, longest, out)
    share_out(work, len(limits), threads=threads, least=_PACK)
    return out


@compiled(forceinline=True)
def spread(pieces, count, cell, most, at):  # type: ignore[no-untyped-def]
    """Distances that share out the light stopped evenly; more of them where it stops over a longer way.

    Returns:
        How many, 0 where a surface is only touched.
    """
    starts, lengths, lights = pieces[0], pieces[1], pieces[4]
    total = f32(1) - lights[count - 1]
    k = 0
    while k < count - 1 and f32(1) - lights[k] < f32(0.03) * total:
        k += 1
    first = starts[k]
    while k < count - 1 and f32(1) - lights[k] < f32(0.97) * total:
        k += 1
    extent = (starts[k] + lengths[k] - first) / cell
    if total < f32(0.05) and extent < f32(_SHARP):
        return 0
    samples = min(most, 2 + int(extent * f32(_PER_CELL)))
    k, before = 0, f32(0)
    for i in range(samples):
        wanted = (f32(i) + f32(0.5)) / f32(samples) * total
        while k < count - 1 and f32(1) - lights[k] < wanted:
            before = f32(1) - lights[k]
            k += 1
        share = (wanted - before) / max(f32(1) - lights[k] - before, f32(1e-12))
        at[i] = starts[k] + lengths[k] * min(max(share, f32(0)), f32(1))
    return samples


@compiled(forceinline=True)
def density_of(shading, raw):  # type: ignore[no-untyped-def]
    """Activate a raw density, accurately however small it is: a last interval can be very long."""
    u = raw + shading.shift
    if shading.density == RELU_DENSITY:
        return max(u, f32(0))
    if u < f32(-70):
        return f32(0)
    if shading.density == EXP_DENSITY:
        return fast_exp(u)
    return softplus(u) if u > f32(-8) else fast_exp_below_0(u)


@compiled(forceinline=True)
def shade(shading, u, values):  # type: ignore[no-untyped-def]
    """The values of a point from its last hidden layer."""
    for c in range(len(values)):
        output = dot(u, shading.head[c]) + shading.head_bias[c]
        if shading.sigmoid:
            small = fast_exp_below_0(-abs(output))
            output = (f32(1) if output > 0 else small) / (f32(1) + small)
        values[c] = output * shading.gain + shading.offset


@compiled(forceinline=True)
def _ask(net, o, d, at, samples, layers, others, points):  # type: ignore[no-untyped-def]
    """Evaluate the network at distances along a ray, four at a time as long as there are as many."""
    i = 0
    while i + 4 <= samples:
        for p in range(4):
            for axis in range(3):
                points[p, axis] = o[axis] + at[i + p] * d[axis]
        hidden_of_four(net, points, layers[i : i + 4], others)
        i += 4
    while i < samples:
        t = at[i]
        hidden(net, o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2], layers[i], others[0])
        i += 1


@compiled(forceinline=True)
def reweigh(shading, pieces, count, at, error, samples, cell, weights):  # type: ignore[no-untyped-def]
    """Correct the raw densities of the pieces and give their light to the samples around them.

    Returns:
        Light stopped, and its sum with distances.
    """
    starts, lengths, shares, lasts, lights = pieces[0], pieces[1], pieces[2], pieces[3], pieces[4]
    thickness, i = f32(0), 0
    for k in range(count):
        length = lengths[k]
        middle = starts[k] + f32(0.5) * length
        while i < samples - 1 and at[i + 1] < middle:
            i += 1
        j, share, half = min(i + 1, samples - 1), f32(0), f32(0)
        if at[i] < middle and j > i:
            per_gap = f32(1) / (at[j] - at[i])
            share = (middle - at[i]) * per_gap
            fix = error[i] + share * (error[j] - error[i])
            half = f32(0.5) * (error[j] - error[i]) * min(length * per_gap, f32(1))
        else:  # what is known at the outermost samples says little further out
            fix = error[i] * max(f32(0), f32(1) - abs(middle - at[i]) / (f32(_TRUST) * cell))
        a, b = shares[k] + fix - half + shading.shift, lasts[k] + fix + half + shading.shift
        thickness += length * mean_density(a, b, shading.density)
        starts[k], shares[k], lasts[k], lights[k] = middle, share, f32(i), -thickness
        if thickness > _BLACK:
            count = k + 1
            break
    for k in range(count):
        lights[k] = fast_exp_below_0(lights[k])
    light, moment = f32(1), f32(0)
    for k in range(samples):
        weights[k] = f32(0)
    for k in range(count):
        weight, i = light - lights[k], int(lasts[k])
        light = lights[k]
        weights[i] += weight * (f32(1) - shares[k])
        weights[min(i + 1, samples - 1)] += weight * shares[k]
        moment += weight * starts[k]
    return f32(1) - light, moment


@compiled(forceinline=True)
def _follow(net, grid, shading, o, d, limits, steps, workspace, out):  # type: ignore[no-untyped-def]
    """Follow one ray; `out` gets its values, then distance sum, weight, light left and light before the last."""
    pieces, at, error, weights, layers, others, points, values = workspace
    channels = len(out) - 4
    for c in range(len(out)):
        out[c] = f32(0)
    near, leave, far = limits
    line = in_cells(grid, o, d)
    count, peak, peak_at, steepest = walk(grid, shading, line, near, steps, pieces)
    total = f32(1) - pieces[4, count - 1] if count else f32(0)
    samples = 0
    if total > DARK:
        samples = spread(pieces, count, grid.cell, shading.most_samples, at)
    if samples == 0 and (total > DARK or peak + shading.shift + f32(0.25) * steepest > 0):
        samples = 3
        for i in range(3):
            at[i] = min(max(peak_at + f32(i - 1) * grid.cell, near), far)
    _ask(net, o, d, at, samples, layers, others, points)
    for i in range(samples):
        raw, skip = guess(grid, line, at[i])
        error[i] = raw_density(net, layers[i]) - raw if skip == 0 else f32(0)
    opacity = moment = f32(0)
    if samples:
        opacity, moment = reweigh(shading, pieces, count, at, error, samples, grid.cell, weights)
    light = f32(1) - opacity
    before_last = light
    if light > DARK and (shading.closing > 0 or shading.last_takes_rest):
        hidden(net, o[0] + far * d[0], o[1] + far * d[1], o[2] + far * d[2], layers[samples], others[0])
        density = density_of(shading, raw_density(net, layers[samples])) if far <= leave else f32(0)
        left = fast_exp_below_0(-(density * shading.closing)) * light
        weight = light if shading.last_takes_rest else light - left
        weights[samples] = weight
        samples += 1
        moment += weight * far
        opacity, light = opacity + light - left, left
    for i in range(samples):
        if weights[i] > 0:
            shade(shading, layers[i], values)
            for c in range(channels):
                out[c] += weights[i] * values[c]
    out[channels], out[channels + 1] = moment, opacity
    out[channels + 2], out[channels + 3] = light, before_last


@compiled()
def follow_range(net, grid, shading, origins, directions, limits, longest, out, first, end):  # type: ignore[no-untyped-def]
    """Compiled part of `march_rays`, for the rays from `first` to `end`."""
    channels, most = out.shape[1] - 4, shading.most_samples + 4
    workspace = (
        np.empty((5, int(longest / (f32(0.5) * grid.cell)) + 2 + SLACK), np.float32),
        np.empty(most, np.float32),
        np.empty(most, np.float32),
        np.empty(most, np.float32),
        np.empty((most, WIDTH), np.float32),
        np.empty((4, WIDTH), np.float32),
        np.empty((4, 3), np.float32),
        np.empty(channels, np.float32),
    )
    ways, moving = np.empty((9, _PACK), np.float32), np.empty(_PACK, np.int64)
    at_step, last_step = np.empty(_PACK, np.int64), np.empty(_PACK, np.int64)
    for pack in range(first, end, _PACK):
        count = min(_PACK, end - pack)
        for r in range(count):
            near, leave = limits[pack + r, 0], limits[pack + r, 1]
            set_off(grid, origins[pack + r], directions[pack + r], near, leave, r, ways, at_step, last_step)
        skip_together(grid, count, ways, at_step, last_step, moving)
        for r in range(count):
            ray = pack + r
            near, leave, far = limits[ray, 0], limits[ray, 1], limits[ray, 2]
            if near < far:
                steps = ways[7, r], at_step[r], last_step[r]
                _follow(
                    net, grid, shading, origins[ray], directions[ray], (near, leave, far), steps, workspace, out[ray]
                )
            else:
                for c in range(channels + 4):
                    out[ray, c] = f32(1) if c >= channels + 2 else f32(0)
