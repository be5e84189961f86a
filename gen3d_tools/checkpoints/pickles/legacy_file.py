"""Files of `torch.save` before PyTorch 1.6: a table of tensors, then the elements of every storage.

Five pickles (magic number, version, byte order, the table, the keys of the storages in order), then for each key the
number of its elements and the elements. Such are the three small networks of a face detector, see `perception.faces`.
"""

import struct
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gen3d_tools.checkpoints.pickles.allowed_globals import OfficialVocabulary
from gen3d_tools.checkpoints.pickles.records import Blob, Name, StorageRecord, TensorRecord
from gen3d_tools.checkpoints.pickles.tensor_storage import CODES, LEGACY_MAGIC, Storage, TensorReader, is_device
from gen3d_tools.checkpoints.pickles.unpickling import Budget, Unpickler
from gen3d_tools.checkpoints.pointers import check_no_pointer
from gen3d_tools.checkpoints.refusing import refusing
from gen3d_tools.errors import CheckpointError, NotFoundError
from gen3d_tools.printable import quoted

_VERSION = 1001
_MAX_TENSORS = 1000
_NAMES = frozenset(
    {
        "collections.OrderedDict",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        *(f"torch.{name}" for name in CODES),
    }
)


def read_tensor_table(path: str | Path) -> dict[str, Tensor]:
    """Read a small file that holds named tensors and nothing else. Nothing in it is run, imported or opened.

    Args:
        path: A file of `torch.save` with `_use_new_zipfile_serialization=False`, the only way before PyTorch 1.6.

    Returns:
        Tensors by their names; float64 where the file has float64, else float32.

    Raises:
        NotFoundError: No such file.
        CheckpointError: It is damaged, hostile, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"no file {path}; check the path")
    check_no_pointer(path)
    with refusing(str(path)), path.open("rb") as file:
        if file.read(1) != b"\x80":
            raise CheckpointError("it is no file of torch.save before PyTorch 1.6; copy or download it again")
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            return _read(data)


def _read(data: mmap) -> dict[str, Tensor]:
    budget = Budget()
    vocabulary = TableVocabulary(budget)
    parts, position = [], 0
    for _ in range(5):
        stream = Unpickler(data, position, len(data), vocabulary, budget)
        parts.append(stream.load())
        position = stream.position
    magic, version, system, table, keys = parts
    if magic != LEGACY_MAGIC or version != _VERSION:
        raise CheckpointError("it does not begin as torch wrote files before PyTorch 1.6; the file is damaged")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError("it was written on a big-endian machine, which is not supported")
    if not isinstance(table, dict) or not table or len(table) > _MAX_TENSORS:
        raise CheckpointError(f"it holds no table of 1 to {_MAX_TENSORS} tensors")
    _place(vocabulary.storages, keys, data, position)
    reader, tensors = TensorReader(data, budget), {}
    for name, record in table.items():
        if not isinstance(name, str) or not isinstance(record, TensorRecord):
            raise CheckpointError(f"{quoted(name, 40)} is no tensor; the file holds something else than a network")
        tensors[name] = reader.read(record)
        if not torch.isfinite(tensors[name]).all():
            raise CheckpointError(f"tensor {quoted(name, 40)} holds NaN or infinity; the weights are unusable")
    return tensors


def _place(storages: "dict[str, _Storage]", keys: Any, data: mmap, position: int) -> None:
    """Find the elements of every storage behind the pickles."""
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise CheckpointError("its list of storages is not that of its tensors; the file is damaged")
    for key in keys:
        storage = storages[key]
        width = 2 if storage.code == "bfloat16" else np.dtype(storage.code).itemsize
        if len(data) - position < 8:
            raise CheckpointError("it is cut short before the elements of its tensors")
        count = struct.unpack_from("<q", data, position)[0]
        position += 8
        if count != storage.count or not 0 <= count <= (len(data) - position) // width:
            raise CheckpointError(
                f"a storage declares {storage.count} elements and holds {count} or fewer; the file is damaged"
            )
        storage.record.parsed = Storage(data, position, count, storage.code)
        position += count * width


class _Storage:
    """A storage that the table mentions: what it is, before its elements are found."""

    def __init__(self, code: str, count: int) -> None:
        self.code, self.count = code, count
        self.record = StorageRecord(Blob(0, 0))


class TableVocabulary(OfficialVocabulary):
    """The names in tables of tensors, and the storages they mention."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self.storages: dict[str, _Storage] = {}

    def knows(self, qualified: str) -> bool:
        """Whether a global has a meaning here."""
        return qualified in _NAMES

    def persistent(self, identifier: Any) -> StorageRecord:
        """Give the storage that an identifier names.

        Raises:
            CheckpointError: It is identified in another way, or is a view of another one.
        """
        if not isinstance(identifier, tuple) or len(identifier) not in (5, 6) or identifier[0] != "storage":
            raise CheckpointError("a storage is not identified as torch does it; the file is damaged")
        kind, key, location, count, *view = identifier[1:]
        known = isinstance(kind, Name) and kind.module == "torch" and kind.name in CODES
        if not known or not isinstance(key, str) or not is_device(location) or type(count) is not int or count < 0:
            raise CheckpointError("a storage is not identified as torch does it; the file is damaged")
        if view not in ([], [None]):
            raise CheckpointError("a storage is a view of another one, which torch has not written for years")
        seen = self.storages.setdefault(key, _Storage(CODES[kind.name], count))
        if (seen.code, seen.count) != (CODES[kind.name], count):
            raise CheckpointError(f"storage {quoted(key, 20)} is described in two ways; the file is damaged")
        return seen.record
