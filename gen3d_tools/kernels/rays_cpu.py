"""Rays through a tri-plane field on CPUs (numba): a lattice says where the light stops, the network what it sees there.

Each ray is walked through the lattice of `occupancy.py` in steps of half a cell, leaping over empty space, until no
light is left. The network is then asked at a few distances, evenly spread in the light stopped. Its raw densities
correct those of the lattice (linearly between them along the ray), and its colours are blended by the corrected
weights. So a picture converges with the network's answers, not with the lattice's, and every ray is by itself: no
random numbers, and the same result on any number of threads.

Within a step the raw density is linear. A mean density is Simpson's rule of the activation, or, across steep steps,
the integral of its two straight limbs.
"""

from threading import Lock
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float
from numba import prange

from gen3d_tools.kernels.choice import announce
from gen3d_tools.kernels.compiled import compiled, f32, fast_exp_below_0, softplus
from gen3d_tools.kernels.network_cpu import WIDTH, Network, dot, hidden, hidden_of_four, raw_density
from gen3d_tools.kernels.occupancy import Guide

_DARK = f32(1e-4)  # light below which a ray ends, or has met nothing
BLOCK = 64  # rays per task
_DIM = f32(32)  # parts of a dim step: this times the light left times what is stopped
_FINER = 8  # most parts of a step in which much light stops
ONE_AT_A_TIME = Lock()  # numba's own threads do not take work from two threads at once
_PER_CELL = 1.5  # samples of the network per cell of the lattice over which light is stopped
_SHARP = 4  # cells over which a thin haze at most may stop its light to count as a surface that is touched
_TRUST = 2  # cells beyond the outermost samples over which their correction fades
_NOTHING = f32(-10)  # argument of the activation so far below that no correction makes it visible
_SLACK = 256  # room for these parts


class Shading(NamedTuple):
    """How light is stopped and colours are made."""

    head: np.ndarray  # [channels, H] rows of the last layer
    head_bias: np.ndarray  # [channels]
    sigmoid: bool  # value = sigmoid(output) * gain + offset, or output * gain + offset
    gain: np.float32
    offset: np.float32
    smooth: bool  # density = softplus(raw + shift), or relu
    shift: np.float32
    closing: np.float32  # length of the interval behind the ray's end, 0 = none
    last_takes_rest: bool  # all light left is stopped at the ray's end
    most_samples: int  # of the network, per ray


def follow_rays(
    net: Network,
    guide: Guide,
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
        guide: Of the same field.
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
    announce(_follow_all, "pictures")
    with ONE_AT_A_TIME:
        before = numba.get_num_threads()
        numba.set_num_threads(min(threads, before))
        try:
            _follow_all(net, guide, shading, origins, directions, limits, longest, out)
        finally:
            numba.set_num_threads(before)
    return out


@compiled(forceinline=True)
def mean_density(a, b, smooth):  # type: ignore[no-untyped-def]
    """Mean of the activation over a step along which its argument runs evenly from `a` to `b`."""
    low, high = min(a, b), max(a, b)
    if high < f32(-16):
        return f32(0)
    if smooth and high - low < f32(8):
        return (softplus(a) + f32(4) * softplus(f32(0.5) * (a + b)) + softplus(b)) / f32(6)
    if low >= 0:
        return f32(0.5) * (a + b)
    return high * high / (f32(2) * (high - low)) if high > 0 else f32(0)


@compiled(forceinline=True)
def _look_up(raw, gx, gy, gz):  # type: ignore[no-untyped-def]
    """Trilinear mix of the lattice at coordinates in cells, inside."""
    last = raw.shape[0] - 2
    i, j, k = min(int(gx), last), min(int(gy), last), min(int(gz), last)
    x, y, z = gx - f32(i), gy - f32(j), gz - f32(k)
    a = raw[i, j, k] + z * (raw[i, j, k + 1] - raw[i, j, k])
    b = raw[i, j + 1, k] + z * (raw[i, j + 1, k + 1] - raw[i, j + 1, k])
    c = raw[i + 1, j, k] + z * (raw[i + 1, j, k + 1] - raw[i + 1, j, k])
    d = raw[i + 1, j + 1, k] + z * (raw[i + 1, j + 1, k + 1] - raw[i + 1, j + 1, k])
    ab, cd = a + y * (b - a), c + y * (d - c)
    return ab + x * (cd - ab)


@compiled(forceinline=True)
def _in_cells(guide, o, d):  # type: ignore[no-untyped-def]
    """A ray's origin and direction in coordinates that count the lattice's cells."""
    per_unit = f32(1) / guide.cell
    x, y, z = (o[0] - guide.start) * per_unit, (o[1] - guide.start) * per_unit, (o[2] - guide.start) * per_unit
    return x, y, z, d[0] * per_unit, d[1] * per_unit, d[2] * per_unit


@compiled(forceinline=True)
def _guess(guide, line, t):  # type: ignore[no-untyped-def]
    """Raw density by the lattice, and how many cells it is empty; points beyond the lattice see its border."""
    x, y, z, dx, dy, dz = line
    gx, gy, gz = max(x + t * dx, f32(0)), max(y + t * dy, f32(0)), max(z + t * dz, f32(0))
    last = guide.leap.shape[0] - 1
    end = f32(last + 1)
    gx, gy, gz = min(gx, end), min(gy, end), min(gz, end)
    leap = int(guide.leap[min(int(gx), last), min(int(gy), last), min(int(gz), last)])
    if leap > 0:
        return f32(-1e4), leap
    return _look_up(guide.raw, gx, gy, gz), 0


@compiled(forceinline=True)
def _within(low, high, x, dx):  # type: ignore[no-untyped-def]
    """Between which distances a line is within limits along one axis."""
    per_cell = f32(1) / (dx if abs(dx) > f32(1e-12) else f32(1e-12))
    a, b = (low - x) * per_cell, (high - x) * per_cell
    return min(a, b), max(a, b)


@compiled(forceinline=True)
def _through_box(guide, line, near, far):  # type: ignore[no-untyped-def]
    """Between which distances, from `near` to `far`, a line is in the box around all cells to look at."""
    x, y, z, dx, dy, dz = line
    a, b = _within(guide.box[0, 0], guide.box[1, 0], x, dx)
    c, d = _within(guide.box[0, 1], guide.box[1, 1], y, dy)
    e, f = _within(guide.box[0, 2], guide.box[1, 2], z, dz)
    return max(max(a, c), max(e, near)), min(min(b, d), min(f, far))


@compiled(forceinline=True)
def _walk(guide, shading, line, near, far, pieces):  # type: ignore[no-untyped-def]
    """List the pieces of a ray that may stop light: start, length, raw density at both ends, weight.

    Returns:
        How many pieces, and the largest raw density, where it is, and the largest change of it within a step.
    """
    count, light, thickness = 0, f32(1), f32(0)
    steps = int(np.ceil((far - near) / (f32(0.5) * guide.cell)))
    step = (far - near) / f32(steps)
    peak, peak_at, steepest = f32(-1e9), near, f32(0)
    enter, leave = _through_box(guide, line, near, far)
    if enter >= leave:
        return count, peak, peak_at, steepest
    k, steps = max(int((enter - near) / step) - 1, 0), min(int((leave - near) / step) + 2, steps)
    steps_per_cell = f32(1) / (step * max(abs(line[3]), max(abs(line[4]), abs(line[5]))))
    before, before_leap = _guess(guide, line, near + f32(k) * step)
    while k < steps:
        if before_leap > 1:
            k += max(1, int(f32(before_leap - 1) * steps_per_cell))
            before, before_leap = _guess(guide, line, near + f32(k) * step)
            continue
        after, after_leap = _guess(guide, line, near + f32(k + 1) * step)
        if before_leap == 0 and after_leap == 0:
            start = near + f32(k) * step
            if after > peak:
                peak, peak_at = after, start + step
            change = abs(after - before)
            steepest = max(steepest, change)
            if max(before, after) + shading.shift < _NOTHING - f32(2) * change:
                before, before_leap, k = after, after_leap, k + 1
                continue
            stopped = step * mean_density(before + shading.shift, after + shading.shift, shading.smooth)
            parts = min(_FINER, max(1, int(stopped * min(f32(4), light * _DIM))))
            if count + _FINER + steps - k > len(pieces):
                parts = 1
            for part in range(parts):
                a = before + (after - before) * f32(part) / f32(parts)
                b = before + (after - before) * f32(part + 1) / f32(parts)
                length = step / f32(parts)
                if parts > 1:
                    stopped = length * mean_density(a + shading.shift, b + shading.shift, shading.smooth)
                thickness += stopped
                left = fast_exp_below_0(-thickness)
                pieces[count, 0], pieces[count, 1] = start + f32(part) * length, length
                pieces[count, 2], pieces[count, 3], pieces[count, 4] = a, b, light - left
                light = left
                count += 1
            if light < _DARK:
                break
        before, before_leap = after, after_leap
        k += 1
    return count, peak, peak_at, steepest


@compiled(forceinline=True)
def _spread(pieces, count, total, cell, most, at):  # type: ignore[no-untyped-def]
    """Distances that share out the light stopped evenly; more of them where it stops over a longer way.

    Returns:
        How many, 0 where a surface is only touched.
    """
    first, last, passed = f32(0), f32(0), f32(0)
    for k in range(count):
        if passed < f32(0.03) * total:
            first = pieces[k, 0]
        if passed < f32(0.97) * total:
            last = pieces[k, 0] + pieces[k, 1]
        passed += pieces[k, 4]
    extent = (last - first) / cell
    if total < f32(0.05) and extent < f32(_SHARP):
        return 0
    samples = min(most, 2 + int(extent * f32(_PER_CELL)))
    k, passed = 0, f32(0)
    for i in range(samples):
        wanted = (f32(i) + f32(0.5)) / f32(samples) * total
        while k < count - 1 and passed + pieces[k, 4] < wanted:
            passed += pieces[k, 4]
            k += 1
        share = (wanted - passed) / max(pieces[k, 4], f32(1e-12))
        at[i] = pieces[k, 0] + pieces[k, 1] * min(max(share, f32(0)), f32(1))
    return samples


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
def _reweigh(shading, pieces, count, at, error, samples, cell, weights):  # type: ignore[no-untyped-def]
    """Correct the raw densities of the pieces and give their light to the samples around them.

    Returns:
        Light stopped, and its sum with distances.
    """
    light, thickness, moment, i = f32(1), f32(0), f32(0), 0
    for k in range(samples):
        weights[k] = f32(0)
    for k in range(count):
        start, length = pieces[k, 0], pieces[k, 1]
        middle = start + f32(0.5) * length
        while i < samples - 1 and at[i + 1] < middle:
            i += 1
        j, share, half = min(i + 1, samples - 1), f32(0), f32(0)
        if at[i] < middle and j > i:
            gap = at[j] - at[i]
            share = (middle - at[i]) / gap
            fix = error[i] + share * (error[j] - error[i])
            half = f32(0.5) * (error[j] - error[i]) * min(length / gap, f32(1))
        else:  # what is known at the outermost samples says little further out
            fix = error[i] * max(f32(0), f32(1) - abs(middle - at[i]) / (f32(_TRUST) * cell))
        a, b = pieces[k, 2] + fix - half + shading.shift, pieces[k, 3] + fix + half + shading.shift
        thickness += length * mean_density(a, b, shading.smooth)
        left = fast_exp_below_0(-thickness)
        weight = light - left
        weights[i] += weight * (f32(1) - share)
        weights[j] += weight * share
        moment += weight * middle
        light = left
        if light < f32(1e-6):
            break
    return f32(1) - light, moment


@compiled(forceinline=True)
def _follow(net, guide, shading, o, d, limits, room, out):  # type: ignore[no-untyped-def]
    """Follow one ray; `out` gets its values, then distance sum, weight, light left and light before the last."""
    pieces, at, error, weights, layers, others, points, values = room
    channels = len(out) - 4
    for c in range(len(out)):
        out[c] = f32(0)
    near, leave, far = limits
    count, peak, peak_at, steepest = 0, f32(0), near, f32(0)
    line = _in_cells(guide, o, d)
    if leave > near:
        count, peak, peak_at, steepest = _walk(guide, shading, line, near, leave, pieces)
    total = f32(0)
    for k in range(count):
        total += pieces[k, 4]
    samples = 0
    if total > _DARK:
        samples = _spread(pieces, count, total, guide.cell, shading.most_samples, at)
    if samples == 0 and (total > _DARK or peak + shading.shift + f32(0.25) * steepest > 0):
        samples = 3
        for i in range(3):
            at[i] = min(max(peak_at + f32(i - 1) * guide.cell, near), far)
    _ask(net, o, d, at, samples, layers, others, points)
    for i in range(samples):
        guess, leap = _guess(guide, line, at[i])
        error[i] = raw_density(net, layers[i]) - guess if leap == 0 else f32(0)
    opacity = moment = f32(0)
    if samples:
        opacity, moment = _reweigh(shading, pieces, count, at, error, samples, guide.cell, weights)
    light = f32(1) - opacity
    before_last = light
    if light > _DARK and (shading.closing > 0 or shading.last_takes_rest):
        hidden(net, o[0] + far * d[0], o[1] + far * d[1], o[2] + far * d[2], layers[samples], others[0])
        raw = raw_density(net, layers[samples]) + shading.shift
        density = max(raw, f32(0))
        if shading.smooth:
            density = softplus(raw) if raw > f32(-8) else fast_exp_below_0(raw)
        if far > leave:
            density = f32(0)
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


@compiled(parallel=True)
def _follow_all(net, guide, shading, origins, directions, limits, longest, out):  # type: ignore[no-untyped-def]
    """Compiled part of `follow_rays`."""
    count, channels = len(limits), out.shape[1] - 4
    room_for = int(longest / (f32(0.5) * guide.cell)) + 2 + _SLACK
    for block in prange((count + BLOCK - 1) // BLOCK):
        most = shading.most_samples + 4
        room = (
            np.empty((room_for, 5), np.float32),
            np.empty(most, np.float32),
            np.empty(most, np.float32),
            np.empty(most, np.float32),
            np.empty((most, WIDTH), np.float32),
            np.empty((4, WIDTH), np.float32),
            np.empty((4, 3), np.float32),
            np.empty(channels, np.float32),
        )
        for ray in range(block * BLOCK, min(count, (block + 1) * BLOCK)):
            near, leave, far = limits[ray, 0], limits[ray, 1], limits[ray, 2]
            if near < far:
                _follow(net, guide, shading, origins[ray], directions[ray], (near, leave, far), room, out[ray])
            else:
                for c in range(channels + 4):
                    out[ray, c] = f32(1) if c >= channels + 2 else f32(0)
