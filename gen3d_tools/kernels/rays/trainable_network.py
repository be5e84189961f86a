"""A tri-plane network whose numbers change at every step, evaluated on batches of points, forward and backward (numba).

Unlike `network_cpu.Network` nothing is multiplied out beforehand: an optimiser moves the planes after every picture.
Points are worked on `BATCH` at a time, so that every layer is one product of small matrices.

Texels are looked up where `torch.nn.functional.grid_sample` looks them up, with the same roundings: at the border of
a texel, and on the faces of the box, both read the same four and have the same slope.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gen3d_tools.kernels.compiling.compiled import (
    compiled,
    f32,
    fast_exp_below_0,
    leaky_relu,
    log_of_1_and,
)
from gen3d_tools.kernels.network.evaluate import WIDTH, activate_all, filled
from gen3d_tools.kernels.network.numbers import HIDDEN_ACTIVATIONS, SILU, SOFTPLUS, HiddenActivation
from gen3d_tools.kernels.network.products import LANE, add_product, linear, multiply
from gen3d_tools.kernels.network.rows import add_to_rows, blend_rows

BATCH = 32  # points per product
_ENDLESS = f32(1e30)
_AS_WRITTEN = frozenset({"nnan", "ninf", "nsz"})  # every operation rounds by itself, as torch's do


class TrainableNetwork(NamedTuple):
    """Planes and decoder as the kernels read them; H = WIDTH hidden units in every layer, units to spare are 0."""

    texels: np.ndarray  # [planes * size * size, channels]; plane, then v, then u
    size: int  # texels along each side of a plane
    axes: np.ndarray  # [planes, 2] world axes along u and v
    per_box: np.float32  # 2 / side of the box
    scale: np.float32  # texel coordinate = (world coordinate * per_box + 1) * scale - shift
    shift: np.float32
    half_side: np.float32  # of the box outside of which the density is 0; very large for fields without an end
    first: np.ndarray  # [channels, H] first layer, the mean over the planes included
    first_bias: np.ndarray  # [H]
    deeper: np.ndarray  # [layers - 1, H in, H out]
    deeper_bias: np.ndarray  # [layers - 1, H]
    head: np.ndarray  # [values + 1, H] last layer; the raw density is its last row
    head_bias: np.ndarray  # [values + 1]
    first_back: np.ndarray  # [H, channels] the first layer transposed
    deeper_back: np.ndarray  # [layers - 1, H out, H in] the deeper ones transposed
    head_ahead: np.ndarray  # [H, lanes of values + 1] the last one transposed
    activation: int  # of the hidden layers, see `HIDDEN_ACTIVATIONS`


def filled_lanes(texels: Float[np.ndarray, "*b channels"]) -> Float[np.ndarray, "rows lanes"]:
    """Lay texels out in rows whose length the kernels' vectors divide, contiguous float32."""
    channels = texels.shape[-1]
    lanes = up_to_lanes(channels)
    flat = np.ascontiguousarray(texels, f32).reshape(-1, channels)
    return flat if lanes == channels else filled(flat, (len(flat), lanes))


def network_from(
    texels: Float[np.ndarray, "planes size size channels"],
    axes: tuple[tuple[int, int], ...],
    weights: list[Float[np.ndarray, "_ _"]],
    biases: list[Float[np.ndarray, " _"]],
    *,
    activation: HiddenActivation,
    align_corners: bool,
    box_side: float,
    bounded: bool,
) -> TrainableNetwork:
    """Lay planes and decoder out for the kernels.

    Args:
        texels: As `folding.channels_last` gives them.
        axes: World axes along u and v of each plane, ascending.
        weights: [outputs, inputs] of each layer, gains included, the last layer's density row at its end.
        biases: Of each layer.
        activation: Of the hidden layers.
        align_corners: Whether the box ends at the centres of the outermost texels, or at their outer edges.
        box_side: Full side of the box, world units.
        bounded: Whether the density outside the box is 0.
    """
    size, flat = texels.shape[1], filled_lanes(texels)
    lanes = flat.shape[1]
    hidden = [filled(weight.T, (WIDTH, WIDTH)) for weight in weights[1:-1]]
    back = [np.ascontiguousarray(weight.T) for weight in hidden]
    outputs = len(biases[-1])
    return TrainableNetwork(
        texels=flat,
        size=size,
        axes=np.array(axes, np.int64),
        per_box=f32(2 / box_side),
        scale=f32((size - 1) / 2 if align_corners else size / 2),
        shift=f32(0 if align_corners else 0.5),
        half_side=f32(box_side / 2) if bounded else _ENDLESS,
        first=filled(weights[0].T, (lanes, WIDTH)),
        first_bias=filled(biases[0], (WIDTH,)),
        deeper=np.array(hidden, f32).reshape(-1, WIDTH, WIDTH),
        deeper_bias=np.array([filled(bias, (WIDTH,)) for bias in biases[1:-1]], f32).reshape(-1, WIDTH),
        head=filled(weights[-1], (outputs, WIDTH)),
        head_bias=np.ascontiguousarray(biases[-1], f32),
        first_back=filled(weights[0], (WIDTH, lanes)),
        deeper_back=np.array(back, f32).reshape(-1, WIDTH, WIDTH),
        head_ahead=filled(weights[-1].T, (WIDTH, up_to_lanes(outputs))),
        activation=HIDDEN_ACTIVATIONS[activation],
    )


def up_to_lanes(count: int) -> int:
    """The next multiple of `LANE`."""
    return -(-count // LANE) * LANE


@compiled(forceinline=True, fastmath=_AS_WRITTEN)
def place(o, d, t, point):  # type: ignore[no-untyped-def]
    """Set `point` to the one at distance `t` along a ray, rounded as torch rounds it."""
    for axis in range(3):
        step = t * d[axis]
        point[axis] = o[axis] + step


@compiled(forceinline=True)
def outside(net, point):  # type: ignore[no-untyped-def]
    """Whether a point lies beyond the box of a bounded field."""
    return max(abs(point[0]), max(abs(point[1]), abs(point[2]))) > net.half_side


@compiled(forceinline=True, fastmath=_AS_WRITTEN)
def _coordinate(net, x):  # type: ignore[no-untyped-def]
    """Texel coordinate of a world coordinate, kept where integers can hold it."""
    unit = x * net.per_box
    moved = (unit + f32(1)) * net.scale
    return min(max(moved - net.shift, f32(-2)), f32(net.size + 1))


@compiled(forceinline=True)
def _corner(net, g):  # type: ignore[no-untyped-def]
    """The two texels around a coordinate, their weights, and the slopes of those: 0 for texels outside."""
    size = net.size
    lower = int(g)  # rounds towards 0
    if f32(lower) > g:
        lower -= 1
    t = g - f32(lower)
    in_a, in_b = 0 <= lower < size, 0 <= lower + 1 < size
    a, b = min(max(lower, 0), size - 1), min(max(lower + 1, 0), size - 1)
    one, nil = f32(1), f32(0)
    return a, b, one - t if in_a else nil, t if in_b else nil, -one if in_a else nil, one if in_b else nil


@compiled(forceinline=True)
def _corners(net, point):  # type: ignore[no-untyped-def]
    """`_corner` of all three coordinates, which the planes share."""
    x, y, z = _coordinate(net, point[0]), _coordinate(net, point[1]), _coordinate(net, point[2])
    return _corner(net, x), _corner(net, y), _corner(net, z)


@compiled(forceinline=True)
def _around(net, corners, k):  # type: ignore[no-untyped-def]
    """Rows of the four texels around a point's projection on plane k, their weights, and corners along u and v."""
    u = corners[0] if net.axes[k, 0] == 0 else corners[1]  # the first axis comes before ...
    v = corners[1] if net.axes[k, 1] == 1 else corners[2]  # ... the second
    row_a, row_b = (k * net.size + v[0]) * net.size, (k * net.size + v[1]) * net.size
    rows = row_a + u[0], row_a + u[1], row_b + u[0], row_b + u[1]
    return rows, (u[2] * v[2], u[3] * v[2], u[2] * v[3], u[3] * v[3]), u, v


@compiled(no_cpython_wrapper=True)
def look_up(net, points, count, features):  # type: ignore[no-untyped-def]
    """Sum the texels around the first `count` points, all two or three planes: [BATCH, 3] to [BATCH, channels]."""
    for p in range(count):
        corners = _corners(net, points[p])
        rows, weights, _, _ = _around(net, corners, 0)
        more, their_weights, _, _ = _around(net, corners, 1)
        if len(net.axes) == 3:
            last, last_weights, _, _ = _around(net, corners, 2)
            blend_rows(net.texels, rows + more + last, weights + their_weights + last_weights, features[p])
        else:
            blend_rows(net.texels, rows + more, weights + their_weights, features[p])


@compiled(no_cpython_wrapper=True)
def _activate_with_slopes(units, slopes, activation):  # type: ignore[no-untyped-def]
    """Do what `activate_all` does, and keep the activation's slope."""
    row, slope = units.reshape(-1), slopes.reshape(-1)
    if activation == SILU:
        for h in range(len(row)):
            u = row[h]
            e = fast_exp_below_0(-abs(u))
            share = (f32(1) if u > 0 else e) / (f32(1) + e)
            row[h] = u * share
            slope[h] = share * (f32(1) + u * (f32(1) - share))
    elif activation == SOFTPLUS:
        for h in range(len(row)):
            u = row[h]
            e = fast_exp_below_0(-abs(u))
            row[h] = max(u, f32(0)) + log_of_1_and(e)
            slope[h] = (f32(1) if u > 0 else e) / (f32(1) + e)
    else:
        for h in range(len(row)):
            u = row[h]
            row[h] = leaky_relu(u)
            slope[h] = f32(1) if u > 0 else f32(0.2)


@compiled(no_cpython_wrapper=True)
def raw_densities(net, points, count, raw, workspace):  # type: ignore[no-untyped-def]
    """Raw density of the first `count` points: [n, 3] to [n]; both have rows for whole batches.

    Args:
        net: A `TrainableNetwork`.
        points: World coordinates.
        count: How many.
        raw: Receives them; beyond the box of a bounded field they are the decoder's.
        workspace: `features` [BATCH, channels] and two layers [BATCH, H] to work in.
    """
    features, units, others = workspace
    row, bias = net.head[len(net.head) - 1], net.head_bias[len(net.head) - 1]
    for first in range(0, count, BATCH):
        rows = min(BATCH, count - first)
        look_up(net, points[first : first + BATCH], rows, features)
        linear(features, net.first, net.first_bias, units)
        activate_all(units, net.activation)
        for layer in range(len(net.deeper)):
            linear(units, net.deeper[layer], net.deeper_bias[layer], others)
            activate_all(others, net.activation)
            units, others = others, units
        for p in range(rows):
            total = f32(0)
            for h in range(WIDTH):
                total += units[p, h] * row[h]
            raw[first + p] = total + bias


@compiled(no_cpython_wrapper=True)
def outputs(net, points, count, features, units, slopes, out):  # type: ignore[no-untyped-def]
    """Evaluate a batch and keep what the way back needs.

    Args:
        net: A `TrainableNetwork`.
        points: [BATCH, 3] world coordinates.
        count: How many of them mean anything.
        features: [BATCH, channels] receives what the planes say.
        units: [layers, BATCH, H] receives the hidden layers.
        slopes: [layers, BATCH, H] receives the slopes of their activation.
        out: [BATCH, lanes of values + 1] receives the last layer.
    """
    look_up(net, points, count, features)
    linear(features, net.first, net.first_bias, units[0])
    _activate_with_slopes(units[0], slopes[0], net.activation)
    for layer in range(len(net.deeper)):
        linear(units[layer], net.deeper[layer], net.deeper_bias[layer], units[layer + 1])
        _activate_with_slopes(units[layer + 1], slopes[layer + 1], net.activation)
    multiply(units[len(net.deeper)], net.head_ahead, out)
    for p in range(count):
        for c in range(len(net.head_bias)):
            out[p, c] += net.head_bias[c]


class NetworkGradients(NamedTuple):
    """Gradients of a network's numbers, with the names of `TrainableNetwork`."""

    texels: np.ndarray
    first: np.ndarray
    first_bias: np.ndarray
    deeper: np.ndarray
    deeper_bias: np.ndarray
    head: np.ndarray
    head_bias: np.ndarray


@compiled(forceinline=True)
def _add_rows(total, rows):  # type: ignore[no-untyped-def]
    """Add all rows of a batch to one."""
    for p in range(BATCH):
        for j in range(len(total)):
            total[j] += rows[p, j]


@compiled(forceinline=True)
def _times(rows, slopes):  # type: ignore[no-untyped-def]
    """Multiply by the slopes of the activation."""
    for p in range(BATCH):
        for h in range(WIDTH):
            rows[p, h] *= slopes[p, h]


@compiled(no_cpython_wrapper=True)
def outputs_backward(net, features, units, slopes, out_slopes, grads, learning, workspace, feature_slopes):  # type: ignore[no-untyped-def]
    """Take gradients of `outputs` back to the features, and add those of the decoder's numbers.

    Args:
        net: A `TrainableNetwork`.
        features: [BATCH, channels], as `outputs` left them; so are the next two.
        units: [layers, BATCH, H].
        slopes: [layers, BATCH, H].
        out_slopes: [BATCH, values + 1] gradients of the last layer; 0 in rows that mean nothing.
        grads: `NetworkGradients` that are added to; not the texels'.
        learning: Whether gradients of the decoder's numbers are wanted.
        workspace: Two layers [BATCH, H].
        feature_slopes: [BATCH, channels] receives the gradients of the features.
    """
    back, other = workspace
    last = len(net.deeper)
    multiply(out_slopes, net.head, back)
    _times(back, slopes[last])
    if learning:
        add_product(out_slopes.T, units[last], grads.head)
        _add_rows(grads.head_bias, out_slopes)
    for step in range(last):
        layer = last - 1 - step
        if learning:
            add_product(units[layer].T, back, grads.deeper[layer])
            _add_rows(grads.deeper_bias[layer], back)
        multiply(back, net.deeper_back[layer], other)
        _times(other, slopes[layer])
        back, other = other, back
    if learning:
        add_product(features.T, back, grads.first)
        _add_rows(grads.first_bias, back)
    multiply(back, net.first_back, feature_slopes)


@compiled(no_cpython_wrapper=True)
def look_up_backward(net, point, slopes, grads, place_slopes, moving):  # type: ignore[no-untyped-def]
    """Take the gradient of a point's features back to its texels, and to where it lies.

    Args:
        net: A `TrainableNetwork`.
        point: [3] world coordinates.
        slopes: [channels] gradients of the features.
        grads: [planes * size * size, channels] gradients of the texels that are added to.
        place_slopes: [3] receives the gradient of the point.
        moving: Whether that is wanted.
    """
    t = net.texels
    place_slopes[0] = place_slopes[1] = place_slopes[2] = f32(0)
    corners = _corners(net, point)
    for k in range(len(net.axes)):
        rows, weights, u, v = _around(net, corners, k)
        add_to_rows(grads, rows, weights, slopes)  # at the border two may be one row, whose second weight is 0
        if moving:
            ra, rb, rc, rd = t[rows[0]], t[rows[1]], t[rows[2]], t[rows[3]]
            da = db = dc = dd = f32(0)
            for i in range(len(slopes)):
                da += slopes[i] * ra[i]
                db += slopes[i] * rb[i]
                dc += slopes[i] * rc[i]
                dd += slopes[i] * rd[i]
            along_u = v[2] * (u[4] * da + u[5] * db) + v[3] * (u[4] * dc + u[5] * dd)
            along_v = u[2] * (v[4] * da + v[5] * dc) + u[3] * (v[4] * db + v[5] * dd)
            place_slopes[net.axes[k, 0]] += along_u * net.scale * net.per_box
            place_slopes[net.axes[k, 1]] += along_v * net.scale * net.per_box
