"""Tensors of a pickled checkpoint: views of storages, each a nested legacy torch stream of its own.

A storage is five small pickles (magic number, version, byte order, what it is, its key), the number of elements
and the elements. Only the storages of tensors that are asked for are looked at, and their elements are copied
once, straight from the mapped file into the tensor.
"""

import codecs
import math
import re
import struct
from dataclasses import dataclass
from mmap import mmap
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gen3d_tools.checkpoints.pickles.records import Blob, Name, StorageRecord, TensorRecord
from gen3d_tools.checkpoints.pickles.unpickling import Budget, Unpickler
from gen3d_tools.errors import CheckpointError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
CODES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",  # numpy has no such type: read as the upper half of a float32
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
"""Types of storages by their class in torch, and how numpy names them."""

_DEVICE = re.compile(r"[a-z]{2,8}(:\d{1,3})?")
_MAX_SIDES = 1 << 31  # their product, with 1 for a side of 0
_SPARE_BYTES = 256 * 2**20  # tensors may need this much more memory than the file has (half precision, sharing)
_DECODED_AT_ONCE = 2**20


@dataclass(frozen=True)
class Storage:
    """Where the elements of a storage lie."""

    data: mmap | bytes
    start: int
    count: int
    code: str


class _StorageVocabulary:
    """The only names inside a storage: torch's storage classes, mentioned in one persistent id."""

    def find(self, module: str, name: str) -> Name:
        token = Name(module, name)
        if module != "torch" or name not in CODES:
            raise CheckpointError(f"a storage refers to {token}, which belongs in none; nothing was run")
        return token

    def call(self, callee: Any, arguments: tuple[Any, ...]) -> Any:
        raise CheckpointError("a storage calls a function; nothing was run")

    def persistent(self, identifier: Any) -> Any:
        return identifier


class TensorReader:
    """Makes tensors from their records.

    Args:
        data: The whole file.
        budget: Shared with the outer stream.
    """

    def __init__(self, data: mmap | bytes, budget: Budget) -> None:
        self.data, self.budget = data, budget
        self.bytes_left = len(data) + _SPARE_BYTES

    def read(self, record: TensorRecord) -> Tensor:
        """Copy a tensor out of the file.

        Returns:
            A contiguous tensor: float64 where the file has float64, else float32.

        Raises:
            CheckpointError: The storage is damaged, or the view does not lie within it.
        """
        storage = self._storage(record.storage)
        count = math.prod(record.size)
        last = record.offset + sum((side - 1) * step for side, step in zip(record.size, record.stride, strict=True))
        # More elements than the storage has means overlapping strides: a small file with huge tensors. A side of 0
        # makes any other sides fit, and libraries refuse those that no memory could hold.
        sides = math.prod(max(side, 1) for side in record.size)
        if sides > _MAX_SIDES or count > storage.count or (count and last >= storage.count):
            size = " x ".join(map(str, record.size))
            raise CheckpointError(f"a tensor of size {size} does not fit its {storage.count} elements")
        kind = np.dtype(np.float64 if storage.code == "<f8" else np.float32)
        self.bytes_left -= count * kind.itemsize
        if self.bytes_left < 0:
            raise CheckpointError("its tensors need far more memory than the file has bytes; no checkpoint does")
        if count == 0:
            return torch.from_numpy(np.zeros(record.size, kind))
        return torch.from_numpy(_copy(storage, record, kind))

    def _storage(self, record: StorageRecord) -> Storage:
        if record.parsed is None:
            record.parsed = self._parse(record.blob)
        storage: Storage = record.parsed
        return storage

    def _parse(self, blob: Blob | bytes) -> Storage:
        if isinstance(blob, bytes):
            return parse_storage(blob, 0, len(blob), self.budget)
        if blob.latin1:
            self.bytes_left -= blob.end - blob.start
            if self.bytes_left < 0:
                raise CheckpointError("its tensors need far more memory than the file has bytes; no checkpoint does")
            raw = _latin1(self.data, blob)
            return parse_storage(raw, 0, len(raw), self.budget)
        return parse_storage(self.data, blob.start, blob.end, self.budget)


def parse_storage(data: mmap | bytes, start: int, end: int, budget: Budget) -> Storage:
    """Read what a nested stream holds, without its elements.

    Raises:
        CheckpointError: It is damaged, or declares more elements than there are bytes.
    """
    parts = []
    for _ in range(5):
        stream = Unpickler(data, start, end, _StorageVocabulary(), budget)
        parts.append(stream.load())
        start = stream.position
    magic, version, system, identifier, keys = parts
    if magic != LEGACY_MAGIC or version != _VERSION:
        raise CheckpointError("a storage does not begin as torch writes them; the file is damaged")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError("a storage was written on a big-endian machine, which is not supported")
    code, declared = _identify(identifier, keys)
    if end - start < 8:
        raise CheckpointError("a storage is cut short before its elements")
    count = struct.unpack_from("<q", data, start)[0]
    size = 2 if code == "bfloat16" else np.dtype(code).itemsize
    if count != declared or not 0 <= count <= (end - start - 8) // size:
        raise CheckpointError(f"a storage declares {declared} elements and holds {count} or fewer; the file is damaged")
    return Storage(data, start + 8, count, code)


def _identify(identifier: Any, keys: Any) -> tuple[str, int]:
    """Take the type and the number of elements from a storage's persistent id."""
    if not isinstance(identifier, tuple) or len(identifier) not in (5, 6) or identifier[0] != "storage":
        raise CheckpointError("a storage is not identified as torch does it; the file is damaged")
    kind, key, location, count = identifier[1:5]
    located = is_device(location)  # wherever it was, it comes to the CPU
    if not isinstance(kind, Name) or not isinstance(key, str) or keys != [key] or not located or type(count) is not int:
        raise CheckpointError("a storage is not identified as torch does it; the file is damaged")
    if identifier[5:] not in ((), (None,)):
        raise CheckpointError("a storage is a view of another one, which torch has not written for years")
    return CODES[kind.name], count


def is_device(location: Any) -> bool:
    """Whether a storage's location names a device, such as "cpu" or "cuda:0"."""
    return isinstance(location, str) and _DEVICE.fullmatch(location) is not None


def _copy(storage: Storage, record: TensorRecord, kind: np.dtype[Any]) -> np.ndarray:
    """Copy the elements of a view that lies within the storage."""
    half = storage.code == "bfloat16"
    flat = np.frombuffer(storage.data, "<u2" if half else storage.code, storage.count, storage.start)
    steps = [step * flat.itemsize for step in record.stride]
    view = np.lib.stride_tricks.as_strided(flat[record.offset :], record.size, steps, writeable=False)
    if half:
        return (view.astype("<u4") << 16).view("<f4").astype(kind, order="C")
    return np.array(view, dtype=kind, order="C")


def _latin1(data: mmap | bytes, blob: Blob) -> bytes:
    """Decode bytes that protocol 2 wrote as a text, a piece at a time."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    pieces = bytearray()
    try:
        for start in range(blob.start, blob.end, _DECODED_AT_ONCE):
            stop = min(start + _DECODED_AT_ONCE, blob.end)
            pieces += decoder.decode(data[start:stop], final=stop == blob.end).encode("latin1")
    except UnicodeError as error:
        raise CheckpointError(f"the text at byte {blob.start} does not stand for bytes; the file is damaged") from error
    return bytes(pieces)
