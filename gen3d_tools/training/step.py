"""One phase of a step, in rounds, over all processes (Goodfellow et al. 2014, algorithm 1)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from gen3d_tools.errors import Gen3DError
from gen3d_tools.training.draws import Draws
from gen3d_tools.training.objectives.base import Network, Objective, Phase, RealBatch
from gen3d_tools.training.optimisers import sanitise_gradients
from gen3d_tools.training.processes import Processes
from gen3d_tools.training.synthesis.fakes import Request

Reduction = Literal["mean", "sum"]


class TrainingDivergedError(Gen3DError):
    """A network's numbers are NaN or infinite."""


@dataclass(frozen=True, eq=False)
class Contest:
    """What a step changes."""

    objective: Objective
    optimisers: Mapping[Network, torch.optim.Optimizer]

    def network(self, which: Network) -> nn.Module:
        """Generator or discriminator."""
        return self.objective.generator if which == "G" else self.objective.discriminator


@dataclass(eq=False)
class Gathered:
    """Figures of a step: the numbers of every round."""

    values: dict[str, list[Tensor]] = field(default_factory=lambda: defaultdict(list))

    def add(self, stats: Mapping[str, Tensor]) -> None:
        """Keep the figures of a round."""
        for name, value in stats.items():
            self.values[name].append(value.detach().reshape(-1).cpu())

    def means(self) -> dict[str, float]:
        """Mean of each figure."""
        return {name: float(torch.cat(parts).mean()) for name, parts in self.values.items()}


def run_phase(
    contest: Contest,
    phase: Phase,
    rounds: Sequence[tuple[RealBatch, Request, Draws]],
    *,
    kimg: float,
    gathered: Gathered,
    processes: Processes | None = None,
    reduction: Reduction = "mean",
    grad_clip: float | None = None,
) -> None:
    """Let one network learn from one phase.

    Args:
        contest: Networks and optimisers.
        phase: Which.
        rounds: This process's rounds: real pictures, what fakes are made of, random numbers.
        kimg: Thousands of real pictures seen before the step.
        gathered: Takes the figures.
        processes: Others that work on the same step.
        reduction: Gradients of rounds are averaged; "sum" adds them up, as the published code does, which changes
            nothing but Adam's epsilon.
        grad_clip: Largest norm of the gradient.

    Raises:
        TrainingDivergedError: All of a loss is no number.
    """
    network, optimiser = contest.network(phase.network), contest.optimisers[phase.network]
    contest.network("G").requires_grad_(phase.network == "G")
    contest.network("D").requires_grad_(phase.network == "D")
    optimiser.zero_grad(set_to_none=True)
    for real, request, draws in rounds:
        loss, stats = contest.objective.loss(phase.name, real, request, draws, kimg)
        if not loss.isfinite():
            raise TrainingDivergedError(_divergence(phase, contest))
        (loss * phase.every).backward()  # type: ignore[no-untyped-call]
        gathered.add(stats)
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    if reduction == "mean":  # here and not in the loss: small slopes vanish in half precision
        for gradient in gradients:
            gradient /= len(rounds)
    if processes is not None:
        processes.average(gradients)
    sanitise_gradients(gradients)
    if grad_clip is not None and phase.network == "G":
        nn.utils.clip_grad_norm_(network.parameters(), grad_clip)
    optimiser.step()
    network.requires_grad_(False)


def broken_tensor(networks: Iterable[tuple[str, nn.Module]]) -> str | None:
    """Name of the first tensor that holds NaN or infinity."""
    for name, network in networks:
        for key, tensor in network.state_dict().items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                return f"{name}.{key}"
    return None


def _divergence(phase: Phase, contest: Contest) -> str:
    networks = [("generator", contest.network("G")), ("discriminator", contest.network("D"))]
    broken = broken_tensor(networks)
    cause = f"tensor {broken} holds NaN or infinity" if broken else "all its tensors are finite"
    return f"the loss of phase {phase.name} is no number; {cause}"
