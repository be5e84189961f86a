import json
import math
from types import SimpleNamespace

import pytest
import torch

from gen3d_tools.cameras.camera import Camera
from gen3d_tools.perception.prediction import Prediction


@pytest.fixture(scope="module")
def photos(shapes_on_path):
    import photos

    return photos


def test_numbers_name_objects_that_others_do_not_use(photos):
    first, again, next_round = (photos.Subject.numbered(number) for number in (3, 3, 13))
    torch.testing.assert_close(first.z, again.z)
    assert first.yaw_deg == again.yaw_deg
    assert first.label == next_round.label == 3
    assert not torch.equal(first.z, next_round.z)
    assert first.yaw_deg != next_round.yaw_deg


def test_a_photo_is_taken_from_the_camera_of_its_subject(photos):
    subject = photos.Subject.numbered(0)
    torch.testing.assert_close(subject.picture(16, 360.0), subject.picture(16), atol=0.05, rtol=0)
    assert (subject.picture(16, 180.0) - subject.picture(16)).abs().mean() > 0.01


def test_a_direction_is_right_within_ten_degrees_and_not_beyond(photos):
    subject = photos.Subject.numbered(0)  # a car, which looks different from everywhere
    assert subject.direction_right(subject.yaw_deg + 9.9)
    assert subject.direction_right(subject.yaw_deg - 360.0 - 9.9)
    assert not subject.direction_right(subject.yaw_deg + 40.0)
    assert not subject.direction_right(subject.yaw_deg + 180.0)


def test_a_direction_is_right_where_the_object_looks_the_same(photos, monkeypatch):
    subject = photos.Subject.numbered(0)

    def half_turn(self, size, turn_deg=0.0):
        """An object that repeats after half a turn."""
        return torch.full((3, 4, 4), math.cos(math.radians(2 * turn_deg)))

    monkeypatch.setattr(photos.Subject, "picture", half_turn)
    assert subject.direction_right(subject.yaw_deg + 180.0)
    assert subject.direction_right(subject.yaw_deg - 178.0)
    assert not subject.direction_right(subject.yaw_deg + 170.0 - 1e-3)
    assert not subject.direction_right(subject.yaw_deg + 90.0)


def test_the_encoder_is_judged_around_the_circle(photos):
    subject = photos.Subject.numbered(0)
    yaw_logits = torch.full((1, 72), -20.0)
    yaw_logits[0, int((subject.yaw_deg + 180) // 5)] = 5.0
    zero = torch.zeros(1)
    logits = torch.eye(10)[:1]
    pitch = torch.tensor([subject.pitch_deg + 3])
    answer = Prediction(
        logits, yaw_logits, pitch, zero[:, None], torch.zeros(1, 4), zero, zero, zero, zero[:, None], ()
    )
    row = photos.judge_encoder(subject, answer)
    assert row["class"] == "car"
    assert row["yaw_right"]
    assert row["yaw_error"] <= 2.6
    assert row["pitch_error"] == pytest.approx(3, abs=1e-4)


def test_a_turned_camera_stands_where_its_yaw_says(photos):
    camera = Camera.from_spherical(20.0, 30.0, 2.7, fov_y_deg=20.0)
    expected = Camera.from_spherical(80.0, 30.0, 2.7, fov_y_deg=20.0)
    torch.testing.assert_close(photos.turned(camera, 60.0).cam2world, expected.cam2world, atol=1e-5, rtol=1e-5)


def row(number, name="car", found="car", novel=(20.0, 24.0)):
    return {
        "number": number,
        "true_class": name,
        "seconds": 50.0,
        "cpu_seconds": 40.0,
        "encoder": {
            "class": found,
            "yaw_right": True,
            "one_of_3_within_10": True,
            "yaw_error": 2.0,
            "pitch_error": 1.0,
            "familiarity": 0.9,
        },
        "inversion": {
            "class": found,
            "yaw_right": found == name,
            "input_one": 23.0,
            "input_two": 31.0,
            "novel_one": novel[0],
            "novel_two": novel[1],
            "improved": novel[1] > novel[0],
            "mesh_iou": 0.9,
        },
    }


def test_the_table_averages_per_class_and_over_all(photos):
    lines = photos.table([row(0), row(10, found="mug", novel=(24.0, 20.0)), row(5, "mug", "mug")]).splitlines()
    assert "| car | 2 | 50% | 50% |" in lines[2]
    assert "22.0 -> 22.0 | 50% | 0.900 | 40 |" in lines[2]
    assert "| mug | 1 | 100% |" in lines[3]
    assert "| **all** | 3 | 67% |" in lines[4]
    assert len({line.count("|") for line in lines}) == 1


def test_a_photo_that_is_not_rebuilt_yet_counts_for_the_encoder_alone(photos):
    only = {key: value for key, value in row(1, "chair", "chair").items() if key != "inversion"}
    assert "chair" not in photos.table([row(0), only])
    assert "| chair | 1 | 100% |" in photos.encoder_table([row(0), only])


def test_the_last_line_of_a_photo_counts(photos, tmp_path):
    lines = [row(2), row(0), row(2, found="mug")]
    (tmp_path / "photos.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = photos.read_log(tmp_path)
    assert [line["number"] for line in rows] == [0, 2]
    assert rows[1]["encoder"]["class"] == "mug"


def test_a_fresh_folder_has_no_lines(photos, tmp_path):
    assert photos.read_log(tmp_path) == []


def test_the_sheet_shows_the_best_and_the_worst(photos, tmp_path):
    rows = [row(number, novel=(20.0, 20.0 + number)) for number in range(5)]
    (tmp_path / "pictures").mkdir()
    for number in range(5):
        for index in range(len(photos.COLUMNS)):
            photos.write_image(tmp_path / "pictures" / f"{number:03d}-{index}.png", torch.full((3, 8, 8), number / 5))
    photos.write_sheet(rows, tmp_path, count=1)
    assert photos.read_image(tmp_path / "sheet.png").shape[0] == 3


@pytest.mark.slow
def test_a_result_is_compared_with_the_truth(photos, tiny_generator, monkeypatch):
    monkeypatch.setattr(photos, "MESH_RESOLUTION", 24)
    monkeypatch.setattr(photos, "IOU_POINTS", 1000)
    subject = photos.Subject.numbered(0)
    photo = subject.picture(16)
    ws = tiny_generator.latents([0], [0])
    field = tiny_generator.fields(ws)[0]
    camera = Camera.from_spherical(subject.yaw_deg + 5.0, subject.pitch_deg, 2.7, fov_y_deg=20.0)
    result = SimpleNamespace(
        camera=camera,
        pivot_field=field,
        field=field,
        photos=[SimpleNamespace(rgb=photo)],
        class_name="ball",
        fit="poor",
        warnings=("strange",),
    )
    found, pictures = photos.judge_result(subject, photo, result)
    assert found["yaw_error"] == pytest.approx(5.0, abs=1e-3)
    assert found["yaw_right"]
    assert found["input_one"] == found["input_two"]
    assert not found["improved"]
    assert 0 <= found["mesh_iou"] <= 1
    assert found["prepared_change"] == 0
    assert len(pictures) == len(photos.COLUMNS)
    json.dumps(found)
