"""A set of pictures to compare with: opened, checked, read in batches, and known by its digest."""

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from gen3d_tools.errors import InputError
from gen3d_tools.printable import printable
from gen3d_tools.training.data.containers import Container, open_container
from gen3d_tools.training.data.dataset import PictureSet, open_pictures
from gen3d_tools.training.data.labels import FILE, Labels, read_labels
from gen3d_tools.training.data.pictures import depth_name, is_picture, size_of
from gen3d_tools.training.recipes.sections import DataSection
from gen3d_tools.wording import option

_BATCH = 64


def open_set(path: Path, size: int | None = None, *, depth: bool = False) -> PictureSet:
    """Open a folder or .zip of square pictures of one size, and check all of them before any work.

    Args:
        path: The folder or archive.
        size: Pixels along a side to shrink them to; None keeps theirs.
        depth: Read their depth maps (NAME_depth.png) too.

    Raises:
        NotFoundError: There is nothing at the path.
        InputError: There are no pictures, one is broken or of another size, or a depth map is missing.
    """
    container = open_container(path)
    names = _pictures_in(container)
    sizes: dict[tuple[int, int], str] = {}
    for name in names:
        sizes.setdefault(size_of(container.read(name), container.where(name)), name)
        if len(sizes) > 1:
            (first, one), (second, other) = list(sizes.items())[:2]
            raise InputError(
                f"{path} holds pictures of several sizes: {one} has {first[0]} x {first[1]} pixels, {other} "
                f"{second[0]} x {second[1]}; bring all to one size"
            )
    if depth:
        have = set(container.names())
        missing = [name for name in names if depth_name(name) not in have]
        if missing:
            lonely = missing[0]
            raise InputError(
                f"{container.where(lonely)} has no depth map {printable(depth_name(lonely))} beside it, as "
                f"{len(missing):,} of {len(names):,} pictures; make them, or leave {option('geometry', True)} out"
            )
    side = next(iter(sizes))[0]
    return open_pictures(path, DataSection(resolution=size or side, mirror=False, depth=depth))


def is_set(path: Path) -> bool:
    """Whether a path is a folder or .zip of pictures, rather than a model."""
    if not path.is_dir() and path.suffix.lower() != ".zip":
        return False
    return path.is_file() or not (path / "config.json").is_file()


def count_pictures(path: Path) -> int:
    """Count the pictures of a set, without a look at them.

    Raises:
        InputError: It is an archive that cannot be read.
    """
    return sum(is_picture(name) for name in open_container(path).names())


def set_digest(pictures: PictureSet) -> str:
    """Digest of the names and bytes of all pictures, and of their labels."""
    found = hashlib.sha256()
    container = pictures.container
    every = container.names()
    for name in [*pictures.names, *(name for name in every if name.rpartition("/")[2] == FILE)]:
        content = container.read(name)
        found.update(f"{name}\0{len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()


def batches(pictures: PictureSet) -> Iterator[UInt8[Tensor, "b 3 n n"]]:
    """Give all pictures, in the order of their names."""
    for first in range(0, pictures.count, _BATCH):
        last = min(first + _BATCH, pictures.count)
        yield (pictures.images(first, last) * 255).round().to(torch.uint8)


def read_set_labels(path: Path) -> Labels:
    """Read what a set says of its pictures, without the pictures; it stays in memory."""
    return _labels(path, (path / FILE).stat().st_mtime_ns if (path / FILE).is_file() else 0)


@functools.lru_cache(maxsize=4)
def _labels(path: Path, _changed: int) -> Labels:
    container = open_container(path)
    names, files = _pictures_in(container), [one for one in container.names() if one.rpartition("/")[2] == FILE]
    return read_labels(container.read(files[0]), names, container.where(files[0])) if files else Labels()


def _pictures_in(container: Container) -> list[str]:
    names = [name for name in container.names() if is_picture(name)]
    if not names:
        raise InputError(f"{container.path} holds no pictures; give a folder or a .zip of .png, .jpg or .webp files")
    return names
