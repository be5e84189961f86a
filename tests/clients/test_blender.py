"""Blender imports our meshes: as many faces, as large, the same way up, with colours that it shows."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from gen3d_tools.geometry.color.vertex_colors import linear_to_srgb
from gen3d_tools.geometry.formats.placement import Y_UP_TO_Z_UP
from gen3d_tools.media.images import read_image
from tests.clients.conftest import FACES, HERE, TEXELS

RED = np.array([0.75, 0.1, 0.1])

# Blender's world is z up. It turns .glb, .gltf and .obj itself; .ply and .stl come as they are, so they are written so.
OPTIONS = {".glb": {}, ".gltf": {}, ".obj": {}, ".ply": {"up": "z"}, ".stl": {"up": "z"}}
WITH_TEXTURE = (".glb", ".gltf", ".obj")
WITH_VERTEX_COLORS = (".glb", ".gltf", ".ply")


@pytest.fixture(scope="module")
def imported(blender, written, tmp_path_factory):
    """What Blender says of a file, and the picture that it renders."""
    folder = tmp_path_factory.mktemp("blender")

    def ask(kind: str, suffix: str) -> tuple[dict, Path]:
        report, picture = folder / f"{kind}{suffix}.json", folder / f"{kind}{suffix}.png"
        if not report.exists():
            command = [blender, "--background", "--factory-startup", "--python-exit-code", "1"]
            command += ["--python", HERE / "blender_probe.py", "--"]
            command += [written(kind, suffix, **OPTIONS[suffix]), report, picture]
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=170)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return json.loads(report.read_text()), picture

    return ask


def kinds():
    return [("textured" if suffix in WITH_TEXTURE else "colored", suffix) for suffix in OPTIONS]


@pytest.mark.parametrize(("kind", "suffix"), kinds())
def test_faces_size_and_direction_arrive(imported, car, kind, suffix):
    answer, _ = imported(kind, suffix)
    assert answer["faces"] == len(car.colored.faces) <= FACES
    in_blender = car.colored.copy().apply_transform(Y_UP_TO_Z_UP)
    assert np.array(answer["bounds"]) == pytest.approx(in_blender.bounds, abs=1e-5)


@pytest.mark.parametrize("suffix", WITH_VERTEX_COLORS)
def test_vertex_colours_arrive(imported, car, suffix):
    answer, _ = imported("colored", suffix)
    places, colors = (np.array(part) for part in zip(*answer["colors"], strict=True))
    _, nearest = cKDTree(car.colored.vertices @ Y_UP_TO_Z_UP[:3, :3].T).query(places)
    linear = np.c_[colors, np.ones(len(colors))] * 65535
    found = linear_to_srgb(linear.clip(0, 65535).round().astype(np.uint16))[:, :3]
    ours = np.asarray(car.colored.visual.vertex_colors)[nearest, :3]
    assert np.abs(found.astype(int) - ours).max() <= 2


@pytest.mark.parametrize("suffix", WITH_TEXTURE)
def test_the_texture_arrives(imported, suffix):
    answer, _ = imported("textured", suffix)
    assert [image["size"] for image in answer["textures"]] == [[TEXELS, TEXELS]]
    assert answer["textures"][0]["pixels"] == 4 * TEXELS**2


@pytest.mark.parametrize(
    ("kind", "suffix"), [*kinds()[:4], ("colored", ".glb"), ("colored", ".gltf")], ids=lambda text: text
)
def test_blender_renders_a_red_car(imported, kind, suffix, tmp_path):
    _, picture = imported(kind, suffix)
    seen = read_image(picture).numpy()
    reds = (np.abs(seen - RED[:, None, None]).max(0) < 0.25).mean()
    assert reds > 0.05, f"{picture} shows {reds:.1%} red"
    shutil.copy(picture, tmp_path)  # pytest keeps it for those who want to look
