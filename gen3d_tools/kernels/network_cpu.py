"""A folded tri-plane network at single points, compiled for CPUs.

All functions are inlined by force: a call would pass every array of the network again.
"""

from typing import NamedTuple

import numpy as np

from gen3d_tools.kernels.compiled import compiled, f32, leaky_relu, softplus
from gen3d_tools.kernels.folding import TriplaneNumbers, fold

WIDTH = 64  # hidden units the loops are compiled for; narrower layers are filled up with units of weight 0


class Network(NamedTuple):
    """A field's numbers as the compiled functions read them; H = WIDTH hidden units in every layer."""

    tables: np.ndarray  # [planes, v, u, H] texels with the first layer multiplied in
    axes: np.ndarray  # [planes, 2] world axes along u and v
    per_texel: np.ndarray  # [2] texel coordinate = world coordinate * [0] + [1]
    bias: np.ndarray  # [H] of the first layer
    deeper: np.ndarray  # [layers - 1, H in, H out] further hidden layers, transposed
    deeper_bias: np.ndarray  # [layers - 1, H]
    density: np.ndarray  # [H] the row of the last layer that gives the raw density, gain included
    density_bias: np.float32
    smooth: bool  # hidden activation: softplus, or else a leaky ReLU


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
        tables=filled(fold(numbers), (*numbers.texels.shape[:3], WIDTH)),
        axes=np.array(numbers.axes, np.int64),
        per_texel=np.array([gain, (size - 1) / 2], f32),
        bias=filled(decoder.biases[0], (WIDTH,)),
        deeper=np.array(hidden, f32).reshape(-1, WIDTH, WIDTH),
        deeper_bias=np.array([filled(bias, (WIDTH,)) for bias in decoder.biases[1:-1]], f32).reshape(-1, WIDTH),
        density=filled(row, (WIDTH,)),
        density_bias=f32(bias),
        smooth=decoder.activation == "softplus",
    )


def filled(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Append zeros up to a shape, as contiguous float32."""
    padding = [(0, wanted - found) for found, wanted in zip(array.shape, shape, strict=True)]
    return np.ascontiguousarray(np.pad(array, padding), f32)


@compiled(forceinline=True)
def activate(u, smooth):  # type: ignore[no-untyped-def]
    """Apply the hidden activation in place."""
    if smooth:
        for h in range(WIDTH):
            u[h] = softplus(u[h])
    else:
        for h in range(WIDTH):
            u[h] = leaky_relu(u[h])


@compiled(forceinline=True)
def first_layer(net, x, y, z, u):  # type: ignore[no-untyped-def]
    """Look a point up in all planes; `u` gets the first layer before its activation."""
    size = net.tables.shape[1]
    point = (f32(x), f32(y), f32(z))
    for h in range(WIDTH):
        u[h] = net.bias[h]
    for k in range(len(net.tables)):
        gu = point[net.axes[k, 0]] * net.per_texel[0] + net.per_texel[1]
        gv = point[net.axes[k, 1]] * net.per_texel[0] + net.per_texel[1]
        if gu <= f32(-1) or gv <= f32(-1) or gu >= size or gv >= size:
            continue
        iu, iv = int(np.floor(gu)), int(np.floor(gv))
        tu, tv = f32(gu - f32(iu)), f32(gv - f32(iv))
        su = f32(1) - tu if iu >= 0 else f32(0)
        sv = f32(1) - tv if iv >= 0 else f32(0)
        tu = tu if iu + 1 < size else f32(0)
        tv = tv if iv + 1 < size else f32(0)
        u0, v0, u1, v1 = max(iu, 0), max(iv, 0), min(iu + 1, size - 1), min(iv + 1, size - 1)
        w00, w01, w10, w11 = su * sv, tu * sv, su * tv, tu * tv
        for h in range(WIDTH):
            upper = w00 * net.tables[k, v0, u0, h] + w01 * net.tables[k, v0, u1, h]
            u[h] += upper + w10 * net.tables[k, v1, u0, h] + w11 * net.tables[k, v1, u1, h]


@compiled(forceinline=True)
def hidden(net, x, y, z, u, other):  # type: ignore[no-untyped-def]
    """Evaluate the hidden layers at a point; `u` gets the last one, `other` is room to work in."""
    first_layer(net, x, y, z, u)
    activate(u, net.smooth)
    for layer in range(len(net.deeper)):
        for h in range(WIDTH):
            other[h] = net.deeper_bias[layer, h]
        _multiply(net.deeper[layer], u, other)
        activate(other, net.smooth)
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
def dot(a, b):  # type: ignore[no-untyped-def]
    """Sum the products of two rows."""
    total = f32(0)
    for h in range(WIDTH):
        total += a[h] * b[h]
    return total
