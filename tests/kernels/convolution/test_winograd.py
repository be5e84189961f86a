"""Convolutions in tiles against direct ones in double precision."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gen3d_tools.kernels.convolution import winograd

TOLERANCE = 4e-6  # relative L2; a direct float32 convolution of 512 channels rounds by 1.2e-6

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def drawn(samples: int, inputs: int, outputs: int, height: int, width: int) -> Arrays:
    """Maps, a kernel and the slopes of what comes out, channels last."""
    rng = np.random.default_rng(inputs + outputs)
    shapes = (samples, height, width, inputs), (outputs, 3, 3, inputs), (samples, height, width, outputs)
    maps, kernel, slopes = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return maps, kernel, slopes


def channels_first(array: np.ndarray) -> torch.Tensor:
    """The same numbers in double precision, as torch has them."""
    return torch.from_numpy(array).double().permute(0, 3, 1, 2)


def in_tiles(arrays: Arrays, bias: np.ndarray | None = None, threads: int = 1) -> Arrays:
    """What comes out, the slopes of the maps and those of the kernel."""
    maps, kernel, slopes = arrays
    out, of_maps, of_kernel = np.empty_like(slopes), np.empty_like(maps), np.empty_like(kernel)
    winograd.convolve(maps, kernel, bias, out, threads=threads)
    winograd.convolve(slopes, kernel, None, of_maps, threads=threads, back=True)
    winograd.kernel_slopes(maps, slopes, of_kernel, threads=threads)
    return out, of_maps, of_kernel


def directly(arrays: Arrays, bias: np.ndarray | None = None) -> list[torch.Tensor]:
    """The same by torch, in double precision."""
    maps, kernel, slopes = map(channels_first, arrays)
    maps.requires_grad_()
    kernel.requires_grad_()
    out = F.conv2d(maps, kernel, None if bias is None else torch.from_numpy(bias).double(), padding=1)
    return [out, *torch.autograd.grad(out, (maps, kernel), slopes)]


def assert_all_close(found: Arrays, wanted: list[torch.Tensor]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert (channels_first(one) - other).norm() <= TOLERANCE * other.norm()


@settings(max_examples=25, deadline=None)
@given(
    samples=st.integers(1, 3),
    inputs=st.integers(1, 5),
    outputs=st.integers(1, 5),
    height=st.integers(1, 19),
    width=st.integers(1, 19),
)
def test_any_size_gives_what_a_direct_convolution_gives(samples, inputs, outputs, height, width):
    arrays = drawn(samples, 8 * inputs, 8 * outputs, height, width)
    assert_all_close(in_tiles(arrays), directly(arrays))


@pytest.mark.parametrize(("inputs", "outputs"), [(16, 144), (72, 24), (200, 264)])  # more than is held at once
def test_many_channels_are_worked_through_in_groups(inputs, outputs):
    arrays = drawn(2, inputs, outputs, 10, 7)
    assert_all_close(in_tiles(arrays), directly(arrays))


def test_a_bias_is_added_to_every_pixel():
    arrays, bias = drawn(1, 8, 144, 6, 9), np.arange(144, dtype=np.float32)
    assert_all_close(in_tiles(arrays, bias), directly(arrays, bias))


def test_threads_change_no_byte(monkeypatch):
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 3)
    arrays = drawn(2, 40, 48, 45, 50)
    for alone, together in zip(in_tiles(arrays), in_tiles(arrays, threads=3), strict=True):
        assert alone.tobytes() == together.tobytes()


def test_what_is_not_finite_stays_within_its_tiles():
    maps, kernel, slopes = drawn(1, 8, 8, 24, 24)
    maps[0, 12, 12, 3] = np.inf
    out = in_tiles((maps, kernel, slopes))[0]
    assert not np.isfinite(out[0, 11:14, 11:14]).any()
    assert np.isfinite(out[0, :8]).all()
