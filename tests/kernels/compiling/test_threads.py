"""Torch on one thread, so that its sums are the same everywhere; kernels, which are the same anyway, on all."""

import torch

from gen3d_tools.fields.compiled import kernel_threads
from gen3d_tools.kernels.compiling.threads import allowed_threads, one_torch_thread


def test_kernels_keep_their_threads_where_torch_gives_its_up():
    before, kernels = torch.get_num_threads(), kernel_threads()
    try:
        torch.set_num_threads(3)
        with one_torch_thread(), one_torch_thread():
            assert torch.get_num_threads() == 1
            assert allowed_threads() == 3
        assert torch.get_num_threads() == allowed_threads() == 3
    finally:
        torch.set_num_threads(before)
    with one_torch_thread():
        assert kernel_threads() == kernels
