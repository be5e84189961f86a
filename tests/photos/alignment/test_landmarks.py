"""Five points as people type them or as files hold them; what cannot be a face is refused in one line."""

import json

import pytest
import torch

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.photos.alignment.landmarks import POINTS, Landmarks, read_landmarks

FACE = [[60, 50], [100, 52], [80, 75], [64, 95], [98, 96]]
TYPED = "60,50 100,52 80,75 64,95 98,96"


def changed(index, place):
    return [place if one == index else FACE[one] for one in range(5)]


def read(text):
    return read_landmarks(text, size=(200, 150), name="photo.jpg")


def test_what_is_typed_and_every_form_of_file_say_the_same(tmp_path):
    wanted = torch.tensor(FACE, dtype=torch.float32)
    named = dict(zip(POINTS, FACE, strict=True))
    forms = [
        FACE,
        [v for place in FACE for v in place],
        {"points": FACE},
        {"points": named, "size": [200, 150], "photo": "x"},
    ]
    torch.testing.assert_close(read(TYPED).points, wanted)
    for number, form in enumerate(forms):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(form))
        torch.testing.assert_close(read(str(path)).points, wanted)
    again = tmp_path / "again.json"
    again.write_text(json.dumps({"points": read(TYPED).to_dict()}))
    torch.testing.assert_close(read(str(again)).points, wanted)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (changed(0, [-5, 50]), "left_eye lies at -5, 50, outside photo.jpg of 200 x 150"),
        (changed(4, [98, 400]), "right_mouth lies at 98, 400, outside"),
        (changed(1, [60, 50]), "left_eye and right_eye are the same point"),
        (changed(3, [98, 96]), "left_mouth and right_mouth are the same point"),
        ([FACE[one] for one in (1, 0, 2, 4, 3)], "mirrored"),
        ([[x, 150 - y] for x, y in FACE], "mirrored"),
    ],
)
def test_points_that_are_no_face_are_refused(tmp_path, points, words):
    path = tmp_path / "points.json"
    path.write_text(json.dumps(points))
    for text in (str(path), ",".join(str(one) for place in points for one in place)):
        with pytest.raises(InputError, match=words) as caught:
            read(text)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[[1, 2]]", "2 numbers, not ten"),
        ('{"points": {"left_eye": [1, 2]}}', "it lacks right_eye, nose, left_mouth, right_mouth"),
        ('{"eyes": 1}', "holds no points"),
        ("words", "points.json"),
        ('{"points": [[1, "x"], [1, 2], [1, 2], [1, 2], [1, 2]]}', "points"),
        (json.dumps({"points": FACE, "size": [512, 512]}), "a photo of 512 x 512 pixels, photo.jpg has 200 x 150"),
        (json.dumps({"points": FACE, "size": 512}), "no pair of width and height"),
        (json.dumps([[float("nan"), 2], *FACE[1:]]), "points.json"),
    ],
)
def test_files_that_hold_other_things_are_refused(tmp_path, content, words):
    (tmp_path / "points.json").write_text(content)
    with pytest.raises(InputError, match=words):
        read(str(tmp_path / "points.json"))


def test_a_file_that_is_not_there_and_too_few_numbers(tmp_path):
    with pytest.raises(NotFoundError, match="no landmarks file"):
        read(str(tmp_path / "nowhere.json"))
    with pytest.raises(InputError, match="write ten numbers"):
        read("1,2,3")
    with pytest.raises(InputError, match="a landmark is no number"):
        Landmarks(torch.full((5, 2), float("nan")))


def test_width_and_roll_are_those_of_the_points():
    face = Landmarks(torch.tensor([[0.0, 0], [30, 30], [10, 30], [-20, 40], [10, 70]]))
    assert face.roll_deg == pytest.approx(45)
    assert face.scaled(2).face_width == pytest.approx(2 * face.face_width)
