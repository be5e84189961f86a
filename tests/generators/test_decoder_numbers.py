"""What decoders say of themselves is what they compute."""

import numpy as np
import pytest
import torch

from gen3d_tools.generators.networks.decoder import Decoder
from gen3d_tools.generators.networks.epigraf.decoder import PlaneDecoder

DECODERS = [
    Decoder(8, [16, 16], 5, lr_multiplier=0.5, density_gain=30.0),
    PlaneDecoder(8, 16, 2),
    PlaneDecoder(8, 16, 2, density_gain=20.0),
    PlaneDecoder(8, 16, 3, color_activation="sigmoid"),
]


@pytest.mark.parametrize("decoder", DECODERS)
def test_numbers_give_the_same_values_and_density(decoder):
    generator = torch.Generator().manual_seed(0)
    for parameter in decoder.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    features = torch.randn(20, 8, generator=generator)
    values, raw = decoder(features)
    numbers = decoder.numbers()
    x = features.numpy()
    for weight, bias in zip(numbers.weights[:-1], numbers.biases[:-1], strict=True):
        x = x @ weight.T + bias
        x = np.logaddexp(x, 0) if numbers.activation == "softplus" else np.maximum(x, 0.2 * x)
    row, bias = numbers.density_layer
    np.testing.assert_allclose(x @ row + bias, raw.detach(), atol=1e-4, rtol=1e-4)
    outputs = np.delete(x @ numbers.weights[-1].T + numbers.biases[-1], numbers.density_row, 1)
    if numbers.value_activation == "sigmoid":
        outputs = 1 / (1 + np.exp(-outputs))
    found = outputs * numbers.value_gain + numbers.value_offset
    np.testing.assert_allclose(found, values.detach(), atol=1e-4, rtol=1e-4)


def test_decoders_that_read_more_than_features_have_no_numbers():
    assert PlaneDecoder(8, 16, 2, posenc_period=8.0).numbers() is None
    assert PlaneDecoder(8, 16, 2, view_conditioned=True).numbers() is None
