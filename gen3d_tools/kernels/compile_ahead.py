"""Compiles what follows rays, so that it is on disk: `python -m gen3d_tools.kernels.compile_ahead`."""

import numpy as np

from gen3d_tools.kernels.network.evaluate import WIDTH, Network
from gen3d_tools.kernels.rays.guided import Shading, march_rays
from gen3d_tools.kernels.rays.occupancy import OccupancyGrid


def compile_rays() -> None:
    """Follow a ray that ends where it starts. All fields have the same types, so that the result serves them all."""

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.float32)

    one, cells = np.float32(1), np.zeros((1, 1, 1), np.uint8)
    axes, deeper = np.zeros((3, 2), np.int64), zeros(1, WIDTH, WIDTH)
    net = Network(zeros(3, WIDTH), 1, axes, zeros(2), zeros(WIDTH), deeper, zeros(1, WIDTH), zeros(WIDTH), one, 1)
    grid = OccupancyGrid(zeros(2, 2, 2), cells, cells > 0, zeros(2, 3), one, one)
    shading = Shading(zeros(1, WIDTH), zeros(1), True, one, one, 1, one, one, False, 1)
    march_rays(net, grid, shading, zeros(1, 3), zeros(1, 3), zeros(1, 3))


if __name__ == "__main__":
    compile_rays()
