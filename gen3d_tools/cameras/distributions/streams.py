"""Random numbers for cameras: one seed names one camera, whatever else is drawn with it.

The stream of a seed is numpy's `RandomState([seed, CAMERA_STREAM])`; latents use `RandomState(seed)`, so picture and
view of one seed are independent draws.
"""

from collections.abc import Sequence

import numpy as np

from gen3d_tools.cameras.checks import check_seeds
from gen3d_tools.errors import InputError

CAMERA_STREAM = 0x63616D  # second word of a camera's seed, "cam"


def uniform_draws(n: int, seeds: Sequence[int], *, per_seed: int) -> np.ndarray:
    """Uniform numbers in [0, 1), [n, per_seed] float64, each row from its own seed's camera stream.

    Raises:
        InputError: `n` differs from the number of seeds, or a seed is out of range.
    """
    if n != len(seeds):
        raise InputError(f"one seed names one camera: {n} cameras were asked for, but {len(seeds)} seeds were given")
    check_seeds(seeds)
    rows = [np.random.RandomState([seed, CAMERA_STREAM]).random_sample(per_seed) for seed in seeds]
    return np.stack(rows) if rows else np.empty((0, per_seed))
