"""Zip files whose bytes depend on their contents alone."""

import io
import struct
import zipfile
from collections.abc import Mapping

_LOCAL_HEADER = 30  # bytes before a file's name and extra field


def pack(files: Mapping[str, bytes], *, compress: bool, align: int = 1) -> bytes:
    """Put files into a zip archive, in their order.

    Args:
        files: Names and contents.
        compress: Deflate them, or store them as they are.
        align: Contents begin at multiples of this; only for stored files.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # 1 January 1980, whenever it is written
            entry.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
            entry.external_attr = 0o644 << 16
            begin = buffer.tell() + _LOCAL_HEADER + len(name.encode())
            if begin % align:
                padding = -(begin + 4) % align  # an extra field is 4 bytes and what they announce
                entry.extra = struct.pack("<HH", 0x1986, padding) + b"\0" * padding
            archive.writestr(entry, content)
    return buffer.getvalue()
