"""The wheel carries what an offline laptop needs, and nothing of the workshop."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import gen3d_tools

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr + built.stdout
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def names(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_is_pure_and_has_the_version(wheel):
    assert wheel.name == f"gen3d_tools-{gen3d_tools.__version__}-py3-none-any.whl"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "encoder.safetensors", "README.md"])
def test_the_wheel_carries_the_bundled_model(names, name):
    assert f"gen3d_tools/_weights/shapes/{name}" in names


def test_the_wheel_carries_every_file_of_the_package(names):
    package = ROOT / "gen3d_tools"
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path.relative_to(ROOT).as_posix() for path in files} <= names
    assert "gen3d_tools/py.typed" in names
    assert any(name.startswith("gen3d_tools/media/") and name.endswith(".html") for name in names)


def test_the_wheel_carries_nothing_else(names):
    tops = {name.split("/")[0] for name in names}
    assert tops == {"gen3d_tools", f"gen3d_tools-{gen3d_tools.__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_the_unpacked_wheel_finds_its_own_model(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "from gen3d_tools.checkpoints.bundled import bundled_models; print(bundled_models()['shapes'])"
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.strip() == str(tmp_path / "gen3d_tools" / "_weights" / "shapes"), found.stderr


def test_the_command_is_named_gen3d(wheel):
    with zipfile.ZipFile(wheel) as archive:
        entry_points = archive.read(f"gen3d_tools-{gen3d_tools.__version__}.dist-info/entry_points.txt").decode()
    assert "gen3d = gen3d_tools.cli.app:main" in entry_points
