"""What every pixel sees of a triangle mesh; `kernels.meshes.raster` finds it, and imports numba."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Fragments(NamedTuple):
    """What the pixels of a square picture see, [row, column]."""

    face: Int[np.ndarray, "n n"]
    """Index of the nearest triangle, -1 where there is none; of several at the same depth, the first."""
    shares: Float[np.ndarray, "n n 3"]
    """Barycentric coordinates of the point seen, 0 where there is none."""
    depth: Float[np.ndarray, "n n"]
    """Depth (W) of the point seen, infinite where there is none."""
