"""What a regular lattice needs of the planes: three tables instead of three look-ups per point.

The first hidden layer at lattice point [i, j, k] is `xy[i, j] + xz[i, k] + yz[j, k]`, so each plane is resampled
once at the n^2 lattice points of its two axes (separably: first along one, then along the other), and then
multiplied by W1.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gen3d_tools.kernels.network.numbers import HIDDEN_ACTIVATIONS, SOFTPLUS, DecoderNumbers, TriplaneNumbers
from gen3d_tools.kernels.network.numbers import LEAKY_RELU as LEAKY_RELU

EXP_SEPARABLE = -1  # beside the codes of `HIDDEN_ACTIVATIONS`
LANES = 64  # units the innermost loops run over: a number that the compiler knows. Layers are padded to whole ones.
DEEP = 4  # further hidden layers from which on bounds are too wide: a network is looked at instead
_LARGEST_EXPONENT = 28.0  # exp(28)^3 is a float32


class Lattice(NamedTuple):
    """A field's numbers on a lattice; H hidden units, padded with units that nobody reads.

    A table of an axis pair that no plane covers has one entry, and `steps` 0 to stay there.
    """

    xy: np.ndarray  # [n, n, H], the bias of the first layer included
    xz: np.ndarray
    yz: np.ndarray
    steps: np.ndarray  # [3] 1, or 0 for a table of one entry
    form: int  # EXP_SEPARABLE: the tables hold exp(.), to be multiplied; else the hidden layer, to be added
    size: int  # points along each side, n
    deeper: np.ndarray  # [layers, H out / LANES, H in, LANES] further hidden layers
    deeper_bias: np.ndarray  # [layers, H out / LANES, LANES]
    activation: int  # of deeper layers, see `HIDDEN_ACTIVATIONS`
    row: np.ndarray  # [H] weights of the raw density
    bias: np.float32

    @property
    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All three."""
        return self.xy, self.xz, self.yz


def lattice_of(numbers: TriplaneNumbers, size: int) -> Lattice:
    """Resample a field's planes for a lattice of `size` points over the box, both faces included.

    The tables hold the hidden layer; `exponentiate` turns them into factors.
    """
    decoder = numbers.decoder
    width = padded_width(decoder)
    by_axes = dict(zip(numbers.axes, numbers.texels, strict=True))
    tables = {pair: np.zeros((1, 1, width), np.float32) for pair in ((0, 1), (0, 2), (1, 2))}
    weight = _padded(decoder.weights[0].T * np.float32(numbers.scale), numbers.texels.shape[-1], width)
    matrix = axis_weights(size, numbers.texels.shape[1], align_corners=numbers.align_corners)
    for pair, texels in by_axes.items():
        tables[pair] = resample(texels, *matrix) @ weight
    tables[0, 1] += _padded(decoder.biases[0][None], 1, width)[0]
    row, bias = decoder.density_layer
    xy, xz, yz = tables.values()
    return Lattice(
        xy,
        xz,
        yz,
        steps=np.array([int(table.shape[0] > 1) for table in tables.values()]),
        form=HIDDEN_ACTIVATIONS[decoder.activation],
        size=size,
        deeper=_stacked([_in_lanes(w.T, width, width) for w in decoder.weights[1:-1]], width, width),
        deeper_bias=_stacked([_in_lanes(b[None], 1, width) for b in decoder.biases[1:-1]], 1, width)[:, :, 0],
        activation=HIDDEN_ACTIVATIONS[decoder.activation],
        row=_padded(row[None], 1, width)[0],
        bias=np.float32(bias),
    )


def padded_width(decoder: DecoderNumbers) -> int:
    """Hidden units of the widest layer, filled up to whole `LANES`."""
    return -(-max(len(bias) for bias in decoder.biases[:-1]) // LANES) * LANES


def exponentiate(lattice: Lattice) -> Lattice:
    """Turn the tables of a softplus network into factors, in place, unless a product could overflow.

    Then `softplus(a + b + c) = log(1 + exp(a) exp(b) exp(c))` needs no exponential per point.
    """
    largest = max(max(float(table.max()), -float(table.min())) for table in lattice.tables)
    if lattice.form != SOFTPLUS or largest > _LARGEST_EXPONENT:
        return lattice
    for table in lattice.tables:
        np.exp(table, out=table)
    return lattice._replace(form=EXP_SEPARABLE)


def axis_weights(
    size: int, texels: int, *, align_corners: bool
) -> tuple[np.ndarray, Float[np.ndarray, " size"], Float[np.ndarray, " size"]]:
    """Bilinear weights along one axis for `size` points over the box, both ends included.

    Beyond the outermost texel centres the missing neighbour counts as zero.

    Returns:
        Index of the lower neighbour (clamped), and the weights of it and of the next.
    """
    unit = np.arange(size) / (size - 1)
    place = unit * (texels - 1) if align_corners else unit * texels - 0.5
    lower = np.minimum(np.floor(place), texels - 1).astype(np.int64)
    upper_weight = place - lower
    lower_weight = np.where(lower >= 0, 1 - upper_weight, 0)
    upper_weight = np.where(lower + 1 < texels, upper_weight, 0)
    return lower, lower_weight.astype(np.float32), upper_weight.astype(np.float32)


def resample(
    texels: Float[np.ndarray, "v u channels"],
    lower: np.ndarray,
    lower_weight: Float[np.ndarray, " n"],
    upper_weight: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n n channels"]:
    """Resample a plane at all pairs of lattice coordinates; the result is indexed [u, v]."""
    below, above = np.maximum(lower, 0), np.minimum(lower + 1, texels.shape[0] - 1)
    rows = np.empty((len(lower), *texels.shape[1:]), np.float32)  # [n, u, channels]
    np.multiply(texels[below], lower_weight[:, None, None], out=rows)
    rows += texels[above] * upper_weight[:, None, None]
    columns = np.ascontiguousarray(rows.transpose(1, 0, 2))  # [u, n, channels]
    del rows
    result: np.ndarray = columns[below] * lower_weight[:, None, None]
    result += columns[above] * upper_weight[:, None, None]
    return result


def _padded(matrix: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Surround a matrix by zeros on the right and below."""
    result = np.zeros((rows, columns), np.float32)
    result[: matrix.shape[0], : matrix.shape[1]] = matrix
    return result


def _in_lanes(matrix: np.ndarray, rows: int, columns: int) -> Float[np.ndarray, "parts rows lanes"]:
    """Pad a matrix and cut it into pieces of `LANES` columns."""
    return _padded(matrix, rows, columns).reshape(rows, -1, LANES).transpose(1, 0, 2)


def _stacked(layers: list[np.ndarray], rows: int, columns: int) -> Float[np.ndarray, "layers parts rows lanes"]:
    """Stack what `_in_lanes` gave for each layer, of which there may be none."""
    return np.ascontiguousarray(np.array(layers, np.float32).reshape(-1, columns // LANES, rows, LANES))
