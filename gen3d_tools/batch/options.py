"""How many workers there are, where, and on which devices."""

from collections.abc import Sequence
from dataclasses import dataclass

from gen3d_tools.batch.ray_engine import check_ray
from gen3d_tools.errors import InputError
from gen3d_tools.kernels.compiling.threads import usable_cores
from gen3d_tools.wording import option

MAX_WORKERS = 1024


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Over what the work is spread."""

    workers: int | None = None  # processes; None = one for each device, or this one; of a cluster: as many as it has
    ray: str | None = None  # "local", "auto", or the "host:port" of a Ray cluster; None = processes of this machine

    @property
    def asked(self) -> bool:
        """Whether anything is said of workers, be it one: the run then has a manifest."""
        return self.workers is not None or self.ray is not None

    def check(self, device: str) -> None:
        """Refuse what cannot be meant, before any work.

        Args:
            device: As typed: one, or several such as "cuda:0,1".

        Raises:
            InputError: A number is out of its range, or there are fewer workers than devices.
            MissingDependencyError: Ray is not installed.
            Gen3DError: No cluster answers.
        """
        devices = parse_devices(device)
        if self.ray is not None:
            if len(devices) > 1 or ":" in devices[0]:
                raise InputError(f"Ray chooses the GPU of each worker; say {option('device', 'cuda')}, or leave it out")
            check_ray(self.ray)
        if self.workers is None:
            return
        if not 1 <= self.workers <= MAX_WORKERS:
            raise InputError(f"workers is {self.workers}; it must lie in 1..{MAX_WORKERS}")
        if self.workers < len(devices):
            raise InputError(
                f"{self.workers} workers cannot use {len(devices)} devices; each has one: leave {option('workers')} out"
            )

    def spreads(self, device: str) -> bool:
        """Whether other processes do the work."""
        return self.ray is not None or len(self.spread(device)) > 1

    def spread(self, device: str) -> list[str]:
        """Give the device of each process of this machine; one if this process does the work itself."""
        devices = parse_devices(device)
        count = self.workers or len(devices)
        return [devices[index % len(devices)] for index in range(count)]


def parse_devices(text: str) -> list[str]:
    """Read `--device cuda:0,1`: several of a kind, each named once.

    Raises:
        InputError: A name is empty, or there twice.
    """
    kind, found = "", list[str]()
    for one in text.split(","):
        name = one.strip().lower()
        name = f"{kind}:{name}" if name.isdecimal() and kind else name
        kind = name.partition(":")[0]
        found.append(name)
    if not text.strip():
        raise InputError(f"{option('device')} is empty; name one, such as cpu or cuda:0, or leave it out")
    if not all(found):
        raise InputError(f"devices are {text[:40]!r}, where one has no name; name each once, such as cuda:0,1")
    if len(set(found)) < len(found):
        raise InputError(f"devices are {text[:40]!r}; name each once, such as cuda:0,1")
    return found


def threads_each(devices: Sequence[str]) -> int:
    """Share this machine's cores out among so many workers."""
    return max(1, usable_cores() // len(devices))
