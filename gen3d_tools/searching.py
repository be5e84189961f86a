"""Every file below a folder that somebody gave: none is left out without a word but what is hidden."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from gen3d_tools.errors import InputError
from gen3d_tools.printable import printable

_PICTURES = {
    *(".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".raw"),  # of cameras
    *(".avif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg", ".jp2", ".jxl", ".webp"),
    *(".bmp", ".exr", ".gif", ".hdr", ".png", ".ppm", ".psd", ".svg", ".tga", ".tif", ".tiff"),
}
"""Of files that people take for pictures, whether they can be read here or not."""


def passed_over(names: Iterable[str], read: tuple[str, ...]) -> str:
    """Say which pictures among files are not read for what their names end with; empty if there are none.

    Args:
        names: Of the files; hidden ones do not count.
        read: What the names of those end with that are read, such as .png.
    """
    ends = Counter(PurePosixPath(name).suffix.lower() for name in names if not is_hidden(name))
    unread = {end: count for end, count in sorted(ends.items()) if end in _PICTURES and end not in read}
    if not unread:
        return ""
    kinds = ", ".join(f"{count:,} {end}" for end, count in unread.items())
    return f"passed over, as they are not read: {kinds}; save them as .png or .jpg"


def is_hidden(name: str) -> bool:
    """Whether a relative name, or a folder in it, begins with a dot or is what macOS adds to archives."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def files_below(folder: Path, *, but: Path | None = None) -> Iterator[str]:
    """Give the files of a folder and of the folders in it by their relative names with forward slashes, unordered.

    Links to files are files, also those that lead nowhere: whoever opens one says so.

    Args:
        folder: Where the search begins.
        but: A folder that is not searched, such as that of an earlier output.

    Raises:
        InputError: A folder in it is a link, or cannot be read: its files would be missing without a word.
    """
    left_out = None if but is None else but.resolve()
    for place, inner, files in os.walk(folder, onerror=_refuse):
        here = Path(place)
        if left_out is not None and here.resolve().is_relative_to(left_out):
            inner.clear()
            continue
        inner[:] = [name for name in inner if not is_hidden(name)]
        for name in sorted(inner):
            _check_link(here / name, left_out)
        inside = here.relative_to(folder).as_posix()
        yield from (name if inside == "." else f"{inside}/{name}" for name in files if not is_hidden(name))


def _check_link(folder: Path, left_out: Path | None) -> None:
    if folder.is_symlink() and (left_out is None or not folder.resolve().is_relative_to(left_out)):
        raise InputError(
            f"{folder.parent / printable(folder.name)} is a link to a folder, and links of folders are not followed; "
            "put the folder itself there, or links to its files"
        )


def _refuse(error: OSError) -> None:
    raise InputError(
        f"{printable(str(error.filename))} cannot be read ({error.strerror}); make it readable, or remove it"
    ) from error
