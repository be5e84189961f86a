"""Camera files: each writer undoes its reader, other programs' axes come out right, broken files say why."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from gen3d_tools.cameras import colmap, formats
from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.colmap import read_colmap
from gen3d_tools.cameras.formats import (
    camera_path_timing,
    load_cameras,
    read_eg3d_labels,
    write_camera_path,
    write_nerf_synthetic,
)
from gen3d_tools.errors import InputError, NotFoundError
from tests.support.camera_sets import write_colmap, write_transforms

FRONT_OPENGL = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 2], [0, 0, 0, 1]]  # unrotated: looks along -z, up is +y
FLAT_FRONT = [number for row in FRONT_OPENGL for number in row]


def cameras(count: int = 5, *, off_centre: bool = False) -> Camera:
    draw = torch.rand(4, count, generator=torch.Generator().manual_seed(0))
    spread = Camera.from_spherical(
        360 * draw[0], 170 * draw[1] - 85, 1 + draw[2], fov_y_deg=15 + 60 * draw[3], target=(0.1, 0.2, 0.3)
    )
    if not off_centre:
        return spread
    lens = spread.intrinsics.clone()
    lens[:, 0] *= torch.tensor([0.75, 1, 1.1])
    lens[:, 1] *= torch.tensor([1, 1, 0.9])
    return Camera(spread.cam2world, lens)


def assert_same(read: Camera, written: Camera) -> None:
    assert_close(read.cam2world, written.cam2world, atol=1e-6, rtol=0)
    assert_close(read.intrinsics, written.intrinsics, atol=1e-6, rtol=1e-5)


def test_camera_path_round_trip(tmp_path):
    write_camera_path(tmp_path / "path.json", cameras(), height=300, fps=25)
    assert_same(load_cameras(tmp_path / "path.json"), cameras())
    data = json.loads((tmp_path / "path.json").read_text())
    assert (data["render_height"], data["render_width"], data["fps"], data["seconds"]) == (300, 300, 25, 0.2)


def test_only_a_camera_path_knows_its_timing(tmp_path):
    write_camera_path(tmp_path / "path.json", cameras(), fps=25)
    write_transforms(tmp_path / "transforms.json", cameras())
    assert camera_path_timing(tmp_path / "path.json") == (25, False)
    assert camera_path_timing(tmp_path / "transforms.json") == (None, False)
    data = json.loads((tmp_path / "path.json").read_text())
    (tmp_path / "path.json").write_text(json.dumps({**data, "fps": 0, "is_cycle": True}))
    with pytest.raises(InputError, match=r"path\.json: fps must be positive, got 0"):
        camera_path_timing(tmp_path / "path.json")
    (tmp_path / "path.json").write_text(json.dumps({**data, "fps": None, "is_cycle": True}))
    assert camera_path_timing(tmp_path / "path.json") == (pytest.approx(25), True)  # five cameras in .2 seconds
    (tmp_path / "path.json").write_text(json.dumps({**data, "fps": None, "seconds": None, "is_cycle": True}))
    assert camera_path_timing(tmp_path / "path.json") == (None, True)
    (tmp_path / "path.json").write_text(json.dumps({**data, "fps": None, "seconds": -1}))
    with pytest.raises(InputError, match=r"path\.json: seconds must be positive, got -1"):
        camera_path_timing(tmp_path / "path.json")
    write_camera_path(tmp_path / "round.json", cameras(), closed=True)
    assert camera_path_timing(tmp_path / "round.json") == (30, True)


def test_a_frames_own_angle_counts_more_than_the_files_focal_length(tmp_path):
    own = {"camera_angle_x": math.radians(90), "transform_matrix": FRONT_OPENGL}
    frames = [{"transform_matrix": FRONT_OPENGL}, own, own | {"camera_angle_y": math.radians(90)}]
    content = {"fl_x": 100, "fl_y": 100, "w": 100, "h": 100, "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    lenses = load_cameras(tmp_path / "transforms.json").intrinsics
    assert lenses[:, [0, 1], [0, 1]].flatten().tolist() == pytest.approx([1, 1, 0.5, 1, 0.5, 0.5])


def test_transforms_round_trip(tmp_path):
    written = cameras(off_centre=True)
    write_transforms(tmp_path / "transforms.json", written, width=640, height=480)
    assert_same(load_cameras(tmp_path / "transforms.json"), written)


def test_colmap_round_trip(tmp_path):
    written = cameras(off_centre=True)
    write_colmap(tmp_path / "sparse", written, width=640, height=480, names=[f"a {i}.png" for i in range(5)])
    assert_same(load_cameras(tmp_path / "sparse"), written)
    assert_same(load_cameras(tmp_path / "sparse" / "images.txt"), written)


def test_colmap_pictures_through_one_lens_share_one_camera(tmp_path):
    one_lens = Camera.from_spherical([0.0, 90.0, 180.0], 10.0, 2.0, fov_y_deg=30.0)
    write_colmap(tmp_path / "one", one_lens)
    lenses = [line for line in (tmp_path / "one" / "cameras.txt").read_text().splitlines() if line[0] != "#"]
    assert len(lenses) == 1
    assert_same(load_cameras(tmp_path / "one"), one_lens)
    two_lenses = Camera.from_spherical([0.0, 90.0], 10.0, 2.0, fov_y_deg=[30.0, 40.0])
    write_colmap(tmp_path / "two", two_lenses)
    assert_same(load_cameras(tmp_path / "two"), two_lenses)


@pytest.mark.parametrize("write", [formats.write_transforms, colmap.write_colmap])
def test_the_pictures_sizes_and_names_are_not_guessed(tmp_path, write):
    with pytest.raises(TypeError, match="width"):
        write(tmp_path / "out", cameras(2))
    for size, names in (
        (8, ["a.png"]),
        (8, ["a.png", "a.png"]),
        (8, ["a.png", "b\nc.png"]),
        (8, ["a.png", " "]),
        (0, ["a", "b"]),
    ):
        with pytest.raises(InputError, match=r"need the pictures' width|one name per camera|a picture of its own"):
            write(tmp_path / "out", cameras(2), width=size, height=8, names=names)
    assert not (tmp_path / "out").exists()


def test_wide_pictures_keep_square_pixels_in_a_camera_path(tmp_path):
    square = cameras(2)
    lens = square.intrinsics.clone()
    lens[:, 0, 0] /= 2  # twice as wide as high
    write_camera_path(tmp_path / "wide.json", Camera(square.cam2world, lens), height=100)
    assert json.loads((tmp_path / "wide.json").read_text())["render_width"] == 200
    assert_close(load_cameras(tmp_path / "wide.json").intrinsics, lens)


def test_opengl_axes_become_opencv_axes(tmp_path):
    front = Camera.look_at((0, 0, 2), fov_y_deg=40)
    path = {"camera_path": [{"camera_to_world": FLAT_FRONT, "fov": 40}], "render_height": 8, "render_width": 8}
    frames = {"camera_angle_x": math.radians(40), "frames": [{"transform_matrix": FRONT_OPENGL}]}
    for data in (path, frames):
        (tmp_path / "cameras.json").write_text(json.dumps(data))
        assert_same(load_cameras(tmp_path / "cameras.json"), front.flatten())


def test_transforms_lenses_are_pixels_or_angles(tmp_path):
    def lens(**values: float) -> list[list[float]]:
        (tmp_path / "t.json").write_text(json.dumps({**values, "frames": [{"transform_matrix": FRONT_OPENGL}]}))
        return load_cameras(tmp_path / "t.json").intrinsics[0].tolist()

    right_angle = math.pi / 2
    assert lens(fl_x=400, w=800, h=400)[:2] == [[0.5, 0, 0.5], [0, 1, 0.5]]
    assert lens(fl_x=400, fl_y=200, cx=200, cy=100, w=800, h=400)[:2] == [[0.5, 0, 0.25], [0, 0.5, 0.25]]
    assert lens(camera_angle_x=right_angle)[:2] == [pytest.approx([0.5, 0, 0.5]), pytest.approx([0, 0.5, 0.5])]
    assert lens(camera_angle_x=right_angle, w=8, h=4)[1] == pytest.approx([0, 1, 0.5])
    assert lens(camera_angle_x=right_angle, camera_angle_y=2 * math.atan(0.25))[1] == pytest.approx([0, 2, 0.5])
    of_angle = lens(camera_angle_x=right_angle, fl_y=6, cx=2, cy=3, w=8, h=4)  # what stands in pixels beside it counts
    assert of_angle[:2] == [pytest.approx([0.5, 0, 0.25]), pytest.approx([0, 1.5, 0.75])]
    with pytest.raises(InputError, match=r"frames\[0\]: cx is in pixels, but the picture's size w and h is missing"):
        lens(camera_angle_x=right_angle, cx=2)


def test_each_frame_may_have_its_own_lens(tmp_path):
    frames = [{"transform_matrix": FRONT_OPENGL, "fl_x": focal} for focal in (10, 20)]
    (tmp_path / "t.json").write_text(json.dumps({"w": 10, "h": 10, "frames": frames}))
    assert load_cameras(tmp_path / "t.json").intrinsics[:, 0, 0].tolist() == [1, 2]


def test_colmap_reads_what_colmap_writes(tmp_path):
    (tmp_path / "cameras.txt").write_text("# comment\n7 SIMPLE_PINHOLE 200 100 150 100 50\n")
    (tmp_path / "images.txt").write_text(  # the camera of look_at((0, 0, 2)): half a turn around x
        "# comment\n2 0 1 0 0 0 0 3 7 b.png\n1.5 2.5 -1\n1 0 2 0 0 0 0 2 7 a.png\n"
    )
    read = read_colmap(tmp_path)
    assert_close(read.position, torch.tensor([[0.0, 0, 2], [0, 0, 3]]), atol=1e-6, rtol=0)
    assert_close(read.cam2world[0], Camera.look_at((0, 0, 2), fov_y_deg=30).cam2world, atol=1e-6, rtol=0)
    assert_close(read.intrinsics[0], torch.tensor([[0.75, 0, 0.5], [0, 1.5, 0.5], [0, 0, 1]]))


def test_eg3d_labels_are_read_with_their_names(tmp_path):
    written = cameras()
    labels = [[f"{index:05d}.png", label] for index, label in enumerate(written.to_eg3d_label().tolist())]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    names, read = read_eg3d_labels(tmp_path / "dataset.json")
    assert names == [f"{index:05d}.png" for index in range(5)]
    assert torch.equal(read.to_eg3d_label(), written.to_eg3d_label())
    assert torch.equal(load_cameras(tmp_path / "dataset.json").cam2world, written.cam2world)


def pose(**change: object) -> dict[str, object]:
    return {"camera_path": [{"camera_to_world": FLAT_FRONT, "fov": 40, **change}]}


def frame(matrix: object = FRONT_OPENGL, **lens: object) -> dict[str, object]:
    return {**(lens or {"camera_angle_x": 0.7}), "frames": [{"transform_matrix": matrix}]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        ([], "there are no cameras in it"),
        ("7", "must be a JSON object or list, got 7"),
        ({"keyframes": []}, "holds no cameras: none of the keys camera_path, frames, labels"),
        ({"camera_path": []}, r"there are no cameras in it, camera_path is \[\]"),
        ({"frames": None}, "there are no cameras in it, frames is None"),
        ({"camera_path": [3]}, r"camera_path\[0\] must be an object, got 3"),
        ({"camera_path": [{"fov": 30}]}, r"camera_path\[0\] has no camera_to_world"),
        ({"camera_path": [{"camera_to_world": FLAT_FRONT}]}, r"camera_path\[0\] has no fov"),
        (pose(camera_to_world=FLAT_FRONT[:15]), "camera_to_world must be 16 numbers, got 15"),
        (pose(camera_to_world="abc"), "must be 16 numbers, got abc"),
        (pose(camera_to_world=["1"] * 16), "must hold finite numbers, got '1'"),
        (pose(camera_to_world=[math.nan] * 16), "must hold finite numbers, got nan"),
        (pose(camera_to_world=[1] * 16), "not orthonormal"),
        (pose(fov=math.inf), "fov must hold finite numbers, got inf"),
        (pose(fov=10**400), "fov must hold finite numbers"),
        (pose(fov=None), "fov must hold finite numbers, got None"),
        (pose(fov=True), "fov must hold finite numbers, got True"),
        (pose(fov=180), "fov must lie between 0 and 180 degrees, got 180"),
        ({**pose(), "render_height": 0, "render_width": 5}, "must be positive, got 0 and 5"),
        ({"camera_angle_x": 0.7, "frames": [{}]}, r"frames\[0\] has no transform_matrix"),
        (frame(FRONT_OPENGL[:3]), "transform_matrix must be 4 rows of 4 numbers"),
        (frame([row[:3] for row in FRONT_OPENGL]), "transform_matrix must be 4 numbers, got 3"),
        (frame([[0] * 4] * 4), "not orthonormal"),
        (frame(w=3), r"frames\[0\]: the field of view is missing; need camera_angle_x"),
        (frame(fl_x=300), "the picture's size w and h is missing"),
        (frame(fl_x=-3, w=3, h=3), "focal lengths must be positive"),
        (frame(camera_angle_x=0), "camera_angle_x must lie between 0 and 180 degrees, got 0"),
        ({"labels": None}, "labels is None"),
        ({"labels": ["a.png"]}, r"labels\[0\] must be a list, got a.png"),
        ({"labels": [["a.png"]]}, "must be an image name and 25 numbers"),
        ({"labels": [["a.png", [0] * 24]]}, r"labels\[0\] \(a.png\) must be 25 numbers, got 24"),
        ({"labels": [["a.png", [0] * 25]]}, "not orthonormal"),
    ],
)
def test_a_broken_file_is_one_clear_line(tmp_path, data, message):
    path = tmp_path / "cameras.json"
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        path.write_text(data if isinstance(data, str) else json.dumps(data))
    with pytest.raises(InputError, match=message) as caught:
        load_cameras(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["fov", "fl_x", "w", "h"]), inner),
    max_leaves=20,
)


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([pose(), frame(), frame(fl_x=3, w=4, h=5)]), st.data())
def test_any_damage_ends_in_a_camera_or_an_input_error(tmp_path, document, data):
    changed = json.loads(json.dumps(document))
    spot = data.draw(
        st.sampled_from([changed, next(value for value in changed.values() if isinstance(value, list))[0]])
    )
    spot[data.draw(st.sampled_from(sorted(spot)))] = data.draw(json_values)
    (tmp_path / "cameras.json").write_text(json.dumps(changed))
    try:
        outcome = len(load_cameras(tmp_path / "cameras.json"))
    except InputError as error:
        outcome = str(error).count("\n") + 1  # lines of the message
    assert outcome == 1


GOOD_LENS = "1 PINHOLE 8 8 9 9 4 4\n"


@pytest.mark.parametrize(
    ("lenses", "images", "message"),
    [
        (
            "1 FOV 8 8 9 9 4 4 0\n",
            "",
            "line 1: lens model FOV is not known, SIMPLE_PINHOLE, PINHOLE",
        ),
        ("1\n", "", "lens model nothing"),
        ("1 PINHOLE 8 8 9 9 4\n", "", "must be 6 numbers, got 5"),
        ("1 PINHOLE 8 x 9 9 4 4\n", "", "could not convert"),
        ("1 PINHOLE 0 8 9 9 4 4\n", "", "width and height must be positive"),
        (GOOD_LENS, "", "holds no cameras"),
        (GOOD_LENS, "# only words\n\n", "holds no cameras"),
        (GOOD_LENS, "1 1 0 0 0 0 0 0 2 a.png\n\n", "a camera id and a name"),
        (GOOD_LENS, "1 1 0 0 0\n", "a camera id and a name"),
        (GOOD_LENS, "x 1 0 0 0 0 0 0 1 a.png\n", "image id must be a whole number"),
        (GOOD_LENS, "1 0 0 0 0 0 0 0 1 a.png\n", "the quaternion has no length"),
        (GOOD_LENS, "1 nan 0 0 0 0 0 0 1 a.png\n", "must hold finite numbers, got nan"),
        ("1 PINHOLE 8 8 -9 9 4 4\n", "1 1 0 0 0 0 0 0 1 a.png\n", "focal lengths must be positive"),
    ],
)
def test_a_broken_colmap_model_is_one_clear_line(tmp_path, lenses, images, message):
    (tmp_path / "cameras.txt").write_text(lenses)
    (tmp_path / "images.txt").write_text(images)
    with pytest.raises(InputError, match=message) as caught:
        load_cameras(tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_not_found(tmp_path):
    for read in (load_cameras, read_eg3d_labels):
        with pytest.raises(NotFoundError, match=r"nothing\.json"):
            read(tmp_path / "nothing.json")
    with pytest.raises(NotFoundError, match=r"no COLMAP cameras\.txt"):
        load_cameras(tmp_path)


def test_cameras_a_format_cannot_hold_are_refused(tmp_path):
    skewed = cameras(1).intrinsics.clone()
    skewed[:, 0, 1] = 0.1
    skewed_cameras = Camera(cameras(1).cam2world, skewed)
    with pytest.raises(InputError, match="centred lenses"):
        write_camera_path(tmp_path / "out", cameras(off_centre=True))
    with pytest.raises(InputError, match="skew"):
        write_transforms(tmp_path / "out", skewed_cameras)
    with pytest.raises(InputError, match="skew"):
        write_colmap(tmp_path / "out", skewed_cameras)
    for write in (write_camera_path, write_transforms, write_colmap):
        with pytest.raises(InputError, match="at least one camera"):
            write(tmp_path / "out", cameras()[0])
    for write in (write_transforms, write_colmap):
        with pytest.raises(InputError, match="2 names for 5 cameras"):
            write(tmp_path / "out", cameras(), names=["a", "b"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("write", [write_camera_path, write_transforms, write_colmap])
def test_nothing_is_replaced_unasked(tmp_path: Path, write):
    write(tmp_path / "out", cameras())
    with pytest.raises(InputError, match="exists already"):
        write(tmp_path / "out", cameras())
    write(tmp_path / "out", cameras(2), overwrite=True)
    assert len(load_cameras(tmp_path / "out")) == 2


def test_what_belongs_to_a_camera_stands_beside_it_and_the_camera_stays(tmp_path):
    beside = [{"mask_path": f"masks/{index}.png"} for index in range(5)]
    names, path = [f"{index}.png" for index in range(5)], tmp_path / "transforms.json"
    notes = {"ply_file_path": "points.ply"}
    formats.write_transforms(path, cameras(), width=64, height=64, names=names, beside=beside, notes=notes)
    content = json.loads(path.read_text())
    assert content["ply_file_path"] == "points.ply"
    assert [frame["mask_path"] for frame in content["frames"]] == [row["mask_path"] for row in beside]
    assert_same(load_cameras(path), cameras())


def test_points_of_a_colmap_model_have_numbers_colours_and_no_tracks(tmp_path):
    points, colors = np.array([[0.5, -1.25, 2.0], [0, 0, 1e-3]]), np.array([[1, 2, 3], [255, 0, 9]], np.uint8)
    names = [f"{index}.png" for index in range(5)]
    colmap.write_colmap(tmp_path / "0", cameras(), width=8, height=8, names=names, points=points, colors=colors)
    lines = (tmp_path / "0/points3D.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["1 0.5 -1.25 2 1 2 3 0", "2 0 0 0.001 255 0 9 0"]
    assert_same(read_colmap(tmp_path / "0"), cameras())


def test_synthetic_scenes_have_one_lens_and_names_without_a_suffix(tmp_path):
    one_lens = Camera.from_spherical([0.0, 120.0], [10.0, -40.0], 2.0, fov_y_deg=30.0)
    write_nerf_synthetic(tmp_path / "transforms_train.json", one_lens, names=["train/0.png", "train/1.png"])
    content = json.loads((tmp_path / "transforms_train.json").read_text())
    assert [frame["file_path"] for frame in content["frames"]] == ["./train/0", "./train/1"]
    assert content["camera_angle_x"] == pytest.approx(math.radians(30))
    assert_same(load_cameras(tmp_path / "transforms_train.json"), one_lens)
    with pytest.raises(InputError, match="one centred lens for all pictures"):
        write_nerf_synthetic(tmp_path / "other.json", cameras(), names=[f"{index}.png" for index in range(5)])
    with pytest.raises(InputError, match="one centred lens"):
        write_nerf_synthetic(tmp_path / "other.json", cameras(1, off_centre=True), names=["0.png"])
