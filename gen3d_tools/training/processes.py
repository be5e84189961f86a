"""Several processes on one step, started by torchrun or Ray Train: gradients are averaged, weights begin equal.

Both set RANK, WORLD_SIZE, LOCAL_RANK and where to meet; on CPUs the processes speak gloo, on GPUs nccl.
"""

import os
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn


def own_device(device: torch.device) -> torch.device:
    """Give the GPU of this process, where each process of a machine has one; any other device is as it was."""
    number = os.environ.get("LOCAL_RANK")
    if str(device) != "cuda" or number is None:
        return device
    own = torch.device("cuda", int(number))
    torch.cuda.set_device(own)
    return own


def tells() -> bool:
    """Whether this process is the one of a run that tells what comes of it, also before the run has begun."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


class Processes:
    """The processes of a run; one alone needs no group.

    Args:
        rank: Number of this process.
        count: How many there are.
        device: Where its tensors are: nccl takes none of the CPU.
    """

    def __init__(self, rank: int = 0, count: int = 1, device: torch.device | None = None) -> None:
        self.rank, self.count, self.device = rank, count, device or torch.device("cpu")
        self._owns_group = False

    @classmethod
    def join(cls, device: torch.device) -> "Processes":
        """Join the group that torchrun describes, or the one that Ray Train has made; alone without one."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls()
        begins = not dist.is_initialized()
        if begins:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        joined = cls(dist.get_rank(), count, device)
        joined._owns_group = begins
        return joined

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
        precision = torch.float64 if self.device.type == "cpu" else torch.float32
        tensor = torch.tensor(value, dtype=precision, device=self.device)
        dist.all_reduce(tensor)
        return float(tensor) / self.count

    def agree(self, flag: bool) -> bool:
        """Whether any process says so."""
        return self.average_number(float(flag)) > 0

    def wait(self) -> None:
        """Go on when every process has come here."""
        self.agree(False)

    def leave(self) -> None:
        """End the group, if this run began it."""
        if self._owns_group and dist.is_initialized():
            dist.destroy_process_group()
