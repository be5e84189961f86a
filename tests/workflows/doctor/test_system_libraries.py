import ctypes
import sys

import pytest

from gen3d_tools.workflows.doctor import system_libraries
from gen3d_tools.workflows.doctor.system_libraries import DEBIAN_PACKAGES, OPEN3D_NEEDS, library_fix

GONE = "cannot open shared object file: No such file or directory"


@pytest.fixture(autouse=True)
def nothing_else_is_missing(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libGL.so.1", "libgl1"),
        ("libusb-1.0.so.0", "libusb-1.0-0"),
        ("libX11.so.6", "libx11-6"),
        ("libgomp.so.1", "libgomp1"),
    ],
)
def test_a_missing_library_becomes_its_package(library, package):
    assert library_fix(f"{library}: {GONE}") == f"apt install {package}  (Fedora: dnf install */{library})"


def test_all_missing_libraries_are_named_at_once(monkeypatch):
    def load(name):
        if name in ("libusb-1.0.so.0", "libX11.so.6"):
            raise OSError(f"{name}: {GONE}")

    monkeypatch.setattr(ctypes, "CDLL", load)
    fix = library_fix(f"libGL.so.1: {GONE}", OPEN3D_NEEDS)
    assert fix is not None
    assert fix.startswith("apt install libgl1 libx11-6 libusb-1.0-0 ")


def test_a_library_nobody_listed_is_named():
    assert "libteapot.so.4" in str(library_fix(f"/site/x.so: libteapot.so.4: {GONE}"))


def test_other_systems_have_other_ways():
    mac = "dlopen(x.so, 0x0002): Library not loaded: @rpath/libomp.dylib"
    assert library_fix(mac) == "brew install libomp"
    assert "Visual C++" in str(library_fix("DLL load failed while importing pybind: The specified module ..."))


@pytest.mark.parametrize("message", ["No module named 'dash'", "cannot import name 'x' from 'libfoo.so.1'", ""])
def test_other_errors_are_not_about_libraries(message):
    assert library_fix(message) is None


def test_every_library_looked_for_has_a_package():
    assert set(OPEN3D_NEEDS) <= set(DEBIAN_PACKAGES)
    assert not system_libraries._is_missing("libGL.so.1")
