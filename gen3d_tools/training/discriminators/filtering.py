"""StyleGAN2's low-pass filter as steps of autograd whose ways back are filters again.

Torch's own way back through a convolution channel by channel takes four times as long as the way forth, eighty times
in bfloat16.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.generators.networks.layers import low_pass_filter
from gen3d_tools.generators.networks.modulated import Doubled

_REACH = 3  # pixels that a filter of four taps needs beyond one


def low_passed(x: Float[Tensor, "b channels h w"], *, padding: int) -> Float[Tensor, "b channels h2 w2"]:
    """Filter each channel with [1, 3, 3, 1] x [1, 3, 3, 1] / 64 and zeros around: 2 padding - 3 pixels larger."""
    taps = low_pass_filter(x.dtype, x.device)
    smooth: Tensor = _LowPassed.apply(x, taps, padding)  # type: ignore[no-untyped-call]
    return smooth


def halved(x: Float[Tensor, "b channels h w"]) -> Float[Tensor, "b channels h/2 w/2"]:
    """Filter each channel the same way with one zero around, and take every second pixel."""
    smooth: Tensor = _Halved.apply(x, low_pass_filter(x.dtype, x.device))  # type: ignore[no-untyped-call]
    return smooth


class _LowPassed(torch.autograd.Function):
    """The filter is symmetric: the way back is the filter, with the padding that gives the size of before."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(taps)
        ctx.padding = padding
        return filtered(x, taps, padding=padding, stride=1)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None, None]:
        (taps,) = ctx.saved_tensors
        return _LowPassed.apply(slopes, taps, _REACH - ctx.padding), None, None  # type: ignore[no-untyped-call]


class _Halved(torch.autograd.Function):
    """The way back is the enlargement of the generator's running image, a quarter of it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: Tensor) -> Tensor:
        ctx.save_for_backward(taps)
        return filtered(x, taps, padding=1, stride=2)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor, None]:
        (taps,) = ctx.saved_tensors
        return Doubled.apply(slopes, taps * 4) / 4, None  # type: ignore[no-untyped-call]


def filtered(x: Tensor, taps: Tensor, *, padding: int, stride: int) -> Tensor:
    """Filter each channel; torch's own way back."""
    return F.conv2d(x, taps.expand(x.shape[1], 1, 4, 4), padding=padding, stride=stride, groups=x.shape[1])
