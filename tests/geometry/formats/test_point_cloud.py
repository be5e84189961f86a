import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

from gen3d_tools.errors import InputError
from gen3d_tools.geometry.color.texture import with_texture
from gen3d_tools.geometry.formats.point_cloud import PointCloud, check_points_suffix, sample_points, write_points


@pytest.fixture
def ball():
    """A unit ball whose colour is its position."""
    mesh = trimesh.creation.icosphere(4)
    colors = (127.5 * (mesh.vertices + 1)).round().astype(np.uint8)
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=colors, process=False)


@pytest.mark.parametrize("n", [1, 7, 500])
def test_there_are_exactly_as_many_as_asked_and_they_lie_on_the_surface(ball, n):
    cloud = sample_points(ball, n)
    assert len(cloud) == n
    assert np.linalg.norm(cloud.points, axis=1) == pytest.approx(1, abs=0.005)
    assert cloud.normals == pytest.approx(cloud.points, abs=0.02)
    assert cloud.colors == pytest.approx(127.5 * (cloud.points + 1), abs=2)


def test_points_keep_apart_and_leave_no_holes(ball):
    n = 1000
    points = sample_points(ball, n).points
    spacing = np.sqrt(ball.area / n)
    nearest = cKDTree(points).query(points, k=2)[0][:, 1]
    assert nearest.min() > 0.55 * spacing  # plain random points come as close as 0.02
    assert nearest.std() / nearest.mean() < 0.2
    farthest = cKDTree(points).query(ball.vertices)[0].max()
    assert farthest < 1.5 * spacing


def test_large_and_small_triangles_get_their_share():
    mesh = trimesh.Trimesh(
        [[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [8, 0, 0], [5, 3, 0]], [[0, 1, 2], [3, 4, 5]], process=False
    )
    share = (sample_points(mesh, 1000).points[:, 0] < 2).mean()
    assert share == pytest.approx(0.1, abs=0.02)


def test_seeds_name_clouds(ball):
    one, same, other = (sample_points(ball, 50, seed=seed).points for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_colours_come_from_a_texture_too():
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2] = [255, 0, 0]
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    normals = np.tile([0, 0, 1.0], (4, 1))
    mesh = with_texture(vertices, np.array([[0, 1, 2], [0, 2, 3]]), normals, vertices[:, :2], picture)
    cloud = sample_points(mesh, 200)
    assert (cloud.colors[cloud.points[:, 1] > 0.63, 0] == 255).all()
    assert (cloud.colors[cloud.points[:, 1] < 0.37] == 0).all()


def read_back(path, request):
    """Points, normals and colours of a file, the text and the arrays by hand, .ply by another program."""
    if path.suffix == ".npz":
        arrays = np.load(path)
        return arrays["points"], arrays["normals"], arrays["colors"]
    if path.suffix == ".xyz":
        rows = np.loadtxt(path)
        return rows[:, :3], rows[:, 3:6], rows[:, 6:]
    cloud = request.getfixturevalue("open3d").io.read_point_cloud(str(path))
    return np.asarray(cloud.points), np.asarray(cloud.normals), np.asarray(cloud.colors) * 255


@pytest.mark.parametrize("suffix", [pytest.param(".ply", marks=pytest.mark.libraries), ".xyz", ".npz"])
def test_clouds_survive_the_file(ball, tmp_path, suffix, request):
    cloud = sample_points(ball, 100)
    write_points(tmp_path / f"ball{suffix}", cloud)
    points, normals, colors = read_back(tmp_path / f"ball{suffix}", request)
    assert points == pytest.approx(cloud.points, abs=1e-6)
    assert normals == pytest.approx(cloud.normals, abs=1e-4)
    assert colors == pytest.approx(cloud.colors)
    write_points(tmp_path / f"again{suffix}", cloud)
    assert (tmp_path / f"ball{suffix}").read_bytes() == (tmp_path / f"again{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".ply", ".xyz", ".npz"])
def test_clouds_without_colours_are_written_too(ball, tmp_path, suffix):
    cloud = sample_points(trimesh.Trimesh(ball.vertices, ball.faces, process=False), 10)
    assert cloud.colors is None
    write_points(tmp_path / f"ball{suffix}", cloud)
    assert (tmp_path / f"ball{suffix}").stat().st_size > 0


def test_clouds_are_centred_scaled_and_turned_with_their_normals(tmp_path):
    cloud = PointCloud(np.array([[1.0, 0, 0], [1, 4, 0]]), np.array([[0, 1.0, 0], [0, 0, 1]]), None)
    write_points(tmp_path / "two.npz", cloud, up="z", scale=1.0, center=True)
    arrays = np.load(tmp_path / "two.npz")
    assert arrays["points"] == pytest.approx(np.array([[0, 0, -0.5], [0, 0, 0.5]]))
    assert arrays["normals"] == pytest.approx(np.array([[0, 0, 1], [0, -1, 0]]))


def test_bad_input_is_refused_in_one_line(ball, tmp_path):
    for count in (0, -1, 2_000_001):
        with pytest.raises(InputError, match="it must be 1 to 2,000,000"):
            sample_points(ball, count)
    with pytest.raises(InputError, match="no area"):
        sample_points(trimesh.Trimesh(), 5)
    with pytest.raises(InputError, match=r"'\.npzz', .* did you mean \.npz\?"):
        check_points_suffix("a.npzz")
    write_points(tmp_path / "a.ply", sample_points(ball, 3))
    with pytest.raises(InputError, match="exists already"):
        write_points(tmp_path / "a.ply", sample_points(ball, 3))
