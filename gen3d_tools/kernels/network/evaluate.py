"""A folded tri-plane network at single points, compiled for CPUs.

All functions are inlined by force: a call would pass every array of the network again, and count references to it.
"""

from typing import NamedTuple

import numpy as np

from gen3d_tools.kernels.compiling.compiled import IN_ORDER, compiled, f32, leaky_relu, silu, softplus
from gen3d_tools.kernels.network.numbers import HIDDEN_ACTIVATIONS, SILU, SOFTPLUS, TriplaneNumbers, fold

WIDTH = 64  # hidden units the loops are compiled for; narrower layers are filled up with units of weight 0


class Network(NamedTuple):
    """A field's numbers as the compiled functions read them; H = WIDTH hidden units in every layer."""

    texels: np.ndarray  # [planes * size * size, H] with the first layer multiplied in; plane, then v, then u
    size: int  # texels along each side of a plane
    axes: np.ndarray  # [planes, 2] world axes along u and v
    per_texel: np.ndarray  # [2] texel coordinate = world coordinate * [0] + [1]
    bias: np.ndarray  # [H] of the first layer
    deeper: np.ndarray  # [layers - 1, H in, H out] further hidden layers, transposed
    deeper_bias: np.ndarray  # [layers - 1, H]
    density: np.ndarray  # [H] the row of the last layer that gives the raw density, gain included
    density_bias: np.float32
    activation: int  # of the hidden layers, see `HIDDEN_ACTIVATIONS`


def network_of(numbers: TriplaneNumbers) -> Network | None:
    """Lay a field's numbers out for the compiled functions; None where a hidden layer is wider than `WIDTH`."""
    decoder = numbers.decoder
    if max(len(bias) for bias in decoder.biases[:-1]) > WIDTH:
        return None
    size = numbers.texels.shape[1]
    gain = (size - 1 if numbers.align_corners else size) / numbers.box_side
    row, bias = decoder.density_layer
    hidden = [filled(weight.T, (WIDTH, WIDTH)) for weight in decoder.weights[1:-1]]
    return Network(
        texels=filled(fold(numbers), (*numbers.texels.shape[:3], WIDTH)).reshape(-1, WIDTH),
        size=size,
        axes=np.array(numbers.axes, np.int64),
        per_texel=np.array([gain, (size - 1) / 2], f32),
        bias=filled(decoder.biases[0], (WIDTH,)),
        deeper=np.array(hidden, f32).reshape(-1, WIDTH, WIDTH),
        deeper_bias=np.array([filled(bias, (WIDTH,)) for bias in decoder.biases[1:-1]], f32).reshape(-1, WIDTH),
        density=filled(row, (WIDTH,)),
        density_bias=f32(bias),
        activation=HIDDEN_ACTIVATIONS[decoder.activation],
    )


def filled(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Append zeros up to a shape, as contiguous float32."""
    padding = [(0, wanted - found) for found, wanted in zip(array.shape, shape, strict=True)]
    return np.ascontiguousarray(np.pad(array, padding), f32)


@compiled(forceinline=True)
def activate(u, activation):  # type: ignore[no-untyped-def]
    """Apply the hidden activation in place."""
    if activation == SOFTPLUS:
        for h in range(WIDTH):
            u[h] = softplus(u[h])
    elif activation == SILU:
        for h in range(WIDTH):
            u[h] = silu(u[h])
    else:
        for h in range(WIDTH):
            u[h] = leaky_relu(u[h])


@compiled(no_cpython_wrapper=True)
def activate_all(units, activation):  # type: ignore[no-untyped-def]
    """Apply the hidden activation to many units, [n, H] and contiguous, in place."""
    u = units.reshape(-1)
    if activation == SOFTPLUS:
        for h in range(len(u)):
            u[h] = softplus(u[h])
    elif activation == SILU:
        for h in range(len(u)):
            u[h] = silu(u[h])
    else:
        for h in range(len(u)):
            u[h] = leaky_relu(u[h])


@compiled(forceinline=True)
def _around(net, x, y, z, k):  # type: ignore[no-untyped-def]
    """Rows of the four texels around a point's projection on plane k, and their weights: zeros outside."""
    size = net.size
    gu = (x if net.axes[k, 0] == 0 else y) * net.per_texel[0] + net.per_texel[1]  # the first axis comes before ...
    gv = (y if net.axes[k, 1] == 1 else z) * net.per_texel[0] + net.per_texel[1]  # ... the second
    gu, gv = min(max(gu, f32(-1)), f32(size)), min(max(gv, f32(-1)), f32(size))
    iu, iv = int(gu + f32(1)) - 1, int(gv + f32(1)) - 1
    tu, tv = gu - f32(iu), gv - f32(iv)
    su = f32(1) - tu if 0 <= iu < size else f32(0)
    sv = f32(1) - tv if 0 <= iv < size else f32(0)
    tu = tu if iu + 1 < size else f32(0)
    tv = tv if iv + 1 < size else f32(0)
    last = size - 1
    u0, u1 = min(max(iu, 0), last), min(iu + 1, last)
    v0, v1 = (k * size + min(max(iv, 0), last)) * size, (k * size + min(iv + 1, last)) * size
    return v0 + u0, v0 + u1, v1 + u0, v1 + u1, su * sv, tu * sv, su * tv, tu * tv


@compiled(forceinline=True)
def first_layer(net, x, y, z, u):  # type: ignore[no-untyped-def]
    """Look a point up in two or three planes; `u` gets the first layer before its activation.

    The time goes into memory: few loops with many rows each keep many reads under way.
    """
    t, bias = net.texels, net.bias
    a, b, c, d, wa, wb, wc, wd = _around(net, f32(x), f32(y), f32(z), 0)
    e, f, g, i, we, wf, wg, wi = _around(net, f32(x), f32(y), f32(z), 1)
    for h in range(WIDTH):
        first = bias[h] + wa * t[a, h] + wb * t[b, h] + wc * t[c, h] + wd * t[d, h]
        u[h] = first + we * t[e, h] + wf * t[f, h] + wg * t[g, h] + wi * t[i, h]
    if len(net.axes) == 3:
        a, b, c, d, wa, wb, wc, wd = _around(net, f32(x), f32(y), f32(z), 2)
        for h in range(WIDTH):
            u[h] += wa * t[a, h] + wb * t[b, h] + wc * t[c, h] + wd * t[d, h]


@compiled(forceinline=True)
def hidden(net, x, y, z, u, other):  # type: ignore[no-untyped-def]
    """Evaluate the hidden layers at a point; `u` gets the last one, `other` is room to work in."""
    first_layer(net, x, y, z, u)
    activate(u, net.activation)
    for layer in range(len(net.deeper)):
        for h in range(WIDTH):
            other[h] = net.deeper_bias[layer, h]
        _multiply(net.deeper[layer], u, other)
        activate(other, net.activation)
        for h in range(WIDTH):
            u[h] = other[h]


@compiled(forceinline=True)
def _multiply(weight, u, out):  # type: ignore[no-untyped-def]
    """Add `u @ weight` to `out`, eight rows at a time so that `out` is seldom read and written."""
    for j in range(0, WIDTH, 8):
        a, b, c, d = u[j], u[j + 1], u[j + 2], u[j + 3]
        e, f, g, i = u[j + 4], u[j + 5], u[j + 6], u[j + 7]
        for h in range(WIDTH):
            first = a * weight[j, h] + b * weight[j + 1, h] + c * weight[j + 2, h] + d * weight[j + 3, h]
            second = e * weight[j + 4, h] + f * weight[j + 5, h] + g * weight[j + 6, h] + i * weight[j + 7, h]
            out[h] += first + second


@compiled(forceinline=True)
def hidden_of_four(net, points, units, others):  # type: ignore[no-untyped-def]
    """Evaluate the hidden layers at four points, in less time than one by one.

    Args:
        net: A `Network`.
        points: [4, 3] world coordinates.
        units: [4, H] receives the last hidden layer.
        others: [4, H] room to work in.
    """
    for p in range(4):
        first_layer(net, points[p, 0], points[p, 1], points[p, 2], units[p])
        activate(units[p], net.activation)
    for layer in range(len(net.deeper)):
        _multiply_four(net.deeper[layer], net.deeper_bias[layer], units, others)
        for p in range(4):
            activate(others[p], net.activation)
            for h in range(WIDTH):
                units[p, h] = others[p, h]


@compiled(forceinline=True, fastmath=IN_ORDER)
def _multiply_four(weight, bias, units, out):  # type: ignore[no-untyped-def]
    """Set `out` to `units @ weight + bias`; every row of weights is read once for all four points."""
    a, b, c, d = out[0], out[1], out[2], out[3]
    for h in range(WIDTH):
        a[h] = b[h] = c[h] = d[h] = bias[h]
    for j in range(0, WIDTH, 4):
        a0, a1, a2, a3 = units[0, j], units[0, j + 1], units[0, j + 2], units[0, j + 3]
        b0, b1, b2, b3 = units[1, j], units[1, j + 1], units[1, j + 2], units[1, j + 3]
        c0, c1, c2, c3 = units[2, j], units[2, j + 1], units[2, j + 2], units[2, j + 3]
        d0, d1, d2, d3 = units[3, j], units[3, j + 1], units[3, j + 2], units[3, j + 3]
        w0, w1, w2, w3 = weight[j], weight[j + 1], weight[j + 2], weight[j + 3]
        for h in range(WIDTH):
            e0, e1, e2, e3 = w0[h], w1[h], w2[h], w3[h]
            a[h] += a0 * e0 + a1 * e1 + a2 * e2 + a3 * e3
            b[h] += b0 * e0 + b1 * e1 + b2 * e2 + b3 * e3
            c[h] += c0 * e0 + c1 * e1 + c2 * e2 + c3 * e3
            d[h] += d0 * e0 + d1 * e1 + d2 * e2 + d3 * e3


@compiled(forceinline=True)
def raw_density(net, u):  # type: ignore[no-untyped-def]
    """The raw density of a point from its last hidden layer."""
    return dot(u, net.density) + net.density_bias


@compiled(forceinline=True)
def dot(a, b):  # type: ignore[no-untyped-def]
    """Sum the products of two rows."""
    total = f32(0)
    for h in range(WIDTH):
        total += a[h] * b[h]
    return total
