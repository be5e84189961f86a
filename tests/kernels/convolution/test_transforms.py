"""Winograd's transforms in exact arithmetic."""

import itertools
from fractions import Fraction

import numpy as np

from gen3d_tools.kernels.convolution import transforms
from gen3d_tools.kernels.convolution.transforms import KERNEL, PATCH, TILE


def exact(factors) -> np.ndarray:
    """The product of a transform's factors; the points make no denominator above 243."""
    product = np.linalg.multi_dot([*factors, np.eye(factors[-1].shape[1])])
    return np.vectorize(lambda number: Fraction(number).limit_denominator(243), otypes=[object])(product)


INPUT, OUTPUT, WEIGHTS = map(exact, (transforms.INPUT, transforms.OUTPUT, transforms.WEIGHTS))


def whole(*shape: int) -> np.ndarray:
    """Whole numbers as exact ones."""
    drawn = np.random.default_rng(sum(shape)).integers(-9, 10, shape)
    return np.vectorize(Fraction, otypes=[object])(drawn)


def test_transforms_make_a_correlation():
    pixels, kernel = whole(PATCH, PATCH), whole(KERNEL, KERNEL)
    products = (WEIGHTS @ kernel @ WEIGHTS.T) * (INPUT @ pixels @ INPUT.T)
    found = OUTPUT @ products @ OUTPUT.T
    for y, x in itertools.product(range(TILE), repeat=2):
        assert found[y, x] == (kernel * pixels[y : y + KERNEL, x : x + KERNEL]).sum()


def test_slopes_go_back_by_the_transposes():
    assert (exact(transforms.OUTPUT_SLOPES) == OUTPUT.T).all()
    assert (exact(transforms.WEIGHT_SLOPES) == WEIGHTS.T).all()


def test_a_kernels_slopes_are_a_correlation_of_pixels_and_slopes():
    pixels, slopes = whole(PATCH, PATCH), whole(TILE, TILE)
    products = (OUTPUT.T @ slopes @ OUTPUT) * (INPUT @ pixels @ INPUT.T)
    found = WEIGHTS.T @ products @ WEIGHTS
    for y, x in itertools.product(range(KERNEL), repeat=2):
        assert found[y, x] == (slopes * pixels[y : y + TILE, x : x + TILE]).sum()
