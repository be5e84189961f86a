import json
import math

import pytest
import torch

from gen3d_tools.workflows.evaluate.inversions.truth import read_truth


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


def test_photos_are_written_with_all_that_is_known_of_them(photos, monkeypatch, tmp_path):
    monkeypatch.setattr(photos, "MESH_RESOLUTION", 32)
    monkeypatch.setattr(photos, "AROUND_SIDE", 16)
    monkeypatch.setattr(photos, "AROUND_STEP_DEG", 45.0)
    photos.write_photos(tmp_path, [3], 16)
    truth = read_truth(tmp_path, ["003.png"])["003.png"]
    subject = photos.Subject.numbered(3)
    assert truth.class_name == subject.class_name
    assert truth.yaw_deg == subject.yaw_deg
    assert list(truth.turns) == list(photos.TURNS_DEG)
    torch.testing.assert_close(truth.picture(16, 30.0), subject.picture(16, 30.0), atol=1 / 255, rtol=0)
    assert photos.read_image(truth.around).shape == (3, 16, 8 * 16)
    assert subject.mesh().is_watertight
    assert subject.volume_iou(subject.mesh()) > 0.9
