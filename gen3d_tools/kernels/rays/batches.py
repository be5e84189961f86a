"""Rays through several tri-plane fields that share a decoder, in one call (numba): a batch of a training step.

The fields differ in their planes alone, which lie one behind the other in `TrainableNetwork.texels`. Rays are sorted by
picture; `bounds` says where each picture's begin. Where all samples are given at once, density and values of a sample
are evaluated together. On the way back a picture's planes are written by whoever works on it; the decoder's gradients
are added up in a fixed number of shards, so that results do not depend on how many threads there are.
"""

from functools import partial

import numpy as np
from jaxtyping import Float, Int

from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import compiled, f32
from gen3d_tools.kernels.compiling.threads import share_out
from gen3d_tools.kernels.rays.absorption import Light, absorb
from gen3d_tools.kernels.rays.differentiable import EXTRAS, _backward_range, _layers_room, _render_range, _value
from gen3d_tools.kernels.rays.placement import BLOCK, _place_range
from gen3d_tools.kernels.rays.trainable_network import (
    BATCH,
    NetworkGradients,
    TrainableNetwork,
    outputs,
    outside,
    place,
)

_SHARDS = 8  # sums of the decoder's gradients
_NOTHING = f32(-1e6)  # raw density beyond the box of a bounded field


def see_pictures(
    net: TrainableNetwork,
    light: Light,
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
    bounds: Int[np.ndarray, " ends"],
    coarse: Float[np.ndarray, "n coarse"],
    positions: Float[np.ndarray, "rounds n fine"],
    noise: Float[np.ndarray, "_ coarse"],
    *,
    threads: int = 1,
) -> tuple[Float[np.ndarray, "n outputs"], Float[np.ndarray, "n samples"], Float[np.ndarray, "n samples"]]:
    """Place samples on the rays of several pictures and blend what they see.

    Args:
        net: The fields, their planes one behind the other.
        light: How they stop light.
        origins: Ray origins, world units, sorted by picture; contiguous float32, like all arrays here.
        directions: Unit vectors.
        bounds: Index of each picture's first ray, then the number of rays.
        coarse: Distances of the first samples, ascending.
        positions: Numbers in [0, 1) that place the fine samples of each round; no rounds, no fine samples.
        noise: What is added to the raw densities, where there are no fine samples; no rows, no noise.
        threads: At most.

    Returns:
        What `render_samples` gives, the distances of all samples, ascending, and the raw densities there.
    """
    samples = coarse.shape[1] + positions.shape[0] * positions.shape[2]
    out = np.empty((len(origins), len(net.head) - 1 + EXTRAS), np.float32)
    raw = np.empty((len(origins), samples), np.float32)
    distances = coarse if samples == coarse.shape[1] else np.empty_like(raw)
    announce(_see_range)
    rays = (origins, directions, bounds, coarse, positions, noise)
    share_out(partial(_see_range, net, light, rays, distances, raw, out), len(bounds) - 1, threads=threads)
    return out, distances, raw


def see_pictures_backward(
    net: TrainableNetwork,
    light: Light,
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
    bounds: Int[np.ndarray, " ends"],
    distances: Float[np.ndarray, "n samples"],
    raw: Float[np.ndarray, "n samples"],
    slopes: Float[np.ndarray, "n outputs"],
    *,
    moving: bool,
    learning: bool = True,
    threads: int = 1,
) -> tuple[NetworkGradients, Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Take the gradients of `see_pictures` back to planes, decoder and rays.

    Args:
        net: The fields; so are the next four as they were given to `see_pictures`.
        light: How they stop light.
        origins: Ray origins.
        directions: Unit vectors.
        bounds: Of the pictures.
        distances: Of the samples, as it gave them.
        raw: Raw density of the samples, as it gave them.
        slopes: Gradients of what it blended.
        moving: Whether gradients of the rays are wanted; they are 0 if not.
        learning: Whether gradients of the decoder are wanted; they are 0 if not.
        threads: At most.

    Returns:
        Gradients of the numbers of `net`, of the origins and of the directions.
    """
    shards = min(len(bounds) - 1, _SHARDS)
    decoder = [np.zeros((shards, *getattr(net, name).shape), np.float32) for name in NetworkGradients._fields[1:]]
    grads = NetworkGradients(np.zeros_like(net.texels), *decoder)
    origin_slopes, direction_slopes = np.zeros_like(origins), np.zeros_like(directions)
    announce(_back_range)
    rays = (origins, directions, bounds, distances, raw)
    work = partial(
        _back_range, net, light, rays, slopes, (origin_slopes, direction_slopes), grads, moving, learning, shards
    )
    share_out(work, shards, threads=threads)
    total = NetworkGradients(grads.texels, *(part.sum(0) for part in grads[1:]))
    return total, origin_slopes, direction_slopes


@compiled(no_cpython_wrapper=True)
def _picture(net, picture, pictures):  # type: ignore[no-untyped-def]
    """The field of one picture."""
    rows = len(net.texels) // pictures
    return TrainableNetwork(
        net.texels[picture * rows : (picture + 1) * rows],
        net.size,
        net.axes,
        net.per_box,
        net.scale,
        net.shift,
        net.half_side,
        net.first,
        net.first_bias,
        net.deeper,
        net.deeper_bias,
        net.head,
        net.head_bias,
        net.first_back,
        net.deeper_back,
        net.head_ahead,
        net.activation,
    )


@compiled(no_cpython_wrapper=True)
def _see_block(net, light, origins, directions, distances, noise, raw, out, rays, workspace):  # type: ignore[no-untyped-def]
    """Evaluate all samples of a block of rays and blend them."""
    points, ways, (features, units, slopes, answers) = workspace
    lights, stops, shares = ways[0], ways[1], ways[2]
    samples, channels = distances.shape[1], len(net.head) - 1
    count = rays * samples
    for r in range(rays):
        for k in range(samples):
            place(origins[r], directions[r], distances[r, k], points[r * samples + k])
    for first in range(0, count, BATCH):
        part = points[first : first + BATCH]
        outputs(net, part, min(BATCH, count - first), features[0], units[0], slopes[0], answers[first // BATCH])
    for r in range(rays):
        for k in range(samples):
            p = r * samples + k
            raw[r, k] = _NOTHING if outside(net, points[p]) else answers[p // BATCH, p % BATCH, channels]
            if len(noise) > 0:
                raw[r, k] += noise[r, k]
        _, left, before_last = absorb(light, raw[r], distances[r], samples, True, lights, stops, shares)
        moment = f32(0)
        for c in range(channels):
            out[r, c] = f32(0)
        for k in range(samples):
            moment += shares[k] * distances[r, k]
            if shares[k] > light.threshold:
                p = r * samples + k
                for c in range(channels):
                    value, _ = _value(light, answers[p // BATCH, p % BATCH, c])
                    out[r, c] += shares[k] * (value * light.gain + light.offset)
        out[r, channels], out[r, channels + 1] = moment, f32(1) - left
        out[r, channels + 2], out[r, channels + 3] = left, before_last


@compiled()
def _see_range(net, light, rays, distances, raw, out, first, end):  # type: ignore[no-untyped-def]
    """Compiled part of `see_pictures`, for the pictures from `first` to `end`."""
    origins, directions, bounds, coarse, positions, noise = rays
    samples = distances.shape[1]
    batches = (BLOCK * samples + BATCH - 1) // BATCH
    features, units, slopes, _ = _layers_room(net, 1)
    answers = np.zeros((batches, BATCH, net.head_ahead.shape[1]), np.float32)
    points, ways = np.zeros((batches * BATCH, 3), np.float32), np.empty((3, samples + 1), np.float32)
    workspace = points, ways, (features, units, slopes, answers)
    for picture in range(first, end):
        one, a, b = _picture(net, picture, len(bounds) - 1), bounds[picture], bounds[picture + 1]
        if positions.shape[0] > 0:
            _place_range(one, light, origins, directions, coarse, positions, distances, raw, a, b)
            _render_range(one, light, origins, directions, distances, raw, out, a, b)
            continue
        for start in range(a, b, BLOCK):
            stop = min(start + BLOCK, b)
            _see_block(
                one,
                light,
                origins[start:stop],
                directions[start:stop],
                distances[start:stop],
                noise[start:stop],
                raw[start:stop],
                out[start:stop],
                stop - start,
                workspace,
            )


@compiled()
def _back_range(net, light, rays, slopes, rays_out, grads, moving, learning, shards, first, end):  # type: ignore[no-untyped-def]
    """Compiled part of `see_pictures_backward`, for the shards from `first` to `end`."""
    origins, directions, bounds, distances, raw = rays
    origin_slopes, direction_slopes = rays_out
    pictures = len(bounds) - 1
    rows = len(net.texels) // pictures
    for shard in range(first, end):
        for picture in range(shard, pictures, shards):
            a, b = bounds[picture], bounds[picture + 1]
            of_picture = NetworkGradients(
                grads.texels[picture * rows : (picture + 1) * rows],
                grads.first[shard],
                grads.first_bias[shard],
                grads.deeper[shard],
                grads.deeper_bias[shard],
                grads.head[shard],
                grads.head_bias[shard],
            )
            _backward_range(
                _picture(net, picture, pictures),
                light,
                (origins[a:b], directions[a:b], distances[a:b], raw[a:b]),
                slopes[a:b],
                (origin_slopes[a:b], direction_slopes[a:b]),
                of_picture,
                moving,
                learning,
                0,
                1,
            )
