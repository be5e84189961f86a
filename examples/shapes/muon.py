"""Muon: momentum whose matrix update is orthogonalised (Jordan et al., 2024).

A convolution kernel [out, in, k, k] is treated as the matrix [out, in k k]. Demodulated kernels are
scale-free, so the update is scaled to unit root mean square: `lr` is the relative change per step.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Push all singular values of [b, m, n] matrices towards 1 by a quintic Newton-Schulz iteration in bfloat16."""
    a, b, c = _QUINTIC
    x = (matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)).bfloat16()
    transposed = x.shape[-2] > x.shape[-1]
    x = x.mT if transposed else x
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if transposed else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised per kernel. Kernels of one shape are processed as one batch."""

    def __init__(self, params: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
            for parameters in by_shape.values():
                self._step_alike(parameters, group)

    def _step_alike(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        updates = []
        for parameter in parameters:
            state = self.state[parameter]
            momentum = state.setdefault("momentum", torch.zeros_like(parameter))
            momentum.lerp_(parameter.grad, 1 - group["momentum"])
            updates.append(parameter.grad.lerp(momentum, group["momentum"]).flatten(1))
        directions = orthogonalize(torch.stack(updates))
        scale = group["lr"] * max(directions.shape[-2:]) ** 0.5
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.sub_(direction.reshape(parameter.shape), alpha=scale)
