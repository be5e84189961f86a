"""Published models that are a folder of two files: `config.yaml`, and a state dict of `torch.save` (TripoSR).

Nothing in either is run. The state dict is walked by our own reader (`pickles`), and its tensors are copied out of the
file one by one: at no time are more of its pages in memory than one tensor has.
"""

import hashlib
import mmap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gen3d_tools.checkpoints.configs.strict_yaml import parse_yaml
from gen3d_tools.checkpoints.pointers import check_no_pointer
from gen3d_tools.checkpoints.refusing import refusing
from gen3d_tools.errors import CheckpointError
from gen3d_tools.printable import printable

CONFIG_YAML = "config.yaml"
WEIGHTS_NAME = "model.ckpt"
_MAX_CONFIG_BYTES = 2**16  # the published one has 1 KiB
_MAX_TENSORS = 20_000
_MAX_NAME = 200


def is_published_folder(folder: Path) -> bool:
    """Tell whether a folder holds a published model's files, or one of them, and is no folder of ours."""
    if not folder.is_dir() or (folder / "config.json").exists():
        return False
    return (folder / CONFIG_YAML).is_file() or (folder / WEIGHTS_NAME).is_file()


@dataclass(frozen=True)
class PublishedFolder:
    """A published model's folder."""

    path: Path

    def __post_init__(self) -> None:
        for name in (CONFIG_YAML, WEIGHTS_NAME):
            if not (self.path / name).is_file():
                raise CheckpointError(
                    f"{self.path} holds no {name}; a published model of this kind is {CONFIG_YAML} and {WEIGHTS_NAME}"
                )
            check_no_pointer(self.path / name)

    @property
    def weights(self) -> Path:
        """The file of tensors."""
        return self.path / WEIGHTS_NAME

    @cached_property
    def config(self) -> dict[str, Any]:
        """The table in its `config.yaml`.

        Raises:
            CheckpointError: It is no table of plain values.
        """
        path = self.path / CONFIG_YAML
        with refusing(str(path)):
            if path.stat().st_size > _MAX_CONFIG_BYTES:
                raise CheckpointError(f"{path} has {path.stat().st_size} bytes, more than any {CONFIG_YAML}")
            return parse_yaml(path.read_bytes(), str(path))

    def digest(self) -> str:
        """Compute the SHA-256 of the file of tensors."""
        with self.weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Read the names and shapes of all tensors, without their numbers.

        Raises:
            CheckpointError: The file is damaged, hostile, or holds something else than a state dict.
        """
        with refusing(str(self.weights)), self._mapped() as data:
            records = self._records(data)[1]
            return {name: tuple(record.size) for name, record in records.items()}

    def tensors(self) -> dict[str, Any]:
        """Read all tensors as float32.

        Raises:
            CheckpointError: See `shapes`; or a number is not finite.
        """
        import torch

        with refusing(str(self.weights)), self._mapped() as data:
            archive, records = self._records(data)
            tensors = {}
            for name, record in records.items():
                try:
                    tensor = archive.read(record).float()
                except CheckpointError as error:
                    raise CheckpointError(f"tensor {name}: {error}") from error
                if not torch.isfinite(tensor).all():
                    raise CheckpointError(f"tensor {name} holds NaN or infinity; the weights are unusable")
                tensors[name] = tensor
                if hasattr(mmap, "MADV_DONTNEED"):
                    data.madvise(mmap.MADV_DONTNEED)  # the pages that were read stay the file's, not this process's
            return tensors

    def _mapped(self) -> mmap.mmap:
        with self.weights.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                raise CheckpointError("it is no file of torch.save since PyTorch 1.6; is the download complete?")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def _records(self, data: mmap.mmap) -> tuple[Any, dict[str, Any]]:
        """The archive, and its tensors not yet read."""
        from gen3d_tools.checkpoints.pickles.records import TensorRecord
        from gen3d_tools.checkpoints.pickles.torch_archive import read_archive
        from gen3d_tools.checkpoints.pickles.unpickling import Budget

        archive = read_archive(data, Budget(), allow_unknown=False)
        table = archive.content
        if not isinstance(table, dict) or not table:
            raise CheckpointError("it holds no table of tensors (a bare state dict), which a published model.ckpt is")
        if len(table) > _MAX_TENSORS:
            raise CheckpointError(f"it has more than {_MAX_TENSORS:,} tensors; no checkpoint does")
        for name, record in table.items():
            if not isinstance(name, str) or not name.isascii() or not name.isprintable() or len(name) > _MAX_NAME:
                raise CheckpointError("a tensor has a name that is no name; the file is damaged")
            if not isinstance(record, TensorRecord):
                raise CheckpointError(f"{printable(name)} is no tensor; a published model.ckpt is a bare state dict")
        return archive, table
