"""Pictures to train and to judge the encoder: traced toys and strangers with all that is known about them.

Pictures are drawn while the training runs, kept as bytes, and used many times, each time with another framing,
light, blur and noise, so that real photographs (badly cropped, unevenly lit) do not come as a surprise.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
import tracer
from dataset import CLASSES, Z_DIM, Kind
from safetensors.torch import load_file, save
from strangers import assembly, drawn
from torch import Tensor
from torch.nn import functional as F

from gen3d_tools.cameras.camera import Camera

SIZE = 64
RADIUS, FOV_Y_DEG = 2.7, 20.0
PITCH_RANGE_DEG = (-10.0, 60.0)
STRANGER = -1  # the label of what is none of the classes

FRAMED_SHARE = 0.65  # of the pictures are moved; the rest sit as the generator's own do
LOG_SCALE, SHIFT, ROLL_DEG = math.log(1.25), 0.06, 8.0  # half ranges of what moving does


@dataclass(frozen=True)
class Pictures:
    """Pictures and the truth about them. Strangers have label -1; their other numbers mean nothing."""

    image: Tensor  # [b, 3, n, n], bytes in a pool, [0, 1] after `augment`
    label: Tensor  # [b]
    z: Tensor  # [b, z_dim], root mean square 1
    yaw_deg: Tensor  # [b]
    pitch_deg: Tensor  # [b]
    framing: Tensor  # [b, 4]: log magnification, shift right, shift down (sides), clockwise roll (degrees)

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: Tensor | slice) -> "Pictures":
        return Pictures(*(getattr(self, field.name)[rows] for field in fields(self)))

    @staticmethod
    def concatenate(parts: Sequence["Pictures"]) -> "Pictures":
        """Join pictures in order."""
        return Pictures(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Pictures)))


def draw_cameras(count: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Yaw and pitch in degrees, uniform over the band of the sphere the generator was trained for."""
    draw = torch.rand(2, count, generator=generator)
    low, high = (math.sin(math.radians(p)) for p in PITCH_RANGE_DEG)
    return draw[0] * 360 - 180, torch.asin(low + (high - low) * draw[1]).rad2deg()


def trace(kind: Kind, z: Tensor, yaw_deg: Tensor, pitch_deg: Tensor, *, label: int, size: int = SIZE) -> Pictures:
    """Draw toys of one kind in the generator's framing."""
    camera = Camera.from_spherical(yaw_deg, pitch_deg, RADIUS, fov_y_deg=FOV_Y_DEG)
    rgb, _, _ = tracer.render(z, kind, camera.cam2world, FOV_Y_DEG, size)
    return Pictures(
        image=(rgb * 255).round().to(torch.uint8),
        label=torch.full((len(z),), label),
        z=z / (z.square().mean(dim=1, keepdim=True) + 1e-8).sqrt(),
        yaw_deg=yaw_deg,
        pitch_deg=pitch_deg,
        framing=torch.zeros(len(z), 4),
    )


def draw_toys(label: int, count: int, generator: torch.Generator | None) -> Pictures:
    """Draw random toys of one class from random cameras."""
    z = torch.randn(count, Z_DIM, generator=generator)
    return trace(label, z, *draw_cameras(count, generator), label=label)


def draw_strangers(count: int, generator: torch.Generator, kind: Kind | None = None) -> Pictures:
    """Draw solid strangers, `count` pictures of as many latents of one kind of object; None invents one."""
    z = torch.randn(count, Z_DIM, generator=generator)
    return trace(assembly(generator) if kind is None else kind, z, *draw_cameras(count, generator), label=STRANGER)


class Pool:
    """Every picture drawn so far, in memory and in shards on disk."""

    def __init__(self, folder: Path, *, chunk: int = 24, shard: int = 2400) -> None:
        self.folder, self.chunk, self.shard = folder, chunk, shard
        folder.mkdir(parents=True, exist_ok=True)
        stored = [Pictures(**load_file(path)) for path in sorted(folder.glob("shard-*.safetensors"))]
        self._stored, self._fresh = stored, list[Pictures]()
        self._shards = len(stored)
        self.generator = torch.Generator().manual_seed(1_000_003 * (self._shards + 1))
        self._turn = 0

    def __len__(self) -> int:
        return sum(map(len, self._stored)) + sum(map(len, self._fresh))

    def grow(self) -> None:
        """Draw one more chunk: the classes in turn, then one kind of strangers."""
        label = self._turn % (len(CLASSES) + 1)
        self._turn += 1
        if label == len(CLASSES):
            drawn = draw_strangers(self.chunk, self.generator)
        else:
            drawn = draw_toys(label, self.chunk, self.generator)
        self._fresh.append(drawn)
        if sum(map(len, self._fresh)) >= self.shard:
            self._flush()

    def _flush(self) -> None:
        whole = Pictures.concatenate(self._fresh)
        path = self.folder / f"shard-{self._shards:04d}.safetensors"
        temporary = path.with_suffix(".part")
        temporary.write_bytes(save({f.name: getattr(whole, f.name).contiguous() for f in fields(whole)}))
        temporary.replace(path)
        self._stored.append(whole)
        self._shards, self._fresh = self._shards + 1, []

    def sample(self, count: int) -> Pictures:
        """Pick pictures at random, with repetition."""
        parts = [*self._stored, *self._fresh]
        sizes = torch.tensor([len(part) for part in parts], dtype=torch.float)
        owners = torch.multinomial(sizes, count, replacement=True)
        rows = []
        for owner, times in zip(*owners.unique(return_counts=True), strict=True):
            part = parts[int(owner)]
            rows.append(part[torch.randint(len(part), (int(times),))])
        return Pictures.concatenate(rows)


def augment(pictures: Pictures, generator: torch.Generator | None = None) -> Pictures:
    """Move, light, blur and disturb pictures at random; pose and latent stay what they are.

    Args:
        pictures: With bytes or numbers in [0, 1].
        generator: Source of randomness; None uses torch's own.

    Returns:
        Pictures in [0, 1] whose `framing` says how they were moved.
    """
    image = pictures.image.float() / 255 if pictures.image.dtype == torch.uint8 else pictures.image
    image, framing = _move(image, generator)
    image = _light(image, generator)
    image = _disturb(image, generator)
    return Pictures(image, pictures.label, pictures.z, pictures.yaw_deg, pictures.pitch_deg, framing)


def _move(image: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    batch = len(image)
    draw = torch.rand(batch, 4, generator=generator) * 2 - 1
    framing = draw * torch.tensor([LOG_SCALE, SHIFT, SHIFT, ROLL_DEG])
    framing = framing * (torch.rand(batch, 1, generator=generator) < FRAMED_SHARE)
    scale, roll = framing[:, 0].exp(), framing[:, 3].deg2rad()
    cos, sin = roll.cos() / scale, roll.sin() / scale
    # Content lands at scale * R * p + shift; sampling asks for the inverse. Shifts are in sides, the grid in halves.
    right, down = 2 * framing[:, 1], 2 * framing[:, 2]
    inverse = torch.stack(
        [
            torch.stack([cos, sin, -(cos * right + sin * down)], dim=1),
            torch.stack([-sin, cos, -(-sin * right + cos * down)], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(inverse, list(image.shape), align_corners=False)
    return 1 - F.grid_sample(1 - image, grid, mode="bilinear", padding_mode="zeros", align_corners=False), framing


def _light(image: Tensor, generator: torch.Generator | None) -> Tensor:
    def draw(low: float, high: float, share: float, channels: int = 1) -> Tensor:
        value = low + (high - low) * torch.rand(len(image), channels, 1, 1, generator=generator)
        return torch.where(torch.rand(len(image), 1, 1, 1, generator=generator) < share, value, 1.0)

    gamma, gain, tint = draw(0.75, 1.35, 0.4), draw(0.85, 1.15, 0.4), draw(0.93, 1.07, 0.3, channels=3)
    white = draw(0.85, 1.0, 0.3, channels=3)  # a background that is not quite white
    empty = image.amin(dim=1, keepdim=True) > 0.995
    lit = (image.clamp_min(1e-4) ** gamma * gain * tint).clamp(0, 1)
    return torch.where(empty, image * white, lit)


def _disturb(image: Tensor, generator: torch.Generator | None) -> Tensor:
    blur = torch.rand(len(image), 1, 1, 1, generator=generator)
    soft = F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    image = torch.lerp(image, soft, blur * (torch.rand(len(image), 1, 1, 1, generator=generator) < 0.3))
    strength = 0.05 * torch.rand(len(image), 1, 1, 1, generator=generator) ** 2
    return (image + strength * torch.randn(image.shape, generator=generator)).clamp(0, 1)


def with_flat_strangers(pictures: Pictures, share: float, generator: torch.Generator) -> Pictures:
    """Replace the last `share` of a batch by flat strangers (made from those pictures, before `augment`)."""
    count = round(share * len(pictures))
    image = pictures.image.float() / 255
    kept = len(pictures) - count
    image[kept:] = drawn(image[kept:], generator)
    label = pictures.label.clone()
    label[kept:] = STRANGER
    return Pictures(image, label, pictures.z, pictures.yaw_deg, pictures.pitch_deg, pictures.framing)


def held_out(per_class: int, *, first_seed: int, draw_z: Callable[[Sequence[int], int], Tensor]) -> Pictures:
    """Draw toys nobody trains on: latents of numpy's `RandomState(seed)`, as `evaluate.py` uses them."""
    generator = torch.Generator().manual_seed(first_seed)
    parts = []
    for label in range(len(CLASSES)):
        start = first_seed + label * per_class
        z = draw_z(range(start, start + per_class), Z_DIM)
        parts.append(trace(label, z, *draw_cameras(per_class, generator), label=label))
    return Pictures.concatenate(parts)
