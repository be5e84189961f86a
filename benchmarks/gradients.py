"""Rows about gradients: rays with planes given, the backbone that makes the planes, and a step of pivotal tuning.

Plain is the published procedure: every sample decoded with all its colours, blended, and torch's own graph backwards;
the backbone with kernels per sample in grouped convolutions. Both see the same samples, which are given. "differ" is
the largest relative L2 difference of a gradient. The row of memory is of a process of its own, above what it held with
the field, its gradients' kernels and torch loaded: `python -m benchmarks.gradients 256` prints it.
"""

import copy
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gen3d_tools as g3
from benchmarks.fields import EG3D, fitted_field
from benchmarks.measuring.rows import Effort, Row, row
from benchmarks.measuring.timing import in_own_process, last_json, peak_bytes
from benchmarks.networks import backbone
from benchmarks.render import CAMERA
from gen3d_tools.cameras.camera import Camera
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.networks.stylegan2 import SynthesisNetwork
from gen3d_tools.rendering.compiled.gradients import render_samples, trainable_field
from gen3d_tools.rendering.differentiable import render_differentiable
from gen3d_tools.rendering.rays import camera_rays, pixel_coordinates
from gen3d_tools.rendering.volume.compositing import blend, march_rays
from gen3d_tools.rendering.volume.sampling import box_limits, coarse_samples, importance_samples
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
    yield _tuning(32 if effort.tiny else 256, side, effort)
    yield _memory(8 if effort.tiny else 256)


def _memory(side: int) -> Row:
    """The most that a picture and its gradients take beside the field and the gradients of its planes."""
    _, output = in_own_process(["-m", "benchmarks.gradients", str(side)])
    found = last_json(output)
    name = f"EG3D size, {side}^2, forward and backward"
    return Row(
        name=name, ours_s=found["seconds"], peak_bytes=found["peak_bytes"], wanted="300 MB", note="above the model"
    )


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


def _tuning(resolution: int, side: int, effort: Effort) -> Row:
    """A step of pivotal tuning: latent to picture and back, and Adam. Samples are placed as each places them."""
    network, ws = backbone(resolution)
    fitted = fitted_field(EG3D, steps=10 if effort.tiny else 400)
    fitted = replace(fitted, planes=F.interpolate(fitted.planes.detach(), (resolution, resolution), mode="area"))
    wanted = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))
    pixels = pixel_coordinates(side)
    steps = {who: _TuningStep(network, fitted, ws, wanted, fused=who == "ours") for who in ("ours", "plain")}

    def ours(field: TriplaneField) -> Tensor:
        seen = render_differentiable(field, CAMERA, pixels, threshold=THRESHOLD)
        return seen.rgb

    def theirs(field: TriplaneField) -> Tensor:
        origins, directions = camera_rays(CAMERA, side)
        distances = _plainly_placed(field, origins, directions)
        points = origins[:, None] + distances[..., None] * directions[:, None]
        values, raw = field(points)
        marched = march_rays(raw, distances, field.activate, marcher=field.render_config.marcher)
        return blend(marched.sample_weights, values)[:, :3].T.reshape(3, side, side)

    with torch.no_grad():  # compiles
        ours(fitted)
    timing = measure(
        lambda: steps["ours"](network_planes=steps["ours"].network, look=ours),
        lambda: steps["plain"](network_planes=partial(synthesize, steps["plain"].network), look=theirs),
        repeat=effort.repeat,
    )
    return row(f"tuning step, planes {resolution}^2, rays {side}^2", timing, wanted="x 6")


class _TuningStep:
    """A copy of backbone and decoder, and the step that brings their picture nearer to one."""

    def __init__(
        self, network: SynthesisNetwork, field: TriplaneField, ws: Tensor, wanted: Tensor, *, fused: bool
    ) -> None:
        self.network, decoder = copy.deepcopy(network).requires_grad_(True), copy.deepcopy(field.decoder)
        assert isinstance(decoder, nn.Module)
        self.decoder = decoder.requires_grad_(True)
        self.field, self.ws, self.wanted = field, ws.detach(), wanted
        parameters = [*self.network.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-5, fused=fused)

    def __call__(self, *, network_planes: Callable[[Tensor], Tensor], look: Callable[[TriplaneField], Tensor]) -> None:
        """Take the step; a random backbone's planes are added faintly to those that look like something."""
        planes = network_planes(self.ws).reshape(self.field.planes.shape) * 1e-3
        field = replace(self.field, planes=self.field.planes + planes, decoder=self.decoder)
        loss = (look(field) - self.wanted).square().mean()
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()


@torch.no_grad()
def _plainly_placed(field: TriplaneField, origins: Tensor, directions: Tensor) -> Tensor:
    """Coarse samples, and fine ones where those say that light is stopped; every sample is evaluated."""
    config = field.render_config
    near, far = box_limits(origins, directions, field.box_side)
    if not isinstance(config.near, str) and not isinstance(config.far, str):
        near, far = near.new_full(near.shape, config.near), far.new_full(far.shape, config.far)
    coarse, _ = coarse_samples(config, torch.full((len(origins), config.coarse_samples), 0.5), near, far)
    raw = field.raw_density(origins[:, None] + coarse[..., None] * directions[:, None])
    marched = march_rays(raw, coarse, field.activate, marcher=config.marcher)
    positions = (torch.arange(config.fine_samples) + 0.5) / config.fine_samples
    positions = positions.expand(len(origins), -1).contiguous()
    fine = importance_samples(coarse, marched.ray_weights, positions, config.importance)
    return torch.cat([coarse, fine], -1).sort(-1).values


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


def main() -> None:
    """See a field of EG3D's size with gradients, and print how much memory that took."""
    field = fitted_field(EG3D, steps=10)
    network: object = copy.deepcopy(field.decoder)
    assert isinstance(network, nn.Module)
    moved = replace(field, planes=field.planes.detach().clone().requires_grad_(), decoder=network.requires_grad_(True))
    _see_with_gradients(moved, 8)  # compiles
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # from now on the high-water mark is a new one
    before, start = peak_bytes(), time.process_time()
    _see_with_gradients(moved, int(sys.argv[1]))
    found = {"peak_bytes": peak_bytes() - before, "seconds": time.process_time() - start}
    sys.stdout.write(json.dumps(found) + "\n")


def _see_with_gradients(field: TriplaneField, side: int) -> None:
    seen = render_differentiable(field, CAMERA, pixel_coordinates(side), threshold=THRESHOLD)
    torch.autograd.backward(seen.rgb.square().mean() + seen.opacity.mean())


if __name__ == "__main__":
    main()
