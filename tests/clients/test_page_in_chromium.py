"""A page and a notebook's cell in a real browser, from the disk: the meshes are seen, in their colours."""

import subprocess

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

import gen3d_tools as g3
from gen3d_tools.media.images import read_image
from gen3d_tools.media.page import PageMesh, PageSection, write_page
from tests.clients.test_model_viewer import FLAGS, SECONDS


def red_ball() -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(subdivisions=3)
    ball.visual.vertex_colors = [[230, 20, 20, 255]] * len(ball.vertices)
    return ball


def green_square() -> trimesh.Trimesh:
    """Green by its texture, as all that is seen of it."""
    picture = Image.new("RGB", (64, 64), (10, 220, 10))
    visual = TextureVisuals(uv=[[0, 0], [1, 0], [1, 1], [0, 1]], material=PBRMaterial(baseColorTexture=picture))
    corners = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False)


@pytest.fixture
def seen(chromium, tmp_path):
    """Open a page from the disk and give the picture of the window, [3, h, w]."""

    def look(page, width, height):
        shot = tmp_path / "window.png"
        window = [f"--window-size={width},{height}", "--virtual-time-budget=6000", f"--screenshot={shot}"]
        frames = "--disable-features=IsolateSandboxedIframes"  # whose processes do not share the budget of time
        command = [chromium, *FLAGS, frames, *window, page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
        return read_image(shot).numpy()

    return look


def share(picture: np.ndarray, channel: int) -> float:
    """How much of a picture has this colour far above the others."""
    others = np.delete(picture, channel, axis=0).max(axis=0)
    return float((picture[channel] > others + 0.4).mean())


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (500, 1400)])
def test_meshes_of_a_page_are_seen_on_screens_and_phones(seen, tmp_path, width, height):
    meshes = [PageMesh(mesh=mesh, caption="One") for mesh in (red_ball(), green_square())]
    write_page(tmp_path / "a.html", title="Two", sections=[PageSection(items=meshes)])
    picture = seen(tmp_path / "a.html", width, height)
    assert share(picture, 0) > 0.03
    assert share(picture, 1) > 0.01


def test_a_cell_of_a_notebook_shows_its_mesh(seen, tmp_path):
    (tmp_path / "notebook.html").write_text(f"<p>In [1]:</p>{g3.show(red_ball())._repr_html_()}", encoding="utf-8")
    assert share(seen(tmp_path / "notebook.html", 1280, 720), 0) > 0.03
