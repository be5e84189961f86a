"""Products of small matrices within kernels, beside numpy's."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from gen3d_tools.kernels.network.products import LANE, add_product, linear, multiply

SHAPES = [(32, 16, 64), (32, 64, 64), (33, 32, 40), (1, 3, 8), (5, 0, 16), (7, 9, 24)]


@njit
def multiplied(a, b, out):
    multiply(a, b, out)


@njit
def added(a, b, out):
    add_product(a, b, out)


@njit
def linear_of(a, b, bias, out):
    linear(a, b, bias, out)


def drawn(*shape: int) -> np.ndarray:
    return np.random.RandomState(len(shape) + shape[0]).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("rows", "shared", "columns"), SHAPES)
@pytest.mark.parametrize("turned", [False, True])
def test_products_are_those_of_matrices_of_any_size(rows, shared, columns, turned):
    a, b, bias, before = drawn(rows, shared), drawn(shared, columns), drawn(columns), drawn(rows, columns)
    given = np.ascontiguousarray(a.T).T if turned else a
    wanted = a.astype(np.float64) @ b.astype(np.float64)
    set_, sum_, shifted = before.copy(), before.copy(), before.copy()
    multiplied(given, b, set_)
    added(given, b, sum_)
    linear_of(given, b, bias, shifted)
    np.testing.assert_allclose(set_, wanted, atol=1e-5)
    np.testing.assert_allclose(sum_, wanted + before, atol=1e-5)
    np.testing.assert_allclose(shifted, wanted + bias, atol=1e-5)


def test_equal_rows_give_equal_bytes_wherever_they_are():
    row, b, bias = drawn(1, 64), drawn(64, 64), drawn(64)
    out = np.empty((39, 64), np.float32)
    linear_of(np.repeat(row, 39, axis=0), b, bias, out)
    assert {one.tobytes() for one in out} == {out[0].tobytes()}


def test_a_column_has_equal_bytes_in_wide_and_narrow_results():
    a, b = drawn(6, 20), drawn(20, 8 * LANE)
    whole = np.empty((6, 8 * LANE), np.float32)
    multiplied(a, b, whole)
    for first in range(0, 8 * LANE, LANE):
        part = np.empty((6, LANE), np.float32)
        multiplied(a, np.ascontiguousarray(b[:, first : first + LANE]), part)
        assert part.tobytes() == np.ascontiguousarray(whole[:, first : first + LANE]).tobytes()


def test_a_result_may_be_some_columns_of_a_matrix_but_not_lie_turned_over():
    a, b, whole = drawn(9, 5), drawn(5, 16), np.zeros((9, 40), np.float32)
    multiplied(a, b, whole[:, 8:24])
    np.testing.assert_allclose(whole[:, 8:24], a.astype(np.float64) @ b, atol=1e-5)
    assert not whole[:, :8].any()
    assert not whole[:, 24:].any()
    with pytest.raises(TypingError):
        multiplied(a, b, np.zeros((16, 9), np.float32).T)


def test_other_numbers_are_refused_where_they_are_compiled():
    with pytest.raises(TypingError):
        multiplied(np.zeros((2, 2)), np.zeros((2, 8)), np.zeros((2, 8)))
