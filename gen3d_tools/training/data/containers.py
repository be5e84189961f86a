"""Folders and ZIP archives of files, read alike and within bounds."""

import zipfile
from abc import ABC, abstractmethod
from itertools import pairwise
from pathlib import Path

from gen3d_tools.errors import InputError, NotFoundError, OutOfMemoryError
from gen3d_tools.printable import printable
from gen3d_tools.searching import files_below

MAX_FILES = 20_000_000
MAX_BYTES = 256 * 2**20
"""No single file of a data set is larger."""


class Container(ABC):
    """Files by their relative names with forward slashes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def names(self) -> list[str]:
        """Every file, sorted."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            InputError: It is too large, or cannot be read.
        """

    def where(self, name: str) -> Path:
        """What a message calls a file."""
        return self.path / printable(name)


class Folder(Container):
    """A folder and everything below it that is not hidden; links to files are followed, links to folders refused."""

    def names(self) -> list[str]:
        """Every file, sorted.

        Raises:
            InputError: A folder in it is a link, or cannot be read: its files would be missing without a word.
        """
        found = []
        for name in files_below(self.path):
            found.append(name)
            _check_count(len(found), self.path)
        return sorted(found)

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        path = self.path / name
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise InputError(f"{self.where(name)} cannot be read ({error.strerror}); restore or remove it") from error
        return _checked(data, self.where(name))


class Archive(Container):
    """A ZIP archive; nothing is unpacked to disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._file = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise InputError(
                f"{path} is no ZIP archive that can be read; give a folder or a .zip of pictures"
            ) from error

    def names(self) -> list[str]:
        """Every file, sorted.

        Raises:
            InputError: Two have one name.
        """
        _check_count(len(self._file.filelist), self.path)
        found = sorted(entry.filename for entry in self._file.filelist if not entry.is_dir())
        twice = next((name for name, following in pairwise(found) if name == following), None)
        if twice is not None:  # a name gives the bytes of the last alone, which would be seen twice
            raise InputError(f"{self.where(twice)} is more than once in its archive; pack the pictures again")
        return found

    def read(self, name: str) -> bytes:
        """The bytes of a file; what it says of its size is not trusted."""
        try:
            with self._file.open(name) as file:
                data = file.read(MAX_BYTES + 1)
        except MemoryError as error:
            raise OutOfMemoryError(f"{self.where(name)} does not fit into memory") from error
        except Exception as error:  # of zlib, lzma and zipfile about bytes, which may be anything
            raise InputError(f"{self.where(name)} is broken in its archive; pack the pictures again") from error
        return _checked(data, self.where(name))


def open_container(path: Path) -> Container:
    """Open a folder or a .zip.

    Raises:
        NotFoundError: There is nothing.
        InputError: It is neither.
    """
    if path.is_dir():
        return Folder(path)
    if not path.exists():
        raise NotFoundError(f"there is no folder or archive at {path}; check the path")
    if path.suffix.lower() != ".zip":
        raise InputError(f"{path} is neither a folder nor a .zip; give one that holds pictures")
    return Archive(path)


def _check_count(count: int, path: Path) -> None:
    if count > MAX_FILES:
        raise InputError(f"{path} holds more than {MAX_FILES:,} files; split it")


def _checked(data: bytes, where: Path) -> bytes:
    if len(data) > MAX_BYTES:
        raise InputError(f"{where} has more than {MAX_BYTES // 2**20} MiB, which no picture here has; shrink it")
    return data
