"""Torch on one thread, so that its sums are the same everywhere; kernels, which are the same anyway, on all."""

import torch

from gen3d_tools.fields.compiled import kernel_threads
from gen3d_tools.kernels.compiling.threads import allotted_threads, steady_torch


def test_kernels_keep_their_threads_where_torch_gives_its_up():
    before, kernels = torch.get_num_threads(), kernel_threads()
    try:
        torch.set_num_threads(3)
        with steady_torch(), steady_torch():
            assert torch.get_num_threads() == 1
            assert allotted_threads() == 3
        assert torch.get_num_threads() == allotted_threads() == 3
    finally:
        torch.set_num_threads(before)
    with steady_torch():
        assert kernel_threads() == kernels
