from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree

from gen3d_tools.fields.compiled import triplane_numbers
from gen3d_tools.generators.loading import load_generator
from gen3d_tools.geometry.extraction.isosurface import bordered_lattice, marching_cubes, raw_iso_level
from gen3d_tools.geometry.extraction.lattice import sample_lattice
from gen3d_tools.kernels.lattice.evaluate import TILE
from gen3d_tools.kernels.lattice.surface import bounded_lattice, dense, find_surface, span
from gen3d_tools.kernels.lattice.tables import EXP_SEPARABLE, LEAKY_RELU, SOFTPLUS
from tests.kernels.conftest import KINDS, Kind, LeakyDecoder, make_field

SIZES = (9, 24, 41)


def lattice_of_field(field, size):
    return bounded_lattice(triplane_numbers(field), size)


def plain_values(field, size):
    return sample_lattice(field.raw_density, resolution=size, box_side=field.box_side)


def plain_surface(field, size, level):
    values = bordered_lattice(field.raw_density, resolution=size, box_side=field.box_side)
    vertices, faces = marching_cubes(values, box_side=field.box_side, iso_level=level)
    return (vertices / field.box_side + 0.5) * (size - 1), faces


def assert_same(one, other):
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def farthest(points, vertices, faces):
    """Largest distance of points to a surface. Where an edge of the lattice lies in it, vertices slide along."""
    distances = cKDTree(vertices).query(points)[0]
    for index in np.flatnonzero(distances > 0.005):
        triangles = vertices[faces]
        nearest = trimesh.triangles.closest_point(triangles, np.broadcast_to(points[index], (len(triangles), 3)))
        distances[index] = np.linalg.norm(nearest - points[index], axis=1).min()
    return distances.max(initial=0.0)


def assert_like_plain(field, size, level):
    """Same triangles, vertices at the same places, pruned or not."""
    bounded = lattice_of_field(field, size)
    vertices, faces = find_surface(bounded, level)
    plain_vertices, plain_faces = plain_surface(field, size, level)
    assert (len(vertices), len(faces)) == (len(plain_vertices), len(plain_faces))
    assert farthest(vertices, plain_vertices, plain_faces) < 0.01
    assert farthest(plain_vertices, vertices, faces) < 0.01
    assert_same((vertices, faces), find_surface(bounded, level, prune=False))
    return bounded, vertices, faces


def tile_of_points(per_tile, size):
    """Give every lattice point the number of its tile."""
    place = (np.arange(size) + 1) // TILE
    return per_tile[np.ix_(place, place, place)]


@pytest.mark.parametrize("size", SIZES)
def test_lattice_holds_the_raw_density_of_the_field(kind, size):
    field = make_field(kind)
    wanted = plain_values(field, size)
    assert dense(lattice_of_field(field, size)) == pytest.approx(wanted, abs=float(4e-6 * np.ptp(wanted) + 2e-5))


@pytest.mark.parametrize("size", SIZES)
def test_bounds_hold_everywhere(kind, size):
    field = make_field(kind)
    bounded, values = lattice_of_field(field, size), plain_values(field, size)
    assert (tile_of_points(bounded.low, size) <= values).all()
    assert (values <= tile_of_points(bounded.high, size)).all()


@pytest.mark.parametrize("size", SIZES)
def test_surface_is_that_of_the_plain_procedure(kind, size):
    field = make_field(kind)
    assert_like_plain(field, size, float(np.quantile(plain_values(field, size), 0.8)))


@pytest.mark.slow
def test_many_tiles_of_a_smooth_field_are_left_out_and_nothing_is_lost():
    field = make_field(Kind("softplus", (64,), "xy-xz-zy", False), size=8, rough=0.0)
    level = float(np.quantile(plain_values(field, 96), 0.9))
    bounded, _, _ = assert_like_plain(field, 96, level)
    assert bounded.keep(level).mean() < 0.7


def test_noise_planes_keep_every_tile_and_the_surface():
    field = replace(make_field(KINDS["shapes"]), planes=torch.randn(3, 8, 48, 48, generator=torch.manual_seed(0)))
    level = float(np.quantile(plain_values(field, 40), 0.7))
    bounded, _, _ = assert_like_plain(field, 40, level)
    assert bounded.keep(level).mean() > 0.95


def ridge_field(planes):
    """Raw density = sum of the three planes' values, which must not be negative."""
    decoder = LeakyDecoder(1, 16)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.zero_()
        decoder.first.weight[0, 0] = 1
        decoder.last.weight[3, 0] = 4 / 2**0.5  # undoes 1 / sqrt(16) and the activation's gain
    kind = Kind("leaky", (16,), "xy-xz-yz", True, combine="sum", channels=1)
    return replace(make_field(kind), planes=planes[:, None], decoder=decoder)


def test_tiny_detached_parts_are_found():
    """Three parts of about two voxels in an empty box; each plane shows each of them in one texel."""
    planes = torch.zeros(3, 64, 64)
    for x, y, z in ((9, 50, 31), (40, 8, 8), (55, 60, 20)):
        planes[0, y, x] = planes[1, z, x] = planes[2, z, y] = 1
    bounded, vertices, _ = assert_like_plain(ridge_field(planes), 127, 2.5)
    assert 3 * 6 <= len(vertices) < 3 * 60
    assert bounded.keep(2.5).sum() < 60


@pytest.mark.parametrize("texel", [0, 17, 63])
def test_thin_sheets_through_the_whole_box_are_kept_and_closed(texel):
    planes = torch.zeros(3, 64, 64)
    planes[0, :, texel] = 1
    _, vertices, faces = assert_like_plain(ridge_field(planes), 70, 0.6)
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert set(np.unique(edges, axis=0, return_counts=True)[1]) == {2}
    assert np.ptp(vertices[:, 2]) == pytest.approx(69, abs=0.01)


def test_values_exactly_at_the_level_do_not_tear_the_surface():
    planes = torch.zeros(3, 33, 33)
    planes[0, :, 10:20] = 1
    assert_like_plain(ridge_field(planes), 65, 0.5)


def test_threads_change_nothing(kind):
    field = make_field(kind)
    numbers = triplane_numbers(field)
    alone, together = bounded_lattice(numbers, 41), bounded_lattice(numbers, 41, threads=4)
    level = float(np.quantile(dense(alone), 0.8))
    assert_same((alone.low, alone.high), (together.low, together.high))
    assert_same(find_surface(alone, level), find_surface(together, level, threads=4))


def test_large_hidden_values_are_added_rather_than_multiplied():
    field = make_field(KINDS["eg3d"])
    large = replace(field, planes=60 * field.planes)
    assert lattice_of_field(field, 24).lattice.form == EXP_SEPARABLE
    assert lattice_of_field(make_field(KINDS["3dgp"]), 24).lattice.form == LEAKY_RELU
    bounded, wanted = lattice_of_field(large, 24), plain_values(large, 24)
    assert bounded.lattice.form == SOFTPLUS
    assert dense(bounded) == pytest.approx(wanted, abs=float(4e-6 * np.ptp(wanted)))
    assert_like_plain(large, 24, float(np.quantile(wanted, 0.8)))


def test_span_is_that_of_the_whole_lattice(kind):
    field = make_field(kind)
    values = plain_values(field, 24)
    assert span(lattice_of_field(field, 24)) == pytest.approx((values.min(), values.max()), abs=1e-4)


def test_a_field_above_the_level_everywhere_is_the_box():
    bounded = lattice_of_field(make_field(KINDS["eg3d"]), 24)
    vertices, _ = find_surface(bounded, float(bounded.low.min()) - 1)
    assert len(vertices) == 6 * 24**2
    assert np.abs(vertices - 11.5).max() == pytest.approx(11.5, abs=1e-3)
    empty, no_faces = find_surface(bounded, float(bounded.high.max()) + 1)
    assert len(empty) == len(no_faces) == 0


def test_numbers_that_would_overflow_are_noticed():
    field = make_field(KINDS["shapes"])
    assert lattice_of_field(field, 16).finite
    assert not lattice_of_field(replace(field, planes=1e32 * field.planes), 16).finite


def test_progress_ends_at_all_points():
    seen = []
    bounded = lattice_of_field(make_field(KINDS["narrow"]), 24)
    find_surface(bounded, 0.0, progress=lambda *at: seen.append(at))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (24**3, 24**3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), [("chair", 0), ("mug", 1), ("lamp", 2)])
def test_trained_fields_have_the_surface_of_the_plain_procedure(name, seed):
    generator = load_generator("shapes", device="cpu")
    (field,) = generator.fields(generator.latents([seed], [name]))
    level = raw_iso_level(field.iso_level, field.density_activation, field.density_shift)
    field = replace(field, planes=field.planes.detach())
    bounded, _, _ = assert_like_plain(field, 72, level)
    together = bounded_lattice(triplane_numbers(field), 72, threads=3)
    assert_same(find_surface(bounded, level), find_surface(together, level, threads=3))


@pytest.mark.parametrize("offset", [-0.4, 0.0, 0.4])
def test_surfaces_that_cut_the_box_are_closed_at_its_faces(kind, offset):
    field = make_field(kind, seed=2)
    values = plain_values(field, 24)
    level = float(np.quantile(values, 0.5 + offset))
    _, vertices, faces = assert_like_plain(field, 24, level)
    assert (np.abs(vertices - 11.5).max(axis=1) >= 11.5 - 1e-3).any()  # some of it lies on the box
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert set(np.unique(edges, axis=0, return_counts=True)[1] % 2) == {0}
