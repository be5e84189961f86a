import numpy as np
import pytest
import trimesh

from gen3d_tools.errors import InputError
from gen3d_tools.geometry.processing.cleanup import clean
from gen3d_tools.geometry.processing.parts import component_labels, component_volumes


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


def sheet(extents, center):
    return trimesh.creation.box(extents=extents).subdivide().apply_translation(center)


def ball(radius, center=(0, 0, 0), subdivisions=3):
    return trimesh.creation.icosphere(subdivisions, radius=radius).apply_translation(center)


def inverted(mesh):
    mesh.invert()
    return mesh


def cleaned(*parts, **options):
    """Clean parts in a box of side 2; which of them stay, by their first vertices, and the report."""
    whole = trimesh.util.concatenate(parts)
    vertices, faces, report = clean(
        np.asarray(whole.vertices), np.asarray(whole.faces), **({"box_side": 2.0} | options)
    )
    found = {tuple(vertex) for vertex in vertices[np.unique(faces)]}
    return [tuple(np.asarray(part.vertices)[0]) in found for part in parts], report


THING = ball(0.4)
BACK_WALL = sheet([2, 2, 0.1], [0, 0, -0.95])
CURTAIN = sheet([2, 2, 0.05], [0, 0, -0.6])  # in front of the wall, from side to side
FLOOR = sheet([2, 0.1, 2], [0, -0.7, 0])
FAR_SPECK = ball(0.05, [0.9, 0.9, 0.9])
WHEEL = ball(0.06, [0, -0.5, 0])  # 0.04 below the thing


def test_a_scene_is_reduced_to_the_object_and_its_own_parts():
    kept, report = cleaned(THING, BACK_WALL, CURTAIN, FLOOR, FAR_SPECK, WHEEL)
    assert kept == [True, False, False, False, False, True]
    assert (report.box_walls, report.background_sheets, report.floaters) == (1, 2, 1)
    assert "4 of 6 parts removed" in str(report)
    assert ": 1 box wall, 2 background sheets, 1 floater)" in str(report)


def test_background_stays_when_asked_for():
    kept, report = cleaned(THING, BACK_WALL, CURTAIN, FLOOR, keep_background=True)
    assert kept == [True] * 4
    assert report.removed_parts == 0


def test_the_small_are_measured_by_the_object_not_by_the_wall():
    """The wall has 13 times the volume of the thing: beside it the thing itself would be a floater."""
    kept, _ = cleaned(ball(0.12), BACK_WALL)
    assert kept == [True, False]
    assert cleaned(ball(0.12), BACK_WALL, keep_background=True)[0] == [False, True]


def test_a_dome_around_the_object_is_background():
    dome = ball(1.0, subdivisions=4)
    dome.apply_scale(0.999)
    kept, report = cleaned(THING, dome, inverted(ball(0.97, subdivisions=4)))
    assert kept == [True, False, False]
    assert report.background_sheets == 2


def test_the_inner_wall_of_a_room_goes_with_the_room():
    room, inner = sheet([2, 2, 2], [0, 0, 0]), inverted(sheet([1.8, 1.8, 1.8], [0, 0, 0]))
    kept, report = cleaned(room, inner, THING)
    assert kept == [False, False, True]
    assert report.box_walls == 2


def test_the_object_s_own_cavity_stays():
    kept, _ = cleaned(THING, inverted(ball(0.3)), BACK_WALL)
    assert kept == [True, True, False]


@pytest.mark.parametrize(
    "thing",
    [sheet([2, 0.5, 0.5], [0, 0, 0]), sheet([0.5, 2, 0.5], [0, 0, 0]), sheet([1.5, 1.5, 1], [0, -0.25, 0.5])],
    ids=["beam through the box", "pillar", "cut on two sides"],
)
def test_objects_that_the_box_cuts_are_no_background(thing):
    assert cleaned(thing, ball(0.2, [0.7, 0.7, -0.7]))[0] == [True, True]


def test_what_would_leave_nothing_stays():
    kept, report = cleaned(FLOOR)
    assert kept == [True]
    assert report.removed_parts == 0


@pytest.mark.parametrize(("gap", "stays"), [(0.01, True), (0.15, True), (0.3, False)])
def test_small_parts_stay_as_near_as_they_are_large(gap, stays):
    """A flame of 0.1 across, with a diagonal of 0.17, under a rocket."""
    flame = ball(0.05, [0, -0.4 - gap - 0.05, 0])
    assert cleaned(THING, flame)[0] == [True, stays]


def test_specks_go_however_near():
    assert cleaned(THING, ball(0.02, [0, -0.43, 0]))[0] == [True, False]  # 1 / 8000 of the volume


def test_bubbles_near_the_surface_are_filled():
    assert cleaned(THING, inverted(ball(0.06, [0, 0.3, 0])))[0] == [True, False]
