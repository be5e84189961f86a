"""Convolutions by 3 x 3 kernels, and the gradients of these kernels, in Winograd's tiles (see `transforms`).

Maps are [samples, height, width, channels], kernels [outputs, 3, 3, inputs], both float32, as is all else. Tiles of all
samples are numbered one after the other, and are worked through in chunks that stay in the processor's cache. Nothing
is checked: of arrays that are not contiguous, or whose sizes do not agree, what lies beside is read and written.
"""

from functools import partial

import numpy as np

from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import IN_ORDER, compiled, f32
from gen3d_tools.kernels.compiling.threads import share_out
from gen3d_tools.kernels.convolution.transforms import (
    KERNEL,
    PATCH,
    TILE,
    enter_input,
    enter_slopes,
    enter_weights,
    leave_output,
    leave_weights,
)
from gen3d_tools.kernels.network.products import LANE, LANES, add_product, multiply

CHANNELS = LANE
"""Channels, both of input and of output, are a multiple of it."""

_CHUNK = 32  # tiles
_GROUP = 128  # output channels whose transformed weights are held at once
_SHARE = 64  # input channels whose transformed gradients are held at once
_WEIGHTS_AT_ONCE = 16  # input channels
_LINE = 16  # numbers of a cache line


def tiles_of(height: int, width: int) -> int:
    """How many tiles cover a feature map."""
    return -(-height // TILE) * -(-width // TILE)


def convolve(
    maps: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, out: np.ndarray, *, threads: int, back: bool = False
) -> None:
    """Set `out` to the convolution of `maps` at the same size, zeros beyond the border.

    Args:
        maps: [samples, height, width, inputs], contiguous.
        kernel: [outputs, 3, 3, inputs]; of a convolution back [inputs, 3, 3, outputs]. Contiguous.
        bias: [outputs], or None.
        out: [samples, height, width, outputs], contiguous.
        threads: How many share the work; the numbers do not depend on it.
        back: Whether maps are slopes of a convolution's results, and those of its input are wanted.
    """
    announce(_enter_range)
    announce(_convolve_range)
    inputs, outputs = maps.shape[3], out.shape[3]
    bias = np.zeros(outputs, f32) if bias is None else bias
    tiles = len(maps) * tiles_of(*maps.shape[1:3])
    for first in range(0, outputs, _GROUP):
        count = min(_GROUP, outputs - first)
        block = _block(count)
        entered = np.empty((count // block, PATCH, PATCH, inputs + 1, block), f32)
        enter = partial(_enter_range, kernel, back, first, entered)
        share_out(enter, inputs, threads=threads, least=_WEIGHTS_AT_ONCE)
        work = partial(_convolve_range, maps, entered, bias[first : first + count], first, out)
        share_out(work, tiles, threads=threads, least=_CHUNK)


def kernel_slopes(maps: np.ndarray, slopes: np.ndarray, out: np.ndarray, *, threads: int) -> None:
    """Set `out` to the slopes of the kernel by which maps are convolved, from those of what comes out.

    Args:
        maps: [samples, height, width, inputs], contiguous.
        slopes: [samples, height, width, outputs], contiguous.
        out: [outputs, 3, 3, inputs], contiguous.
        threads: How many share the work; the numbers do not depend on it.
    """
    announce(_slopes_range)
    inputs = maps.shape[3]
    least = -(-inputs // (threads * CHANNELS)) * CHANNELS  # every range transforms all slopes again: one per thread
    work = partial(_slopes_range, maps, slopes, _block(slopes.shape[3]), out)
    share_out(work, inputs, threads=threads, least=least)


def _block(outputs: int) -> int:
    """Output channels whose weights lie together: as many as a tile of a product has."""
    return next(size for size in (2 * LANES, LANES, LANE) if outputs % size == 0)


@compiled(fastmath=IN_ORDER)
def _enter_range(kernel, back, channel, entered, first, last):  # type: ignore[no-untyped-def]
    """Transform the weights of a range of inputs, for outputs from `channel` on: [blocks, 6, 6, inputs + 1, block].

    The kernel is [outputs, 3, 3, inputs]; of a convolution back it is [inputs, 3, 3, outputs], and turned over.
    """
    blocks, block = entered.shape[0], entered.shape[4]
    grids = np.empty((_WEIGHTS_AT_ONCE, KERNEL, KERNEL, block), f32)
    for begin in range(first, last, _WEIGHTS_AT_ONCE):
        count = min(_WEIGHTS_AT_ONCE, last - begin)
        for q in range(blocks):
            start = channel + q * block
            for a in range(KERNEL):
                for b in range(KERNEL):
                    if back:
                        for i in range(count):
                            line = kernel[begin + i, KERNEL - 1 - a, KERNEL - 1 - b, start : start + block]
                            for c in range(block):
                                grids[i, a, b, c] = line[c]
                    else:
                        for c in range(block):
                            line = kernel[start + c, a, b, begin : begin + count]
                            for i in range(count):
                                grids[i, a, b, c] = line[i]
            for i in range(count):
                enter_weights(grids[i], entered[q, :, :, begin + i])


@compiled(fastmath=IN_ORDER, no_cpython_wrapper=True)
def _apart(channels):  # type: ignore[no-untyped-def]
    """Room for a chunk of transformed tiles, [6, 6, tiles, channels], whose 36 parts fall on different cache lines."""
    lines = (channels + _LINE - 1) // _LINE
    lines += 1 - lines % 2
    return np.empty((PATCH, PATCH, _CHUNK + 1, lines * _LINE), f32)[:, :, :, :channels]


@compiled(fastmath=IN_ORDER, no_cpython_wrapper=True)
def _pixels(one, down, along, room):  # type: ignore[no-untyped-def]
    """The pixels of a sample's maps that begin at a place: where they are, or copied with zeros beyond the border."""
    height, width = room.shape[:2]
    if down >= 0 and along >= 0 and down + height <= one.shape[0] and along + width <= one.shape[1]:
        return one[down : down + height, along : along + width]
    for a in range(height):
        for b in range(width):
            y, x = down + a, along + b
            inside = 0 <= y < one.shape[0] and 0 <= x < one.shape[1]
            for c in range(one.shape[2]):
                room[a, b, c] = one[y, x, c] if inside else f32(0)
    return room


@compiled(fastmath=IN_ORDER)
def _convolve_range(maps, weights, bias, channel, out, first, last):  # type: ignore[no-untyped-def]
    """Compute a range of tiles of the output channels that begin with `channel`."""
    height, width, inputs = maps.shape[1:]
    blocks, block = weights.shape[0], weights.shape[4]
    across, down = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    entered = _apart(inputs)
    products = np.empty((blocks, PATCH, PATCH, _CHUNK + 1, block), f32)
    patch, tile = np.empty((PATCH, PATCH, inputs), f32), np.empty((TILE, TILE, block), f32)
    for start in range(first, last, _CHUNK):
        count = min(_CHUNK, last - start)
        for t in range(count):
            sample, place = (start + t) // (across * down), (start + t) % (across * down)
            y, x = place // across * TILE, place % across * TILE
            enter_input(_pixels(maps[sample], y - 1, x - 1, patch), entered[:, :, t])
        for q in range(blocks):
            for a in range(PATCH):
                for b in range(PATCH):
                    multiply(entered[a, b, :count], weights[q, a, b, :inputs], products[q, a, b, :count])
        for t in range(count):
            sample, place = (start + t) // (across * down), (start + t) % (across * down)
            y, x = place // across * TILE, place % across * TILE
            there = out[sample]
            for q in range(blocks):
                begin = channel + q * block
                whole = y + TILE <= height and x + TILE <= width
                to = there[y : y + TILE, x : x + TILE, begin : begin + block] if whole else tile
                leave_output(products[q, :, :, t], bias[q * block : (q + 1) * block], to)
                if not whole:
                    for a in range(min(TILE, height - y)):
                        for b in range(min(TILE, width - x)):
                            for c in range(block):
                                there[y + a, x + b, begin + c] = tile[a, b, c]


@compiled(fastmath=IN_ORDER)
def _slopes_range(maps, slopes, block, out, first, last):  # type: ignore[no-untyped-def]
    """Compute the slopes of the weights of a range of input channels, some of them at once."""
    height, width = maps.shape[1:3]
    blocks = slopes.shape[3] // block
    across, down = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    tiles = maps.shape[0] * across * down
    behind = np.empty((blocks, PATCH, PATCH, _CHUNK + 1, block), f32)
    tile, grid = np.empty((TILE, TILE, block), f32), np.empty((KERNEL, KERNEL, block), f32)
    for begin in range(first, last, _SHARE):
        inputs = min(_SHARE, last - begin)
        entered = _apart(inputs)
        patch = np.empty((PATCH, PATCH, inputs), f32)
        total = np.zeros((blocks, PATCH, PATCH, inputs + 1, block), f32)
        for start in range(0, tiles, _CHUNK):
            count = min(_CHUNK, tiles - start)
            for t in range(count):
                sample, place = (start + t) // (across * down), (start + t) % (across * down)
                y, x = place // across * TILE, place % across * TILE
                there = maps[sample, :, :, begin : begin + inputs]
                enter_input(_pixels(there, y - 1, x - 1, patch), entered[:, :, t])
                for q in range(blocks):
                    own = slopes[sample, :, :, q * block : (q + 1) * block]
                    enter_slopes(_pixels(own, y, x, tile), behind[q, :, :, t])
            for q in range(blocks):
                for a in range(PATCH):
                    for b in range(PATCH):
                        add_product(entered[a, b, :count].T, behind[q, a, b, :count], total[q, a, b, :inputs])
        for q in range(blocks):
            for i in range(inputs):
                leave_weights(total[q, :, :, i], grid)
                for a in range(KERNEL):
                    for b in range(KERNEL):
                        for c in range(block):
                            out[q * block + c, a, b, begin + i] = grid[a, b, c]
