"""Files of `torch.save` since PyTorch 1.6: a ZIP archive of one pickle and the raw elements of every storage.

The pickle is walked by our own reader (`unpickling`), with far fewer names than the snapshots of whole modules have
(`allowed_globals`): state dicts, settings and numbers. The storages are ranges of the file; nothing is copied before a
tensor is asked for.
"""

from dataclasses import dataclass
from mmap import mmap
from typing import Any

import numpy as np
from torch import Tensor

from gen3d_tools.checkpoints.pickles.allowed_globals import OfficialVocabulary
from gen3d_tools.checkpoints.pickles.records import Blob, Name, StorageRecord, TensorRecord
from gen3d_tools.checkpoints.pickles.tensor_storage import CODES, Storage, TensorReader, is_device
from gen3d_tools.checkpoints.pickles.unpickling import Budget, Unpickler
from gen3d_tools.checkpoints.pickles.zip_directory import Entry, read_directory
from gen3d_tools.errors import CheckpointError
from gen3d_tools.printable import quoted

START = b"PK\x03\x04"
"""First bytes of every such file."""

_PICKLE = "/data.pkl"
_NAMES = frozenset(
    {
        "collections.OrderedDict",
        "collections.defaultdict",
        "easydict.EasyDict",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch.Size",
        "torch.device",
        "numpy.core.multiarray.scalar",
        "numpy.dtype",
        "runners.utils.running_stats.SingleStats",
        *(f"torch.{name}" for name in CODES),
    }
)


@dataclass(frozen=True, eq=False)
class TorchArchive:
    """What a file holds."""

    content: Any
    """Plain containers, records and tensor records."""
    tensors: TensorReader
    unknown: tuple[str, ...]
    """Names outside the list, replaced by placeholders."""
    storages: dict[int, Entry]
    """The entries of the storages by where they begin."""
    data: mmap | bytes

    def read(self, record: TensorRecord) -> Tensor:
        """Copy a tensor out of the file; see `TensorReader.read`.

        Raises:
            CheckpointError: Its storage is damaged, or the view does not lie within it.
        """
        entry = self.storages.get(record.storage.parsed.start)
        if entry is not None and not entry.intact(self.data):
            raise CheckpointError("its bytes do not have their checksum; the file is damaged, download it again")
        return self.tensors.read(record)


def read_archive(data: mmap, budget: Budget, *, allow_unknown: bool) -> TorchArchive:
    """Read the pickle of an archive.

    Args:
        data: The whole file.
        budget: What it may cost.
        allow_unknown: Replace globals outside the list by inert placeholders.

    Raises:
        CheckpointError: It is damaged, hostile, or written by another program.
    """
    entries = read_directory(data)
    pickles = [name for name in entries if name.endswith(_PICKLE)]
    if len(pickles) != 1:
        raise CheckpointError(
            f"it is a ZIP archive with {len(pickles) or 'no'} data.pkl, not a file of torch.save; give the .pth itself"
        )
    folder = pickles[0].removesuffix(_PICKLE)
    order = entries.get(f"{folder}/byteorder")
    if order is not None and data[order.start : min(order.end, order.start + 16)].strip() != b"little":
        raise CheckpointError("it was written on a big-endian machine, which is not supported")
    vocabulary = ArchiveVocabulary(data, f"{folder}/data/", entries, budget, allow_unknown=allow_unknown)
    entry = entries[pickles[0]]
    if not entry.intact(data):
        raise CheckpointError("its pickle does not have its checksum; the file is damaged, download it again")
    content = Unpickler(data, entry.start, entry.end, vocabulary, budget).load()
    storages = {one.start: one for name, one in entries.items() if name.startswith(f"{folder}/data/")}
    return TorchArchive(content, TensorReader(data, budget), tuple(vocabulary.unknown), storages, data)


class ArchiveVocabulary(OfficialVocabulary):
    """The names in archives of state dicts and settings, and the storages beside the pickle.

    Args:
        data: The whole file.
        folder: What the names of the storages' entries begin with.
        entries: Of the archive.
        budget: What the file may still cost.
        allow_unknown: Keep names outside the list as placeholders instead of refusing the file.
    """

    def __init__(
        self, data: mmap, folder: str, entries: dict[str, Entry], budget: Budget, *, allow_unknown: bool = False
    ) -> None:
        super().__init__(budget, allow_unknown=allow_unknown)
        self.data, self.folder, self.entries = data, folder, entries
        self._storages: dict[str, tuple[str, int, StorageRecord]] = {}

    def knows(self, qualified: str) -> bool:
        """Whether a global has a meaning here."""
        return qualified in _NAMES

    def persistent(self, identifier: Any) -> StorageRecord:
        """Give the storage that an identifier names.

        Raises:
            CheckpointError: It is identified in another way, is not there, or has another size.
        """
        if not isinstance(identifier, tuple) or len(identifier) != 5 or identifier[0] != "storage":
            raise CheckpointError("a storage is not identified as torch does it; the file is damaged")
        kind, key, location, count = identifier[1:]
        known = isinstance(kind, Name) and kind.module == "torch" and kind.name in CODES
        if not known or not isinstance(key, str) or not is_device(location) or type(count) is not int:
            raise CheckpointError("a storage is not identified as torch does it; the file is damaged")
        seen = self._storages.get(key)
        if seen is None:
            seen = self._storages[key] = kind.name, count, self._stored(key, CODES[kind.name], count)
        if seen[:2] != (kind.name, count):
            raise CheckpointError(f"storage {quoted(key, 20)} is described in two ways; the file is damaged")
        return seen[2]

    def _stored(self, key: str, code: str, count: int) -> StorageRecord:
        entry = self.entries.get(self.folder + key)
        if entry is None:
            raise CheckpointError(f"storage {quoted(key, 20)} is missing in the archive; the file is damaged")
        size = 2 if code == "bfloat16" else np.dtype(code).itemsize
        if count < 0 or count * size != entry.size:
            raise CheckpointError(
                f"storage {quoted(key, 20)} declares {count} elements and holds {entry.size} bytes; the file is damaged"
            )
        return StorageRecord(Blob(entry.start, entry.end), Storage(self.data, entry.start, count, code))
