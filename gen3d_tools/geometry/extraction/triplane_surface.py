"""The fast way to the surface of a tri-plane field, by the compiled kernels; the plain way serves all other fields.

Both give the same triangles: the kernels leave out what provably holds no surface. They run on the CPU wherever
the planes are, since that is faster than evaluating every lattice point on any device.
"""

import torch

from gen3d_tools.errors import OutOfMemoryError
from gen3d_tools.fields.compiled import compiled_field, kernel_threads
from gen3d_tools.fields.field import RadianceField
from gen3d_tools.geometry.extraction.isosurface import Surface, check_level
from gen3d_tools.geometry.extraction.lattice import Progress, check_memory, check_range


def triplane_surface(
    field: RadianceField, *, resolution: int, iso_level: float, raw_level: float, progress: Progress | None = None
) -> Surface | None:
    """Find the surface of a tri-plane field.

    Args:
        field: Any field.
        resolution: Lattice points along each side of the box.
        iso_level: Density at the surface, for messages.
        raw_level: Raw density there.
        progress: Called with the lattice points done and those in all.

    Returns:
        Vertices in world units and faces, or None where the kernels do not serve: other kinds of fields and
        decoders, and numbers that are not finite.

    Raises:
        Gen3DError: There is no surface at this level.
        InputError: The resolution is outside its range.
        OutOfMemoryError: The tables do not fit.
    """
    check_range(resolution)
    compiled = compiled_field(field)
    if compiled is None:
        return None
    from gen3d_tools.kernels.lattice.surface import bounded_lattice, bytes_needed, find_surface, span  # needs numba

    threads = kernel_threads()
    check_memory(resolution, bytes_needed(compiled.numbers, resolution, threads=threads), exponent=2)
    try:
        bounded = bounded_lattice(compiled.numbers, resolution, threads=threads)
        if not bounded.finite:
            return None
        vertices, faces = find_surface(bounded, raw_level, threads=threads, progress=progress)
    except MemoryError as error:
        raise OutOfMemoryError(f"resolution {resolution} does not fit into memory; try {resolution // 2}") from error
    within = (vertices >= 0) & (vertices <= resolution - 1)
    if not within.all(axis=1).any():  # at most the cap of a box that is full
        lowest, highest = field.activate(torch.tensor(span(bounded, threads=threads))).tolist()
        check_level(iso_level, lowest, highest, what="densities")
    vertices *= field.box_side / (resolution - 1)
    vertices -= field.box_side / 2
    return vertices, faces
