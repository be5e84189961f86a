"""Real programs open our meshes: Khronos' validator, Blender, open3d, trimesh, <model-viewer> in Chromium.

`make test-clients` installs the programs and runs these tests; they are not part of `make test`.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import trimesh

from gen3d_tools.geometry.color.texture import bake_texture
from gen3d_tools.geometry.formats.export import write_mesh
from gen3d_tools.geometry.mesh import extract_mesh

HERE = Path(__file__).parent
RESOLUTION, FACES, TEXELS = 96, 6000, 256


def pytest_collection_modifyitems(config, items):
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.clients)
    if "clients" not in config.option.markexpr:  # only on request: pytest -m clients
        items[:] = [item for item in items if item not in ours]
        config.hook.pytest_deselected(items=ours)


def program(name: str, install: str) -> str:
    """Find a program; what needs a missing one is skipped, and the end of the run says so in a line."""
    found = shutil.which(os.environ.get(f"GEN3D_{name.upper()}", name))
    if found is None:
        pytest.skip(f"{name} is not installed; {install}")
    return found


@pytest.fixture(scope="session")
def blender():
    return program("blender", "on Debian: apt-get install blender python3-numpy")


@pytest.fixture(scope="session")
def chromium():
    return program("chromium", "on Debian: apt-get install chromium")


@pytest.fixture(scope="session")
def packages():
    """The folder of the npm packages."""
    folder = HERE / "node_modules"
    if not folder.is_dir():
        pytest.skip(f"the npm packages are not installed; npm install --prefix {HERE}")
    return folder


@dataclass(frozen=True)
class Car:
    """A car of the bundled model: longer than wide, its front towards +z, red with dark windows."""

    colored: trimesh.Trimesh
    textured: trimesh.Trimesh

    @property
    def plain(self) -> trimesh.Trimesh:
        return trimesh.Trimesh(self.colored.vertices, self.colored.faces, process=False)

    def kind(self, name: str) -> trimesh.Trimesh:
        return getattr(self, name)


@pytest.fixture(scope="session")
def car():
    from gen3d_tools import load_generator

    generator = load_generator("shapes")
    [field] = generator.fields(generator.latents([3], ["car"]))
    mesh = extract_mesh(field, resolution=RESOLUTION, faces=FACES)
    return Car(mesh, bake_texture(field, mesh, TEXELS))


@pytest.fixture(scope="session")
def written(car, tmp_path_factory):
    """Write the car: `written("textured", ".glb", up="z")` is the file."""
    folder = tmp_path_factory.mktemp("meshes")

    def write(kind: str, suffix: str, **options: object) -> Path:
        name = "-".join([kind, *(f"{key}-{value}" for key, value in options.items())])
        path = folder / f"{name}{suffix}"
        if not path.exists():
            write_mesh(path, car.kind(kind), **options)
        return path

    return write


@pytest.fixture
def answer_of():
    """Run a program that prints JSON."""

    def ask(*command: object) -> dict:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=170)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return json.loads(done.stdout)

    return ask
