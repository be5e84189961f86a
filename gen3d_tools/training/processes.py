"""Several processes on one step, started by torchrun: gradients are averaged, weights begin equal.

torchrun sets RANK, WORLD_SIZE and where to meet; on CPUs the processes speak gloo, on GPUs nccl.
"""

import os
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Processes:
    """The processes of a run; one alone needs no group.

    Args:
        rank: Number of this process.
        count: How many there are.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @classmethod
    def join(cls, device: torch.device) -> "Processes":
        """Join the group that torchrun describes; alone without one."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(dist.get_rank(), count)

    @property
    def leads(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Average tensors over the processes, in place, in one message.

        Parameters without a gradient in one process must lack it in all.
        """
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.count
        sizes = [tensor.numel() for tensor in tensors]
        for tensor, part in zip(tensors, torch.split(flat, sizes), strict=True):
            tensor.copy_(part.reshape(tensor.shape))

    def share(self, *networks: nn.Module) -> None:
        """Give every process the first one's parameters and buffers."""
        if self.count == 1:
            return
        for network in networks:
            for tensor in network.state_dict().values():
                dist.broadcast(tensor, 0)

    def average_number(self, value: float) -> float:
        """Mean of a number over the processes."""
        if self.count == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(tensor)
        return float(tensor) / self.count

    def agree(self, flag: bool) -> bool:
        """Whether any process says so."""
        return self.average_number(float(flag)) > 0

    def leave(self) -> None:
        """End the group."""
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()
