"""The raw density on the parts of a lattice that can hold surface, compiled for CPUs.

The lattice is worked off in slabs of `TILE` cells along x. A slab's tiles are bounded; what is left is bounded again in
parts of `PART` cells, and only the points of parts that are left then are evaluated, `BLOCK` at a time. Every point's
value comes from the same operations in the same order whoever its neighbours in the block are, so that pruning changes
nothing but the time.

Indices: lattice points run from 0 to n - 1, and one layer of empty points lies around them; in the arrays of a slab
everything is shifted by one, so that 0 is that layer. Cell i lies between points i - 1 and i.
"""

import numpy as np

from gen3d_tools.kernels.compiling.compiled import compiled, f32, fast_log, leaky_relu, silu, softplus
from gen3d_tools.kernels.lattice.tables import EXP_SEPARABLE, LANES
from gen3d_tools.kernels.network.evaluate import activate_all
from gen3d_tools.kernels.network.numbers import SILU, SOFTPLUS
from gen3d_tools.kernels.network.products import linear

TILE, PART = 8, 4  # cells along each side
BLOCK = 16  # points evaluated together
BORDER = -3.0e38  # raw density of the empty layer


@compiled(forceinline=True)
def first_hidden(lattice, places, start, count, units):  # type: ignore[no-untyped-def]
    """Evaluate the first hidden layer, activation included.

    Args:
        lattice: A `Lattice`.
        places: [points, 3] lattice indices of points.
        start: The first of the block.
        count: How many of them.
        units: [BLOCK, H] receives the values.
    """
    form, steps, xy, xz, yz = lattice.form, lattice.steps, lattice.xy, lattice.xz, lattice.yz
    for p in range(count):
        x, y, z = places[start + p, 0], places[start + p, 1], places[start + p, 2]
        a, b, c = xy[x * steps[0], y * steps[0]], xz[x * steps[1], z * steps[1]], yz[y * steps[2], z * steps[2]]
        u = units[p]
        if form == EXP_SEPARABLE:
            for h in range(u.shape[0]):
                u[h] = fast_log(f32(1) + a[h] * b[h] * c[h])
        elif form == SOFTPLUS:
            for h in range(u.shape[0]):
                u[h] = softplus(a[h] + b[h] + c[h])
        elif form == SILU:
            for h in range(u.shape[0]):
                u[h] = silu(a[h] + b[h] + c[h])
        else:
            for h in range(u.shape[0]):
                u[h] = leaky_relu(a[h] + b[h] + c[h])


@compiled(forceinline=True)
def shallow_density(lattice, places, start, count, out):  # type: ignore[no-untyped-def]
    """Evaluate the raw density of decoders with one hidden layer, which needs no room to keep it in.

    Args:
        lattice: A `Lattice`.
        places: [points, 3] lattice indices of points.
        start: The first of the block.
        count: How many of them.
        out: [BLOCK] receives the values.
    """
    form, steps, xy, xz, yz, row = lattice.form, lattice.steps, lattice.xy, lattice.xz, lattice.yz, lattice.row
    for p in range(count):
        x, y, z = places[start + p, 0], places[start + p, 1], places[start + p, 2]
        a, b, c = xy[x * steps[0], y * steps[0]], xz[x * steps[1], z * steps[1]], yz[y * steps[2], z * steps[2]]
        total = f32(0)
        if form == EXP_SEPARABLE:
            for h in range(row.shape[0]):
                total += row[h] * fast_log(f32(1) + a[h] * b[h] * c[h])
        elif form == SOFTPLUS:
            for h in range(row.shape[0]):
                total += row[h] * softplus(a[h] + b[h] + c[h])
        elif form == SILU:
            for h in range(row.shape[0]):
                total += row[h] * silu(a[h] + b[h] + c[h])
        else:
            for h in range(row.shape[0]):
                total += row[h] * leaky_relu(a[h] + b[h] + c[h])
        out[p] = total + lattice.bias


@compiled(no_cpython_wrapper=True)
def deeper_hidden(weights, biases, activation, units, others):  # type: ignore[no-untyped-def]
    """Evaluate the further hidden layers of a block.

    Args:
        weights: [layers, H out / LANES, H in, LANES].
        biases: [layers, H out / LANES, LANES].
        activation: See `HIDDEN_ACTIVATIONS`.
        units: [BLOCK, H] the layer before; receives the last one.
        others: [BLOCK, H] room to work in.
    """
    for layer in range(len(weights)):
        for part in range(weights.shape[1]):
            linear(units, weights[layer, part], biases[layer, part], others[:, part * LANES : (part + 1) * LANES])
        activate_all(others, activation)
        for p in range(BLOCK):
            for h in range(units.shape[1]):
                units[p, h] = others[p, h]


@compiled(forceinline=True)
def evaluate_block(lattice, places, start, count, units, others, out):  # type: ignore[no-untyped-def]
    """Evaluate the raw density at a block of lattice points.

    Args:
        lattice: A `Lattice`.
        places: [points, 3] lattice indices.
        start: The first of the block.
        count: How many of them are meant.
        units: [BLOCK, H] room to work in.
        others: The same.
        out: [BLOCK] receives the values.
    """
    if lattice.deeper.shape[0] == 0:
        shallow_density(lattice, places, start, count, out)
    else:
        first_hidden(lattice, places, start, count, units)
        deeper_hidden(lattice.deeper, lattice.deeper_bias, lattice.activation, units, others)
        last_layer(lattice, units, count, out)


@compiled(forceinline=True)
def last_layer(lattice, units, count, out):  # type: ignore[no-untyped-def]
    """The raw density of a block's points from their last hidden layer."""
    for p in range(count):
        total, u = f32(0), units[p]
        for h in range(u.shape[0]):
            total += lattice.row[h] * u[h]
        out[p] = total + lattice.bias


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
    n, parts = lattice.size, kept.shape[2]
    units, others = np.zeros((BLOCK, lattice.row.shape[0]), f32), np.zeros((BLOCK, lattice.row.shape[0]), f32)
    places, found = np.zeros((n + 2 + BLOCK, 3), np.int64), np.zeros(BLOCK, f32)
    wanted = np.zeros(parts + 1, np.bool_)
    count, rows = 0, (TILE + 1) * (n + 2)
    for row in range(rows):
        x, y = row // (n + 2), row % (n + 2)
        if parts_around(kept, x, y, wanted):
            outside = TILE * slab + x == 0 or TILE * slab + x > n or y == 0 or y > n
            for z in range(n + 2):
                if not (wanted[z // PART] or (z % PART == 0 and z > 0 and wanted[z // PART - 1])):
                    continue
                if outside or z == 0 or z > n:
                    values[x, y, z] = f32(BORDER)
                else:
                    places[count, 0], places[count, 1], places[count, 2] = TILE * slab + x - 1, y - 1, z - 1
                    count += 1
        start = np.int64(0)  # a plain 0 is a type of its own, for which all would be compiled again
        while count - start >= BLOCK or (row == rows - 1 and count > start):
            some = BLOCK if count - start > BLOCK else count - start
            evaluate_block(lattice, places, start, some, units, others, found)
            store(places, start, some, found, slab, level, step, values)
            start += some
        count -= start  # type: ignore[assignment]
        for p in range(count if start else 0):  # fewer than a block are left
            for axis in range(3):
                places[p, axis] = places[start + p, axis]


@compiled(forceinline=True)
def parts_around(kept, x, y, wanted):  # type: ignore[no-untyped-def]
    """Note which of the parts that a row of points along z runs through or along are kept; whether any is."""
    found = False
    first_a, last_a = (x - 1 if x > 0 else 0) // PART, (x // PART if x < 2 * PART else 1)
    first_i, last_i = (y - 1 if y > 0 else 0) // PART, y // PART
    if last_i >= kept.shape[1]:
        last_i = kept.shape[1] - 1
    for j in range(kept.shape[2]):
        any_kept = False
        for a in range(first_a, last_a + 1):
            for i in range(first_i, last_i + 1):
                any_kept |= kept[a, i, j]
        wanted[j] = any_kept
        found |= any_kept
    return found


@compiled(forceinline=True)
def store(places, start, count, found, slab, level, step, values):  # type: ignore[no-untyped-def]
    """Put a block's values in their places; those that meet the level become `level - step`."""
    for p in range(count):
        value = found[p]
        if abs(value - level) < step:
            value = level - step
        x, y, z = places[start + p, 0], places[start + p, 1], places[start + p, 2]
        values[x + 1 - TILE * slab, y + 1, z + 1] = value
