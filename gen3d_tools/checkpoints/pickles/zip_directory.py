"""Where the entries of a ZIP archive lie, read from its directory alone and with limits on everything.

Archives that torch writes hold every entry uncompressed, so an entry is a range of the file. Anything else is refused:
compressed, encrypted or split archives, entries that do not lie where they say, and directories without end.
"""

import struct
import zlib
from dataclasses import dataclass
from mmap import mmap

from gen3d_tools.errors import CheckpointError
from gen3d_tools.printable import quoted

_MAX_ENTRIES = 20_000
_MAX_DIRECTORY = 8 * 2**20
_MAX_NAME = 512
_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_SIZE, _LOCATOR_SIZE, _END64_SIZE = 22, 20, 56
_LONGEST_COMMENT = 65_535
_ENTRY, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_ENTRY_SIZE, _LOCAL_SIZE = 46, 30
_SIZES_64 = 1  # the extra field with numbers that need more than 32 bits
_ESCAPE = 0xFFFFFFFF
_ENCRYPTED = 0x1
_CHECKED_AT_ONCE = 2**20


@dataclass(frozen=True)
class Entry:
    """Bytes `start` to `end` of the file."""

    start: int
    end: int
    checksum: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start

    def intact(self, data: mmap | bytes) -> bool:
        """Whether the bytes have the checksum (CRC-32) that the directory has of them."""
        found = 0
        for start in range(self.start, self.end, _CHECKED_AT_ONCE):
            found = zlib.crc32(data[start : min(start + _CHECKED_AT_ONCE, self.end)], found)
        return found == self.checksum


def read_directory(data: mmap | bytes) -> dict[str, Entry]:
    """Find every entry by its name.

    Raises:
        CheckpointError: The archive is damaged, or of a kind that torch does not write.
    """
    try:
        count, size, position = _end(data)
        return _entries(data, count, size, position)
    except (struct.error, UnicodeDecodeError) as error:
        raise CheckpointError("its ZIP directory is damaged; copy or download it again") from error


def _end(data: mmap | bytes) -> tuple[int, int, int]:
    """Number of entries, size of the directory, and where it begins."""
    end = data.rfind(_END, max(0, len(data) - _END_SIZE - _LONGEST_COMMENT))
    if end < 0:
        raise CheckpointError("it is cut short: the directory at the end of the ZIP archive is missing")
    disk, first_disk, _, count, size, position = struct.unpack_from("<4H2I", data, end + 4)
    locator = end - _LOCATOR_SIZE
    if locator >= 0 and data[locator : locator + 4] == _LOCATOR64:
        (end64,) = struct.unpack_from("<Q", data, locator + 8)
        if end64 > locator - _END64_SIZE or data[end64 : end64 + 4] != _END64:
            raise CheckpointError("its ZIP directory is damaged; copy or download it again")
        disk, first_disk, _, count, size, position = struct.unpack_from("<2I4Q", data, end64 + 16)
        end = end64
    if disk or first_disk:
        raise CheckpointError("it is a part of a split ZIP archive, which no checkpoint is")
    if count > _MAX_ENTRIES or size > _MAX_DIRECTORY:
        raise CheckpointError(f"its ZIP directory lists {count} entries in {size} bytes; no checkpoint has so many")
    if position > end or size > end - position:
        raise CheckpointError("its ZIP directory is damaged; copy or download it again")
    return count, size, position


def _entries(data: mmap | bytes, count: int, size: int, position: int) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    last = position + size
    for _ in range(count):
        if position > last - _ENTRY_SIZE or data[position : position + 4] != _ENTRY:
            raise CheckpointError("its ZIP directory is damaged; copy or download it again")
        flags, method, checksum, packed, unpacked, name_size, extra_size, comment_size, start = struct.unpack_from(
            "<2H4x3I3H8xI", data, position + 8
        )
        if name_size > _MAX_NAME or position + _ENTRY_SIZE + name_size + extra_size + comment_size > last:
            raise CheckpointError("its ZIP directory is damaged; copy or download it again")
        name_at = position + _ENTRY_SIZE
        name = bytes(data[name_at : name_at + name_size])
        extra = bytes(data[name_at + name_size : name_at + name_size + extra_size])
        unpacked, packed, start = _large_numbers(extra, unpacked, packed, start)
        position = name_at + name_size + extra_size + comment_size
        text = name.decode("utf-8")
        if method or packed != unpacked or flags & _ENCRYPTED:
            raise CheckpointError(f"its entry {quoted(text, 60)} is compressed or encrypted, which torch's never are")
        if text in found:
            raise CheckpointError(f"its entry {quoted(text, 60)} is there twice; the file is damaged")
        found[text] = _located(data, name, start, unpacked, checksum)
    return found


def _large_numbers(extra: bytes, *numbers: int) -> list[int]:
    """Replace the numbers that did not fit into 32 bits by those of the extra field, in its fixed order."""
    wide = list(numbers)
    place = 0
    while place + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, place)
        if kind == _SIZES_64:
            offset = place + 4
            for index, number in enumerate(numbers):
                if number == _ESCAPE and offset + 8 <= min(place + 4 + size, len(extra)):
                    (wide[index],) = struct.unpack_from("<Q", extra, offset)
                    offset += 8
        place += 4 + size
    return wide


def _located(data: mmap | bytes, name: bytes, start: int, size: int, checksum: int) -> Entry:
    """Follow an entry to its bytes, over the header in front of them."""
    text = quoted(name.decode(errors="replace"), 60)
    lost = f"its entry {text} does not lie where the directory says; the file is damaged"
    if start > len(data) - _LOCAL_SIZE or data[start : start + 4] != _LOCAL:
        raise CheckpointError(lost)
    name_size, extra_size = struct.unpack_from("<2H", data, start + 26)
    begin = start + _LOCAL_SIZE + name_size + extra_size
    if data[start + _LOCAL_SIZE : start + _LOCAL_SIZE + name_size] != name or size > len(data) - begin:
        raise CheckpointError(lost)
    return Entry(begin, begin + size, checksum)
