"""Weighted rows within kernels, beside numpy's."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from gen3d_tools.kernels.network.rows import add_to_rows, blend_rows

ROWS, WEIGHTS = (5, 0, 5, 2, 6, 1), (0.5, -1.25, 2.0, 0.0, 0.75, -0.125)


@njit
def blended(table, out):
    weights = (np.float32(0.5), np.float32(-1.25), np.float32(2), np.float32(0), np.float32(0.75), np.float32(-0.125))
    blend_rows(table, (5, 0, 5, 2, 6, 1), weights, out)


@njit
def added(table, vector):
    weights = (np.float32(0.5), np.float32(-1.25), np.float32(2), np.float32(0), np.float32(0.75), np.float32(-0.125))
    add_to_rows(table, (5, 0, 5, 2, 6, 1), weights, vector)


def drawn(*shape: int) -> np.ndarray:
    return np.random.RandomState(len(shape) + shape[-1]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("length", [8, 16, 24, 64, 72])
def test_weighted_rows_are_summed(length):
    table, out = drawn(7, length), drawn(length)
    blended(table, out)
    np.testing.assert_allclose(out, np.float64(WEIGHTS) @ table[list(ROWS)].astype(np.float64), atol=1e-6)


@pytest.mark.parametrize("length", [8, 16, 24, 64, 72])
def test_rows_get_weighted_vectors_also_twice(length):
    table, vector = drawn(7, length), drawn(length)
    wanted = table.astype(np.float64)
    np.add.at(wanted, list(ROWS), np.outer(WEIGHTS, vector))
    added(table, vector)
    np.testing.assert_allclose(table, wanted, atol=1e-6)


def test_what_must_not_be_written_is_refused():
    table, vector = drawn(7, 16), drawn(16)
    table.flags.writeable = vector.flags.writeable = False
    with pytest.raises(TypingError):
        blended(table, vector)
    with pytest.raises(TypingError):
        added(table, vector)


@pytest.mark.parametrize("wrong", ["double", "turned", "short"])
def test_arrays_that_the_code_does_not_serve_are_refused(wrong):
    table, out = drawn(7, 16), drawn(16)
    table = {"double": table.astype(np.float64), "turned": drawn(16, 7).T, "short": table[0]}[wrong]
    with pytest.raises(TypingError):
        blended(table, out)
