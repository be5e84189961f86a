import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

SHAPES_FOLDER = str(Path(__file__).parents[2] / "examples" / "shapes")

CATALOGUE = """id=Test
name#1=Oak chair
model#1=/things/chair.obj
creator#1=Somebody
name#2=Wheelchair
model#2=/things/none.obj
name#3=Desk lamp
model#3=/things/lamp.obj
name#4=Cup cake
model#4=/things/none.obj
"""


@pytest.fixture(autouse=True, scope="module")
def _small(few_pixels):
    """Generators and films are tiny here."""


@pytest.fixture(scope="module")
def shapes_on_path():
    """The recipe's files import each other by name, as they do when `train.py` is run."""
    sys.path.insert(0, SHAPES_FOLDER)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other
    yield
    torch.set_num_threads(threads)
    sys.path.remove(SHAPES_FOLDER)


@pytest.fixture
def furniture_set(tmp_path):
    """A chair: a red box with a blue picture on its front; a lamp: a grey cylinder, ten times as large."""
    folder = tmp_path / "sets" / "Test"
    (folder / "things").mkdir(parents=True)
    (folder / "PluginFurnitureCatalog.properties").write_text(CATALOGUE)
    Image.new("RGB", (4, 4), (0, 0, 255)).save(folder / "things" / "front.png")
    (folder / "things" / "chair.mtl").write_text("newmtl red\nKd 1 0 0\nnewmtl front\nmap_Kd front.png\n")
    box = trimesh.creation.box((1.0, 1.6, 0.8))
    lines = ["mtllib chair.mtl", *(f"v {x} {y} {z}" for x, y, z in box.vertices), "vt 0.5 0.5"]
    for name, towards_front in (("red", False), ("front", True)):
        faces = box.faces[(box.face_normals[:, 2] > 0.5) == towards_front] + 1
        lines += [f"usemtl {name}", *("f " + " ".join(f"{corner}/1" for corner in face) for face in faces)]
    (folder / "things" / "chair.obj").write_text("\n".join(lines) + "\n")
    lamp = trimesh.creation.cylinder(3.0, 10.0, transform=trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0)))
    lamp.export(folder / "things" / "lamp.obj")
    return folder
