"""The way of a ray through the lattice of `occupancy.py`, compiled for CPUs: leaps over empty space, then small steps.

Steps are half a cell long. Within one the raw density is linear; a mean density is Simpson's rule of the activation,
or, across steep steps, the integral of its two straight limbs.
"""

import numpy as np

from gen3d_tools.kernels.compiling.compiled import compiled, f32, fast_exp, fast_exp_below_0, softplus
from gen3d_tools.kernels.network.numbers import EXP_DENSITY, SOFTPLUS_DENSITY

DARK = f32(1e-4)  # light below which a ray ends, or has met nothing
SLACK = 256  # workspace for the parts of steps
_DIM = f32(32)  # parts of a dim step: this times the light left times what is stopped
_FINER = 8  # most parts of a step in which much light stops
_NOTHING = f32(-10)  # argument of the activation so far below that no correction makes it visible
_OPAQUE = f32(-np.log(DARK))  # optical thickness at which a ray ends


@compiled(forceinline=True)
def mean_density(a, b, activation):  # type: ignore[no-untyped-def]
    """Mean of the activation over a step along which its argument runs evenly from `a` to `b`."""
    low, high = min(a, b), max(a, b)
    if high < f32(-16):
        return f32(0)
    if activation == EXP_DENSITY:
        if high - low < f32(0.5):
            return (fast_exp(a) + f32(4) * fast_exp(f32(0.5) * (a + b)) + fast_exp(b)) / f32(6)
        return (fast_exp(high) - fast_exp(low)) / (high - low)
    if activation == SOFTPLUS_DENSITY and high - low < f32(8):
        return (softplus(a) + f32(4) * softplus(f32(0.5) * (a + b)) + softplus(b)) / f32(6)
    if low >= f32(0):
        return f32(0.5) * (low + high)
    if high <= f32(0):
        return f32(0)
    share = high / max(high - low, f32(1e-12))  # of the step, with density
    return f32(0.5) * high * share


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
def in_cells(grid, o, d):  # type: ignore[no-untyped-def]
    """A ray's origin and direction in coordinates that count the lattice's cells."""
    per_unit = f32(1) / grid.cell
    x, y, z = (o[0] - grid.start) * per_unit, (o[1] - grid.start) * per_unit, (o[2] - grid.start) * per_unit
    return x, y, z, d[0] * per_unit, d[1] * per_unit, d[2] * per_unit


@compiled(forceinline=True)
def _held_in(grid, line, t):  # type: ignore[no-untyped-def]
    """Coordinates in cells of a point of a ray; points beyond the lattice are moved to its border."""
    x, y, z, dx, dy, dz = line
    end = f32(grid.skip.shape[0])
    gx, gy, gz = max(x + t * dx, f32(0)), max(y + t * dy, f32(0)), max(z + t * dz, f32(0))
    return min(gx, end), min(gy, end), min(gz, end)


@compiled(forceinline=True)
def _skip_at(grid, gx, gy, gz):  # type: ignore[no-untyped-def]
    """How many cells it is empty around a point."""
    last = grid.skip.shape[0] - 1
    return int(grid.skip[min(int(gx), last), min(int(gy), last), min(int(gz), last)])


@compiled(forceinline=True)
def guess(grid, line, t):  # type: ignore[no-untyped-def]
    """Raw density by the lattice, and how many cells it is empty."""
    gx, gy, gz = _held_in(grid, line, t)
    skip = _skip_at(grid, gx, gy, gz)
    if skip > 0:
        return f32(-1e4), skip
    return _look_up(grid.raw, gx, gy, gz), 0


@compiled(forceinline=True)
def _within(low, high, x, dx):  # type: ignore[no-untyped-def]
    """Between which distances a line is within limits along one axis."""
    per_cell = f32(1) / (dx if abs(dx) > f32(1e-12) else f32(1e-12))
    a, b = (low - x) * per_cell, (high - x) * per_cell
    return min(a, b), max(a, b)


@compiled(forceinline=True)
def _through_box(grid, line, near, far):  # type: ignore[no-untyped-def]
    """Between which distances, from `near` to `far`, a line is in the box around all cells to look at."""
    x, y, z, dx, dy, dz = line
    a, b = _within(grid.box[0, 0], grid.box[1, 0], x, dx)
    c, d = _within(grid.box[0, 1], grid.box[1, 1], y, dy)
    e, f = _within(grid.box[0, 2], grid.box[1, 2], z, dz)
    return max(max(a, c), max(e, near)), min(min(b, d), min(f, far))


@compiled(forceinline=True)
def set_off(grid, o, d, near, far, place, ways, at_step, last_step):  # type: ignore[no-untyped-def]
    """Lay out the steps of a ray, `ways[:, place]`, and which of them are in the box."""
    steps = int(np.ceil((far - near) / (f32(0.5) * grid.cell)))
    step = (far - near) / f32(max(steps, 1))
    line = in_cells(grid, o, d)
    enter, leave = _through_box(grid, line, near, far)
    at_step[place] = last_step[place] = 0
    if enter < leave:
        at_step[place] = max(int((enter - near) / step) - 1, 0)
        last_step[place] = min(int((leave - near) / step) + 2, steps)
    for axis in range(6):
        ways[axis, place] = line[axis]
    ways[6, place], ways[7, place] = near, step
    ways[8, place] = _steps_per_cell(line, step)


@compiled(forceinline=True)
def _steps_per_cell(line, step):  # type: ignore[no-untyped-def]
    """Steps that pass one cell along the axis that a ray follows most."""
    return f32(1) / (step * max(abs(line[3]), max(abs(line[4]), abs(line[5]))))


@compiled(forceinline=True)
def skip_together(grid, count, ways, at_step, last_step, moving):  # type: ignore[no-untyped-def]
    """Take rays through empty space to their first cells to look at. In turns: memory answers many at once."""
    left = 0
    for r in range(count):
        moving[left] = r
        left += at_step[r] < last_step[r]
    while left > 0:
        asked, left = left, 0
        for m in range(asked):
            r = moving[m]
            t = ways[6, r] + f32(at_step[r]) * ways[7, r]
            line = ways[0, r], ways[1, r], ways[2, r], ways[3, r], ways[4, r], ways[5, r]
            gx, gy, gz = _held_in(grid, line, t)
            skip = _skip_at(grid, gx, gy, gz)
            at_step[r] += max(int(skip > 0), int(f32(skip - 1) * ways[8, r]))
            moving[left] = r
            left += skip > 0 and at_step[r] < last_step[r]


@compiled(forceinline=True)
def walk(grid, shading, line, near, steps, pieces):  # type: ignore[no-untyped-def]
    """List the pieces of a ray that may stop light.

    Args:
        grid: The lattice.
        shading: How light is stopped.
        line: See `in_cells`.
        near: Distance where the ray's steps begin.
        steps: Their length, the first one to look at, and the first that is behind the box.
        pieces: [5, n] receives start, length, raw density at both ends, and the light left behind each piece.

    Returns:
        How many pieces, and the largest raw density, where it is, and the largest change of it within a step.
    """
    step, k, last_step = steps
    count, thickness, lights = 0, f32(0), pieces[4]
    peak, peak_at, steepest = f32(-1e9), near, f32(0)
    if k >= last_step:
        return count, peak, peak_at, steepest
    steps_per_cell = _steps_per_cell(line, step)
    before, before_skip = guess(grid, line, near + f32(k) * step)
    while k < last_step and thickness <= _OPAQUE:
        if before_skip > 1:
            k += max(1, int(f32(before_skip - 1) * steps_per_cell))
            before, before_skip = guess(grid, line, near + f32(k) * step)
            continue
        after, after_leap = guess(grid, line, near + f32(k + 1) * step)
        if before_skip == 0 and after_leap == 0:
            start = near + f32(k) * step
            if after > peak:
                peak, peak_at = after, start + step
            change = abs(after - before)
            steepest = max(steepest, change)
            if max(before, after) + shading.shift >= _NOTHING - f32(2) * change:
                most = _FINER if count + _FINER + last_step - k <= len(lights) else 1
                parts, thickness = _add_pieces(shading, start, step, before, after, thickness, most, pieces, count)
                count += parts
        before, before_skip = after, after_leap
        k += 1
    for piece in range(count):
        lights[piece] = fast_exp_below_0(lights[piece])
    return count, peak, peak_at, steepest


@compiled(forceinline=True)
def _add_pieces(shading, start, step, before, after, thickness, most, pieces, count):  # type: ignore[no-untyped-def]
    """List a step, in parts where much light stops in it; the place of the light gets minus the thickness so far.

    Returns:
        How many parts, and the optical thickness behind them.
    """
    stopped = step * mean_density(before + shading.shift, after + shading.shift, shading.density)
    parts = 1
    if stopped >= f32(0.5):
        light = fast_exp_below_0(-thickness)
        parts = min(most, max(1, int(min(stopped, f32(1e6)) * min(f32(4), light * _DIM))))
    length = step / f32(parts)
    for part in range(parts):
        a = before + (after - before) * f32(part) / f32(parts)
        b = before + (after - before) * f32(part + 1) / f32(parts)
        if parts > 1:
            stopped = length * mean_density(a + shading.shift, b + shading.shift, shading.density)
        thickness += stopped
        pieces[0, count + part], pieces[1, count + part] = start + f32(part) * length, length
        pieces[2, count + part], pieces[3, count + part] = a, b
        pieces[4, count + part] = -thickness
    return parts, thickness
