"""Pictures of many samples as one labelled sheet."""

import math
from collections.abc import Sequence
from itertools import chain

from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.media.sheets import contact_sheet, tile
from gen3d_tools.wording import option
from gen3d_tools.workflows.samples.selection import Sample
from gen3d_tools.workflows.video.layout import parse_grid, square_grid

_STRIP = 4
"""So many samples may stand in one row, or one column; more are wrapped to a sheet that is about square."""


def settle_grid(grid: str | bool) -> tuple[int, int] | None:
    """Read `--grid`, `--grid 4x3`: columns and rows; None where the sheet chooses them.

    Raises:
        InputError: It is something else.
    """
    return None if isinstance(grid, bool) or grid.strip().lower() == "auto" else parse_grid(grid)


def check_grid(grid: tuple[int, int] | None, count: int) -> None:
    """Refuse a grid that has fewer cells than there are samples.

    Raises:
        InputError: It has.
    """
    if grid is not None and count > grid[0] * grid[1]:
        fitting = "x".join(map(str, square_grid(count)))
        raise InputError(f"{count} samples do not fit a grid of {grid[0]}x{grid[1]}; try {option('grid', fitting)}")


def samples_sheet(
    samples: Sequence[Sample],
    pictures: Sequence[list[Tensor]],
    columns: Sequence[str],
    grid: tuple[int, int] | None = None,
) -> Tensor:
    """Lay pictures out with labels: a row per class and a column per seed, or a sheet that is about square.

    Args:
        samples: What was rendered, class by class.
        pictures: The pictures of each sample.
        columns: What each of a sample's pictures shows; not worth saying when it is only one.
        grid: Columns and rows of samples, if they are not to be chosen here.
    """
    classes = list(dict.fromkeys(one.class_name for one in samples))
    seeds = list(dict.fromkeys(one.seed for one in samples))
    shows = columns if len(columns) > 1 else [""]
    is_table = [(one.class_name, one.seed) for one in samples] == [(name, seed) for name in classes for seed in seeds]
    is_strip = not is_table or min(len(classes), len(seeds)) == 1
    if grid is not None or (is_strip and len(samples) > _STRIP):
        across = math.ceil(math.sqrt(len(samples) / len(shows))) if grid is None else grid[0]
        return _wrapped(samples, pictures, shows, across)
    if is_table:
        rows = [list(chain(*pictures[i : i + len(seeds)])) for i in range(0, len(samples), len(seeds))]
        return contact_sheet(
            rows, classes, [f"{'' if seed is None else seed} {what}".strip() for seed in seeds for what in shows]
        )
    return contact_sheet(pictures, [one.label for one in samples], columns if len(columns) > 1 else None)


def _wrapped(samples: Sequence[Sample], pictures: Sequence[list[Tensor]], shows: Sequence[str], across: int) -> Tensor:
    """Give each sample a cell with its own label, and begin a new row after `across` of them."""
    cells = [
        contact_sheet([row], None, [f"{one.label}\n{what}".strip() for what in shows])
        for one, row in zip(samples, pictures, strict=True)
    ]
    return tile(cells, across)
