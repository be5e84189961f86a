"""What wheels ask of the system and of each other: importing open3d and torch-fidelity without most of it.

Nothing else of ours imports open3d: its Linux wheels need libusb, which bare machines lack. The wheel `libusb-package`
brings it, but where the loader does not look; a library of that name that is loaded already serves as well.

torch-fidelity imports torchvision, of which it needs nothing that is compiled for what we ask of it. Beside a torch
that came from elsewhere (one without CUDA, say) the torchvision of the package index imports no more: its operators are
not there to be described. We declare the names that it describes, and all else works.
"""

import ctypes
import importlib
import platform
import re
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from gen3d_tools.errors import MissingDependencyError

DEBIAN_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6",
    "libc++.so.1": "libc++1",
    "libc++abi.so.1": "libc++abi1",
    "libgomp.so.1": "libgomp1",
    "libidn2.so.0": "libidn2-0",
    "libstdc++.so.6": "libstdc++6",
    "libtbb.so.12": "libtbb12",
    "libudev.so.1": "libudev1",
    "libusb-1.0.so.0": "libusb-1.0-0",
}
"""Debian's and Ubuntu's package of each library that our dependencies ask for."""

OPEN3D_NEEDS = ("libEGL.so.1", "libGL.so.1", "libX11.so.6", "libidn2.so.0", "libudev.so.1", "libusb-1.0.so.0")
"""What open3d's Linux wheel asks the system for. (`libtbb` and `libgomp` come with it.)"""

OPEN3D_PACKAGE = "open3d-cpu" if sys.platform == "linux" and platform.machine() == "x86_64" else "open3d"
"""The same module under two names, see pyproject.toml."""

EVAL_EXTRA = 'pip install "gen3d-tools[eval]"'
"""How everything that measures need is installed."""

_declared: list[object] = []
"""Declarations last as long as their library does."""

_LIBRARY = re.compile(r"\blib[\w+.-]*?\.(?:so(?:\.\d+)*|dylib)")


def import_open3d() -> ModuleType:
    """Import open3d, where pip brought it even if the system lacks libusb. The first call takes about a second.

    Raises:
        MissingDependencyError: open3d is not installed, or a system library is missing that pip does not bring; the
            message names the system's package.
    """
    _load_libusb()
    try:
        return importlib.import_module("open3d")
    except ModuleNotFoundError as error:
        absent = "open3d is not installed" if error.name == "open3d" else f"open3d cannot be imported: {error}"
        raise MissingDependencyError(f"{absent}; pip install {error.name or OPEN3D_PACKAGE}") from error
    except (ImportError, OSError) as error:
        fix = library_fix(str(error), OPEN3D_NEEDS) or f"pip install --force-reinstall {OPEN3D_PACKAGE}"
        raise MissingDependencyError(f"open3d cannot be imported: {' '.join(str(error).split())}; {fix}") from error


def import_fidelity(module: str) -> ModuleType:
    """Import a module of torch-fidelity, whatever build torchvision is.

    Args:
        module: Its name within the package, such as "metric_kid".

    Raises:
        MissingDependencyError: torch-fidelity is not installed, or cannot be imported; the message names the command.
    """
    name = f"torch_fidelity.{module}"
    try:
        try:
            return importlib.import_module(name)
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
        _declare_torchvision()
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f"{error.name} is not installed; run: {EVAL_EXTRA}") from error
    except (ImportError, OSError, RuntimeError) as error:
        found = " ".join(str(error).split())[:200]
        raise MissingDependencyError(
            f"torch-fidelity cannot be imported ({found}); install the torchvision that belongs to your torch"
        ) from error


def _declare_torchvision() -> None:
    """Declare the operators that torchvision describes while it is imported, and forget what was imported of it."""
    import torch

    for name in [one for one in sys.modules if one.partition(".")[0] in ("torchvision", "torch_fidelity")]:
        del sys.modules[name]
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)


def _load_libusb() -> None:
    """Load the libusb of pip's package, unless the system has its own."""
    if "open3d" in sys.modules or not _is_missing("libusb-1.0.so.0") or find_spec("libusb_package") is None:
        return
    path = importlib.import_module("libusb_package").get_library_path()
    if path is not None:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


def library_fix(message: str, also: tuple[str, ...] = ()) -> str | None:
    """Read the error of a failed import and say how to install the system library it lacks.

    Args:
        message: Such as "libGL.so.1: cannot open shared object file: No such file or directory".
        also: Libraries to look for as well: the loader names only the first one it misses.

    Returns:
        What to run, or None if the error is not about a system library.
    """
    if "DLL load failed" in message:
        return "install the Microsoft Visual C++ Redistributable"
    found = _LIBRARY.search(message)
    if found is None or not ("cannot open shared object" in message or "Library not loaded" in message):
        return None
    if found[0].endswith(".dylib"):
        return f"brew install {found[0].removesuffix('.dylib')}"
    return _apt_install(sorted({found[0], *filter(_is_missing, also)}))


def _is_missing(library: str) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        ctypes.CDLL(library)
    except OSError:
        return True
    return False


def _apt_install(libraries: list[str]) -> str:
    """Name the packages of Debian and Ubuntu; elsewhere the libraries' names are what to search for."""
    unknown = [library for library in libraries if library not in DEBIAN_PACKAGES]
    if unknown:
        return f"install the system package that holds {', '.join(unknown)} (Debian, Ubuntu: apt-file search)"
    packages = " ".join(DEBIAN_PACKAGES[library] for library in libraries)
    return f"apt install {packages}  (Fedora: dnf install {' '.join(f'*/{library}' for library in libraries)})"
