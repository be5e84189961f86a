"""Weighted rows of a matrix inside compiled functions (numba): planes are looked up, and slopes brought back to them.

Vectors of the rows are read, blended and written by themselves. Of a loop over a row's numbers LLVM makes the same
code, and before it as many questions as there are pairs of rows, whether they overlap: for a row of 16 or 64 numbers
they take longer than the numbers.
"""

from collections.abc import Callable, Sequence
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gen3d_tools.kernels.network.products import LANE, LANES, Matrix, everywhere, fits

_within_kernels: Callable[[Callable[..., Any]], Callable[..., None]] = intrinsic
_TOGETHER = 4  # rows summed one after the other, beside others
_FUSED = ("contract",)


def _served(table: Any, rows: Any, weights: Any, vector: Any, *, adds: bool) -> bool:
    """Whether kinds of arguments are those that the code serves; it writes to the table, or to the vector."""
    tuples = all(isinstance(one, types.UniTuple) for one in (rows, weights)) and rows.count == weights.count
    right = tuples and rows.dtype == types.int64 and weights.dtype == types.float32
    return right and fits(table, 2, written=adds) and fits(vector, 1, written=not adds)


def _along(builder: Any, length: Any, work: Callable[[Any, int], None]) -> None:
    """Go along a row, vector by vector, in the widest ones that fit."""
    start = length.type(0)
    for lanes in sorted({LANES, LANE}, reverse=True):
        step = length.type(lanes)
        stop = builder.sub(length, builder.srem(length, step))
        with cgutils.for_range_slice(builder, start, stop, step, length.type) as (at, _):
            work(at, lanes)
        start = stop


def _blended(build: Any, vectors: Sequence[Any], weights: Sequence[Any]) -> Any:
    """The weighted sum of vectors."""
    parts = []
    for first in range(0, len(vectors), _TOGETHER):
        pairs = list(zip(vectors, weights, strict=True))[first : first + _TOGETHER]
        total = build.fmul(*pairs[0], flags=_FUSED)
        for vector, weight in pairs[1:]:
            total = build.fadd(total, build.fmul(vector, weight, flags=_FUSED), flags=_FUSED)
        parts.append(total)
    total = parts[0]
    for part in parts[1:]:
        total = build.fadd(total, part, flags=_FUSED)
    return total


class _Arguments:
    """What both functions are given: a table, rows of it, their weights and a vector as long as a row."""

    def __init__(self, context: Any, builder: Any, signature: Any, values: Any) -> None:
        (table, vector), kinds = (values[0], values[3]), signature.args
        self.table, self.vector = Matrix(context, builder, kinds[0], table), Matrix(context, builder, kinds[3], vector)
        self.rows = cgutils.unpack_tuple(builder, values[1])  # type: ignore[no-untyped-call]
        self.weights = cgutils.unpack_tuple(builder, values[2])  # type: ignore[no-untyped-call]


def _write_blend(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    given = _Arguments(context, builder, signature, values)

    def work(at: Any, lanes: int) -> None:
        vectors = [given.table.load(row, at, lanes) for row in given.rows]
        weights = [everywhere(builder, weight, lanes) for weight in given.weights]
        given.vector.store(at.type(0), at, _blended(builder, vectors, weights))

    _along(builder, given.vector.columns, work)
    return context.get_dummy_value()


def _write_addition(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    given = _Arguments(context, builder, signature, values)

    def work(at: Any, lanes: int) -> None:
        vector = given.vector.load(at.type(0), at, lanes)
        for row, weight in zip(given.rows, given.weights, strict=True):
            product = builder.fmul(vector, everywhere(builder, weight, lanes), flags=_FUSED)
            given.table.store(row, at, builder.fadd(given.table.load(row, at, lanes), product, flags=_FUSED))

    _along(builder, given.vector.columns, work)
    return context.get_dummy_value()


@_within_kernels
def blend_rows(typing: Any, table: Any, rows: Any, weights: Any, out: Any) -> Any:
    """Set `out` to the sum of weighted rows of a table: [n, length] to [length], float32.

    Rows and weights are tuples of as many int64 and float32; table and out are contiguous, the length is a multiple of
    `LANE`. Nothing is checked when it runs.
    """
    served = _served(table, rows, weights, out, adds=False)
    return (types.void(table, rows, weights, out), _write_blend) if served else None


@_within_kernels
def add_to_rows(typing: Any, table: Any, rows: Any, weights: Any, vector: Any) -> Any:
    """Add a vector, times each weight, to the rows of a table, one after the other; otherwise as `blend_rows`.

    A row that is named twice gets both.
    """
    served = _served(table, rows, weights, vector, adds=True)
    return (types.void(table, rows, weights, vector), _write_addition) if served else None
