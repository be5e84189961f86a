"""Rays through given samples of a tri-plane field on CPUs (numba): what they see, and its gradients.

Rays are worked on in blocks of `BLOCK` that begin at multiples of it, and points in batches of one size, so that a
result does not depend on how many threads there are. On the way back rays are dealt out to a fixed number of shards,
block by block in turn. Each shard adds up the gradients of planes and decoder by itself; the sums are added in order.
What the network says of a sample is not kept for the way back but evaluated again, block by block.
"""

from functools import partial

import numpy as np
from jaxtyping import Float

from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import compiled, f32, fast_exp_below_0
from gen3d_tools.kernels.compiling.threads import share_out
from gen3d_tools.kernels.network.evaluate import WIDTH
from gen3d_tools.kernels.rays.absorption import Light, absorb, absorb_backward
from gen3d_tools.kernels.rays.placement import BLOCK
from gen3d_tools.kernels.rays.trainable_network import (
    BATCH,
    NetworkGradients,
    TrainableNetwork,
    look_up_backward,
    outputs,
    outputs_backward,
    outside,
    place,
)

EXTRAS = 4  # outputs of a ray beside its values
_RAYS_OF_TWO, _RAYS_OF_MORE = 512, 1024  # of a shard: less is not worth the sums of another
_MOST_SHARDS, _MOST_BYTES = 8, 1 << 27


def render_samples(
    net: TrainableNetwork,
    light: Light,
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
    distances: Float[np.ndarray, "n samples"],
    raw: Float[np.ndarray, "n samples"],
    *,
    threads: int = 1,
) -> Float[np.ndarray, "n outputs"]:
    """Blend what rays see at given samples.

    Args:
        net: The field.
        light: How it stops light.
        origins: Ray origins, world units.
        directions: Unit vectors.
        distances: Of the samples, ascending.
        raw: Raw density of the samples.
        threads: At most.

    Returns:
        Blended values without background, the sum of weight and distance, the light stopped on the way, the light
        left, and the light that reaches the last interval.
    """
    out = np.empty((len(origins), len(net.head) - 1 + EXTRAS), np.float32)
    announce(_render_range)
    work = partial(_render_range, net, light, origins, directions, distances, raw, out)
    share_out(work, len(origins), threads=threads, least=BLOCK)
    return out


def render_samples_backward(
    net: TrainableNetwork,
    light: Light,
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
    distances: Float[np.ndarray, "n samples"],
    raw: Float[np.ndarray, "n samples"],
    slopes: Float[np.ndarray, "n outputs"],
    *,
    moving: bool,
    learning: bool = True,
    threads: int = 1,
) -> tuple[NetworkGradients, Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Take the gradients of `render_samples` back to the network's numbers and to the rays.

    Args:
        net: The field; so are the next five as they were given to `render_samples`.
        light: How it stops light.
        origins: Ray origins.
        directions: Unit vectors.
        distances: Of the samples.
        raw: Raw density of the samples.
        slopes: Gradients of its result.
        moving: Whether gradients of the rays are wanted; they are 0 if not.
        learning: Whether gradients of the decoder are wanted; they are 0 if not.
        threads: At most; no more than there are shards.

    Returns:
        Gradients of the network's numbers, of the origins and of the directions.
    """
    shards = _shards(len(origins), net)
    # One array of each kind: memory of many megabytes comes in pages that need not be asked for one by one.
    sums = [np.zeros((shards, *getattr(net, name).shape), np.float32) for name in NetworkGradients._fields]
    parts = [NetworkGradients(*(one[shard] for one in sums)) for shard in range(shards)]
    origin_slopes, direction_slopes = np.zeros_like(origins), np.zeros_like(directions)
    announce(_backward_range)

    def work(first: int, end: int) -> None:
        for shard in range(first, end):
            rays = (origins, directions, distances, raw)
            out = (origin_slopes, direction_slopes)
            _backward_range(net, light, rays, slopes, out, parts[shard], moving, learning, shard, shards)

    share_out(work, shards, threads=threads)
    texels = [part.texels for part in parts]
    share_out(lambda first, end: _add_up(texels, first, end), len(net.texels), threads=threads, least=4096)
    total = parts[0]
    for part in parts[1:]:
        for name in NetworkGradients._fields[1:]:
            getattr(total, name)[...] += getattr(part, name)
    return total, origin_slopes, direction_slopes


def _shards(rays: int, net: TrainableNetwork) -> int:
    """How many sums of gradients there are, whatever the number of threads."""
    wanted = max(min(rays // _RAYS_OF_TWO, 2), rays // _RAYS_OF_MORE, 1)
    return min(wanted, _MOST_SHARDS, max(_MOST_BYTES // net.texels.nbytes, 2))


def _add_up(parts: list[np.ndarray], first: int, end: int) -> None:
    """Add some rows of all parts to the first part's, in order."""
    total = parts[0][first:end]
    for part in parts[1:]:
        total += part[first:end]


@compiled(forceinline=True)
def _value(light, output):  # type: ignore[no-untyped-def]
    """The sigmoid of an output, or the output itself, and its slope."""
    if not light.sigmoid:
        return output, f32(1)
    small = fast_exp_below_0(-abs(output))
    share = (f32(1) if output > 0 else small) / (f32(1) + small)
    return share, share * (f32(1) - share)


@compiled(no_cpython_wrapper=True)
def _layers_room(net, batches):  # type: ignore[no-untyped-def]
    """What `outputs` works in, for so many batches: features, units, slopes and outputs."""
    layers = 1 + len(net.deeper)
    return (
        np.zeros((batches, BATCH, net.texels.shape[1]), np.float32),
        np.zeros((batches, layers, BATCH, WIDTH), np.float32),
        np.zeros((batches, layers, BATCH, WIDTH), np.float32),
        np.zeros((batches, BATCH, net.head_ahead.shape[1]), np.float32),
    )


@compiled(no_cpython_wrapper=True)
def _blend_batch(net, light, points, count, owners, weights, workspace, out):  # type: ignore[no-untyped-def]
    """Add the values of a batch of samples to what their rays see."""
    features, units, slopes, answers = workspace
    outputs(net, points, count, features[0], units[0], slopes[0], answers[0])
    for p in range(count):
        for c in range(len(net.head) - 1):
            share, _ = _value(light, answers[0, p, c])
            out[owners[p], c] += weights[p] * (share * light.gain + light.offset)


@compiled()
def _render_range(net, light, origins, directions, distances, raw, out, start, stop):  # type: ignore[no-untyped-def]
    """Compiled part of `render_samples`, for the rays from `start` to `stop`."""
    samples, channels = distances.shape[1], len(net.head) - 1
    ways = np.empty((3, samples + 1), np.float32)
    lights, stops, shares = ways[0], ways[1], ways[2]
    points, owners, weights = np.zeros((BATCH, 3), np.float32), np.zeros(BATCH, np.int64), np.zeros(BATCH, np.float32)
    workspace = _layers_room(net, 1)
    for block in range(start, stop, BLOCK):
        pending = 0
        for ray in range(block, min(block + BLOCK, stop)):
            _, left, before_last = absorb(light, raw[ray], distances[ray], samples, True, lights, stops, shares)
            moment = f32(0)
            for c in range(channels):
                out[ray, c] = f32(0)
            for k in range(samples):
                moment += shares[k] * distances[ray, k]
                if shares[k] > light.threshold:
                    place(origins[ray], directions[ray], distances[ray, k], points[pending])
                    owners[pending], weights[pending] = ray, shares[k]
                    pending += 1
                    if pending == BATCH:
                        _blend_batch(net, light, points, pending, owners, weights, workspace, out)
                        pending = 0
            out[ray, channels], out[ray, channels + 1] = moment, f32(1) - left
            out[ray, channels + 2], out[ray, channels + 3] = left, before_last
        if pending:
            _blend_batch(net, light, points, pending, owners, weights, workspace, out)


@compiled(forceinline=True)
def _wanted(slopes):  # type: ignore[no-untyped-def]
    """Whether any gradient comes back along a ray."""
    total = f32(0)
    for c in range(len(slopes)):
        total += abs(slopes[c])
    return total > 0


@compiled(forceinline=True)
def _collect(light, o, d, at, raw, r, ways, points, places, found):  # type: ignore[no-untyped-def]
    """Follow one ray's light and list the samples that matter; gives how many there are now."""
    lights, stops, shares = ways[0, r], ways[1, r], ways[2, r]
    absorb(light, raw, at, len(at), True, lights, stops, shares)
    for k in range(len(at)):
        if shares[k] > light.threshold:
            place(o, d, at[k], points[found])
            places[found, 0], places[found, 1] = r, k
            found += 1
    return found


@compiled(no_cpython_wrapper=True)
def _ask(net, light, points, places, found, workspace, slopes, block, share_slopes):  # type: ignore[no-untyped-def]
    """Evaluate the samples listed; `share_slopes` gets the gradients of what they stop."""
    features, units, unit_slopes, answers = workspace
    channels = len(net.head) - 1
    for first in range(0, found, BATCH):
        batch, count = first // BATCH, min(BATCH, found - first)
        part = points[first : first + BATCH]
        outputs(net, part, count, features[batch], units[batch], unit_slopes[batch], answers[batch])
        for p in range(count):
            r, k, total = places[first + p, 0], places[first + p, 1], f32(0)
            for c in range(channels):
                share, _ = _value(light, answers[batch, p, c])
                total += slopes[block + r, c] * (share * light.gain + light.offset)
            share_slopes[r, k] += total


@compiled(forceinline=True)
def _send_back(net, light, points, places, found, workspace, slopes, block, shares, raw_slopes, out_slopes):  # type: ignore[no-untyped-def]
    """Gradients of the last layer, of all samples listed; 0 in the rows that fill up the last batch."""
    answers, channels = workspace[3], len(net.head) - 1
    for p in range((found + BATCH - 1) // BATCH * BATCH):
        row = out_slopes[p // BATCH, p % BATCH]
        if p >= found:
            for c in range(channels + 1):
                row[c] = f32(0)
            continue
        r, k = places[p, 0], places[p, 1]
        for c in range(channels):
            _, slope = _value(light, answers[p // BATCH, p % BATCH, c])
            row[c] = shares[r, k] * slopes[block + r, c] * slope * light.gain
        row[channels] = f32(0) if outside(net, points[p]) else raw_slopes[r, k]


@compiled()
def _backward_range(net, light, rays_in, slopes, rays_out, grads, moving, learning, shard, shards):  # type: ignore[no-untyped-def]
    """Compiled part of `render_samples_backward`, for every `shards`-th block of rays."""
    origins, directions, distances, raw = rays_in
    origin_slopes, direction_slopes = rays_out
    samples, channels, features = distances.shape[1], len(net.head) - 1, net.texels.shape[1]
    batches = (BLOCK * samples + BATCH - 1) // BATCH
    points, places = np.zeros((batches * BATCH, 3), np.float32), np.zeros((batches * BATCH, 2), np.int64)
    workspace, out_slopes = _layers_room(net, batches), np.zeros((batches, BATCH, channels + 1), np.float32)
    ways = np.empty((3, BLOCK, samples + 1), np.float32)
    share_slopes, raw_slopes = np.zeros((BLOCK, samples), np.float32), np.zeros((BLOCK, samples), np.float32)
    back = np.zeros((BATCH, WIDTH), np.float32), np.zeros((BATCH, WIDTH), np.float32)
    feature_slopes, place_slopes = np.zeros((BATCH, features), np.float32), np.zeros(3, np.float32)
    for block in range(shard * BLOCK, len(origins), shards * BLOCK):
        rays, found = min(BLOCK, len(origins) - block), 0
        for r in range(rays):
            ray = block + r
            for k in range(samples):
                share_slopes[r, k] = slopes[ray, channels] * distances[ray, k]
            if _wanted(slopes[ray]):
                o, d = origins[ray], directions[ray]
                found = _collect(light, o, d, distances[ray], raw[ray], r, ways, points, places, found)
        _ask(net, light, points, places, found, workspace, slopes, block, share_slopes)
        for r in range(rays):
            ray = block + r
            if _wanted(slopes[ray]):
                ends = slopes[ray, channels + 1], slopes[ray, channels + 2], slopes[ray, channels + 3]
                lights, stops, at = ways[0, r], ways[1, r], distances[ray]
                absorb_backward(light, raw[ray], at, samples, lights, stops, share_slopes[r], ends, raw_slopes[r])
        _send_back(net, light, points, places, found, workspace, slopes, block, ways[2], raw_slopes, out_slopes)
        for batch in range((found + BATCH - 1) // BATCH):
            layers = workspace[0][batch], workspace[1][batch], workspace[2][batch]
            outputs_backward(net, *layers, out_slopes[batch], grads, learning, back, feature_slopes)
            for p in range(min(BATCH, found - batch * BATCH)):
                at = batch * BATCH + p
                look_up_backward(net, points[at], feature_slopes[p], grads.texels, place_slopes, moving)
                if moving:
                    ray = block + places[at, 0]
                    for axis in range(3):
                        origin_slopes[ray, axis] += place_slopes[axis]
                        direction_slopes[ray, axis] += distances[ray, places[at, 1]] * place_slopes[axis]
