"""Rows about the networks at the size of EG3D: the backbone that makes the planes, and the super-resolution."""

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.measuring.rows import Effort, Row, row
from gen3d_tools.generators.networks.precision import usable_dtype
from gen3d_tools.generators.networks.stylegan2 import SynthesisNetwork
from gen3d_tools.generators.networks.superresolution import SuperResolutionNetwork
from gen3d_tools.workflows.bench.plain_backbone import run_block, synthesize
from gen3d_tools.workflows.bench.timing import Timing, measure

W_DIM, PLANE_CHANNELS = 512, 96
_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
_OURS = {name: dtype for name, dtype in _PRECISIONS.items() if usable_dtype(dtype, torch.device("cpu")) == dtype}


def rows(effort: Effort) -> Iterator[Row]:
    """Measure both networks in both precisions; bfloat16 only where the processor computes in it."""
    network, ws = backbone(32 if effort.tiny else 256)
    wanted = {"fp32": "x 1.25", "bf16": "x 2"}
    for name, dtype in _OURS.items():
        timing, agreement = _compared(lambda d=dtype: network(ws, dtype=d), lambda: synthesize(network, ws), effort)
        yield row(f"backbone {network.resolution}^2, {name}", timing, agreement, wanted[name])
    yield from _super_resolution(effort)


def backbone(resolution: int) -> tuple[SynthesisNetwork, Tensor]:
    """Build a backbone of the published size with random weights, and latents for it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SynthesisNetwork(w_dim=W_DIM, resolution=resolution, image_channels=PLANE_CHANNELS)
        ws = torch.randn(1, network.num_ws, W_DIM)
    return network.eval().requires_grad_(False), ws


def backbone_timing(resolution: int, repeat: int) -> Timing:
    """Time the planes of one latent."""
    network, ws = backbone(resolution)
    return measure(lambda: network(ws), lambda: synthesize(network, ws), repeat=repeat)


def _super_resolution(effort: Effort) -> Iterator[Row]:
    variant = "2x" if effort.tiny else "8xdc"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SuperResolutionNetwork(variant, in_channels=32, w_dim=W_DIM).eval().requires_grad_(False)
        size = network.variant.input_resolution
        features, w = torch.rand(1, 32, size, size) * 2 - 1, torch.randn(1, W_DIM)

    def theirs() -> Tensor:
        x, picture = features, features[:, :3]
        for block in (network.block0, network.block1):
            x, picture = run_block(block, x, picture, w[:, None].expand(-1, 3, -1), noise=False)
        return picture

    for name, dtype in _OURS.items():
        timing, agreement = _compared(lambda d=dtype: network(features, w, dtype=d)[0], theirs, effort)
        yield row(f"super-resolution {size}^2 to {network.variant.resolution}^2, {name}", timing, agreement)


def _compared(ours, theirs, effort: Effort) -> tuple[Timing, str]:  # type: ignore[no-untyped-def]
    """Time two ways to the same tensor; tell how far they are apart, root mean square over root mean square."""
    results: dict[str, Tensor] = {}
    with torch.no_grad():
        timing = measure(
            lambda: results.update(ours=ours()), lambda: results.update(plain=theirs()), repeat=effort.repeat
        )
    error = (results["ours"] - results["plain"]).square().mean().sqrt() / results["plain"].square().mean().sqrt()
    return timing, f"{error.item():.0e}"
