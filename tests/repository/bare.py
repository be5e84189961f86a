"""Tests as on a bare machine: system libraries that pip does not bring are hidden from them.

    python -m tests.repository.bare usb -q tests/test_system_libraries.py   libusb is hidden, which pip brings its way
    python -m tests.repository.bare all --collect-only -q                   so are graphics libraries, which it does not

As root on Linux the files themselves are hidden, in a mount namespace that ends with the tests. Elsewhere imports and
`ctypes.CDLL` fail as they would. What follows the first word goes to pytest.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from gen3d_tools.system_libraries import OPEN3D_NEEDS

HIDDEN = {"usb": ("libusb-1.0.so.0",), "all": OPEN3D_NEEDS}
FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/local/lib")

# Each folder is covered by one of links to its files; the files lie in a temporary file system meanwhile.
_COVER = """
set -e
mount -t tmpfs none /mnt
for folder in $FOLDERS; do
    test -d "$folder" || continue
    real=/mnt/real$folder; shown=/mnt/shown$folder
    mkdir -p "$real" "$shown"
    mount --bind "$folder" "$real"
    find "$real" -mindepth 1 -maxdepth 1 -exec ln -s -t "$shown" {} +
    for library in $LIBRARIES; do rm -f "$shown/$library"; done
    mount --bind "$shown" "$folder"
done
exec "$@"
"""


def main(arguments: Sequence[str]) -> int:
    """Run pytest without the libraries that the first argument names."""
    if not arguments or arguments[0] not in HIDDEN:
        sys.stderr.write(__doc__ or "")
        return 2
    libraries, rest = HIDDEN[arguments[0]], arguments[1:]
    if can_cover():
        environment = os.environ | {"FOLDERS": " ".join(FOLDERS), "LIBRARIES": " ".join(libraries)}
        pytest_here = [sys.executable, "-m", "pytest", *rest]
        sys.stderr.write(f"Hidden in a mount namespace: {', '.join(libraries)}\n")
        return subprocess.run(["unshare", "-m", "sh", "-c", _COVER, "sh", *pytest_here], env=environment).returncode
    sys.stderr.write(f"Hidden from imports (mount namespaces need root on Linux): {', '.join(libraries)}\n")
    refuse(libraries)
    return int(pytest.main(list(rest)))


def can_cover() -> bool:
    """Whether this process may have a mount namespace of its own."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return False
    tried = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(tried, capture_output=True).returncode == 0


def refuse(libraries: Sequence[str]) -> None:
    """Hide libraries from this process: opening one fails, and so does open3d's import, as the loader lets them fail.

    What is open already is found by its name, wherever it came from: that is the loader's way too.
    """
    opened: set[str] = set()

    def gone(library: str) -> str:
        return f"{library}: cannot open shared object file: No such file or directory"

    class Library(ctypes.CDLL):
        def __init__(self, name: str | None, *rest: object, **options: object) -> None:
            if name in libraries and stem(name) not in opened:
                raise OSError(gone(name))
            super().__init__(None if name in libraries else name, *rest, **options)
            opened.add(stem(name or ""))

    class Finder(MetaPathFinder):
        def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
            missing = [library for library in libraries if stem(library) not in opened]
            if name == "open3d.pybind" and missing:
                raise ImportError(gone(missing[0]))
            return None

    ctypes.CDLL = Library  # type: ignore[misc]
    sys.meta_path.insert(0, Finder())


def stem(name: str) -> str:
    """The name of a library without its versions: libusb-1.0.so.0 -> libusb-1.0."""
    return Path(name).name.partition(".so")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
