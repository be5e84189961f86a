"""A regular lattice over the field's box, and functions evaluated on it in pieces that fit into memory.

Point [i, j, k] of an n^3 lattice lies at (axis[i], axis[j], axis[k]), the axis running from
-box_side / 2 to box_side / 2 with both ends included. The indices are whole numbers: the scripts
published with EG3D and 3DGP divide flat indices without flooring, which shears the lattice and moves
their meshes by up to a voxel towards low x and y.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import Gen3DError, InputError, OutOfMemoryError
from gen3d_tools.memory import in_chunks

MIN_RESOLUTION = 8
MAX_RESOLUTION = 1024
CHUNK_POINTS = 1 << 16  # 2^13 to 2^18 take the same time on a CPU

PointFunction = Callable[[Tensor], Tensor]  # [*points, 3] -> [*points]
Progress = Callable[[int, int], None]  # called with (done, total)


def lattice_axis(resolution: int, box_side: float) -> Float[np.ndarray, " n"]:
    """Coordinates of the lattice along each axis, ascending, both faces of the box included."""
    return ((np.arange(resolution) / (resolution - 1) - 0.5) * box_side).astype(np.float32)


def check_resolution(resolution: int) -> None:
    """Refuse a lattice that is too coarse to mean anything, too fine to be useful, or too big for this machine.

    Raises:
        InputError: The resolution is outside 8..1024.
        OutOfMemoryError: Its lattice does not fit into the memory that is free.
    """
    check_range(resolution)
    check_memory(resolution, lattice_bytes(resolution), exponent=3)


def check_memory(resolution: int, needed: int, *, exponent: int) -> None:
    """Refuse work that does not fit into the memory that is free.

    Args:
        resolution: Lattice points along each side.
        needed: Bytes.
        exponent: How they grow with the resolution: 3 for all points of a lattice, 2 for tables of its faces.

    Raises:
        OutOfMemoryError: It does not fit; the message names a resolution that does.
    """
    free = free_memory()
    if free is not None and needed > free:
        side = (resolution + 2) * (free / needed) ** (1 / exponent)  # with the border
        fitting = max(MIN_RESOLUTION, int(side - 2) // 8 * 8)
        raise OutOfMemoryError(
            f"a lattice of resolution {resolution} needs {needed / 1e9:.2g} GB, {free / 1e9:.2g} GB are free; "
            f"try resolution {fitting}"
        )


def check_range(resolution: int) -> None:
    """Refuse a lattice that is too coarse to mean anything, or too fine to be useful.

    Raises:
        InputError: The resolution is outside 8..1024.
    """
    if not MIN_RESOLUTION <= resolution <= MAX_RESOLUTION:
        raise InputError(f"resolution is {resolution}, it must be {MIN_RESOLUTION} to {MAX_RESOLUTION}; try 256")


def lattice_bytes(resolution: int) -> int:
    """Bytes of the lattice with its border; everything else the mesher holds is small beside it."""
    return 4 * (resolution + 2) ** 3


def free_memory() -> int | None:
    """Bytes that can still be allocated, or None on systems that do not say (all but Linux)."""
    try:
        meminfo = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    available = re.search(r"MemAvailable:\s+(\d+) kB", meminfo)
    return int(available.group(1)) * 1024 if available else None


def sample_lattice(
    function: PointFunction,
    *,
    resolution: int,
    box_side: float,
    device: torch.device | str = "cpu",
    chunk_points: int = CHUNK_POINTS,
    out: Float[np.ndarray, "n n n"] | None = None,
    progress: Progress | None = None,
) -> Float[np.ndarray, "n n n"]:
    """Evaluate a function of the points on the lattice.

    Args:
        function: What to evaluate, without gradients; a field's `raw_density` or `density`.
        resolution: Points along each side, n.
        box_side: Side of the cube around the origin, in world units.
        device: Where the function expects its points.
        chunk_points: Points per call, about; fewer when memory runs out. The values do not depend on it.
        out: Where to put the values; a view into a larger array is fine.
        progress: Called after each chunk with the points done and the points in all.

    Returns:
        The values, float32, indexed [x, y, z].

    Raises:
        Gen3DError: The function is not finite somewhere.
        OutOfMemoryError: Not even one row of the lattice fits.
    """
    values = np.empty((resolution,) * 3, np.float32) if out is None else out
    axis = torch.from_numpy(lattice_axis(resolution, box_side)).to(device)

    def fill(rows: slice) -> None:
        x, y = np.divmod(np.arange(rows.start, rows.stop), resolution)
        points = _rows_of_points(axis, x, y)
        row_values = function(points).float().cpu()
        check_finite(row_values.flatten(), points.flatten(0, 1))
        values[x, y] = row_values.numpy()

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(done * resolution, total * resolution)

    with torch.no_grad():
        in_chunks(fill, resolution**2, max(1, chunk_points // resolution), what="rows", progress=report)
    return values


def _rows_of_points(axis: Float[Tensor, " n"], x: np.ndarray, y: np.ndarray) -> Float[Tensor, "rows n 3"]:
    """World points of the lattice rows along z at the given x and y indices."""
    shape = (len(x), len(axis))
    columns = (axis[torch.from_numpy(x)][:, None], axis[torch.from_numpy(y)][:, None], axis)
    return torch.stack([column.expand(shape) for column in columns], dim=-1)


def check_finite(values: Float[Tensor, " n"], points: Float[Tensor, "n 3"]) -> None:
    """Refuse values that are not finite.

    Raises:
        Gen3DError: One line with the first such value and its place.
    """
    finite = values.isfinite()
    if finite.all():
        return
    first = int((~finite).nonzero()[0])
    place = ", ".join(f"{coordinate:.3g}" for coordinate in points[first].tolist())
    raise Gen3DError(
        f"the field is {values[first].item()} at ({place}), a mesh needs finite densities; "
        "try another seed or a smaller truncation, and check the model's weights"
    )
