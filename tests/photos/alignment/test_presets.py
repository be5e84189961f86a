"""Crops and labels from five points: heads of known geometry, seen by known cameras, come back as they were."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError
from gen3d_tools.photos.alignment.crop import eg3d_crop, ffhq_crop, levelled
from gen3d_tools.photos.alignment.head import HEAD_POINTS, HeadFit, fit_head
from gen3d_tools.photos.alignment.landmarks import Landmarks
from gen3d_tools.photos.alignment.pose import FOCAL, RADIUS, fit_camera, roll_deg, world_points
from gen3d_tools.photos.alignment.presets import align_face, mirrored_label, preset_for

FOV_Y_DEG = 2 * math.degrees(math.atan(0.5 / FOCAL))


def head_camera(yaw, pitch, roll=0.0):
    """A camera of EG3D's labels that looks at the head, turned about its axis."""
    camera = Camera.from_spherical(yaw, pitch, RADIUS, fov_y_deg=FOV_Y_DEG, target=(0.0, 0.006, 0.161))
    turn = torch.eye(4)
    angle = math.radians(roll)
    turn[:2, :2] = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    matrix = camera.cam2world @ turn
    matrix[:3, 3] *= RADIUS / matrix[:3, 3].norm()
    return Camera(matrix, camera.intrinsics)


def seen(camera):
    """Where a camera sees the head's points, in sides of its picture."""
    matrix = camera.cam2world.double()
    points = (world_points() - matrix[:3, 3]) @ matrix[:3, :3]
    return points[:, :2] / points[:, 2:] * FOCAL + 0.5


def orthographic(scale=90.0, x=210.0, y=180.0, roll=0.0):
    """Five points of a head seen straight from the front, y down: scale in pixels per unit, origin at x, y."""
    head = torch.tensor(HEAD_POINTS)[:, :2] * torch.tensor([1.0, -1.0])
    angle = math.radians(roll)
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return Landmarks(head @ turn * scale + torch.tensor([x, y]))


def drawn(landmarks, width=480, height=400):
    """A photo on which each point is a disc of its own colour."""
    picture = np.full((height, width, 3), 255, np.uint8)
    rows, columns = np.mgrid[:height, :width]
    for index, (x, y) in enumerate(landmarks.points.tolist()):
        picture[np.hypot(rows - y, columns - x) < 7] = (40 * index, 200 - 40 * index, 60 * (index % 2))
    return picture


def rgb_of(picture):
    return torch.from_numpy(picture.copy()).permute(2, 0, 1) / 255


def disc_centre(picture, index):
    """Where the disc of a point is in a crop, in sides of it."""
    wanted = torch.tensor([40 * index, 200 - 40 * index, 60 * (index % 2)]) / 255
    near = ((picture - wanted[:, None, None]).abs().amax(dim=0) < 0.06).nonzero().float()
    return (near.mean(dim=0).flip(0) + 0.5) / picture.shape[-1]


def test_the_fit_says_where_a_head_is_and_how_large():
    fit = fit_head(orthographic(90.0, 210.0, 180.0), height=400)
    assert (fit.scale, fit.x, fit.y) == pytest.approx((90.0, 210.0, 399 - 180.0), abs=0.01)


def test_the_window_has_the_pixels_of_the_enlarged_photo():
    """The published way: the whole photo resized, 1024 around the head, the middle 700, Lanczos to 512."""
    chance = np.random.RandomState(0)
    photo = Image.fromarray(chance.randint(0, 255, (50, 60, 3), np.uint8)).resize((300, 250), Image.Resampling.BICUBIC)
    head = HeadFit(scale=70.0, x=180.3, y=90.7)
    scale = 300 / 70.0
    large = photo.resize((int(300 * scale), int(250 * scale)), Image.Resampling.BICUBIC)
    left = int(large.width / 2 - 512 + (180.3 - 150) * scale)
    top = int(large.height / 2 - 512 + (125 - 90.7) * scale)
    window = large.crop((left, top, left + 1024, top + 1024)).crop((162, 162, 862, 862))
    published = np.asarray(window.resize((512, 512), Image.Resampling.LANCZOS)).astype(int)
    ours = np.asarray(eg3d_crop(photo, head).picture).astype(int)
    assert np.abs(published - ours).max() <= 2


@pytest.mark.parametrize(("preset", "roll"), [("eg3d-ffhq", 0), ("eg3d-ffhq", 20), ("panohead", 20), ("square", -35)])
def test_points_are_in_the_crop_where_they_are_said_to_be(preset, roll):
    landmarks = orthographic(roll=roll)
    aligned = align_face(rgb_of(drawn(landmarks)), landmarks, preset)
    assert aligned.picture.shape == (3, 512, 512)
    for index in range(5):
        assert disc_centre(aligned.picture, index).tolist() == pytest.approx(
            aligned.points[index].tolist(), abs=1.5 / 512
        )


def test_a_frontal_head_has_its_eyes_where_the_training_crops_have_them():
    """The frontal camera sees the eyes at x = 183 and 329, y = 188 of 512."""
    landmarks = orthographic()
    aligned = align_face(rgb_of(drawn(landmarks)), landmarks)
    eyes = aligned.points[:2] * 512
    assert eyes[:, 0].tolist() == pytest.approx([183, 329], abs=8)
    assert eyes[:, 1].tolist() == pytest.approx([188, 188], abs=8)
    yaw, pitch, _ = (float(one) for one in aligned.camera.spherical())
    assert (yaw, aligned.roll_deg) == pytest.approx((0, 0), abs=0.5)
    assert abs(pitch) < 6


def test_a_level_crop_has_level_eyes_and_the_published_one_keeps_the_tilt():
    landmarks = orthographic(roll=20)
    kept = align_face(rgb_of(drawn(landmarks)), landmarks)
    level = align_face(rgb_of(drawn(landmarks)), landmarks, level=True)
    assert kept.roll_deg == pytest.approx(20, abs=0.5)
    assert "tilted by 20°" in kept.notes[0]
    assert level.roll_deg == pytest.approx(0, abs=0.5)
    assert level.notes == ()
    eyes = level.points[:2]
    assert float(eyes[0, 1]) == pytest.approx(float(eyes[1, 1]), abs=1e-3)
    for index in range(5):
        assert disc_centre(level.picture, index).tolist() == pytest.approx(level.points[index].tolist(), abs=2 / 512)


def test_a_turned_photo_keeps_its_points():
    landmarks = orthographic(roll=30)
    photo, turned = levelled(Image.fromarray(drawn(landmarks)), landmarks)
    picture = rgb_of(np.asarray(photo))
    for index in range(5):
        wanted = (turned.points[index] + 0.5) / torch.tensor([photo.width, photo.height])
        near = disc_centre(picture, index) * picture.shape[-1] / torch.tensor([photo.width, photo.height])
        assert near.tolist() == pytest.approx(wanted.tolist(), abs=1 / 300)


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(0, 0, 0), (25, 0, 0), (-40, 10, 0), (15, -15, 20), (0, 5, 170)])
def test_a_camera_comes_back_from_the_points_it_sees(yaw, pitch, roll):
    found = fit_camera(seen(head_camera(yaw, pitch, roll)))
    true_yaw, true_pitch, _ = (float(one) for one in head_camera(yaw, pitch).spherical())
    found_yaw, found_pitch, radius = (float(one) for one in found.spherical())
    assert radius == pytest.approx(RADIUS, abs=1e-5)
    assert found_yaw == pytest.approx(true_yaw, abs=4)  # pulled towards the front a little
    assert found_pitch == pytest.approx(true_pitch, abs=5)
    assert roll_deg(found) == pytest.approx(roll, abs=3)
    torch.testing.assert_close(found.cam2world[:3, :3].det(), torch.tensor(1.0))


def test_a_label_has_25_numbers_and_the_published_lens():
    label = fit_camera(seen(head_camera(0, 0))).to_eg3d_label()
    assert label.shape == (25,)
    assert label[16:].tolist() == pytest.approx([4.2647, 0, 0.5, 0, 4.2647, 0.5, 0, 0, 1], abs=1e-4)
    assert label[:12].tolist() == pytest.approx([1, 0, 0, 0, 0, -1, 0, 0.006, 0, 0, -1, 2.7], abs=0.02)


def test_the_label_of_the_mirrored_photo_is_the_mirrored_label():
    landmarks = orthographic(roll=12)
    points = landmarks.points + torch.tensor([[3.0, 0], [0, 0], [8.0, 2], [0, 0], [0, 1]])  # no symmetric face
    mirrored = (torch.tensor([479.0, 0]) - points * torch.tensor([1.0, -1.0]))[[1, 0, 2, 4, 3]]
    picture = rgb_of(drawn(landmarks))
    here = align_face(picture, Landmarks(points))
    there = align_face(picture.flip(-1), Landmarks(mirrored))
    wanted = mirrored_label(here.camera.to_eg3d_label())
    torch.testing.assert_close(
        there.camera.to_eg3d_label(), wanted, rtol=0, atol=0.06
    )  # the head itself is not quite symmetric
    assert there.roll_deg == pytest.approx(-here.roll_deg, abs=0.5)
    assert float((there.picture.flip(-1) - here.picture).abs().mean()) < 0.01


def test_panohead_looks_at_the_origin_and_square_has_no_camera():
    landmarks = orthographic(roll=15)
    panohead = align_face(rgb_of(drawn(landmarks)), landmarks, "panohead").camera
    torch.testing.assert_close(panohead.position, -RADIUS * panohead.forward, rtol=0, atol=1e-5)
    assert abs(roll_deg(panohead)) < 1
    assert align_face(rgb_of(drawn(landmarks)), landmarks, "square").camera is None


def test_the_recipe_of_ffhq_is_a_square_of_twice_the_larger_measure():
    landmarks = orthographic()
    crop = ffhq_crop(Image.fromarray(drawn(landmarks)), landmarks)
    eye, mouth = landmarks.eye_middle, landmarks.mouth_middle
    side = 2 * max(2 * float(landmarks.eyes.norm()), 1.8 * float((mouth - eye).norm()))
    assert crop.axes.norm(dim=1).tolist() == pytest.approx([side, side])
    middle = crop.origin + crop.axes.sum(dim=0) / 2
    assert middle.tolist() == pytest.approx((eye + 0.1 * (mouth - eye) + 0.5).tolist(), abs=1e-3)


def test_a_small_face_is_said_and_a_tiny_one_refused():
    small = orthographic(scale=30.0)
    assert "only about" in align_face(rgb_of(drawn(small)), small).notes[0]
    with pytest.raises(InputError, match="too small for a crop"):
        align_face(rgb_of(drawn(small)), orthographic(scale=4.0))


def test_a_model_with_the_cameras_of_the_labels_gets_their_preset():
    assert preset_for(head_camera(0, 0)) == "eg3d-ffhq"
    assert preset_for(Camera.from_spherical(0.0, 0.0, 2.7, fov_y_deg=20.0)) == "square"
    assert preset_for(Camera.from_spherical(0.0, 0.0, 1.7, fov_y_deg=FOV_Y_DEG)) == "square"
