"""The raw density on the tiles of a lattice that can hold surface, compiled for CPUs.

The lattice is worked off in slabs of `TILE` cells along x. A slab's tiles are bounded; what is left is bounded again in
parts of `PART` cells, and only the points of parts that are left then are evaluated. Every point's value comes from
the same code whichever part asks, so that pruning changes nothing but the time.

Indices: lattice points run from 0 to n - 1, and one layer of empty points lies around them; in the arrays of a slab
everything is shifted by one, so that 0 is that layer. Cell i lies between points i - 1 and i.
"""

import numpy as np

from gen3d_tools.kernels.compiled import compiled, f32, fast_log, leaky_relu, softplus

TILE, PART = 8, 4  # cells along each side
BORDER = -3.0e38  # raw density of the empty layer
_EXP_SEPARABLE, _SOFTPLUS = 0, 1


@compiled()
def first_hidden(lattice, x, y, z, units, p):  # type: ignore[no-untyped-def]
    """Values of the first hidden layer at lattice point [x, y, z], after its activation, into units[p]."""
    form, steps, xy, xz, yz = lattice.form, lattice.steps, lattice.xy, lattice.xz, lattice.yz
    ax, ay, bx, bz, cy, cz = x * steps[0], y * steps[0], x * steps[1], z * steps[1], y * steps[2], z * steps[2]
    if form == _EXP_SEPARABLE:
        for h in range(units.shape[1]):
            units[p, h] = fast_log(f32(1) + xy[ax, ay, h] * xz[bx, bz, h] * yz[cy, cz, h])
    elif form == _SOFTPLUS:
        for h in range(units.shape[1]):
            units[p, h] = softplus(xy[ax, ay, h] + xz[bx, bz, h] + yz[cy, cz, h])
    else:
        for h in range(units.shape[1]):
            units[p, h] = leaky_relu(xy[ax, ay, h] + xz[bx, bz, h] + yz[cy, cz, h])


@compiled()
def next_hidden(units, weight, bias, smooth, out):  # type: ignore[no-untyped-def]
    """Apply a hidden layer to four points at once: [4, H in] -> [4, H out], activation included."""
    u0, u1, u2, u3 = units[0], units[1], units[2], units[3]
    v0, v1, v2, v3 = out[0], out[1], out[2], out[3]
    for h in range(weight.shape[1]):
        v0[h] = v1[h] = v2[h] = v3[h] = bias[h]
    for j in range(0, weight.shape[0], 4):
        wa, wb, wc, wd = weight[j], weight[j + 1], weight[j + 2], weight[j + 3]
        a0, b0, c0, d0 = u0[j], u0[j + 1], u0[j + 2], u0[j + 3]
        a1, b1, c1, d1 = u1[j], u1[j + 1], u1[j + 2], u1[j + 3]
        a2, b2, c2, d2 = u2[j], u2[j + 1], u2[j + 2], u2[j + 3]
        a3, b3, c3, d3 = u3[j], u3[j + 1], u3[j + 2], u3[j + 3]
        for h in range(weight.shape[1]):
            v0[h] += a0 * wa[h] + b0 * wb[h] + c0 * wc[h] + d0 * wd[h]
            v1[h] += a1 * wa[h] + b1 * wb[h] + c1 * wc[h] + d1 * wd[h]
            v2[h] += a2 * wa[h] + b2 * wb[h] + c2 * wc[h] + d2 * wd[h]
            v3[h] += a3 * wa[h] + b3 * wb[h] + c3 * wc[h] + d3 * wd[h]
    for p in range(4):
        v = out[p]
        if smooth:
            for h in range(v.shape[0]):
                v[h] = softplus(v[h])
        else:
            for h in range(v.shape[0]):
                v[h] = leaky_relu(v[h])


@compiled()
def evaluate_row(lattice, x, y, z0, z1, units, others, out):  # type: ignore[no-untyped-def]
    """Raw density of the lattice points [x, y, z0:z1].

    Args:
        lattice: A `Lattice`.
        x: Lattice index.
        y: Lattice index.
        z0: First lattice index.
        z1: The one after the last.
        units: [4, H] room to work in.
        others: The same.
        out: [z1 - z0] receives the values.
    """
    for start in range(z0, z1, 4):
        count = min(4, z1 - start)
        for p in range(count):
            first_hidden(lattice, x, y, start + p, units, p)
        for layer in range(lattice.deeper.shape[0]):
            next_hidden(units, lattice.deeper[layer], lattice.deeper_bias[layer], lattice.smooth, others)
            units[:] = others
        for p in range(count):
            total = f32(0)
            for h in range(units.shape[1]):
                total += lattice.row[h] * units[p, h]
            out[start + p - z0] = total + lattice.bias


@compiled()
def evaluate_parts(lattice, slab, kept, level, step, values):  # type: ignore[no-untyped-def]
    """Evaluate the points of the parts that are kept, faces they share with others included.

    Values at the level are moved a little outwards: several edges would put their vertices on one point.

    Args:
        lattice: A `Lattice`.
        slab: Which slab.
        kept: [2, parts, parts].
        level: Raw density at the surface.
        step: Values nearer to the level than this become `level - step`.
        values: [TILE + 1, n + 2, n + 2] receives the values at the points of kept parts, `BORDER` around the lattice.
    """
    width, n = lattice.row.shape[0], lattice.size
    units, others = np.zeros((4, width), f32), np.zeros((4, width), f32)
    shallow = lattice.deeper.shape[0] == 0
    form, xy, xz, yz, row, bias = lattice.form, lattice.xy, lattice.xz, lattice.yz, lattice.row, lattice.bias
    sx, sy, sz = lattice.steps[0], lattice.steps[1], lattice.steps[2]
    for a in range(2):
        for i in range(kept.shape[1]):
            for j in range(kept.shape[2]):
                if not kept[a, i, j]:
                    continue
                # A face is left to the neighbour behind it where that one is kept, and all others beside the edge are.
                x1 = PART * a + PART + (0 if a == 0 and neighbours(kept, 1, i, j, 0) == 4 else 1)
                y1 = PART * i + PART + (0 if neighbours(kept, a, i, j, 1) == 2 else 1)
                z1 = PART * j + PART + (0 if j + 1 < kept.shape[2] and kept[a, i, j + 1] else 1)
                for x in range(PART * a, x1):
                    for y in range(PART * i, min(y1, n + 2)):
                        if shallow:
                            fill_shallow(
                                form,
                                sx,
                                sy,
                                sz,
                                xy,
                                xz,
                                yz,
                                row,
                                bias,
                                n,
                                TILE * slab + x,
                                y,
                                PART * j,
                                min(z1, n + 2),
                                values,
                                x,
                            )
                        else:
                            fill_row(lattice, TILE * slab + x, y, PART * j, min(z1, n + 2), units, others, values[x, y])
                        clear_level(values[x, y, PART * j : min(z1, n + 2)], level, step)


@compiled()
def neighbours(kept, a, i, j, first):  # type: ignore[no-untyped-def]
    """Count the kept ones of parts [a, i + first .. i + 1, j .. j + 1]."""
    count = 0
    for y in range(i + first, min(i + 2, kept.shape[1])):
        for z in range(j, min(j + 2, kept.shape[2])):
            count += kept[a, y, z]
    return count


@compiled()
def fill_row(lattice, x, y, z0, z1, units, others, out):  # type: ignore[no-untyped-def]
    """Fill out[z0:z1] of a row with x, y and z shifted by one; the empty layer is put in where the row meets it."""
    n = lattice.size
    if min(x, y) == 0 or max(x, y) > n:
        out[z0:z1] = f32(BORDER)
        return
    if z0 == 0:
        out[0] = f32(BORDER)
    if z1 == n + 2:
        out[n + 1] = f32(BORDER)
    z0, z1 = max(z0, 1), min(z1, n + 1)
    if z0 < z1:
        evaluate_row(lattice, x - 1, y - 1, z0 - 1, z1 - 1, units, others, out[z0:z1])


@compiled()
def fill_shallow(form, s0, s1, s2, xy, xz, yz, row, bias, n, x, y, z0, z1, values, layer):  # type: ignore[no-untyped-def]
    """Do what `fill_row` does for decoders with one hidden layer, into values[layer, y].

    Arrays come one by one and are read in one place: taking them from the lattice, or rows from them, for every
    point takes longer than the point itself.
    """
    ax, ay = (x - 1) * s0, (y - 1) * s0
    for z in range(z0, z1):
        if min(x, min(y, z)) == 0 or max(x, max(y, z)) > n:
            values[layer, y, z] = f32(BORDER)
            continue
        bx, bz, cy, cz = (x - 1) * s1, (z - 1) * s1, (y - 1) * s2, (z - 1) * s2
        total = f32(0)
        if form == _EXP_SEPARABLE:
            for h in range(row.shape[0]):
                total += row[h] * fast_log(f32(1) + xy[ax, ay, h] * xz[bx, bz, h] * yz[cy, cz, h])
        elif form == _SOFTPLUS:
            for h in range(row.shape[0]):
                total += row[h] * softplus(xy[ax, ay, h] + xz[bx, bz, h] + yz[cy, cz, h])
        else:
            for h in range(row.shape[0]):
                total += row[h] * leaky_relu(xy[ax, ay, h] + xz[bx, bz, h] + yz[cy, cz, h])
        values[layer, y, z] = total + bias


@compiled()
def clear_level(values, level, step):  # type: ignore[no-untyped-def]
    """Move values that meet the level to `level - step`."""
    for z in range(values.shape[0]):
        if abs(values[z] - level) < step:
            values[z] = level - step
