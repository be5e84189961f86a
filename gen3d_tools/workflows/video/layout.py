"""Which samples go into which video: one each, several in a grid, or as keyframes of one that changes."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gen3d_tools.errors import InputError
from gen3d_tools.workflows.samples.selection import Sample

MAX_GRID = 32
_NAMED = 5  # samples of a way that are named
_GRID = re.compile(r"(\d{1,4})\s*[xX×]\s*(\d{1,4})")


@dataclass(frozen=True)
class VideoLayout:
    """One video: a table of cells, each with one sample, or with several that it passes through."""

    path: Path
    label: str
    cells: Sequence[Sequence[Sample]]
    columns: int = 1
    rows: int = 1

    @property
    def samples(self) -> list[Sample]:
        """Every sample that it shows."""
        return [one for cell in self.cells for one in cell]


def parse_grid(text: str) -> tuple[int, int]:
    """Read `--grid 3x2`: columns and rows.

    Raises:
        InputError: Something else, or a number not within 1..32.
    """
    match = _GRID.fullmatch(text.strip())
    if match is None:
        raise InputError(f"cannot read grid {text[:40]!r}; write columns x rows, such as 3x2")
    columns, rows = int(match[1]), int(match[2])
    if not (1 <= columns <= MAX_GRID and 1 <= rows <= MAX_GRID):
        raise InputError(f"grid is {columns}x{rows}; both numbers must lie in 1..{MAX_GRID}")
    return columns, rows


def plan_shots(
    samples: Sequence[Sample],
    target: Path,
    suffix: str,
    *,
    one_file: bool,
    grid: tuple[int, int] | None,
    interpolate: bool,
    once: bool = False,
) -> list[VideoLayout]:
    """Distribute samples over videos.

    Args:
        samples: In the order they were asked for.
        target: The one video, or the folder for all.
        suffix: Of videos in the folder; empty for folders of pictures.
        one_file: Whether `target` is a video. Several samples then share it in a grid.
        grid: Columns and rows; cells without a sample stay white.
        interpolate: Samples are keyframes; a grid shares them out evenly, in order.
        once: The way through them does not lead back to the first.

    Raises:
        InputError: The samples do not fit the grid, or there is nothing to interpolate.
    """

    def path(name: str) -> Path:
        return target if one_file else target / f"{name}{suffix}"

    if interpolate:
        cells = _share_out(samples, grid)
        columns, rows = grid or (1, 1)
        return [VideoLayout(path("interpolation"), _way(cells[0], once=once), cells, columns, rows)]
    if grid is None and one_file and len(samples) > 1:
        grid = square_grid(len(samples))
    if grid is None:
        return [VideoLayout(path(one.stem), one.label, [[one]]) for one in dict.fromkeys(samples)]
    columns, rows = grid
    if len(samples) > columns * rows:
        fitting = "x".join(map(str, square_grid(len(samples))))
        raise InputError(f"{len(samples)} samples do not fit a grid of {columns}x{rows}; try --grid {fitting}")
    return [VideoLayout(path("grid"), f"{len(samples)} samples", [[one] for one in samples], columns, rows)]


def _way(samples: Sequence[Sample], *, once: bool) -> str:
    """Say which samples a video passes through: `car 0 > sailboat 0 > car 0`."""
    names = [one.label for one in samples]
    shown = names if len(names) <= _NAMED else [*names[: _NAMED - 1], "...", names[-1]]
    return " > ".join(shown if once else [*shown, names[0]])


def square_grid(count: int) -> tuple[int, int]:
    """Choose columns and rows for `count` cells, as square as possible, rather wide than high."""
    columns = math.ceil(math.sqrt(count))
    return columns, math.ceil(count / columns)


def _share_out(samples: Sequence[Sample], grid: tuple[int, int] | None) -> list[Sequence[Sample]]:
    """Give every cell its keyframes."""
    columns, rows = grid or (1, 1)
    per_cell, rest = divmod(len(samples), columns * rows)
    if len(samples) < 2:
        raise InputError(f"cannot interpolate {samples[0].label} alone; name two seeds or more, such as --seeds 0-3")
    if per_cell < 2 or rest:
        needed = f"{2 * columns * rows}, {3 * columns * rows} or {4 * columns * rows}"
        raise InputError(
            f"cannot interpolate {len(samples)} samples in a grid of {columns}x{rows}: each cell needs equally many, "
            f"two or more; name {needed} of them"
        )
    return [samples[start : start + per_cell] for start in range(0, len(samples), per_cell)]
