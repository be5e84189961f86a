"""Rays as in `guided.py`, of fields that no kernel evaluates: a lattice plans the samples, the caller asks for them.

A network wider than the kernels are is fastest in matrix products over many points (VolumeGAN, StyleNeRF). So the work
on a ray is cut where the network is asked: `plan_samples` says at which distances, `weigh_samples` corrects the
lattice by what was found there and gives every sample its share of the light.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gen3d_tools.kernels.compiling.ahead import second_process
from gen3d_tools.kernels.compiling.announce import announce
from gen3d_tools.kernels.compiling.compiled import compiled, f32
from gen3d_tools.kernels.compiling.threads import share_out
from gen3d_tools.kernels.rays.guided import Shading, reweigh, spread
from gen3d_tools.kernels.rays.occupancy import OccupancyGrid
from gen3d_tools.kernels.rays.ray_marching import DARK, SLACK, guess, in_cells, set_off, skip_together, walk

_PACK = 64  # rays that skip together
_TOUCHED = 3  # samples where a surface may be touched


class Plan(NamedTuple):
    """What is known of rays before the network is asked."""

    distances: np.ndarray  # [n, most] where it is to be asked
    guessed: np.ndarray  # [n, most] raw density there by the lattice
    trusted: np.ndarray  # [n, most] bool: whether the lattice says anything there
    samples: np.ndarray  # [n] how many
    pieces: np.ndarray  # [n, 5, room] pieces of the way, see `ray_marching.walk`
    piece_counts: np.ndarray  # [n]


def plan_samples(
    grid: OccupancyGrid,
    shading: Shading,
    origins: Float[np.ndarray, "n 3"],
    directions: Float[np.ndarray, "n 3"],
    limits: Float[np.ndarray, "n 2"],
    *,
    threads: int = 1,
) -> Plan:
    """Walk rays through the lattice, and choose where the network is to be asked.

    Args:
        grid: Of the field.
        shading: How light is stopped; its head is not read.
        origins: Contiguous float32, like all arrays here.
        directions: Unit vectors.
        limits: Where each ray starts and ends, ascending; one that ends where it starts sees nothing.
        threads: At most; the result does not depend on it.
    """
    count, longest = len(limits), float((limits[:, 1] - limits[:, 0]).max(initial=0))
    most = max(shading.most_samples, _TOUCHED)
    plan = Plan(
        distances=np.zeros((count, most), np.float32),
        guessed=np.zeros((count, most), np.float32),
        trusted=np.zeros((count, most), np.bool_),
        samples=np.zeros(count, np.int64),
        pieces=np.empty((count, 5, int(longest / (0.5 * float(grid.cell))) + 2 + SLACK), np.float32),
        piece_counts=np.zeros(count, np.int64),
    )
    second_process.finish()
    announce(plan_range)
    work = partial(plan_range, grid, shading, origins, directions, limits, plan)
    share_out(work, count, threads=threads, least=_PACK)
    return plan


def weigh_samples(
    grid: OccupancyGrid, shading: Shading, plan: Plan, raw: Float[np.ndarray, "n most"], *, threads: int = 1
) -> tuple[Float[np.ndarray, "n most"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Correct the lattice by raw densities of the network, and share the light out.

    Args:
        grid: The lattice of the plan.
        shading: How light is stopped.
        plan: Its pieces are overwritten.
        raw: Raw density at every sample of the plan.
        threads: At most; the result does not depend on it.

    Returns:
        The light that each sample stops, that of each ray, and its sum with distances.
    """
    error = np.where(plan.trusted, raw - plan.guessed, f32(0))
    weights = np.zeros_like(plan.distances)
    opacity, moment = np.zeros(len(raw), np.float32), np.zeros(len(raw), np.float32)
    announce(weigh_range)
    work = partial(weigh_range, grid, shading, plan, error, weights, opacity, moment)
    share_out(work, len(raw), threads=threads, least=_PACK)
    return weights, opacity, moment


@compiled()
def plan_range(grid, shading, origins, directions, limits, plan, first, end):  # type: ignore[no-untyped-def]
    """Compiled part of `plan_samples`, for the rays from `first` to `end`."""
    ways, moving = np.empty((9, _PACK), np.float32), np.empty(_PACK, np.int64)
    at_step, last_step = np.empty(_PACK, np.int64), np.empty(_PACK, np.int64)
    for pack in range(first, end, _PACK):
        count = min(_PACK, end - pack)
        for r in range(count):
            near, far = limits[pack + r, 0], limits[pack + r, 1]
            set_off(grid, origins[pack + r], directions[pack + r], near, far, r, ways, at_step, last_step)
        skip_together(grid, count, ways, at_step, last_step, moving)
        for r in range(count):
            ray = pack + r
            near, far = limits[ray, 0], limits[ray, 1]
            if not near < far:
                continue
            line = in_cells(grid, origins[ray], directions[ray])
            pieces, at = plan.pieces[ray], plan.distances[ray]
            steps = ways[7, r], at_step[r], last_step[r]
            found, peak, peak_at, steepest = walk(grid, shading, line, near, steps, pieces)
            total = f32(1) - pieces[4, found - 1] if found else f32(0)
            samples = 0
            if total > DARK:
                samples = spread(pieces, found, grid.cell, shading.most_samples, at)
            if samples == 0 and (total > DARK or peak + shading.shift + f32(0.25) * steepest > 0):
                samples = _TOUCHED
                for i in range(_TOUCHED):
                    at[i] = min(max(peak_at + f32(i - 1) * grid.cell, near), far)
            for i in range(samples):
                raw, skip = guess(grid, line, at[i])
                plan.guessed[ray, i], plan.trusted[ray, i] = raw, skip == 0
            plan.samples[ray], plan.piece_counts[ray] = samples, found


@compiled()
def weigh_range(grid, shading, plan, error, weights, opacity, moment, first, end):  # type: ignore[no-untyped-def]
    """Compiled part of `weigh_samples`, for the rays from `first` to `end`."""
    for ray in range(first, end):
        samples, count = plan.samples[ray], plan.piece_counts[ray]
        if samples > 0:
            pieces, at = plan.pieces[ray], plan.distances[ray]
            opacity[ray], moment[ray] = reweigh(
                shading, pieces, count, at, error[ray], samples, grid.cell, weights[ray]
            )
