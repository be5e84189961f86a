"""How many workers there are, where, and on which devices."""

from collections.abc import Sequence
from dataclasses import dataclass

from gen3d_tools.errors import InputError
from gen3d_tools.kernels.compiling.threads import usable_cores
from gen3d_tools.wording import option

MAX_WORKERS = 1024


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Over what the work is spread."""

    workers: int | None = None  # processes; None = one for each device, or this one

    @property
    def asked(self) -> bool:
        """Whether anything is said of workers, be it one: the run then has a manifest."""
        return self.workers is not None

    def check(self, device: str) -> None:
        """Refuse what cannot be meant, before any work.

        Args:
            device: As typed: one, or several such as "cuda:0,1".

        Raises:
            InputError: A number is out of its range, or there are fewer workers than devices.
        """
        devices = parse_devices(device)
        if self.workers is None:
            return
        if not 1 <= self.workers <= MAX_WORKERS:
            raise InputError(f"workers is {self.workers}; it must lie in 1..{MAX_WORKERS}")
        if self.workers < len(devices):
            raise InputError(
                f"{self.workers} workers cannot use {len(devices)} devices; each has one: leave {option('workers')} out"
            )

    def spread(self, device: str) -> list[str]:
        """Give the device of each worker; empty if this process does the work itself."""
        devices = parse_devices(device)
        count = self.workers or len(devices)
        return [] if count == 1 else [devices[index % len(devices)] for index in range(count)]


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
    if not all(found) or len(set(found)) < len(found):
        raise InputError(f"devices are {text[:40]!r}; name each once, such as cuda:0,1")
    return found


def threads_each(devices: Sequence[str]) -> int:
    """Share this machine's cores out among so many workers."""
    return max(1, usable_cores() // len(devices))
