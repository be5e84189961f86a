"""What a processor computes in: bfloat16 where it can, kernels' gradients as it is quickest. Asked in one place."""

import functools
import logging

import torch

logger = logging.getLogger(__name__)

_ARITHMETIC = ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16")  # as torch names what processors can do

_LARGE = 1 << 19  # numbers of one sample's feature maps: 512 channels of 32 x 32


@functools.cache
def computes_in_bfloat16(device_type: str) -> bool:
    """Whether a device has bfloat16 arithmetic of its own.

    A processor without it emulates every operation: a backbone takes 16 times as long as in float32 (measured with
    AVX2), a super-resolution 8 times.

    Args:
        device_type: Such as "cpu" or "cuda".
    """
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device_type != "cpu":
        return True
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in _ARITHMETIC)


def usable_dtype(wanted: torch.dtype, device: torch.device) -> torch.dtype:
    """Give the precision that is wanted, or float32 instead of a bfloat16 that would be emulated; says so once."""
    if wanted != torch.bfloat16 or computes_in_bfloat16(device.type):
        return wanted
    _say_once(device.type)
    return torch.float32


def half_precision(device: torch.device, *, clamped: bool) -> torch.dtype:
    """Dtype of the half-precision blocks of a network that learns.

    float16 on CUDA where the blocks are clamped, as published; bfloat16, which needs no clamp, on CUDA otherwise and on
    processors that compute in it; float32 elsewhere.

    Args:
        device: Where the network lies.
        clamped: Whether what the blocks compute is kept within float16.
    """
    if device.type == "cuda" and clamped:
        return torch.float16
    able = device.type in ("cpu", "cuda") and computes_in_bfloat16(device.type)
    return torch.bfloat16 if able else torch.float32


@functools.cache
def _say_once(device_type: str) -> None:
    logger.info("this %s has no bfloat16 arithmetic: convolutions run in float32, which is faster here", device_type)


def kernels_learn_by_channel(maps: torch.Tensor) -> bool:
    """Whether the gradient of a convolution's kernel is quicker where feature maps lie channel by channel.

    On processors with AVX2 and no AVX-512, oneDNN takes three to six times as long for large maps whose channels lie
    last, which all else wants: 1.2 s instead of .42 s for 512 channels of 64 x 64 on one thread.
    """
    on_avx2 = maps.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"
    return on_avx2 and maps[0].numel() >= _LARGE
