"""The raw density of a tri-plane field at scattered points, on CPUs (numba)."""

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import numpy as np
from jaxtyping import Float
from numba import prange

from gen3d_tools.kernels.choice import announce
from gen3d_tools.kernels.compiled import compiled, f32
from gen3d_tools.kernels.network_cpu import Network, hidden, raw_density
from gen3d_tools.kernels.rays_cpu import ONE_AT_A_TIME

_BLOCK = 256  # points per task


def densities_at(
    net: Network,
    points: Float[np.ndarray, "n 3"],
    *,
    half_side: float = np.inf,
    empty: float = 0.0,
    threads: int = 1,
) -> Float[np.ndarray, " n"]:
    """Evaluate the raw density. It is fastest where neighbours in the list are neighbours in space.

    Args:
        net: The field.
        points: World coordinates, contiguous float32.
        half_side: Of the box beyond which there is nothing.
        empty: Raw density there.
        threads: At most; more than numba has are not used. The result does not depend on it.
    """
    raw = np.empty(len(points), np.float32)
    announce(_evaluate, "densities at points")
    with at_most(threads):
        _evaluate(net, points, f32(min(half_side, 1e30)), f32(empty), raw)
    return raw


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """Let numba use so many threads, one kernel at a time."""
    with ONE_AT_A_TIME:
        before = numba.get_num_threads()
        numba.set_num_threads(min(threads, before))
        try:
            yield
        finally:
            numba.set_num_threads(before)


@compiled(parallel=True)
def _evaluate(net, points, half_side, empty, raw):  # type: ignore[no-untyped-def]
    """Compiled part of `densities_at`."""
    count = len(points)
    for block in prange((count + _BLOCK - 1) // _BLOCK):
        u, other = np.empty_like(net.bias), np.empty_like(net.bias)
        for i in range(block * _BLOCK, min(count, (block + 1) * _BLOCK)):
            x, y, z = points[i, 0], points[i, 1], points[i, 2]
            if max(abs(x), max(abs(y), abs(z))) > half_side:
                raw[i] = empty
            else:
                hidden(net, x, y, z, u, other)
                raw[i] = raw_density(net, u)
