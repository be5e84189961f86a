"""Other programs' lenses: a distortion of zeros is a pinhole in every format, anything else is refused by name."""

import json
import logging

import pytest
import torch
from torch.testing import assert_close

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.cameras.colmap import read_colmap
from gen3d_tools.cameras.formats import load_cameras, write_camera_path
from gen3d_tools.errors import InputError
from tests.support.camera_sets import write_colmap, write_transforms

TURNED = Camera.from_spherical([10.0, 70.0, 200.0], 20.0, 2.0, fov_y_deg=[30.0, 40.0, 50.0])
ZEROS = {"k1": 0, "k2": 0.0, "k3": 0, "k4": 0, "p1": 0, "p2": 0, "distortion_params": [0, 0.0], "is_fisheye": False}
ZEROS["rolling_shutter"] = [0, 0, 0, 0]
BENT = [
    ({"camera_type": "fisheye"}, "camera_type is fisheye"),
    ({"camera_type": "equirectangular"}, "camera_type is equirectangular"),
    ({"camera_type": "omnidirectional"}, "camera_type is omnidirectional"),
    ({"camera_type": "vr180"}, "camera_type is vr180"),
    ({"camera_model": "OPENCV_FISHEYE"}, "camera_model is OPENCV_FISHEYE"),
    ({"camera_model": "EQUIRECTANGULAR", "k1": 0}, "camera_model is EQUIRECTANGULAR"),
    ({"camera_model": ["PINHOLE"]}, "camera_model is"),
    *[({"camera_model": "OPENCV", name: 0.01}, f"{name} is 0.01") for name in ("k1", "k2", "k3", "k4", "p1", "p2")],
    ({"k1": "much"}, "k1 must hold finite numbers"),
    ({"distortion_params": [0, -0.2]}, r"distortion_params\[1\] is -0.2"),
    ({"is_fisheye": True}, "is_fisheye is True"),
    ({"rolling_shutter": [0, 0, 0.01, 0]}, r"of different moments \(rolling_shutter\)"),
]


def written(write, path, extra, place):
    write(path, TURNED, overwrite=True)
    data = json.loads(path.read_text())
    entries = data["camera_path"] if "camera_path" in data else data["frames"]
    (data if place == "top" else entries[1]).update(extra)
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize("place", ["top", "frame"])
@pytest.mark.parametrize("write", [write_camera_path, write_transforms])
def test_a_bent_lens_is_refused_by_name_wherever_it_is_said(tmp_path, write, place):
    for extra, message in BENT:
        path = written(write, tmp_path / "cameras.json", extra, place)
        with pytest.raises(InputError, match=message) as caught:
            load_cameras(path)
        assert ("[0]" if place == "top" else "[1]") in str(caught.value)


@pytest.mark.parametrize("write", [write_camera_path, write_transforms])
def test_zeros_are_no_distortion(tmp_path, write):
    for extra in (
        {"camera_model": "OPENCV", **ZEROS},
        {"camera_model": "SIMPLE_PINHOLE"},
        {"camera_type": "PERSPECTIVE"},
    ):
        read = load_cameras(written(write, tmp_path / "cameras.json", extra, "top"))
        assert_close(read.intrinsics, TURNED.intrinsics, atol=1e-6, rtol=1e-5)


COLMAP = {  # the numbers of a lens that is PINHOLE 200 100 150 160 90 55, as far as the model can say so
    "PINHOLE": "150 160 90 55",
    "SIMPLE_RADIAL": "150 90 55 0",
    "RADIAL": "150 90 55 0 0",
    "OPENCV": "150 160 90 55 0 0 0 0",
    "FULL_OPENCV": "150 160 90 55 0 0 0 0 0 0 0 0",
}


def colmap(folder, lens, images="1 1 0 0 0 0 0 0 1 a.png\n\n"):
    folder.mkdir(exist_ok=True)
    (folder / "cameras.txt").write_text(lens)
    (folder / "images.txt").write_text(images)
    return folder


@pytest.mark.parametrize("model", COLMAP)
def test_colmaps_lenses_are_pinholes_when_all_that_distorts_is_0(tmp_path, model):
    lens = read_colmap(colmap(tmp_path, f"1 {model} 200 100 {COLMAP[model]}\n")).intrinsics[0]
    fy = 1.5 if model in ("SIMPLE_RADIAL", "RADIAL") else 1.6
    assert_close(lens, torch.tensor([[0.75, 0, 0.45], [0, fy, 0.55], [0, 0, 1]]))
    if model != "PINHOLE":
        bent = COLMAP[model].rsplit(" ", 1)[0] + " 0.02"
        with pytest.raises(InputError, match=r"line 1: the lens is distorted, \w+ is 0.02"):
            read_colmap(colmap(tmp_path, f"1 {model} 200 100 {bent}\n"))


@pytest.mark.parametrize("model", ["OPENCV_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "FOV", "THIN_PRISM_FISHEYE"])
def test_colmaps_other_lenses_are_refused_by_name(tmp_path, model):
    with pytest.raises(InputError, match=f"line 1: lens model {model} is not known"):
        read_colmap(colmap(tmp_path, f"1 {model} 200 100 150 160 90 55 0 0 0 0\n"))


def test_images_without_their_second_lines_do_not_swallow_each_other(tmp_path):
    write_colmap(tmp_path / "model", TURNED)
    lines = (tmp_path / "model" / "images.txt").read_text().splitlines()
    (tmp_path / "model" / "images.txt").write_text("\n".join(line for line in lines if line))
    with pytest.raises(InputError, match=r"images\.txt, line 4: must be the 2D points of image 1") as caught:
        read_colmap(tmp_path / "model")
    assert "every image takes two lines" in str(caught.value)


def test_points_of_images_are_passed_over_and_the_last_image_may_go_without(tmp_path):
    images = "1 1 0 0 0 0 0 0 1 a.png\n10.5 20 -1 3e1 4 17\n2 1 0 0 0 0 0 5 1 b c.png\n"
    read = read_colmap(colmap(tmp_path, "1 PINHOLE 8 8 9 9 4 4\n", images))
    assert_close(read.position, torch.tensor([[0.0, 0, 0], [0, 0, -5]]))


def test_an_id_that_is_there_twice_is_an_error_and_no_choice(tmp_path):
    lens = "1 PINHOLE 8 8 9 9 4 4\n"
    with pytest.raises(InputError, match=r"cameras\.txt, line 2: the camera id 1 is there twice"):
        read_colmap(colmap(tmp_path, lens * 2))
    with pytest.raises(InputError, match=r"images\.txt, line 3: the image id 1 is there twice"):
        read_colmap(colmap(tmp_path, lens, "1 1 0 0 0 0 0 0 1 a.png\n\n" * 2))
    (tmp_path / "twice.json").write_text('{"frames": [], "frames": []}')
    with pytest.raises(InputError, match="the key 'frames' is there twice"):
        load_cameras(tmp_path / "twice.json")


def test_nerfstudios_exported_list_is_read_with_a_lens_of_ours(tmp_path):
    write_transforms(tmp_path / "transforms.json", TURNED)
    frames = json.loads((tmp_path / "transforms.json").read_text())["frames"]
    listed = [{"file_path": frame["file_path"], "transform": frame["transform_matrix"][:3]} for frame in frames]
    (tmp_path / "list.json").write_text(json.dumps(listed))
    read = load_cameras(tmp_path / "list.json", fov_y_deg=33)
    assert_close(read.cam2world, TURNED.cam2world, atol=1e-6, rtol=0)
    assert_close(read.fov_y_deg, torch.full((3,), 33.0))
    with pytest.raises(InputError, match="it holds no lens"):
        load_cameras(tmp_path / "list.json")
    (tmp_path / "list.json").write_text(json.dumps([{"transform": [[1, 0, 0, 0]]}]))
    with pytest.raises(InputError, match=r"\[0\]\.transform must be 3 rows of 4 numbers"):
        load_cameras(tmp_path / "list.json", fov_y_deg=33)


def test_a_uniform_scale_is_taken_out_and_said(tmp_path, caplog):
    write_transforms(tmp_path / "transforms.json", TURNED)
    data = json.loads((tmp_path / "transforms.json").read_text())
    for frame in data["frames"]:
        frame["transform_matrix"] = [[3 * a, 3 * b, 3 * c, d] for a, b, c, d in frame["transform_matrix"][:3]]
        frame["transform_matrix"].append([0, 0, 0, 1])
    (tmp_path / "transforms.json").write_text(json.dumps(data))
    with caplog.at_level(logging.WARNING, "gen3d_tools"):
        read = load_cameras(tmp_path / "transforms.json")
    assert_close(read.cam2world, TURNED.cam2world, atol=1e-6, rtol=0)
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}/transforms.json: the axes of its cameras are scaled by 3; the scale was taken out."
    ]
    data["frames"][0]["transform_matrix"][0][0] *= 1.1  # no rotation under any scale
    (tmp_path / "transforms.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="not orthonormal"):
        load_cameras(tmp_path / "transforms.json")


def test_axes_without_a_length_are_refused(tmp_path):
    write_transforms(tmp_path / "transforms.json", TURNED[:1])
    data = json.loads((tmp_path / "transforms.json").read_text())
    data["frames"][0]["transform_matrix"][:3] = [[0, 0, 0, 1]] * 3
    (tmp_path / "transforms.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="not orthonormal"):
        load_cameras(tmp_path / "transforms.json")


@pytest.mark.parametrize("write", [write_camera_path, write_transforms])
def test_camera_files_with_a_byte_order_mark_are_read_and_utf_16_is_named(tmp_path, write):
    path = tmp_path / "cameras.json"
    write(path, TURNED)
    text = path.read_text()
    path.write_text(text, encoding="utf-8-sig")
    assert_close(load_cameras(path).cam2world, TURNED.cam2world, atol=1e-6, rtol=0)
    path.write_text(text, encoding="utf-16")
    with pytest.raises(InputError, match="it is UTF-16 text; save it as UTF-8"):
        load_cameras(path)


def test_a_colmap_model_with_byte_order_marks_is_read(tmp_path):
    write_colmap(tmp_path / "model", TURNED)
    for name in ("cameras.txt", "images.txt"):
        path = tmp_path / "model" / name
        lines = [line for line in path.read_text().split("\n") if not line.startswith("#")]  # no comment takes the mark
        path.write_text("\n".join(lines), encoding="utf-8-sig")
    assert_close(read_colmap(tmp_path / "model").cam2world, TURNED.cam2world, atol=1e-6, rtol=0)
