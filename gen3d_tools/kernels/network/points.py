"""The raw density of a tri-plane field at scattered points, on CPUs (numba)."""

from functools import partial

import numpy as np
from jaxtyping import Float

from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import compiled, f32
from gen3d_tools.kernels.compiling.threads import share_out
from gen3d_tools.kernels.network.evaluate import WIDTH, Network, hidden_of_four, raw_density

_BLOCK = 256  # points per task at least


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
    announce(_evaluate)
    work = partial(_evaluate, net, points, f32(min(half_side, 1e30)), f32(empty), raw)
    share_out(work, len(points), threads=threads, least=_BLOCK)
    return raw


@compiled()
def _evaluate(net, points, half_side, empty, raw, first, end):  # type: ignore[no-untyped-def]
    """Compiled part of `densities_at`, for the points from `first` to `end`: always four at once."""
    units, others = np.empty((4, WIDTH), np.float32), np.empty((4, WIDTH), np.float32)
    four, places, found = np.zeros((4, 3), np.float32), np.empty(4, np.int64), 0
    for i in range(first, end):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        if max(abs(x), max(abs(y), abs(z))) > half_side:
            raw[i] = empty
        else:
            four[found, 0], four[found, 1], four[found, 2] = x, y, z
            places[found] = i
            found += 1
        if found == 4 or (found > 0 and i == end - 1):
            hidden_of_four(net, four, units, others)
            for p in range(found):
                raw[places[p]] = raw_density(net, units[p])
            found = 0
