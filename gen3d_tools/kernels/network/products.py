"""Products of small matrices inside compiled functions (numba), as fast as the registers of the processor allow.

BLAS is made for large matrices: at 32 points and 64 units it reaches half of what these do. A tile of the result stays
in registers while all products for it are added; LLVM makes vectors of `LANES` numbers into whatever the processor
has. Sums are in the order of the shared axis, whatever the shapes: equal rows give equal bytes.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANE = 8
"""Columns of a result are a multiple of it."""

LANES = 16 if binding.get_host_cpu_features().get("avx512f") else LANE  # numbers of a vector register
_ROWS, _VECTORS = 4, 2  # of a tile: with those of the factors, registers for AVX2's sixteen
_within_kernels: Callable[[Callable[..., Any]], Callable[..., None]] = intrinsic
_FLOAT, _BYTE, _FUSED = ir.FloatType(), ir.IntType(8), ("contract",)


class _Size(NamedTuple):
    """Of a tile."""

    rows: int
    vectors: int
    lanes: int  # of each vector


class Matrix:
    """A matrix of float32 in the code that is being made, or a vector that stands for all rows of one."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        self.builder, self.start = builder, builder.bitcast(array.data, _BYTE.as_pointer())
        self.rows, self.columns = _both(cgutils.unpack_tuple(builder, array.shape), context)  # type: ignore[no-untyped-call]
        self.down, self.along = _both(cgutils.unpack_tuple(builder, array.strides), context)  # type: ignore[no-untyped-call]

    def pointer(self, row: Any, column: Any, kind: Any) -> Any:
        """Where a number lies, or a vector that begins with it."""
        build = self.builder
        offset = build.add(build.mul(row, self.down), build.mul(column, self.along))
        return build.bitcast(build.gep(self.start, [offset]), kind.as_pointer())

    def load(self, row: Any, column: Any, lanes: int) -> Any:
        """Read a vector along a row."""
        return self.builder.load(self.pointer(row, column, ir.VectorType(_FLOAT, lanes)), align=4)

    def store(self, row: Any, column: Any, vector: Any) -> None:
        """Write a vector along a row."""
        self.builder.store(vector, self.pointer(row, column, vector.type), align=4)

    def spread(self, row: Any, column: Any, lanes: int) -> Any:
        """Read one number into all places of a vector."""
        return everywhere(self.builder, self.builder.load(self.pointer(row, column, _FLOAT), align=4), lanes)


def everywhere(build: Any, number: Any, lanes: int) -> Any:
    """A number in all places of a vector, in the code that is being made."""
    kind = ir.VectorType(number.type, lanes)
    nothing, first = ir.Constant(kind, ir.Undefined), ir.IntType(32)(0)
    places = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return build.shuffle_vector(build.insert_element(nothing, number, first), nothing, places)


def _both(numbers: Sequence[Any], context: Any) -> Sequence[Any]:
    """Of rows and columns; of a vector, 0 for the rows: each is the same."""
    return numbers if len(numbers) == 2 else [context.get_constant(types.intp, 0), *numbers]


def _tile(a: Matrix, b: Matrix, out: Matrix, start: Matrix | None, place: tuple[Any, Any], size: _Size) -> None:
    """Compute a tile of the result, from what `start` has there on."""
    build, (row, column), whole = out.builder, place, place[0].type
    down = [build.add(row, whole(r)) for r in range(size.rows)]
    along = [build.add(column, whole(v * size.lanes)) for v in range(size.vectors)]
    nothing = ir.Constant(ir.VectorType(_FLOAT, size.lanes), [0.0] * size.lanes)
    room: Callable[..., Any] = cgutils.alloca_once
    sums = [[room(build, nothing.type) for _ in along] for _ in down]
    for r, i in enumerate(down):
        for v, j in enumerate(along):
            build.store(nothing if start is None else start.load(i, j, size.lanes), sums[r][v])
    with cgutils.for_range(build, a.columns) as loop:
        weights = [b.load(loop.index, j, size.lanes) for j in along]
        for r, i in enumerate(down):
            factor = a.spread(i, loop.index, size.lanes)
            for total, weight in zip(sums[r], weights, strict=True):
                product = build.fmul(factor, weight, flags=_FUSED)
                build.store(build.fadd(build.load(total), product, flags=_FUSED), total)
    for r, i in enumerate(down):
        for v, j in enumerate(along):
            out.store(i, j, build.load(sums[r][v]))


def _in_steps(builder: Any, start: Any, end: Any, steps: Sequence[int], work: Callable[[Any, int], None]) -> None:
    """Go from start to end in the largest steps that fit, then in smaller ones."""
    for step in steps:
        whole = start.type
        stop = builder.add(start, builder.mul(builder.sdiv(builder.sub(end, start), whole(step)), whole(step)))
        with cgutils.for_range_slice(builder, start, stop, whole(step), whole) as (at, _):
            work(at, step)
        start = stop


def _write_product(builder: Any, a: Matrix, b: Matrix, out: Matrix, start: Matrix | None) -> None:
    """Tile by tile, column after column: those of `b` stay near."""
    nothing = out.rows.type(0)
    widths = sorted({_VECTORS * LANES, LANES, LANE}, reverse=True)

    def columns(column: Any, width: int) -> None:
        lanes = min(width, LANES)

        def rows(row: Any, count: int) -> None:
            _tile(a, b, out, start, (row, column), _Size(count, width // lanes, lanes))

        _in_steps(builder, nothing, out.rows, (_ROWS, 1), rows)

    _in_steps(builder, nothing, out.columns, widths, columns)


def fits(kind: Any, dimensions: int, *, contiguous: bool = True, written: bool = False) -> bool:
    """Whether a kind of array is one that the code serves."""
    right = isinstance(kind, types.Array) and kind.ndim == dimensions and kind.dtype == types.float32
    return right and (not contiguous or kind.layout == "C") and (not written or kind.mutable)


def _served(a: Any, b: Any, out: Any) -> bool:
    return (
        fits(a, 2, contiguous=False)
        and fits(b, 2)
        and fits(out, 2, contiguous=False, written=True)
        and out.layout != "F"
    )


def _code(starts_from: int | None) -> Callable[..., Any]:
    """Make the code of a product that starts from one of its arguments, or from zeros; the last argument is set."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        given = [Matrix(context, builder, *one) for one in zip(signature.args, values, strict=True)]
        _write_product(builder, given[0], given[1], given[-1], None if starts_from is None else given[starts_from])
        return context.get_dummy_value()

    return code


@_within_kernels
def multiply(typing: Any, a: Any, b: Any, out: Any) -> Any:
    """Set `out` to `a @ b`: [m, k] and [k, n] to [m, n], float32; n is a multiple of `LANE`.

    b is contiguous, and so is each row of out, which may be some columns of a matrix.
    Nothing is checked when it runs: sizes that do not agree read and write beside the arrays.
    """
    return (types.void(a, b, out), _code(None)) if _served(a, b, out) else None


@_within_kernels
def add_product(typing: Any, a: Any, b: Any, out: Any) -> Any:
    """Add `a @ b` to `out`; otherwise as `multiply`."""
    return (types.void(a, b, out), _code(-1)) if _served(a, b, out) else None


@_within_kernels
def linear(typing: Any, a: Any, b: Any, bias: Any, out: Any) -> Any:
    """Set `out` to `a @ b + bias`, with a contiguous bias [n]; otherwise as `multiply`."""
    served = _served(a, b, out) and fits(bias, 1)
    return (types.void(a, b, bias, out), _code(2)) if served else None
