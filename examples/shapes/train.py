"""Train the bundled generator from procedural shapes: `python examples/shapes/train.py --out runs/shapes`.

Direct 3D supervision: the latent *is* the parameter vector of a procedural shape, so the signed
distance and the colour at any point are known, and no discriminator is needed. Progressive planes
(32, 64, then 128), Muon for the convolution kernels, Adam for the rest, cosine decay over the time given.
The run writes a checkpoint every minute and continues from it when started again with the same --out.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from dataset import CLASSES, Z_DIM, sample_training_points
from muon import Muon
from network import SIGNED_DISTANCE_UNIT, TrainableField
from torch import Tensor

PHASES = ((0.2, 32), (0.5, 64), (1.0, 128))  # (share of the run, plane resolution)
COLOR_BAND = 0.02  # colours are learned this close to the surface, world units
INSIDE_WEIGHT = 3.0  # thin parts fill little space: their inside counts more


@dataclass(frozen=True)
class Batch:
    """Latents with known shapes, and points with their signed distance (negative inside) and colour."""

    z: Tensor  # [b, z_dim]
    labels: Tensor  # [b]
    points: Tensor  # [b, n, 3]
    distance: Tensor  # [b, n], world units
    rgb: Tensor  # [b, n, 3]


def draw_batch(per_class: int, points: int, *, device: str, generator: torch.Generator | None = None) -> Batch:
    """Draw `per_class` shapes of each class."""
    columns: list[list[Tensor]] = [[], [], [], [], []]
    for label in range(len(CLASSES)):
        z = torch.randn(per_class, Z_DIM, generator=generator).to(device)
        drawn = sample_training_points(z, label, points=points, generator=generator)
        labels = torch.full((per_class,), label, device=device)
        for column, value in zip(columns, (z, labels, *drawn), strict=True):
            column.append(value)
    return Batch(*(torch.cat(column) for column in columns))


def stream_batches(per_class: int, points: int, *, reuse: int, pool: int, device: str) -> Iterator[Batch]:
    """Yield batches for ever; each is drawn once and used about `reuse` times before it leaves the pool."""
    batches: list[Batch] = []
    step = 0
    while True:
        if step % reuse == 0 or len(batches) < min(pool, 8):
            fresh = draw_batch(per_class, points, device=device)
            if len(batches) < pool:
                batches.append(fresh)
            else:
                batches[(step // reuse) % pool] = fresh
            yield fresh
        else:
            yield batches[int(torch.randint(len(batches), ()))]
        step += 1


def losses(predicted: Tensor, rgb: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the hinged signed-distance loss and the colour loss near the surface.

    Beyond the truncation only the sign is asked for (a hinge): an L1 there would have no gradient once
    everything is predicted empty.
    """
    target = (-batch.distance / SIGNED_DISTANCE_UNIT).clamp(-1, 1)
    error = torch.where(
        target >= 1,
        (1 - predicted).relu(),
        torch.where(target <= -1, (1 + predicted).relu(), (predicted - target).abs()),
    )
    weight = 1 + (INSIDE_WEIGHT - 1) * (target > -0.1).float()
    shape_loss = (error * weight).sum() / weight.sum()
    near = torch.exp(-((batch.distance / COLOR_BAND) ** 2))
    color_loss = ((rgb - batch.rgb).abs().mean(-1) * near).sum() / near.sum()
    return shape_loss, color_loss


@torch.no_grad()
def validate(model: TrainableField, batch: Batch, resolution: int) -> dict[str, float]:
    """Measure held-out shapes: IoU of near-surface points, colour error, share of false solid far outside."""
    distance, rgb = model(batch.z, batch.labels, batch.points, resolution=resolution)
    solid, true = distance > 0, batch.distance < 0
    iou_by_class = (solid & true).sum(1).float() / (solid | true).sum(1)
    far_outside = batch.distance > SIGNED_DISTANCE_UNIT
    worst = iou_by_class.reshape(len(CLASSES), -1).mean(1)
    return {
        "iou": iou_by_class.mean().item(),
        "worst_class_iou": worst.min().item(),
        "worst_class": float(worst.argmin()),
        "color_l1": losses(distance, rgb, batch)[1].item(),
        "false_solid": (solid & far_outside).sum().item() / max(1, int(far_outside.sum())),
    }


class Trainer:
    """One run: model, moving average, optimisers, clock. Everything needed to go on is in its checkpoint."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        torch.manual_seed(options.seed)
        self.model = TrainableField().to(options.device)
        self.average = TrainableField().to(options.device).requires_grad_(False)
        self.average.load_state_dict(self.model.state_dict())
        kernels = [p for p in self.model.backbone.synthesis.parameters() if p.dim() == 4 and p.shape[-1] == 3]
        chosen = {id(p) for p in kernels}
        others = [p for p in self.model.parameters() if id(p) not in chosen]
        self.muon = Muon(kernels, lr=options.muon_lr)
        self.adam = torch.optim.Adam(others, lr=options.adam_lr, betas=(0.9, 0.99), fused=True)
        self.step, self.seconds = 0, 0.0
        self.path = Path(options.out) / "checkpoint.pt"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._resume()

    @property
    def progress(self) -> float:
        """Share of the time budget used, 0 to 1."""
        return min(self.seconds / (self.options.minutes * 60), 1.0)

    @property
    def resolution(self) -> int:
        """Plane resolution of the current phase."""
        return next(resolution for until, resolution in PHASES if self.progress <= until)

    def train_step(self, batch: Batch) -> float:
        """Take one step on one batch."""
        dtype = torch.bfloat16 if self.options.bf16 else torch.float32
        schedule = min(1.0, (self.step + 1) / 50) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress)))
        self.muon.param_groups[0]["lr"] = self.options.muon_lr * schedule
        self.adam.param_groups[0]["lr"] = self.options.adam_lr * schedule
        predicted = self.model(batch.z, batch.labels, batch.points, resolution=self.resolution, dtype=dtype)
        shape_loss, color_loss = losses(*predicted, batch)
        loss = shape_loss + self.options.color_weight * color_loss
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0, error_if_nonfinite=True)
        self.muon.step()
        self.adam.step()
        self.step += 1
        decay = min(0.998, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        return loss.item()

    def save(self) -> None:
        """Write the checkpoint under a temporary name and rename it."""
        temporary = self.path.with_suffix(".part")
        parts = {name: getattr(self, name).state_dict() for name in ("model", "average", "muon", "adam")}
        torch.save(parts | {"step": self.step, "seconds": self.seconds}, temporary)
        temporary.replace(self.path)

    def _resume(self) -> None:
        stored = torch.load(self.path, map_location=self.options.device, weights_only=True)
        for name in ("model", "average", "muon", "adam"):
            getattr(self, name).load_state_dict(stored[name])
        self.step, self.seconds = stored["step"], stored["seconds"]
        torch.manual_seed(self.options.seed + self.step)  # new shapes, not those of the first minutes again

    def report(self, loss: float, held_out: Batch) -> None:
        """Measure held-out shapes and append one line to the log."""
        row = {"minutes": self.seconds / 60, "step": self.step, "resolution": self.resolution, "loss": loss}
        row |= validate(self.average, held_out, self.resolution)
        line = json.dumps({key: round(value, 4) for key, value in row.items()})
        with (self.path.parent / "log.jsonl").open("a") as log:
            log.write(line + "\n")
        print(line, flush=True)

    def run(self) -> None:
        """Train until the time budget is used up."""
        held_out = draw_batch(8, 2048, device=self.options.device, generator=torch.Generator().manual_seed(1234))
        stream = stream_batches(
            self.options.per_class,
            self.options.points,
            reuse=self.options.reuse,
            pool=300,
            device=self.options.device,
        )
        last = time.monotonic()
        next_report = self.seconds + 20
        while self.progress < 1:
            loss = self.train_step(next(stream))
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
            if self.seconds >= next_report or self.progress >= 1:
                self.report(loss, held_out)
                self.save()
                next_report = self.seconds + 60
                last = time.monotonic()


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, or `arguments` instead of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for checkpoint.pt and log.jsonl")
    parser.add_argument("--minutes", type=float, default=120, help="time budget; more goes on paying off")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True, help="bfloat16 convolutions")
    parser.add_argument("--per-class", type=int, default=2, help="shapes of each class per step")
    parser.add_argument("--points", type=int, default=2048, help="points per shape")
    parser.add_argument("--reuse", type=int, default=2, help="times a drawn batch is used")
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--adam-lr", type=float, default=0.01)
    parser.add_argument("--color-weight", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    Trainer(parse_options()).run()
