"""`--camera FILE`: labels as text or JSON, whatever wrote them; what is no camera is refused in one line."""

import json

import pytest
import torch
from torch.testing import assert_close

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.workflows.invert.photo_cameras import read_camera


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
