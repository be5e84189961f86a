"""Winograd's transforms of tiles, as functions that kernels call (numba): F(4 x 4, 3 x 3).

Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks" (2016), eq. 13: an output tile of 4 x 4 pixels is
A^T [(G g G^T) * (B^T d B)] A for a kernel g of 3 x 3 and the 6 x 6 input pixels d around the tile, with 36 products
instead of 144. The points of interpolation are 0, +-3/4, +-3/2 and infinity: float32 then rounds twice as much as in a
direct convolution (2e-6 instead of 1e-6 of the result with 512 channels), with the usual +-1, +-2 four times as much.

Every transform is a product with a constant matrix on either side, for a vector of channels at once, and is written as
a few sparse factors: what a point and its negative share is computed once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gen3d_tools.kernels.network.products import LANE, LANES

TILE = 4  # pixels of a tile's side
PATCH = TILE + 2  # of what a tile is made of
KERNEL = 3  # pixels of a kernel's side

_NEAR, _FAR = 0.75, 1.5  # with their negatives, 0 and infinity: the points
_within_kernels: Callable[[Callable[..., Any]], Callable[..., None]] = intrinsic
_FLOAT, _BYTE, _FUSED = ir.FloatType(), ir.IntType(8), ("contract",)

_Factors = Sequence[np.ndarray]  # the last is applied first


def _pairs() -> np.ndarray:
    """Sum and difference of the even and odd parts of each pair of points; the first and last number stay."""
    pairs = np.zeros((6, 6))
    pairs[0, 0] = pairs[5, 5] = 1
    for first in (1, 3):
        pairs[first : first + 2, first : first + 2] = [[1, 1], [1, -1]]
    return pairs


def _input_parts() -> np.ndarray:
    """Of B^T: the polynomials that are 0 at all points but one, even and odd parts of the pairs."""
    near, far = _NEAR**2, _FAR**2
    whole = [near * far, 0, -(near + far), 0, 1]
    return np.array(
        [
            [*whole, 0],
            [0, 0, -far, 0, 1, 0],
            [0, -_NEAR * far, 0, _NEAR, 0, 0],
            [0, 0, -near, 0, 1, 0],
            [0, -_FAR * near, 0, _FAR, 0, 0],
            [0, *whole],
        ]
    )


def _powers(count: int) -> np.ndarray:
    """Even and odd parts of a polynomial with so many coefficients at the points: [6, count]."""
    even, odd = np.arange(count) % 2 == 0, np.arange(count) % 2 == 1
    parts = np.zeros((6, count))
    parts[0, 0] = parts[5, -1] = 1
    for row, point in ((1, _NEAR), (3, _FAR)):
        parts[row, even], parts[row + 1, odd] = (point ** np.arange(count)[which] for which in (even, odd))
    return parts


def _shares() -> np.ndarray:
    """What each point's polynomial of `_input_parts` must be divided by to be 1 there; its sign with the odd part's."""
    near, far = _NEAR**2, _FAR**2
    of_near, of_far = 2 * near * (near - far), 2 * far * (far - near)
    return np.diag([1 / (near * far), 1 / of_near, 1 / of_near, 1 / of_far, 1 / of_far, 1])


INPUT: _Factors = (_pairs(), _input_parts())
"""B^T: 6 input pixels to 6 numbers."""

OUTPUT: _Factors = (_powers(TILE).T, _pairs())
"""A^T: 6 products to 4 output pixels."""

OUTPUT_SLOPES: _Factors = (_pairs(), _powers(TILE))
"""A: slopes of 4 output pixels to those of 6 products."""

WEIGHTS: _Factors = (_pairs(), _shares() @ _powers(KERNEL))
"""G: 3 weights to 6 numbers."""

WEIGHT_SLOPES: _Factors = ((_shares() @ _powers(KERNEL)).T, _pairs())
"""G^T: slopes of 6 numbers to those of 3 weights."""


class _Grid:
    """An array [rows, columns, channels] of float32 in the code that is being made; channels are contiguous."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        self.builder, self.start = builder, builder.bitcast(array.data, _BYTE.as_pointer())
        self.channels = cgutils.unpack_tuple(builder, array.shape)[-1]  # type: ignore[no-untyped-call]
        self.strides = cgutils.unpack_tuple(builder, array.strides)  # type: ignore[no-untyped-call]

    def pointer(self, place: Sequence[Any], kind: Any) -> Any:
        """Where a vector of channels begins."""
        build, channel = self.builder, place[-1]
        offset = build.mul(self.strides[-1], channel)
        for stride, at in zip(self.strides[:-1], place[:-1], strict=True):
            offset = build.add(offset, build.mul(stride, channel.type(at)))
        return build.bitcast(build.gep(self.start, [offset]), kind.as_pointer())


def _combined(build: Any, factor: np.ndarray, given: Sequence[Any]) -> list[Any]:
    """The product of a constant matrix and a column of vectors; ones are added, not multiplied."""
    kind = given[0].type

    def times(number: float, vector: Any) -> Any:
        return build.fmul(vector, ir.Constant(kind, [float(np.float32(number))] * kind.count), flags=_FUSED)

    made = []
    for row in factor:
        terms = sorted(((n, v) for n, v in zip(row, given, strict=True) if n != 0), key=lambda term: abs(term[0]) != 1)
        number, total = terms[0]
        total = total if number == 1 else times(number, total)
        for number, vector in terms[1:]:
            if abs(number) == 1:
                total = (build.fadd if number == 1 else build.fsub)(total, vector, flags=_FUSED)
            else:
                total = build.fadd(total, times(number, vector), flags=_FUSED)
        made.append(total)
    return made


def _lines(build: Any, factors: _Factors, lines: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Transform every line of a grid of vectors, and give the grid turned over."""
    found = []
    for line in lines:
        for factor in reversed(factors):
            line = _combined(build, factor, line)
        found.append(line)
    return [list(line) for line in zip(*found, strict=True)]


def _served(kind: Any, *, dimensions: int = 3, written: bool = False) -> bool:
    """Whether a kind of array is one that the code serves."""
    right = isinstance(kind, types.Array) and kind.ndim == dimensions and kind.dtype == types.float32
    return right and (not written or kind.mutable)


def _transform(factors: _Factors, *, shifted: bool = False) -> Callable[..., None]:
    """Make the function that sets `out[:, :, c]` to `T grid[:, :, c] T^T`, T being the product of the factors.

    Both are float32 [rows, columns, channels] of the transform's sizes, with contiguous channels, a multiple of `LANE`.
    Nothing is checked when it runs.
    """
    count = factors[-1].shape[1]

    def write(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        given = list(zip(signature.args, values, strict=True))
        grid, out = (_Grid(context, builder, *one) for one in (given[0], given[-1]))
        shift = _Grid(context, builder, *given[1]) if shifted else None
        start = grid.channels.type(0)
        for lanes in sorted({LANES, LANE}, reverse=True):
            kind, whole = ir.VectorType(_FLOAT, lanes), start.type
            stop = builder.sub(grid.channels, builder.srem(grid.channels, whole(lanes)))
            with cgutils.for_range_slice(builder, start, stop, whole(lanes), whole) as (channel, _):
                lines = [
                    [builder.load(grid.pointer((r, c, channel), kind), align=4) for c in range(count)]
                    for r in range(count)
                ]
                turned = _lines(builder, factors, _lines(builder, factors, lines))
                if shift is not None:
                    more = builder.load(shift.pointer((channel,), kind), align=4)
                    turned = [[builder.fadd(vector, more) for vector in line] for line in turned]
                for r, line in enumerate(turned):
                    for c, vector in enumerate(line):
                        builder.store(vector, out.pointer((r, c, channel), kind), align=4)
            start = stop
        return context.get_dummy_value()

    def code(typing: Any, grid: Any, out: Any) -> Any:
        served = _served(grid) and _served(out, written=True)
        return (types.void(grid, out), write) if served else None

    def shifted_code(typing: Any, grid: Any, shift: Any, out: Any) -> Any:
        served = _served(grid) and _served(shift, dimensions=1) and _served(out, written=True)
        return (types.void(grid, shift, out), write) if served else None

    return _within_kernels(shifted_code if shifted else code)


enter_input = _transform(INPUT)
"""B^T d B: [6, 6, channels] to [6, 6, channels]."""

leave_output = _transform(OUTPUT, shifted=True)
"""A^T m A: [6, 6, channels] to [4, 4, channels]."""

enter_slopes = _transform(OUTPUT_SLOPES)
"""A y A^T: [4, 4, channels] to [6, 6, channels]."""

enter_weights = _transform(WEIGHTS)
"""G g G^T: [3, 3, channels] to [6, 6, channels]."""

leave_weights = _transform(WEIGHT_SLOPES)
"""G^T u G: [6, 6, channels] to [3, 3, channels]."""
