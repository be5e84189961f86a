"""The surface where a function of space crosses a level, as triangles in world units.

Marching cubes places each vertex by linear interpolation along a lattice edge, so it wants a function that is
about linear across the surface: mesh the raw density (before activation) at the raw level, not the density.
Space outside the box counts as empty. Where the object reaches the box, the surface is closed by a flat cap.
"""

import math

import mcubes
import numpy as np
import torch
from jaxtyping import Float, Int

from gen3d_tools.errors import Gen3DError, InputError, OutOfMemoryError
from gen3d_tools.geometry.extraction.lattice import PointFunction, Progress, check_resolution, sample_lattice
from gen3d_tools.geometry.extraction.sparse_lattice import block_side, sample_near_level
from gen3d_tools.wording import option

MAX_LEVEL = 1e12
"""Density at a surface; where it is placed, squares of it have to fit into single precision."""
Surface = tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]


def isosurface(
    function: PointFunction,
    *,
    resolution: int,
    box_side: float,
    iso_level: float,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Surface:
    """Find the surface where `function` crosses `iso_level`; higher values are inside.

    Args:
        function: World points [*points, 3] to values [*points].
        resolution: Lattice points along each side of the box, 8 to 1024.
        box_side: Side of the cube around the origin, in world units.
        iso_level: Value at the surface.
        device: Where the function expects its points.
        progress: Called with the lattice points done and the lattice points in all.

    Returns:
        Vertices in world units, and faces counter-clockwise seen from outside. The mesh is closed: every edge
        has exactly two faces, and vertices are shared.

    Raises:
        Gen3DError: There is no surface at this level, or the function is not finite.
        InputError: The resolution is outside its range.
        OutOfMemoryError: The lattice does not fit.
    """
    values = bordered_lattice(function, resolution=resolution, box_side=box_side, device=device, progress=progress)
    check_level(iso_level, *span(values))
    return marching_cubes(values, box_side=box_side, iso_level=iso_level)


def bordered_lattice(
    function: PointFunction,
    *,
    resolution: int,
    box_side: float,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    detail: float = 0.0,
    iso_level: float | None = None,
) -> Float[np.ndarray, "m m m"]:
    """Evaluate a function on the lattice, leaving a border of one layer around it for `marching_cubes` to fill.

    With a level and a length below which the function has no detail, only the part near the level is evaluated where
    the lattice is finer than that (`extraction.sparse_lattice`).
    """
    check_resolution(resolution)
    try:
        values = np.empty((resolution + 2,) * 3, np.float32)
    except MemoryError as error:
        raise OutOfMemoryError(
            f"a lattice of resolution {resolution} does not fit into memory; try {resolution // 2}"
        ) from error
    side = 1 if iso_level is None else block_side(detail, resolution, box_side)
    if iso_level is None or side == 1:
        sample_lattice(
            function, resolution=resolution, box_side=box_side, device=device, out=_inner(values), progress=progress
        )
        return values
    sample_near_level(
        function,
        resolution=resolution,
        box_side=box_side,
        level=iso_level,
        side=side,
        device=device,
        out=_inner(values),
        progress=progress,
    )
    return values


def span(bordered: Float[np.ndarray, "m m m"]) -> tuple[float, float]:
    """Lowest and highest value of a bordered lattice, the border left out."""
    inner = _inner(bordered)
    return float(inner.min()), float(inner.max())


def check_level(iso_level: float, lowest: float, highest: float, *, what: str = "values") -> None:
    """Refuse a level that the function does not cross.

    Raises:
        Gen3DError: There is no surface; the message names a level at which there is one.
    """
    if lowest <= iso_level < highest:
        return
    if lowest == highest:
        raise Gen3DError(
            f"no surface at level {iso_level:g}: the {what} are {lowest:.4g} everywhere in the box; try another seed"
        )
    low, high = round(lowest, 4), round(highest, 4)
    remedy = option("iso_level", float(f"{(lowest + highest) / 2:.4g}"), typed="--level")
    raise Gen3DError(f"no surface at level {iso_level:g}: {what} span {low:.4g} to {high:.4g}; try {remedy}")


def marching_cubes(bordered: Float[np.ndarray, "m m m"], *, box_side: float, iso_level: float) -> Surface:
    """March over a bordered lattice that crosses the level. The border, and values at the level, are overwritten."""
    depth = span(bordered)[1] - iso_level
    _fill_border(bordered, iso_level - 1000 * depth)
    _step_off_level(bordered, iso_level, depth)
    vertices, faces = mcubes.marching_cubes(bordered, iso_level)
    cells = bordered.shape[0] - 3
    return (vertices - 1) * (box_side / cells) - box_side / 2, faces.astype(np.int64)


def check_iso_level(iso_level: float) -> None:
    """Say before any work is done whether a density can be a surface.

    Raises:
        InputError: The level is no positive number, as a density of 0 is no surface, or above `MAX_LEVEL`.
    """
    if not 0 < iso_level <= MAX_LEVEL:
        raise InputError(f"iso level is {iso_level:g}, it must be a density above 0, at most {MAX_LEVEL:g}; try 10")


def raw_iso_level(iso_level: float, activation: str, shift: float) -> float:
    """Raw density at which the activated density is `iso_level`: the inverse of `activation(raw + shift)`.

    Raises:
        InputError: The level is not a positive number; a density of 0 is no surface.
    """
    check_iso_level(iso_level)
    if activation == "relu":
        return iso_level - shift
    if activation == "softplus":
        return iso_level + math.log(-math.expm1(-iso_level)) - shift
    if activation == "exp":
        return math.log(iso_level) - shift
    raise InputError(f"cannot invert the density activation {activation!r}, only softplus, relu and exp")


def _inner(bordered: Float[np.ndarray, "m m m"]) -> Float[np.ndarray, "m-2 m-2 m-2"]:
    return bordered[1:-1, 1:-1, 1:-1]


def _fill_border(bordered: Float[np.ndarray, "m m m"], value: float) -> None:
    """Make the outermost layer so empty that a cap lies on the face of the box, within 0.001 voxel."""
    for axis in range(3):
        layers = np.moveaxis(bordered, axis, 0)
        layers[0] = layers[-1] = value


def _step_off_level(bordered: Float[np.ndarray, "m m m"], iso_level: float, depth: float) -> None:
    """Move values that meet the level exactly a little outwards.

    Several edges would put their vertices on the same lattice point, and the triangles between them would
    have no area.
    """
    step = np.float32(max(1e-6 * depth, 4 * np.spacing(np.float32(abs(iso_level)))))
    level = np.float32(iso_level)
    for layer in bordered:
        layer[np.abs(layer - level) < step] = level - step
