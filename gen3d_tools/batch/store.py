"""Outputs that go to a URL: s3://, gs:// or whatever fsspec knows.

Each is made whole in a folder of this machine, sent under its final name, and removed here. Object stores take a file
whole or not at all; elsewhere it gets another name first. What a killed driver has left is known by its record, or by
the log of it that is sent every ten seconds.
"""

import errno
import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import Any

from gen3d_tools.errors import Gen3DError, InputError, MissingDependencyError, PlaceError
from gen3d_tools.records import Proof, is_log, is_record_name
from gen3d_tools.wording import choose

_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "r2", "memory"}
"""Where a file that is sent appears whole, and renaming it would send it once more."""
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
_ALMOST_URL = re.compile(r"[a-z][a-z0-9+.-]+:+/|[\w+.-]+::", re.IGNORECASE)
"""What nobody means as the name of a folder: `s3:/bucket`, `s3://`, `simplecache::s3://bucket`."""
_LOG_SECONDS = 10.0
_LOG_SHARE = 20  # sending the log takes no more than one part in so many of the time


def is_url(text: object) -> bool:
    """Whether outputs are to go to a URL; a single letter is a drive of Windows."""
    protocol, separator, rest = str(text).partition("://")
    return bool(separator and rest) and len(protocol) > 1 and protocol.replace("+", "").isalnum()


def is_almost_url(text: object) -> bool:
    """Whether something was meant as a URL and is none."""
    return not is_url(text) and _ALMOST_URL.match(str(text)) is not None


class Store:
    """A folder at a URL, and one of this machine where its files are made.

    Args:
        url: Of the folder.
        local: Its place on this machine; None = a new one, which goes with the object.
    """

    def __init__(self, url: str, local: Path | None = None) -> None:
        protocol, separator, rest = url.rstrip("/").partition("://")
        self.protocol = protocol.lower()
        self.url = f"{self.protocol}{separator}{rest}"
        if local is None:
            made = Path(tempfile.mkdtemp(prefix="gen3d-"))
            weakref.finalize(self, shutil.rmtree, made, ignore_errors=True)
            local = made / (PurePosixPath(self.url).name or "out")
            local.mkdir()
        self.local = local
        self._sizes: dict[str, int] = {}
        self._records: dict[str, bytes] = {}
        self._log_sent, self._log_took = time.monotonic(), 0.0

    def __reduce__(self) -> tuple[Callable[[str, Path], "Store"], tuple[str, Path]]:
        """Travel to another process: the same places, reached anew."""
        return Store, (self.url, self.local)

    @cached_property
    def _files(self) -> tuple[Any, str]:
        """The file system, and the folder's path in it.

        Raises:
            InputError: fsspec knows no such protocol.
            MissingDependencyError: Its package is not installed.
        """
        import fsspec

        package = _PACKAGES.get(self.protocol)
        if package is not None and find_spec(package) is None:
            raise MissingDependencyError(
                f"{self.protocol}:// needs {package}, which is not installed; try: {_install(package)}"
            )
        try:
            found: tuple[Any, str] = fsspec.url_to_fs(self.url)
        except ValueError as error:
            raise InputError(f"no place is known as {self.protocol}://: {error}") from error
        except ImportError as error:
            raise MissingDependencyError(
                f"{self.protocol}:// needs a package that is not installed: {error}"
            ) from error
        return found

    def path(self, name: str) -> str:
        """Give a file's URL."""
        return f"{self.url}/{name}"

    def _path(self, name: str) -> str:
        return f"{self._files[1].rstrip('/')}/{name}"

    def name(self, path: Path) -> str:
        """Give the name of a file in the folder."""
        return path.absolute().relative_to(self.local.absolute()).as_posix()

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Make one line of what a file system says; each has errors of its own.

        Raises:
            PlaceError: There is no permission, no such place, or no room.
            Gen3DError: Something else was raised.
        """
        try:
            yield
        except (KeyboardInterrupt, Gen3DError):
            raise
        except PermissionError as error:
            raise PlaceError(f"no permission for {doing} {self.url}: {_words(error)}; check the credentials") from error
        except FileNotFoundError as error:
            raise PlaceError(
                f"{self.url} is not there, {doing} it failed: {_words(error)}; make the bucket first"
            ) from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise PlaceError(f"{self.url} takes no files, {doing} it failed: {_words(error)}") from error
            raise Gen3DError(f"{doing} {self.url} failed: {type(error).__name__}: {_words(error)}") from error

    def open(self) -> None:
        """Look what is there, try whether files are taken, and bring earlier records here.

        Raises:
            Gen3DError: The place is not there, or takes no files.
        """
        files, folder = self._files
        with self._explained("writing to"):
            probe = f"{self._existing()}/.gen3d-{token_hex(4)}"
            files.pipe_file(probe, b"")
            files.rm_file(probe)
        with self._explained("reading"):
            files.invalidate_cache()
            found = files.find(folder, detail=True)
            root = files._strip_protocol(folder).rstrip("/") + "/"
            self._sizes = {name.removeprefix(root): int(info["size"] or 0) for name, info in found.items()}
            for name in self._sizes:
                if is_record_name(name) or is_log(Path(name)):
                    self._records[name] = files.cat_file(self._path(name))
        for name, content in self._records.items():
            (self.local / name).write_bytes(content)

    def _existing(self) -> str:
        """Give the folder, or the nearest one above it that is there: folders are made with their first file."""
        files, folder = self._files
        above = folder = folder.rstrip("/")
        if self.protocol in _OBJECT_STORES:
            return folder
        while above and not files.isdir(above):
            above, separator, _ = above.rpartition("/")
            if not separator:
                return folder
        return above

    def exists(self, path: Path) -> bool:
        """Whether an output is there: a file, or a folder with something in it."""
        return self.name(path) in self._sizes or bool(self.children(path))

    def children(self, path: Path) -> list[str]:
        """Name every file below a folder."""
        start = f"{self.name(path)}/"
        return [name for name in self._sizes if name.startswith(start)]

    def fits(self, name: str, proof: Proof) -> bool:
        """Whether a file is the one that a record proves: by its size, for it was sent whole, and is not read again."""
        return self._sizes.get(name) == proof.size

    def deliver(self, paths: Iterable[Path]) -> None:
        """Send files that are whole, and remove them here.

        Raises:
            PlaceError: One cannot be sent; it stays here.
        """
        for path in paths:
            if path.is_file():
                self._send(path, self.name(path))
                path.unlink()
                with suppress(OSError):
                    if path.parent != self.local:
                        path.parent.rmdir()

    def _send(self, path: Path, name: str) -> None:
        files = self._files[0]
        with self._explained("writing to"):
            if self.protocol in _OBJECT_STORES:
                files.put_file(str(path), self._path(name))
                return
            first = self._path(f"{name}.{token_hex(4)}.part")
            files.makedirs(first.rpartition("/")[0], exist_ok=True)
            files.put_file(str(path), first)
            files.mv(first, self._path(name))

    def fetch(self, path: Path) -> None:
        """Bring a file here, if it is not."""
        if not path.is_file():
            with self._explained("reading"):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._files[0].get_file(self._path(self.name(path)), str(path))

    def remove(self, path: Path) -> None:
        """Remove a file, here and there."""
        path.unlink(missing_ok=True)
        with suppress(FileNotFoundError), self._explained("writing to"):
            self._files[0].rm_file(self._path(self.name(path)))

    def keep_log(self, log: Path, *, now: bool = False) -> None:
        """Send the log of a run that goes on, every ten seconds: the driver's machine may be lost."""
        wait = max(_LOG_SECONDS, _LOG_SHARE * self._log_took)
        start = time.monotonic()
        if now or start - self._log_sent > wait:
            self._send(log, log.name)
            self._records.setdefault(log.name, b"")
            self._log_sent = time.monotonic()
            self._log_took = self._log_sent - start

    def settle_records(self) -> None:
        """Have there the records that are here, and no others.

        Raises:
            PlaceError: They cannot be written.
        """
        here = {path.name: path.read_bytes() for path in self.local.iterdir() if is_record_name(path.name)}
        for name, content in here.items():
            if self._records.get(name) != content:
                self._send(self.local / name, name)
        for name in set(self._records) - set(here):
            if not (self.local / name).exists():
                self.remove(self.local / name)
        self._records = here


def _install(package: str) -> str:
    return choose(typed="pip install 'gen3d-tools[batch]'", python=f"pip install {package}")


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
