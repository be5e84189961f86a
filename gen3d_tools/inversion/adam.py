"""Adam (Kingma & Ba 2015), as both stages use it, without what `torch.optim.Adam` brings along.

The arithmetic is torch's own, in its functional form. The class imports torch's compiler when it is first used, which
took 3.4 s of processor time, as long as ten steps.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Adam:
    """Adam over groups of tensors.

    Args:
        groups: Leaves that ask for gradients, and the largest learning rate of each group, in the leaves' units.
        betas: How slowly both moments forget, below 1.
    """

    def __init__(self, *groups: tuple[Sequence[Tensor], float], betas: tuple[float, float] = (0.9, 0.999)) -> None:
        self.betas = betas
        self.groups: list[tuple[list[tuple[Tensor, dict[str, Tensor]]], float]] = [
            ([(tensor, {}) for tensor in tensors], peak) for tensors, peak in groups
        ]
        """Each tensor with its state, once it has had a gradient: the steps taken, and its moments."""

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for tensor, _ in self._pairs():
            tensor.grad = None

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """Move what has a gradient.

        Args:
            share: Of the largest learning rates, 0 to 1.
        """
        for pairs, peak in self.groups:
            told = [(tensor, tensor.grad, state) for tensor, state in pairs]
            given = [(tensor, grad, _begun(state, tensor)) for tensor, grad, state in told if grad is not None]
            if given:
                adam(
                    [tensor for tensor, _, _ in given],
                    [grad for _, grad, _ in given],
                    [state["exp_avg"] for _, _, state in given],
                    [state["exp_avg_sq"] for _, _, state in given],
                    [],
                    [state["step"] for _, _, state in given],
                    fused=True,
                    amsgrad=False,
                    beta1=self.betas[0],
                    beta2=self.betas[1],
                    lr=peak * share,
                    weight_decay=0.0,
                    eps=1e-8,
                    maximize=False,
                )

    def state_dict(self) -> dict[str, Any]:
        """Give copies of all that the next step depends on, in the form of `torch.optim.Adam`."""
        copies = [{name: value.clone() for name, value in state.items()} for _, state in self._pairs()]
        return {"state": {index: state for index, state in enumerate(copies) if state}}

    def load_state_dict(self, stored: dict[str, Any]) -> None:
        """Go on where `stored` was taken; moments then lie in memory as their tensors do, as the fused step wants.

        Raises:
            ValueError: It is the state of other tensors.
        """
        pairs = self._pairs()
        for index, values in stored["state"].items():
            fits = index in range(len(pairs)) and set(values) == {"step", *_MOMENTS}
            if not fits or any(values[name].shape != pairs[index][0].shape for name in _MOMENTS):
                raise ValueError(f"the optimiser's state {index} is not one of these tensors")
        for index, (tensor, state) in enumerate(pairs):
            state.clear()
            for name, value in stored["state"].get(index, {}).items():
                there = tensor.detach() if name in _MOMENTS else torch.empty((), device=tensor.device)
                state[name] = torch.empty_like(there).copy_(value)

    def _pairs(self) -> list[tuple[Tensor, dict[str, Tensor]]]:
        """All tensors with their states, group after group."""
        return [pair for pairs, _ in self.groups for pair in pairs]


def _begun(state: dict[str, Tensor], tensor: Tensor) -> dict[str, Tensor]:
    """Fill in the state of a tensor that has not moved yet."""
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32, device=tensor.device)
        state.update({name: torch.zeros_like(tensor) for name in _MOMENTS})
    return state
