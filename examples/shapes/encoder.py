"""Train the encoder that looks at photos: `python examples/shapes/encoder.py --out runs/encoder`.

Pictures are sphere-traced while the training runs (the first `--share` of the time goes to drawing until there
are `--pictures`), so it starts to learn at once. Answers asked for: class, direction (a distribution over bins),
pitch, latent, framing, and whether the picture shows a toy at all. The run writes a checkpoint every two minutes and
continues from it when started again with the same --out; `encoder_export.py` makes the shipped file.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from artists import Artists
from dataset import CLASSES, Z_DIM
from encoder_data import (
    FOV_RANGE_DEG,
    PITCH_RANGE_DEG,
    STRANGER,
    Pictures,
    Pool,
    Scenes,
    augment,
    draw_strangers,
    draw_things,
    held_out,
    model_scenes,
    with_flat_strangers,
)
from muon import Muon
from torch import Tensor
from torch.nn import functional as F

from gen3d_tools.generators.latents import latent_z
from gen3d_tools.perception.encoder import EncoderConfig, PhotoEncoder, Prediction, load_encoder

HELD_OUT_SEED = 2000  # of the first latent of the log; 1000 and on are evaluate.py's, 5000 and on photos.py's
REPORT_SECONDS = 120
FLAT_SHARE = 0.12  # of a batch
PALETTE_START = 6  # index of the first number of colour of a latent
YAW_WIDTH_DEG = 4.0  # of the soft labels
WEIGHTS = {"label": 0.5, "yaw": 1.0, "pitch": 4.0, "z": 2.0, "framing": 2.0, "fov": 1.0, "known": 1.5}


def encoder_config() -> EncoderConfig:
    """Describe the network for this dataset."""
    low, high = PITCH_RANGE_DEG
    fov = {"fov_min_deg": FOV_RANGE_DEG[0], "fov_max_deg": FOV_RANGE_DEG[1]}
    return EncoderConfig(class_names=CLASSES, z_dim=Z_DIM, pitch_min_deg=low, pitch_max_deg=high, **fov)


def soft_yaw(yaw_deg: Tensor, bins: int) -> Tensor:
    """Spread each direction over the nearest bins, around the circle."""
    centers = (torch.arange(bins) + 0.5) * (360 / bins) - 180
    gap = (centers - yaw_deg[:, None] + 180) % 360 - 180
    return (-0.5 * (gap / YAW_WIDTH_DEG) ** 2).softmax(dim=1)


def losses(predicted: Prediction, truth: Pictures) -> dict[str, Tensor]:
    """Return the loss of each answer; a stranger is only asked whether it is one."""
    toy = truth.label != STRANGER
    pitch_half = (PITCH_RANGE_DEG[1] - PITCH_RANGE_DEG[0]) / 2
    unit = truth.framing.new_tensor([0.25, 0.1, 0.1, 10.0])
    yaw = -(soft_yaw(truth.yaw_deg[toy], predicted.yaw_logits.shape[1]) * predicted.yaw_logits[toy].log_softmax(1))
    return {
        "label": F.cross_entropy(predicted.class_logits[toy], truth.label[toy]),
        "yaw": yaw.sum(1).mean(),
        "pitch": F.smooth_l1_loss(predicted.pitch_deg[toy] / pitch_half, truth.pitch_deg[toy] / pitch_half, beta=0.1),
        "z": _latent_loss(predicted.z, truth),
        "framing": F.smooth_l1_loss(predicted.framing[toy] / unit, truth.framing[toy] / unit, beta=0.2),
        "fov": F.smooth_l1_loss(predicted.fov_deg[toy].log(), truth.fov_deg[toy].log(), beta=0.1),
        "known": F.binary_cross_entropy_with_logits(predicted.known_logit, toy.float()),
    }


def _latent_loss(z: Tensor, truth: Pictures) -> Tensor:
    """Mean squared error of the latents that are known; 0 where none is."""
    known = (truth.label != STRANGER) & truth.z[:, 0].isfinite()
    return (z - truth.z)[known].square().mean() if known.any() else z.sum() * 0


def angle_gap(first: Tensor, second: Tensor) -> Tensor:
    """Degrees between directions, at most 180."""
    return ((first - second + 180) % 360 - 180).abs()


@torch.no_grad()
def validate(model: PhotoEncoder, pictures: Pictures) -> dict[str, float]:
    """Measure held-out pictures (numbers in [0, 1]); angles in degrees."""
    model.eval()
    predicted = model(pictures.image)
    toy = pictures.label != STRANGER
    gap = angle_gap(predicted.yaw_deg, pictures.yaw_deg)[toy]
    three = angle_gap(predicted.yaw_modes(3)[0], pictures.yaw_deg[:, None]).amin(1)[toy]
    z = (predicted.z - pictures.z)[toy & pictures.z[:, 0].isfinite()]
    known, label = predicted.known_logit > 0, predicted.class_index[toy] == pictures.label[toy]
    return {
        "class": label.float().mean().item(),
        "yaw_within_10": (gap <= 10).float().mean().item(),
        "one_of_3_within_10": (three <= 10).float().mean().item(),
        "yaw_median": gap.median().item(),
        "pitch_error": (predicted.pitch_deg - pictures.pitch_deg)[toy].abs().mean().item(),
        "fov_error": (predicted.fov_deg / pictures.fov_deg)[toy].log().abs().mean().item(),
        "z_shape_mse": z[:, :PALETTE_START].square().mean().item(),
        "z_palette_mse": z[:, PALETTE_START:].square().mean().item(),
        "toys_known": known[toy].float().mean().item(),
        "strangers_known": known[~toy].float().mean().item() if not toy.all() else 0.0,
    }


class Trainer:
    """One run: network, moving average, optimisers, clock, pictures."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        torch.manual_seed(options.seed)
        self.model = PhotoEncoder(encoder_config()).to(memory_format=torch.channels_last)
        self.average = PhotoEncoder(encoder_config()).to(memory_format=torch.channels_last).requires_grad_(False)
        self.average.load_state_dict(self.model.state_dict())
        kernels = [p for p in self.model.stages.parameters() if p.dim() == 4]
        chosen = {id(p) for p in kernels}
        self.muon = Muon(kernels, lr=options.muon_lr)
        others = [p for p in self.model.parameters() if id(p) not in chosen]
        self.adam = torch.optim.Adam(others, lr=options.adam_lr, betas=(0.9, 0.98))
        self.step, self.seconds, self.drawing_seconds = 0, 0.0, 0.0
        self.folder = Path(options.out)
        self.path = self.folder / "checkpoint.pt"
        artists = Artists(Path(options.artists)) if options.artists else None
        self.pool = Pool(self.folder / "pictures", artists)
        if self.path.exists():
            self._resume()
        elif options.start:
            self._start_from(options.start)

    @property
    def progress(self) -> float:
        """Share of the time budget used, 0 to 1."""
        return min(self.seconds / (self.options.minutes * 60), 1.0)

    def draw(self) -> None:
        """Draw pictures while they are fewer than asked for and have had less than their share of the time."""
        while len(self.pool) < self.options.pictures:
            behind = self.drawing_seconds < self.options.share * self.seconds
            if not behind and len(self.pool) >= min(self.options.pictures, self.options.first_pictures):
                return
            start = time.monotonic()
            self.pool.grow()
            self.drawing_seconds += time.monotonic() - start

    def train_step(self) -> dict[str, float]:
        """Take one step on one batch of pictures."""
        schedule = min(1.0, (self.step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress)))
        self.muon.param_groups[0]["lr"] = self.options.muon_lr * schedule
        self.adam.param_groups[0]["lr"] = self.options.adam_lr * schedule
        generator = torch.Generator().manual_seed(self.step)
        pictures = self.pool.sample(self.options.batch).lit(generator)
        batch = augment(with_flat_strangers(pictures, FLAT_SHARE, generator))
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bf16):
            image = batch.image.contiguous(memory_format=torch.channels_last)
            predicted = self.model(image, batch.label.clamp_min(0))
        parts = losses(_in_float(predicted), batch)
        loss = sum(WEIGHTS[name] * value for name, value in parts.items())
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0, error_if_nonfinite=True)
        self.muon.step()
        self.adam.step()
        self.step += 1
        self._follow(min(0.998, (1 + self.step) / (10 + self.step)))
        return {name: value.item() for name, value in parts.items()}

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        new = self.model.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(new[name], 1 - decay)

    def save(self) -> None:
        """Write the checkpoint under a temporary name and rename it."""
        temporary = self.path.with_suffix(".part")
        parts = {name: getattr(self, name).state_dict() for name in ("model", "average", "muon", "adam")}
        clocks = {name: getattr(self, name) for name in ("step", "seconds", "drawing_seconds")}
        torch.save(parts | clocks | {"pictures": len(self.pool)}, temporary)
        temporary.replace(self.path)

    def _resume(self) -> None:
        stored = torch.load(self.path, weights_only=True)
        for name in ("model", "average", "muon", "adam"):
            getattr(self, name).load_state_dict(stored[name])
        self.step, self.seconds, self.drawing_seconds = (
            stored[name] for name in ("step", "seconds", "drawing_seconds")
        )
        torch.manual_seed(self.options.seed + self.step)

    def _start_from(self, model: str) -> None:
        """Take over what another encoder has learned; heads that it lacks stay as they are."""
        other = load_encoder(model)
        if other is None:
            raise SystemExit(f"--start: {model} has no encoder")
        known = {name: value for name, value in other.state_dict().items() if not name.startswith("familiarity")}
        for network in (self.model, self.average):
            new = {
                name: value
                for name, value in network.state_dict().items()
                if name.startswith(("familiarity", "fov_head"))
            }
            network.load_state_dict({**new, **known})

    def report(self, parts: dict[str, float], pictures: dict[str, Pictures]) -> None:
        """Measure held-out pictures and append one line to the log."""
        row = {"minutes": self.seconds / 60, "step": self.step, "pictures": float(len(self.pool))}
        row |= {f"loss_{name}": value for name, value in parts.items()}
        for kind, truth in pictures.items():
            row |= {f"{kind}_{name}": value for name, value in validate(self.average, truth).items()}
        line = json.dumps({name: round(value, 4) for name, value in row.items()})
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        print(line, flush=True)

    def run(self) -> None:
        """Train until the time budget is used up."""
        pictures = judged_pictures(self.options.held_out)
        if self.options.artists:
            pictures["artists"] = artists_pictures(Path(self.options.artists))
        last = time.monotonic()
        next_report = self.seconds + REPORT_SECONDS
        while self.progress < 1:
            self.draw()
            parts = self.train_step()
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
            if self.seconds >= next_report or self.progress >= 1:
                self.report(parts, pictures)
                self.save()
                self.pool.refresh()
                next_report = self.seconds + REPORT_SECONDS
                last = time.monotonic()


def judged_pictures(per_class: int) -> dict[str, Pictures]:
    """Held-out pictures: things as the generator shows them; things and strangers by many makers, moved, spoiled."""
    toys = held_out(per_class, first_seed=HELD_OUT_SEED, draw_z=latent_z)
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    scenes = [draw_things(label, per_class, generator) for label in range(len(CLASSES))]
    others = [draw_strangers(4, generator) for _ in range(per_class)]
    many = Scenes.concatenate([*scenes, *others]).lit(generator)
    return {"clean": toys, "many": augment(many, generator)}


def artists_pictures(sets: Path, views: int = 8) -> Pictures:
    """Held-out models of artists, each from several cameras and by as many makers."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    parts = [model_scenes(entry, views, generator) for entry in Artists(sets, held_out=True).entries()]
    return augment(Scenes.concatenate(parts).lit(generator), generator)


def _in_float(predicted: Prediction) -> Prediction:
    return Prediction(
        **{name: value.float() if isinstance(value, Tensor) else value for name, value in vars(predicted).items()}
    )


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, or `arguments` instead of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for checkpoint.pt, log.jsonl and the pictures")
    parser.add_argument("--minutes", type=float, default=60, help="time budget")
    parser.add_argument("--artists", metavar="SETS", help="folder of unpacked sets of furniture, see furniture.py")
    parser.add_argument("--start", metavar="MODEL", help="go on from the encoder of this model")
    parser.add_argument("--pictures", type=int, default=90_000, help="how many to draw in all")
    parser.add_argument("--first-pictures", type=int, default=5_000, help="how many to draw before the first step")
    parser.add_argument("--share", type=float, default=0.5, help="share of the time spent drawing, until all are")
    parser.add_argument(
        "--painter",
        type=int,
        metavar="N",
        help="only draw pictures for a run of the same --out; N from 1, each its own",
    )
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True, help="bfloat16 convolutions")
    parser.add_argument("--held-out", type=int, default=40, help="held-out pictures per class for the log")
    parser.add_argument("--muon-lr", type=float, default=0.01)
    parser.add_argument("--adam-lr", type=float, default=0.002)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def paint(options: argparse.Namespace) -> None:
    """Draw pictures for another process's run until there are enough."""
    artists = Artists(Path(options.artists)) if options.artists else None
    pool = Pool(Path(options.out) / "pictures", artists, lane=options.painter)
    while len(pool) < options.pictures:
        pool.grow()
        pool.refresh()


if __name__ == "__main__":
    options = parse_options()
    if options.painter:
        paint(options)
    else:
        Trainer(options).run()
