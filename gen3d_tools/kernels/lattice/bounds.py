"""Bounds of the raw density over a tile of lattice points, so that tiles without a surface are skipped safely.

Affine arithmetic: over a tile every unit is `c + gx x + gy y + gz z + r`, with x, y and z from -1 to 1 across the tile
and |r| <= e. Tables give that for the first layer, a linear layer keeps it, and an activation f, which is convex,
is replaced by a line of slope s: f(u) - s u lies between its value where f' = s and the larger of its values at the two
ends (silu is not convex: see `line_beside_silu`). The slope is that of the chord: for it, the two are nearest. Units
vary together through gx, gy and gz; plain intervals forget that, and through two layers they keep nearly every tile.
Rounding is covered by widening e at every layer by more than the kernels' largest error.
"""

import numpy as np

from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import compiled, f32, fast_exp_below_0, fast_log, leaky_relu, silu, softplus
from gen3d_tools.kernels.lattice.tables import LANES
from gen3d_tools.kernels.network.numbers import SILU, SOFTPLUS


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
def bound_tile(lattice, xy, xz, yz, forms, other):  # type: ignore[no-untyped-def]
    """Bound the raw density over a tile.

    Args:
        lattice: A `Lattice`.
        xy: [4, H] what `summarize` gave for the tile's window of that table; `xz` and `yz` likewise.
        xz: See there.
        yz: See there.
        forms: [5, H] room to work in: c, gx, gy, gz and e.
        other: The same.

    Returns:
        Lowest and highest raw density that a kernel can compute on the tile's points.
    """
    margin = f32((lattice.row.shape[0] + 64) * 2.0**-23)
    for h in range(xy.shape[1]):
        forms[0, h] = xy[0, h] + xz[0, h] + yz[0, h]
        forms[1, h] = xy[1, h] + xz[1, h]
        forms[2, h] = xy[2, h] + yz[1, h]
        forms[3, h] = xz[2, h] + yz[2, h]
        forms[4, h] = xy[3, h] + xz[3, h] + yz[3, h]
    for layer in range(lattice.deeper.shape[0] + 1):
        bound_activation(forms, lattice.activation, margin)
        if layer < lattice.deeper.shape[0]:
            bound_linear(forms, lattice.deeper[layer], lattice.deeper_bias[layer], other)
            forms, other = other, forms
    center, x, y, z, rest = lattice.bias, f32(0), f32(0), f32(0), f32(0)
    for h in range(forms.shape[1]):
        w = lattice.row[h]
        center += w * forms[0, h]
        x += w * forms[1, h]
        y += w * forms[2, h]
        z += w * forms[3, h]
        rest += abs(w) * forms[4, h]
    reach = abs(x) + abs(y) + abs(z) + rest
    reach += margin * (abs(lattice.bias) + reach)
    return center - reach, center + reach


@compiled(forceinline=True)
def bound_activation(forms, activation, margin):  # type: ignore[no-untyped-def]
    """Replace every unit by its activation, in place; the remainder then also covers rounding."""
    for h in range(forms.shape[1]):
        c, spread = forms[0, h], abs(forms[1, h]) + abs(forms[2, h]) + abs(forms[3, h]) + forms[4, h]
        spread += margin * (abs(c) + spread)
        low, high = c - spread, c + spread
        if activation == SOFTPLUS:
            f_low, f_high = softplus(low), softplus(high)
            slope = min(max((f_high - f_low) / max(high - low, f32(1e-30)), f32(0)), f32(1))
            at_low, at_high = f_low - slope * low, f_high - slope * high
            rest = f32(1) - slope
            least = -slope * fast_log(max(slope, f32(1e-30))) - rest * fast_log(
                max(rest, f32(1e-30))
            )  # where f' = slope
            most = max(at_low, at_high)
        elif activation == SILU:
            slope, least, most = line_beside_silu(low, high)
        else:
            f_low, f_high = leaky_relu(low), leaky_relu(high)
            slope = min(max((f_high - f_low) / max(high - low, f32(1e-30)), f32(0.2)), f32(1))
            at_low, at_high = f_low - slope * low, f_high - slope * high
            kink = f32(0) if low * high < f32(0) else f32(3e38)  # inside, the least value is that at 0
            least = min(kink, min(at_low, at_high))
            most = max(at_low, at_high)
        forms[0, h] = slope * c + (least + most) * f32(0.5)
        forms[1, h] *= slope
        forms[2, h] *= slope
        forms[3, h] *= slope
        forms[4, h] = slope * forms[4, h] + (most - least) * f32(0.5)
        size = abs(forms[0, h]) + slope * spread + abs(slope * c)
        forms[4, h] += margin * (size + f32(1))


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
def bound_linear(forms, weight, bias, other):  # type: ignore[no-untyped-def]
    """Apply a linear layer to the forms, four inputs at a time.

    Args:
        forms: [5, H in].
        weight: [H out / LANES, H in, LANES].
        bias: [H out / LANES, LANES].
        other: [5, H out] receives the result.
    """
    c, x, y, z, e = forms[0], forms[1], forms[2], forms[3], forms[4]
    for part in range(weight.shape[0]):
        w, b, lanes = weight[part], bias[part], other[:, part * LANES : (part + 1) * LANES]
        oc, ox, oy, oz, oe = lanes[0], lanes[1], lanes[2], lanes[3], lanes[4]
        for h in range(LANES):
            oc[h] = b[h]
            ox[h] = oy[h] = oz[h] = f32(0)
            oe[h] = f32(1e-6) * abs(b[h])
        for j in range(0, forms.shape[1], 4):
            wj, wk, wl, wm = w[j], w[j + 1], w[j + 2], w[j + 3]
            cj, ck, cl, cm = c[j], c[j + 1], c[j + 2], c[j + 3]
            xj, xk, xl, xm = x[j], x[j + 1], x[j + 2], x[j + 3]
            yj, yk, yl, ym = y[j], y[j + 1], y[j + 2], y[j + 3]
            zj, zk, zl, zm = z[j], z[j + 1], z[j + 2], z[j + 3]
            ej, ek, el, em = e[j], e[j + 1], e[j + 2], e[j + 3]
            for h in range(LANES):
                vj, vk, vl, vm = wj[h], wk[h], wl[h], wm[h]
                oc[h] += cj * vj + ck * vk + cl * vl + cm * vm
                ox[h] += xj * vj + xk * vk + xl * vl + xm * vm
                oy[h] += yj * vj + yk * vk + yl * vl + ym * vm
                oz[h] += zj * vj + zk * vk + zl * vl + zm * vm
                oe[h] += ej * abs(vj) + ek * abs(vk) + el * abs(vl) + em * abs(vm)


@compiled()
def bound_tiles(lattice, xy, xz, yz, wanted, low, high):  # type: ignore[no-untyped-def]
    """Bound the raw density over the tiles of one layer along x.

    Args:
        lattice: A `Lattice` whose tables are not looked at.
        xy: [tiles, 4, H] what `summarize` gave for this layer; `xz` likewise.
        xz: See there.
        yz: [tiles, tiles, 4, H] the whole summary.
        wanted: [tiles, tiles] which tiles to bound.
        low: [tiles, tiles] receives lower bounds.
        high: Receives upper bounds.
    """
    forms, other = np.empty((5, lattice.row.shape[0]), f32), np.empty((5, lattice.row.shape[0]), f32)
    for i in range(wanted.shape[0]):
        for j in range(wanted.shape[1]):
            if wanted[i, j]:
                low[i, j], high[i, j] = bound_tile(lattice, xy[i], xz[j], yz[i, j], forms, other)


def summaries(lattice, tile: int, tiles: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    """Summarise all three tables of a lattice, before they are exponentiated."""
    announce(summarize)
    results = []
    for table in lattice.tables:
        out = np.empty((tiles, tiles, 4, table.shape[2]), np.float32)
        summarize(table, lattice.size, tile, out)
        results.append(out)
    return results[0], results[1], results[2]
