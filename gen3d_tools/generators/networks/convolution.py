"""The convolutions of StyleGAN2 and the way back through them: at the same size, or at twice the size and low-passed.

On processors, 3 x 3 kernels over maps of some size are computed by Winograd's tiles, with a quarter of the products;
what is too small, of another precision or on another device, by torch. Gradients of gradients go the same ways, but
for those of a kernel's gradient, which are torch's.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

from gen3d_tools.generators.networks.precision import kernels_learn_by_channel
from gen3d_tools.kernels.compiling.threads import allotted_threads
from gen3d_tools.kernels.convolution import winograd

_LEAST_TILES = 48  # of all samples: below, transforming a kernel of 256 channels takes as long as is saved
_LEAST_TILES_TO_LEARN = 16  # where the kernel's gradient is wanted
_LEAST_WORK = 1 << 22  # tiles x channels x channels of what is computed once: less is not worth code to be loaded


def convolve(
    x: Float[Tensor, "b in_channels h w"],
    kernel: Float[Tensor, "out_channels in_channels k k"],
    bias: Float[Tensor, " out_channels"] | None,
    taps: Float[Tensor, "4 4"] | None = None,
    *,
    learning: bool = False,
) -> Float[Tensor, "b out_channels h2 w2"]:
    """Convolve at the same size, or at twice the size and low-pass the result.

    Args:
        x: Feature maps, zeros beyond the border.
        kernel: Correlation orientation, odd size.
        bias: Added at the end.
        taps: The low-pass filter, if the size is doubled.
        learning: Whether this is one of many steps, where tiles pay on smaller maps; so it is where autograd sees it.
    """
    if taps is not None:
        y = F.conv_transpose2d(x, kernel.transpose(0, 1), stride=2)
        return F.conv2d(y, taps.expand(y.shape[1], 1, 4, 4), bias, padding=1, groups=y.shape[1])
    seen = wants_gradient(x, kernel, bias)
    samples, least = len(x), float(_LEAST_TILES)
    if not (seen or learning):  # a sample's bytes do not depend on how many others there are
        samples, least = 1, max(least, _LEAST_WORK / (len(kernel) * kernel.shape[1]))
    if _is_transformed() or not (_fits(x, kernel, bias) and _in_tiles(x, kernel, least, samples)):
        return F.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2)
    if seen:
        in_tiles: Tensor = _InTiles.apply(x, kernel, bias)  # type: ignore[no-untyped-call]
        return in_tiles
    return _convolved_in_tiles(x, kernel, bias, back=False)


def wants_gradient(*tensors: Tensor | None) -> bool:
    """Whether autograd has to see what happens to any of these; if not, work may be done in place."""
    return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


def convolution_backward(
    slopes: Float[Tensor, "b out_channels h2 w2"],
    x: Float[Tensor, "b in_channels h w"],
    kernel: Float[Tensor, "out_channels in_channels k k"],
    taps: Float[Tensor, "4 4"] | None,
    *,
    wants_x: bool,
    wants_kernel: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of the input and the kernel of `convolve`, of those that are wanted."""
    x_in_tiles = wants_x and taps is None and _in_tiles(slopes, kernel, _LEAST_TILES, len(x))
    kernel_in_tiles = wants_kernel and taps is None and _in_tiles(x, kernel, _LEAST_TILES_TO_LEARN, len(x))
    wanted = wants_x and not x_in_tiles, wants_kernel and not kernel_in_tiles
    of_x, of_kernel = _torch_backward(slopes, x, kernel, taps, *wanted) if any(wanted) else (None, None)
    if x_in_tiles:
        of_x = _convolved_in_tiles(slopes, kernel, None, back=True)
    if kernel_in_tiles:
        of_kernel = _kernel_slopes_in_tiles(x, slopes)
    return of_x, of_kernel


def _torch_backward(
    slopes: Tensor, x: Tensor, kernel: Tensor, taps: Tensor | None, wants_x: bool, wants_kernel: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Torch's own way back."""
    doubles = taps is not None
    if taps is not None:
        channels = slopes.shape[1]
        slopes = F.conv2d(slopes, taps.expand(channels, 1, 4, 4), padding=2, groups=channels)
    stride, padding = ([2, 2], [0, 0]) if doubles else ([1, 1], [kernel.shape[-1] // 2] * 2)
    turned = kernel.transpose(0, 1) if doubles else kernel

    def back(slopes: Tensor, x: Tensor, kernel: Tensor, *wanted: bool) -> tuple[Tensor | None, Tensor | None]:
        of_x, of_kernel, _ = torch.ops.aten.convolution_backward(
            slopes, x, kernel, None, stride, padding, [1, 1], doubles, [0, 0], 1, [*wanted, False]
        )
        return of_x, of_kernel

    if wants_kernel and kernels_learn_by_channel(x):
        of_x, _ = back(slopes, x, turned, True, False) if wants_x else (None, None)
        # Of the kernel itself its gradient needs the shape alone, and how it lies decides how all is computed.
        _, of_kernel = back(slopes.contiguous(), x.contiguous(), turned.new_empty(turned.shape), False, True)
    else:
        of_x, of_kernel = back(slopes, x, turned, wants_x, wants_kernel)
    return of_x, of_kernel.transpose(0, 1) if doubles and of_kernel is not None else of_kernel


class _InTiles(torch.autograd.Function):
    """A convolution in tiles that autograd sees; the way back can be differentiated in its turn."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, kernel)
        return _convolved_in_tiles(x, kernel, bias, back=False)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel = ctx.saved_tensors
        wants_x, wants_kernel = _asked_for(ctx, 0), _asked_for(ctx, 1)
        if torch.is_grad_enabled():  # somebody wants gradients of the gradients
            of_x = convolve(slopes, kernel.transpose(0, 1).flip(2, 3), None, learning=True) if wants_x else None
            of_kernel = _torch_backward(slopes, x, kernel, None, False, True)[1] if wants_kernel else None
        else:
            of_x, of_kernel = convolution_backward(slopes, x, kernel, None, wants_x=wants_x, wants_kernel=wants_kernel)
        return of_x, of_kernel, slopes.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None


def _asked_for(ctx: Any, index: int) -> bool:
    """Whether the gradient of an input is asked for now, of those that may be (`needs_input_grad`).

    A gradient penalty asks for that of the maps alone, and the kernel's takes as long again.
    """
    if not ctx.needs_input_grad[index]:
        return False
    try:
        return torch._C._will_engine_execute_node(ctx.next_functions[index][0])
    except RuntimeError:  # torch does not tell of a leaf
        return True


def _in_tiles(maps: Tensor, kernel: Tensor, least: float, samples: int) -> bool:
    """Whether a convolution of maps with a kernel is one that tiles serve, and large enough with so many samples."""
    on_processor = maps.device.type == "cpu" and maps.dtype == kernel.dtype == torch.float32
    served = kernel.shape[2:] == (3, 3) and all(channels % winograd.CHANNELS == 0 for channels in kernel.shape[:2])
    return on_processor and served and samples * winograd.tiles_of(*maps.shape[2:]) >= least


def _fits(x: Tensor, kernel: Tensor, bias: Tensor | None) -> bool:
    """Whether shapes and precisions agree, which compiled code does not check; torch says what does not."""
    right = bias is None or (bias.shape == kernel.shape[:1] and bias.dtype == kernel.dtype)
    return right and x.ndim == 4 and x.shape[1] == kernel.shape[1]


def _is_transformed() -> bool:
    """Whether torch compiles, records or transforms what is computed, and so must see operations of its own.

    Such as fake tensors, `torch.func` and gradients forwards: results would be wrong without a word.
    """
    recorded = torch.compiler.is_compiling() or torch._C._is_tracing() or torch._C._len_torch_dispatch_stack() > 0
    return recorded or forward_ad._current_level >= 0 or torch._C._functorch.peek_interpreter_stack() is not None


def _channels_last(maps: Tensor) -> np.ndarray:
    """Maps or kernels as an array, [maps, height, width, channels]."""
    return maps.detach().contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).numpy()


def _unset(*shape: int) -> Tensor:
    """Maps or kernels to be computed, whatever torch's default device and precision are."""
    return torch.empty(shape, dtype=torch.float32, device="cpu", memory_format=torch.channels_last)


def _convolved_in_tiles(x: Tensor, kernel: Tensor, bias: Tensor | None, *, back: bool) -> Tensor:
    out = _unset(len(x), kernel.shape[1 if back else 0], *x.shape[2:])
    added = None if bias is None else bias.detach().contiguous().numpy()
    arrays = _channels_last(x), _channels_last(kernel), added, _channels_last(out)
    winograd.convolve(*arrays, threads=allotted_threads(), back=back)
    return out


def _kernel_slopes_in_tiles(x: Tensor, slopes: Tensor) -> Tensor:
    out = _unset(slopes.shape[1], x.shape[1], 3, 3)
    winograd.kernel_slopes(_channels_last(x), _channels_last(slopes), _channels_last(out), threads=allotted_threads())
    return out
