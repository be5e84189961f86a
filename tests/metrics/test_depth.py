import numpy as np
import pytest

from gen3d_tools.errors import InputError
from gen3d_tools.metrics.depth import compare_depth

SLOPE = np.linspace(1.0, 3.0, 400).reshape(20, 20)


def test_scale_and_zero_do_not_matter():
    found = compare_depth(7 * SLOPE - 4, SLOPE)
    assert found.error == pytest.approx(0, abs=1e-9)
    assert found.rank_correlation == pytest.approx(1)


def test_a_bent_map_keeps_its_ranks_and_has_an_error():
    found = compare_depth(SLOPE**3, SLOPE)
    assert found.rank_correlation == pytest.approx(1)
    assert 0.02 < found.error < 0.2


def test_an_inverted_map_has_inverted_ranks():
    assert compare_depth(-SLOPE, SLOPE).rank_correlation == pytest.approx(-1)


def test_a_flat_map_knows_nothing():
    found = compare_depth(np.ones_like(SLOPE), SLOPE)
    assert found.rank_correlation == 0
    assert found.error == pytest.approx(0.25, abs=0.01)  # mean |x - mean| of an even spread


def test_only_chosen_pixels_count():
    spoilt = SLOPE.copy()
    spoilt[:, :5] = 1e6
    where = np.ones_like(SLOPE, bool)
    where[:, :5] = False
    assert compare_depth(spoilt, SLOPE, where).error == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="share 0 pixels"):
        compare_depth(SLOPE, SLOPE, np.zeros_like(where))
