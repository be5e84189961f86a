import math

import pytest
import torch
from scipy import ndimage


@pytest.fixture(scope="module")
def dataset(shapes_on_path):
    import dataset

    return dataset


@pytest.fixture(scope="module")
def tracer(shapes_on_path):
    import tracer

    return tracer


@pytest.fixture(scope="module")
def primitives(shapes_on_path):
    import primitives

    return primitives


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def latents(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 10, generator=seeded(seed))


def grid(side: int) -> torch.Tensor:
    centers = (torch.arange(side) + 0.5) / side - 0.5
    return torch.stack(torch.meshgrid(centers, centers, centers, indexing="ij"), dim=-1).reshape(1, -1, 3)


def camera(yaw_deg: float, pitch_deg: float = 0.0, radius: float = 2.7) -> torch.Tensor:
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    back = torch.tensor([math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)])
    right = torch.tensor([math.cos(yaw), 0.0, -math.sin(yaw)])
    down = torch.linalg.cross(-back, right)
    matrix = torch.eye(4)
    matrix[:3] = torch.stack([right, down, -back, radius * back], dim=1)
    return matrix


EVERY_CLASS = pytest.mark.parametrize("class_index", range(10))


def test_there_are_ten_classes_in_alphabetical_order(dataset):
    assert len(dataset.CLASSES) == 10
    assert list(dataset.CLASSES) == sorted(dataset.CLASSES)
    assert dataset.Z_DIM == 10


def test_parameters_are_normal_probabilities_of_the_normalised_latent(dataset):
    z = torch.tensor([[1.0, -1.0] * 5])  # root mean square 1
    expected = torch.tensor([[0.8413447, 0.1586553] * 5])
    torch.testing.assert_close(dataset.parameters(z), expected, atol=1e-6, rtol=0)
    assert torch.equal(dataset.parameters(torch.zeros(1, 10)), torch.full((1, 10), 0.5))


def test_the_length_of_a_latent_does_not_matter(dataset):
    z = latents(4)
    torch.testing.assert_close(dataset.parameters(3.7 * z), dataset.parameters(z), atol=1e-6, rtol=0)


def test_primitive_distances_agree_with_closed_forms(primitives):
    x, y, z = torch.tensor([[[0.5, 0.0, 0.3]], [[0.0, 0.2, 0.4]], [[0.0, 0.0, 0.0]]])
    box = primitives.box(x, y, z, (0.2, 0.1, 0.3))
    torch.testing.assert_close(box, torch.tensor([[0.3, 0.1, math.hypot(0.1, 0.3)]]), atol=1e-5, rtol=0)
    ball = primitives.ellipsoid(x, y, z, (0.1, 0.1, 0.1))
    torch.testing.assert_close(ball, torch.tensor([[0.4, 0.1, 0.4]]), atol=1e-5, rtol=0)
    ring = primitives.torus(primitives.length(x, z), y, 0.3, 0.1)
    torch.testing.assert_close(ring, torch.tensor([[0.1, math.hypot(0.3, 0.2) - 0.1, 0.3]]), atol=1e-5, rtol=0)
    cone = primitives.cone(primitives.length(x, z), y, 0.2, 0.2, torch.tensor([[0.1]]))
    torch.testing.assert_close(cone, torch.tensor([[0.3, 0.1, math.hypot(0.1, 0.3)]]), atol=1e-5, rtol=0)


def test_hsv_gives_the_named_colours(primitives):
    u = torch.zeros(3, 10)
    hue = torch.tensor([[0.0], [1 / 3], [-1 / 3]])
    torch.testing.assert_close(primitives.hsv(hue, 1.0, 1.0, u)[:, 0], torch.eye(3), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("name", "point", "is_inside"),
    [
        ("car", (0.0, -0.04, 0.0), True),
        ("chair", (0.0, -0.25, 0.0), False),  # between the legs
        ("chair", (0.0, 0.2, -0.14), True),  # the back is behind
        ("chair", (0.0, 0.2, 0.14), False),
        ("donut", (0.0, 0.0, 0.0), False),  # the hole
        ("donut", (0.285, 0.0, 0.0), True),
        ("house", (0.0, 0.0, 0.0), True),
        ("lamp", (0.0, 0.2, 0.0), True),
        ("mug", (-0.095, 0.2, 0.0), False),  # open at the top
        ("mug", (-0.095, -0.22, 0.0), True),  # with a floor
        ("mug", (0.18, 0.0, 0.0), False),  # a finger fits into the handle
        ("mug", (0.275, 0.0, 0.0), True),
        ("mushroom", (0.25, 0.05, 0.0), True),
        ("mushroom", (0.25, -0.25, 0.0), False),  # beside the stem
        ("rocket", (0.0, 0.3, 0.0), True),
        ("sailboat", (0.0, -0.25, 0.2), True),
        ("sailboat", (0.0, 0.3, 0.3), False),
        ("tree", (0.0, -0.4, 0.0), True),
        ("tree", (0.2, -0.4, 0.0), False),  # beside the trunk
    ],
)
def test_the_typical_toy_is_solid_and_open_where_it_should_be(dataset, name, point, is_inside):
    u = torch.full((1, 10), 0.5)
    distance = dataset.signed_distance(torch.tensor([[point]]), u, dataset.CLASSES.index(name))
    assert (distance.item() < -0.02) if is_inside else (distance.item() > 0.02)


@EVERY_CLASS
def test_every_toy_is_one_piece_inside_the_visible_ball(dataset, class_index):
    points = grid(64)
    for z in (torch.zeros(1, 10), latents(1, seed=1), latents(1, seed=2)):
        distance = dataset.signed_distance(points, dataset.parameters(z), class_index)[0]
        occupied = distance < 0
        assert ndimage.label(occupied.view(64, 64, 64).numpy())[1] == 1
        assert points[0, occupied].norm(dim=-1).max() < 2.7 * math.sin(math.radians(10))
        assert 0.02 < occupied.float().mean() < 0.2


@EVERY_CLASS
def test_distances_near_the_surface_are_close_to_true(dataset, class_index):
    z = latents(3, seed=3)
    points, distance, _ = dataset.sample_training_points(z, class_index, points=1024, generator=seeded(4))
    norm = dataset.gradient(points, dataset.parameters(z), class_index).norm(dim=-1)[distance.abs() < 0.02]
    assert 0.8 < norm.mean() < 1.1
    assert norm.quantile(0.99) < 1.4


@EVERY_CLASS
def test_every_latent_number_matters(dataset, class_index):
    u = torch.full((10, 10), 0.5)
    points = grid(24).expand(10, -1, -1)
    low, high = u - 0.3 * torch.eye(10), u + 0.3 * torch.eye(10)
    moved = dataset.signed_distance(points, low, class_index) - dataset.signed_distance(points, high, class_index)
    near = dataset.signed_distance(points, u, class_index).abs() < 0.03
    painted = dataset.albedo(points, low, class_index) - dataset.albedo(points, high, class_index)
    change = moved.abs() + painted.abs().sum(-1)
    assert ((change * near).amax(dim=1) > 0.005).all()
    assert (moved[6:] == 0).all()  # the palette leaves the shape alone


@EVERY_CLASS
def test_sampling_is_determined_by_its_generator(dataset, class_index):
    z = latents(2)
    first = dataset.sample_training_points(z, class_index, points=256, generator=seeded(5))
    again = dataset.sample_training_points(z, class_index, points=256, generator=seeded(5))
    other = dataset.sample_training_points(z, class_index, points=256, generator=seeded(6))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@EVERY_CLASS
def test_training_points_tell_the_distance_and_colour_of_the_nearest_surface(dataset, class_index):
    z = latents(2, seed=7)
    points, distance, rgb = dataset.sample_training_points(z, class_index, points=1024, generator=seeded(8))
    assert points.shape == (2, 1024, 3)
    assert distance.shape == (2, 1024)
    assert points.abs().max() <= 0.5
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    assert (distance.abs() < 0.03).float().mean() > 0.4
    u = dataset.parameters(z)
    slope = dataset.gradient(points, u, class_index)
    landed = points - distance[..., None] * slope / slope.norm(dim=-1, keepdim=True)
    remaining = dataset.signed_distance(landed, u, class_index).abs()[distance.abs() < 0.015]
    assert remaining.quantile(0.9) < 0.002


def test_faces_turned_to_the_light_are_brighter(dataset):
    u = torch.full((1, 10), 0.5)
    ground = torch.tensor([[[0.0, 0.6, 0.0]]]).expand(1, 2, 3)  # far from any other part
    normals = torch.tensor([[[0.312, 0.763, 0.566], [-0.312, -0.763, -0.566]]])
    lit, dark = dataset.shaded_color(ground + 2 * normals, normals, u, dataset.CLASSES.index("tree"))[0].sum(-1)
    assert lit > 1.5 * dark


@EVERY_CLASS
def test_pictures_agree_with_the_distance(dataset, tracer, class_index):
    z = latents(1, seed=9)
    cam2world = camera(yaw_deg=40, pitch_deg=20)[None]
    rgb, alpha, distance = tracer.render(z, class_index, cam2world, 20.0, 32, supersample=1)
    hit = alpha.flatten() == 1
    assert (rgb[0].permute(1, 2, 0).reshape(-1, 3)[~hit] == 1).all()
    u = dataset.parameters(z)
    origins, directions = tracer.camera_rays(cam2world, 20.0, 32)
    nearest = torch.full((1, 32 * 32), torch.inf)
    for travelled in torch.linspace(2.2, 3.2, 150):
        gap = dataset.signed_distance(origins + travelled * directions, u, class_index)
        nearest = torch.minimum(nearest, gap)
    assert hit[nearest[0] < 0].all()
    assert not hit[nearest[0] > 0.006].any()
    surface = origins + distance.reshape(1, -1, 1) * directions
    assert dataset.signed_distance(surface, u, class_index)[0, hit].abs().max() < 0.004


def test_pictures_do_not_depend_on_the_batch(tracer):
    z = latents(2)
    cameras = torch.stack([camera(0), camera(120, 30)])
    together = tracer.render(z, 7, cameras, 20.0, 32)
    for index in range(2):
        alone = tracer.render(z[index : index + 1], 7, cameras[index : index + 1], 20.0, 32)
        for one, both in zip(alone, together, strict=True):
            torch.testing.assert_close(one[0], both[index], atol=1e-4, rtol=0)


def test_the_mug_shows_its_handle_on_its_left_hand(dataset, tracer):
    _, alpha, _ = tracer.render(torch.zeros(1, 10), dataset.CLASSES.index("mug"), camera(0)[None], 20.0, 64)
    middle = alpha[0, 0, 32] > 0.5  # towards +x, which is to the right of a camera in front
    runs = (middle[1:] & ~middle[:-1]).sum()
    assert runs == 2  # cup, gap, handle
    assert middle[52:56].any()
    assert not middle[54:].all()
