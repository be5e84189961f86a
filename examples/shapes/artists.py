"""Scenes of what artists made, for the encoder: models of its classes, and others as strangers.

Layers are those of the traced things (`layers.py`), without shadows: a mesh has no distance to ask for. A few dozen
models are few, so every picture stretches its model and half of them turn its colours.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from furniture import CATALOGUE, CLASSES, REACH, Entry, Model, read_set
from layers import LIGHTS, Layers, draw_lights
from torch import Tensor
from torch.nn import functional as F

from gen3d_tools.cameras.camera import Camera

_NEAR = "|".join([*(words for words, _ in CLASSES.values()), "sofa|couch|bench|plant|flower|seat|light"])
OTHERS = {"": (".", _NEAR)}
"""What counts as a stranger: neither one of our classes nor near to one."""

SAMPLES = 3  # per pixel along each side
STRETCH = 0.12  # each axis, as a logarithm
TURNED_COLORS = 0.5  # share of the pictures


class Artists:
    """Models of artists by class, read when they are asked for."""

    def __init__(self, sets: Path, *, held_out: bool = False) -> None:
        """List the models of unpacked sets.

        Args:
            sets: Folder of unpacked sets of furniture (see `furniture.py`).
            held_out: Those for judging, instead of those for training.
        """
        folders = [folder for folder in sorted(sets.iterdir()) if (folder / CATALOGUE).is_file()]
        self._by_class: dict[str, list[Entry]] = defaultdict(list)
        for entry in (e for folder in folders for e in (*read_set(folder), *read_set(folder, OTHERS))):
            if entry.held_out == held_out:
                self._by_class[entry.class_name].append(entry)
        if not self._by_class:
            raise ValueError(f"no sets of furniture in {sets}; unpack the .sh3f files there (unzip), one folder each")

    def pick(self, generator: torch.Generator) -> Entry:
        """Pick a model of our classes; those with few models come somewhat rarer."""
        names = sorted(name for name in self._by_class if name)
        shares = torch.tensor([len(self._by_class[name]) for name in names]).sqrt()
        name = names[int(torch.multinomial(shares, 1, generator=generator))]
        return self._one_of(name, generator)

    def pick_stranger(self, generator: torch.Generator) -> Entry:
        """Pick a model that is none of our classes."""
        return self._one_of("", generator)

    def entries(self) -> list[Entry]:
        """All models of our classes."""
        return [entry for name in sorted(self._by_class) if name for entry in self._by_class[name]]

    def _one_of(self, name: str, generator: torch.Generator) -> Entry:
        group = self._by_class[name]
        return group[int(torch.randint(len(group), (), generator=generator))]


@lru_cache(maxsize=60)
def _model(entry: Entry) -> Model:
    return entry.read()


def artist_layers(entry: Entry, cameras: Sequence[Camera], size: int, generator: torch.Generator) -> Layers:
    """Draw a model's layers from cameras, stretched and coloured anew in each.

    Args:
        entry: The model.
        cameras: One per picture.
        size: Side of the pictures, pixels.
        generator: Source of randomness.
    """
    pictures = [_layers(_stretched(_model(entry), generator), camera, size, generator) for camera in cameras]
    albedo, normal, alpha = (torch.stack(column) for column in zip(*pictures, strict=True))
    full = torch.full_like(alpha, 255)
    view = torch.stack([F.normalize(camera.cam2world.reshape(4, 4)[:3, 3], dim=0) for camera in cameras])
    both = full.expand(-1, LIGHTS, -1, -1).contiguous()
    return Layers(albedo, normal, alpha, full, both, both.clone(), draw_lights(len(cameras), generator), view)


def _layers(model: Model, camera: Camera, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    hit, albedo, normal = model.surface(camera, size * SAMPLES)
    stacked = np.zeros((*hit.shape, 7), np.float32)
    stacked[hit] = np.concatenate([_colored(albedo, generator), normal, np.ones((len(normal), 1))], axis=1)
    small = F.avg_pool2d(torch.from_numpy(stacked).permute(2, 0, 1)[None], SAMPLES)[0]
    inside = small[:3] / small[6:].clamp_min(1e-6)
    up = F.normalize(small[3:6], dim=0) / 2 + 0.5
    return _bytes(inside), _bytes(up), _bytes(small[6:])


def _bytes(values: Tensor) -> Tensor:
    return (values * 255).round().clamp(0, 255).to(torch.uint8)


def _stretched(model: Model, generator: torch.Generator) -> Model:
    """Another one of the same kind: longer, wider or taller."""
    sides = ((torch.rand(3, generator=generator) * 2 - 1) * STRETCH).exp().numpy()
    corners = model.corners * sides
    corners = corners * (REACH / np.linalg.norm(corners, axis=-1).max())
    return Model(corners, model.normals / sides, model.uv, model.part, model.looks)


def _colored(albedo: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """Half of them in other colours: channels shuffled, darker or lighter."""
    draw = torch.rand(3, generator=generator)
    if draw[0] > TURNED_COLORS:
        return albedo
    order = torch.randperm(3, generator=generator).numpy()
    return np.clip(albedo, 0, 1)[:, order] ** float(0.6 + 1.2 * draw[1])
