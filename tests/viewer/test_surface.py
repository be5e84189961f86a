"""The mesh over the picture: that of the object, again when the object changes, and small enough for browsers."""

import numpy as np
import pytest
import trimesh

from gen3d_tools.errors import InputError
from gen3d_tools.fields.field import FunctionField
from gen3d_tools.geometry.extraction.level import choose_level, silhouettes
from gen3d_tools.viewer.actions.overlays import display_mesh
from gen3d_tools.viewer.actions.surface import SURFACE
from gen3d_tools.viewer.drawing.painter import Scene
from tests.viewer.recording_page import session_of


@pytest.fixture
def session(tiny_generator):
    session = session_of(tiny_generator)

    def balls(choice):
        field = FunctionField(
            raw_density_fn=lambda points: 500 * (0.3 + 0.01 * choice.seed - points.norm(dim=-1)), box_side=1.0
        )
        return Scene(field, tiny_generator.settings)

    session.scene_of = balls
    yield session
    session.close()


def overlay(session):
    session.jobs.wait()
    assert session.page.failures == []
    return session.page.overlays.get(SURFACE)


def radius(found):
    return np.linalg.norm(found.mesh.vertices, axis=1).mean()


def test_the_mesh_follows_the_object_and_its_style(session):
    session.surface.change(style="wireframe", resolution=64)
    first = overlay(session)
    assert (first.style, radius(first)) == ("wireframe", pytest.approx(0.3, abs=0.01))
    assert "silhouette agreement 0.9" in session.surface.line or "agreement 1.0" in session.surface.line
    session.choose(seed=10)
    assert radius(overlay(session)) == pytest.approx(0.4, abs=0.01)
    session.surface.change(style="hidden")
    assert overlay(session) is None


def test_a_level_too_high_agrees_less_and_that_is_said(session):
    session.surface.change(style="shaded", resolution=64)
    overlay(session)
    best = float(session.surface.line.rpartition(" ")[2])
    session.surface.set_level(1.0)
    overlay(session)
    assert session.surface.decades == pytest.approx(1.0)
    assert float(session.surface.line.rpartition(" ")[2]) < best


def test_what_cannot_be_meshed_is_a_notice_and_leaves_no_mesh(session, tiny_generator):
    session.scene_of = lambda choice: Scene(
        FunctionField(raw_density_fn=lambda points: 0 * points[..., 0] - 1), tiny_generator.settings
    )
    session.surface.change(style="shaded", resolution=64)
    session.jobs.wait()
    assert len(session.page.failures) == 1
    assert SURFACE not in session.page.overlays


@pytest.mark.parametrize("changes", [{"resolution": 100}, {"faces": 1}, {"texture": 77}])
def test_what_is_not_offered_is_refused(session, changes):
    with pytest.raises(InputError):
        session.surface.change(**changes)


def test_silhouettes_say_of_the_chosen_level_what_the_choice_says():
    field = FunctionField(raw_density_fn=lambda points: 40 * (0.5 - points.norm(dim=-1)), iso_level=3.0)
    choice = choose_level(field)
    assert choice.silhouette_iou is not None
    assert silhouettes(field).iou(choice.level) == pytest.approx(choice.silhouette_iou, abs=0.003)
    assert silhouettes(field).iou(19.0) < choice.silhouette_iou - 0.3


def test_a_mesh_of_too_many_faces_is_shown_with_fewer_in_the_same_place():
    fine = trimesh.creation.icosphere(subdivisions=5)
    fine.visual.vertex_colors = np.tile([200, 10, 10, 255], (len(fine.vertices), 1)).astype(np.uint8)
    small, note = display_mesh(fine, 2000)
    assert len(small.faces) <= 2000
    assert "20,480 faces are shown as" in note
    np.testing.assert_allclose(small.bounds, fine.bounds, atol=0.02)
    assert (small.visual.vertex_colors[:, :3] == [200, 10, 10]).all()
    assert display_mesh(small, 2000) == (small, "")


def test_millions_of_faces_are_joined_cell_by_cell_first(monkeypatch):
    from gen3d_tools.viewer.actions import overlays

    monkeypatch.setattr(overlays, "_CLUSTERED", 5000)
    fine = trimesh.creation.icosphere(subdivisions=5)
    small, _ = display_mesh(fine, 3000)
    assert len(small.faces) <= 3000
    assert np.linalg.norm(small.vertices, axis=1) == pytest.approx(1.0, abs=0.05)
