"""The settings' own sampling scheme on CPUs (numba): samples where `tracing.py` has them, seen where they matter.

A sample in a cell that is provably empty (`occupancy.py`) is not asked, a ray ends when its light does, and colours
are made where light is stopped. The averages of the midpoint marcher want the neighbours of seen samples too. Pictures
agree with the plain ones to 70 dB and more; where all samples lie is the same but for rounding.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import compiled, f32, fast_exp_below_0
from gen3d_tools.kernels.compiling.threads import share_out
from gen3d_tools.kernels.network.evaluate import WIDTH, Network, dot, hidden, raw_density
from gen3d_tools.kernels.rays.guided import Shading, density_of, shade
from gen3d_tools.kernels.rays.occupancy import EMPTY, OccupancyGrid

_BLOCK = 64  # rays per task at least
_DARK = f32(3e-4)  # light that is given to the sample where a ray ends
_FAINT = f32(5e-4)  # weight that is given to the next colour instead of one of its own
_LOOK, _SKIP, _OUTSIDE = 0, 1, 2  # what is known of a sample before it is seen


class Scheme(NamedTuple):
    """How samples are placed and weighed; the names are those of `RenderConfig`."""

    midpoint: bool  # marcher; else classical
    smoothed: bool  # importance; else plain
    last_in_coarse_pass: bool
    half_side: np.float32  # of the box beyond which there is nothing; very large for fields without an end


def march_published_samples(
    net: Network,
    grid: OccupancyGrid,
    shading: Shading,
    scheme: Scheme,
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
    coarse: Float[np.ndarray, "_ coarse"],
    metric: Float[np.ndarray, "_ coarse"],
    positions: Float[np.ndarray, "_ fine"],
    *,
    threads: int = 1,
) -> Float[np.ndarray, "n outputs"]:
    """Follow rays through samples that are given (the coarse ones) and those that follow from them (the fine ones).

    Args:
        net: The field.
        grid: Of the same field.
        shading: How light is stopped and colours are made.
        scheme: How samples are placed and weighed.
        origins: Contiguous float32, like all arrays here.
        directions: Unit vectors.
        coarse: Distances, ascending; one row per ray, or one for all, as in the next two.
        metric: The same in the unit that coarse intervals are measured in.
        positions: Uniform numbers in [0, 1) that place the fine samples.
        threads: At most; more than numba has are not used.

    Returns:
        Blended values without background, the sum of weight and distance, the sum of weights, the light stopped, the
        light left, the light that reaches the last interval, and the nearest and the farthest sample.
    """
    out = np.empty((len(origins), len(shading.head) + 7), np.float32)
    announce(_follow_range)
    work = partial(_follow_range, net, grid, shading, scheme, origins, directions, coarse, metric, positions, out)
    share_out(work, len(origins), threads=threads, least=_BLOCK)
    return out


@compiled(forceinline=True)
def _known_before(grid, half_side, o, d, t):  # type: ignore[no-untyped-def]
    """What is known of a point before the network is asked."""
    x, y, z = o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2]
    if max(abs(x), max(abs(y), abs(z))) > half_side:
        return _OUTSIDE
    per_unit, last = f32(1) / grid.cell, len(grid.possible) - 1
    i = min(max(int((x - grid.start) * per_unit), 0), last)
    j = min(max(int((y - grid.start) * per_unit), 0), last)
    k = min(max(int((z - grid.start) * per_unit), 0), last)
    return _LOOK if grid.possible[i, j, k] else _SKIP


@compiled(forceinline=True)
def place_fine(scheme, coarse, weights, intervals, positions, cdf, fine):  # type: ignore[no-untyped-def]
    """Place the fine samples as `sampling.importance_samples` does, ascending."""
    bins, total = intervals - 2, f32(0)
    cdf[0] = f32(0)
    for k in range(bins):
        w = weights[k + 1]
        if scheme.smoothed:
            w = (max(weights[k], w) + max(w, weights[k + 2])) * f32(0.5) + f32(0.01) + f32(1e-5)
        else:
            w += f32(2e-5)
        total += w
        cdf[k + 1] = total
    for k in range(bins):
        cdf[k + 1] /= total
    index, before = 0, f32(0)
    for i in range(len(positions)):
        place = positions[i]
        if place < before:
            index = 0
        before = place
        while index <= bins and cdf[index] <= place:
            index += 1
        below, above = max(index - 1, 0), min(index, bins)
        edge = (coarse[below] + coarse[below + 1]) * f32(0.5)
        width = cdf[above] - cdf[below]
        share = (place - cdf[below]) / (width if width >= f32(1e-5) else f32(1))
        at = edge + share * ((coarse[above] + coarse[above + 1]) * f32(0.5) - edge)
        k = i
        while k > 0 and fine[k - 1] > at:
            fine[k] = fine[k - 1]
            k -= 1
        fine[k] = at


@compiled(forceinline=True)
def _merge(coarse, fine, order, at):  # type: ignore[no-untyped-def]
    """Sort both kinds of samples; `order` gets which sample is k-th, fine ones counted after the coarse ones."""
    i = j = 0
    for k in range(len(coarse) + len(fine)):
        if j == len(fine) or (i < len(coarse) and coarse[i] <= fine[j]):
            order[k], at[k] = i, coarse[i]
            i += 1
        else:
            order[k], at[k] = len(coarse) + j, fine[j]
            j += 1


@compiled(forceinline=True)
def _blend(shading, order, count, weights, seen, units, workspace, out):  # type: ignore[no-untyped-def]
    """Blend the values of the samples; those linear in the hidden layer are made once per ray."""
    channels = len(out) - 7
    u, values = workspace
    total = f32(0)
    if shading.sigmoid:
        rest = f32(0)
        for k in range(count):
            rest += weights[k]
            if rest > _FAINT and seen[order[k]]:
                shade(shading, units[order[k]], values)
                for c in range(channels):
                    out[c] += rest * values[c]
                total += rest
                rest = f32(0)
        if total > 0:  # what was too faint for a colour of its own looks like the others
            for c in range(channels):
                out[c] *= (total + rest) / total
        return
    for h in range(WIDTH):
        u[h] = f32(0)
    for k in range(count):
        if weights[k] > 0 and seen[order[k]]:
            row, w = units[order[k]], weights[k]
            for h in range(WIDTH):
                u[h] += w * row[h]
            total += w
    for c in range(channels):
        out[c] = (dot(u, shading.head[c]) + total * shading.head_bias[c]) * shading.gain + total * shading.offset


@compiled(forceinline=True)
def _see(net, shading, scheme, o, d, k, count, samples):  # type: ignore[no-untyped-def]
    """The raw density at the k-th sample; the network is asked where that may matter."""
    units, other, raw, known, seen, order, at = samples
    s, last = order[k], k == count - 1
    wanted = known[s] == _LOOK or (last and (shading.closing > 0 or shading.last_takes_rest))
    if scheme.midpoint and not wanted:
        wanted = (k > 0 and known[order[k - 1]] == _LOOK) or (not last and known[order[k + 1]] == _LOOK)
    if wanted and not seen[s]:
        hidden(net, o[0] + at[k] * d[0], o[1] + at[k] * d[1], o[2] + at[k] * d[2], units[s], other)
        raw[s], seen[s] = raw_density(net, units[s]), True
    if not seen[s] or known[s] == _OUTSIDE:
        raw[s] = EMPTY
    return raw[s]


@compiled(forceinline=True)
def _march(net, shading, scheme, o, d, count, samples, places, weights, shares):  # type: ignore[no-untyped-def]
    """Follow the light through all samples in turn.

    Args:
        net: The field.
        shading: How light is stopped.
        scheme: How samples are weighed.
        o: The ray's origin.
        d: Its direction.
        count: How many samples.
        samples: What is known of them, see `_see`.
        places: Their distances, in the unit that intervals are measured in.
        weights: Receives the light that each interval stops.
        shares: Receives the light that each sample stands for.

    Returns:
        The light left, and the light that reaches the last interval.
    """
    light, before_last, thickness, before = f32(1), f32(1), f32(0), f32(0)
    for k in range(count):
        weights[k] = shares[k] = f32(0)
    for k in range(count):
        last, raw = k == count - 1, _see(net, shading, scheme, o, d, k, count, samples)
        if scheme.midpoint and k > 0:
            before_last = light
            thickness += density_of(shading, f32(0.5) * (before + raw)) * (places[k] - places[k - 1])
            light = fast_exp_below_0(-thickness)
            weights[k - 1] = before_last - light
            shares[k - 1] += f32(0.5) * weights[k - 1]
            shares[k] += f32(0.5) * weights[k - 1]
        if not scheme.midpoint or (last and shading.closing > 0 and light > 0):
            length = shading.closing if last else places[k + 1] - places[k]
            before_last = light
            thickness += density_of(shading, raw) * length
            light = fast_exp_below_0(-thickness)
            weights[k] = before_last - light
            shares[k] += weights[k]
        if light < _DARK and not last:
            shares[k] += light
            return f32(0), f32(0)
        before = raw
    return light, before_last


@compiled(forceinline=True)
def _follow(net, grid, shading, scheme, o, d, coarse, metric, positions, workspace, out):  # type: ignore[no-untyped-def]
    """Follow one ray."""
    samples, u, values, places, weights, shares, cdf, fine = workspace
    known, seen, order, at = samples[3:]
    count, channels, light, before_last = len(coarse), len(out) - 7, f32(1), f32(1)
    for c in range(len(out)):
        out[c] = f32(0)
    for k in range(count):
        at[k], order[k], places[k] = coarse[k], k, metric[k]
        known[k], seen[k] = _known_before(grid, scheme.half_side, o, d, coarse[k]), False
    passes = 2 if len(positions) else 1
    for one in range(passes):
        if one == 1:
            intervals = count if shading.closing > 0 or not scheme.midpoint else count - 1
            place_fine(scheme, coarse, weights, intervals, positions, cdf, fine)
            for k in range(len(fine)):
                known[count + k], seen[count + k] = _known_before(grid, scheme.half_side, o, d, fine[k]), False
            count += len(fine)
            _merge(coarse, fine, order, at)
            places = at
        light, before_last = _march(net, shading, scheme, o, d, count, samples, places, weights, shares)
        if shading.last_takes_rest and (one == passes - 1 or scheme.last_in_coarse_pass):
            weights[count - 1] += light
            shares[count - 1] += light
    _blend(shading, order, count, shares, seen, samples[0], (u, values), out)
    total = moment = f32(0)
    for k in range(count):
        total += shares[k]
        moment += shares[k] * at[k]
    out[channels], out[channels + 1], out[channels + 2] = moment, total, f32(1) - light
    out[channels + 3], out[channels + 4] = light, before_last
    out[channels + 5], out[channels + 6] = at[0], at[count - 1]


@compiled()
def _follow_range(net, grid, shading, scheme, origins, directions, coarse, metric, positions, out, first, end):  # type: ignore[no-untyped-def]
    """Compiled part of `march_published_samples`, for the rays from `first` to `end`."""
    most = coarse.shape[1] + positions.shape[1]
    samples = (
        np.empty((most, WIDTH), np.float32),
        np.empty(WIDTH, np.float32),
        np.empty(most, np.float32),
        np.empty(most, np.int64),
        np.empty(most, np.bool_),
        np.empty(most, np.int64),
        np.empty(most, np.float32),
    )
    workspace = (
        samples,
        np.empty(WIDTH, np.float32),
        np.empty(out.shape[1] - 7, np.float32),
        np.empty(most, np.float32),
        np.empty(most, np.float32),
        np.empty(most, np.float32),
        np.empty(most, np.float32),
        np.empty(positions.shape[1], np.float32),
    )
    for ray in range(first, end):
        a = ray if len(coarse) > 1 else 0
        b = ray if len(metric) > 1 else 0
        c = ray if len(positions) > 1 else 0
        o, d = origins[ray], directions[ray]
        _follow(net, grid, shading, scheme, o, d, coarse[a], metric[b], positions[c], workspace, out[ray])
