"""How an inversion uses threads: of a small network it computes the same bytes on any number of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from gen3d_tools.generators.base import Generator
from gen3d_tools.kernels.compiling.threads import steady_torch

# Parameters: kernels, which any number of threads may share, then do most of the work. With the 3.8 million of `shapes`
# torch on one thread and kernels on two take as long as both on two (19.5 s), and an eighth less processor time.
_SMALL = 20_000_000


@contextmanager
def steady_threads(generator: Generator) -> Iterator[None]:
    """Let torch work on one thread while the block runs, if the network is a small one on a processor."""
    count = sum(parameter.numel() for parameter in generator.parameters())
    if generator.device.type == "cpu" and count <= _SMALL:
        with steady_torch():
            yield
    else:
        yield
