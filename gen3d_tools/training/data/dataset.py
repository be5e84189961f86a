"""A data set in memory or on disk: batches of real pictures and the labels that fakes take over."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.printable import printable
from gen3d_tools.searching import passed_over
from gen3d_tools.training.data.containers import Container, open_container
from gen3d_tools.training.data.features import encoder_features, read_features
from gen3d_tools.training.data.labels import FILE, Labels, read_labels
from gen3d_tools.training.data.pictures import (
    SUFFIXES,
    check_size,
    decode_colour,
    decode_depth,
    depth_name,
    is_picture,
    size_of,
)
from gen3d_tools.training.objectives.base import Conditions, RealBatch
from gen3d_tools.training.recipes.sections import DataSection, MirrorYaw

IN_MEMORY = 2 * 2**30
"""Data sets up to this many bytes are decoded once, and every picture is checked before any work."""

_HALF_DEPTH = 32768.0


@dataclass(eq=False)
class PictureSet:
    """Pictures to learn from; entries from `count` on are the mirrored copies.

    Attributes:
        names: Relative names of the pictures, sorted.
        side: Pixels along a side in the files.
        labels: What is known of them.
        features: For distillation [count, features], or None.
        content: Digest of the files of pictures and depth maps; None where they are read only when they are drawn.
    """

    container: Container
    names: list[str]
    side: int
    section: DataSection
    labels: Labels
    features: Float[Tensor, "pictures features"] | None = None
    content: str | None = None
    _colours: np.ndarray | None = None
    _depths: np.ndarray | None = None
    _digest: "hashlib._Hash | None" = None

    @property
    def count(self) -> int:
        """Pictures without their mirrored copies."""
        return len(self.names)

    def __len__(self) -> int:
        return self.count * (2 if self.section.mirror else 1)

    @property
    def num_classes(self) -> int:
        """Classes; 0 without."""
        return len(self.labels.class_names) if self.labels.classes is not None else 0

    def notes(self) -> Iterator[str]:
        """What there is, and what is passed over, line by line."""
        yield f"{self.count:,} pictures of {self.side} x {self.side}, {self.num_classes or 'no'} classes"
        if line := passed_over(self.container.names(), SUFFIXES):
            yield line

    def batch(self, entries: Sequence[int] | np.ndarray) -> RealBatch:
        """Give some pictures with everything known of them."""
        indices = np.asarray(entries) % self.count
        mirrored = torch.from_numpy(np.asarray(entries) >= self.count)
        images = torch.from_numpy(np.stack([self._colour(int(index)) for index in indices]))
        images = _mirror(images, mirrored).float() / 127.5 - 1
        depth = None
        if self.section.depth:
            levels = np.stack([self._depth(int(index)) for index in indices])[:, None].astype(np.float32)
            depth = _mirror(torch.from_numpy(levels / _HALF_DEPTH - 1), mirrored)
        conditions = self.conditions()
        rows = torch.from_numpy(np.asarray(entries))
        return RealBatch(
            images,
            depth=depth,
            class_onehot=conditions.onehots(np.asarray(entries)),
            angles=None if conditions.angles is None else conditions.angles[rows],
            labels=None if conditions.labels is None else conditions.labels[rows],
            features=None if self.features is None else self.features[torch.from_numpy(indices)],
        )

    def conditions(self) -> Conditions:
        """Labels of all entries, mirrored copies included."""
        classes, angles, cameras = self.labels.classes, self.labels.angles, self.labels.cameras
        if self.section.mirror:
            classes = None if classes is None else np.concatenate([classes, classes])
            angles = None if angles is None else torch.cat([angles, mirrored_angles(angles, self.section.mirror_yaw)])
            cameras = None if cameras is None else torch.cat([cameras, mirrored_cameras(cameras)])
        return Conditions(len(self), self.num_classes, classes, angles, cameras)

    def images(self, first: int, last: int) -> Float[Tensor, "b 3 r r"]:
        """Pictures in [0, 1], not mirrored."""
        return torch.from_numpy(np.stack([self._colour(index) for index in range(first, last)])).float() / 255

    def _colour(self, index: int) -> np.ndarray:
        if self._colours is not None:
            return np.asarray(self._colours[index])
        name = self.names[index]
        where = self.container.where(name)
        return decode_colour(self._read(name), where, self.side, self.section.resolution)

    def _depth(self, index: int) -> np.ndarray:
        if self._depths is not None:
            return np.asarray(self._depths[index])
        name = depth_name(self.names[index])
        where = self.container.where(name)
        return decode_depth(self._read(name), where, self.side, self.section.resolution)

    def _read(self, name: str) -> bytes:
        data = self.container.read(name)
        if self._digest is not None:
            self._digest.update(hashlib.sha256(data).digest())
        return data

    def keep_in_memory(self) -> None:
        """Decode everything now, if it fits; a broken picture is found before any work, a changed one by its digest."""
        side = self.section.resolution
        if self.count * side * side * (5 if self.section.depth else 3) > IN_MEMORY:
            return
        self._digest = hashlib.sha256()
        self._colours = np.stack([self._colour(index) for index in range(self.count)])
        if self.section.depth:
            self._depths = np.stack([self._depth(index) for index in range(self.count)])
        self.content = self._digest.hexdigest()


def open_pictures(path: Path, section: DataSection) -> PictureSet:
    """Open a folder or a .zip of pictures and check everything that can be checked before work begins.

    Args:
        path: The folder or archive.
        section: What of the pictures is used.

    Raises:
        NotFoundError: There is nothing at the path, or no features where they should be.
        InputError: There are no pictures, one is broken or of another size, labels or depth maps are missing.
    """
    container = open_container(path)
    every = container.names()
    names = [name for name in every if is_picture(name)]
    if not names:
        raise InputError(f"{path} holds no pictures; give a folder or a .zip of .png, .jpg or .webp files")
    first = container.where(names[0])
    width, height = size_of(container.read(names[0]), first)
    check_size((width, height), first, None, section.resolution)
    labels = _labels(container, every, names, section)
    if section.depth:
        _check_depth(container, every, names)
    pictures = PictureSet(container, names, width, section, labels)
    pictures.keep_in_memory()
    if section.features == "encoder":
        pictures.features = encoder_features(pictures.images, pictures.count)
    elif section.features != "none":
        pictures.features = read_features(Path(section.features), names)
    return pictures


def _check_depth(container: Container, every: list[str], names: list[str]) -> None:
    """Every picture has a depth map, and no two share one."""
    have = set(every)
    owners: dict[str, str] = {}
    for name in names:
        depth = depth_name(name)
        if depth not in have:
            raise InputError(
                f"{container.where(name)} has no depth map {printable(depth)} beside it; "
                "make depth maps, or train without: --set data.depth=false"
            )
        if depth in owners:
            raise InputError(
                f"{container.where(owners[depth])} and {printable(name)} have one depth map {printable(depth)}; "
                "give them names that differ before the suffix"
            )
        owners[depth] = name


def _labels(container: Container, every: list[str], names: list[str], section: DataSection) -> Labels:
    files = [name for name in every if name.rpartition("/")[2] == FILE]
    if len(files) > 1:
        raise InputError(f"{container.path} holds {len(files)} files named {FILE}; keep one")
    if not files:
        return Labels()
    labels = read_labels(container.read(files[0]), names, container.where(files[0]), container.path.resolve().stem)
    return labels if section.classes else Labels(cameras=labels.cameras, angles=labels.angles)


def mirrored_angles(angles: Float[Tensor, "n 3"], at: MirrorYaw) -> Float[Tensor, "n 3"]:
    """Poses of mirrored pictures: the yaw is mirrored at 0 (EpiGRAF) or at the mean of all yaws (3DGP)."""
    center = angles[:, :1].mean() if at == "mean" else 0.0
    return torch.cat([2 * center - angles[:, :1], angles[:, 1:]], -1)


def mirrored_cameras(cameras: Float[Tensor, "n 25"]) -> Float[Tensor, "n 25"]:
    """EG3D's camera numbers of mirrored pictures: the world is mirrored at x = 0."""
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))
    pose = flip @ cameras[:, :16].reshape(-1, 4, 4) @ flip
    lens = cameras[:, 16:].reshape(-1, 3, 3).clone()
    lens[:, 0, 2] = 1 - lens[:, 0, 2]
    return torch.cat([pose.flatten(1), lens.flatten(1)], -1)


def _mirror(images: Tensor, mirrored: Tensor) -> Tensor:
    """Reverse the columns of some pictures."""
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)
