"""Bounds of the raw density over a tile of lattice points, so that tiles without a surface are skipped safely.

Two passes. Forwards, affine arithmetic: over a tile every unit is `c + gx x + gy y + gz z + r`, with x, y and z from
-1 to 1 across the tile and |r| <= e. Tables give that for the first layer, a linear layer keeps it, and an activation
f, which is convex, is put between two lines of one slope s: f(u) - s u lies between its value where f' = s and the
larger of its values at the two ends (silu is not convex: see `line_beside_silu`). The slope is that of the chord: for
it, the two are nearest. Units vary together through gx, gy and gz; plain intervals forget that, and through two layers
they keep nearly every tile.

Backwards: the raw density is a sum of the last units. Each is put between its lines, which makes it a sum of the units
one layer further down, and so on to the tables, with a constant and a remainder from every layer (CROWN, Zhang et al.
2018, with parallel lines). What one unit of a layer adds to some units above and takes from others cancels here, where
the forward pass sums the magnitudes: bounds are half as wide. Rounding is covered by widening the remainder of every
layer by more than the kernels' largest error; a second row of coefficients, of magnitudes alone, carries it down.
"""

import numpy as np

from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import compiled, f32, fast_exp_below_0, fast_log, leaky_relu, silu, softplus
from gen3d_tools.kernels.lattice.tables import LANES
from gen3d_tools.kernels.network.numbers import SILU, SOFTPLUS

_ROUNDING = f32(1e-5)  # relative error of adding a bias


@compiled()
def summarize(table, size, tile, out):  # type: ignore[no-untyped-def]
    """Fit `c + gu u + gv v + r`, |r| <= e, to a table over each tile.

    Tile t holds the points `tile * t - 1` to `tile * t - 1 + tile` that exist.

    Args:
        table: [n, n, H], or [1, 1, H].
        size: n.
        tile: Cells along each side of a tile.
        out: [tiles, tiles, 4, H] receives c, gu, gv, e.
    """
    stretch = 1 if table.shape[0] > 1 else 0
    for a in range(out.shape[0]):
        u0, u1 = max(tile * a - 1, 0) * stretch, min(tile * a - 1 + tile, size - 1) * stretch
        for b in range(out.shape[1]):
            v0, v1 = max(tile * b - 1, 0) * stretch, min(tile * b - 1 + tile, size - 1) * stretch
            t00, t01, t10, t11 = table[u0, v0], table[u0, v1], table[u1, v0], table[u1, v1]
            low, gu, gv, high = out[a, b, 0], out[a, b, 1], out[a, b, 2], out[a, b, 3]
            for h in range(table.shape[2]):
                gu[h] = (t10[h] + t11[h] - t00[h] - t01[h]) * f32(0.25)
                gv[h] = (t01[h] + t11[h] - t00[h] - t10[h]) * f32(0.25)
                low[h], high[h] = f32(3e38), f32(-3e38)
            for i in range(u0, u1 + 1):
                u = place(i, u0, u1)
                for j in range(v0, v1 + 1):
                    v = place(j, v0, v1)
                    row = table[i, j]
                    for h in range(table.shape[2]):
                        rest = row[h] - u * gu[h] - v * gv[h]
                        low[h] = min(low[h], rest)
                        high[h] = max(high[h], rest)
            for h in range(table.shape[2]):
                middle = (low[h] + high[h]) * f32(0.5)
                high[h] = (high[h] - low[h]) * f32(0.5)
                low[h] = middle


@compiled(forceinline=True)
def place(i, first, last):  # type: ignore[no-untyped-def]
    """Where point i is between the first (-1) and the last (1) of a tile."""
    return f32(2 * i - first - last) / f32(max(last - first, 1))


@compiled(forceinline=True)
def draw_lines(forms, activation, margin, lines):  # type: ignore[no-untyped-def]
    """Put the activation of every unit between two lines of one slope.

    Args:
        forms: [parts, 5, LANES] c, gx, gy, gz and e of the units before their activation.
        activation: See `HIDDEN_ACTIVATIONS`.
        margin: Largest relative error of the kernels.
        lines: [parts, 4, LANES] receives the slope, the middle between the lines, half their distance, and what
            rounding may add to it.
    """
    for part in range(forms.shape[0]):
        form, line = forms[part], lines[part]
        for h in range(LANES):
            c, spread = form[0, h], abs(form[1, h]) + abs(form[2, h]) + abs(form[3, h]) + form[4, h]
            line[3, h] = spread + margin * (abs(c) + spread)
        if activation == SOFTPLUS:  # a choice within the loop would keep it from becoming vector code
            for h in range(LANES):
                low, high = form[0, h] - line[3, h], form[0, h] + line[3, h]
                line[0, h], line[1, h], line[2, h] = lines_beside_softplus(low, high)
        elif activation == SILU:
            for h in range(LANES):
                low, high = form[0, h] - line[3, h], form[0, h] + line[3, h]
                line[0, h], line[1, h], line[2, h] = line_beside_silu(low, high)
        else:
            for h in range(LANES):
                low, high = form[0, h] - line[3, h], form[0, h] + line[3, h]
                line[0, h], line[1, h], line[2, h] = lines_beside_leaky_relu(low, high)
        for h in range(LANES):
            slope, middle, half = line[0, h], (line[1, h] + line[2, h]) * f32(0.5), (line[2, h] - line[1, h]) * f32(0.5)
            size = abs(slope * form[0, h] + middle) + abs(slope) * line[3, h] + abs(slope * form[0, h])
            line[1, h], line[2, h], line[3, h] = middle, half, margin * (size + f32(1))


@compiled(forceinline=True)
def lines_beside_softplus(low, high):  # type: ignore[no-untyped-def]
    """The slope of softplus' chord, and bounds of softplus minus the line through 0 of that slope."""
    f_low, f_high = softplus(low), softplus(high)
    slope = min(max((f_high - f_low) / max(high - low, f32(1e-30)), f32(0)), f32(1))
    rest = f32(1) - slope  # the least value is where f' = slope
    least = -slope * fast_log(max(slope, f32(1e-30))) - rest * fast_log(max(rest, f32(1e-30)))
    return slope, least, max(f_low - slope * low, f_high - slope * high)


@compiled(forceinline=True)
def lines_beside_leaky_relu(low, high):  # type: ignore[no-untyped-def]
    """The slope of a leaky ReLU's chord, and bounds of it minus the line through 0 of that slope."""
    f_low, f_high = leaky_relu(low), leaky_relu(high)
    slope = min(max((f_high - f_low) / max(high - low, f32(1e-30)), f32(0.2)), f32(1))
    at_low, at_high = f_low - slope * low, f_high - slope * high
    kink = f32(0) if low * high < f32(0) else f32(3e38)  # inside, the least value is that at 0
    return slope, min(kink, min(at_low, at_high)), max(at_low, at_high)


@compiled(forceinline=True)
def line_beside_silu(low, high):  # type: ignore[no-untyped-def]
    """The slope of silu's chord from `low` to `high`, and bounds of silu minus the line through 0 of that slope.

    silu is no convex function: it curves upwards, by at most 1/2 (at 0), between -2.4 and 2.4, and downwards, by at
    most 0.0599, beyond. A function that curves upwards by at most m lies at most m l^2 / 8 below a chord of length l,
    and likewise above. Long chords are bounded by `relu(u) - 0.2785 <= silu(u) <= relu(u)` instead.
    """
    f_low, f_high = silu(low), silu(high)
    length = max(high - low, f32(1e-30))
    slope = min(max((f_high - f_low) / length, f32(-0.1)), f32(1.1))
    at_low, at_high = f_low - slope * low, f_high - slope * high
    nearest = max(max(low, -high), f32(0))  # distance of the interval from 0
    farthest = max(abs(low), abs(high))
    upwards = upward_curve(nearest)
    downwards = f32(0.06) if farthest > f32(2.39) else f32(0)
    eighth = f32(0.125) * length * length
    least, most = min(at_low, at_high) - upwards * eighth, max(at_low, at_high) + downwards * eighth
    relu_low, relu_high = max(low, f32(0)) - slope * low, max(high, f32(0)) - slope * high
    kink = f32(0) if low * high < f32(0) else f32(3e38)
    least = max(least, min(kink, min(relu_low, relu_high)) - f32(0.2786))
    most = min(most, max(relu_low, relu_high))
    return slope, least, max(most, least)


@compiled(forceinline=True)
def upward_curve(u):  # type: ignore[no-untyped-def]
    """Second derivative of silu at u >= 0, where it falls, or 0 where it is below."""
    small = fast_exp_below_0(-u)
    share = f32(1) / (f32(1) + small)
    slope = share * share * small  # of the sigmoid
    return max(slope * (f32(2) + u * (f32(1) - f32(2) * share)) + f32(1e-5), f32(0))


@compiled(forceinline=True)
def apply_lines(forms, lines):  # type: ignore[no-untyped-def]
    """Turn the forms [parts, 5, LANES] of units into those behind their activation, in place."""
    for part in range(forms.shape[0]):
        form, line = forms[part], lines[part]
        for h in range(LANES):
            slope = line[0, h]
            form[0, h] = slope * form[0, h] + line[1, h]
            form[1, h] *= slope
            form[2, h] *= slope
            form[3, h] *= slope
            form[4, h] = abs(slope) * form[4, h] + line[2, h] + line[3, h]


@compiled(forceinline=True)
def copy_rows(source, out):  # type: ignore[no-untyped-def]
    """Copy an array of [parts, rows, LANES]."""
    for part in range(source.shape[0]):
        for row in range(source.shape[1]):
            for h in range(LANES):
                out[part, row, h] = source[part, row, h]


@compiled(forceinline=True)
def apply_linear(forms, weight, bias, out):  # type: ignore[no-untyped-def]
    """Apply a linear layer to the forms, four inputs at a time.

    Args:
        forms: [parts in, 5, LANES].
        weight: [parts out, H in, LANES].
        bias: [parts out, LANES].
        out: [parts out, 5, LANES] receives the result.
    """
    for part in range(weight.shape[0]):
        w, b, o = weight[part], bias[part], out[part]
        for h in range(LANES):
            o[0, h] = b[h]
            o[1, h] = o[2, h] = o[3, h] = f32(0)
            o[4, h] = _ROUNDING * abs(b[h])
        for source in range(forms.shape[0]):
            f, first = forms[source], source * LANES
            for j in range(0, LANES, 4):
                wj, wk, wl, wm = w[first + j], w[first + j + 1], w[first + j + 2], w[first + j + 3]
                cj, ck, cl, cm = f[0, j], f[0, j + 1], f[0, j + 2], f[0, j + 3]
                xj, xk, xl, xm = f[1, j], f[1, j + 1], f[1, j + 2], f[1, j + 3]
                yj, yk, yl, ym = f[2, j], f[2, j + 1], f[2, j + 2], f[2, j + 3]
                zj, zk, zl, zm = f[3, j], f[3, j + 1], f[3, j + 2], f[3, j + 3]
                ej, ek, el, em = f[4, j], f[4, j + 1], f[4, j + 2], f[4, j + 3]
                for h in range(LANES):
                    vj, vk, vl, vm = wj[h], wk[h], wl[h], wm[h]
                    o[0, h] += cj * vj + ck * vk + cl * vl + cm * vm
                    o[1, h] += xj * vj + xk * vk + xl * vl + xm * vm
                    o[2, h] += yj * vj + yk * vk + yl * vl + ym * vm
                    o[3, h] += zj * vj + zk * vk + zl * vl + zm * vm
                    o[4, h] += ej * abs(vj) + ek * abs(vk) + el * abs(vl) + em * abs(vm)


@compiled(forceinline=True)
def step_down(shares, lines, weight, bias, out):  # type: ignore[no-untyped-def]
    """Go from the units of a layer, behind their activation, to those of the layer below.

    Args:
        shares: [parts, 2, LANES] coefficients of the raw density in those units, and sums of their magnitudes;
            they are used up.
        lines: [parts, 4, LANES] of the layer, see `draw_lines`.
        weight: [parts, H in, LANES] of the layer.
        bias: [parts, LANES] of the layer.
        out: [parts in, 2, LANES] receives the coefficients in the units below.

    Returns:
        What is added to the raw density's middle, and to its remainder.
    """
    center, rest = f32(0), f32(0)
    for part in range(shares.shape[0]):
        share, line, b = shares[part], lines[part], bias[part]
        for h in range(LANES):
            center += share[0, h] * line[1, h]
            rest += abs(share[0, h]) * line[2, h] + share[1, h] * line[3, h]
            share[0, h] *= line[0, h]
            share[1, h] *= abs(line[0, h])
            center += share[0, h] * b[h]
            rest += _ROUNDING * share[1, h] * abs(b[h])
    for source in range(out.shape[0]):
        below = out[source]
        for j in range(LANES):
            exact, magnitude = f32(0), f32(0)
            for part in range(shares.shape[0]):
                share, w = shares[part], weight[part, source * LANES + j]
                for h in range(LANES):
                    exact += share[0, h] * w[h]
                    magnitude += share[1, h] * abs(w[h])
            below[0, j], below[1, j] = exact, magnitude
    return center, rest


@compiled(forceinline=True)
def gather(xy, xz, yz, forms):  # type: ignore[no-untyped-def]
    """Add the summaries [5, H] of a tile's three windows to the forms [parts, 5, LANES] of the first layer."""
    for part in range(forms.shape[0]):
        first = part * LANES
        for row in range(5):
            a, b, c, form = xy[row], xz[row], yz[row], forms[part, row]
            for lane in range(LANES):
                form[lane] = a[first + lane] + b[first + lane] + c[first + lane]


@compiled(forceinline=True)
def bound_forms(lattice, margin, first, room, lines):  # type: ignore[no-untyped-def]
    """Bound the raw density over a tile.

    Args:
        lattice: A `Lattice`.
        margin: Largest relative error of the kernels.
        first: [parts, 5, LANES] the first layer's units before their activation.
        room: Two like `first`, and two [parts, 2, LANES], to work in.
        lines: [layers, parts, 4, LANES] to work in.

    Returns:
        Lowest and highest raw density that a kernel can compute on the tile's points.
    """
    forms, other, shares, below = room
    layers = lattice.deeper.shape[0]
    copy_rows(first, forms)
    for layer in range(layers + 1):  # arrays that changed places would keep it from becoming vector code
        draw_lines(forms, lattice.activation, margin, lines[layer])
        if layer < layers:
            apply_lines(forms, lines[layer])
            apply_linear(forms, lattice.deeper[layer], lattice.deeper_bias[layer], other)
            copy_rows(other, forms)
    for part in range(first.shape[0]):
        share = shares[part]
        for h in range(LANES):
            share[0, h] = lattice.row[part * LANES + h]
            share[1, h] = abs(share[0, h])
    center, x, y, z, rest = lattice.bias, f32(0), f32(0), f32(0), f32(0)
    for step in range(layers):
        layer = layers - step
        more, wider = step_down(shares, lines[layer], lattice.deeper[layer - 1], lattice.deeper_bias[layer - 1], below)
        center += more
        rest += wider
        copy_rows(below, shares)
    for part in range(first.shape[0]):
        share, form, line = shares[part], first[part], lines[0, part]
        for h in range(LANES):
            w = share[0, h] * line[0, h]
            center += w * form[0, h] + share[0, h] * line[1, h]
            x += w * form[1, h]
            y += w * form[2, h]
            z += w * form[3, h]
            rest += abs(w) * form[4, h] + abs(share[0, h]) * line[2, h] + share[1, h] * line[3, h]
    reach = abs(x) + abs(y) + abs(z) + rest
    reach += margin * (abs(lattice.bias) + reach)
    return center - reach, center + reach


@compiled()
def bound_tiles(lattice, xy, xz, yz, wanted, low, high):  # type: ignore[no-untyped-def]
    """Bound the raw density over the tiles of one layer along x.

    Args:
        lattice: A `Lattice` whose tables are not looked at.
        xy: [tiles, 5, H] what `summaries` gave for this layer; `xz` likewise.
        xz: See there.
        yz: [tiles, tiles, 5, H] the whole summary.
        wanted: [tiles, tiles] which tiles to bound.
        low: [tiles, tiles] receives lower bounds.
        high: Receives upper bounds.
    """
    parts = lattice.row.shape[0] // LANES
    margin = f32((lattice.row.shape[0] + 64) * 2.0**-23)
    first, lines = np.empty((parts, 5, LANES), f32), np.empty((len(lattice.deeper) + 1, parts, 4, LANES), f32)
    room = (
        np.empty((parts, 5, LANES), f32),  # the compiler knows how far the rows of a part are from each other
        np.empty((parts, 5, LANES), f32),
        np.empty((parts, 2, LANES), f32),
        np.empty((parts, 2, LANES), f32),
    )
    for i in range(wanted.shape[0]):
        for j in range(wanted.shape[1]):
            if wanted[i, j]:
                gather(xy[i], xz[j], yz[i, j], first)
                low[i, j], high[i, j] = bound_forms(lattice, margin, first, room, lines)


def summaries(lattice, tile: int, tiles: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    """Summarise the tables of a lattice, before they are exponentiated: [tiles, tiles, 5, H], c, gx, gy, gz and e."""
    announce(summarize)
    results = []
    for table, rows in zip(lattice.tables, ((0, 1, 2, 4), (0, 1, 3, 4), (0, 2, 3, 4)), strict=True):
        found = np.empty((tiles, tiles, 4, table.shape[2]), np.float32)
        summarize(table, lattice.size, tile, found)
        out = np.zeros((tiles, tiles, 5, table.shape[2]), np.float32)  # no table has a slope along the third axis
        for row, source in zip(rows, range(4), strict=True):
            out[:, :, row] = found[:, :, source]
        results.append(out)
    return results[0], results[1], results[2]
