"""Gradients that are not numbers end an inversion before they reach what it moves."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from gen3d_tools.errors import Gen3DError


def check_gradients(named: Iterable[tuple[str, Tensor]], stage: str, step: int) -> None:
    """Refuse an update whose gradients are not finite.

    Args:
        named: Names and tensors that are about to move; those without a gradient do not.
        stage: Name of the stage, for the message.
        step: Number of the step, for the message.

    Raises:
        Gen3DError: One is not; it is named.
    """
    found = [(name, tensor.grad) for name, tensor in named if tensor.grad is not None]
    gradients = [gradient for _, gradient in found if gradient is not None]
    if not gradients or math.isfinite(float(torch.stack(torch._foreach_norm(gradients)).sum())):
        return
    for name, gradient in found:
        if gradient is not None and not bool(gradient.isfinite().all()):
            count = int((~gradient.isfinite()).sum())
            raise Gen3DError(
                f"{stage}, step {step}: {count} of {gradient.numel()} gradients of {name} are not finite; nothing was "
                "moved by them. Try another photo, seed or preset; if all fail, the model's numbers are broken"
            )
