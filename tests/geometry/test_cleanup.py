import numpy as np
import pytest
import trimesh

from gen3d_tools.errors import InputError
from gen3d_tools.geometry.cleanup import clean
from gen3d_tools.geometry.parts import component_labels, component_volumes


def boxes(*sides):
    """Cubes of the given sides in a row, as one surface."""
    parts = [trimesh.creation.box(extents=[side] * 3).apply_translation([10 * i, 0, 0]) for i, side in enumerate(sides)]
    offsets = 8 * np.arange(len(parts))
    return np.vstack([part.vertices for part in parts]), np.vstack(
        [part.faces + offset for part, offset in zip(parts, offsets, strict=True)]
    )


def test_volumes_of_parts_are_exact_and_cavities_negative():
    vertices, faces = boxes(1, 2)
    faces[12:] = faces[12:, ::-1]
    assert component_volumes(vertices, faces, component_labels(faces)) == pytest.approx([1, -8])


@pytest.mark.parametrize(("keep", "parts"), [(0, 3), (0.001, 3), (0.02, 2), (0.5, 1), (1, 1)])
def test_parts_are_kept_by_their_share_of_the_largest(keep, parts):
    vertices, faces, report = clean(*boxes(0.6, 2, 0.25), keep=keep)  # shares 0.027, 1, 0.002
    assert (len(vertices), len(faces)) == (8 * parts, 12 * parts)
    assert (report.parts, report.removed_parts, report.removed_faces) == (3, 3 - parts, 12 * (3 - parts))


def test_what_is_kept_is_not_touched():
    vertices, faces = boxes(0.1, 2)
    kept_vertices, kept_faces, report = clean(vertices, faces)
    assert np.array_equal(kept_vertices, vertices[8:])
    assert np.array_equal(kept_faces, faces[12:] - 8)
    assert report.removed_volume == pytest.approx(0.001 / 8)
    assert str(report) == "1 of 2 parts removed (12 faces, 0.0% of the largest part's volume: 1 floater)"


def test_triangle_soup_is_welded_to_a_closed_surface():
    ball = trimesh.creation.icosphere(2)
    soup = ball.vertices[ball.faces].reshape(-1, 3), np.arange(3 * len(ball.faces)).reshape(-1, 3)
    vertices, faces, report = clean(*soup)
    assert len(vertices) == len(ball.vertices)
    assert report.welded_vertices == len(soup[0]) - len(ball.vertices)
    assert trimesh.Trimesh(vertices, faces, process=False).is_watertight


def test_folded_faces_are_dropped_and_the_surface_stays_closed():
    vertices, faces = boxes(1)
    a, b, c = faces[0]
    split = np.vstack([faces[1:], [[8, b, c], [a, 8, c], [a, b, 8]]])  # a vertex added at the position of `a`
    cleaned, cleaned_faces, report = clean(np.vstack([vertices, vertices[a]]), split)
    assert (report.welded_vertices, report.degenerate_faces) == (1, 2)
    assert "1 vertices welded, 2 folded faces dropped" in str(report)
    assert trimesh.Trimesh(cleaned, cleaned_faces, process=False).is_watertight


def test_nothing_stays_nothing():
    vertices, faces, report = clean(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    assert (len(vertices), len(faces), report.parts) == (0, 0, 0)


@pytest.mark.parametrize("keep", [-0.1, 1.5, float("nan")])
def test_keep_is_a_share(keep):
    with pytest.raises(InputError, match="it must be a share from 0"):
        clean(*boxes(1), keep=keep)
