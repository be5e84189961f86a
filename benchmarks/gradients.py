"""Rows about gradients: rays with planes given, forward and backward, and the backbone that makes the planes.

Plain is the published procedure: every sample decoded with all its colours, blended, and torch's own graph backwards;
the backbone with kernels per sample in grouped convolutions. Both see the same samples, which are given. "differ" is
the largest relative L2 difference of a gradient.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

import gen3d_tools as g3
from benchmarks.fields import EG3D, fitted_field
from benchmarks.measuring.rows import Effort, Row, row
from benchmarks.networks import backbone
from benchmarks.render import CAMERA
from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.rendering.compiled.gradients import render_samples, trainable_field
from gen3d_tools.rendering.rays import camera_rays
from gen3d_tools.rendering.volume.compositing import blend, march_rays
from gen3d_tools.rendering.volume.sampling import box_limits, coarse_samples
from gen3d_tools.workflows.bench.plain_backbone import synthesize
from gen3d_tools.workflows.bench.timing import Timing, measure

THRESHOLD = 1e-5  # of the light: fainter samples have no gradient


def rows(effort: Effort) -> Iterator[Row]:
    """Measure rays of a field of EG3D's size and of the model's, and the backbone of EG3D's size."""
    side = 8 if effort.tiny else 64
    field = fitted_field(EG3D, steps=10 if effort.tiny else 400)
    yield _rays(f"EG3D size, {side}^2 x (48 + 48)", field, CAMERA, side, "x 10", effort)
    generator = g3.load_generator(effort.model, device="cpu")
    (field,) = generator.fields(generator.latents([0], truncation_psi=0.7))
    samples = f"({field.render_config.coarse_samples} + {field.render_config.fine_samples})"
    name = f"{effort.model}, {side}^2 x {samples}"
    yield _rays(name, field, generator.default_camera(), side, "x 15", effort)
    yield _backbone(32 if effort.tiny else 256, effort)


def _rays(name: str, field: TriplaneField, camera: Camera, side: int, wanted: str, effort: Effort) -> Row:
    network: object = copy.deepcopy(field.decoder)
    assert isinstance(network, nn.Module)
    planes, decoder = field.planes.detach().clone().requires_grad_(), network.requires_grad_(True)
    moved, config = replace(field, planes=planes, decoder=decoder), field.render_config
    origins, directions = camera_rays(camera, side)
    distances = _samples(moved, origins, directions)
    leaves = [planes, *decoder.parameters()]
    weights = torch.randn(len(origins), 3, generator=torch.Generator().manual_seed(0))

    def ours() -> Tensor:
        laid_out = trainable_field(moved)
        assert laid_out is not None
        seen = render_samples(laid_out, origins, directions, distances, config, threshold=THRESHOLD)
        return (seen.values[:, :3] * weights).sum()

    def theirs() -> Tensor:
        points = origins[:, None] + distances[..., None] * directions[:, None]
        values, raw = moved(points)
        marched = march_rays(raw, distances, moved.activate, marcher=config.marcher, last_interval=config.last_interval)
        return (blend(marched.sample_weights, values)[:, :3] * weights).sum()

    timing, agreement = _compared(ours, theirs, leaves, effort)
    return row(f"{name}, forward and backward", timing, agreement, wanted)


@torch.no_grad()
def _samples(field: TriplaneField, origins: Tensor, directions: Tensor) -> Tensor:
    """The distances of the settings' own coarse and fine samples."""
    config, laid_out = field.render_config, trainable_field(field)
    assert laid_out is not None
    near, far = box_limits(origins, directions, field.box_side)
    if not isinstance(config.near, str) and not isinstance(config.far, str):
        near, far = near.new_full(near.shape, config.near), far.new_full(far.shape, config.far)
    coarse, _ = coarse_samples(config, torch.full((len(origins), config.coarse_samples), 0.5), near, far)
    positions = ((torch.arange(config.fine_samples) + 0.5) / config.fine_samples)[None]
    return laid_out.place(config, 1.0, origins, directions, coarse, [positions])[0]


def _backbone(resolution: int, effort: Effort) -> Row:
    network, ws = backbone(resolution)
    leaves = [ws.requires_grad_(), *network.requires_grad_(True).parameters()]
    losses = (lambda: network(ws).square().mean(), lambda: synthesize(network, ws).square().mean())
    timing, agreement = _compared(*losses, leaves, effort)
    return row(f"backbone {resolution}^2, forward and backward", timing, agreement, "x 1.5")


def _compared(
    ours: Callable[[], Tensor], theirs: Callable[[], Tensor], leaves: Sequence[Tensor], effort: Effort
) -> tuple[Timing, str]:
    """Time two ways to the same gradients, and tell how far these are apart."""
    found: dict[str, tuple[Tensor | None, ...]] = {}

    def work(who: str, loss: Callable[[], Tensor]) -> None:
        found[who] = torch.autograd.grad(loss(), leaves, allow_unused=True)

    work("ours", ours)  # compiles
    timing = measure(partial(work, "ours", ours), partial(work, "plain", theirs), repeat=effort.repeat)
    errors = [
        float((one - other).norm() / other.norm())
        for one, other in zip(found["ours"], found["plain"], strict=True)
        if one is not None and other is not None and float(other.norm()) > 0
    ]
    return timing, f"{max(errors):.0e}"
