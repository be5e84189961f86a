"""What notebooks show: a cell that needs no server and no network."""

import html
import re

import pytest
import torch
import trimesh

import gen3d_tools as g3
from gen3d_tools.errors import InputError, MissingDependencyError
from gen3d_tools.generators.pivot import Pivot
from gen3d_tools.workflows.page import live
from gen3d_tools.workflows.page import show as module
from gen3d_tools.workflows.page.figures import FigureSizes, display_mesh


@pytest.fixture(autouse=True)
def _few_faces(monkeypatch):
    monkeypatch.setattr(module, "_SIZES", FigureSizes(picture=16, lattice=24, faces=500, texture=0))
    monkeypatch.setattr(module, "_PICTURE", 16)


def ball():
    return g3.FunctionField(raw_density_fn=lambda points: 50 * (0.6 - points.norm(dim=-1)))


def framed(shown) -> str:
    """The page inside the frame of a cell."""
    attributes = 'title="[^"]*" sandbox="allow-scripts" style="[^"]*"'
    found = re.fullmatch(f'<iframe srcdoc="([^"]*)" {attributes}></iframe>', shown._repr_html_())
    assert found is not None
    return html.unescape(found[1])


def test_a_field_shows_its_picture_and_a_mesh_to_turn():
    page = framed(ball().show())
    assert page.count("<canvas data-mesh") == 1
    assert page.count("data:image/png;base64,") == 1
    assert not re.search(r"https?://", page)


def test_a_mesh_shows_itself():
    mesh = g3.extract_mesh(ball(), resolution=24)
    shown = mesh.show()
    assert framed(shown).count("<canvas data-mesh") == 1
    assert repr(shown).startswith(f"Shown({len(mesh.faces):,} faces")
    assert framed(g3.show(trimesh.creation.box())).count("<canvas data-mesh") == 1  # anybody's


def test_a_generator_shows_a_picture_of_each_seed(tiny_generator):
    page = framed(tiny_generator.show([1, 2], classes=["ball", "cube"]))
    assert page.count("data:image/png;base64,") == 2
    assert "ball 1" in page
    assert "cube 2" in page
    with pytest.raises(InputError, match="at most 16 seeds, got 17"):
        tiny_generator.show(range(17))


def test_a_tuned_generator_shows_its_own_object(tiny_generator, monkeypatch):
    ws = tiny_generator.latents([5], ["cube"])
    monkeypatch.setattr(tiny_generator, "pivot", Pivot(ws, tiny_generator.default_camera(), 1), raising=False)
    page = framed(tiny_generator.show())
    assert "the object" in page
    assert torch.equal(tiny_generator.pivot.ws, ws)


def test_a_cell_is_a_page_that_can_be_saved(tmp_path):
    shown = g3.show(trimesh.creation.box())
    shown.save(tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == framed(shown)
    with pytest.raises(InputError, match="exists already"):
        shown.save(tmp_path / "a.html")


def test_live_is_refused_in_one_line_where_there_is_no_viewer(monkeypatch):
    monkeypatch.setattr(live, "VIEWER", "gen3d_tools.no_such_viewer")
    with pytest.raises(MissingDependencyError, match="there is no live viewer here") as refused:
        ball().show(live=True)
    assert "\n" not in str(refused.value)


def test_live_a_cell_frames_a_viewer_on_this_machine(tiny_generator):
    pytest.importorskip("viser")
    pytest.importorskip("gen3d_tools.viewer.browser.server")
    from urllib.request import urlopen

    shown = tiny_generator.show([3], classes=["cube"], live=True)
    try:
        assert shown.url.startswith("http://127.0.0.1:")
        assert f'src="{shown.url}"' in shown._repr_html_()
        assert b"<html" in urlopen(shown.url).read().lower()
        begin = shown.viewer.studio.begin
        assert (begin.seed, begin.class_index) == (3, 1)
        with pytest.raises(InputError, match="draws generators and meshes"):
            ball().show(live=True)
    finally:
        shown.close()


def test_a_large_mesh_is_shown_with_fewer_faces(monkeypatch):
    from gen3d_tools.workflows.page import figures

    monkeypatch.setattr(figures, "SHOWN_FACES", 300)
    sphere = trimesh.creation.icosphere(subdivisions=4)
    sphere.visual.vertex_colors = [[255, 0, 0, 255]] * len(sphere.vertices)
    smaller, note = display_mesh(sphere)
    assert len(smaller.faces) <= 300
    assert note == f"{len(smaller.faces):,} of 5,120 faces are shown"
    assert (smaller.visual.vertex_colors[:, :3] == [255, 0, 0]).all()
    assert display_mesh(trimesh.creation.box())[1] == ""
