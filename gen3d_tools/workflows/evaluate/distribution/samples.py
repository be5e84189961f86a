"""Samples for measures, shard by shard: a shard is described by plain values and made by one function.

Seed i is sample i, however the samples are cut into shards: a shard can be made anywhere, again, and in any order.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.poses import Pose, pose_of
from gen3d_tools.errors import InputError
from gen3d_tools.generators.base import Generator
from gen3d_tools.generators.families.epigraf_base import PlaneGenerator
from gen3d_tools.generators.latents import latent_z
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.perception.feature_networks import FeatureNetwork, Features
from gen3d_tools.rendering.renderer import render
from gen3d_tools.training.data.labels import Labels
from gen3d_tools.workflows.evaluate.distribution.networks import load_network
from gen3d_tools.workflows.evaluate.distribution.protocols import CameraSource
from gen3d_tools.workflows.evaluate.distribution.sets import read_set_labels

SHARD = 256
"""Samples of one shard: minutes of work, so that little is lost and little is said."""
_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class SampleShard:
    """A piece of the samples: everything that their pictures follow from, in plain values that JSON keeps."""

    model: str  # whatever `load_generator` takes
    model_sha256: str
    model_config_sha256: str | None = None  # cameras and rays follow from it; None = the model has no config
    base: str | None = None
    first: int  # the first seed
    count: int
    size: int  # pixels along a side
    psi: float = 1.0
    cameras: CameraSource = "model"
    labels: str | None = None  # the data set whose labels give classes and cameras
    labels_sha256: str | None = None
    network: str | None = None  # the Inception network's file; None = the bundled encoder
    network_sha256: str = ""
    device: str = "cpu"

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SampleShard":
        """Read what `to_dict` wrote.

        Raises:
            InputError: A value is unknown or missing.
        """
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            wrong = ", ".join(sorted(set(values) ^ names))
            raise InputError(f"a shard of samples has {len(names)} values; these are unknown or missing: {wrong}")
        return cls(**values)

    def key(self) -> dict[str, Any]:
        """What the numbers depend on: digests instead of places, and no device."""
        places = ("model", "base", "labels", "network", "device")
        return {"what": "samples", **{name: value for name, value in asdict(self).items() if name not in places}}


def features_of_shard(shard: SampleShard) -> Features:
    """Draw a shard's pictures and let the network look at them; models and networks stay loaded in the process."""
    generator = _generator(shard.model, shard.base, shard.device)
    labels = None if shard.labels is None else read_set_labels(Path(shard.labels))
    network = _network(shard.network, shard.device)
    seeds = range(shard.first, shard.first + shard.count)
    return look(network, (picture for picture in pictures_of(generator, seeds, shard, labels)))


@functools.lru_cache(maxsize=2)
def _generator(model: str, base: str | None, device: str) -> Generator:
    return load_generator(model, device=device, base=base)


@functools.lru_cache(maxsize=2)
def _network(file: str | None, device: str) -> FeatureNetwork:
    return load_network(None if file is None else Path(file), device=device)


def look(network: FeatureNetwork, pictures: Iterator[UInt8[Tensor, "3 n n"]]) -> Features:
    """Let a network look at pictures as they come, in batches."""
    parts, batch = [], list[Tensor]()
    for picture in pictures:
        batch.append(picture)
        if len(batch) == _BATCH:
            parts.append(network(torch.stack(batch)))
            batch.clear()
    if batch:
        parts.append(network(torch.stack(batch)))
    return Features.joined(parts)


def pictures_of(
    generator: Generator, seeds: Sequence[int], shard: SampleShard, labels: Labels | None
) -> Iterator[UInt8[Tensor, "3 n n"]]:
    """Draw samples as the papers' metrics do: the family's own samples along jittered rays, rounded to bytes.

    Args:
        generator: The model.
        seeds: One per sample; a seed is the same picture in every shard.
        shard: Size, truncation and cameras.
        labels: Of the data set, for classes and cameras.
    """
    for start in range(0, len(seeds), _BATCH):
        chosen = seeds[start : start + _BATCH]
        classes = drawn_classes(generator, chosen, labels)
        cameras = drawn_cameras(generator, chosen, classes, labels if shard.cameras == "data" else None)
        with torch.no_grad():
            ws = drawn_latents(generator, chosen, classes, cameras, shard.psi)
        for index, seed in enumerate(chosen):
            with torch.no_grad():
                [field] = generator.fields(ws[index : index + 1])
            noise = torch.Generator(generator.device).manual_seed(seed)
            frames = render(field, cameras[index], resolution=shard.size, sampling="published", generator=noise)
            yield as_bytes(frames.rgb)


def as_bytes(picture: Float[Tensor, "3 n n"]) -> UInt8[Tensor, "3 n n"]:
    """Round half up to bytes: trunc(127.5 x + 128) of x in [-1, 1], as the papers' metrics do."""
    return (picture.float() * 255 + 0.5).clamp(0, 255).to(torch.uint8).cpu()


def drawn_classes(generator: Generator, seeds: Sequence[int], labels: Labels | None) -> list[int] | None:
    """Draw each sample's class as the data set's are spread; without its labels each seed draws its own.

    Raises:
        InputError: The data set has more classes than the model.
    """
    if not generator.num_classes:
        return None
    if labels is None or labels.classes is None:
        return generator.class_indices(list(seeds))
    if len(labels.class_names) > generator.num_classes:
        found, own = len(labels.class_names), generator.num_classes
        raise InputError(f"the data set has {found} classes, the model {own}; give the data that it was trained on")
    return [int(labels.classes[_entry(seed, len(labels.classes))]) for seed in seeds]


def drawn_cameras(
    generator: Generator, seeds: Sequence[int], classes: Sequence[int] | None, labels: Labels | None
) -> Camera:
    """Give each sample its camera: of a random entry of the data set, or of the model's distribution.

    Args:
        generator: The model.
        seeds: One per sample.
        classes: Their classes, for a camera generator.
        labels: The data set's; None, or without cameras, takes the model's distribution.
    """
    if labels is not None and labels.cameras is not None:
        rows = [_entry(seed, len(labels.cameras)) for seed in seeds]
        return Camera.from_eg3d_label(labels.cameras[rows]).to(generator.device)
    if labels is not None and labels.angles is not None and isinstance(generator, PlaneGenerator):
        angles = labels.angles[[_entry(seed, len(labels.angles)) for seed in seeds]]
        usual = pose_of(generator.settings.default_view.mean(), yaw_zero=generator.yaw_zero)
        return Pose.build(
            angles[:, 0], angles[:, 1], fov_deg=usual.fov_deg, radius=usual.radius, yaw_zero=generator.yaw_zero
        ).camera()
    return generator.sample_cameras(len(seeds), list(seeds), classes=classes)


def drawn_latents(
    generator: Generator, seeds: Sequence[int], classes: Sequence[int] | None, cameras: Camera, psi: float
) -> Float[Tensor, "b num_ws w_dim"]:
    """Map seeds to latents, told the cameras where the network is conditioned on them."""
    config = generator.config
    if not (getattr(config, "camera_conditioned", False) or getattr(config, "camera_dim", 0)):
        return generator.latents(list(seeds), classes, truncation_psi=psi)
    z = latent_z(list(seeds), config.z_dim).to(generator.device)
    onehots = generator.class_onehots(list(seeds), classes)
    return generator.map(z, onehots, cameras.to(generator.device).to_eg3d_label(), psi)


def _entry(seed: int, entries: int) -> int:
    """Which entry of the data set a sample takes its labels from."""
    return int(np.random.default_rng(seed).integers(entries))


def sample_picture(shard: SampleShard, seed: int) -> UInt8[Tensor, "3 n n"]:
    """Draw one sample of a shard again, for people."""
    generator = _generator(shard.model, shard.base, shard.device)
    labels = None if shard.labels is None else read_set_labels(Path(shard.labels))
    return next(pictures_of(generator, [seed], shard, labels))
