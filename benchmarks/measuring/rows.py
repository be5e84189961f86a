"""What a group of rows gives: `rows(effort)` of a module yields one `Row` after the other.

Groups are listed in `benchmarks/__main__.py`; `python -m benchmarks --only mesh,render` measures some of them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gen3d_tools.workflows.bench.timing import Timing


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much work is measured."""

    repeat: int = 3  # rounds of each comparison, plain and ours in turns
    model: str = "shapes"  # bundled name or model folder, for the rows about a model
    tiny: bool = False  # sizes that only show that the rows come out, for tests


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    ours_s: float
    plain_s: float | None = None
    ratio: float | None = None  # plain / ours, processor time
    agreement: str = ""  # how far the two results are apart
    peak_bytes: int | None = None
    wanted: str = ""  # what the project asks of itself, such as "x 120" or "1 s"
    note: str = ""  # such as "plain scaled from 2 chunks"


def row(name: str, timing: Timing, agreement: str = "", wanted: str = "", note: str = "") -> Row:
    """Make a row of a measurement."""
    return Row(
        name=name,
        ours_s=timing.ours,
        plain_s=timing.plain,
        ratio=timing.ratio,
        agreement=agreement,
        wanted=wanted,
        note=note,
    )


def decibels(ours: Tensor, theirs: Tensor, span: float = 1.0) -> float:
    """How alike pictures are whose values span `span`: 120 at most."""
    error = (ours - theirs).square().mean() / span**2
    return -10 * torch.log10(error + 1e-12).item()


def largest_difference(ours: Tensor, theirs: Tensor) -> str:
    """How far values are apart at most, as a share of their range."""
    spread = theirs.max() - theirs.min()
    return f"{((ours - theirs).abs().max() / spread).item():.0e}"
