"""`--camera FILE`: labels as text or JSON, whatever wrote them; what is no camera is refused in one line."""

import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.photos.photo import Photo
from gen3d_tools.workflows.invert.photo_cameras import read_camera, read_known


@pytest.fixture
def label(tiny_generator):
    return tiny_generator.default_camera().to_eg3d_label().tolist()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("write", [json.dumps, lambda numbers: ", ".join(map(str, numbers))])
def test_a_label_is_read_with_and_without_a_byte_order_mark(tiny_generator, tmp_path, label, write, encoding):
    (tmp_path / "label").write_text(write(label), encoding=encoding)
    [camera] = read_camera(str(tmp_path / "label"), tiny_generator, [tmp_path])
    assert_close(camera.to_eg3d_label(), torch.tensor(label))


def test_the_scale_of_a_label_is_taken_out(tiny_generator, tmp_path, label, caplog):
    scaled = [2 * number if index % 4 < 3 and index < 12 else number for index, number in enumerate(label)]
    (tmp_path / "label").write_text(json.dumps([scaled]))
    [camera] = read_camera(str(tmp_path / "label"), tiny_generator, [tmp_path])
    assert_close(camera.to_eg3d_label(), torch.tensor(label))
    assert "scaled by 2" in caplog.text


def test_an_exported_list_takes_the_models_lens(tiny_generator, tmp_path):
    (tmp_path / "list.json").write_text(json.dumps([{"transform": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3]]}]))
    [camera] = read_camera(str(tmp_path / "list.json"), tiny_generator, [tmp_path])
    assert_close(camera.fov_y_deg, torch.tensor(20.0))


@pytest.mark.parametrize("number", ["1" * 400, "9" * 5000, "1e400", "nan", '"1"', "true", "{}", "[[1]]"])
def test_what_is_no_number_of_a_camera_is_refused(tiny_generator, tmp_path, label, number):
    words = list(map(str, label))
    words[3] = number
    for text in (f"[{', '.join(words)}]", " ".join(words)):
        (tmp_path / "label").write_text(text)
        with pytest.raises(InputError, match="label"):
            read_camera(str(tmp_path / "label"), tiny_generator, [tmp_path])
    with pytest.raises((InputError, NotFoundError)):
        read_camera(f"{number},0,3", tiny_generator, [tmp_path])


@pytest.fixture
def turned(tmp_path):
    """Two objects with pictures of the same name, seen from 10 and 70 degrees."""
    labels = [
        [name, Camera.from_spherical(yaw, 0, 2.7, fov_y_deg=20.0).to_eg3d_label().tolist()]
        for name, yaw in (("chair-0000/000.png", 10), ("chair-0001/000.png", 70), ("chair-0001/001.png", 30))
    ]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    return tmp_path


def _yaws(turned, generator, *photos):
    cameras = read_camera(str(turned / "dataset.json"), generator, photos)
    return [round(float(camera.spherical()[0])) for camera in cameras]


def test_pictures_of_the_same_name_have_the_labels_of_their_folders(tiny_generator, turned, monkeypatch):
    first, second = turned / "chair-0000" / "000.png", turned / "chair-0001" / "000.png"
    assert _yaws(turned, tiny_generator, first, second) == [10, 70]
    assert _yaws(turned, tiny_generator, Path("elsewhere/chair-0000/000.png")) == [10]
    assert _yaws(turned, tiny_generator, Path("elsewhere/001.png")) == [30]
    monkeypatch.chdir(turned / "..")
    assert _yaws(Path(turned.name), tiny_generator, Path(turned.name, "chair-0000", "000.png")) == [10]


def test_a_label_that_may_be_another_photos_is_refused(tiny_generator, turned):
    with pytest.raises(InputError, match=r"2 labels for 000.png: .*chair-0000/000.png.*chair-0001/000.png"):
        _yaws(turned, tiny_generator, Path("elsewhere/000.png"))


def test_the_camera_of_a_file_follows_the_crop_and_angles_do_not(tiny_generator, tmp_path, label):
    (tmp_path / "label").write_text(json.dumps(label))
    photo = Photo(torch.ones(3, 8, 8), torch.ones(1, 8, 8), window=(0.25, 0.25, 0.75, 0.75))
    [camera] = read_known(str(tmp_path / "label"), tiny_generator, [tmp_path], [photo])
    assert_close(camera.intrinsics[0, 0], 2 * torch.tensor(label[16]))
    assert_close(photo.uncropped(camera).to_eg3d_label(), torch.tensor(label))
    [turned] = read_known("20,10", tiny_generator, [tmp_path], [photo])
    assert_close(turned.to_eg3d_label(), read_camera("20,10", tiny_generator, [tmp_path])[0].to_eg3d_label())
