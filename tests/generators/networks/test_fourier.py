import math

import pytest
import torch

from gen3d_tools.generators.networks.fourier import fourier_features, fourier_frequencies, fourier_width


def test_frequencies_double_up_to_half_a_turn():
    assert fourier_frequencies(16.0).tolist() == pytest.approx([math.pi / 16, math.pi / 8, math.pi / 4, math.pi / 2])
    assert len(fourier_frequencies(10.0)) == 4  # rounded up


def test_coordinates_are_encoded_one_after_the_other():
    encoded = fourier_features(torch.tensor([0.5, -0.25]), 4.0, raw=True)
    expected = []
    for x in (0.5, -0.25):
        phases = [x * 4 * math.pi / 4, x * 4 * math.pi / 2]
        expected += [x, *map(math.sin, phases), *map(math.cos, phases)]
    assert encoded.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("cosines", [True, False])
@pytest.mark.parametrize("raw", [True, False])
def test_width_is_what_comes_out(cosines, raw):
    encoded = fourier_features(torch.rand(7, 3), 8.0, cosines=cosines, raw=raw)
    assert encoded.shape == (7, 3 * fourier_width(8.0, cosines=cosines, raw=raw))
