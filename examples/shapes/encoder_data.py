"""Pictures to train and to judge the encoder: traced things and strangers with all that is known about them.

Scenes are traced while the training runs, kept as layers of bytes, and used many times, each time as a picture of
another maker (`makers.py`), framed anew: a photo's light, lens, background and crop should not come as a surprise.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
import tracer
from artists import Artists, artist_layers
from dataset import CLASSES, Z_DIM, Kind
from furniture import Entry
from layers import Layers, bent, trace_layers
from makers import picture, spoiled
from safetensors.torch import load_file, save
from strangers import assembly, drawn
from torch import Tensor
from torch.nn import functional as F
from varied import NUMBERS, VARIED

from gen3d_tools.cameras.camera import Camera

SIZE = 64
RADIUS, FOV_Y_DEG = 2.7, 20.0
PITCH_RANGE_DEG = (-10.0, 60.0)
STRANGER_SHARE = 0.2  # of the pictures of a batch, and flat ones beside them
STRANGER = -1  # the label of what is none of the classes

FOV_RANGE_DEG, OWN_FOV_SHARE = (10.0, 60.0), 0.35
TOY_SHARE = 0.75  # of the batches of things; the rest are varied ones, whose latents the generator lacks
OWN_SHARE = (
    0.75  # of the batches of toys look as the generator shows them: its light tells where round ones are seen from
)
BENT_SHARE = 0.5  # of the batches of things
ARTISTS_TURNS = 4  # of fifteen chunks; the last of them shows strangers
FRAMED_SHARE = 0.65  # of the pictures are moved; the rest sit as the generator's own do
LOG_SCALE, SHIFT, ROLL_DEG = math.log(1.25), 0.06, 8.0  # half ranges of what moving does


@dataclass(frozen=True)
class Pictures:
    """Pictures and the truth about them.

    Strangers have label -1; their other numbers mean nothing. Things that no latent makes have NaN as their z.
    """

    image: Tensor  # [b, 3, n, n] in [0, 1]
    label: Tensor  # [b]
    z: Tensor  # [b, z_dim], root mean square 1
    yaw_deg: Tensor  # [b]
    pitch_deg: Tensor  # [b]
    fov_deg: Tensor  # [b], vertical
    framing: Tensor  # [b, 4]: log magnification, shift right, shift down (sides), clockwise roll (degrees)

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: Tensor | slice) -> "Pictures":
        return Pictures(*(getattr(self, field.name)[rows] for field in fields(self)))

    @staticmethod
    def concatenate(parts: Sequence["Pictures"]) -> "Pictures":
        """Join pictures in order."""
        return Pictures(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Pictures)))


@dataclass(frozen=True)
class Scenes:
    """What pictures are made of, as `layers.Layers`, and the truth about them; every use lights them anew."""

    tensors: dict[str, Tensor]  # of the layers and, beside them, "label", "z", "yaw_deg", "pitch_deg", "fov_deg", "own"

    def __len__(self) -> int:
        return len(self.tensors["label"])

    def __getitem__(self, rows: Tensor | slice) -> "Scenes":
        return Scenes({name: value[rows] for name, value in self.tensors.items()})

    @staticmethod
    def concatenate(parts: Sequence["Scenes"]) -> "Scenes":
        """Join scenes in order."""
        return Scenes({name: torch.cat([part.tensors[name] for part in parts]) for name in parts[0].tensors})

    def lit(self, generator: torch.Generator | None) -> Pictures:
        """Make pictures of them, each by another maker."""
        layers = Layers(*(self.tensors[field.name] for field in fields(Layers)))
        truth = {name: self.tensors[name] for name in ("label", "z", "yaw_deg", "pitch_deg", "fov_deg")}
        return Pictures(picture(layers, generator, self.tensors["own"])[0], framing=torch.zeros(len(self), 4), **truth)


def draw_cameras(count: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Yaw and pitch in degrees, uniform over the band of the sphere the generator was trained for."""
    draw = torch.rand(2, count, generator=generator)
    low, high = (math.sin(math.radians(p)) for p in PITCH_RANGE_DEG)
    return draw[0] * 360 - 180, torch.asin(low + (high - low) * draw[1]).rad2deg()


def draw_fov(count: int, generator: torch.Generator | None) -> Tensor:
    """Vertical fields of view in degrees: the generator's own or anything from a long lens to a phone's."""
    low, high = FOV_RANGE_DEG
    draw = torch.rand(2, count, generator=generator)
    return torch.where(draw[0] < OWN_FOV_SHARE, FOV_Y_DEG, low * (high / low) ** draw[1])


def distance(fov_deg: Tensor) -> Tensor:
    """How far a camera stands back for things to fill its picture as they fill the generator's."""
    reach = RADIUS * math.sin(math.radians(FOV_Y_DEG / 2))
    return reach / (fov_deg / 2).deg2rad().sin()


def trace(kind: Kind, z: Tensor, yaw_deg: Tensor, pitch_deg: Tensor, *, label: int, size: int = SIZE) -> Pictures:
    """Draw things of one kind as the generator's training data shows them: its camera, its light, white around."""
    camera = Camera.from_spherical(yaw_deg, pitch_deg, RADIUS, fov_y_deg=FOV_Y_DEG)
    rgb, _, _ = tracer.render(z, kind, camera.cam2world, FOV_Y_DEG, size)
    return Pictures(
        image=(rgb * 255).round() / 255,
        label=torch.full((len(z),), label),
        z=_normalized(z),
        yaw_deg=yaw_deg,
        pitch_deg=pitch_deg,
        fov_deg=torch.full((len(z),), FOV_Y_DEG),
        framing=torch.zeros(len(z), 4),
    )


def trace_scenes(
    kind: Kind, z: Tensor, generator: torch.Generator, *, label: int, size: int = SIZE, own: bool = False
) -> Scenes:
    """Trace things of one kind from random cameras, each under lights of its own; `own` as the generator shows them."""
    cameras = Cameras.draw(len(z), generator)
    if own:
        cameras = replace(cameras, fov_deg=torch.full_like(cameras.fov_deg, FOV_Y_DEG))
    places = torch.stack([camera.cam2world.reshape(4, 4) for camera in cameras.each])
    layers = trace_layers(z, kind, places, cameras.fov_deg, size, generator, textured=not own)
    return _scenes(layers, cameras, label, _normalized(z) if z.shape[1] == Z_DIM else None, own=own)


@dataclass(frozen=True)
class Cameras:
    """Random cameras, for things to fill the pictures as they fill the generator's."""

    yaw_deg: Tensor  # [b]
    pitch_deg: Tensor  # [b]
    fov_deg: Tensor  # [b]

    @staticmethod
    def draw(count: int, generator: torch.Generator) -> "Cameras":
        """Draw `count` of them."""
        return Cameras(*draw_cameras(count, generator), draw_fov(count, generator))

    @property
    def each(self) -> list[Camera]:
        """One after the other."""
        away = distance(self.fov_deg).tolist()
        numbers = zip(self.yaw_deg.tolist(), self.pitch_deg.tolist(), away, self.fov_deg.tolist(), strict=True)
        return [Camera.from_spherical(yaw, pitch, radius, fov_y_deg=fov) for yaw, pitch, radius, fov in numbers]


def _scenes(layers: Layers, cameras: Cameras, label: int, z: Tensor | None, *, own: bool = False) -> Scenes:
    count = len(layers)
    tensors = {field.name: getattr(layers, field.name) for field in fields(layers)}
    truth = {"yaw_deg": cameras.yaw_deg, "pitch_deg": cameras.pitch_deg, "fov_deg": cameras.fov_deg}
    truth["own"] = torch.full((count,), own)
    truth["z"] = torch.full((count, Z_DIM), math.nan) if z is None else z
    return Scenes(tensors | truth | {"label": torch.full((count,), label)})


def _normalized(z: Tensor) -> Tensor:
    return z / (z.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


def draw_things(label: int, count: int, generator: torch.Generator) -> Scenes:
    """Draw random things of one class: toys or varied ones, half of the batches bent beyond what numbers reach."""
    draw = torch.rand(3, generator=generator)
    toys = bool(draw[0] < TOY_SHARE)
    kind: Kind = label if toys else VARIED[CLASSES[label]]
    z = torch.randn(count, Z_DIM if toys else NUMBERS, generator=generator)
    own = toys and bool(draw[2] < OWN_SHARE)
    if not own and draw[1] < BENT_SHARE:
        kind = bent(kind, count, generator)
    return trace_scenes(kind, z, generator, label=label, own=own)


def draw_models(artists: Artists, count: int, generator: torch.Generator, *, strangers: bool = False) -> Scenes:
    """Draw one model of an artist from random cameras; `strangers` picks one that is none of the classes."""
    entry = artists.pick_stranger(generator) if strangers else artists.pick(generator)
    return model_scenes(entry, count, generator)


def model_scenes(entry: Entry, count: int, generator: torch.Generator) -> Scenes:
    """Draw a model of an artist from random cameras."""
    label = CLASSES.index(entry.class_name) if entry.class_name else STRANGER
    cameras = Cameras.draw(count, generator)
    return _scenes(artist_layers(entry, cameras.each, SIZE, generator), cameras, label, None)


def draw_strangers(count: int, generator: torch.Generator, kind: Kind | None = None) -> Scenes:
    """Draw solid strangers, `count` scenes of as many latents of one kind of object; None invents one."""
    z = torch.randn(count, Z_DIM, generator=generator)
    return trace_scenes(assembly(generator) if kind is None else kind, z, generator, label=STRANGER)


class Pool:
    """Every picture drawn so far, in memory and in shards on disk.

    Several processes may draw into one folder, each with a `lane` of its own; `refresh` takes in what others drew.
    """

    def __init__(
        self, folder: Path, artists: Artists | None = None, *, chunk: int = 24, shard: int = 2400, lane: int = 0
    ) -> None:
        self.folder, self.chunk, self.shard, self.lane, self._artists = folder, chunk, shard, lane, artists
        folder.mkdir(parents=True, exist_ok=True)
        self._stored, self._fresh = list[Scenes](), list[Scenes]()
        self._read = set[str]()
        self.refresh()
        self._shards = len(list(folder.glob(f"shard-{lane}-*.safetensors")))
        self.generator = torch.Generator().manual_seed(1_000_003 * (self._shards + 1) + lane)
        self._turn = 0

    def __len__(self) -> int:
        return sum(map(len, self._stored)) + sum(map(len, self._fresh))

    def refresh(self) -> None:
        """Take in the shards that are new on disk."""
        for path in sorted(self.folder.glob("shard-*.safetensors")):
            if path.name not in self._read:
                self._stored.append(Scenes(load_file(path)))
                self._read.add(path.name)

    def grow(self) -> None:
        """Draw one more chunk: the classes in turn, one kind of strangers, and what artists made."""
        turns = len(CLASSES) + 1 + (ARTISTS_TURNS if self._artists else 0)
        turn = self._turn % turns
        self._turn += 1
        if turn < len(CLASSES):
            drawn = draw_things(turn, self.chunk, self.generator)
        elif turn == len(CLASSES) or self._artists is None:
            drawn = draw_strangers(self.chunk, self.generator)
        else:
            drawn = draw_models(self._artists, self.chunk, self.generator, strangers=turn == turns - 1)
        self._fresh.append(drawn)
        if sum(map(len, self._fresh)) >= self.shard:
            self._flush()

    def _flush(self) -> None:
        whole = Scenes.concatenate(self._fresh)
        path = self.folder / f"shard-{self.lane}-{self._shards:04d}.safetensors"
        temporary = path.with_suffix(".part")
        temporary.write_bytes(save({name: value.contiguous() for name, value in whole.tensors.items()}))
        temporary.replace(path)
        self._stored.append(whole)
        self._read.add(path.name)
        self._shards, self._fresh = self._shards + 1, []

    def sample(self, count: int) -> Scenes:
        """Pick scenes at random, with repetition; `STRANGER_SHARE` of them show strangers, if any were drawn."""
        parts = [*self._stored, *self._fresh]
        any_strange = any(bool((part.tensors["label"] == STRANGER).any()) for part in parts)
        strangers = round(STRANGER_SHARE * count) if any_strange else 0
        picked = Scenes.concatenate([*_picked(parts, count - strangers, False), *_picked(parts, strangers, True)])
        return picked[torch.randperm(len(picked))]


def _picked(parts: Sequence[Scenes], count: int, strange: bool) -> list[Scenes]:
    """Pick scenes of things, or of strangers."""
    if not count:
        return []
    rows = [((part.tensors["label"] == STRANGER) == strange).nonzero()[:, 0] for part in parts]
    sizes = torch.tensor([len(of_kind) for of_kind in rows], dtype=torch.float)
    owners = torch.multinomial(sizes, count, replacement=True)
    picked = []
    for owner, times in zip(*owners.unique(return_counts=True), strict=True):
        of_kind = rows[int(owner)]
        picked.append(parts[int(owner)][of_kind[torch.randint(len(of_kind), (int(times),))]])
    return picked


def augment(pictures: Pictures, generator: torch.Generator | None = None) -> Pictures:
    """Move pictures and spoil them as cameras and files do; pose and latent stay what they are.

    Args:
        pictures: As lit.
        generator: Source of randomness; None uses torch's own.

    Returns:
        Pictures in [0, 1] whose `framing` says how they were moved.
    """
    image, framing = _move(pictures.image, generator)
    return replace(pictures, image=spoiled(image, generator), framing=framing)


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
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False), framing


def with_flat_strangers(pictures: Pictures, share: float, generator: torch.Generator) -> Pictures:
    """Replace the last `share` of a batch by flat strangers (made from those pictures, before `augment`)."""
    count = round(share * len(pictures))
    image = pictures.image.clone()
    kept = len(pictures) - count
    image[kept:] = drawn(image[kept:], generator)
    label = pictures.label.clone()
    label[kept:] = STRANGER
    return replace(pictures, image=image, label=label)


def held_out(per_class: int, *, first_seed: int, draw_z: Callable[[Sequence[int], int], Tensor]) -> Pictures:
    """Draw things nobody trains on: latents of numpy's `RandomState(seed)`, as `evaluate.py` uses them."""
    generator = torch.Generator().manual_seed(first_seed)
    parts = []
    for label in range(len(CLASSES)):
        start = first_seed + label * per_class
        z = draw_z(range(start, start + per_class), Z_DIM)
        parts.append(trace(label, z, *draw_cameras(per_class, generator), label=label))
    return Pictures.concatenate(parts)
