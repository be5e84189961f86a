"""What open3d asks the system for: brought by pip where it can be, named where it cannot."""

import ast
import ctypes
import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from gen3d_tools import system_libraries
from gen3d_tools.errors import MissingDependencyError
from gen3d_tools.system_libraries import DEBIAN_PACKAGES, OPEN3D_NEEDS, import_open3d, library_fix

GONE = "cannot open shared object file: No such file or directory"
ROOT = Path(__file__).parents[1]
MODULE = ModuleType("open3d")


@pytest.fixture(autouse=True)
def nothing_else_is_missing(request, monkeypatch):
    if "open3d" not in request.fixturenames:  # which the machine's own libraries load
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(ctypes, "CDLL", lambda name: None)


@pytest.fixture
def importing(monkeypatch):
    """Import nothing: a module is what is given here, or the error."""
    monkeypatch.delitem(sys.modules, "open3d", raising=False)

    def become(**modules: object) -> None:
        def pretend(name):
            if isinstance(modules[name], Exception):
                raise modules[name]
            return modules[name]

        monkeypatch.setattr(importlib, "import_module", pretend)
        monkeypatch.setattr(system_libraries, "find_spec", lambda name: modules.get(name))

    return become


def test_open3d_works_from_what_pip_brings(open3d):
    scene = open3d.t.geometry.RaycastingScene()
    scene.add_triangles(open3d.t.geometry.TriangleMesh.create_sphere(1.0))
    ray = open3d.core.Tensor([[0.0, 0.0, -3.0, 0.0, 0.0, 1.0]], open3d.core.float32)
    assert float(scene.cast_rays(ray)["t_hit"].numpy()[0]) == pytest.approx(2.0, abs=0.02)


def test_libusb_of_pip_is_loaded_for_all_where_the_system_has_none(importing, monkeypatch):
    loaded = []

    def load(name, mode=ctypes.DEFAULT_MODE):
        if name == "libusb-1.0.so.0":
            raise OSError(f"{name}: {GONE}")
        loaded.append((name, mode))

    monkeypatch.setattr(ctypes, "CDLL", load)
    wheel = SimpleNamespace(get_library_path=lambda: Path("site/libusb-1.0.so"))
    importing(open3d=MODULE, libusb_package=wheel)
    assert import_open3d() is MODULE
    assert loaded == [(str(Path("site/libusb-1.0.so")), ctypes.RTLD_GLOBAL)]


def test_libusb_of_the_system_goes_first(importing):
    importing(open3d=MODULE, libusb_package=SimpleNamespace(get_library_path=pytest.fail))
    assert import_open3d() is MODULE


def test_what_pip_does_not_bring_is_named_by_its_package(importing):
    importing(open3d=ImportError(f"libGL.so.1: {GONE}"))
    with pytest.raises(MissingDependencyError, match=r"cannot be imported: libGL\.so\.1: .*; apt install libgl1 "):
        import_open3d()


def test_a_package_that_is_not_installed_is_named(importing):
    importing(open3d=ModuleNotFoundError("No module named 'open3d'", name="open3d"))
    with pytest.raises(MissingDependencyError, match="open3d is not installed; pip install open3d"):
        import_open3d()
    importing(open3d=ModuleNotFoundError("No module named 'dash'", name="dash"))
    with pytest.raises(MissingDependencyError, match="No module named 'dash'; pip install dash"):
        import_open3d()


@pytest.mark.slow
def test_nothing_else_imports_open3d():
    files = [
        path for room in ("gen3d_tools", "tests", "examples", "benchmarks") for path in (ROOT / room).rglob("*.py")
    ]
    clients = ROOT / "tests" / "clients" / "python"  # what `make test-clients` has installed there
    files = [path for path in files if not path.is_relative_to(clients)]
    assert files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.partition(".")[0] == "open3d"], f"{path}: {ast.unparse(node)}"


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
